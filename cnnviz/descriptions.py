"""In plain words: what a class activation map shows, or why it shows nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnnviz.cards import Preprocessing
from cnnviz.preprocessing import seen_region
from cnnviz.results import ClassActivationMap, Explanation, Prediction, percent

# Below this a network is not sure, and says which other class it thinks of.
_SURE = 0.6

_PLACES = (
    ("in the upper left", "at the top", "in the upper right"),
    ("on the left", "in the middle", "on the right"),
    ("in the lower left", "at the bottom", "in the lower right"),
)


def describe(
    explanation: Explanation, photo: NDArray[np.uint8], preprocessing: Preprocessing
) -> str:
    """One or two sentences on what the network says of a photo (H, W, 3), and why."""
    shown = explanation.maps[0]
    return f"{_answer(explanation.prediction)} {where(shown, photo, preprocessing)}"


def where(cam: ClassActivationMap, photo: NDArray[np.uint8], preprocessing: Preprocessing) -> str:
    """A sentence on where a map finds its evidence; for a map with none, why that is."""
    empty = nothing_to_see(cam)
    if empty:
        return empty
    row, column = np.unravel_index(np.argmax(cam.values), cam.values.shape)
    height, width = photo.shape[:2]
    region = seen_region(height, width, preprocessing)
    y = _share(int(row), cam.values.shape[0], region.top, region.height, height)
    x = _share(int(column), cam.values.shape[1], region.left, region.width, width)
    place = _PLACES[min(int(y * 3), 2)][min(int(x * 3), 2)]
    return f"The evidence for “{cam.target}” is strongest {place} of the photo."


def mirrored(maps: Sequence[ClassActivationMap]) -> str:
    """A sentence for two maps that are each other's negative, which looks odd; else ""."""
    if len(maps) != 2 or not np.allclose(maps[0].values, -maps[1].values, rtol=1e-3):
        return ""
    return (
        f"With two classes, what speaks for “{maps[0].target}” is exactly what speaks against "
        f"“{maps[1].target}”: the second map is the first with its sign changed."
    )


def nothing_to_see(cam: ClassActivationMap) -> str:
    """Why a map has no positive evidence to draw; "" if it has some."""
    values = cam.values
    if not np.isfinite(values).all():
        return "The map holds values that are not numbers, so it cannot be drawn."
    if not values.any():
        reason = (
            "no gradient reaches this layer, as happens when the answer is settled whatever "
            "the layer says"
            if cam.method == "grad-cam"
            else "the maps that it weighs are zero"
        )
        return f"The map for “{cam.target}” is zero everywhere: {reason}."
    if values.max() <= 0:
        return f"Nothing in the photo speaks for “{cam.target}”: no cell of the map is above zero."
    if values.size > 1 and np.ptp(values) <= 1e-6 * np.abs(values).max():
        return (
            f"The evidence for “{cam.target}” is the same everywhere, so this map tells no place "
            "from another."
        )
    return ""


def _answer(prediction: Prediction) -> str:
    best, *others = prediction.top(2)
    if best.probability >= _SURE or not others:
        return f"The network says “{best.label}” ({percent(best.probability)})."
    return (
        f"The network is not sure: “{best.label}” ({percent(best.probability)}) comes first, "
        f"then “{others[0].label}” ({percent(others[0].probability)})."
    )


def _share(index: int, cells: int, start: float, length: float, whole: int) -> float:
    """Where in the photo, 0 to 1 along one side, a cell's centre lies."""
    return float(np.clip((start + (index + 0.5) / cells * length) / whole, 0, 1))
