"""The sentences of the walk: what each step shows, from the network's structure alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.attribution.descriptions import mirrored
from cnnviz.attribution.methods import METHODS
from cnnviz.cards import Preprocessing
from cnnviz.numerals import written
from cnnviz.results import ClassActivationMap
from cnnviz.traces import CellFields, StagedExplanation, StageMaps
from cnnviz.ui.components.walk import Text


def start(stages: Sequence[StageMaps]) -> Text:
    """The sentence before the first step."""
    grows = len(stages) > 1 and _cells(stages[-1]) < _cells(stages[0])
    grows = grows and stages[-1].channels > stages[0].channels
    what = ": smaller maps, and more of them." if grows else "."
    return [(f"Let the photo flow through, layer by layer{what}", "")]


def seen(steps: Preprocessing, *, whole: bool, borders: bool) -> Text:
    """Which part of the photo the network saw, and in how many pixels."""
    size = f", as {steps.height} × {steps.width}."
    if borders:
        return [("The network saw all of it, with black borders", ""), (size, "")]
    if whole:
        return [("The network saw all of it", ""), (size, "")]
    shape = "square" if steps.height == steps.width else "rectangle"
    return [("The network saw the ", ""), (shape, "strong"), (size, "")]


def stage(stages: Sequence[StageMaps], number: int) -> Text:
    """What a stage is beside the one before it, and how much of the photo a cell of it sees."""
    one = stages[number]
    height, width = one.maps.shape[:2]
    maps = f"{one.channels:,} map{'s' * (one.channels > 1)} of {height} × {width} cells"
    if number == 0:
        begin = f"The first filters turn the photo into {maps}."
    elif stages[number - 1].maps.shape[:2] == (height, width):
        begin = f"Deeper, at the same size: {maps}."
    elif _cells(one) >= _cells(stages[number - 1]):
        begin = f"Maps of another size: {maps}."
    elif one.channels > stages[number - 1].channels:
        begin = f"Smaller maps, and more of them: {maps}."
    else:
        begin = f"Smaller maps: {maps}."
    return [(f"{begin} {_field(one.fields)}".strip(), "")]


def _cells(stage: StageMaps) -> int:
    height, width = stage.maps.shape[:2]
    return height * width


def _field(fields: CellFields | None) -> str:
    if fields is None:
        return ""
    height, width = fields.size
    if height >= fields.input[0] and width >= fields.input[1]:
        return "By now a cell can see all that the network saw."
    return f"A cell sees {height} × {width} pixels."


def units(staged: StagedExplanation, number: int) -> Text:
    """What a dense layer between the maps and the classes does."""
    count = len(staged.units[number].values)
    if number or not staged.stages:
        return [(f"Each of {count:,} units weighs all the units before it.", "")]
    last = staged.stages[-1]
    height, width = last.maps.shape[:2]
    numbers = height * width * last.channels
    return [
        (
            f"Each of {count:,} units weighs all {numbers:,} numbers of the {height} × {width} "
            "maps. From here on, nothing has a place in the photo.",
            "",
        )
    ]


def last(staged: StagedExplanation, cam: ClassActivationMap) -> Text:
    """How the score of a class comes about."""
    if staged.listed is None:
        return [(f"The map at the right: {METHODS[cam.method].summary}", "")]
    if staged.listed.maps is None:
        what, end = "units", " Added up, they are its score."
    else:
        what, end = "last maps", " Added up, they are the map at the right."
    count = staged.listed.count
    each = f"Each of the {count:,} {what}" if count > 1 else f"The one {what[:-1]}"
    return [
        (f"{each} speaks ", ""),
        ("for", "for"),
        (" or ", ""),
        ("against", "against"),
        (f" {cam.target}, as much as its weight says.{end}", ""),
    ]


def evidence(cam: ClassActivationMap) -> Text:
    """What the map of a class is, and how its cells make up the score."""
    method = METHODS[cam.method]
    name: Text = [("Evidence for ", ""), (cam.target, "strong"), (", cell by cell. ", "")]
    total = float(np.asarray(cam.values, np.float64).sum())
    if cam.aggregate == "mean":
        total /= cam.values.size
    if cam.bias is None or not cam.logit or abs(total + cam.bias - cam.score) > 0.01:
        return [*name, (f"{method.title} at {cam.layer.rpartition('/')[2]}.", "")]
    kind = "mean" if cam.aggregate == "mean" else "sum"
    return [
        *name,
        (f"Its {kind} plus the bias is the logit, ", ""),
        (written(cam.score, ".2f"), "strong"),
        (".", ""),
    ]


def compare(maps: Sequence[ClassActivationMap]) -> Text:
    """What two maps side by side show."""
    if mirrored(maps):
        end = "; with two classes, what speaks for one speaks exactly as much against the other."
    elif len(maps) == 2 and _opposed(*maps):
        end = f"; what speaks for {maps[0].target} mostly speaks against {maps[1].target}."
    else:
        end = "."
    return [
        ("Two answers, one photo. ", ""),
        ("Orange", "for"),
        (" speaks for the class, ", ""),
        ("blue", "against"),
        (f" against it{end}", ""),
    ]


def _opposed(one: ClassActivationMap, other: ClassActivationMap) -> bool:
    """Whether most of the evidence for one class is where the other has evidence against it."""
    speaks_for = np.maximum(one.values, 0)
    return bool(speaks_for[other.values < 0].sum() > speaks_for.sum() / 2)
