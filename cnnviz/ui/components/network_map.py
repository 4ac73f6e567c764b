"""The network map: draws a diagram in the browser, and reports the layer that was clicked."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from cnnviz.ui.components import modules
from cnnviz.ui.components.diagrams import MOST_NAMED, MOST_OPEN, Diagram


def show(
    diagram: Diagram, name: str, selected: str, key: str, on_click: Callable[[str], None]
) -> None:
    """Draws a network.

    Args:
        diagram: of the network.
        name: of the network: a click that is late is known to be of another one.
        selected: the path of the layer that is outlined.
        key: the name of the map on its page.
        on_click: called with the path of a layer that was clicked, before the page runs again.
    """

    def note() -> None:
        path = clicked(st.session_state[key].get("event"), diagram, name)
        if path is not None:
            on_click(path)

    data = {
        "name": name,
        "selected": selected,
        "named": len(diagram.tiles) <= MOST_NAMED,
        "folded": len(diagram.tiles) > MOST_OPEN,
        "families": [dataclasses.asdict(family) for family in diagram.families],
        **dataclasses.asdict(diagram),
    }
    _component()(data=data, key=key, on_event_change=note)


def clicked(payload: Any, diagram: Diagram, name: str) -> str | None:
    """The path that the browser reported; None for nothing, or one of another network."""
    if not isinstance(payload, dict) or payload.get("name") != name:
        return None
    path = payload.get("path")
    paths = {tile.path for tile in diagram.tiles} | {one.path for one in diagram.sections}
    return path if isinstance(path, str) and path and path in paths else None


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_network_map",
        css=modules.style("base.css", "network_map.css"),
        js=modules.code("network_map.js"),
    )
