"""Every lesson is completed in a browser, on a wide page with the keyboard and on a phone."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import chelsea

import cnnviz
from cnnviz.lessons import attention as attention_numbers
from cnnviz.lessons.class_maps import quarters
from cnnviz.lessons.colour_planes import plane
from cnnviz.lessons.convolution import KERNELS, Sliding, convolve
from cnnviz.lessons.pooling import pool
from cnnviz.lessons.shortcut import marked
from cnnviz.numerals import percent
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.encoding import shrink
from cnnviz.photos.preprocessing import NetworkView, network_view
from cnnviz.photos.samples import samples
from cnnviz.settings import ROOT
from cnnviz.ui.page_parts.lessons import attention, filters, pooling
from cnnviz.ui.page_parts.lessons.contents import LESSONS
from cnnviz.ui.page_parts.lessons.frame import Lesson
from scripts.browse import Server, settle
from tests.e2e.conftest import Tab
from tests.e2e.test_every_page import serious, too_wide

_ANSWER = re.compile(r"You guessed|You said|\d are right|of them are right|This is the IoU")
_SCROLLED = "() => document.querySelector('[data-testid=\"stMain\"]').scrollTop"
# The cells of the first table whose caption has a text.
_CELLS = """text => {
  const all = [...document.querySelectorAll('.lesson-figure')];
  const figure = all.find(one => one.textContent.includes(text));
  return [...figure.querySelectorAll('td')].map(cell => cell.textContent);
}"""


@pytest.mark.parametrize("phone", [False, True], ids=["wide", "phone"])
def test_every_lesson_is_completed(
    server: Server, new_tab: Callable[..., Tab], phone: bool
) -> None:
    tab = new_tab(server, has_touch=phone, color_scheme="dark" if phone else "light")
    size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 720}
    tab.page.set_viewport_size(size)
    faults: list[str] = []
    tab.open("/lessons?model=cat_dog&sample=chelsea")
    for number, lesson in enumerate(LESSONS, start=1):
        tab.page.get_by_role("button", name=f"{number} · {lesson.title}").click()
        for step in range(1, len(lesson.steps) + 1):
            faults += complete(tab, lesson, step, phone=phone)
        # The last step leads back to the first one.
        tab.page.get_by_text(f"{lesson.title} · 1 of").wait_for()
        tab.page.get_by_role("button", name="All lessons").click()
    assert faults == []
    assert tab.errors == []


def complete(tab: Tab, lesson: Lesson, step: int, *, phone: bool) -> list[str]:
    """Predicts, sees and reads one step, goes on, and returns its faults."""
    page, count = tab.page, len(lesson.steps)
    name = f"{lesson.title} · {step} of {count}"
    page.get_by_text(name).wait_for()
    asked = page.get_by_text("Guess first. The answer comes after it.")
    asked.wait_for()
    # Until a run ends, the step before is still there.
    settle(page)
    main = page.get_by_test_id("stMain")
    assert not _ANSWER.search(main.inner_text()), name
    guess(tab, phone=phone)
    tab.page.get_by_text(_ANSWER).first.wait_for()
    asked.wait_for(state="detached")
    tab.settled()
    CHECKS.get((lesson.key, step), lambda _: None)(tab)
    faults = too_wide(tab, name)
    # Its first step on one page, in the light theme, and its last one on the other, in the dark.
    if step == (count if phone else 1):
        faults += serious(tab, name)
    page.mouse.move(195, 400)
    page.mouse.wheel(0, 2000)
    on = page.locator(".st-key-Next button")
    if phone:
        on.tap()
    else:
        page.keyboard.press("n")
    page.get_by_text(f"{lesson.title} · {step % count + 1} of {count}").wait_for()
    # The next question is in sight, wherever the page was scrolled to.
    page.wait_for_function(f"({_SCROLLED})() === 0")
    return faults


def guess(tab: Tab, *, phone: bool) -> None:
    """Takes the first of the options, or a ninth of the photo; or fills in the grid."""
    page = tab.page
    fields = page.locator(".stForm input")
    if fields.count():
        right = [f"{value:g}" for value in pool(pooling.GRID, pooling.WINDOW).ravel()]
        for at, value in enumerate(right):
            fields.nth(at).fill(value)
        button = page.get_by_role("button", name="Check")
    else:
        options = page.locator(".st-key-guesses button")
        button = (options if options.count() else page.get_by_role("button", name="Middle")).first
    if phone:
        button.tap()
    else:
        button.focus()
        page.keyboard.press("Enter")


def texts(tab: Tab) -> str:
    return tab.page.get_by_test_id("stMain").inner_text()


def cells(tab: Tab, caption: str) -> list[float]:
    """The numbers of a grid, by a part of what is below it."""
    shown = tab.page.evaluate(_CELLS, caption)
    return [float(text.replace("−", "-")) for text in shown]


def check_pixels(tab: Tab) -> None:
    pixels = shrink(chelsea(), 96)
    top, left = ((side - 7) // 2 for side in pixels.shape[:2])
    red = plane(pixels[top : top + 7, left : left + 7], "red")
    assert cells(tab, "How much red they have") == red.ravel().tolist()


def check_filter(tab: Tab) -> None:
    small = network_view(chelsea(), filters._SMALL)[..., 0].astype(float)
    sums = convolve(small, np.array(KERNELS["vertical edges"]), Sliding()).ravel()
    strongest = f"{sums[np.abs(sums).argmax()]:,.0f}".replace("-", "−")
    assert f"add up to {strongest}." in texts(tab)


def check_pooling(tab: Tab) -> None:
    assert "All of them are right." in texts(tab)
    assert cells(tab, "The right ones") == pool(pooling.GRID, pooling.WINDOW).ravel().tolist()


def check_class_map(tab: Tab) -> None:
    cam = cnnviz.class_activation_map(network("cat_dog"), chelsea(), "cat")
    shown = cells(tab, "What each quarter adds")
    assert shown == pytest.approx(quarters(cam.values).ravel().tolist(), rel=6e-3)


def check_attention(tab: Tab) -> None:
    shares = attention.shares_of(attention._TELLING).mean(axis=0)
    least = int(shares.argmin())
    weights = attention.training(attention._TELLING, attention=True)[-1].weights
    values = attention.values_of(attention._TELLING)
    changed = attention_numbers.changed_answers(weights, values, least)
    assert f"{changed} of 150 answers changed." in texts(tab)


def check_trust(tab: Tab) -> None:
    shortcut = network("cat_dog_shortcut")
    steps = shortcut.card.preprocessing
    path = next(one.path for one in samples() if one.name == "dog")
    pixels = network_view(open_photo(path), steps)
    for view, caption in ((marked(pixels), "with a square"), (pixels, "Without the square")):
        said = cnnviz.predict(shortcut, NetworkView(view, steps))
        shown = f"{caption}: {said.label}, {percent(said.top(1)[0].probability)}"
        assert shown in texts(tab)


CHECKS: dict[tuple[str, int], Callable[[Tab], None]] = {
    ("pixels", 1): check_pixels,
    ("filter", 3): check_filter,
    ("pooling", 1): check_pooling,
    ("class-map", 3): check_class_map,
    ("attention", 5): check_attention,
    ("trust", 5): check_trust,
}


@functools.cache
def network(name: str) -> Any:
    return cnnviz.load_model(Path(ROOT / "models" / f"{name}.keras"), trusted=True)
