"""The maps of the page on class activation maps."""

from __future__ import annotations

import dataclasses

import streamlit as st

from cnnviz.attribution.descriptions import at_twice_the_size
from cnnviz.attribution.details import CELLS, DETAILS, DOUBLE, FUSED
from cnnviz.attribution.methods import METHODS
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.errors import TargetError
from cnnviz.results import ClassActivationMap, Explanation
from cnnviz.traces import StagedExplanation
from cnnviz.ui import long_questions
from cnnviz.ui.page_parts.class_map.picks import MapChoice
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain


def class_maps(
    scene: Scene, answer: StagedExplanation, target: str, choice: MapChoice
) -> dict[str, ClassActivationMap]:
    """The maps of the most probable classes, and of the chosen one, by class.

    A method of many runs has that of the chosen class alone, unless the others cost nothing. While
    they run there is none: a line says how far it is. Where the network cannot have them as fine as
    is chosen, the page says why, and they have the layer's own cells.

    Args:
        scene: model and photo.
        answer: what the network says; its maps are not computed again.
        target: the chosen class.
        choice: the chosen map.
    """
    try:
        return _class_maps(scene, answer, target, choice)
    except TargetError as error:
        if choice.detail == CELLS:
            raise
        st.info(plain(str(error)))
        return _class_maps(scene, answer, target, dataclasses.replace(choice, detail=CELLS))


def _class_maps(
    scene: Scene, answer: StagedExplanation, target: str, choice: MapChoice
) -> dict[str, ClassActivationMap]:
    method, against, detail = choice.method, choice.against, choice.detail
    # Fused maps take several layers.
    layer = None if detail == FUSED else choice.layer
    series = METHODS[method].series
    first = answer.explanation.maps[0]
    likely = tuple(cam.target for cam in answer.explanation.maps if cam.target != against)
    missing = () if target in likely else (target,)
    if series is not None:
        targets = likely if series.all_classes and not missing else (target,)
        question = SeriesQuestion(method, targets, layer, against, choice.runs)
        explained = long_questions.explanation(scene, question)
        return {} if explained is None else {cam.target: cam for cam in explained.maps}
    usual = against is None and detail == CELLS
    if usual and first.method == method and layer in {None, first.layer}:
        found = answer.explanation.maps
        if missing:
            found += scene.staged(missing).explanation.maps
    else:
        found = ()
        for targets in filter(None, (likely, missing)):
            explained = _explained(scene, targets, method, layer, against, detail)
            if explained is None:
                return {}
            found += explained.maps
    return {cam.target: cam for cam in found}


def _explained(
    scene: Scene,
    targets: tuple[str, ...],
    method: str,
    layer: str | None,
    against: str | None,
    detail: str,
) -> Explanation | None:
    if DETAILS[detail].shifts == 1:
        return scene.explanation(targets, method, layer, against, detail)
    question = SeriesQuestion(detail, targets, layer, against, method=method)
    return long_questions.explanation(scene, question, wait=long_questions.SHORT)


def detail_note(scene: Scene, answer: StagedExplanation, cam: ClassActivationMap) -> None:
    """What the network says to the photo at twice the size, where a map is of that."""
    if cam.detail != DOUBLE:
        return
    # The question that was asked for the map: the answer is kept.
    layer = cam.layer if METHODS[cam.method].needs == "layer" else None
    twice = scene.explanation((cam.target,), cam.method, layer, cam.against, cam.detail)
    st.markdown(plain(at_twice_the_size(cam, answer.explanation.prediction, twice.prediction)))
