"""What a class activation map says: whether anything, and whether for or against its class."""

from __future__ import annotations

from typing import Literal

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.results import ClassActivationMap

# Why a map says nothing.
EmptyReason = Literal["not numbers", "saturated", "no gradient", "zero", "lost", "even"]

# Evidence for a class that is less than this share of the evidence against it is weak.
WEAK = 0.2

# The smallest relative change that float32 can represent.
_RESOLUTION = float(np.finfo(np.float32).eps)

# Cells that differ by less than this share of the largest are the same.
_EVEN = 1e-6


def why_empty(cam: ClassActivationMap) -> EmptyReason | None:
    """Why a map says nothing about any place of a photo; None if it says something."""
    values = cam.values
    if not np.isfinite(values).all():
        return "not numbers"
    if cam.saturated:
        return "saturated"
    if cam.gradient == 0:
        return "no gradient"
    if not values.any():
        return "zero"
    if cam.of_class and _is_lost(cam):
        return "lost"
    # In double precision, in which the span of two huge values does not overflow.
    span = float(values.max()) - float(values.min())
    if values.size > 1 and span <= _EVEN * float(np.abs(values).max()):
        return "even"
    return None


def mostly_against(values: Floats) -> bool:
    """Whether the strongest evidence for a class is weak beside the strongest against it.

    Args:
        values: (h, w) raw and signed; what is not finite is left out.
    """
    numbers = values[np.isfinite(values)]
    strongest_for = max(float(np.max(numbers, initial=0)), 0.0)
    return strongest_for < -WEAK * float(np.min(numbers, initial=0))


def _is_lost(cam: ClassActivationMap) -> bool:
    """Whether all cells together are lost by rounding in what they are summed with.

    They are summed with the score and with its bias. Softmax and sigmoid turn a logit z into
    exp(z), which a small change d of z multiplies by 1 + d: there they are summed with 1.
    """
    # All cells together change the score by the mean of the map, or by its sum.
    cells = cam.values.size if cam.aggregate == "sum" else 1
    terms = (cam.score, cam.bias or 0, 1 if cam.logit else 0)
    return float(np.abs(cam.values).max()) * cells < _RESOLUTION * max(map(abs, terms))
