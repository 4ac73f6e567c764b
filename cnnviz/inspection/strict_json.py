"""JSON as Keras writes it; all else that a parser would accept is refused."""

from __future__ import annotations

import json
import math
from typing import Any

from cnnviz.inspection.limits import MAX_DEPTH, MAX_FLOAT, MAX_JSON_BYTES, MAX_VALUES
from cnnviz.inspection.refusals import refusal, refusing

_MAX_DIGITS = 20  # of an integer: the identity of a shared object has 15


def parse(data: bytes | str) -> dict[str, Any]:
    """One JSON object of bounded size and depth, with finite numbers and no key twice.

    Raises:
        RefusedModelError: it is something else.
    """
    if len(data) > MAX_JSON_BYTES:
        raise refusal("too-long")
    with refusing("damaged-config"):
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        try:
            value = json.loads(
                text,
                object_pairs_hook=_object,
                parse_constant=_constant,
                parse_int=_integer,
                parse_float=_float,
            )
        except RecursionError:
            raise refusal("too-deep") from None
    if not isinstance(value, dict):
        raise refusal("damaged-config")
    _measure(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise refusal("duplicate-key")
    return result


def _constant(_: str) -> float:
    raise refusal("not-a-number")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise refusal("huge-number")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise refusal("not-a-number")
    if abs(value) > MAX_FLOAT:
        raise refusal("huge-number")
    return value


def _measure(value: Any) -> None:
    """Checks the number of values and levels, without recursion."""
    level, depth, count = [value], 0, 0
    while level:
        depth += 1
        count += len(level)
        if depth > MAX_DEPTH:
            raise refusal("too-deep")
        if count > MAX_VALUES:
            raise refusal("too-long")
        level = [inner for outer in level for inner in _children(outer)]


def _children(value: Any) -> list[Any]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
    return []
