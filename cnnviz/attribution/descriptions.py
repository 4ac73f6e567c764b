"""Sentences about what a class activation map shows, or why it shows nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.attribution.details import CELLS, DETAILS, DOUBLE
from cnnviz.attribution.methods import METHODS
from cnnviz.attribution.occlusion import cell_means
from cnnviz.cards import Preprocessing
from cnnviz.evidence import mostly_against, why_empty
from cnnviz.geometry import seen_region
from cnnviz.numerals import percent, signed
from cnnviz.results import (
    CERTAIN,
    ClassActivationMap,
    Explanation,
    Filters,
    Prediction,
)

# Below this probability a network is not sure, and its second class is named too.
_SURE = 0.6

# Number of classes that are named where each is judged by itself.
_NAMED = 3

# Cells along the side of a map above which it is one of pixels, and the parts along each side in
# which such a map is described.
_FINE, _PARTS = 64, 7

# Of the thirds of a photo, row by row.
_POSITIONS = (
    ("in the upper left", "at the top", "in the upper right"),
    ("on the left", "in the middle", "on the right"),
    ("in the lower left", "at the bottom", "in the lower right"),
)


def describe(explanation: Explanation, size: tuple[int, int], preprocessing: Preprocessing) -> str:
    """A few sentences on the prediction for a photo of (height, width), and on its evidence."""
    shown = explanation.maps[0]
    return f"{_answer(explanation.prediction)} {where(shown, size, preprocessing)}"


def where(cam: ClassActivationMap, size: tuple[int, int], preprocessing: Preprocessing) -> str:
    """Sentences on where in a photo of (height, width) a map finds its evidence, or why not.

    Where the evidence for the class is weak beside that against it, both are described.
    """
    reason = nothing_to_see(cam)
    if reason:
        return reason
    values = cam.values
    is_fine = max(values.shape) > _FINE
    if is_fine:
        # A single pixel of thousands is no place.
        values = cell_means(values, _PARTS, _PARTS)
    explained = _explained(cam)
    if METHODS[cam.method].shows == "sensitivity":
        most = position(np.abs(values), size, preprocessing)
        return (
            f"The score of {explained} changes most with the light {most} of the photo. Positive "
            "values are where a little more light would raise it: that is no evidence."
        )
    strongest_for = position(values, size, preprocessing)
    if not cam.of_class:
        return (
            f"The map is largest {strongest_for} of the photo. It is the same for every class, so "
            f"it is no evidence for “{cam.target}”."
        )
    if not mostly_against(values):
        return f"The evidence for {explained} is strongest {strongest_for} of the photo."
    lowest, highest = float(values.min()), float(values.max())
    strongest_against = position(-values, size, preprocessing)
    if is_fine:
        return (
            f"The map of {explained} speaks mostly against it, most of all {strongest_against} of "
            "the photo."
        )
    against = f"is strongest {strongest_against} of the photo ({signed(lowest)})"
    if highest <= 0:
        return (
            f"The photo holds no evidence for {explained}: no cell of the map is above zero. "
            f"The evidence against it {against}."
        )
    return (
        f"The map of {explained} speaks mostly against it. The evidence against it {against}; "
        f"the evidence for it is at most {signed(highest)}, {strongest_for}: less than a fifth "
        "of that."
    )


def sum_of_cells(cam: ClassActivationMap, prediction: Prediction) -> str:
    """Sentences on how the cells of a map make up the score of its class, with the numbers."""
    method = METHODS[cam.method]
    name = method.score or _score(cam, prediction)
    if cam.detail == DOUBLE:
        name += ", for the photo at twice the size"
    elif cam.detail != CELLS:
        return (
            f"The score is {cam.score:.3f}, {name}. The cells of this map, "
            f"{DETAILS[cam.detail].title}, do not add up to it; those of the layer’s own map may."
        )
    if not cam.of_class:
        return (
            f"The score is {cam.score:.3f}, {name}; this map is the same for every class, so its "
            "cells have no part in it."
        )
    total = float(cam.values.mean() if cam.aggregate == "mean" else cam.values.sum())
    of_map = f"{cam.aggregate.capitalize()} of the map {total:.3f}"
    if cam.bias is not None:
        return f"{of_map} + bias {cam.bias:.3f} = {cam.score:.3f}, {name}."
    if not method.exact_sum:
        return f"The score is {cam.score:.3f}, {name}; the cells of this map need not add up to it."
    return (
        f"{of_map}; the score is {cam.score:.3f}, {name}. Other layers come between this layer "
        "and the score, so each cell has what its place contributed to first order, and the sum "
        "need not be the score."
    )


def title(cam: ClassActivationMap) -> str:
    """The method and what its map explains, as the title of a picture."""
    method = METHODS[cam.method].title
    what = f"{method} for {_explained(cam)}" if cam.of_class else f"{method}, whatever the class"
    return f"{what}{_made_of(cam)}"


def cells(cam: ClassActivationMap) -> str:
    """How many cells a map has, and of what, as the title of a picture of them."""
    of = f" of {cam.layer or 'the photo'}"
    return f"{' × '.join(map(str, cam.values.shape))} cells{of}{_made_of(cam)}"


def unit(cam: ClassActivationMap) -> str:
    """What a cell of a map is measured in."""
    return DETAILS[cam.detail].unit or METHODS[cam.method].unit


def colours_mean(cam: ClassActivationMap) -> str:
    """What the two colours of a signed map stand for."""
    if METHODS[cam.method].shows == "sensitivity":
        return "Orange: more light raises the score, blue: lowers it"
    if not cam.of_class:
        return "Orange: above zero, blue: below, whatever the class"
    against = "against it" if cam.against is None else f"for “{cam.against}”"
    return f"Orange speaks for “{cam.target}”, blue {against}"


def at_twice_the_size(cam: ClassActivationMap, before: Prediction, after: Prediction) -> str:
    """A sentence on the answers to a photo at its own and at twice the size, and on a class."""
    index = before.labels.index(cam.target)
    own, twice = (percent(float(one.probabilities[index])) for one in (before, after))
    return (
        f"At twice the size the probability of “{cam.target}” is {twice}, and “{after.label}” is "
        f"the most probable class; at the network’s own size it is {own}, and “{before.label}”."
    )


def _made_of(cam: ClassActivationMap) -> str:
    return "" if cam.detail == CELLS else f", {DETAILS[cam.detail].title}"


def compared(maps: Sequence[ClassActivationMap]) -> str:
    """A sentence on the maps of several classes, where one of them says it all; else ""."""
    if not maps[0].of_class:
        return f"{METHODS[maps[0].method].title} gives every class the same map."
    return mirrored(maps)


def mirrored(maps: Sequence[ClassActivationMap]) -> str:
    """A sentence about two maps of which one is the other's negative; else ""."""
    if len(maps) != 2 or not np.allclose(maps[0].values, -maps[1].values, rtol=1e-3):
        return ""
    return (
        f"With two classes, evidence for “{maps[0].target}” is exactly the evidence against "
        f"“{maps[1].target}”: the second map is the first with its sign changed."
    )


