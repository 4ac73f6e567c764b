"""A small walk made by hand, and an empty page that shows it, for the tests of its JavaScript."""

from __future__ import annotations

import base64
import io
import itertools
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page

from cnnviz.ui.components import modules, walk
from cnnviz.ui.components.focus import Arithmetic, Asked, CellMap, Failure, Frame
from cnnviz.ui.components.walk import (
    CellField,
    Grid,
    Walk,
    WalkClass,
    WalkPhoto,
    WalkSample,
    WalkStage,
    WalkTerms,
    pack,
    pack_focus,
)
from tests.e2e.test_viewer import answer

_HOST = "http://viewer.test/"
# As Streamlit does: the code as a module from a blob, in a shadow root with the theme's variables.
_START = """async ([js, css]) => {
  document.body.innerHTML = `<div id="host"></div>
    <div class="st-key-uploaded-photo"><input type="file"></div><input id="other">`;
  document.body.style = 'margin: 0; padding: 0 32px';
  const host = document.getElementById('host');
  host.style.setProperty('--st-primary-color', '#0f6e84');
  window.root = host.attachShadow({mode: 'open'});
  root.append(Object.assign(document.createElement('style'), {textContent: css}));
  const code = new Blob([js], {type: 'text/javascript'});
  window.module = await import(URL.createObjectURL(code));
  window.given = [];
  document.querySelector('input').addEventListener('change', ({target}) => {
    given.push(target.files[0].name);
  });
}"""
THEME = """dark => {
  const {style} = document.getElementById('host');
  style.setProperty('--st-background-color', dark ? '#0e141a' : '#ffffff');
  style.setProperty('--st-text-color', dark ? '#eaf0f4' : '#14202b');
}"""
_SHOW = """([text, own]) => {
  module.default({
    data: Uint8Array.from(atob(text), letter => letter.charCodeAt(0)),
    parentElement: own ? {} : root,
    setTriggerValue: (name, value) => events.push(value),
  });
  return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())));
}"""
DROP = """() => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(['bytes'], 'mine.jpg', {type: 'image/jpeg'}));
  const drop = new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer});
  document.body.dispatchEvent(drop);
}"""
# What the sidebar says, which this page has not.
REFUSE = """(text) => {
  const box = document.createElement('div');
  box.className = 'st-key-photo-refusal';
  document.body.append(box);
  box.append(document.createElement('p'));
  box.lastChild.textContent = text;
}"""
# Where elements that are moved begin.
NOTE_FLIGHTS = """() => {
  window.flights = [];
  const {animate} = Element.prototype;
  Element.prototype.animate = function (...given) {
    const made = animate.apply(this, given);
    made.currentTime = 0;
    flights.push(this.getBoundingClientRect().toJSON());
    return made;
  };
}"""
SMALLEST_TYPE = """() => {
  const walker = document.createTreeWalker(root.querySelector('.walk'), NodeFilter.SHOW_TEXT);
  const sizes = [];
  while (walker.nextNode()) {
    const {parentElement} = walker.currentNode;
    const seen = parentElement.checkVisibility() && !parentElement.closest('.row');
    const after = getComputedStyle(parentElement, '::after');
    const style = parentElement.dataset.short ? after : getComputedStyle(parentElement);
    if (seen && walker.currentNode.data.trim()) sizes.push(parseFloat(style.fontSize));
  }
  return Math.min(...sizes);
}"""
_NUMBERS = itertools.count()


