"""Rewrite a model's description with nothing in it but layers of the list and plain data.

The result is built anew, value by value; what is not understood is refused, so that nothing
reaches Keras unseen. Both formats come out as Keras 3 writes them: a layer names its module, and
small differences of Keras 2 are levelled.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cnnviz.inspection.kinds import (
    ACTIVATION_LAYERS,
    ACTIVATIONS,
    FORBIDDEN,
    FORGOTTEN,
    FORGOTTEN_BY_KIND,
    LAYERS,
    MODELS,
    NUMBERS,
    OPERATIONS,
    POLICIES,
)
from cnnviz.inspection.limits import (
    GROWING,
    MAX_BY_NAME,
    MAX_FLOAT,
    MAX_GROWTH,
    MAX_LAYERS,
    MAX_NESTING,
    MAX_NUMBER,
    MAX_STACK,
    MAX_TEXT,
    MAX_VALUES_OF_A_SHAPE,
    SHAPES,
)
from cnnviz.inspection.refusals import refusal

Json = dict[str, Any]


@dataclass
class Walk:
    """What a walk over one description keeps in mind.

    Attributes:
        legacy: the description comes from an HDF5 file, where layers do not name their module.
        kinds: how many layers there are of each kind.
        parameters: the number of weights that the layers declare at least.
        shared: objects that the description uses in several places, by the name they have there:
            their new name and their kind.
    """

    legacy: bool
    kinds: Counter[str] = field(default_factory=Counter)
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


# --- Layers -----------------------------------------------------------------------------------


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
    found = allowed.get(name)
    if found is None:
        raise refusal("unknown-class")
    return name, found


def _is_of_keras(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] in {"keras", "tf_keras"}


def _is_operation(node: Json) -> bool:
    """Tells the operation `Add` from the layer `Add`."""
    if "module" in node:
        return ".ops." in f"{node['module']}."
    # Every layer says whether it is trainable; an operation has nothing to train.
    config = node.get("config")
    return (
        node["class_name"] in OPERATIONS and isinstance(config, dict) and "trainable" not in config
    )


def _layer(node: Json, walk: Walk, nesting: int) -> Json:
    kind, module = _identify(node, walk)
    if nesting > MAX_NESTING:
        raise refusal("too-deep")
    result: Json = {"module": module, "class_name": kind, "registered_name": None}
    known = _shared_id(node, kind, walk, result)
    config = node.get("config")
    if kind == "Sequential":
        result["config"] = _sequential(config, walk, nesting)
    elif kind in MODELS:
        result["config"] = _functional(config, walk, nesting)
    elif _is_operation(node):
        result["config"] = _settings(kind, config, walk, nesting, operation=True)
    else:
        result["config"] = _settings(kind, config, walk, nesting, operation=False)
        if not known:
            walk.parameters += _least_parameters(kind, result["config"])
    walk.kinds[kind] += 1
    if walk.kinds.total() > MAX_LAYERS:
        raise refusal("too-many-layers")
    return result


def _shared_id(node: Json, kind: str, walk: Walk, result: Json) -> bool:
    """Renames the mark of an object that is used in several places; whether it came before."""
    mark = node.get("shared_object_id")
    if mark is None:
        return False
    if not _is_whole(mark):
        raise refusal("odd-config")
    known = mark in walk.shared
    number, kind_before = walk.shared.setdefault(mark, (len(walk.shared) + 1, kind))
    if kind != kind_before:
        raise refusal("odd-config")
    result["shared_object_id"] = number
    return known


def _sequential(config: Any, walk: Walk, nesting: int) -> Json:
    # Keras 2.0 wrote the list alone.
    if isinstance(config, list):
        config = {"name": "sequential", "layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise refusal("odd-config")
    if len(config["layers"]) > MAX_STACK:
        raise refusal("too-many-layers")
    layers = [_layer(layer, walk, nesting + 1) for layer in config["layers"]]
    if layers and layers[0]["class_name"] != "InputLayer":
        layers[:0] = _input_of_keras_2(config["layers"][0])
    result: Json = {"name": _name(config.get("name")), "layers": layers}
    if config.get("build_input_shape") is not None:
        result["build_input_shape"] = _shape("build_input_shape", config["build_input_shape"])
    return result


def _input_of_keras_2(first: Json) -> list[Json]:
    """The input layer that Keras 2 left out when the first layer told the shape."""
    config = first["config"]
    if not isinstance(config, dict) or config.get("batch_input_shape") is None:
        return []
    shape = _shape("batch_shape", config["batch_input_shape"])
    return [
        {
            "module": LAYERS["InputLayer"],
            "class_name": "InputLayer",
            "config": {"batch_shape": shape, "dtype": "float32", "name": "input_layer"},
            "registered_name": None,
        }
    ]


def _functional(config: Any, walk: Walk, nesting: int) -> Json:
    if not isinstance(config, dict):
        raise refusal("odd-config")
    if not {"layers", "input_layers", "output_layers"} <= config.keys():
        # A class of its own that only calls itself a model.
        raise refusal("custom-object")
    nodes = config["layers"]
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise refusal("odd-config")
    names = [_name(node.get("name")) for node in nodes]
    if len(set(names)) < len(names):
        raise refusal("broken-graph")
    layers = []
    for node in nodes:
        layer = _layer(node, walk, nesting + 1)
        layers.append(layer | {"name": node["name"], "inbound_nodes": _calls(node, set(names))})
    ends = {key: _ends(config[key], set(names)) for key in ("input_layers", "output_layers")}
    if any(isinstance(call, list) for layer in layers for call in layer["inbound_nodes"]):
        ends = {key: _alone(end) for key, end in ends.items()}
        _renumber(layers, ends["output_layers"])
    result: Json = {"name": _name(config.get("name")), "layers": layers, **ends}
    if isinstance(config.get("trainable"), bool):
        result["trainable"] = config["trainable"]
    return result


# --- The graph of a functional model ----------------------------------------------------------


def _calls(node: Json, names: set[str]) -> list[Any]:
    """Where each call of a layer takes its input from, in the style of Keras 3 or of Keras 2."""
    calls = node.get("inbound_nodes")
    if not isinstance(calls, list):
        raise refusal("broken-graph")
    return [_call(call, names) for call in calls]


def _call(call: Any, names: set[str]) -> Any:
    if isinstance(call, list):
        return [_source(source, names) for source in call]
    if not isinstance(call, dict) or call.keys() != {"args", "kwargs"}:
        raise refusal("broken-graph")
    args, kwargs = _value("args", call["args"]), _value("kwargs", call["kwargs"])
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise refusal("broken-graph")
    for name in _tensors([args, kwargs]):
        if name not in names:
            raise refusal("broken-graph")
    return {"args": args, "kwargs": kwargs}


def _source(source: Any, names: set[str]) -> list[Any]:
    """Keras 2's ``[layer, call, output, settings of the call]``."""
    if not isinstance(source, list) or len(source) not in {3, 4}:
        raise refusal("broken-graph")
    _check_place(source, names)
    settings = _value("kwargs", source[3]) if len(source) == 4 else {}
    if not isinstance(settings, dict):
        raise refusal("broken-graph")
    return [*source[:3], settings]


