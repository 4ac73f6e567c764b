"""Every page in both themes: painted, allowed by its own policy, fit for all; and presented."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from axe_playwright_python.base import AXE_SCRIPT
from PIL import Image

from scripts.browse import open_page, settle
from tests.e2e.conftest import pixels
from tests.e2e.test_first_open import PAGES

_WIDE, _NARROW = {"width": 1280, "height": 720}, {"width": 390, "height": 844}
# Charts and grids, by the page's title.
_CHARTS = {
    "Network": ["maps"],
    "Filters": ["all filters", "one filter"],
    "Activations": ["activations 0", "activations 3", "channel:stem_act"],
    "Class activation map": ["overlay", "map alone", "side by side"],
}
_NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener('securitypolicyviolation', event =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
_THEME = "theme => getComputedStyle(document.querySelector('.stApp')).colorScheme === theme"


def test_every_page_is_painted_for_all(new_tab: Callable[..., Any], server: Any) -> None:
    tab = new_tab(server)
    page = tab.page
    page.add_init_script(_NOTE_VIOLATIONS)
    page.set_viewport_size(_WIDE)
    tab.open("/?model=imagenet_efficientnet_lite0&sample=chelsea")
    faults = []
    for title, heading in PAGES.values():
        if title != "Explore":
            open_page(page, title)
            page.wait_for_function("title => document.title === title", arg=title)
        page.get_by_role("heading", name=heading).first.wait_for()
        settle(page)
        for theme in ("dark", "light"):
            page.emulate_media(color_scheme=theme)
            page.wait_for_function(_THEME, arg=theme)
            settle(page)
            # What a theme changes for axe is colours.
            rules = ["color-contrast"] if theme == "light" else []
            faults += serious(tab, f"{title}, {theme}", rules)
            faults += not_painted(tab, title, dark=theme == "dark")
        if title == "Class activation map":
            faults += below_the_fold(tab)
        page.set_viewport_size(_NARROW)
        settle(page)
        faults += too_wide(tab, title)
        if title == "Explore":
            faults += serious(tab, "telephone")
            assert_photo_and_map_come_first(tab)
        page.set_viewport_size(_WIDE)
    assert faults == []
    assert tab.sidebar.is_visible()
    assert serious(tab, "sidebar") == []
    # Streamlit's long integers try to use WebAssembly, and go on without it.
    assert set(page.evaluate("violations")) <= {"script-src wasm-eval"}
    assert tab.errors == []
    # The policy is in force.
    page.evaluate("violations.length = 0; new Image().src = 'https://evil.example/x.png'")
    page.wait_for_function("() => violations.length > 0")
    assert page.evaluate("violations") == ["img-src https://evil.example/x.png"]


def serious(tab: Any, place: str, rules: Sequence[str] = ()) -> list[str]:
    """The serious and critical faults that axe finds on the page, by some rules or by all."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    if not tab.page.evaluate("'axe' in window"):
        tab.page.evaluate(AXE_SCRIPT)
    faults = tab.page.evaluate("async options => (await axe.run(options)).violations", options)
    return [
        f"{place}: {fault['id']} {node['target']} {node['failureSummary']}"
        for fault in faults
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def not_painted(tab: Any, title: str, *, dark: bool) -> list[str]:
    """The charts of a page that are one colour, or a few letters on one colour."""
    painted = {key: tab.painted(key) for key in _CHARTS.get(title, [])}
    if title == "Compare":
        first = tab.page.locator(".comparison .picture").first
        # The element itself may be another one once the verdicts are there.
        painted["comparison"] = pixels(tab.page.screenshot(clip=first.bounding_box()))
    if title == "Explore":
        painted |= {of: tab.picture(of) for of in ("photo", "map")}
        # Far in its corner the wall has the page's own colour.
        wall = tab.walk(".wall").bounding_box()
        clip = {"x": wall["x"] + wall["width"] - 4, "y": wall["y"], "width": 4, "height": 4}
        corner = pixels(tab.page.screenshot(clip=clip))
        assert (corner.max() < 60) if dark else (corner.min() > 200), corner
    return [
        f"{title}: {key} is not painted, dark: {dark}"
        for key, chart in painted.items()
        # There is no list of the colours if they are more.
        if chart.std() <= 10 or Image.fromarray(chart.astype(np.uint8)).getcolors(50) is not None
    ]


def too_wide(tab: Any, title: str) -> list[str]:
    """What is wider than a telephone, or stays in place there and covers what comes after it."""
    columns = "columns => columns.map(column => getComputedStyle(column).position)"
    positions = tab.page.locator(".stMain .stColumn").evaluate_all(columns)
    found = [f"{title}: a stacked column is sticky" for one in positions if one == "sticky"]
    for part in ("documentElement", "querySelector('[data-testid=\"stMain\"]')"):
        widths = f"[document.{part}.scrollWidth, document.{part}.clientWidth]"
        content, visible = tab.page.evaluate(widths)
        if content > visible:
            found.append(f"{title}: {part} has {content} pixels")
    for chart in tab.page.locator(".js-plotly-plot").all():
        box = chart.bounding_box()
        if box["x"] < 0 or box["x"] + box["width"] > _NARROW["width"]:
            found.append(f"{title}: a chart from {box['x']}, {box['width']} wide")
    return found


def below_the_fold(tab: Any) -> list[str]:
    """What of the presented map, and of the choices for it, is not on the first screen."""
    page, found = tab.page, []
    with tab.run():
        page.keyboard.press("p")
    for size in (_WIDE, {"width": 1440, "height": 900}):
        page.set_viewport_size(size)
        settle(page)
        page.get_by_test_id("stMain").evaluate("element => element.scrollTo(0, 0)")
        picture = tab.chart("overlay").locator("image").first
        parts = {"map": picture, "first chip": tab.chips.first, "last chip": tab.chips.last}
        for name, part in (parts | {"method": tab.select("Method")}).items():
            box = part.bounding_box()
            if box["y"] < 0 or box["y"] + box["height"] > size["height"]:
                found.append(f"presented at {size}: {name} is at {box}")
    with tab.run():
        page.keyboard.press("Escape")
    return found


def assert_photo_and_map_come_first(tab: Any) -> None:
    """On a telephone photo and map are side by side, of one size, above the wall."""
    photo, evidence, wall = (
        tab.walk(part).bounding_box()
        for part in (".photo .picture", ".evidence .map", ".wall .area")
    )
    assert photo["x"] + photo["width"] <= evidence["x"]
    for side in ("y", "width", "height"):
        assert abs(photo[side] - evidence[side]) < 2, side
    assert photo["y"] + photo["height"] < min(wall["y"], _NARROW["height"])
    assert tab.walk(".answer .headline").bounding_box()["y"] < photo["y"]


def test_on_a_telephone_a_choice_closes_the_sidebar(tab: Any) -> None:
    tab.page.set_viewport_size(_NARROW)
    tab.open("/?model=cat_dog&sample=chelsea")
    # The model's name opens the sidebar, whose parts are in sight and with nothing over them; a
    # choice in it closes it again.
    uploader = tab.sidebar.locator(".st-key-uploaded-photo")
    uploader.get_by_role("button", name="Upload").last.click(trial=True)
    tab.choose("Sample picture", "A cow")
    tab.page.locator(".stSidebar[data-collapsed=true]").wait_for(state="attached")
    assert "sample=cow" in tab.page.url
    # So does another page.
    tab.sidebar.get_by_test_id("stSidebarNavLink").get_by_text("Filters", exact=True).click()
    tab.page.wait_for_function("() => document.title === 'Filters'")
    tab.page.locator(".stSidebar[data-collapsed=true]").wait_for(state="attached")


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
    tab.page.wait_for_function("() => document.title === 'Activations'")
    assert "present=1" in tab.settled().page.url
    with tab.run():
        tab.page.keyboard.press("Escape")
    assert "present" not in tab.page.url
    assert header.is_visible()
