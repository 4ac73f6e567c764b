"""Gradients of a class's score with respect to a layer's output."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.results import LayerGradients


def layer_gradients(
    network: Network,
    inputs: NDArray[np.float32],
    layer: str,
    target: int | NDArray[np.integer] | None = None,
) -> LayerGradients:
    """A layer's output and the gradient of one class's score, for network inputs (N, H, W, C).

    The score is the logit where the network has one. Of a single sigmoid unit, class 0 has
    the negated logit.

    Args:
        network: the network.
        inputs: the network inputs.
        layer: the layer's path.
        target: index of the class, or of each input's (N,); the most probable one of each input
            if None.

    Raises:
        LayerError: the layer does not exist or is never run.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    values = passes.backward(network, inputs, [layer], target)
    return LayerGradients(
        values.layers[layer],
        values.gradients[layer],
        cast(Floats, values.scores),
        values.output,
        values.logits,
    )