def _check_place(place: list[Any], names: set[str]) -> None:
    name, *numbers = place[:3]
    if not isinstance(name, str) or name not in names:
        raise refusal("broken-graph")
    if not all(_is_whole(number) and 0 <= number <= MAX_LAYERS for number in numbers):
        raise refusal("broken-graph")


def _ends(ends: Any, names: set[str]) -> Any:
    """The inputs or outputs of a model: ``[layer, call, output]`` in lists and dictionaries."""
    match ends:
        case [str(), _, _]:
            _check_place(ends, names)
            return list(ends)
        case list():
            return [_ends(end, names) for end in ends]
        case dict() if "class_name" not in ends:
            return {_text(key): _ends(end, names) for key, end in ends.items()}
    raise refusal("broken-graph")


def _alone(ends: Any) -> Any:
    """Takes the one input or output of a model out of its list, where Keras 2 put it."""
    match ends:
        case [[str(), _, _]]:
            return ends[0]
    return ends


def _tensors(value: Any) -> list[str]:
    """The layers whose outputs occur in the arguments of a call."""
    if isinstance(value, list):
        return [name for inner in value for name in _tensors(inner)]
    if not isinstance(value, dict):
        return []
    if value.get("class_name") == "__keras_tensor__":
        return [value["config"]["keras_history"][0]]
    return [name for inner in value.values() for name in _tensors(inner)]


