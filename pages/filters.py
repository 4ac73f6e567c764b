"""Filters: the kernels of a convolution, all on one scale, and one on its own."""

import streamlit as st

from cnnviz.ui import ask, parts, shell
from cnnviz.ui.page_parts import filters

scene = shell.enter(
    "What does a layer look for?",
    "Each small picture is one filter: the weights that a convolution slides over its input. "
    "Click on one to see its numbers.",
)
convolutions = [layer for layer in scene.outline.layers if layer.kernel_shape]
if not convolutions:
    st.info("This network has no convolution, so there are no filters to show.")
    st.stop()
scope = f"filters of {scene.model.name}"
controls = st.columns([3, 2, 2, 2])
with controls[0]:
    paths = [layer.path for layer in convolutions]
    suggested = scene.card.suggested_layers.filters
    first = suggested if suggested in paths else None
    layer = parts.pick_layer("Layer", convolutions, first, scope)
found = ask.filters(scene.model, layer)
filters.tell_damage(found)
with controls[1]:
    names = filters.input_names(scene, found)
    channel = filters.pick_input(names, f"{scope} {layer}")
with controls[2]:
    scaling = filters.pick_scaling()
with controls[3]:
    colours = parts.pick_colours(diverging=scaling == "symmetric")

grid, detail = st.columns([3, 2], gap="large")
with grid:
    figure = filters.grid(found, channel, scaling, colours)
    clicked = parts.clicked(figure, f"filters:{layer}")
with detail:
    number = filters.pick_filter(found, clicked, f"{scope} {layer}")
    filters.one_filter(found, number, channel, names[channel])
filters.downloads(found)
parts.about(scene)
