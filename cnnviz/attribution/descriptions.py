"""Sentences about what a class activation map shows, or why it shows nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.attribution.methods import METHODS
from cnnviz.cards import Preprocessing
from cnnviz.geometry import seen_region
from cnnviz.results import (
    CERTAIN,
    ClassActivationMap,
    Explanation,
    Filters,
    Prediction,
    percent,
)

# Below this probability a network is not sure, and its second class is named too.
_SURE = 0.6

# The smallest relative change that float32 can represent.
_RESOLUTION = float(np.finfo(np.float32).eps)

# Number of classes that are named where each is judged by itself.
_NAMED = 3

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
    """A sentence on where in a photo of (height, width) a map finds its evidence, or why not."""
    reason = nothing_to_see(cam)
    if reason:
        return reason
    row, column = np.unravel_index(np.argmax(cam.values), cam.values.shape)
    height, width = size
    region = seen_region(height, width, preprocessing)
    y = _share(int(row), cam.values.shape[0], region.top, region.height, height)
    x = _share(int(column), cam.values.shape[1], region.left, region.width, width)
    position = _POSITIONS[min(int(y * 3), 2)][min(int(x * 3), 2)]
    return f"The evidence for “{cam.target}” is strongest {position} of the photo."


def mirrored(maps: Sequence[ClassActivationMap]) -> str:
    """A sentence about two maps of which one is the other's negative; else ""."""
    if len(maps) != 2 or not np.allclose(maps[0].values, -maps[1].values, rtol=1e-3):
        return ""
    return (
        f"With two classes, evidence for “{maps[0].target}” is exactly the evidence against "
        f"“{maps[1].target}”: the second map is the first with its sign changed."
    )


def nothing_to_see(cam: ClassActivationMap) -> str:
    """Why a map has no positive evidence to draw; "" if it has some."""
    values = cam.values
    if not np.isfinite(values).all():
        return "The map holds values that are not numbers, so it cannot be drawn."
    if cam.saturated:
        rounded = "1" if cam.score > 0.5 else "0"
        return (
            f"The probability of “{cam.target}” rounds to {rounded}, and its gradient with it, so "
            "this map means nothing. The network gives no logit that could be explained instead."
        )
    if cam.gradient == 0:
        return (
            f"The map for “{cam.target}” is zero everywhere: no gradient reaches this layer, as "
            "happens when small changes of the layer do not change the answer."
        )
    if not values.any():
        return (
            f"The map for “{cam.target}” is zero everywhere: the maps that it weighs are zero, "
            "or have no weight."
        )
    if _is_lost(cam):
        largest = f"{np.abs(values).max():.0e}"
        return (
            f"No cell is evidence for or against “{cam.target}” by more than {largest}: "
            "too little to change the network's answer in float32, so this map means nothing."
        )
    if values.max() <= 0:
        return f"The photo holds no evidence for “{cam.target}”: no cell of the map is above zero."
    if values.size > 1 and np.ptp(values) <= 1e-6 * np.abs(values).max():
        return (
            f"The evidence for “{cam.target}” is the same everywhere, so this map shows no "
            "place that matters more."
        )
    return ""


def _is_lost(cam: ClassActivationMap) -> bool:
    """Whether all cells together are lost by rounding in what they are summed with.

    They are summed with the score and with its bias. Softmax and sigmoid turn a logit z into
    exp(z), which a small change d of z multiplies by 1 + d: there they are summed with 1.
    """
    # All cells together change the score by the mean of the map, or by its sum.
    cells = cam.values.size if METHODS[cam.method].aggregate == "sum" else 1
    terms = (cam.score, cam.bias or 0, 1 if cam.logit else 0)
    return bool(np.abs(cam.values).max() * cells < _RESOLUTION * max(map(abs, terms)))


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
