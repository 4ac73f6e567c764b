"""Gradients at the maps that a network averages or flattens into its last dense layers.

Where one dense layer weighs each cell of these maps, the score of a class is a weighted sum of the
cells, and its gradient are the weights: the same for every photo. Where dense layers with a ReLU
lie between, the gradient is a product of their weights, without the units that are zero for the
photo. So no backward pass through the network is needed.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.networks.network import Network
from cnnviz.networks.structure import without_call_numbers
from cnnviz.networks.values import Head, PassValues
from cnnviz.networks.weights import class_weights, needed_weights

# The activations after which the logit, not another number, is the score.
_ACTIVATIONS = ("linear", "sigmoid", "softmax")


def weighs(head: Head, layers: frozenset[str]) -> bool:
    """Whether the gradients of these layers' outputs are known from weights and hidden units."""
    flattened = {head.flattened} if head.steps or not head.hidden else set()
    return head.activation in _ACTIVATIONS and layers <= {head.features, *flattened} - {None}


def needed(head: Head, layers: frozenset[str]) -> frozenset[str]:
    """The layers whose outputs ``with_gradients`` takes."""
    return layers | {step.output for step in head.steps}


def with_gradients(
    network: Network,
    head: Head,
    values: PassValues,
    target: int | NDArray[np.integer] | None,
) -> PassValues | None:
    """Values (N, ...) with the scores and gradients of ``passes.backward``.

    Args:
        network: the network.
        head: how it ends, one that ``weighs`` the layers.
        values: of a forward pass, with the layers that are ``needed``.
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
    targets = likely if target is None else np.broadcast_to(target, likely.shape)
    scores = np.take_along_axis(logits, targets[:, None], axis=1)[:, 0]
    hidden = {step.output for step in head.steps}
    layers = {path: maps for path, maps in values.layers.items() if path not in hidden}
    gradients = {
        path: np.stack(
            [
                _gradient(network, head, path, values, number, int(one))
                for number, one in enumerate(targets)
            ]
        )
        for path in layers
    }
    return dataclasses.replace(values, layers=layers, scores=scores, gradients=gradients)


def _gradient(
    network: Network, head: Head, path: str, values: PassValues, number: int, target: int
) -> Floats:
    """The gradient (h, w, K) of a class's score with respect to the maps of one photo."""
    height, width, channels = shape = values.layers[path].shape[1:]
    column = class_weights(network, head, channels)[0][:, target]
    if path == head.features:
        return np.broadcast_to(column / np.float32(height * width), shape)
    for step in reversed(head.steps):
        if step.relu:
            column = column * (values.layers[step.output][number] > 0)
        column = needed_weights(network, step.dense).kernel @ column
    if without_call_numbers(path) in network.structure.channels_first:
        return column.reshape(channels, height, width).transpose(1, 2, 0)
    return column.reshape(shape)
