"""The operations that compute each value of a cell from that cell alone, and the others by kind."""

from __future__ import annotations

from cnnviz.networks import activations
from cnnviz.networks.topology import Node, Topology

# They leave values as they are in inference mode.
IDENTITIES = frozenset(
    [
        "ActivityRegularization",
        "AlphaDropout",
        "Cast",
        "Copy",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "Identity",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "StochasticDepth",
        "StopGradient",
    ]
)
# Each value becomes another one, by itself.
_VALUE_BY_VALUE = frozenset(
    [
        "Activation",
        "BatchNormalization",
        "ELU",
        "Elu",
        "Gelu",
        "HardSigmoid",
        "HardSilu",
        "LayerScale",
        "LeakyReLU",
        "LeakyRelu",
        "LogSigmoid",
        "Negative",
        "Normalization",
        "PReLU",
        "ReLU",
        "Relu",
        "Relu6",
        "Rescaling",
        "Selu",
        "Sigmoid",
        "Silu",
        "Softplus",
        "Softsign",
        "Tanh",
    ]
)
# Each value depends on the other channels of its cell, too: layers, and activations.
_ACROSS_CHANNELS = frozenset({"LogSoftmax", "Softmax"})

MERGING = frozenset(
    ["Add", "Average", "Divide", "Maximum", "Minimum", "Multiply", "Subtract", "TrueDivide"]
)


def is_frame(node: Node) -> bool:
    """Whether a call computes nothing itself: a nested model, or the input of one."""
    return len(node.inputs) == 1 and (node.kind == "InputLayer" or node.is_model)


def is_identity(node: Node) -> bool:
    """Whether a call gives its input as it is, as a dropout does in inference mode."""
    if is_frame(node):
        return True
    if node.settings is None:
        return False
    # Augmentation is for training alone; RandomCrop goes on to crop.
    augments = node.kind.startswith("Random") and node.kind != "RandomCrop"
    return node.kind in IDENTITIES or augments


def acts_alone(node: Node, topology: Topology) -> bool:
    """Whether each value is computed from one value, or one cell, of a single input."""
    if len(node.inputs) != 1 or node.grid is None:
        return False
    (source,) = topology.inputs(node)
    if source.grid != node.grid:
        return False
    if is_identity(node):
        return True
    if node.settings is None:
        return False
    if node.kind in MERGING:
        return None not in node.operands
    if node.kind in {"Activation", *_ACROSS_CHANNELS} and softens(node):
        return True
    if not activation_is_known(node):
        return False
    if node.kind in {"BatchNormalization", "LayerNormalization"}:
        return _is_of_channels(node, node.settings.get("axis", -1))
    return node.kind in _VALUE_BY_VALUE


def activation_is_known(node: Node) -> bool:
    """Whether the activation of a call is understood; so it is where there is none."""
    settings = node.settings or {}
    name = settings.get("activation", {"kind": "linear"})["kind"]
    return activations.is_known(name) and (name not in activations.SOFTMAXES or softens(node))


def mixes_channels(node: Node) -> bool:
    """Whether a value of a call that acts alone depends on the other channels of its cell."""
    return node.kind == "LayerNormalization" or softens(node)


def softens(node: Node) -> bool:
    """Whether a call ends in a softmax over its channels."""
    settings = node.settings or {}
    if node.kind in _ACROSS_CHANNELS:
        return _is_of_channels(node, settings.get("axis", -1))
    activation = settings.get("activation", {"kind": "linear"})
    return activation["kind"] in activations.SOFTMAXES and _is_of_channels(
        node, activation.get("axis", -1)
    )


def _is_of_channels(node: Node, axis: object) -> bool:
    """Whether an axis, or the only one of a list, is that of the channels."""
    if isinstance(axis, list) and len(axis) == 1:
        (axis,) = axis
    return isinstance(axis, int) and node.axis(axis) == 2
