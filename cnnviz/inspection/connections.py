"""How the layers of a functional model are connected: calls, inputs and outputs."""

from __future__ import annotations

from typing import Any

from cnnviz.inspection.kinds import MODELS
from cnnviz.inspection.plain_data import Json, check_reference, clean_text, clean_value
from cnnviz.inspection.refusals import refusal


def clean_calls(node: Json, names: set[str]) -> list[Any]:
    """Where each call of a layer takes its input from, in the style of Keras 3 or of Keras 2.

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


def _call(call: Any, names: set[str]) -> Any:
    # Keras would run a call without any tensor at once, while it loads the model.
    if isinstance(call, list) and call:
        return [_source(source, names) for source in call]
    if not isinstance(call, dict) or call.keys() != {"args", "kwargs"}:
        raise refusal("broken-graph")
    args, kwargs = clean_value("args", call["args"]), clean_value("kwargs", call["kwargs"])
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise refusal("broken-graph")
    sources = _tensors([args, kwargs])
    if not sources or not names.issuperset(sources):
        raise refusal("broken-graph")
    return {"args": args, "kwargs": kwargs}


def _source(source: Any, names: set[str]) -> list[Any]:
    """Keras 2's ``[layer, call, output, settings of the call]``."""
    if not isinstance(source, list) or len(source) not in {3, 4}:
        raise refusal("broken-graph")
    check_reference(source, names)
    settings = clean_value("kwargs", source[3]) if len(source) == 4 else {}
    if not isinstance(settings, dict):
        raise refusal("broken-graph")
    return [*source[:3], settings]


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


def single_end(ends: Any) -> Any:
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


def renumber(layers: list[Json], outputs: Any) -> None:
    """Counts the calls of a model inside a model as Keras 3 does.

    Keras 2 counted a nested model's own input as its call 0. Keras 3 does not, except that an
    output of the whole model which is a functional model still counts from 1. The references in
    ``layers`` and ``outputs`` are changed in place.

    Raises:
        RefusedModelError: a number would be negative.
    """
    sources = [
        source
        for layer in layers
        for call in layer["inbound_nodes"]
        if isinstance(call, list)
        for source in call
    ]
    references = _references(outputs)
    for layer in layers:
        if layer["class_name"] not in MODELS:
            continue
        used = [source for source in sources if source[0] == layer["name"]]
        ends = [reference for reference in references if reference[0] == layer["name"]]
        last = max((reference[1] for reference in used + ends), default=0)
        if last < len(layer["inbound_nodes"]):
            continue
        for reference in used + (ends if layer["class_name"] == "Sequential" else []):
            reference[1] -= 1
            if reference[1] < 0:
                raise refusal("broken-graph")


def _references(ends: Any) -> list[list[Any]]:
    match ends:
        case [str(), _, _]:
            return [ends]
        case list():
            return [reference for end in ends for reference in _references(end)]
        case dict():
            return [reference for end in ends.values() for reference in _references(end)]
    return []
