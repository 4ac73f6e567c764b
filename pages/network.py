"""Network: the layers as a map, one of them closer, and all of them as a table."""

import streamlit as st

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts import network

scene = shell.enter(
    "How is the network built?",
    "From top to bottom the maps shrink and multiply. Click on a layer to look inside it.",
)
network.facts(scene)
left, right = st.columns([3, 2], gap="large")
with right:
    beside = st.container(key="beside the map")
with beside:
    path = network.pick_layer(scene)
with left:
    network.picture(scene, path)
with beside:
    network.card(scene, path)
with st.container(key="all layers"):
    network.table(scene)
parts.about(scene)
