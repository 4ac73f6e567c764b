"""The structure of a model as plain data: its layers, shapes and outputs.

Layers of nested models are included and named by their path: ``backbone/block3_conv1``.
Keras lets a layer keep its maps as (N, C, h, w); every shape here is (N, h, w, C).
"""

from __future__ import annotations

import difflib
import functools
import itertools
import re
from collections import defaultdict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from cnnviz.errors import CardError, LayerError
from cnnviz.results import LayerInfo

Shape = tuple[int | None, ...]

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


@dataclass(frozen=True)
class ModelStructure:
    """What can be read from a model without running it; shapes have the channels last.

    Attributes:
        has_graph: whether the model is Sequential or functional. A subclassed model has no
            graph that could be followed: of it only the layers are known.
        layers: every layer, nested ones included, in order.
        input_shape: of the first input: ``(None, h, w, C)``; () without a graph.
        outputs: every output by name: (None, C), or (None, h, w, C) of one that gives maps.
            Empty without a graph.
        channels_first: paths of the operations whose maps the model keeps as (N, C, h, w).
    """

    has_graph: bool
    layers: tuple[LayerInfo, ...]
    input_shape: Shape
    outputs: dict[str, Shape]
    channels_first: frozenset[str]

    @functools.cached_property
    def class_counts(self) -> dict[str, int]:
        """Number of classes of each output with class scores; rows of scores before maps."""
        return {
            name: int(shape[-1] or 0)
            for rank in (2, 4)
            for name, shape in self.outputs.items()
            if len(shape) == rank and shape[-1]
        }

    def class_count(self, output: str | None) -> int:
        """Number of classes of an output; of the first with class scores if None.

        Raises:
            CardError: there is no such output with class scores.
        """
        if output is not None and output not in self.class_counts:
            raise CardError(
                f"output: there is no output {output!r} that gives class scores. "
                f"Choose from {', '.join(self.class_counts)}."
            )
        return self.class_counts[output or next(iter(self.class_counts))]


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


def channels_last_shape(shape: Shape, channels_first: bool) -> Shape:
    """The shape (N, h, w, C) of maps (N, C, h, w) if ``channels_first``; others as they are."""
    if channels_first and len(shape) == 4:
        return (shape[0], *shape[2:], shape[1])
    return shape


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


def free_name(name: str, taken: Container[str]) -> str:
    """The name, or the first of ``name#1``, ``name#2``, … that is not in ``taken``."""
    free, count = name, 0
    while free in taken:
        count += 1
        free = f"{name}#{count}"
    return free


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
    near = [known_path for known_path in layers if known_path.endswith("/" + path)][:3]
    near = near or difflib.get_close_matches(path, layers, n=3) or list(layers)[:3]
    raise LayerError(
        f"This network has no layer {path!r}. Near it: {', '.join(near)}. "
        "network.layers lists them all."
    )


def without_call_numbers(path: str) -> str:
    """The path of a layer, from the path of one of its calls: ``twin#1/conv`` is ``twin/conv``."""
    return re.sub(r"#\d+(?=/|$)", "", path)


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
