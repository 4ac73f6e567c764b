"""Class activation map: where in the photo the network finds evidence for a class."""

import streamlit as st

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts import class_terms
from cnnviz.ui.page_parts.class_map import files, maps, picks, pictures, verdict

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
    picks.method_note(method)
    signed = picks.pick_signed()
of_class = maps.class_maps(scene, answer, target, method, layer, rival)
with over:
    pictures.over_photo(scene, of_class, target, signed)
with alone:
    pictures.alone(of_class, target)
with said:
    pictures.says(scene, of_class[target])
with legend:
    pictures.colours(of_class, target)

st.subheader(f"What makes {picks.quoted(target)}?", anchor=False)
class_terms.show(scene, answer, of_class[target])
pictures.side_by_side(scene, of_class)
files.downloads(scene, of_class, target, signed)
parts.about(scene)
# Last: their runs must not hold up the page.
with judged:
    verdict.show(scene, of_class, target)
with alone:
    verdict.steadiness(scene, of_class, target)
