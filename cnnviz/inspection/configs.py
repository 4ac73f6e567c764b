"""Rewrites a model's description so that it holds only allowed layers and plain data.

The result is built value by value; what is not understood is refused, so that nothing reaches
Keras unchecked. Each layer names its module. Files of Keras 2 come as `keras2.level` rewrote them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cnnviz.inspection.connections import clean_calls, clean_ends
from cnnviz.inspection.kinds import (
    ACTIVATION_LAYERS,
    ACTIVATIONS,
    FORBIDDEN,
    HARD_SIGMOID,
    IGNORED,
    IGNORED_BY_KIND,
    LAYERS,
    MODELS,
    OPERATIONS,
    POLICIES,
)
from cnnviz.inspection.limits import (
    GROWING,
    MAX_CALLS,
    MAX_GROWTH,
    MAX_LAYERS,
    MAX_NESTING,
    MAX_STACK,
)
from cnnviz.inspection.plain_data import (
    Json,
    clean_name,
    clean_number_type,
    clean_shape,
    clean_text,
    clean_value,
    is_whole,
)
from cnnviz.inspection.refusals import refusal


@dataclass
class Walk:
    """The state of a walk over one description.

    Attributes:
        legacy: the description is from an HDF5 file, where layers do not name their module.
        kinds: how many layers there are of each kind.
        calls: how many calls of layers a run takes: those inside a model count at each of its own.
        parameters: the number of weights that the layers declare at least.
        shared: objects that the description uses several times: by their number there, their new
            number and their kind.
    """

    legacy: bool
    kinds: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    parameters: int = 0
    shared: dict[int, tuple[int, str]] = field(default_factory=dict)


def clean_model(description: Json, walk: Walk) -> Json:
    """A model's description, rewritten.

    Raises:
        RefusedModelError: something in it is not allowed, or not as Keras writes it.
    """
    kind, _ = _identify(description, walk)
    if kind not in MODELS:
        raise refusal("odd-config")
    return _layer(description, walk, nesting=0)


# --- Layers -------------------------------------------------------------------------------------


def _identify(node: Any, walk: Walk) -> tuple[str, str]:
    """The kind of a layer and the module that Keras has it in."""
    if not isinstance(node, dict) or not isinstance(node.get("class_name"), str):
        raise refusal("odd-config")
    name, module = node["class_name"], node.get("module")
    if name in FORBIDDEN:
        raise refusal(FORBIDDEN[name])
    # Keras writes no module for a class from the person's own script.
    if ("module" in node and not _is_of_keras(module)) or (
        node.get("registered_name") not in (None, "", name)
    ):
        raise refusal("custom-object")
    if name == "Model":
        name = "Functional"
    allowed = OPERATIONS if _is_operation(node) else MODELS | LAYERS
    if name not in allowed:
        raise refusal("unknown-class")
    return name, allowed[name]


def _is_of_keras(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] in {"keras", "tf_keras"}


def _is_operation(node: Json) -> bool:
    """Whether a node is an operation; `Add`, for example, is also the name of a layer."""
    if "module" in node:
        return ".ops." in f"{node['module']}."
    # Every layer has `trainable` in its description; an operation has nothing to train.
    config = node.get("config")
    return (
        node["class_name"] in OPERATIONS and isinstance(config, dict) and "trainable" not in config
    )


def _layer(node: Json, walk: Walk, nesting: int) -> Json:
    kind, module = _identify(node, walk)
    if nesting > MAX_NESTING:
        raise refusal("too-deep")
    result: Json = {"module": module, "class_name": kind, "registered_name": None}
    seen_before = _shared_id(node, kind, walk, result)
    config = node.get("config")
    if kind == "Sequential":
        result["config"] = _sequential(config, walk, nesting)
    elif kind in MODELS:
        result["config"] = _functional(config, walk, nesting)
    elif _is_operation(node):
        result["config"] = _settings(kind, config, walk, nesting, operation=True)
    else:
        result["config"] = _settings(kind, config, walk, nesting, operation=False)
        if not seen_before:
            walk.parameters += _least_parameters(kind, result["config"])
    walk.kinds[kind] += 1
    walk.calls += 1
    if walk.kinds.total() > MAX_LAYERS:
        raise refusal("too-many-layers")
    return result


def _shared_id(node: Json, kind: str, walk: Walk, result: Json) -> bool:
    """Renumbers an object that is used several times; returns whether it was seen before."""
    number = node.get("shared_object_id")
    if number is None:
        return False
    if not is_whole(number):
        raise refusal("odd-config")
    seen_before = number in walk.shared
    new_number, kind_before = walk.shared.setdefault(number, (len(walk.shared) + 1, kind))
    if kind != kind_before:
        raise refusal("odd-config")
    result["shared_object_id"] = new_number
    return seen_before


def _sequential(config: Any, walk: Walk, nesting: int) -> Json:
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise refusal("odd-config")
    if len(config["layers"]) > MAX_STACK:
        raise refusal("too-many-layers")
    layers = [_layer(layer, walk, nesting + 1) for layer in config["layers"]]
    result: Json = {"name": clean_name(config.get("name")), "layers": layers}
    if config.get("build_input_shape") is not None:
        result["build_input_shape"] = clean_shape("build_input_shape", config["build_input_shape"])
    return result


def _functional(config: Any, walk: Walk, nesting: int) -> Json:
    if not isinstance(config, dict):
        raise refusal("odd-config")
    if not {"layers", "input_layers", "output_layers"} <= config.keys():
        # A subclassed model under the name of a functional one.
        raise refusal("custom-object")
    nodes = config["layers"]
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise refusal("odd-config")
    names = [clean_name(node.get("name")) for node in nodes]
    if len(set(names)) < len(names):
        raise refusal("broken-graph")
    known = set(names)
    layers = []
    for node in nodes:
        calls_before = walk.calls
        layer = _layer(node, walk, nesting + 1)
        calls = clean_calls(node, known)
        # Models in models, each called ten times by the next, would run for ever.
        walk.calls += (walk.calls - calls_before) * max(len(calls) - 1, 0)
        if walk.calls > MAX_CALLS:
            raise refusal("too-many-layers")
        layers.append(layer | {"name": node["name"], "inbound_nodes": calls})
    ends = {key: clean_ends(config[key], known) for key in ("input_layers", "output_layers")}
    result: Json = {"name": clean_name(config.get("name")), "layers": layers, **ends}
    if isinstance(config.get("trainable"), bool):
        result["trainable"] = config["trainable"]
    return result


# --- The settings of one layer ------------------------------------------------------------------


def _settings(kind: str, config: Any, walk: Walk, nesting: int, *, operation: bool) -> Json:
    # Keras could take settings that look like an object for one.
    if not isinstance(config, dict) or "class_name" in config:
        raise refusal("odd-config")
    ignored = IGNORED | IGNORED_BY_KIND.get(kind, frozenset())
    result: Json = {}
    for name, value in config.items():
        if name in ignored:
            continue
        if operation:
            result[clean_text(name)] = clean_value(name, value)
        else:
            result[clean_text(name)] = _setting(kind, name, value, walk, nesting)
    _check_growth(kind, result)
    return result


def _setting(kind: str, name: str, value: Any, walk: Walk, nesting: int) -> Any:
    match name:
        case "name":
            return clean_name(value)
        case "dtype":
            return clean_number_type(value) if kind == "InputLayer" else _policy(value)
        case "activation" | "recurrent_activation":
            return _activation(value, walk, nesting)
        case "layer" | "backward_layer":
            return None if value is None else _layer(value, walk, nesting + 1)
        case "layers":
            return _layers(value, walk, nesting)
        case "axis" if kind == "BatchNormalization" or walk.legacy:
            return _axis(value)
        # The file's weights replace the initial ones; the rest is for training.
        case _ if name.endswith("_initializer"):
            return "zeros"
        case _ if name.endswith(("_regularizer", "_constraint")):
            return None
        case "seed":
            return 0
        case "interpolation" if value in ("gaussian", "mitchellcubic"):
            raise refusal("interpolation")
        # Unrolled or not, the numbers are the same; unrolled, a long sequence never ends.
        case "unroll":
            return False
    return clean_value(name, value)


def _layers(value: Any, walk: Walk, nesting: int) -> list[Json]:
    if not isinstance(value, list):
        raise refusal("odd-config")
    return [_layer(layer, walk, nesting + 1) for layer in value]


def _axis(value: Any) -> Any:
    """An axis; Keras 2 wrote a list of one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return clean_value("axis", value)


