"""Activations: the response of each channel of a layer to the photo."""

import streamlit as st

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts import activations

scene = shell.enter(
    "What does each layer answer?",
    "Each small picture is one channel's map of the photo: the stronger its colour, the "
    "stronger that filter answered there. The most activated are first. Click on one to look "
    "closer.",
    runs_photo=True,
)
spatial = [layer for layer in scene.outline.layers if layer.spatial and not layer.nested]
if not spatial:
    st.info("This network has no layer with maps, so there are no activations to draw.")
    st.stop()
layers = activations.pick_layers(scene, spatial)
look = activations.pick_look()
# All grids first: a person who adds a layer waits for its grid.
draw_channels = [
    activations.draw_grid(scene, layer, look, position) for position, layer in enumerate(layers)
]
for draw_channel in draw_channels:
    draw_channel()
parts.about(scene)
