"""Class activation map: where in the photo the network finds evidence for a class."""

import streamlit as st

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts import class_activation_map, class_terms

scene = shell.enter(
    "Where is the evidence for a class?",
    "Orange speaks for the class, blue against it. Choose another class to ask the same photo "
    "again.",
    runs_photo=True,
)
answer = scene.staged()
target, legend = class_activation_map.pick_class(scene, answer.explanation.prediction)
over, alone, beside = class_activation_map.places(scene)
with beside:
    said = st.container()
    method, layer, rival = class_activation_map.pick_method(scene, target)
    class_activation_map.method_note(method)
    signed = class_activation_map.pick_signed()
maps = class_activation_map.class_maps(scene, answer, target, method, layer, rival)
with over:
    class_activation_map.over_photo(scene, maps, target, signed)
with alone:
    class_activation_map.alone(maps, target)
with said:
    class_activation_map.says(scene, maps[target])
with legend:
    class_activation_map.colours(maps, target)

st.subheader(f"What makes {class_activation_map.quoted(target)}?", anchor=False)
class_terms.show(scene, answer, maps[target])
class_activation_map.side_by_side(scene, maps)
class_activation_map.downloads(scene, maps, target, signed)
parts.about(scene)
