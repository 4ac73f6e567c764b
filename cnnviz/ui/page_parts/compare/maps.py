"""The maps of the comparison, as the workers give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from cnnviz.attribution import compared
from cnnviz.attribution.methods import METHODS
from cnnviz.results import ComparedAnswer, Comparison, Explanation, Prediction
from cnnviz.serving.model_files import ModelFile
from cnnviz.shipped_models import fingerprint_of
from cnnviz.ui import ask
from cnnviz.ui.loaded_photo import LoadedPhoto
from cnnviz.ui.page_parts.compare.subjects import Subject
from cnnviz.ui.scene import Scene


def comparison(
    subjects: Sequence[Subject], classes: Sequence[str], methods: Sequence[str]
) -> Comparison:
    """The maps of all subjects, classes and methods, side by side."""
    answers, maps = [], []
    for one in subjects:
        explanations = [explained(one.scene, tuple(classes), method) for method in methods]
        answers.append(_answer(one, explanations[0].prediction))
        maps.append([explanation.maps for explanation in explanations])
    return compared.build(answers, methods, maps)


def prediction(subject: Subject) -> Prediction:
    """What a network says of a photo."""
    return subject.scene.explanation().prediction


def explained(scene: Scene, classes: tuple[str, ...], method: str) -> Explanation:
    """The maps of some classes by a method; one that takes many runs shows how far it is."""
    if METHODS[method].passes != "many":
        return scene.explanation(classes, method)
    bar = st.empty()
    bar.progress(0.0, f"{METHODS[method].title} …")

    def progress(done: int, count: int) -> None:
        bar.progress(done / count, f"{METHODS[method].title}: {done:,} of {count:,} runs")

    try:
        return ask.explanation_in_parts(
            scene.model, scene.card, scene.photo, classes, method, progress
        )
    finally:
        bar.empty()


def _answer(subject: Subject, prediction: Prediction) -> ComparedAnswer:
    scene = subject.scene
    return ComparedAnswer(
        subject.network,
        _fingerprint(scene.model),
        scene.photo.name,
        _pixels_sha256(scene.photo.key, scene.photo),
        scene.photo.size,
        scene.preprocessing,
        prediction,
    )


@st.cache_data(show_spinner=False, max_entries=64)
def _fingerprint(model: ModelFile) -> str:
    return fingerprint_of(Path(model.path))


@st.cache_data(show_spinner=False, max_entries=64)
def _pixels_sha256(key: str, _photo: LoadedPhoto) -> str:
    return compared.pixels_sha256(np.asarray(_photo.decode()))