def _renumber(layers: list[Json], outputs: Any) -> None:
    """Counts the calls of a model inside a model as Keras 3 does.

    Keras 2 counted a nested model's own input as its call 0. Keras 3 does not, except that an
    output of the whole model which is a functional model still counts from 1.
    """
    sources = [
        source
        for layer in layers
        for call in layer["inbound_nodes"]
        if isinstance(call, list)
        for source in call
    ]
    places = _places(outputs)
    for layer in layers:
        if layer["class_name"] not in MODELS:
            continue
        used = [source for source in sources if source[0] == layer["name"]]
        ends = [place for place in places if place[0] == layer["name"]]
        last = max((place[1] for place in used + ends), default=0)
        if last < len(layer["inbound_nodes"]):
            continue
        for place in used + (ends if layer["class_name"] == "Sequential" else []):
            place[1] -= 1
            if place[1] < 0:
                raise refusal("broken-graph")


def _places(ends: Any) -> list[list[Any]]:
    match ends:
        case [str(), _, _]:
            return [ends]
        case list():
            return [place for end in ends for place in _places(end)]
        case dict():
            return [place for end in ends.values() for place in _places(end)]
    return []


# --- The settings of one layer ----------------------------------------------------------------


def _settings(kind: str, config: Any, walk: Walk, nesting: int, *, operation: bool) -> Json:
    # Settings that look like an object could be taken for one.
    if not isinstance(config, dict) or "class_name" in config:
        raise refusal("odd-config")
    if kind == "InputLayer" and "batch_input_shape" in config:
        config = {"batch_shape": config["batch_input_shape"], **config}
    forgotten = FORGOTTEN | FORGOTTEN_BY_KIND.get(kind, frozenset())
    if kind in {"LSTM", "GRU", "SimpleRNN"} and config.get("time_major") is False:
        forgotten |= {"time_major"}
    result: Json = {}
    for name, value in config.items():
        if name in forgotten:
            continue
        if operation:
            result[_text(name)] = _value(name, value)
        else:
            result[_text(name)] = _setting(kind, name, value, walk, nesting)
    _check_growth(kind, result)
    return result


def _setting(kind: str, name: str, value: Any, walk: Walk, nesting: int) -> Any:
    match name:
        case "name":
            return _name(value)
        case "dtype":
            return _number_type(value) if kind == "InputLayer" else _policy(value)
        case "activation" | "recurrent_activation":
            return _activation(value, walk, nesting)
        case "layer" | "backward_layer":
            return None if value is None else _layer(value, walk, nesting + 1)
        case "layers":
            return _layers(value, walk, nesting)
        case "axis" if kind == "BatchNormalization" or walk.legacy:
            return _axis(value)
        # The file's weights replace what an initializer makes; the rest is for training.
        case _ if name.endswith("_initializer"):
            return "zeros"
        case _ if name.endswith(("_regularizer", "_constraint")):
            return None
        case "seed":
            return 0
        # Unrolled or not, the numbers are the same; unrolled, a long sequence never ends.
        case "unroll":
            return False
    return _value(name, value)


def _layers(value: Any, walk: Walk, nesting: int) -> list[Json]:
    if not isinstance(value, list):
        raise refusal("odd-config")
    return [_layer(layer, walk, nesting + 1) for layer in value]


