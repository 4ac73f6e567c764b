"""Runs of a network: outputs of layers, and gradients of a class's score.

Callers name layers and get arrays; how the network is run is decided here alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cnnviz.networks.engines import tensorflow
from cnnviz.networks.network import Network
from cnnviz.networks.values import GraphFacts, PassValues


def forward(
    network: Network, inputs: NDArray[np.float32], layers: Iterable[str] = ()
) -> PassValues:
    """The scores of photos and the outputs of some layers, from one forward pass.

    Args:
        network: the network.
        inputs: (N, h, w, C).
        layers: layer paths.

    Raises:
        LayerError: a path does not exist or is never run.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    return tensorflow.forward(network, inputs, frozenset(layers))


def backward(
    network: Network,
    inputs: NDArray[np.float32],
    layers: Iterable[str],
    target: int | None = None,
) -> PassValues:
    """The same as ``forward``, with the gradients of one class's score.

    A single unit represents two classes: class 1 has its score, class 0 the negated logit, or
    1 minus the probability.

    Args:
        network: the network.
        inputs: (N, h, w, C).
        layers: layer paths.
        target: index of the class; the most probable one of each photo if None.

    Raises:
        LayerError: a path does not exist or is never run.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    return tensorflow.backward(network, inputs, frozenset(layers), target)


def facts(network: Network) -> GraphFacts:
    """How the network ends, which convolution made which maps, and the size of a batch.

    Raises:
        LayerError: the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    return tensorflow.facts(network)


def prepare(network: Network, layers: Iterable[str]) -> None:
    """Compiles a forward pass for some layers, so that a later ``forward`` is quick.

    Raises:
        LayerError: a path does not exist or is never run.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    tensorflow.compiled_pass(network, frozenset(layers))
