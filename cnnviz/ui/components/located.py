"""A photo with boxes and contours, on which a person drags a box of their own."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from cnnviz.figures.photos import Picture
from cnnviz.results import Box, Point
from cnnviz.ui.components import modules

_SIDES = ("left", "top", "right", "bottom")


@dataclasses.dataclass(frozen=True)
class Located:
    """What is on the photo, in its pixels.

    Attributes:
        id: of the photo: a box that is reported late is known to be of another one.
        photo: the photo.
        label: what is on it, for readers of the screen.
        boxes: that were found; the first one is bold.
        rings: contours.
        own: the person's box.
    """

    id: str
    photo: Picture
    label: str
    boxes: Sequence[Box]
    rings: Sequence[Sequence[Point]]
    own: Box | None


def show(located: Located, key: str, on_draw: Callable[[Box], None]) -> None:
    """Draws the photo.

    Args:
        located: what to draw.
        key: its name on the page.
        on_draw: called with a box that the person has drawn, before the page runs again.
    """

    def note() -> None:
        box = drawn(st.session_state[key].get("event"), located)
        if box is not None:
            on_draw(box)

    _component()(data=dataclasses.asdict(located), key=key, on_event_change=note)


def drawn(payload: Any, located: Located) -> Box | None:
    """The box that the browser reported; None for nothing, or what is no box of the photo."""
    if not isinstance(payload, dict) or payload.get("id") != located.id:
        return None
    sides = [side for name in _SIDES if type(side := payload.get(name)) is int]
    if len(sides) != len(_SIDES):
        return None
    return box_in_photo(sides, located.photo.height, located.photo.width)


def box_in_photo(sides: Sequence[int], height: int, width: int) -> Box | None:
    """A box with these sides: left, top, right, bottom; None if it is none, or not in the photo."""
    left, top, right, bottom = sides
    if 0 <= left < right <= width and 0 <= top < bottom <= height:
        return Box(left, top, right, bottom)
    return None


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_located",
        css=modules.style("base.css", "located.css"),
        js=modules.code("located.js"),
    )
