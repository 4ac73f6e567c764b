"""Walk through a model's layers, nested ones included, by path: ``backbone/block3_conv1``."""

from __future__ import annotations

import difflib
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
    """The layer at a path.

    Raises:
        LayerError: there is none; the message names the nearest ones.
    """
    layers = dict(walk(model))
    if path in layers:
        return layers[path]
    near = difflib.get_close_matches(path, layers, n=3) or list(layers)[:3]
    raise LayerError(
        f"This network has no layer {path!r}. Near it: {', '.join(near)}. "
        "network.layers lists them all."
    )


def _describe_one(path: str, layer: keras.Layer) -> LayerInfo:
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        kernel = getattr(layer, "depthwise_kernel", None)
    shape = tuple(kernel.shape) if kernel is not None and len(kernel.shape) == 4 else None
    return LayerInfo(
        path,
        type(layer).__name__,
        _output_shape(layer),
        layer.count_params() if layer.built else 0,
        shape,
        isinstance(layer, keras.Model),
    )


def _output_shape(layer: keras.Layer) -> tuple[int | None, ...]:
    # A layer that is called twice has two outputs and no `output`; the first call's counts.
    for node in layer._inbound_nodes:
        if node.output_tensors:
            return tuple(node.output_tensors[0].shape)
    try:
        return tuple(layer.output_shape)
    except (AttributeError, ValueError):
        return ()
