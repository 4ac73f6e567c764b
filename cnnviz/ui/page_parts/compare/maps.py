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

    A method of many runs is left out until it has been run; a line says how far it is.

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


def judge_next(subjects: Sequence[Subject], found: Comparison) -> None:
    """Asks for what the verdicts still need; a line says how far it is."""
    for cell in found.cells:
        if cell.verdict is None and not cell.note:
            scene = subjects[cell.answer].scene

            def ask(question: SeriesQuestion, scene: Scene = scene) -> Floats | None:
                return _values(long_questions.series(scene, question, "Checking the maps"))

            of_photo = found.answers[cell.answer].prediction
            if verdicts.verdict(cell.cam, of_photo, ask) is None:
                return


def measure_next(subjects: Sequence[Subject], found: Comparison, score: Measure) -> None:
    """Asks for what a score still needs; a line says how far it is."""
    for number, cell in enumerate(found.cells):
        if _has_score(cell, score):
            scene, name = subjects[cell.answer].scene, f"{score.title}, map {number + 1}"
            if long_questions.series(scene, scores.question(cell.cam, score.test), name) is None:
                return


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
    """The verdict on a map, as far as what it needs was found before."""
    if cell.note:
        return None
    scene, of_photo = subjects[cell.answer].scene, found.answers[cell.answer].prediction
    return verdicts.verdict(
        cell.cam, of_photo, lambda question: _values(long_questions.known(scene, question))
    )


def _score(subjects: Sequence[Subject], cell: ComparedCell, score: Measure) -> float | str | None:
    """A map's score if it was found before; None else, and where it has none."""
    if not _has_score(cell, score):
        return None
    question = scores.question(cell.cam, score.test)
    total = long_questions.known(subjects[cell.answer].scene, question)
    if total is None:
        return None
    try:
        value = map_score(score, total.values).value
    except ModelError:
        return "not a number"
    return value if np.isfinite(value) else "not a number"


def _has_score(cell: ComparedCell, score: Measure) -> bool:
    return not cell.note and applies(score.test, cell.cam.method)


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
