"""Class activation map: where in the photo the network finds evidence for a class."""

import streamlit as st

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts import class_activation_map

scene = shell.enter(
    "Where is the evidence for a class?",
    "A map shows, cell by cell, what in the photo speaks for a class and what against it. "
    "Choose another class to see the evidence for that one in the same photo.",
    runs_photo=True,
)
predicted = scene.explanation()
prediction = predicted.prediction
target, method, layer, beside = class_activation_map.pick_question(scene, prediction)
cams = class_activation_map.maps(scene, predicted, target, method, layer)
cam = cams[0]

with beside:
    signed = class_activation_map.pick_signed(cam)
class_activation_map.sentence(scene, cam)
on_photo, alone = st.columns(2, gap="large")
with on_photo:
    parts.overlay(scene, cam, signed=signed, key="overlay")
with alone:
    class_activation_map.map_alone(cam)
class_activation_map.numbers(cam, prediction)
class_activation_map.side_by_side(cams)
class_activation_map.downloads(scene, cam, signed)
parts.about(scene)
