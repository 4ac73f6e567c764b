"""Where the channels of a model's maps are, and its shapes with channels last.

Keras lets a layer keep its maps as (N, C, h, w). All that leaves cnnviz is (h, w, C), so
somebody has to know which is which.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Container
from typing import Any

import keras

Shape = tuple[int | None, ...]

# What says of itself where the channels of its maps are.
_SAYS_ITS_LAYOUT = (
    keras.layers.AveragePooling2D,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Cropping2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
    keras.layers.SeparableConv2D,
    keras.layers.UpSampling2D,
    keras.layers.ZeroPadding2D,
)

# What may move axes, so that its output's layout is not that of its input.
_MOVES_AXES = ("Einsum", "EinsumDense", "Moveaxis", "Permute", "Reshape", "Swapaxes", "Transpose")

_COLOURS = (1, 3, 4)


def graph_of(model: keras.Model) -> Any | None:
    """The graph of a model's operations; None for a model written as a class of its own."""
    graph = getattr(model, "_functional", None) or model
    return graph if hasattr(graph, "_run_through_graph") else None


def input_shape(model: keras.Model) -> Shape:
    """The shape of a functional or Sequential model's first input: (None, h, w, C)."""
    return _shape(model.inputs[0], channels_first(model))


def outputs(model: keras.Model) -> dict[str, Shape]:
    """The outputs of a model by name: (None, C), or (None, h, w, C) of one that gives maps.

    A name is the key in a dictionary of outputs, else that of the layer that gives it; a name
    that was there before gets a number: ``scores#1``. Empty for a model without a graph.
    """
    graph = graph_of(model)
    if graph is None:
        return {}
    first = channels_first(model)
    named: dict[str, Shape] = {}
    for way, tensor in keras.tree.flatten_with_path(graph._outputs_struct):
        keys = [key for key in way if isinstance(key, str)]
        name = keys[-1] if keys else tensor._keras_history.operation.name
        named[free_name(name, named)] = _shape(tensor, first)
    return named


def shape_last(shape: Shape, first: bool) -> Shape:
    """The shape with channels last, of maps (N, C, h, w) if ``first``."""
    return (shape[0], *shape[2:], shape[1]) if first and len(shape) == 4 else shape


def free_name(name: str, taken: Container[str]) -> str:
    """The name, with the first number that sets it apart from those in ``taken``."""
    free, count = name, 0
    while free in taken:
        count += 1
        free = f"{name}#{count}"
    return free


def channels_first(model: keras.Model) -> frozenset[str]:
    """Paths of the operations that give maps as (N, C, h, w), nested ones included.

    Convolutions and poolings say it of themselves, whatever lies between them has the layout
    of its neighbours. Where nothing says it, channels come last, except in an input whose
    first axis alone can be colours.
    """
    told: dict[int, bool] = {}
    beside: dict[int, list[int]] = defaultdict(list)
    made: dict[str, int] = {}
    graph = graph_of(model)
    if graph is None:
        return frozenset()
    _note_layouts(graph, "", told, beside, made)
    _spread(told, beside)
    for tensor in graph.inputs:
        shape = tensor.shape
        if id(tensor) not in told and len(shape) == 4:
            told[id(tensor)] = shape[1] in _COLOURS and shape[3] not in _COLOURS
    _spread(told, beside)
    return frozenset(path for path, tensor in made.items() if told.get(tensor))


def _note_layouts(
    graph: Any, prefix: str, told: dict[int, bool], beside: dict[int, list[int]], made: Any
) -> None:
    """Notes which tensors (by id) have which layout, which have the same, and who made them."""
    nodes = {id(node) for level in graph._nodes_by_depth.values() for node in level}
    for operation in graph.operations:
        path = prefix + operation.name
        inner = graph_of(operation) if isinstance(operation, keras.Model) else None
        if inner is not None:
            _note_layouts(inner, path + "/", told, beside, made)
        for node in (node for node in operation._inbound_nodes if id(node) in nodes):
            given, results = list(node.input_tensors), list(node.output_tensors)
            if _maps(results):
                made.setdefault(path, id(results[0]))
            if isinstance(operation, _SAYS_ITS_LAYOUT):
                for tensor in given + results:
                    told[id(tensor)] = operation.data_format == "channels_first"
                continue
            if inner is not None:
                pairs = list(zip(given + results, inner.inputs + inner.outputs, strict=False))
            elif type(operation).__name__ not in _MOVES_AXES:
                pairs = list(itertools.product(_maps(given), _maps(results)))
            else:
                pairs = []
            for one, other in pairs:
                beside[id(one)].append(id(other))
                beside[id(other)].append(id(one))


def _maps(tensors: list[Any]) -> list[Any]:
    return [tensor for tensor in tensors if len(tensor.shape) == 4]


def _spread(told: dict[int, bool], beside: dict[int, list[int]]) -> None:
    """Gives what is known of a tensor to all that have the same layout."""
    waiting = list(told)
    while waiting:
        tensor = waiting.pop()
        for other in beside[tensor]:
            if other not in told:
                told[other] = told[tensor]
                waiting.append(other)


def _shape(tensor: Any, first: frozenset[str]) -> Shape:
    shape = (None, *tensor.shape[1:])
    return shape_last(shape, tensor._keras_history.operation.name in first)
