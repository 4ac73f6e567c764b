"""What is in place of the wall, on an empty page: the numbers on the screen, and the events."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from corpus import traces
from playwright.sync_api import Browser, Page

from cnnviz import numerals
from cnnviz.drawing import Shading
from cnnviz.errors import WorkerError
from cnnviz.results import ClassActivationMap
from cnnviz.traces import ValueTrace
from cnnviz.ui.components import modules, walk
from cnnviz.ui.components.focus import Asked, CellMap, Content, Failure, Frame
from cnnviz.ui.page_parts.explore import arithmetic, focus, strips, trace_sentences, wording
from tests.e2e.test_viewer import answer

_HOST = "http://focus.test/"
_START = """async ([address, css]) => {
  document.body.innerHTML = `<div class="walk" style="--st-background-color: #ffffff;
    --ground: #ffffff; --text: #14202b; --accent: #0f6e84; --quiet: #566573; font: 14px sans-serif">
    <div id="host" style="width: 652px"></div><div id="aside" style="width: 252px"></div></div>`;
  document.head.append(Object.assign(document.createElement('style'), {textContent: css}));
  const modules = (await import(`/${address}`)).default;
  window.module = modules.focus;
  window.unpack = modules.data.unpack;
  window.host = document.getElementById('host');
  const aside = document.getElementById('aside');
  window.events = [];
  window.fields = [];
  window.api = {
    aside,
    report: event => events.push(event),
    say: parts => { window.said = parts.map(([text]) => text).join(''); },
    showField: (box, options) => fields.push([box, options]),
    home: () => { module.clearFocus(); events.push({action: 'home'}); },
  };
}"""
_SHOW = """text => module.showFocus(
  host, unpack(Uint8Array.from(atob(text), letter => letter.charCodeAt(0))), api)"""
TEAL = Shading("teal", 0.0, 6.0)
MAPS = {"block/before": traces.INPUT, "block/act": traces.MAPS}


class View:
    """An empty page with a place of 652 pixels for a content, and one of 252 beside it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.goto(_HOST)
        page.evaluate(_START, [modules.address(), modules.style("focus.css")])

    def show(self, content: Content) -> View:
        message = base64.b64encode(walk.pack_focus(content, "walk")).decode()
        self.page.evaluate(_SHOW, message)
        return self

    def numbers(self, name: str) -> list[float]:
        """The numbers of a grid's cells."""
        cells = self.page.get_by_role("grid", name=name).get_by_role("gridcell")
        return [float(text.replace("−", "-")) for text in cells.all_inner_texts()]

    @property
    def results(self) -> list[str]:
        return self.page.locator(".f-result .f-value").all_inner_texts()

    @property
    def events(self) -> list[Any]:
        return self.page.evaluate("events.splice(0)")

    def is_busy(self) -> bool:
        return self.page.get_by_role("status").inner_text() == "Computing …"


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    page = browser.new_page(viewport={"width": 1000, "height": 1200})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route(f"{_HOST}**", answer)
    yield page, errors
    page.close()


@pytest.fixture
def view(tab: tuple[Page, list[str]]) -> Iterator[View]:
    page, errors = tab
    page.set_viewport_size({"width": 1000, "height": 1200})
    yield View(page)
    assert errors == []


def content_of(trace: ValueTrace, drawn: CellMap | None = None) -> Content:
    asked = Asked("cell", trace.layer, trace.channel, trace.row, trace.column)
    title = f"Where does {numerals.number(trace.value)} come from?"
    here = strips.layer_tile(trace.layer, traces.MAPS, 0, TEAL)
    frame = Frame(asked, f"row {trace.row}", title, trace_sentences.subtitle(trace), [here])
    return arithmetic.build(trace, frame, drawn, MAPS.get, (0.1, 0.2, 0.3, 0.4))


def test_a_convolution_s_numbers_and_one_layer_back(view: View) -> None:
    trace = traces.convolution()
    (term,) = trace.terms
    drawn = arithmetic.layer_map(trace.layer, traces.MAPS[..., :3], 1, (3, 2), TEAL)
    view.show(content_of(trace, drawn))
    for name, expected in (
        ("Patch", term.inputs),
        ("Kernel", term.weights),
        ("Products", term.inputs * term.weights),
    ):
        np.testing.assert_allclose(view.numbers(name), expected.ravel(), atol=0.00501)
    normalized = trace.steps[0].value
    expected = [wording.result(number) for number in (trace.total, normalized, trace.value)]
    assert view.results == expected
    assert (
        view.page.get_by_role("heading").inner_text() == f"Where does {trace.value:.3g} come from?"
    )
    assert view.page.evaluate("said").endswith(f"{trace.value:.3g}.")
    assert view.page.locator(".f-chip").inner_text() == f"{traces.MAPS[3, 2, 1]:.3g}"
    box, options = view.page.evaluate("fields.at(-1)")
    assert (box, options["large"]) == ([0.1, 0.2, 0.3, 0.4], True)
    # A cell of the padding leads nowhere; another one a layer back, which is said at once.
    cells = view.page.get_by_role("grid", name="Patch").get_by_role("gridcell")
    cells.nth(7).click()
    assert (view.events, view.is_busy()) == ([], False)
    cells.nth(4).click()
    back = {"action": "cell", "name": "block/before", "channel": 1, "row": 7, "column": 5}
    assert (view.events, view.is_busy()) == ([back], True)
    # The same content once more, as when the server has nothing else: it waits no longer.
    view.show(content_of(trace, drawn))
    assert not view.is_busy()


