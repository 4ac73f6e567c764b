"""Compiles a computation around a network with its weights as constants.

TensorFlow then plans the whole graph at once: a forward pass takes 0.7 of the time. The constants
are a second copy of the weights, so this is for a computation that is run many times.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from cnnviz.errors import CnnvizError, ModelError
from cnnviz.networks.engines import folding, gradients
from cnnviz.networks.engines.tensorflow import forward_values
from cnnviz.networks.network import Network

_log = logging.getLogger(__name__)


def freeze(
    network: Network,
    layers: frozenset[str],
    graph: Callable[..., Any],
    specs: Sequence[Any],
) -> Callable[..., list[Any]]:
    """The compiled function of a computation that runs a network.

    Args:
        network: the network.
        layers: the layers whose outputs the computation reads.
        graph: takes a function that runs the network on pictures (N, h, w, C), which need not have
            the card's size, and gives ``output``, ``logits`` and ``layers`` as tensors; then a
            tensor for each of ``specs``. Returns a list of tensors.
        specs: shapes and types of the tensors, as ``tf.TensorSpec``.

    Raises:
        LayerError: a path does not exist or is never run, or the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on pictures of that size.
    """
    # Keras must not load it while the computation is traced.
    model = network.model
    folded = folding.usable(folding.pairs(model), layers, {})

    def run(inputs: Any) -> dict[str, Any]:
        with (
            tf.name_scope("network"),
            gradients.quick_gradients(inputs.graph),
            folding.folding(folded) as stand_ins,
        ):
            return forward_values(network, inputs, layers, stand_ins, {})[0]

    @tf.function(autograph=False)
    def traced(*tensors: Any) -> list[Any]:
        return graph(run, *tensors)

    try:
        concrete = traced.get_concrete_function(*specs)
        return convert_to_constants.convert_variables_to_constants_v2(concrete)
    except CnnvizError:
        raise
    # TensorFlow's own messages hold code and paths.
    except Exception as error:
        _log.warning("TensorFlow could not trace %s", network.card.title, exc_info=error)
        raise ModelError(
            "TensorFlow cannot run this network on a picture of this size: its layers may need the "
            "size that it was built for."
        ) from error