def _axis(value: Any) -> Any:
    """An axis; Keras 2 wrote a list of one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return _value("axis", value)


def _activation(value: Any, walk: Walk, nesting: int) -> Any:
    match value:
        case None:
            return None
        case str():
            name = value
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


def _number_type(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value in NUMBERS):
        return value
    raise refusal("dtype-policy")


def _check_growth(kind: str, settings: Json) -> None:
    """Refuses what multiplies the sides of a picture by more than any network does."""
    name = GROWING.get(kind)
    if name and _largest(settings.get(name)) > MAX_GROWTH:
        raise refusal("huge-number")


def _least_parameters(kind: str, settings: Mapping[str, Any]) -> int:
    """How many weights a layer of these settings has, whatever its input: a lower bound."""

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


# --- Plain data -------------------------------------------------------------------------------


def _value(name: str, value: Any) -> Any:
    """Plain data: numbers within their limits, short texts, lists, dictionaries, constants."""
    match value:
        case None | bool():
            return value
        case int() | float():
            return _number(name, value)
        case str():
            return _number_type(value) if name == "dtype" else _text(value)
        case list() if name in SHAPES:
            return _shape(name, value)
        case list():
            return [_value(name, inner) for inner in value]
        case {"class_name": kind}:
            return _constant(kind, value)
        case dict():
            return {_text(key): _value(key, inner) for key, inner in value.items()}
    raise refusal("odd-config")


def _number(name: str, value: float) -> float:
    if isinstance(value, float) and name not in MAX_BY_NAME:
        limit = MAX_FLOAT
    else:
        limit = MAX_BY_NAME.get(name, MAX_NUMBER)
    if abs(value) > limit:
        raise refusal("huge-number")
    return value


def _shape(name: str, value: Any) -> list[int | None]:
    """A list of sizes, with None where the size is free."""
    if not isinstance(value, list) or not all(side is None or _is_whole(side) for side in value):
        raise refusal("odd-config")
    sides = [None if side is None else int(_number(name, side)) for side in value]
    if math.prod(abs(side) for side in sides if side) > MAX_VALUES_OF_A_SHAPE:
        raise refusal("huge-shape")
    return sides


def _constant(kind: Any, value: Json) -> Json:
    """What Keras writes for an array, a slice or a tensor among the arguments of a call."""
    config = value.get("config")
    if kind in ("__lambda__", "function"):
        raise refusal(FORBIDDEN[kind])
    match kind, config:
        case "__numpy__" | "__tensor__", {"value": numbers, "dtype": str(dtype)}:
            content: Json = {"value": _numbers(numbers), "dtype": _number_type(dtype)}
        case "__slice__", {"start": start, "stop": stop, "step": step}:
            content = {
                key: None if end is None else _whole(end)
                for key, end in (("start", start), ("stop", stop), ("step", step))
            }
        case "__ellipsis__", {}:
            content = {}
        case "__keras_tensor__", {
            "shape": shape,
            "dtype": dtype,
            "keras_history": [_, _, _] as history,
        }:
            _check_place(history, {history[0]} if isinstance(history[0], str) else set())
            content = {
                "shape": _shape("shape", shape),
                "dtype": _number_type(dtype),
                "keras_history": list(history),
            }
        case _:
            raise refusal("unknown-object")
    return {"class_name": kind, "config": content}


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    if isinstance(value, bool | int | float):
        return _number("", value)
    raise refusal("unknown-object")


def _whole(value: Any) -> int:
    if not _is_whole(value):
        raise refusal("odd-config")
    return int(_number("", value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _largest(value: Any) -> float:
    if isinstance(value, list):
        return max((_largest(inner) for inner in value), default=0)
    return value if isinstance(value, int | float) else 0


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise refusal("odd-text")
    return value


def _name(value: Any) -> str:
    """The name of a layer: Keras does not allow a slash in it."""
    if not isinstance(value, str) or not value or "/" in value:
        raise refusal("odd-name")
    if len(value) > MAX_TEXT or not value.isprintable():
        raise refusal("odd-name")
    return value
