"""The weights of a layer, from the Keras model or from the file of a converted one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.errors import LayerError
from cnnviz.networks.structure import layer_at, no_such_layer
from cnnviz.networks.values import Head
from cnnviz.networks.weight_files import WEIGHTS, WeightName, read_stored

if TYPE_CHECKING:
    from cnnviz.networks.network import Network


@dataclass(frozen=True)
class LayerWeights:
    """The weights of a convolution or a dense layer as Keras stores them, float32.

    Attributes:
        kernel: of a separable convolution, that of its depthwise part.
        bias: (C_out,); None where there is none.
        pointwise: of a separable convolution; else None.
    """

    kernel: Floats
    bias: Floats | None = None
    pointwise: Floats | None = None


def needed_weights(network: Network, path: str) -> LayerWeights:
    """The weights of a layer whose values depend on them, such as the dense layer of a head.

    Raises:
        LayerError: there is no such layer, or it has no kernel.
        ModelError: as for ``layer_weights``.
    """
    weights = layer_weights(network, path)
    if weights is None:
        raise LayerError(f"The layer {path!r} has no weights.")
    return weights


def class_weights(network: Network, head: Head, channels: int) -> tuple[Floats, Floats]:
    """The weights (K, C) and biases (C,) of the classes in the last dense layer.

    A single unit stands for two classes: it has the numbers of the second, and the first has their
    opposite. Without a dense layer each of the ``channels`` last maps belongs to one class.

    Raises:
        LayerError: the dense layer has no kernel.
        ModelError: as for ``layer_weights``.
    """
    if head.dense is None:
        kernel, bias = np.eye(channels, dtype=np.float32), None
    else:
        weights = needed_weights(network, head.dense)
        # Of a 1×1 convolution, too, which may take its place.
        kernel, bias = weights.kernel.reshape(-1, weights.kernel.shape[-1]), weights.bias
    biases = np.zeros(kernel.shape[1], np.float32) if bias is None else bias
    if len(biases) == 1:
        return np.hstack([-kernel, kernel]), np.hstack([-biases, biases])
    return kernel, biases


def layer_weights(network: Network, path: str) -> LayerWeights | None:
    """The weights of a layer; None of one without a kernel.

    Raises:
        LayerError: there is no such layer.
        ModelError: as for ``read_weight``.
    """
    layers = [layer.path for layer in network.layers]
    name = layer_at(path, layers)
    if name not in layers:
        raise no_such_layer(path, layers)
    kept = {} if network.converted is None else network.converted.kept
    if name in kept:
        return kept[name]
    kernel = read_weight(network, name, "depthwise_kernel")
    if kernel is None:
        kernel = read_weight(network, name, "kernel")
    if kernel is None:
        return None
    others = (read_weight(network, name, other) for other in ("bias", "pointwise_kernel"))
    weights = LayerWeights(
        np.asarray(kernel, np.float32),
        *(None if other is None else np.asarray(other, np.float32) for other in others),
    )
    # Every map of a class needs them again.
    if network.converted and path in network.converted.facts.graph.head.dense_layers:
        kept[name] = weights
    return weights


def read_weight(
    network: Network, path: str, name: WeightName, index: int | None = None
) -> Floats | None:
    """A weight of a layer, in the precision of the network; None if there is none.

    That of a converted network is read from its file, unless it is not there as it is.

    Args:
        network: the network.
        path: of a layer, or of one of its calls; an operation that is no layer has no weights.
        name: of the weight.
        index: of the last axis, for that part alone: to read one column of a large dense layer
            costs little, to read all of it may take longer than to run the network.

    Raises:
        ModelError: the network's file cannot be read any more, or is another one now.
    """
    layers = {layer.path for layer in network.layers}
    layer = layer_at(path, layers)
    converted = network.converted
    if converted is not None:
        stored = converted.facts.weights.get(layer, {})
        if name not in stored:
            return None
        where = stored[name]
        if where is not None:
            return read_stored(converted.model, converted.identity, where, index)
    elif layer not in layers:
        return None
    # First the model: it is what starts Keras, or refuses it in a process without TensorFlow.
    model = network.model
    from cnnviz.networks.keras_models import find

    weight = _weight_in(find(model, layer), name)
    if weight is None or index is None:
        return None if weight is None else np.asarray(weight)
    return np.asarray(weight[..., index : index + 1])[..., 0]


def weights_in(layer: Any) -> dict[WeightName, Any]:
    """The weights of a Keras layer that cnnviz reads, as Keras gives them."""
    weights = {name: _weight_in(layer, name) for name in WEIGHTS}
    return {name: weight for name, weight in weights.items() if weight is not None}


def _weight_in(layer: Any, name: WeightName) -> Any | None:
    # SpectralNormalization has the kernel of the layer in it, but not its bias.
    holder = getattr(layer, "layer", layer) if name == "bias" else layer
    weight = getattr(holder, name, None)
    return weight if hasattr(weight, "shape") else None
