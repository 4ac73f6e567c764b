"""TensorFlow functions that a Keras 2 model calls between its layers, as operations of Keras 3.

Keras 2 made a layer of every such call (``x / 255``, ``x[..., ::-1]``, ``tf.nn.relu(x)``) and wrote
the name of the function. A function without a rule in `keras2_functions` is refused.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cnnviz.errors import RefusedModelError
from cnnviz.inspection.keras2_calls import constant
from cnnviz.inspection.keras2_functions import RULES, Rule
from cnnviz.inspection.keras2_ranks import highest
from cnnviz.inspection.kinds import LAYERS, OPERATIONS
from cnnviz.inspection.limits import MAX_RANK
from cnnviz.inspection.plain_data import WHOLE_AXIS, Json, is_whole
from cnnviz.inspection.refusals import refusal

FUNCTION_LAYERS: Final = frozenset({"TFOpLambda", "SlicingOpLambda"})

# Operations whose first argument is a list of tensors.
_OF_LISTS: Final = frozenset({"Concatenate", "Stack"})


class _NoCounterpartError(Exception):
    """No operation computes what a call asks for."""


def operation(
    node: Json,
    calls: list[Any],
    ranks: Sequence[int | None],
    note: Callable[[str], None],
) -> tuple[Json, int | None]:
    """The layer of a TensorFlow function as an operation, and the rank of its output.

    Args:
        node: the description of the layer.
        calls: its calls, in the style of Keras 3.
        ranks: of the tensors that it is called with.
        note: takes a sentence on what was changed.

    Raises:
        RefusedModelError: no operation computes the same.
    """
    match node:
        case {"config": {"function": str(function)}}:
            pass
        case _:
            raise refusal("tf-operation")
    rule = RULES.get(function)
    try:
        # Keras 2 made a layer for each call.
        if rule is None or len(calls) != 1:
            raise _NoCounterpartError
        kind, config, arguments = _computing(rule, calls[0], ranks)
    except _NoCounterpartError:
        raise _refusal(function) from None
    note(f"tf.{function} became the {'layer' if rule.of_layer else 'operation'} {kind}.")
    result = {
        "module": (LAYERS if rule.of_layer else OPERATIONS)[kind],
        "class_name": kind,
        "config": {"name": node["name"], **config},
        "registered_name": None,
        "name": node["name"],
        "inbound_nodes": [{"args": arguments, "kwargs": {}}],
    }
    return result, _output_rank(rule, arguments, ranks)


def _refusal(function: str) -> RefusedModelError:
    """Names the function, if the text can be the name of one."""
    is_name = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]{0,49}", function)
    return refusal("tf-operation", function=f"tf.{function}" if is_name else "")


def _computing(rule: Rule, call: Json, ranks: Sequence[int | None]) -> tuple[str, Json, list[Any]]:
    """The class of the operation, its settings, and the arguments of its call."""
    match call:
        case {"args": [first], "kwargs": dict(settings)}:
            pass
        case _:
            raise _NoCounterpartError
    given = {
        name: value for name, value in settings.items() if name != "name" and value is not None
    }
    arguments = [_first(first, rule)]
    for name in rule.operands:
        if name not in given:
            raise _NoCounterpartError
        value = given.pop(name)
        arguments.append(_key(value, ranks) if rule.kind == "GetItem" else _operand(value, rule))
    config = dict(rule.fixed)
    for name, value in given.items():
        if name in rule.settings:
            setting = rule.settings[name]
            config[setting] = _CONVERTED.get(setting, _plain)(value)
        elif name not in rule.neutral or value != rule.neutral[name]:
            raise _NoCounterpartError
    if rule.kind == "Matmul":
        return _product(config, arguments)
    return rule.kind, config, arguments


def _output_rank(rule: Rule, arguments: list[Any], ranks: Sequence[int | None]) -> int | None:
    if rule.same_rank:
        return highest([*ranks, *map(_depth, arguments)])
    rank = ranks[0] if len(ranks) == 1 else None
    if rule.kind == "GetItem" and rank is not None:
        key = arguments[1]
        return rank - sum(map(is_whole, key)) + key.count(None)
    return None


def _depth(argument: Any) -> int:
    """How many axes a constant has; 0 for a tensor, whose rank is known otherwise."""
    depth = 0
    match argument:
        case {"class_name": "__numpy__", "config": {"value": value}}:
            while isinstance(value, list):
                depth, value = depth + 1, next(iter(value), None)
    return depth


# --- Arguments ----------------------------------------------------------------------------------


def _first(value: Any, rule: Rule) -> Any:
    """The first argument, which is a list for some operations."""
    if rule.kind in _OF_LISTS or rule.of_layer:
        return [_operand(inner, rule) for inner in (value if isinstance(value, list) else [value])]
    return _operand(value, rule)


def _operand(value: Any, rule: Rule) -> Any:
    """A tensor or a constant."""
    match value:
        case bool():
            raise _NoCounterpartError
        case int() | float() | {"class_name": "__keras_tensor__" | "__numpy__"}:
            return value
        case list() if not _holds_tensors(value):
            return constant(value, rule.constants)
    raise _NoCounterpartError


def _holds_tensors(value: list[Any]) -> bool:
    return any(
        _holds_tensors(inner) if isinstance(inner, list) else isinstance(inner, dict)
        for inner in value
    )


def _key(spec: Any, ranks: Sequence[int | None]) -> list[Any]:
    """What ``x[...]`` holds, with whole slices in place of an ellipsis.

    Keras 3 cannot read an ellipsis from an HDF5 file.
    """
    parts = spec if isinstance(spec, list) else [spec]
    key: list[Any] = []
    for position, part in enumerate(parts):
        match part:
            case None:
                key.append(None)
            case int() if is_whole(part):
                key.append(part)
            case {"class_name": "__ellipsis__"}:
                key += [WHOLE_AXIS] * _axes_left(parts, position, ranks)
            case {"start": start, "stop": stop, "step": step} if all(
                end is None or is_whole(end) for end in (start, stop, step)
            ):
                ends = {"start": start, "stop": stop, "step": step}
                key.append({"class_name": "__slice__", "config": ends})
            case _:
                raise _NoCounterpartError
    return key or [WHOLE_AXIS]


def _axes_left(parts: list[Any], position: int, ranks: Sequence[int | None]) -> int:
    """How many axes the ellipsis at a position stands for."""
    others = [part for index, part in enumerate(parts) if index != position]
    if any(isinstance(part, dict) and "class_name" in part for part in others):
        raise _NoCounterpartError  # another ellipsis
    if position == len(parts) - 1:
        return 0  # the axes after the last index are whole anyway
    rank = ranks[0] if len(ranks) == 1 else None
    used = sum(part is not None for part in others)
    if rank is None or not used <= rank <= MAX_RANK:
        raise _NoCounterpartError
    return rank - used


# --- Settings -----------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """A number, a text or a list of these."""
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, bool | int | float | str):
        return value
    raise _NoCounterpartError


def _scalar(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise _NoCounterpartError


def _one_of(*texts: str) -> Callable[[Any], str]:
    """A text in lower case; TensorFlow writes some in capitals."""

    def chosen(value: Any) -> str:
        if isinstance(value, str) and value.lower() in texts:
            return value.lower()
        raise _NoCounterpartError

    return chosen


def _sides(value: Any) -> Any:
    """The height and width of a window, which TensorFlow also writes as ``[1, h, w, 1]``."""
    match value:
        case [1, height, width, 1]:
            return _plain([height, width])
        case [side]:
            return _plain(side)
        case int() | [_, _]:
            return _plain(value)
    raise _NoCounterpartError


def _ends_of_parts(value: Any) -> Any:
    """Where to split: TensorFlow writes the sizes of the parts, Keras where each one ends."""
    if is_whole(value):
        return value
    if isinstance(value, list) and all(is_whole(size) and size >= 0 for size in value):
        return list(itertools.accumulate(value))[:-1]
    raise _NoCounterpartError


def _least_norm(value: Any) -> float:
    """TensorFlow's epsilon is the least square of the norm, that of Keras the least norm."""
    return math.sqrt(max(_scalar(value), 0))


# Settings of operations that TensorFlow writes in another way.
_CONVERTED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "padding": _one_of("valid", "same"),
    "mode": _one_of("constant", "reflect", "symmetric"),
    "interpolation": _one_of("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5"),
    "pool_size": _sides,
    "strides": _sides,
    "indices_or_sections": _ends_of_parts,
    "epsilon": _least_norm,
    "x_min": _scalar,
    "x_max": _scalar,
}


def _product(config: Json, arguments: list[Any]) -> tuple[str, Json, list[Any]]:
    """A product of matrices, as an Einstein sum where one of them is transposed."""
    first = "ji" if config.get("transpose_a") else "ij"
    second = "kj" if config.get("transpose_b") else "jk"
    if (first, second) == ("ij", "jk"):
        return "Matmul", {}, arguments
    return "Einsum", {"subscripts": f"...{first},...{second}->...ik"}, arguments
