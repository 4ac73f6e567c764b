"""Class activation map: where in the photo the network finds evidence for a class."""

import streamlit as st

from cnnviz.descriptions import where
from cnnviz.ui import ask, map_parts, parts, shell
from cnnviz.ui.text import plain

scene = shell.enter(
    "Where is the evidence for a class?",
    "The map adds up what the last feature maps say for a class, place by place. "
    "Choose another class to see what in the same photo speaks for that one.",
)
first = ask.explanation(scene.model, scene.photo)
prediction = first.prediction
target, method, layer = map_parts.pick_question(scene, prediction)
cams = map_parts.maps(scene, first, target, method, layer)
cam = cams[0]

signed = map_parts.pick_signed()
st.markdown(plain(where(cam, scene.photo.size, scene.card.preprocessing)))
on_photo, alone = st.columns(2, gap="large")
with on_photo:
    parts.overlay(scene, cam, signed=signed, key="overlay")
with alone:
    map_parts.map_alone(cam)
map_parts.numbers(cam, prediction)
map_parts.side_by_side(cams)
map_parts.downloads(scene, cam, signed)
parts.about(scene)
