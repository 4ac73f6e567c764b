"""Every page in both themes, as axe judges it, and a page that is presented, by the keyboard."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

from scripts.browse import settle
from tests.e2e.test_first_open import PAGES

_WIDE, _PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 844}


def test_no_page_has_a_serious_fault(new_tab: Any, server: Any) -> None:
    tab = new_tab(server)
    tab.page.set_viewport_size(_WIDE)
    tab.open("/?sample=chelsea")
    found = []
    for title, _ in PAGES.values():
        if title != "Explore":
            tab.page.get_by_test_id("stTopNavLink").filter(has_text=title).click()
            tab.page.wait_for_function("title => document.title === title", arg=title)
            settle(tab.page)
        for theme in ("dark", "light"):
            tab.page.emulate_media(color_scheme=theme)
            tab.page.wait_for_function(
                "theme => getComputedStyle(document.querySelector('.stApp')).colorScheme === theme",
                arg=theme,
            )
            settle(tab.page)
            found += serious(tab, f"{title}, {theme}")
    assert tab.sidebar.is_visible()
    found += serious(tab, "sidebar")
    tab.page.set_viewport_size(_PHONE)
    tab.open("/?sample=chelsea")
    found += serious(tab, "telephone")
    assert found == []
    assert tab.errors == []


def serious(tab: Any, place: str) -> list[str]:
    """The serious and critical faults on the page."""
    faults = Axe().run(tab.page).response["violations"]
    return [
        f"{place}: {fault['id']} {node['target']} {node['failureSummary']}"
        for fault in faults
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def test_a_page_is_presented_and_turned_by_the_keyboard(tab: Any) -> None:
    tab.page.set_viewport_size(_WIDE)
    tab.open("/filters?model=mnist_cnn")
    header = tab.page.get_by_test_id("stHeader")
    tab.page.keyboard.press("p")
    tab.page.wait_for_url("**present=1**")
    assert not header.is_visible()
    # No text is smaller on the screen.
    sizes = tab.page.evaluate(
        """() => ['p', 'h1', 'text', 'input']
          .flatMap(kind => [...document.querySelectorAll(`.stMain ${kind}`)])
          .map(part => parseFloat(getComputedStyle(part).fontSize)
            * document.documentElement.style.getPropertyValue('--present-scale'))"""
    )
    assert len(sizes) > 10
    assert min(sizes) > 23.9
    # What is under the pointer is what is seen there.
    assert "Filter 5" in tab.hover_tile("all filters", 5)
    # An arrow key in a list or a grid is for that.
    tab.grid("all filters").focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.get_by_role("heading", level=1).click()
    with tab.run():
        tab.page.keyboard.press("ArrowRight")
    tab.page.wait_for_function("document.title === 'Activations'")
    assert "present=1" in tab.settled().page.url
    with tab.run():
        tab.page.keyboard.press("Escape")
    assert "present" not in tab.page.url
    assert header.is_visible()
