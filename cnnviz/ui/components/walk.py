"""The walk: a photo's way through a network on one screen, from its pixels to the answer.

``walk.js`` draws it. Steps, classes, comparison and values under the mouse need no answer of the
server. What does comes back as one ``WalkEvent``; what the server answers to a click on a cell, a
channel or a stage is a message of its own (``focus``), so that the walk itself is not sent again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.drawing import SIGNED, Limits
from cnnviz.ui.components import modules
from cnnviz.ui.components.scenes import Rectangle, buffer, plain, tables

# Rows and columns.
Grid = tuple[int, int]
# Text in parts: (text, style), where the style is "", "strong", "for", "against" or "quiet".
Text = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class WalkPhoto:
    """The photo.

    Attributes:
        pixels: the bytes of a JPEG, PNG or WebP file.
        size: (H, W) of the photo.
        seen: the part that the network saw, in shares of the photo's width and height; with
            black borders it reaches beyond the photo.
        input: (H, W) of what the network saw, in its own pixels.
        free: along which axes that part can be dragged: "x", "y", both, or "".
        label: for readers of the screen.
        caption: below it, such as "The network saw the square, as 224 × 224."
        pixelated: whether its pixels stay sharp when it is enlarged.
    """

    pixels: bytes
    size: tuple[int, int]
    seen: Rectangle
    input: tuple[int, int]
    free: str
    label: str
    caption: Text
    pixelated: bool = False


@dataclass(frozen=True)
class WalkSample:
    """A sample of the strip: its name in events, its title, and a small picture's file."""

    name: str
    title: str
    picture: bytes


@dataclass(frozen=True)
class CellField:
    """The receptive fields of a layer's cells, in shares of what the network saw.

    Attributes:
        start: left and top of the first cell's field; may be outside.
        step: from one cell to the next, across and down.
        size: width and height of a cell's field; it ends at the edges.
    """

    start: tuple[float, float]
    step: tuple[float, float]
    size: tuple[float, float]


@dataclass(frozen=True)
class WalkStage:
    """A column of the wall: the strongest maps of one layer.

    Attributes:
        path: the layer's path.
        name: of the column, such as "112 × 112".
        note: below that, such as "3 of 32".
        values: (k, h, w), the strongest first.
        channels: the numbers of those channels.
        limits: the values of the first and the last colour.
        colours: the scale, a name of ``cnnviz.colours``.
        grid: of those that are shown in a wide window, the strongest.
        presented: the same while the page is presented.
        field: None where the fields are not all of one size and distance.
        sentence: of its step.
    """

    path: str
    name: str
    note: str
    values: Floats
    channels: Sequence[int]
    limits: Limits
    colours: str
    grid: Grid
    presented: Grid
    field: CellField | None
    sentence: Text


@dataclass(frozen=True)
class WalkUnits:
    """A column of cells: a dense layer's outputs (n,); the rest as in ``WalkStage``.

    Attributes:
        rows: how many of them are below one another in a wide window.
    """

    path: str
    name: str
    note: str
    values: Floats
    limits: Limits
    colours: str
    rows: int
    sentence: Text


@dataclass(frozen=True)
class WalkTerms:
    """The last column: what each channel, or unit, adds to the score of each class.

    Attributes:
        unit: "channel" or "unit".
        path: of the layer whose they are; None where it is no layer that can be opened.
        name: of the column.
        note: below that.
        numbers: the n channels that are listed for any class.
        products: (C, n), channel × weight.
        maps: (n, h, w) of these channels; None for units.
        order: for each class the positions in ``numbers`` that are listed, the largest first.
        rest: for each class what all others add.
        bias: of each class.
        score: of each class: its logit.
        limits: of the maps' colours.
        colours: of the maps.
    """

    unit: str
    path: str | None
    name: str
    note: str
    numbers: Sequence[int]
    products: Floats
    maps: Floats | None
    order: Sequence[Sequence[int]]
    rest: Sequence[float]
    bias: Sequence[float]
    score: Sequence[float]
    limits: Limits
    colours: str


@dataclass(frozen=True)
class WalkClass:
    """One of the classes whose maps are there.

    Attributes:
        label: its name.
        answer: its probability as text, large beside the name, such as "99.99 %".
        share: the same on its chip; empty where that shows the name alone.
        sentence: of the last step, when this class is chosen.
        caption: below its map, such as "Evidence for cat, cell by cell. …".
    """

    label: str
    answer: str
    share: str
    sentence: Text
    caption: Text