def _file(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _stage(
    name: str, maps: np.ndarray, grid: Grid, presented: Grid, field: CellField | None = None
) -> WalkStage:
    rows, columns = grid
    return WalkStage(
        path=f"path {name}",
        name=name,
        note=f"{rows * columns} of 64",
        values=maps,
        channels=[10 + k for k in range(len(maps))],
        limits=(0.0, 6.0),
        colours="teal",
        grid=grid,
        presented=presented,
        field=field,
        sentence=[(f"Maps of {name} cells.", "")],
    )


def a_walk() -> Walk:
    """Two stages and two classes; the network saw the middle three quarters of the photo."""
    # The last one is shown while the page is presented alone.
    first = np.zeros((3, 8, 8), np.float32)
    first[:, 2, 5] = [6, 3, 1]
    field = CellField((-0.0625, -0.0625), (0.125, 0.125), (0.25, 0.25))
    second = np.linspace(0, 6, 6, dtype=np.float32).repeat(16).reshape(6, 4, 4)
    evidence = np.zeros((2, 4, 4), np.float32)
    evidence[0, 0, 0] = evidence[1, 3, 3] = 4
    terms = WalkTerms(
        unit="channel",
        path="path 4 × 4",
        name="Class weights",
        note="channel × weight",
        numbers=[3, 5, 9],
        products=np.array([[0.504, 0.304, -0.2], [-0.404, 0.1, 0.3]], np.float32),
        maps=np.ones((3, 4, 4), np.float32),
        order=[[0, 1, 2], [0, 2, 1]],
        rest=[1.0, -0.5],
        bias=[0.25, 0.25],
        score=[1.858, -0.254],
        limits=(0.0, 6.0),
        colours="teal",
    )
    photo = WalkPhoto(
        pixels=_file(np.full((30, 40, 3), 120, np.uint8)),
        size=(30, 40),
        seen=(0.125, 0, 0.75, 1),
        input=(16, 16),
        free="x",
        label="A grey photo",
        caption=[("The network saw the ", ""), ("square", "strong"), (".", "")],
    )
    thumbnail = _file(np.zeros((4, 4, 3), np.uint8))
    return Walk(
        id=f"walk {next(_NUMBERS)}",
        network="A network",
        photo=photo,
        samples=[WalkSample(name, f"A {name}", thumbnail) for name in ("cat", "dog")],
        sample="cat",
        start=[("The start.", "")],
        stages=[
            _stage("8 × 8", first, (2, 1), (3, 1), field),
            _stage("4 × 4", second, (3, 2), (3, 2)),
        ],
        units=[],
        terms=terms,
        legend=("activation", "0", "6"),
        classes=[
            WalkClass(label, f"{share}.00 %", f"{share} %", [(f"The end, {label}.", "")], [caption])
            for label, share, caption in (
                ("cat", 86, ("Evidence for cat.", "")),
                ("dog", 14, ("Evidence for dog.", "")),
            )
        ],
        more=8,
        maps=evidence,
        limit=4.0,
        unit="evidence",
        compare=[("Two answers.", "")],
    )


def an_arithmetic() -> Arithmetic:
    """What a click on the first map of the first stage opens."""
    asked = Asked("cell", "path 8 × 8", 10, 2, 5)
    values, ends = np.zeros((1, 8, 8), np.float32), ("0", "6")
    shown = CellMap("Channel 10", values, (0, 6), "teal", "activation", ends, (2, 5), asked)
    return Arithmetic(
        frame=Frame(asked, "8 × 8", "Where does 6 come from?", "", []),
        form="none",
        heading="",
        terms=[],
        totals=np.zeros(0, np.float32),
        more=[],
        sums=False,
        weight_limit=np.ones(2, np.float32),
        winner=None,
        results=[],
        map=shown,
        sentence=[("A cell.", "")],
        box=None,
        caption=[],
        links=[],
    )


class Stage:
    """A page with a walk, which the tests of this file share."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def show(self, walk: Walk) -> Stage:
        self.page.evaluate(_SHOW, [base64.b64encode(pack(walk, "key")).decode(), False])
        return self

    def open(self, content: Arithmetic | Failure | None) -> None:
        """As ``walk.focus`` does, to an element of its own."""
        data = pack_focus(content, "key")
        self.page.evaluate(_SHOW, [base64.b64encode(data).decode(), True])

    def find(self, selector: str) -> Locator:
        return self.page.locator(f".walk {selector}")

    def text(self, selector: str) -> str:
        return self.find(selector).inner_text()

    def button(self, name: str, exact: bool = True) -> Locator:
        return self.page.get_by_role("button", name=name, exact=exact)

    def grid(self, name: str) -> Locator:
        return self.page.get_by_role("grid", name=name)

    def pixels(self, place: Locator) -> np.ndarray:
        """The painted pixels (h, w, 3)."""
        picture = place.screenshot()
        return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)

    def point(self, place: Locator, across: float, down: float) -> tuple[float, float]:
        box = place.bounding_box()
        assert box is not None
        return box["x"] + across * box["width"], box["y"] + down * box["height"]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was reported, without the walk's id."""
        events = self.page.evaluate("events")
        return [{name: one[name] for name in one if name != "scene"} for one in events]


def prepare(page: Page) -> list[str]:
    """Loads the modules into an empty page; what goes wrong there is added to the list."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.route(f"{_HOST}**", answer)
    page.goto(_HOST)
    page.evaluate(_START, [modules.code("walk.js"), modules.style(*walk.STYLES)])
    return errors