def nothing_to_see(cam: ClassActivationMap) -> str:
    """Why a map says nothing about any place of the photo; "" if it says something."""
    match why_empty(cam):
        case None:
            return ""
        case "not numbers":
            return "The map holds values that are not numbers, so it cannot be drawn."
        case "saturated":
            rounded = "1" if cam.score > 0.5 else "0"
            return (
                f"The probability of “{cam.target}” rounds to {rounded}, and its gradient with it, "
                "so this map means nothing. The network gives no logit that could be explained "
                "instead."
            )
        case "no gradient":
            return (
                f"The map for “{cam.target}” is zero everywhere: no gradient reaches this layer, "
                "as happens when small changes of the layer do not change the answer."
            )
        case "zero" if METHODS[cam.method].needs == "photo":
            return (
                f"The map for “{cam.target}” is zero everywhere: no change of the photo that was "
                "tried changes its score."
            )
        case "zero":
            return (
                f"The map for “{cam.target}” is zero everywhere: the maps that it weighs are zero, "
                "or have no weight."
            )
        case "lost":
            largest = f"{np.abs(cam.values).max():.0e}"
            return (
                f"No cell is evidence for or against “{cam.target}” by more than {largest}: "
                "too little to change the network's answer in float32, so this map means nothing."
            )
        case "even" if not cam.of_class:
            return "The map is the same everywhere, so it shows no place that matters more."
        case "even":
            side = "for" if cam.values.flat[0] > 0 else "against"
            return (
                f"The evidence {side} “{cam.target}” is the same everywhere, so this map shows no "
                "place that matters more."
            )


