"""Reads the topology of a network from its recorded calls."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from cnnviz.networks.topology import Node, Topology
from cnnviz.networks.tracing import Call

# The settings that are kept, by the names of Keras's attributes.
_SETTINGS = (
    "alpha",
    "approximate",
    "axes",
    "axis",
    "axis1",
    "axis2",
    "compute_dtype",
    "cropping",
    "data_format",
    "depth_multiplier",
    "destination",
    "dilation_rate",
    "dims",
    "epsilon",
    "groups",
    "interpolation",
    "invert",
    "kernel_size",
    "max_value",
    "negative_slope",
    "offset",
    "padding",
    "pool_size",
    "rms_scaling",
    "scale",
    "shared_axes",
    "size",
    "source",
    "strides",
    "threshold",
)
# Larger constants are not kept: a network has its weights in layers.
_MOST_CONSTANTS = 4096


def read_topology(calls: list[Call]) -> Topology:
    """The topology of a network whose calls were recorded while it ran on one photo."""
    producers: dict[int, str] = {}
    models = {call.path: call for call in calls if isinstance(call.operation, keras.Model)}
    inner = {path: iter(call.inputs) for path, call in models.items()}
    for call in calls:
        for output in keras.tree.flatten(call.output):
            # In inference mode a dropout returns its input itself: the first one computed it.
            producers.setdefault(id(output), call.path)
    nodes = {}
    for call in calls:
        if call.path in models:
            # The model's output is that of a layer inside it.
            operands = [producers.get(id(each)) for each in keras.tree.flatten(call.output)]
        elif type(call.operation).__name__ == "InputLayer":
            model = call.path.rpartition("/")[0]
            given = next(inner[model], None) if model in inner else None
            operands = [] if given is None else [producers.get(id(given))]
        else:
            arguments = call.arguments or call.inputs
            operands = [
                producers[id(each)] if id(each) in producers else _constant(each)
                for each in arguments
                if _is_operand(each)
            ]
        nodes[call.path] = _node(call, [each for each in operands if each != call.path])
    return Topology(nodes, calls[0].path)


def _node(call: Call, operands: list[Any]) -> Node:
    operation = call.operation
    module = type(operation).__module__
    return Node(
        call.path,
        type(operation).__name__,
        tuple(operands),
        _shape(call),
        call.channels_first,
        _settings(call) if module.partition(".")[0] == "keras" else None,
        isinstance(operation, keras.Model),
    )


def _shape(call: Call) -> tuple[int, ...] | None:
    shape = getattr(call.output, "shape", None)
    if shape is None or len(shape) < 2 or None in tuple(shape):
        return None
    _, *sides = (int(side) for side in shape)
    if call.channels_first and len(sides) == 3:
        return sides[1], sides[2], sides[0]
    return tuple(sides)


def _settings(call: Call) -> dict[str, Any]:
    operation = call.operation
    settings = {name: getattr(operation, name) for name in _SETTINGS if hasattr(operation, name)}
    plain = {name: _plain(value) for name, value in settings.items()}
    if hasattr(operation, "activation"):
        plain["activation"] = _activation(operation.activation)
    if type(operation).__name__ == "GetItem":
        plain["key"] = _key(call.arguments[1:])
    return {name: value for name, value in plain.items() if value is not None}


def _activation(activation: Any) -> dict[str, Any]:
    """An activation's name and settings; of one that is not Keras's own the name is empty."""
    if activation is None:
        return {"kind": "linear"}
    if isinstance(activation, keras.layers.Layer):
        known = type(activation).__module__.partition(".")[0] == "keras"
        settings = {
            name: _plain(getattr(activation, name))
            for name in _SETTINGS
            if hasattr(activation, name)
        }
        return {**settings, "kind": type(activation).__name__.lower() if known else ""}
    name = getattr(activation, "__name__", "")
    known = getattr(activation, "__module__", "").partition(".")[0] in {"keras", "cnnviz"}
    return {"kind": name if known else ""}


def _plain(value: Any) -> Any:
    """A value as JSON has it, None where it has none."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return _constant(value)
    return None


def _key(parts: tuple[Any, ...]) -> list[Any] | None:
    """The key of ``x[key]``: slices as lists, an ellipsis as text; None where it is an array."""
    key: list[Any] = []
    for part in parts:
        if isinstance(part, slice):
            key.append([part.start, part.stop, part.step])
        elif part is Ellipsis:
            key.append("...")
        elif part is None or type(part) is int:
            key.append(part)
        else:
            return None
    return key


def _is_operand(argument: Any) -> bool:
    numeric = isinstance(argument, int | float) and not isinstance(argument, bool)
    return numeric or hasattr(argument, "shape")


def _constant(value: Any) -> Any:
    """A constant as a number or nested lists of numbers, None where it is none or too large."""
    if isinstance(value, int | float):
        return value
    if not isinstance(value, np.ndarray | np.generic) and not hasattr(value, "numpy"):
        return None
    array = np.asarray(value)
    kept = array.size <= _MOST_CONSTANTS and array.dtype.kind in "fiu"
    return array.tolist() if kept else None
