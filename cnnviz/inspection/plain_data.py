"""Plain data in a model's description: numbers, texts, shapes and constants within their limits."""

from __future__ import annotations

import math
from typing import Any, Final

from cnnviz.inspection.kinds import FORBIDDEN, NUMBERS
from cnnviz.inspection.limits import (
    MAX_BY_NAME,
    MAX_FLOAT,
    MAX_LAYERS,
    MAX_NUMBER,
    MAX_TEXT,
    MAX_VALUES_OF_A_SHAPE,
    SHAPES,
)
from cnnviz.inspection.refusals import refusal

Json = dict[str, Any]

# The index that takes a whole axis, as Keras 3 writes it: that of ``x[:]``.
WHOLE_AXIS: Final = {
    "class_name": "__slice__",
    "config": {"start": None, "stop": None, "step": None},
}


def clean_number_type(value: Any) -> str | None:
    """The name of a type of numbers, such as ``float32``, or None.

    Raises:
        RefusedModelError: it is another text, or no text.
    """
    if value is None or (isinstance(value, str) and value in NUMBERS):
        return value
    raise refusal("dtype-policy")


def clean_value(name: str, value: Any) -> Any:
    """Plain data: numbers within their limits, short texts, lists, dictionaries, constants.

    Args:
        name: the name that the description gives the value; it decides which limit holds.
        value: the value.

    Raises:
        RefusedModelError: a part of it is something else, or beyond its limit.
    """
    match value:
        case None | bool():
            return value
        case int() | float():
            return _number(name, value)
        case str():
            return clean_number_type(value) if name == "dtype" else clean_text(value)
        case list() if name in SHAPES:
            return clean_shape(name, value)
        case list():
            return [clean_value(name, inner) for inner in value]
        case {"class_name": kind}:
            return _constant(kind, value)
        case dict():
            return {clean_text(key): clean_value(key, inner) for key, inner in value.items()}
    raise refusal("odd-config")


def _number(name: str, value: float) -> float:
    if isinstance(value, float) and name not in MAX_BY_NAME:
        limit = MAX_FLOAT
    else:
        limit = MAX_BY_NAME.get(name, MAX_NUMBER)
    if abs(value) > limit:
        raise refusal("huge-number")
    return value


def clean_shape(name: str, value: Any) -> list[int | None]:
    """A list of sizes, with None where the size is free.

    Raises:
        RefusedModelError: it is something else, or its product is too many values.
    """
    if not isinstance(value, list) or not all(side is None or is_whole(side) for side in value):
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
            content: Json = {"value": _numbers(numbers), "dtype": clean_number_type(dtype)}
        case "__slice__", {"start": start, "stop": stop, "step": step}:
            content = {
                key: None if end is None else _whole(end)
                for key, end in (("start", start), ("stop", stop), ("step", step))
            }
        case "__ellipsis__", {}:
            content = {}
        case "__keras_tensor__", {
            "shape": sides,
            "dtype": dtype,
            "keras_history": [_, _, _] as history,
        }:
            check_reference(history, {history[0]} if isinstance(history[0], str) else set())
            content = {
                "shape": clean_shape("shape", sides),
                "dtype": clean_number_type(dtype),
                "keras_history": list(history),
            }
        case _:
            raise refusal("unknown-object")
    return {"class_name": kind, "config": content}


def check_reference(reference: list[Any], names: set[str]) -> None:
    """Checks a reference to the output of a call: ``[layer, call, output, …]``.

    Raises:
        RefusedModelError: it does not begin with one of the layer names and two indices.
    """
    name, *numbers = reference[:3]
    if not isinstance(name, str) or name not in names:
        raise refusal("broken-graph")
    if not all(is_whole(number) and 0 <= number <= MAX_LAYERS for number in numbers):
        raise refusal("broken-graph")


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    if isinstance(value, bool | int | float):
        return _number("", value)
    raise refusal("unknown-object")


def _whole(value: Any) -> int:
    if not is_whole(value):
        raise refusal("odd-config")
    return int(_number("", value))


def is_whole(value: Any) -> bool:
    """Whether a value is an integer and not a truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def clean_text(value: Any) -> str:
    """A short printable text.

    Raises:
        RefusedModelError: it is something else.
    """
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise refusal("odd-text")
    return value


def clean_name(value: Any) -> str:
    """The name of a layer: Keras does not allow a slash in it.

    Raises:
        RefusedModelError: it is not a short printable text without a slash.
    """
    if not isinstance(value, str) or not value or "/" in value:
        raise refusal("odd-name")
    if len(value) > MAX_TEXT or not value.isprintable():
        raise refusal("odd-name")
    return value