def _activation(value: Any, walk: Walk, nesting: int) -> Any:
    match value:
        case None:
            return None
        case str():
            name = value
        # Also in a file of Keras 3 that such a model was saved in.
        case {"class_name": "function", "config": "cnnviz>keras2_hard_sigmoid"}:
            return dict(HARD_SIGMOID)
        case {"class_name": "PReLU"}:
            raise refusal("weights-of-an-activation")
        case {"class_name": str(kind)} if kind in ACTIVATION_LAYERS:
            return _layer(value, walk, nesting + 1)
        case {"class_name": "function", "config": str(name), "module": str(module)} if (
            module == "builtins" or _is_of_keras(module)
        ) and value.get("registered_name") in (None, name):
            pass
        case {"class_name": "__lambda__"}:
            raise refusal("lambda-code")
        case _:
            raise refusal("function-reference")
    if name not in ACTIVATIONS:
        raise refusal("unknown-activation")
    return name


def _policy(value: Any) -> str | None:
    """The name of a dtype policy, which is all that is kept of one."""
    match value:
        case None:
            return None
        case {"class_name": str(), "config": {"name": str(name)}} | str(name):
            if name in POLICIES:
                return name
    raise refusal("dtype-policy")


def _check_growth(kind: str, settings: Json) -> None:
    """Refuses layers that multiply the sides of a picture by more than any network does."""
    name = GROWING.get(kind)
    if name and _largest(settings.get(name)) > MAX_GROWTH:
        raise refusal("huge-number")