@dataclass(frozen=True)
class Walk:
    """What the walk shows.

    Attributes:
        id: events name it.
        network: the network's title.
        photo: the photo.
        samples: the strip of samples.
        sample: the name of the one that is shown; None for a photo of one's own.
        start: the sentence before the first step.
        stages: the columns of the wall.
        units: the dense layers between the maps and the classes.
        terms: None where a score is no such sum.
        legend: the texts at both ends of the activations' colours, and between: name, low, high.
        classes: the classes that have maps, the most probable first.
        more: how many classes have none.
        maps: (C, h, w), the evidence.
        limit: of all maps: the absolute value that is drawn solid.
        unit: what a map's value is, such as "evidence".
        compare: the sentence when two classes are compared.
        camera: whether the page can show a live picture.
    """

    id: str
    network: str
    photo: WalkPhoto
    samples: Sequence[WalkSample]
    sample: str | None
    start: Text
    stages: Sequence[WalkStage]
    units: Sequence[WalkUnits]
    terms: WalkTerms | None
    legend: tuple[str, str, str]
    classes: Sequence[WalkClass]
    more: int
    maps: Floats
    limit: float
    unit: str
    compare: Text
    camera: bool = True


@dataclass(frozen=True)
class WalkEvent:
    """What a person did that needs the server.

    Attributes:
        scene: the ``id`` of the walk.
        action: "sample", "crop", "stage", "channel", "cell", "map", "home", "class" or "live";
            "filters" or "activations": the page of that name, for a layer.
        name: the sample, the layer's path, or the class.
        channel: of the layer.
        row: of a cell.
        column: of a cell.
        x: of a crop: the share of the free space that is left of it; ``y``: above it.
        y: as ``x``.
    """

    scene: str
    action: str
    name: str | None = None
    channel: int | None = None
    row: int | None = None
    column: int | None = None
    x: float | None = None
    y: float | None = None


# Characters of a name in an event.
_LONGEST_NAME = 10_000

# The style sheets of the walk, and of what is in place of its wall.
STYLES = ("base.css", "walk.css", "focus.css")
ACTIONS = (
    *("sample", "crop", "stage", "channel", "cell", "map", "home", "class", "live"),
    *("filters", "activations"),
)


def show(walk: Walk, key: str, on_event: Callable[[], None]) -> None:
    """Draws the walk.

    Args:
        walk: what to draw. With the same key the browser keeps its elements, and repaints.
        key: the name of the walk on its page.
        on_event: called before the run that follows an event; ``take`` gives the event.
    """
    _component()(data=pack(walk, key), key=key, on_event_change=on_event)


def pack(walk: Walk, key: str) -> bytes:
    """A walk as the buffer that ``walk.js`` reads."""
    names = ["blue-orange", *(one.colours for one in walk.stages)]
    names += [one.colours for one in walk.units]
    names += [walk.terms.colours] if walk.terms else []
    arrays: list[NDArray[Any]] = []
    header = {"kind": "walk", "key": key, "tables": tables(names, arrays)}
    header |= plain(walk, arrays)
    return buffer(header, arrays)


def take(key: str) -> WalkEvent | None:
    """The event that has just come, in its callback; None where it is none of ours."""
    state = st.session_state.get(key)
    return parse(state.get("event")) if state is not None else None


def focus(content: Any, of: str) -> None:
    """Shows a part of the walk large, in place of the wall; None for the wall.

    Args:
        content: a dataclass of ``focus``, or None.
        of: the key of the walk.
    """
    _component()(data=pack_focus(content, of), key=f"selection of {of}")


def pack_focus(content: Any, of: str) -> bytes:
    """What ``focus`` shows, as the buffer that ``walk.js`` reads."""
    arrays: list[NDArray[Any]] = []
    header: dict[str, Any] = {"kind": "focus", "of": of, "content": plain(content, arrays)}
    if content is not None:
        header["content"]["kind"] = type(content).__name__
    header["tables"] = tables(["blue-orange", "teal", SIGNED], arrays)
    return buffer(header, arrays)


def parse(payload: Any) -> WalkEvent | None:
    """What the browser reported; None for anything else."""
    if not isinstance(payload, dict) or payload.get("action") not in ACTIONS:
        return None
    scene, name = payload.get("scene"), payload.get("name")
    if not isinstance(scene, str) or not (name is None or _is_name(name)):
        return None
    whole = {key: payload.get(key) for key in ("channel", "row", "column")}
    shares = {key: payload.get(key) for key in ("x", "y")}
    if any(not (one is None or (type(one) is int and one >= 0)) for one in whole.values()):
        return None
    if any(
        not (one is None or (type(one) in (int, float) and 0 <= one <= 1))
        for one in shares.values()
    ):
        return None
    return WalkEvent(scene, payload["action"], name, **whole, **shares)


def _is_name(name: Any) -> bool:
    """Whether it can be a name: a text that is not endless, without halves of characters."""
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in name)


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_walk",
        css=modules.style(*STYLES),
        js=modules.code("walk.js"),
    )
