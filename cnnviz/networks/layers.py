"""Walk through a model's layers, nested ones included, by path: ``backbone/block3_conv1``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from cnnviz.errors import LayerError
from cnnviz.networks.layouts import Shape, channels_first, shape_last
from cnnviz.results import LayerInfo


def walk(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.Layer]]:
    """Every layer with its path, in order; a nested model comes before its own layers.

    So does a layer of a class that is not Keras's own, when it holds layers.
    """
    for layer in _parts(model):
        path = prefix + layer.name
        yield path, layer
        if _holds_layers(layer):
            yield from walk(layer, path + "/")


def describe(model: keras.Model) -> tuple[LayerInfo, ...]:
    """The ``LayerInfo`` of every layer, in order."""
    first = channels_first(model)
    return tuple(_describe_one(path, layer, path in first) for path, layer in walk(model))


def without_numbers(path: str) -> str:
    """The path of a layer, of the path of one of its calls: ``twin#1/conv`` is ``twin/conv``."""
    return re.sub(r"#\d+(?=/|$)", "", path)


def damaged(model: keras.Model) -> tuple[str, ...]:
    """The paths of layers, not of models, that hold a weight that is NaN or infinite."""
    return tuple(
        path
        for path, layer in walk(model)
        if not isinstance(layer, keras.Model) and not all(map(_is_finite, layer.weights))
    )


def _is_finite(weight: Any) -> bool:
    return bool(np.isfinite(np.asarray(weight)).all())


def _parts(layer: keras.Layer) -> list[keras.Layer]:
    """The layers that a model, or a layer, holds itself."""
    if isinstance(layer, keras.Model):
        return layer.layers
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _holds_layers(layer: keras.Layer) -> bool:
    # The layers inside of Keras's own, such as attention, are parts of its arithmetic.
    own = type(layer).__module__.partition(".")[0] == "keras"
    return isinstance(layer, keras.Model) or (not own and bool(_parts(layer)))


def find(model: keras.Model, path: str) -> keras.Layer:
    """The layer at a path; ``name#1``, the second call of a shared layer, is that layer.

    Raises:
        LayerError: there is none; the message names the nearest ones.
    """
    layers = dict(walk(model))
    for name in (path, without_numbers(path)):
        if name in layers:
            return layers[name]
    near = [known for known in layers if known.endswith("/" + path)][:3]
    near = near or difflib.get_close_matches(path, layers, n=3) or list(layers)[:3]
    raise LayerError(
        f"This network has no layer {path!r}. Near it: {', '.join(near)}. "
        "network.layers lists them all."
    )


def _describe_one(path: str, layer: keras.Layer, first: bool) -> LayerInfo:
    return LayerInfo(
        path,
        type(layer).__name__,
        shape_last(_output_shape(layer), first),
        layer.count_params() if layer.built else 0,
        kernel_shape(layer),
        _holds_layers(layer),
    )


def kernel_shape(layer: keras.Layer) -> tuple[int, int, int, int] | None:
    """(kh, kw, C_in, C_out) of a convolution: what one filter sees, and how many there are.

    A depthwise convolution's filters look at one channel each: (kh, kw, 1, C·m). None for a
    layer of another kind.
    """
    kernel = getattr(layer, "depthwise_kernel", None)
    if kernel is None:
        kernel = getattr(layer, "kernel", None)
    if kernel is None or len(kernel.shape) != 4:
        return None
    height, width, channels, count = kernel.shape
    if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.SeparableConv2D):
        return height, width, 1, channels * count
    # Keras keeps a transposed convolution's as (kh, kw, C_out, C_in).
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
    # A model that was built by a first call remembers how many photos that was.
    return (None, *shape[1:])
