"""Which values of pixels a network takes, worked out from what it does to them first.

The operations before the first layer with trained weights are run on evenly grey pictures. Where
their result is a linear function of the grey, its scale and offset show which values a picture
must have: ``x / 255.`` takes 0 to 255, ``x * 2. - 1.`` takes 0 to 1. Where nothing is scaled, or
the constants fit several ranges, the scaling is not known.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from cnnviz.networks.keras_models import graph_of, run_in_inference

Scaling = Literal["none", "unit", "tf"]

# What a tensor of the graph is for each of the grey pictures.
_Values = list[Any]

# The greys of the pictures: the first two give scale and offset, the third shows a curve.
_GREYS = (0.0, 128.0, 255.0)
# Values that are computed at most: 0.5 GB. The scaling of 224 × 224 pixels takes under a hundredth.
_MOST_VALUES = 1 << 27
# How far apart the values of a scaled picture are, black to white: 1 and 2 of 0 to 1 and −1 to 1,
# 4 to 13 with a deviation taken off. Of pixels as they are, with a mean taken off at most: 255.
_SCALED = (0.25, 30.0)
_AS_THEY_ARE = (100.0, 600.0)
# The side of the pictures where a network takes any size.
_FREE_SIDE = 64

_log = logging.getLogger(__name__)


@dataclass
class _Walk:
    """A walk through the first operations.

    Attributes:
        ends: what reaches the operations that it ends at.
        left: how many values may still be computed.
    """

    ends: list[_Values] = field(default_factory=list)
    left: int = _MOST_VALUES


def find_scaling(model: keras.Model) -> Scaling | None:
    """The scaling of a card, as in ``Preprocessing.scaling``, that fits a model's first operations.

    Args:
        model: a model that takes one picture; it is not changed.

    Returns:
        ``none`` where it takes 0 to 255, ``unit`` where it takes 0 to 1, ``tf`` where it takes
        −1 to 1; None where that is not known.
    """
    graph = graph_of(model)
    if graph is None or len(graph.inputs) != 1:
        return None
    picture = graph.inputs[0]
    if keras.backend.is_int_dtype(picture.dtype):
        return "none"
    shape = (picture.shape[0] or 1, *(size or _FREE_SIDE for size in picture.shape[1:]))
    if len(_GREYS) * math.prod(shape) > _MOST_VALUES:
        return None
    greys = [keras.ops.full(shape, grey, picture.dtype) for grey in _GREYS]
    walk = _Walk()
    try:
        _follow(graph, [greys], walk)
    # An operation may raise anything on a picture whose size does not fit it.
    except Exception:  # noqa: BLE001
        _log.info("The first operations of %s cannot be run", model.name, exc_info=True)
        return None
    found = {_fitting_scaling(values) for values in walk.ends} - {None}
    return found.pop() if len(found) == 1 else None


def _follow(graph: Any, inputs: list[_Values], walk: _Walk) -> list[_Values | None]:
    """Runs a graph up to its first weights, and collects what reaches them.

    Returns:
        The values of the graph's outputs; None for those behind weights.
    """
    values = {id(tensor): value for tensor, value in zip(graph.inputs, inputs, strict=True)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input or any(id(tensor) not in values for tensor in node.input_tensors):
                continue
            given = [values[id(tensor)] for tensor in node.input_tensors]
            outputs = _run(node, given, walk)
            for tensor, output in zip(node.outputs, outputs, strict=False):
                if output is not None:
                    values[id(tensor)] = output
    return [values.get(id(tensor)) for tensor in graph.outputs]


def _run(node: Any, given: list[_Values], walk: _Walk) -> list[_Values | None]:
    """The outputs of one call for the grey pictures; none where the walk ends with it."""
    operation = node.operation
    inner = graph_of(operation) if isinstance(operation, keras.Model) else None
    if inner is not None:
        return _follow(inner, given, walk)
    if isinstance(operation, keras.layers.BatchNormalization):
        walk.ends.extend(_standardised(operation, values) for values in given)
        return []
    trained = getattr(operation, "weights", ()) and not isinstance(
        operation, keras.layers.Normalization
    )
    size = len(_GREYS) * sum(map(_size, node.outputs))
    if trained or size > walk.left:
        walk.ends.extend(given)
        return []
    walk.left -= size
    runs = []
    for index in range(len(_GREYS)):
        tensors = [values[index] for values in given]
        filled = dict(zip(map(id, node.input_tensors), tensors, strict=True))
        args, kwargs = node.arguments.fill_in(filled)
        runs.append(keras.tree.flatten(run_in_inference(operation, args, kwargs)))
    outputs: list[_Values | None] = [list(values) for values in zip(*runs, strict=True)]
    if not all(_is_linear(values) for values in outputs if values is not None):
        # What a curve takes, such as a logarithm, need not be what networks take.
        walk.ends.extend(values for values in given if _fitting_scaling(values) == "none")
        return []
    return outputs


def _size(tensor: Any) -> int:
    """The number of values of a symbolic tensor, with the sides of the grey pictures."""
    return math.prod(size or _FREE_SIDE for size in tensor.shape[1:])


def _standardised(layer: Any, values: _Values) -> _Values:
    """Values less the mean that a batch normalization has seen, over their deviation."""
    shape = [1] * len(values[0].shape)
    shape[layer.axis] = -1
    mean = np.reshape(layer.moving_mean, shape)
    deviation = np.sqrt(np.reshape(layer.moving_variance, shape) + layer.epsilon)
    return [(np.asarray(value) - mean) / deviation for value in values]


def _is_linear(values: _Values) -> bool:
    """Whether each value is a linear function of the grey of the picture."""
    black, middle, white = (np.asarray(value, np.float64) for value in values)
    expected = black + (white - black) * (_GREYS[1] / _GREYS[2])
    # Half precision has three digits.
    tolerance = 0.01 * np.abs(white - black).max(initial=0) + 1e-6
    return bool((np.abs(middle - expected) <= tolerance).all())


def _fitting_scaling(values: _Values) -> Scaling | None:
    """The scaling after which values are as networks take them; None where that is not clear."""
    black, _, white = (np.asarray(value, np.float64) for value in values)
    scale = (white - black) / _GREYS[2]
    # A border of zeros does not depend on the picture.
    varying = np.abs(scale) > 1e-6 * np.abs(scale).max(initial=0)
    if not varying.any():
        return None
    scale, offset = scale[varying], black[varying]
    zero = -offset / scale
    spread = np.abs(scale)
    if _all_within(255 * spread, _SCALED):
        return "none"
    if _all_within(255 * spread, _AS_THEY_ARE) and (zero > 2).all():
        return "none"
    if not (_all_within(spread, _SCALED) or _all_within(spread, _AS_THEY_ARE)):
        return None
    if np.allclose(zero, -1, atol=0.01):
        return "tf"
    # Values that are only multiplied by a small number may be of any range.
    centred = _all_within(zero, (0.05, 1.0))
    enlarged = _all_within(zero, (0.0, 1.0)) and _all_within(spread, _AS_THEY_ARE)
    return "unit" if centred or enlarged else None


def _all_within(values: NDArray[np.float64], limits: tuple[float, float]) -> bool:
    return bool(((values >= limits[0]) & (values <= limits[1])).all())
