"""Maps side by side, over their photos: the mouse over one place marks it in all of them.

``comparison.js`` draws them; what the pointer does needs no answer of the server. A click on a map
comes back as one event, in the run that it starts.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.ui.components import modules
from cnnviz.ui.components.scenes import Rectangle, buffer, plain, tables

STYLES = ("base.css", "comparison.css")


@dataclass(frozen=True)
class Column:
    """A method: its name, its unit, and the texts at the ends of its colours; empty for none."""

    title: str
    unit: str
    ends: tuple[str, str]


@dataclass(frozen=True)
class ShownPhoto:
    """A photo: the bytes of a JPEG or PNG file, its (H, W), and whether its pixels are seen."""

    pixels: bytes
    size: tuple[int, int]
    pixelated: bool


@dataclass(frozen=True)
class Row:
    """A class of a network and a photo.

    Attributes:
        title: the class.
        share: its probability.
        lines: which network and which photo, as far as they differ.
        photo: the number of the photo.
        seen: the part of it that the network saw, in shares of its width and height.
    """

    title: str
    share: str
    lines: Sequence[str]
    photo: int
    seen: Rectangle


@dataclass(frozen=True)
class MapCell:
    """A map.

    Attributes:
        values: (h, w), as they are drawn.
        limit: the absolute value that is drawn solid.
        lines: what is said about it.
        label: for readers of the screen.
    """

    values: Floats
    limit: float
    lines: Sequence[str]
    label: str


@dataclass(frozen=True)
class Board:
    """What is drawn: methods in one direction, classes of networks and photos in the other.

    Attributes:
        id: events name it: one that is late is known to be of another board.
        photos: the photos of the rows.
        columns: the methods.
        rows: the classes.
        cells: a map for each row and column.
    """

    id: str
    photos: Sequence[ShownPhoto]
    columns: Sequence[Column]
    rows: Sequence[Row]
    cells: Sequence[Sequence[MapCell]]


def show(board: Board, key: str) -> tuple[int, int] | None:
    """Draws maps, and returns the row and column of one that was clicked, in the run after that.

    Args:
        board: what to draw.
        key: the name of the component on its page.
    """
    result = _component()(data=pack(board), key=key, on_event_change=_nothing)
    return parse(result.event, board)


def pack(board: Board) -> bytes:
    """Maps as the buffer that ``comparison.js`` reads."""
    arrays: list[NDArray[Any]] = []
    header = {"kind": "comparison", "tables": tables(["blue-orange"], arrays)}
    return buffer(header | plain(board, arrays), arrays)


def parse(payload: Any, board: Board) -> tuple[int, int] | None:
    """The row and the column that the browser reported; None for anything else."""
    match payload:
        case {"id": board.id, "row": int(row), "column": int(column)}:
            if 0 <= row < len(board.rows) and 0 <= column < len(board.columns):
                return row, column
    return None


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_comparison", css=modules.style(*STYLES), js=modules.code("comparison.js")
    )


def _nothing() -> None:
    """Has Streamlit give back an event: it does so for those with a function alone."""