def damage(filters: Filters) -> str:
    """A sentence on weights of a layer that are NaN or infinite; "" where all are numbers."""
    parts = (filters.kernels, filters.biases, filters.pointwise)
    broken = sum(int(np.sum(~np.isfinite(part))) for part in parts if part is not None)
    if not broken:
        return ""
    weights = "1 weight" if broken == 1 else f"{broken:,} weights"
    return (
        f"{weights} of the layer “{filters.layer}” {'is' if broken == 1 else 'are'} not a number "
        "(NaN or infinite): the network's answers cannot be trusted."
    )


def _explained(cam: ClassActivationMap) -> str:
    """The class of a map, and the one that it is set against."""
    against = "" if cam.against is None else f" against “{cam.against}”"
    return f"“{cam.target}”{against}"


def _score(cam: ClassActivationMap, prediction: Prediction) -> str:
    """What the score of a map is, in a few words."""
    if prediction.logits is not None:
        name = "the network's logit for"
    else:
        name = "the mean logit of all positions for" if cam.logit else "the network's output for"
    strength = METHODS[cam.method].strength
    times = "" if strength == 1 else f"{strength:g} × "
    less = "" if cam.against is None else f" less {times}that for “{cam.against}”"
    return f"{name} “{cam.target}”{less}"


def _answer(prediction: Prediction) -> str:
    if not prediction.exclusive:
        return _independent_answer(prediction)
    best, *others = prediction.top(2)
    if best.probability >= CERTAIN:
        return (
            f"The network says “{best.label}”, with a probability that rounds to 1: its last "
            "step is saturated, which is no proof that it is right."
        )
    if best.probability >= _SURE or not others:
        return f"The network says “{best.label}” ({percent(best.probability)})."
    return (
        f"The network is not sure: “{best.label}” ({percent(best.probability)}) is most probable, "
        f"then “{others[0].label}” ({percent(others[0].probability)})."
    )


def _independent_answer(prediction: Prediction) -> str:
    """The answer of a network that judges each class by itself."""
    likely = [score for score in prediction.top(len(prediction.labels)) if score.probability >= 0.5]
    likely = likely[:_NAMED] or prediction.top(1)
    labels = ", ".join(f"“{score.label}” ({percent(score.probability)})" for score in likely)
    answer = (
        f"The network sees {labels}."
        if likely[0].probability >= 0.5
        else f"The network sees none of its classes; {labels} is the most probable."
    )
    return f"{answer} It judges each class by itself, so the probabilities need not add up to 1."


def position(values: Floats, size: tuple[int, int], preprocessing: Preprocessing) -> str:
    """Where in a photo of (height, width) the largest value is, such as “in the middle”.

    Args:
        values: (h, w) of a map.
        size: of the photo.
        preprocessing: how the photo became the network input.
    """
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    height, width = size
    region = seen_region(height, width, preprocessing)
    y = _share(int(row), values.shape[0], region.top, region.height, height)
    x = _share(int(column), values.shape[1], region.left, region.width, width)
    return _POSITIONS[min(int(y * 3), 2)][min(int(x * 3), 2)]


def _share(index: int, cells: int, start: float, length: float, side: int) -> float:
    """The position of a cell's centre along one side of a photo, 0 to 1.

    Args:
        index: of the cell, a row or a column of the map.
        cells: rows or columns of the map.
        start: of the map, in pixels of the photo.
        length: of the map, in pixels of the photo.
        side: of the photo, in pixels.
    """
    return float(np.clip((start + (index + 0.5) / cells * length) / side, 0, 1))
