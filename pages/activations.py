"""Activations: how the channels of a few layers respond to the photo, side by side."""

import streamlit as st

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts import activation_columns

scene = shell.enter(
    "What does each layer answer?",
    "Each small picture shows where in the photo one filter answers, and how strongly. Click on "
    "one to look closer.",
    runs_photo=True,
)
spatial = [layer for layer in scene.outline.layers if layer.spatial and not layer.nested]
if not spatial:
    st.info("This network has no layer with maps, so there are no activations to draw.")
    st.stop()
activation_columns.draw(scene, spatial)
parts.about(scene)
