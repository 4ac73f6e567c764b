"""Walk through a model's layers, nested ones included, by path: ``backbone/block3_conv1``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

import keras

from cnnviz.errors import LayerError
from cnnviz.results import LayerInfo


def walk(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.Layer]]:
    """Every layer with its path, in order; a nested model comes before its own layers."""
    for layer in model.layers:
        path = prefix + layer.name
        yield path, layer
        if isinstance(layer, keras.Model):
            yield from walk(layer, path + "/")


def describe(model: keras.Model) -> tuple[LayerInfo, ...]:
    """The ``LayerInfo`` of every layer, in order."""
    return tuple(_describe_one(path, layer) for path, layer in walk(model))


def find(model: keras.Model, path: str) -> keras.Layer:
    """The layer at a path; ``name#1``, the second call of a shared layer, is that layer.

    Raises:
        LayerError: there is none; the message names the nearest ones.
    """
    layers = dict(walk(model))
    for name in (path, re.sub(r"#\d+(?=/|$)", "", path)):
        if name in layers:
            return layers[name]
    near = [known for known in layers if known.endswith("/" + path)][:3]
    near = near or difflib.get_close_matches(path, layers, n=3) or list(layers)[:3]
    raise LayerError(
        f"This network has no layer {path!r}. Near it: {', '.join(near)}. "
        "network.layers lists them all."
    )


def _describe_one(path: str, layer: keras.Layer) -> LayerInfo:
    return LayerInfo(
        path,
        type(layer).__name__,
        _output_shape(layer),
        layer.count_params() if layer.built else 0,
        kernel_shape(layer),
        isinstance(layer, keras.Model),
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


def _output_shape(layer: keras.Layer) -> tuple[int | None, ...]:
    # A layer that is called twice has two outputs and no `output`; the first call's counts.
    for node in layer._inbound_nodes:
        if len(node.output_tensors) > 1:
            return ()
        if node.output_tensors:
            return tuple(node.output_tensors[0].shape)
    try:
        return tuple(layer.output_shape)
    except (AttributeError, ValueError):
        return ()
