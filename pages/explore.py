"""Explore: what the network sees in a photo, and where."""

import streamlit as st

from cnnviz.attribution.descriptions import describe
from cnnviz.figures.bars import confidence_bars
from cnnviz.figures.frame import BAR_SPACE
from cnnviz.figures.photos import photo_figure
from cnnviz.ui import ask, parts, shell
from cnnviz.ui.text import plain

scene = shell.enter(
    "What does the network see?",
    "Drop a photo into the sidebar (:material/keyboard_double_arrow_right: opens it). "
    "The network names it, and the second picture shows where in the photo it found the evidence.",
)
sentence = st.container()
left, right = st.columns(2, gap="large")
with left:
    # The photo is there at once, however long the network takes to load.
    photo = photo_figure(scene.photo.shown, title="The photo")
    # The picture beside it stands below a colour bar.
    parts.chart(photo, "photo", above_in_columns=BAR_SPACE)
with sentence:
    preprocessing = scene.card.preprocessing
    explanation = ask.explanation(scene.model, scene.photo)
    text = describe(explanation, scene.photo.size, preprocessing)
    st.subheader(plain(text), anchor=False)
cam = explanation.maps[0]
with right:
    parts.overlay(scene, cam, key="overlay")
# A row of its own: in a narrow window the map comes right after the photo.
below, _ = st.columns(2, gap="large")
with below:
    scores = [(score.label, score.probability) for score in explanation.prediction.top(5)]
    parts.chart(confidence_bars(scores, highlight=cam.target), "scores")
parts.about(scene)
