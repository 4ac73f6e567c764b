"""The viewer: draws tiles in the browser, and returns what was clicked.

``viewer.js`` paints a scene; values under the mouse, outlines and zoom need no answer of the
server. A click, Enter, or one of the scene's keys comes back as one ``Event``, in the run that it
starts.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import streamlit as st

from cnnviz.colours import on_page
from cnnviz.ui.components import modules
from cnnviz.ui.components.scenes import TILES, Scene, buffer, pack

STYLES = ("base.css", "viewer.css")


@dataclass(frozen=True)
class Event:
    """What a person did.

    Attributes:
        scene: the ``id`` of the scene that was on the screen.
        item: the name of the tiles that were opened; None for a key.
        index: the tile that was opened.
        row: of the cell that was clicked; None for the keyboard.
        column: of that cell.
        key: one of the scene's keys; None for a click.
    """

    scene: str
    item: str | None = None
    index: int | None = None
    row: int | None = None
    column: int | None = None
    key: str | None = None


def show(scene: Scene, key: str) -> Event | None:
    """Draws a scene and returns what was done with it, in the run after that alone.

    Args:
        scene: what to draw. With the same key the browser keeps its elements, and repaints.
        key: the name of the viewer on its page.
    """
    return show_packed(pack(scene, key), scene.id, key)


def show_packed(packed: bytes, scene: str, key: str) -> Event | None:
    """As ``show``, of a scene that was packed before, with its ``id``."""
    result = _component()(data=packed, key=key, on_event_change=_nothing)
    return parse_event(result.event, scene)


def opened(event: Event | None, count: int) -> int | None:
    """The tile that was opened in a grid of that many tiles; None for nothing or another one."""
    if event is None or event.index is None or event.index >= count:
        return None
    return event.index


def select(key: str, scene: str, index: int, item: str = TILES) -> None:
    """Outlines a tile; in a message of its own, so that the scene is not sent again.

    Args:
        key: of the viewer.
        scene: the ``id`` of its scene.
        index: the tile; −1 for none.
        item: the name of the tiles; those of a ``grid`` if left out.
    """
    header = {"kind": "selection", "of": key, "scene": scene, "item": item, "index": index}
    _component()(data=buffer(header | {"arrays": []}, []), key=f"selection of {key}")


def page_colours(name: str) -> str:
    """The name of a scale's table for the theme of the page, for figures that cannot see it."""
    return on_page(name, dark=st.context.theme.type == "dark")


def parse_event(payload: Any, scene: str) -> Event | None:
    """What the browser reported; None if it reported nothing, or something of another scene."""
    if not isinstance(payload, dict) or payload.get("scene") != scene:
        return None
    texts = {name: payload.get(name) for name in ("item", "key")}
    numbers = {name: payload.get(name) for name in ("index", "row", "column")}
    sound = all(text is None or isinstance(text, str) for text in texts.values()) and all(
        number is None or (type(number) is int and number >= 0) for number in numbers.values()
    )
    return Event(scene, **texts, **numbers) if sound else None


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_viewer",
        css=modules.style(*STYLES),
        js=modules.code("viewer.js"),
    )


def _nothing() -> None:
    """Has Streamlit give back an event: it does so for those with a function alone."""
