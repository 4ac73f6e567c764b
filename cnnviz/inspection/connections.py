"""How the layers of a functional model are connected: calls, inputs and outputs."""

from __future__ import annotations

from typing import Any

from cnnviz.inspection.plain_data import Json, check_reference, clean_text, clean_value
from cnnviz.inspection.refusals import refusal


def clean_calls(node: Json, names: set[str]) -> list[Any]:
    """Where each call of a layer takes its input from.

    Args:
        node: the description of the layer.
        names: the names of all layers of the model.

    Raises:
        RefusedModelError: a call is not as Keras writes it, or takes its input from nowhere.
    """
    calls = node.get("inbound_nodes")
    if not isinstance(calls, list):
        raise refusal("broken-graph")
    return [_call(call, names) for call in calls]


def _call(call: Any, names: set[str]) -> Json:
    if not isinstance(call, dict) or call.keys() != {"args", "kwargs"}:
        raise refusal("broken-graph")
    args, kwargs = clean_value("args", call["args"]), clean_value("kwargs", call["kwargs"])
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise refusal("broken-graph")
    sources = _tensors([args, kwargs])
    if not sources or not names.issuperset(sources):
        raise refusal("broken-graph")
    return {"args": args, "kwargs": kwargs}


def clean_ends(ends: Any, names: set[str]) -> Any:
    """The inputs or outputs of a model: ``[layer, call, output]`` in lists and dictionaries.

    Raises:
        RefusedModelError: one is something else, or names no layer of the model.
    """
    match ends:
        case [str(), _, _]:
            check_reference(ends, names)
            return list(ends)
        case list():
            return [clean_ends(end, names) for end in ends]
        case dict() if "class_name" not in ends:
            return {clean_text(key): clean_ends(end, names) for key, end in ends.items()}
    raise refusal("broken-graph")


def _tensors(value: Any) -> list[str]:
    """The layers whose outputs occur in the arguments of a call."""
    if isinstance(value, list):
        return [name for inner in value for name in _tensors(inner)]
    if not isinstance(value, dict):
        return []
    if value.get("class_name") == "__keras_tensor__":
        return [value["config"]["keras_history"][0]]
    return [name for inner in value.values() for name in _tensors(inner)]
