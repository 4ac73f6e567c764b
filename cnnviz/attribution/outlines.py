"""A summary of a network that needs no photo."""

from __future__ import annotations

from cnnviz.attribution.explanations import methods
from cnnviz.networks import passes
from cnnviz.networks.connections import layer_calls
from cnnviz.networks.network import Network
from cnnviz.networks.topology import Topology
from cnnviz.results import Outline


def outline(network: Network) -> Outline:
    """The layers of a network, how it ends, and its card.

    Raises:
        LayerError: the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    facts = passes.facts(network)
    return Outline(
        network.card,
        network.layers,
        layer_calls(facts.topology),
        network.structure.input_shape,
        network.parameters[0],
        methods(network),
        facts.head.features,
        facts.head.last_spatial,
        facts.makers,
        _inputs(network, facts.topology),
        network.outputs,
        network.damaged,
    )


def _inputs(network: Network, topology: Topology) -> dict[str, str]:
    convolutions = [layer.path for layer in network.layers if layer.kernel_shape]
    read = {path: topology.nodes[path].inputs for path in convolutions if path in topology.nodes}
    return {path: sources[0] for path, sources in read.items() if len(sources) == 1}


def prepare(network: Network) -> None:
    """Compiles one pass for the maps of all layers, so that a later choice of a layer is quick."""
    passes.prepare(network, [layer.path for layer in network.layers if layer.spatial])
