"""The maps of the comparison, as the workers give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.attribution import compared
from cnnviz.attribution.faithfulness import Measure, applies, map_score
from cnnviz.attribution.methods import METHODS
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.errors import ModelError
from cnnviz.results import (
    ClassActivationMap,
    ComparedAnswer,
    ComparedCell,
    Comparison,
    Explanation,
    Prediction,
    SeriesPart,
    Verdict,
)
from cnnviz.serving.model_files import ModelFile
from cnnviz.shipped_models import fingerprint_of
from cnnviz.ui import long_questions, verdicts
from cnnviz.ui.loaded_photo import LoadedPhoto
from cnnviz.ui.page_parts.class_map import scores
from cnnviz.ui.page_parts.compare.subjects import Subject
from cnnviz.ui.scene import Scene


def comparison(
    subjects: Sequence[Subject],
    classes: Sequence[str],
    methods: Sequence[str],
    score: Measure | None,
) -> Comparison | None:
    """The maps of all subjects, classes and methods, with the verdicts and scores so far.

    A method of many runs is left out until it has been run. What is still to be run is asked for,
    and a line says how far it is.

    Returns:
        None while there is no map at all.
    """
    maps = {
        method: of_method
        for method in methods
        if (of_method := _maps(subjects, tuple(classes), method)) is not None
    }
    if not maps:
        return None
    answers = [_answer(one, prediction(one)) for one in subjects]
    found = compared.build(answers, list(maps), list(zip(*maps.values(), strict=True)))
    found = compared.judged(found, [_verdict(subjects, found, cell) for cell in found.cells])
    if score is None:
        return found
    name = f"{score.title}, {score.better} is better"
    return compared.scored(found, name, [_score(subjects, cell, score) for cell in found.cells])


def prediction(subject: Subject) -> Prediction:
    """What a network says of a photo."""
    return subject.scene.explanation().prediction


def _maps(
    subjects: Sequence[Subject], classes: tuple[str, ...], method: str
) -> list[tuple[ClassActivationMap, ...]] | None:
    """The maps of a method, subject by subject; None until all are there."""
    found = []
    for one in subjects:
        if METHODS[method].series is None:
            explained: Explanation | None = one.scene.explanation(classes, method)
        else:
            question = SeriesQuestion(method, classes)
            explained = long_questions.explanation(one.scene, question, METHODS[method].title)
        if explained is None:
            return None
        found.append(explained.maps)
    return found


def _verdict(subjects: Sequence[Subject], found: Comparison, cell: ComparedCell) -> Verdict | None:
    """The verdict on a map; None where it has none, or not yet."""
    if cell.note:
        return None
    scene, of_photo = subjects[cell.answer].scene, found.answers[cell.answer].prediction
    return verdicts.verdict(
        cell.cam, of_photo, lambda question: _values(_series(scene, question, "Checking the maps"))
    )


def _score(subjects: Sequence[Subject], cell: ComparedCell, score: Measure) -> float | str | None:
    """A map's score; None where it has none, or not yet."""
    if cell.note or not applies(score.test, cell.cam.method):
        return None
    scene, question = subjects[cell.answer].scene, scores.question(cell.cam, score.test)
    total = _series(scene, question, f"{score.title}, {METHODS[cell.cam.method].title}")
    if total is None:
        return None
    try:
        value = map_score(score, total.values).value
    except ModelError:
        return "not a number"
    return value if np.isfinite(value) else "not a number"


def _series(scene: Scene, question: SeriesQuestion, name: str) -> SeriesPart | None:
    """The sum over a series if it is there; asks for it if the page waits for nothing else yet."""
    if long_questions.is_waiting():
        return long_questions.known(scene, question)
    return long_questions.series(scene, question, name)


def _values(total: SeriesPart | None) -> Floats | None:
    return None if total is None else total.values


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
