"""What there is to see in a network, before a photo is run through it."""

from __future__ import annotations

from cnnviz.attribution.explanations import methods
from cnnviz.networks import graph
from cnnviz.networks.layouts import input_shape
from cnnviz.networks.loading import Network
from cnnviz.results import Outline


def outline(network: Network) -> Outline:
    """The layers of a network, how it ends, and its card."""
    known = graph.any_pass(network)
    return Outline(
        network.card,
        network.layers,
        input_shape(network.model),
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
    graph.forward(network, [layer.path for layer in network.layers if layer.spatial])
