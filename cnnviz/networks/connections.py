"""Which call of a network reads which, as people draw it."""

from __future__ import annotations

from cnnviz.networks.pointwise import IDENTITIES
from cnnviz.networks.topology import Topology
from cnnviz.results import LayerCall


def layer_calls(topology: Topology) -> tuple[LayerCall, ...]:
    """The calls of a network, in the order in which they run, with the paths that they read.

    In inference a dropout returns its input itself, and so does the input layer of a nested model:
    in the topology nobody reads them. Here those do that come later and read their input.
    """
    nodes = topology.nodes.values()
    read = {path for node in nodes for path in node.inputs}
    # By the path of an output: the last call that returned that output itself.
    returned: dict[str, str] = {}
    calls = []
    for node in nodes:
        # The mean over positions that cnnviz appends itself is no layer of the network.
        if not node.path:
            continue
        inputs = tuple(dict.fromkeys(returned.get(path, path) for path in node.inputs))
        calls.append(LayerCall(node.path, node.kind, inputs, node.shape, node.is_model))
        if (
            node.kind in {"InputLayer", *IDENTITIES}
            and node.path not in read
            and len(node.inputs) == 1
        ):
            returned[node.inputs[0]] = node.path
    return tuple(calls)
