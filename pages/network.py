"""Network: the layers as a table and as a picture of how the maps shrink and multiply."""

import streamlit as st

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts import network

scene = shell.enter(
    "How is the network built?",
    "From left to right the maps shrink and multiply: each layer sees a larger part of the "
    "photo, and looks for more kinds of things in it.",
)
network.facts(scene)
layers = network.pick_opened(scene)
clicked = parts.clicked(network.picture(layers), "architecture")
layer = network.pick_layer(scene, layers, clicked)
if layer is None:
    st.caption("Click on a layer, in the picture or in the table, to look inside it.")
else:
    network.links(scene, layer)
parts.about(scene)
