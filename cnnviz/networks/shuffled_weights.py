"""Copies of a network whose weights are shuffled, from the head down."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from cnnviz.errors import ModelError
from cnnviz.networks.loading import network as make_network
from cnnviz.networks.network import Network

_log = logging.getLogger(__name__)


def weighted_layers(network: Network) -> int:
    """How many layers have weights of their own; models that only hold layers do not count."""
    return sum(layer.parameters > 0 and not layer.nested for layer in network.layers)


def shuffled_copies(network: Network, counts: Sequence[int], seed: int) -> Iterator[Network]:
    """Copies of a network, each with the weights of its last ``counts[i]`` layers shuffled.

    The values of each array of weights are put in a random order, which depends on the seed and the
    layer alone. So each layer keeps the spread of its weights, no value overflows, and all that was
    learned is gone, of weights of one value excepted. The network itself is not changed.

    It is one copy whose weights change: each must be used before the next one is asked for.

    Args:
        network: the network.
        counts: of layers that have weights, rising, from the last one on.
        seed: of the order.

    Raises:
        ModelError: the network cannot be copied.
        CnnvizError: this process does without Keras.
    """
    # First the model: it is what starts Keras, or refuses it in a process without TensorFlow.
    model = network.model
    import keras

    from cnnviz.networks.keras_models import walk

    try:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
    # Layers of unknown classes raise errors of any kind.
    except Exception as error:
        _log.warning("%s could not be copied", network.card.title, exc_info=error)
        raise ModelError(
            "This network cannot be copied, so there is no copy of it whose weights could be "
            "shuffled."
        ) from error
    own = [info.path for info in network.layers if info.parameters > 0 and not info.nested]
    by_path = dict(walk(copy))
    waiting = [by_path[path] for path in reversed(own)]
    shuffled = make_network(copy, network.card)
    done = 0
    for count in counts:
        for number, layer in enumerate(waiting[done:count], done):
            rng = np.random.default_rng([seed, number])
            for weight in layer.weights:
                # Seeds of random layers are integers, and are no weights.
                if np.issubdtype(np.dtype(str(weight.dtype)), np.floating):
                    values = np.asarray(weight)
                    weight.assign(rng.permutation(values.ravel()).reshape(values.shape))
        done = max(done, count)
        yield shuffled
