"""Reads Keras models: their layers by path, their graph, and their structure as plain data."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from cnnviz.networks.structure import (
    ModelStructure,
    Shape,
    channels_last_shape,
    free_name,
    no_such_layer,
    without_call_numbers,
)
from cnnviz.results import LayerInfo

# Layers with a `data_format`, which defines where the channels of their maps are.
_LAYERS_WITH_DATA_FORMAT = (
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

# Operations that may move axes, so that input and output may differ in their layout.
_AXIS_MOVING_KINDS = (
    "Einsum",
    "EinsumDense",
    "Moveaxis",
    "Permute",
    "Reshape",
    "Swapaxes",
    "Transpose",
)

_COLOUR_COUNTS = (1, 3, 4)


def describe_model(model: keras.Model) -> ModelStructure:
    """Reads the structure of a model that was built; the model is not changed."""
    graph = graph_of(model)
    channels_first = frozenset() if graph is None else _channels_first_paths(graph)
    return ModelStructure(
        graph is not None,
        tuple(_describe_layer(path, layer, path in channels_first) for path, layer in walk(model)),
        () if graph is None else _tensor_shape(graph.inputs[0], channels_first),
        {} if graph is None else _named_outputs(graph, channels_first),
        channels_first,
    )


def graph_of(model: keras.Model) -> Any | None:
    """The graph of a model's operations; None for a subclassed model."""
    graph = getattr(model, "_functional", None) or model
    return graph if hasattr(graph, "_run_through_graph") else None


