"""Feature maps: the outputs of layers for one photo."""

from __future__ import annotations

from collections.abc import Iterable

from cnnviz.arrays import Floats
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.photos.preprocessing import PhotoInput, network_input


def activations(network: Network, photo: PhotoInput, layers: Iterable[str]) -> dict[str, Floats]:
    """The outputs (h, w, K) of layers for a photo (H, W, 3), all from one forward pass.

    Returns:
        {path: (h, w, K)} float32 in the order of ``layers``; (K,) for a layer without maps.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        LayerError: a layer does not exist or is never run, or the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    paths = list(layers)
    inputs = network_input(photo, network.card.preprocessing)
    outputs = passes.forward(network, inputs, paths).layers
    return {path: outputs[path][0] for path in paths}
