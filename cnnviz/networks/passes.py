"""Runs of a network: outputs of layers, and gradients of a class's score.

Callers name layers and get arrays; what runs the network is decided here alone. LiteRT gives the
outputs of a network that was converted for it, TensorFlow everything else.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.networks import linear_heads
from cnnviz.networks.conversions import LostConversionError
from cnnviz.networks.keras_start import start_keras
from cnnviz.networks.network import Network
from cnnviz.networks.values import GraphFacts, PassValues

_log = logging.getLogger(__name__)


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
    return _ask(network, "forward", inputs, frozenset(layers))


def backward(
    network: Network,
    inputs: NDArray[np.float32],
    layers: Iterable[str],
    target: int | NDArray[np.integer] | None = None,
) -> PassValues:
    """The same as ``forward``, with the gradients of one class's score.

    A single unit represents two classes: class 1 has its score, class 0 the negated logit, or
    1 minus the probability.

    Args:
        network: the network.
        inputs: (N, h, w, C).
        layers: layer paths.
        target: index of the class, or of each photo's (N,); the most probable one of each photo
            if None.

    Raises:
        LayerError: a path does not exist or is never run.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    paths = frozenset(layers)
    if _is_converted(network):
        head = facts(network).head
        if linear_heads.weighs(head, paths):
            values = forward(network, inputs, linear_heads.needed(head, paths))
            known = linear_heads.with_gradients(network, head, values, target)
            if known is not None:
                return known
    return _tensorflow(network, "backward").backward(network, inputs, paths, target)


def forward_from(
    network: Network, inputs: NDArray[np.float32], layer: str, maps: NDArray[np.float32]
) -> PassValues:
    """The scores where a layer gives other maps than it does for the photos.

    Only what follows the layer is run, unless it also reads what goes past it, such as a skip
    connection: that is run on the photos.

    Args:
        network: the network.
        inputs: (N, h, w, C).
        layer: path of a layer that gives maps.
        maps: (N, h, w, K), what takes the place of the layer's output.

    Raises:
        LayerError: the path does not exist or is never run.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    return _tensorflow(network, "forward_from").forward_from(network, inputs, layer, maps)


def facts(network: Network) -> GraphFacts:
    """How the network ends, which convolution made which maps, and the size of a batch.

    Raises:
        LayerError: the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    if network.converted is not None and _is_converted(network):
        return network.converted.facts.graph
    return _tensorflow(network, "facts").facts(network)


def prepare(network: Network, layers: Iterable[str]) -> None:
    """Compiles a forward pass for some layers, so that a later ``forward`` is quick.

    Raises:
        LayerError: a path does not exist or is never run.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    _ask(network, "prepare", frozenset(layers))


def _is_converted(network: Network) -> bool:
    """Whether the network was converted, for the part of the card that it has now."""
    return network.converted is not None and network.converted.view == network.view


def _ask(network: Network, question: str, *arguments: Any) -> Any:
    """The answer of LiteRT where it has one, else TensorFlow's."""
    if _is_converted(network):
        # Only where it is used: the package is not there on every system.
        from cnnviz.networks.engines import litert

        try:
            _log.debug("LiteRT answers: %s of %s", question, network.card.title)
            return getattr(litert, question)(network, *arguments)
        except LostConversionError as error:
            _warn(network.card.title, str(error))
    return getattr(_tensorflow(network, question), question)(network, *arguments)


@functools.lru_cache(maxsize=256)
def _warn(title: str, reason: str) -> None:
    """Logs a warning once: the next question may find the conversion again, or not."""
    _log.warning("The conversion of %s is not used: %s", title, reason)


def _tensorflow(network: Network, question: str) -> ModuleType:
    start_keras()
    from cnnviz.networks.engines import tensorflow

    _log.debug("TensorFlow answers: %s of %s", question, network.card.title)
    return tensorflow
