"""Filters: the kernels of a convolution, all on one scale, and one on its own."""

import streamlit as st

from cnnviz.ui import parts, shell
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
layer_column, input_column = st.columns([3, 2])
scale_column, colour_column = st.columns(2)
with layer_column:
    layer = filters.pick_layer(scene, convolutions)
weights = scene.filters(layer)
filters.warn_of_damage(weights)
with input_column:
    channel = filters.pick_input(scene, weights)
with scale_column:
    scaling = filters.pick_scaling()
with colour_column:
    colours = parts.pick_colours(diverging=scaling == "symmetric")

grid, detail = st.columns([3, 2], gap="large")
with grid:
    clicked = filters.grid(scene, weights, channel, scaling, colours, key="all filters")
with detail, st.container(key="beside the grid"):
    number = filters.pick_filter(scene, weights, clicked)
    filters.outline(scene, weights, number, "all filters")
    filters.one_filter(scene, weights, number, channel)
filters.downloads(weights)
parts.about(scene)
