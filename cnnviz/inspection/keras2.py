"""Rewrites the description of a Keras 2 model as Keras 3 would write the same model.

Nothing here decides what is allowed: `configs.clean_model` checks the result like any other
description. What has no counterpart in Keras 3, or is not as Keras 2 writes it, is left as it is
and refused there; only TensorFlow functions are refused here, by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cnnviz.inspection.keras2_calls import Graph
from cnnviz.inspection.keras2_operations import FUNCTION_LAYERS, operation
from cnnviz.inspection.keras2_ranks import of_layer
from cnnviz.inspection.kinds import HARD_SIGMOID, LAYERS, MODELS, words
from cnnviz.inspection.plain_data import Json


@dataclass(frozen=True)
class _Change:
    """How a layer of Keras 2 differs from the layer of Keras 3 that computes the same.

    Attributes:
        kind: the class in Keras 3; None for the same name.
        dropped: settings that do not change the output.
        dropped_if: settings that do not change the output as long as they have this value.
        renamed: settings that have another name in Keras 3.
        added: settings that Keras 2 did not have, or left out.
    """

    kind: str | None = None
    dropped: frozenset[str] = frozenset()
    dropped_if: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, Any] = field(default_factory=dict)


# Keras 2 also wrote the settings of the plain convolution.
_OF_A_CONVOLUTION: Final = words("groups kernel_initializer kernel_regularizer kernel_constraint")
_CHANGES: Final = {
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _Change(dropped=_OF_A_CONVOLUTION)),
    **dict.fromkeys(
        ("DepthwiseConv1D", "DepthwiseConv2D"), _Change(dropped=_OF_A_CONVOLUTION | {"filters"})
    ),
    **dict.fromkeys(
        ("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
        _Change(dropped=words("noise_shape trainable")),
    ),
    **dict.fromkeys(
        ("LSTM", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
        _Change(dropped_if={"time_major": False}),
    ),
    # Before it had the setting, Keras 2 computed as with False; Keras 3's default is True.
    "GRU": _Change(dropped_if={"time_major": False}, added={"reset_after": False}),
    **dict.fromkeys(("Attention", "AdditiveAttention"), _Change(dropped_if={"causal": False})),
    "MultiHeadAttention": _Change(
        # Robust masking differs only where everything is masked.
        dropped=words("query_shape key_shape value_shape softmax_robust_masking"),
    ),
    "Embedding": _Change(dropped=words("input_length")),
    "LeakyReLU": _Change(renamed={"alpha": "negative_slope"}),
    "ThresholdedReLU": _Change("ReLU", renamed={"theta": "threshold"}),
    **dict.fromkeys(
        ("BatchNormalizationV1", "BatchNormalizationV2"),
        _Change("BatchNormalization", dropped=words("fused"), dropped_if={"renorm": False}),
    ),
    "SyncBatchNormalization": _Change("BatchNormalization"),
    # Outside of training these two leave a picture as it is, and RandomCrop takes its middle.
    "RandomHeight": _Change("Identity", dropped=words("factor interpolation seed")),
    "RandomWidth": _Change("Identity", dropped=words("factor interpolation seed")),
    "RandomCrop": _Change("Resizing", dropped=words("seed"), added={"crop_to_aspect_ratio": True}),
    "InputLayer": _Change(renamed={"batch_input_shape": "batch_shape"}),
}
# Settings of any layer that do not change its output.
_DROPPED: Final = words("batch_input_shape input_shape input_tensor rng_type weights")

_KERAS_2: Final = re.compile(r"[012]\.")


@dataclass
class _Walk:
    """The state of a walk over one description.

    Attributes:
        hdf5: the weights are found by the order of the layers, not by the names of their classes.
        done: a sentence for each kind of change that was made, in the order of the first ones.
    """

    hdf5: bool
    done: dict[str, None] = field(default_factory=dict)

    def note(self, sentence: str) -> None:
        """Adds the sentence for a kind of change, unless it is there."""
        self.done[sentence] = None


def level(description: Json, version: str, *, hdf5: bool) -> tuple[Json, tuple[str, ...]]:
    """The description of the same model as Keras 3 would write it, and what was changed.

    A description of Keras 3 is returned as it is.

    Args:
        description: of a model, parsed and not yet checked.
        version: of the Keras that wrote it; "" where that is not known.
        hdf5: the file is in HDF5, not in the archive of Keras 3.

    Returns:
        The description, and a sentence for each kind of change; no text of the file is in them.

    Raises:
        RefusedModelError: it uses a TensorFlow function that Keras 3 has no operation for, or its
            layers are not connected as Keras 2 writes it.
    """
    if not (_KERAS_2.match(version) if version else "module" not in description):
        return description, ()
    walk = _Walk(hdf5)
    levelled, _ = _layer(description, [], walk)
    return levelled, tuple(walk.done)


def _layer(node: Any, ranks: list[int | None], walk: _Walk) -> tuple[Any, int | None]:
    """A layer or model, levelled, and the rank of its output for inputs of these ranks."""
    if not isinstance(node, dict) or not isinstance(node.get("class_name"), str):
        return node, None
    kind, config, rank = node["class_name"], node.get("config"), None
    if kind == "Sequential":
        config, rank = _sequential(config, ranks, walk)
    elif kind in MODELS or kind == "Model":
        config, rank = _functional(config, walk)
    elif isinstance(config, dict):
        kind, config = _settings(kind, config, walk)
        rank = of_layer(kind, config, ranks)
    levelled = _named(node | {"class_name": kind, "config": config}, _name(node).replace("/", "_"))
    return levelled if kind == node["class_name"] else levelled | {"registered_name": None}, rank


def _settings(kind: str, config: Json, walk: _Walk) -> tuple[str, Json]:
    """The class and the settings of a layer."""
    change = _CHANGES.get(kind, _Change())
    # Keras 3 finds weights in its archive by the name of the class.
    if kind == "SyncBatchNormalization" and not walk.hdf5:
        change = _Change()
    result = dict(change.added)
    for name, value in config.items():
        if name in change.renamed:
            result.setdefault(change.renamed[name], _number(value))
        elif name in change.dropped or (
            name in change.dropped_if and value is change.dropped_if[name]
        ):
            walk.note(f"The setting {name} of {kind} was left out.")
        elif name in {"activation", "recurrent_activation"}:
            result[name] = _activation(value, walk)
        elif name in {"layer", "backward_layer"}:
            result[name], _ = _layer(value, [], walk)
        elif name not in _DROPPED:
            result[name] = _number(value)
    if change.kind:
        walk.note(f"{kind} became {change.kind}.")
    return change.kind or kind, result


def _number(value: Any) -> Any:
    """A setting; Keras 2.2 wrote some numbers as arrays."""
    match value:
        case {"type": "ndarray", "value": int() | float() as number}:
            return number
    return value


def _activation(value: Any, walk: _Walk) -> Any:
    match value:
        case "hard_sigmoid" | {
            "class_name": "function",
            "config": "hard_sigmoid",
            "registered_name": None | "hard_sigmoid",
        }:
            walk.note("hard_sigmoid is computed as Keras 2 does: clip(0.2 x + 0.5, 0, 1).")
            return HARD_SIGMOID
        case {"class_name": str(kind)} if kind in LAYERS or kind in _CHANGES:
            return _layer(value, [], walk)[0]
    return value


# --- Models -------------------------------------------------------------------------------------


def _sequential(config: Any, ranks: list[int | None], walk: _Walk) -> tuple[Any, int | None]:
    # Keras 2.0 wrote the list alone.
    if isinstance(config, list):
        config = {"name": "sequential", "layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        return config, None
    nodes = _input_of_keras_2(config["layers"]) + config["layers"]
    names = _new_names(map(_name, nodes), walk)
    layers = []
    for node, name in zip(nodes, names, strict=True):
        layer, rank = _layer(node, ranks, walk)
        ranks = [rank]
        layers.append(_named(layer, name))
    return config | {"layers": layers}, rank if layers else None


def _input_of_keras_2(nodes: list[Any]) -> list[Json]:
    """The input layer that Keras 2 left out when the first layer held the input shape."""
    match nodes:
        case [{"class_name": str(kind), "config": {"batch_input_shape": list(shape)}}, *_] if (
            kind != "InputLayer"
        ):
            pass
        case _:
            return []
    taken = set(map(_name, nodes))
    name = next(name for name in _numbered("input_layer") if name not in taken)
    return [
        {
            "class_name": "InputLayer",
            "config": {"batch_shape": shape, "dtype": "float32", "name": name},
        }
    ]


def _functional(config: Any, walk: _Walk) -> tuple[Any, int | None]:
    match config:
        case {"layers": [*nodes], "input_layers": inputs, "output_layers": outputs} if all(
            map(_is_connected, nodes)
        ):
            pass
        case _:
            return config, None
    old_names = [node["name"] for node in nodes]
    if len(set(old_names)) < len(old_names):
        return config, None
    names = dict(zip(old_names, _new_names(old_names, walk), strict=True))
    graph = Graph.of(nodes, outputs, names)
    layers = []
    for node in nodes:
        calls = [graph.call(call) for call in node["inbound_nodes"]]
        ranks = graph.ranks_before(node["inbound_nodes"])
        if node["class_name"] in FUNCTION_LAYERS:
            layer, rank = operation(node, calls, ranks, walk.note)
        else:
            layer, rank = _layer(node, ranks, walk)
            layer |= {"inbound_nodes": calls}
        graph.ranks[node["name"]] = rank if len(calls) <= 1 else None
        name = names[node["name"]]
        layers.append(_named(layer, name) | {"name": name})
    ends = {"input_layers": graph.inputs(inputs), "output_layers": graph.outputs(outputs)}
    return config | {"layers": layers} | ends, graph.rank_of(outputs)


def _is_connected(node: Any) -> bool:
    match node:
        case {"class_name": str(), "name": str(), "inbound_nodes": [*_]}:
            return True
    return False


# --- Names --------------------------------------------------------------------------------------


def _name(node: Any) -> str:
    match node:
        case {"config": {"name": str(name)}}:
            return name
    return ""


def _named(layer: Any, name: str) -> Any:
    if not name or not _name(layer):
        return layer
    return layer | {"config": layer["config"] | {"name": name}}


def _new_names(names: Iterable[str], walk: _Walk) -> list[str]:
    """The names with an underscore for each slash, which Keras 3 does not allow; all different."""
    names = list(names)
    taken = {name for name in names if "/" not in name}
    numbered: dict[str, Iterable[str]] = {}
    result = []
    for name in names:
        if "/" in name:
            walk.note("Each slash in the name of a layer became an underscore.")
            base = name.replace("/", "_")
            # Goes on where it ended for the last name of this base: many names stay quick.
            candidates = numbered.setdefault(base, _numbered(base))
            name = next(candidate for candidate in candidates if candidate not in taken)
            taken.add(name)
        result.append(name)
    return result


def _numbered(base: str) -> Iterable[str]:
    """The name itself, then with ``_1``, ``_2`` and so on."""
    yield base
    number = 1
    while True:
        yield f"{base}_{number}"
        number += 1
