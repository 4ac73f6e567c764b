"""Compare: the maps of several methods and classes, of two photos, networks or epochs."""

import streamlit as st

from cnnviz.ui import long_questions, parts, shell
from cnnviz.ui.page_parts.compare import board, files, maps, picks, subjects

scene = shell.enter(
    "How do the maps differ?",
    "Point at a place to see its value in every map; click a map to open it.",
    runs_photo=True,
)
with st.container(horizontal=True, vertical_alignment="center", key="comparison choices"):
    compared = subjects.pick(scene)
    prediction = maps.prediction(compared[0])
    classes = picks.pick_classes(compared, prediction)
    methods, score = picks.pick_methods(compared)
if not (classes and methods):
    st.info("Choose at least one class and one method.")
    parts.about(scene)
    st.stop()
maps_place = st.container()
# What takes long is asked for here, and its progress is below the maps.
found = maps.comparison(compared, classes, methods, score)
if found is not None:
    with maps_place:
        board.show(found, compared, stopped=long_questions.is_stopped())
    board.notes()
    files.downloads(found, compared)
parts.about(scene)
