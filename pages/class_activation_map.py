"""Class activation map: where in the photo the network finds evidence for a class."""

import streamlit as st

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts import class_terms
from cnnviz.ui.page_parts.class_map import (
    files,
    localization,
    maps,
    picks,
    pictures,
    scores,
    verdict,
)
from cnnviz.ui.page_parts.exemplars import classes

scene = shell.enter(
    "Where is the evidence for a class?",
    "Choose another class to ask the same photo again.",
    runs_photo=True,
)
answer = scene.staged()
prediction = answer.explanation.prediction
target, legend = picks.pick_class(scene, prediction)
over, alone, beside = pictures.places(scene)
with beside:
    said, judged = st.container(), st.container()
    with st.container(key="map choices"):
        choice = picks.pick_map(scene, target)
with alone:
    of_class = maps.class_maps(scene, answer, target, choice)
cam = of_class.get(target)
if cam is None:
    with over:
        pictures.without_map(scene)
else:
    with alone:
        pictures.alone(of_class, target)
    with over:
        pictures.over_photo(scene, of_class, target, choice.signed)
    with said:
        pictures.says(scene, cam)
        maps.detail_note(scene, answer, cam)
    on_map, on_prediction = verdict.places(judged, alone)
    is_judged = verdict.show(on_map, scene, prediction, cam, wait=False)
    is_tried = verdict.steadiness(on_prediction, scene, prediction, cam, wait=False)
    with legend:
        pictures.colours(of_class, target)
    localization.where_exactly(scene, cam)
    scores.show(scene, cam)
st.subheader(f"What makes {picks.quoted(target)}?", anchor=False)
class_terms.show(scene, answer, target, cam)
if cam is not None:
    pictures.side_by_side(scene, of_class)
classes.show(scene, target)
if cam is not None:
    files.downloads(scene, of_class, target, choice.signed)
parts.about(scene)
# Last: what is missing of them takes runs, which must not hold up the page.
if cam is not None and not is_judged:
    verdict.show(on_map, scene, prediction, cam, wait=True)
if cam is not None and not is_tried:
    verdict.steadiness(on_prediction, scene, prediction, cam, wait=True)
