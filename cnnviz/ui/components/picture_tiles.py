"""Small pictures side by side, in groups, of which a person picks one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import streamlit as st

from cnnviz.ui.components import modules


@dataclasses.dataclass(frozen=True)
class Tile:
    """One of them.

    Attributes:
        sources: pictures as data URIs, one below the other.
        title: a few characters below them.
        note: a line below that.
        label: what is on it, for readers of the screen and under the mouse.
        mark: whether it was the right one, or was picked though it was not.
        pixels: whether the pictures have few pixels, which stay sharp.
    """

    sources: tuple[str, ...]
    title: str
    note: str
    label: str
    mark: Literal["", "right", "wrong"] = ""
    pixels: bool = False


@dataclasses.dataclass(frozen=True)
class Group:
    """Tiles with a heading; "" for none."""

    heading: str
    tiles: tuple[Tile, ...]


@dataclasses.dataclass(frozen=True)
class PictureTiles:
    """What is drawn.

    Attributes:
        id: of all that is drawn: a tile that is reported late is known to be of another one.
        groups: from above to below.
        columns: tiles side by side where there is room; on a phone there are three.
        opens: whether tiles can be picked; by number keys, too, if there are at most nine.
        enlarged: whether they are as large as the space allows.
    """

    id: str
    groups: Sequence[Group]
    columns: int
    opens: bool
    enlarged: bool = False


def show(tiles: PictureTiles, key: str, on_pick: Callable[[int], None]) -> None:
    """Draws the tiles.

    Args:
        tiles: what to draw.
        key: its name on the page.
        on_pick: called with the number of a tile that was picked, over all groups, before the
            page runs again.
    """

    def note() -> None:
        index = picked(st.session_state[key].get("event"), tiles)
        if index is not None:
            on_pick(index)

    _component()(data=dataclasses.asdict(tiles), key=key, on_event_change=note)


def picked(payload: Any, tiles: PictureTiles) -> int | None:
    """The number of the tile that the browser reported; None for nothing, or what is none."""
    if not isinstance(payload, dict) or payload.get("id") != tiles.id or not tiles.opens:
        return None
    index = payload.get("index")
    count = sum(len(group.tiles) for group in tiles.groups)
    return index if type(index) is int and 0 <= index < count else None


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_picture_tiles",
        css=modules.style("base.css", "picture_tiles.css"),
        js=modules.code("picture_tiles.js"),
    )
