"""Activations: the choices, and the columns with grids, one channel and what excites it."""

from __future__ import annotations

import streamlit as st

from cnnviz.results import LayerInfo
from cnnviz.ui import shell
from cnnviz.ui.page_parts import activations, channel_grids, one_channel
from cnnviz.ui.page_parts.exemplars import channels
from cnnviz.ui.scene import Scene


@shell.part
def draw(scene: Scene, spatial: list[LayerInfo]) -> None:
    """Draws all of the page that a choice on it changes.

    Args:
        scene: model and photo.
        spatial: the layers that have maps, one at least.
    """
    layers_place, shown_place, channel_place, more = activations.places_of_choices()
    with layers_place:
        layers = activations.pick_layers(scene, spatial)
    with shown_place:
        whole = activations.pick_whole(scene, layers)
    with more:
        look = activations.pick_look()

    grids, detail, beside = st.columns([5, 4, 4], gap="medium")
    with grids:
        shown = channel_grids.draw_grids(scene, layers, whole, look)
    opened = activations.pick_opened(scene, shown, whole)
    with channel_place:
        channel = activations.pick_channel(scene, opened)
    activations.outline(shown, opened, channel)
    with grids:
        activations.name_dead(opened)
    with detail, st.container(key="beside the grid"):
        one_channel.draw(scene, opened, channel, look)
    with beside:
        channels.show(scene, opened.layer.path, channel)
    below, _ = st.columns([2, 1])
    with below:
        one_channel.filter_of(scene, opened.layer, channel)
