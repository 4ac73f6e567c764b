"""What follows after a sum, value by value: normalizations, activations, constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.networks.activations import activate
from cnnviz.networks.pointwise import MERGING, is_identity
from cnnviz.networks.topology import Node
from cnnviz.networks.trace_weights import TraceWeights
from cnnviz.networks.weight_files import WeightName
from cnnviz.traces import TraceStep

Cell = tuple[int, int, int]

# Keras divides by no deviation below this.
_SMALLEST_DEVIATION = 1e-7


def own_activation(node: Node, x: float, cell: Floats | None) -> TraceStep | None:
    """The step of the activation that a layer with a kernel ends in; None where it is linear.

    Args:
        node: the call of the layer.
        x: the sum.
        cell: (K,) the sums of all channels, which a softmax needs.
    """
    settings = (node.settings or {}).get("activation", {"kind": "linear"})
    if settings["kind"] == "linear":
        return None
    formula, numbers, value = activate(settings["kind"], settings, x, cell)
    return TraceStep(node.path, settings["kind"], formula, numbers, value)


def step(node: Node, x: float, at: Cell, cell: Floats | None, weights: TraceWeights) -> TraceStep:
    """The step of a call that acts alone (see ``pointwise.acts_alone``).

    Args:
        node: the call.
        x: the value before.
        at: row, column and channel.
        cell: (K,) the values of all channels before, which a softmax needs.
        weights: of the call's layer.
    """
    if is_identity(node):
        return TraceStep(node.path, node.kind, "x", {}, x)
    if node.kind in MERGING:
        formula, numbers, value = _with_constant(node, x, at)
    elif node.kind in _FUNCTIONS:
        formula, numbers, value = _FUNCTIONS[node.kind](node, x, at, cell, weights)
    elif node.kind == "Activation":
        activation = _settings(node)["activation"]
        formula, numbers, value = activate(activation["kind"], activation, x, cell)
        return TraceStep(node.path, activation["kind"], formula, numbers, value)
    else:
        formula, numbers, value = activate(node.kind, _settings(node), x, cell)
    return TraceStep(node.path, node.kind, formula, numbers, value)


_Step = tuple[str, dict[str, float], float]


def _batch_normalization(
    node: Node, x: float, at: Cell, _: Floats | None, weights: TraceWeights
) -> _Step:
    mean = _one(weights, "moving_mean", node, at, 0.0)
    deviation = math.sqrt(
        _one(weights, "moving_variance", node, at, 1.0) + _settings(node)["epsilon"]
    )
    scale = _one(weights, "gamma", node, at, 1.0) / deviation
    shift = _one(weights, "beta", node, at, 0.0)
    numbers = {"mean": mean, "scale": scale, "shift": shift}
    return "(x − mean) · scale + shift", numbers, (x - mean) * scale + shift


def _layer_normalization(
    node: Node, x: float, at: Cell, cell: Floats | None, weights: TraceWeights
) -> _Step:
    channels = np.asarray(cell, np.float64)
    rms = _settings(node).get("rms_scaling", False)
    mean = 0.0 if rms else float(channels.mean())
    deviation = math.sqrt(float(channels.var()) + _settings(node)["epsilon"])
    scale = _one(weights, "gamma", node, at, 1.0) / deviation
    shift = 0.0 if rms else _one(weights, "beta", node, at, 0.0)
    numbers = {"mean": mean, "scale": scale, "shift": shift}
    return "(x − mean) · scale + shift", numbers, (x - mean) * scale + shift


def _normalization(
    node: Node, x: float, at: Cell, _: Floats | None, weights: TraceWeights
) -> _Step:
    mean = _one(weights, "mean", node, at, 0.0)
    deviation = max(math.sqrt(_one(weights, "variance", node, at, 1.0)), _SMALLEST_DEVIATION)
    numbers = {"mean": mean, "deviation": deviation}
    if _settings(node).get("invert"):
        return "x · deviation + mean", numbers, x * deviation + mean
    return "(x − mean) / deviation", numbers, (x - mean) / deviation


def _rescaling(node: Node, x: float, at: Cell, *_: Any) -> _Step:
    settings = _settings(node)
    scale, offset = (_constant(settings.get(name, 0.0), at, node) for name in ("scale", "offset"))
    return "x · scale + offset", {"scale": scale, "offset": offset}, x * scale + offset


def _layer_scale(node: Node, x: float, at: Cell, _: Floats | None, weights: TraceWeights) -> _Step:
    scale = _one(weights, "gamma", node, at, 1.0)
    return "x · scale", {"scale": scale}, x * scale


def _prelu(node: Node, x: float, at: Cell, _: Floats | None, weights: TraceWeights) -> _Step:
    slope = _one(weights, "alpha", node, at, 0.0)
    return "x above 0, else slope · x", {"slope": slope}, x if x >= 0 else slope * x


def _negative(_: Node, x: float, *__: Any) -> _Step:
    return "−x", {}, -x


_FUNCTIONS: dict[str, Callable[[Node, float, Cell, Floats | None, TraceWeights], _Step]] = {
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "LayerScale": _layer_scale,
    "Negative": _negative,
    "Normalization": _normalization,
    "PReLU": _prelu,
    "Rescaling": _rescaling,
}


def _with_constant(node: Node, x: float, at: Cell) -> _Step:
    """A sum, product, … of the value and constants, in their order."""
    values = [x if isinstance(one, str) else _constant(one, at, node) for one in node.operands]
    first = isinstance(node.operands[0], str)
    constants = [
        value for value, one in zip(values, node.operands, strict=True) if not isinstance(one, str)
    ]
    letter = {"c": constants[0]} if constants else {}
    match node.kind:
        case "Add":
            return "x + c", letter, sum(values)
        case "Subtract":
            return "x − c" if first else "c − x", letter, values[0] - values[1]
        case "Multiply":
            return "x · c", letter, math.prod(values)
        case "Maximum":
            return "max(x, c)", letter, max(values)
        case "Minimum":
            return "min(x, c)", letter, min(values)
        case "Average":
            return "(x + c) / 2", letter, sum(values) / len(values)
    return "x / c" if first else "c / x", letter, values[0] / values[1]


def _constant(value: Any, at: Cell, node: Node) -> float:
    """A constant's number for one cell: of a number, of (K,), or of the shape of the maps."""
    array = np.asarray(value, np.float64)
    rank = len(node.shape or ())
    if array.ndim == rank + 1:
        array = array[0]
    if node.channels_first and array.ndim == 3:
        array = np.moveaxis(array, 0, -1)
    if rank == 2 and array.ndim == 2:
        array = array[:, None]
    # Axes of one fit any place.
    sides = (1, 1, 1, *array.shape)[-3:]
    place = tuple(i if side > 1 else 0 for i, side in zip(at, sides, strict=True))
    return float(array.reshape(sides)[place])


def _one(weights: TraceWeights, name: WeightName, node: Node, at: Cell, default: float) -> float:
    """A weight's number for one cell; the default where the layer has none."""
    weight = weights.read(name)
    return default if weight is None else _constant(weight, at, node)


def _settings(node: Node) -> dict[str, Any]:
    return node.settings or {}
