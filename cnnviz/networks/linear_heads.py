"""Gradients where one dense layer weighs each cell of the maps: they are that layer's weights.

Of a network that averages its last maps straight into its dense layer, or flattens them into it,
the score of a class is a weighted sum of the cells of these maps. The gradient of the score is
then the same for every photo, and no backward pass is needed.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.networks.network import Network
from cnnviz.networks.structure import without_call_numbers
from cnnviz.networks.values import Head, PassValues
from cnnviz.networks.weights import layer_weights

# The activations after which the logit, not another number, is the score.
_ACTIVATIONS = ("linear", "sigmoid", "softmax")


def weighs(head: Head, layers: frozenset[str]) -> bool:
    """Whether the gradients of these layers' outputs are known from the weights alone."""
    return head.activation in _ACTIVATIONS and all(head.weighs(path) for path in layers)


def with_gradients(
    network: Network, head: Head, values: PassValues, target: int | None
) -> PassValues | None:
    """Values (N, ...) with the scores and gradients of ``passes.backward``.

    Args:
        network: the network.
        head: how it ends, one that ``weighs`` the layers.
        values: of a forward pass, with the layers.
        target: as in ``passes.backward``.

    Returns:
        None where the network's logits are not known.
    """
    logits = values.logits
    if logits is None:
        return None
    likely = values.output.argmax(axis=1)
    if logits.shape[1] == 1:
        # One unit stands for two classes.
        threshold = 0.0 if head.activation == "linear" else 0.5
        likely = (values.output[:, 0] > threshold).astype(np.intp)
        logits = np.hstack([-logits, logits])
    targets = likely if target is None else np.full(len(likely), target)
    scores = np.take_along_axis(logits, targets[:, None], axis=1)[:, 0]
    gradients = {
        path: np.stack([_gradient(network, head, path, maps.shape[1:], one) for one in targets])
        for path, maps in values.layers.items()
    }
    return dataclasses.replace(values, scores=scores, gradients=gradients)


def _gradient(
    network: Network, head: Head, path: str, shape: tuple[int, ...], target: int
) -> Floats:
    """The gradient (h, w, K) of a class's score with respect to maps of that shape."""
    height, width, channels = shape
    kernel = None
    if head.dense is not None:
        weights = layer_weights(network, head.dense)
        if weights is None:
            raise ValueError(f"Expected a layer with weights. Received: {head.dense}.")
        kernel = weights.kernel.reshape(-1, weights.kernel.shape[-1])
    # A single unit has the weights of the second class; those of the first are their opposite.
    sign = np.float32(1)
    if kernel is not None and kernel.shape[1] == 1:
        sign, target = np.float32(1 if target else -1), 0
    if path == head.flattened:
        column = kernel[:, target] if kernel is not None else np.zeros(height * width * channels)
        if without_call_numbers(path) in network.structure.channels_first:
            column = column.reshape(channels, height, width).transpose(1, 2, 0)
        return sign * column.reshape(shape)
    column = np.eye(channels, dtype=np.float32)[target] if kernel is None else kernel[:, target]
    return np.broadcast_to(sign * column / np.float32(height * width), shape)