def test_the_large_map_by_mouse_and_keyboard(view: View) -> None:
    trace = traces.convolution()
    drawn = arithmetic.layer_map(trace.layer, traces.MAPS[..., :3], 1, (3, 2), TEAL)
    view.show(content_of(trace, drawn))
    grid = view.page.get_by_role("grid", name="Channel 1, 4 × 4")
    box = grid.bounding_box()
    # The cell that is shown is not asked for again.
    grid.click(position={"x": 0.6 * box["width"], "y": 0.9 * box["height"]})
    assert view.events == []
    grid.click(position={"x": 0.1 * box["width"], "y": 0.4 * box["height"]})
    other = {"action": "cell", "name": "block/act", "channel": 1}
    assert view.events == [other | {"row": 1, "column": 0}]
    grid.focus()
    for key in ("ArrowUp", "ArrowRight", "Enter"):
        view.page.keyboard.press(key)
    assert view.events == [other | {"row": 2, "column": 3}]
    spoken = grid.get_by_role("gridcell").inner_text()
    assert spoken == f"activation {traces.MAPS[2, 3, 1]:.3g}, row 2, column 3"


def test_a_pooling_marks_its_cell(view: View) -> None:
    trace = traces.pooling()
    view.show(content_of(trace))
    patch = trace.terms[0].inputs.ravel()
    np.testing.assert_allclose(view.numbers("Patch"), patch, atol=0.00501)
    assert float(view.page.locator(".f-winner").inner_text()) == pytest.approx(patch.max())
    assert view.results == [wording.result(patch.max())]


def test_a_class_map_s_channels(view: View) -> None:
    trace = traces.class_map()
    cam = ClassActivationMap(traces.MAPS @ traces.WEIGHTS, "cam", "block/act", "cat", 1.0, None)
    view.show(content_of(trace, arithmetic.class_map(cam, 9.0, (1, 2))))
    totals = view.page.locator(".f-total").all_inner_texts()
    shown = [float(text.replace("−", "-")) for text in totals]
    np.testing.assert_allclose(
        shown, [*(term.total for term in trace.terms), trace.rest], atol=0.0051
    )
    assert view.results == [wording.result(trace.value)]
    view.page.locator("button.f-amount").nth(2).click()
    channel = trace.terms[2].channel
    back = {"action": "cell", "name": "block/act", "channel": channel, "row": 1, "column": 2}
    assert view.events == [back]
    view.page.get_by_role("grid", name="Evidence for cat, 4 × 4").click(position={"x": 5, "y": 5})
    assert view.events == [{"action": "map", "name": "cat", "row": 0, "column": 0}]


def test_what_was_visited_leads_back_and_home(view: View) -> None:
    stage = Frame(Asked("stage", "block/act"), "act", "All channels", "", [])
    view.show(focus.channels(traces.MAPS, stage, "block/act", TEAL))
    view.page.locator(".f-channels").get_by_role("grid").click(position={"x": 10, "y": 30})
    strongest = int(traces.MAPS.std(axis=(0, 1)).argmax())
    assert view.events == [{"action": "channel", "name": "block/act", "channel": strongest}]
    view.show(content_of(traces.pooling()))
    trail = view.page.get_by_role("navigation", name="Visited")
    assert trail.inner_text().split() == ["act", "→", "row", "3"]
    trail.get_by_role("button", name="act").click()
    assert view.events == [{"action": "stage", "name": "block/act"}]
    frame = Frame(Asked("cell", "block/act", 99, 0, 0), "act 99", "No answer", "", [])
    view.show(Failure(frame, 1, str(WorkerError("The process ran out of memory."))))
    assert view.page.get_by_role("alert").inner_text() == "The process ran out of memory."
    view.page.get_by_role("button", name="Try again").click()
    again = {"action": "cell", "name": "block/act", "channel": 99, "row": 0, "column": 0}
    assert (view.events, view.is_busy()) == ([again], True)
    view.page.get_by_role("button", name="All layers").click()
    assert view.events == [{"action": "home"}]
    assert view.page.evaluate("host.childElementCount + api.aside.childElementCount") == 0


def test_on_a_phone_nothing_is_wider_than_the_window(view: View) -> None:
    view.page.set_viewport_size({"width": 390, "height": 844})
    view.page.evaluate("for (const id of ['host', 'aside']) document.getElementById(id).style = ''")
    for trace in (traces.convolution(), traces.class_map(), traces.dense(), traces.unknown()):
        view.show(content_of(trace))
        assert view.page.evaluate("document.documentElement.scrollWidth") == 390, trace.source_kind