def _least_parameters(kind: str, settings: Mapping[str, Any]) -> int:
    """A lower bound on the number of weights of a layer, whatever its input."""

    def size(name: str) -> int:
        value = settings.get(name)
        return value if isinstance(value, int) and value > 0 else 1

    window = math.prod(_sides(kind, settings.get("kernel_size")))
    match kind:
        case "Dense":
            return size("units")
        case "Embedding":
            return size("input_dim") * size("output_dim")
        case "LSTM" | "GRU" | "SimpleRNN":
            return {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[kind] * size("units") ** 2
        case "MultiHeadAttention":
            return 3 * size("num_heads") * size("key_dim")
        case "DepthwiseConv1D" | "DepthwiseConv2D":
            return window * size("depth_multiplier")
        case "SeparableConv1D" | "SeparableConv2D":
            return window * size("depth_multiplier") + size("filters")
        case "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D":
            return 4 * window * size("filters") ** 2
        case _ if kind.startswith("Conv"):
            return window * size("filters")
    return 0


def _sides(kind: str, value: Any) -> list[int]:
    """The sides of a kernel: `3` of a Conv2D is `[3, 3]`."""
    if isinstance(value, int):
        value = [value] * next((int(digit) for digit in kind if digit.isdigit()), 1)
    if not isinstance(value, list):
        return []
    return [side for side in value if isinstance(side, int) and side > 0]


def _largest(value: Any) -> float:
    if isinstance(value, list):
        return max((_largest(inner) for inner in value), default=0)
    return value if isinstance(value, int | float) else 0
