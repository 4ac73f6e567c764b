"""Explore: what the network sees in a photo, and where."""

import streamlit as st

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts import explore

scene = shell.enter(
    "What does the network see?",
    "Drop a photo into the sidebar (the name of the network opens it). "
    "The network names it, and the second picture shows where in the photo it found the evidence.",
    runs_photo=True,
)
sentence = explore.place_of_sentence()
left, right = st.columns(2, gap="large")
with left:
    # The photo is drawn before the network is loaded, which takes seconds.
    explore.photo(scene)
with sentence:
    explanation = scene.explanation()
    explore.sentence(scene, explanation)
with right:
    parts.overlay(scene, explanation.maps[0], key="overlay")
explore.scores(explanation)
parts.about(scene)
