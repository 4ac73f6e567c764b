"""Filters: the kernels of a convolution, all on one scale, and one on its own."""

import streamlit as st

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts import filters, one_filter
from cnnviz.ui.page_parts.exemplars import channels

scene = shell.enter(
    "What does a layer look for?",
    "Each small picture is one filter: the weights that a convolution slides over its input. "
    "Click on one to see its numbers.",
)
convolutions = [layer for layer in scene.outline.layers if layer.kernel_shape]
if not convolutions:
    st.info("This network has no convolution, so there are no filters to show.")
    st.stop()
layer_place, input_place, filter_place, more = filters.places_of_choices()
with layer_place:
    layer = filters.pick_layer(scene, convolutions)
weights = scene.filters(layer)
filters.warn_of_damage(weights)
with input_place:
    channel = filters.pick_input(scene, weights)
with more:
    scaling, colours = filters.pick_look(in_colour=filters.is_in_colour(scene, weights, channel))

grid, detail, beside = st.columns([5, 4, 4], gap="medium")
with grid:
    clicked = filters.grid(scene, weights, channel, scaling, colours, key="all filters")
    filters.explain(scene, weights, channel, scaling)
with filter_place:
    number = filters.pick_filter(scene, weights, clicked)
filters.outline(scene, weights, number, "all filters")
with detail, st.container(key="beside the grid"):
    one_filter.draw(scene, weights, number, channel, scaling)
    one_filter.statistics(scene, weights, number, channel)
with beside:
    channels.show(scene, channels.finished_layer(scene, layer), number)
one_filter.downloads(weights)
parts.about(scene)
