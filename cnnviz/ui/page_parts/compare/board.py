"""The comparison as it is drawn, and the page of a map that is clicked."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.evidence import why_empty
from cnnviz.figures.comparison import scale_ends, score_lines
from cnnviz.geometry import seen_region
from cnnviz.numerals import percent
from cnnviz.results import ClassActivationMap, ComparedAnswer, ComparedCell, Comparison
from cnnviz.ui import shell
from cnnviz.ui.components import comparison as component
from cnnviz.ui.components.comparison import Board, Column, MapCell, Row, ShownPhoto
from cnnviz.ui.loaded_photo import LoadedPhoto
from cnnviz.ui.page_parts.class_map import picks
from cnnviz.ui.page_parts.compare.subjects import CLASS_MAP, Subject

# A photo whose pixels are to be seen, such as a digit.
_TINY = 100
# What a row of a comparison is named after, beside its class, where it differs.
_NAMES = ("network", "photo")


def show(found: Comparison, subjects: Sequence[Subject], *, stopped: bool) -> None:
    """Draws the comparison; a click on a map turns to its page.

    Args:
        found: the comparison.
        subjects: networks and photos.
        stopped: whether the person has stopped what is still to be run.
    """
    board = build(found, [one.scene.photo for one in subjects], stopped=stopped)
    clicked = component.show(board, "comparison")
    if clicked is None:
        return
    row, column = clicked
    cell = found.rows[row][column]
    subject, prediction = subjects[cell.answer], found.answers[cell.answer].prediction
    subject.choose()
    if subject.page == CLASS_MAP:
        cam = cell.cam
        picks.put(subject.scene, prediction, cam.target, cam.method, cam.layer)
    st.switch_page(shell.page_path(subject.page))


def notes() -> None:
    """What the scales and the scores mean."""
    st.caption(
        "Orange is above zero, blue below: where a map is evidence, for the class and against it. "
        "Each method has a scale of its own, since methods measure different things; along it all "
        "maps of the method can be compared. Where the cells of a map add up to the score, more "
        "cells have smaller values: a network with more of them then has a scale of its own, too. "
        "Rank correlation, with the map of the first method, or across networks with that of the "
        "first one: whether both rank the places alike. 1 is the same order, 0 none, −1 the "
        "opposite one. It does not say which map is right. The verdict asks the network: parts of "
        "the photo are covered, and a map holds if its class then loses clearly more where the map "
        "is bright. The page of the map says more, and what this cannot tell."
    )


def build(found: Comparison, photos: Sequence[LoadedPhoto], *, stopped: bool) -> Board:
    """What is drawn of a comparison.

    Args:
        found: the comparison.
        photos: of each of its answers.
        stopped: as for ``show``.
    """
    columns = [
        Column(method.title, method.unit, _ends(found.limits(number)))
        for number, method in enumerate(found.methods)
    ]
    return Board(
        id=" ".join(
            [
                *(f"{one.network} {one.fingerprint}" for one in found.answers),
                *(one.seen_key for one in photos),
                *found.classes,
                *(one.key for one in found.methods),
            ]
        ),
        photos=[_photo(photo) for photo in photos],
        columns=columns,
        rows=[_row(found, cells[0]) for cells in found.rows],
        cells=[
            [_cell(found, number, cell, stopped) for number, cell in enumerate(cells)]
            for cells in found.rows
        ],
    )


def _ends(limits: Sequence[float]) -> tuple[str, str]:
    return scale_ends(limits) if limits else ("", "")


def _photo(photo: LoadedPhoto) -> ShownPhoto:
    file = base64.b64decode(photo.shown.source.partition(",")[2])
    return ShownPhoto(file, photo.size, max(photo.size) < _TINY)


def _row(found: Comparison, cell: ComparedCell) -> Row:
    answer, target = found.answers[cell.answer], cell.cam.target
    prediction = answer.prediction
    probability = float(prediction.probabilities[prediction.labels.index(target)])
    names = _names(found, answer)
    return Row(target, percent(probability), names, cell.answer, _seen(answer))


def _names(found: Comparison, answer: ComparedAnswer) -> list[str]:
    """Which network and which photo, where there are several."""
    names = {name: {getattr(one, name) for one in found.answers} for name in _NAMES}
    return [getattr(answer, name) for name, different in names.items() if len(different) > 1]


def _seen(answer: ComparedAnswer) -> tuple[float, float, float, float]:
    """The part of the photo that the network saw, in shares of its width and height."""
    height, width = answer.size
    seen = seen_region(height, width, answer.preprocessing)
    return seen.left / width, seen.top / height, seen.width / width, seen.height / height


def _cell(found: Comparison, number: int, cell: ComparedCell, stopped: bool) -> MapCell:
    lines = score_lines(cell, several=len(found.limits(number)) > 1)
    if cell.verdict is None and not cell.note:
        # Its place, so that nothing moves when it comes.
        lines.insert(0, "Verdict: stopped" if stopped else "Verdict: …")
    of = ", ".join([cell.cam.target, *_names(found, found.answers[cell.answer])])
    said = cell.note or ". ".join(lines)
    label = f"{found.methods[number].title} for {of}: {said}"
    return MapCell(_drawn(cell.cam), cell.limit or 1.0, lines, label)


def _drawn(cam: ClassActivationMap) -> Floats:
    """The values of a map, as they are drawn: noise is not to look like evidence."""
    return np.zeros_like(cam.values) if why_empty(cam) else cam.values
