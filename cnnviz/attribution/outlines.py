"""What there is to see in a network, before a photo is run through it."""

from __future__ import annotations

from cnnviz.attribution.explanations import methods
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.results import Outline


def outline(network: Network) -> Outline:
    """The layers of a network, how it ends, and its card."""
    known = passes.any_pass(network)
    return Outline(
        network.card,
        network.layers,
        network.structure.input_shape,
        network.model.count_params(),
        methods(network),
        known.head.features,
        known.head.last_spatial,
        known.makers,
        network.outputs,
        network.damaged,
    )


def prepare(network: Network) -> None:
    """Compiles the view on all maps at once, so that every later choice of a layer is quick."""
    passes.forward(network, [layer.path for layer in network.layers if layer.spatial])
