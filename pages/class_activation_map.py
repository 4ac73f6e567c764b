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

scene = shell.enter(
    "Where is the evidence for a class?",
    "Orange speaks for the class, blue against it. Choose another class to ask the same photo "
    "again.",
    runs_photo=True,
)
answer = scene.staged()
target, legend = picks.pick_class(scene, answer.explanation.prediction)
over, alone, beside = pictures.places(scene)
with beside:
    said = st.container()
    judged = st.container()
    method, layer, rival = picks.pick_method(scene, target)
    runs = picks.pick_runs(scene, method)
    picks.method_note(method)
    detail = picks.pick_detail(scene, method)
    signed = picks.pick_signed()
with alone:
    of_class = maps.class_maps(scene, answer, target, method, layer, rival, runs, detail)
    if of_class:
        pictures.alone(of_class, target)
with over:
    if of_class:
        pictures.over_photo(scene, of_class, target, signed)
    else:
        pictures.without_map(scene)
if of_class:
    with said:
        pictures.says(scene, of_class[target])
        maps.detail_note(scene, answer, of_class[target])
    with legend:
        pictures.colours(of_class, target)

if of_class:
    localization.where_exactly(scene, of_class[target])
believed = st.container()
st.subheader(f"What makes {picks.quoted(target)}?", anchor=False)
class_terms.show(scene, answer, target, of_class.get(target))
if of_class:
    pictures.side_by_side(scene, of_class)
    files.downloads(scene, of_class, target, signed)
parts.about(scene)
# Last: their runs must not hold up the page.
if of_class:
    with judged:
        verdict.show(scene, of_class, target)
    with alone:
        verdict.steadiness(scene, of_class, target)
    with believed:
        scores.show(scene, of_class[target])
