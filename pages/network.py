"""Network: the layers as a table and as a picture of how the maps shrink and multiply."""

import streamlit as st

from cnnviz.figures.stages import architecture
from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts import network
from cnnviz.ui.text import plain

scene = shell.enter(
    "How is the network built?",
    "From left to right the maps shrink and multiply: each layer sees a larger part of the "
    "photo, and looks for more kinds of things in it.",
)
layers = scene.outline.layers
facts = st.columns(4)
facts[0].metric("Layers", len([layer for layer in layers if not layer.nested]))
facts[1].metric("Parameters", f"{scene.outline.parameters:,}")
facts[2].metric("Input", network.input_text(scene.outline))
facts[3].metric("Classes", f"{len(scene.card.labels):,}")

shown = network.pick_opened(scene)
clicked = parts.clicked(architecture(network.stages(shown)), "architecture")
chosen = network.pick_layer(scene, shown, clicked)
if chosen is None:
    st.caption("Click on a layer, in the picture or in the table, to look inside it.")
else:
    st.subheader(plain(chosen.path), anchor=False)
    network.links(scene, chosen)
parts.about(scene)