def run_in_inference(operation: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The output of a layer, or of another operation, in inference mode."""
    if "training" in getattr(operation, "_call_context_args", ()):
        kwargs = kwargs | {"training": False}
    return operation(*args, **kwargs)


def _tensor_shape(tensor: Any, channels_first: frozenset[str]) -> Shape:
    shape = (None, *tensor.shape[1:])
    return channels_last_shape(shape, tensor._keras_history.operation.name in channels_first)


def _named_outputs(graph: Any, channels_first: frozenset[str]) -> dict[str, Shape]:
    """The shape of each output by name.

    A name is the key in a dictionary of outputs, else that of the layer that gives the output;
    a repeated name gets a number: ``scores#1``.
    """
    shapes: dict[str, Shape] = {}
    for keys, tensor in keras.tree.flatten_with_path(graph._outputs_struct):
        names = [key for key in keys if isinstance(key, str)]
        name = names[-1] if names else tensor._keras_history.operation.name
        shapes[free_name(name, shapes)] = _tensor_shape(tensor, channels_first)
    return shapes


# --- Layers by path ---------------------------------------------------------------------------


def walk(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.Layer]]:
    """Every layer with its path, in order; a nested model precedes its own layers.

    So does a layer of a class that is not Keras's own, if it holds layers.
    """
    for layer in _held_layers(model):
        path = prefix + layer.name
        yield path, layer
        if _is_nested(layer):
            yield from walk(layer, path + "/")


def _held_layers(layer: keras.Layer) -> list[keras.Layer]:
    """The layers that a model or a layer holds directly."""
    if isinstance(layer, keras.Model):
        return layer.layers
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _is_nested(layer: keras.Layer) -> bool:
    # Layers inside Keras's own, such as attention, are parts of that layer's arithmetic.
    is_from_keras = type(layer).__module__.partition(".")[0] == "keras"
    return isinstance(layer, keras.Model) or (not is_from_keras and bool(_held_layers(layer)))


def find(model: keras.Model, path: str) -> keras.Layer:
    """The layer at a path; ``name#1``, the second call of a shared layer, is that layer.

    Raises:
        LayerError: there is none; the message names similar paths.
    """
    layers = dict(walk(model))
    for name in (path, without_call_numbers(path)):
        if name in layers:
            return layers[name]
    raise no_such_layer(path, layers)


def damaged_layers(model: keras.Model) -> tuple[str, ...]:
    """The paths of layers, not of models, that hold a weight that is NaN or infinite."""
    return tuple(
        path
        for path, layer in walk(model)
        if not isinstance(layer, keras.Model) and not all(map(_is_finite, layer.weights))
    )


def _is_finite(weight: Any) -> bool:
    return bool(np.isfinite(np.asarray(weight)).all())


def _describe_layer(path: str, layer: keras.Layer, channels_first: bool) -> LayerInfo:
    return LayerInfo(
        path,
        type(layer).__name__,
        channels_last_shape(_output_shape(layer), channels_first),
        layer.count_params() if layer.built else 0,
        kernel_shape(layer),
        _is_nested(layer),
    )


def kernel_shape(layer: keras.Layer) -> tuple[int, int, int, int] | None:
    """The kernel shape (kh, kw, C_in, C_out) of a 2-D convolution; None for other layers.

    Each filter of a depthwise convolution has one input channel: (kh, kw, 1, C·m).
    """
    kernel = getattr(layer, "depthwise_kernel", None)
    if kernel is None:
        kernel = getattr(layer, "kernel", None)
    if kernel is None or len(kernel.shape) != 4:
        return None
    height, width, channels, count = kernel.shape
    if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.SeparableConv2D):
        return height, width, 1, channels * count
    # Keras stores that of a transposed convolution as (kh, kw, C_out, C_in).
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return height, width, count, channels
    return height, width, channels, count


def _output_shape(layer: keras.Layer) -> Shape:
    # A layer that is called twice has two outputs and no `output`; the first call's counts.
    for node in layer._inbound_nodes:
        if len(node.output_tensors) > 1:
            return ()
        if node.output_tensors:
            return _any_batch(node.output_tensors[0].shape)
    try:
        return _any_batch(layer.output_shape)
    except (AttributeError, ValueError):
        return ()


def _any_batch(shape: Shape) -> Shape:
    # A model that was built by its first call has the batch size of that call in its shapes.
    return (None, *shape[1:])


# --- Channel layout ---------------------------------------------------------------------------


@dataclass
class _Layouts:
    """What is known of the symbolic tensors of a graph, each by its ``id``.

    Attributes:
        channels_first: whether a tensor's maps are (N, C, h, w); tensors that are not in here
            are of unknown layout.
        neighbours: tensors that have the same layout as a tensor.
        maps: by the path of an operation, the maps of its first call.
    """

    channels_first: dict[int, bool] = field(default_factory=dict)
    neighbours: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    maps: dict[str, int] = field(default_factory=dict)


def _channels_first_paths(graph: Any) -> frozenset[str]:
    """Paths of the operations that give maps as (N, C, h, w), nested ones included.

    Convolutions and poolings define their layout; operations between them have that of their
    neighbours. Where nothing defines it, channels are last, except for an input of which only
    the first axis can be the colours.
    """
    layouts = _Layouts()
    _collect_layouts(graph, "", layouts)
    _spread(layouts)
    for tensor in graph.inputs:
        shape = tensor.shape
        if id(tensor) not in layouts.channels_first and len(shape) == 4:
            only_first_fits = shape[1] in _COLOUR_COUNTS and shape[3] not in _COLOUR_COUNTS
            layouts.channels_first[id(tensor)] = only_first_fits
    _spread(layouts)
    return frozenset(
        path for path, tensor in layouts.maps.items() if layouts.channels_first.get(tensor)
    )


def _collect_layouts(graph: Any, prefix: str, layouts: _Layouts) -> None:
    """Adds the tensors of a graph, and of the models inside it, to ``layouts``."""
    nodes = {id(node) for level in graph._nodes_by_depth.values() for node in level}
    for operation in graph.operations:
        path = prefix + operation.name
        inner = graph_of(operation) if isinstance(operation, keras.Model) else None
        if inner is not None:
            _collect_layouts(inner, path + "/", layouts)
        for node in (node for node in operation._inbound_nodes if id(node) in nodes):
            inputs, outputs = list(node.input_tensors), list(node.output_tensors)
            if _maps(outputs):
                layouts.maps.setdefault(path, id(outputs[0]))
            if isinstance(operation, _LAYERS_WITH_DATA_FORMAT):
                for tensor in inputs + outputs:
                    layouts.channels_first[id(tensor)] = operation.data_format == "channels_first"
                continue
            if inner is not None:
                pairs = list(zip(inputs + outputs, inner.inputs + inner.outputs, strict=False))
            elif type(operation).__name__ not in _AXIS_MOVING_KINDS:
                pairs = list(itertools.product(_maps(inputs), _maps(outputs)))
            else:
                pairs = []
            for one, other in pairs:
                layouts.neighbours[id(one)].append(id(other))
                layouts.neighbours[id(other)].append(id(one))


def _maps(tensors: list[Any]) -> list[Any]:
    return [tensor for tensor in tensors if len(tensor.shape) == 4]


def _spread(layouts: _Layouts) -> None:
    """Passes the layout of each tensor, where it is known, on to its neighbours."""
    waiting = list(layouts.channels_first)
    while waiting:
        tensor = waiting.pop()
        for neighbour in layouts.neighbours[tensor]:
            if neighbour not in layouts.channels_first:
                layouts.channels_first[neighbour] = layouts.channels_first[tensor]
                waiting.append(neighbour)
