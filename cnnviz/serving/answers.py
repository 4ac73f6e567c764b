"""Answers of untrusted processes: JSON and raw arrays, from which only known results are built.

A process that was taken over may send anything. Nothing that it sends is run: a text is parsed as
JSON, arrays are of named types and their sizes are checked first, and each value must fit its
field in the type of the expected result.

An answer is the length of its header (8 bytes), the header (JSON), and the arrays' values.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import struct
import types
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from cnnviz import errors
from cnnviz.arrays import Floats
from cnnviz.errors import CnnvizError, ModelError
from cnnviz.features.objectives import AscentState, PictureCheck
from cnnviz.results import (
    ClassExemplars,
    Exemplars,
    Explanation,
    Filters,
    Outline,
    PartSearch,
    Prediction,
    SeriesPart,
)
from cnnviz.serving.answer_checks import fits_together
from cnnviz.traces import StagedExplanation, ValueTrace

# What each function that can be called returns.
RESULTS: dict[str, Any] = {
    "activations": dict[str, Floats],
    "ascend": AscentState,
    "check_pictures": PictureCheck,
    "explain": Explanation,
    "explain_stages": StagedExplanation,
    "explain_sum": Explanation,
    "filters": Filters,
    "find_class_exemplars": tuple[ClassExemplars, ...],
    "find_exemplars": Exemplars,
    "outline": Outline,
    "predict": Prediction,
    "prepare": type(None),
    "run_part": SeriesPart,
    "search_part": PartSearch,
    "trace_class_map": ValueTrace,
    "trace_value": ValueTrace,
}

# What one answer may take in the process of the server: VGG16's largest maps have 13 MB.
MOST_BYTES = 128 << 20
# 65,000 classes with long names take half of it.
MOST_HEADER_BYTES = 8 << 20
_MOST_ARRAYS = 10_000
_MOST_AXES = 5
# From here on not every integer is a float.
_MOST_INTEGER = 1 << 53

_LENGTH = struct.Struct(">Q")
_TYPES = {"float16", "float32", "float64", "uint8"}

# The errors that functions raise for people, by name; the attributes of some, with their types.
_INTERNAL = (errors.TensorFlowNeededError, errors.WorkerError)
_ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, CnnvizError) and kind not in _INTERNAL
}
_ATTRIBUTES: dict[str, dict[str, type]] = {
    "PhotoError": {"code": str},
    "RefusedModelError": {"code": str},
    "StorageError": {"full": bool},
}

# Fills a buffer with the next bytes.
Receive = Callable[[memoryview], None]


class AnswerError(Exception):
    """What was received is no answer of the expected type."""


# --- Writing ------------------------------------------------------------------------------------


def encode(result: Any) -> list[bytes | memoryview]:
    """The parts of an answer, to be sent one after the other.

    Args:
        result: of one of the types in ``RESULTS``, or of parts of these.

    Raises:
        ModelError: its texts take more bytes than those of an answer may.
    """
    arrays: list[Floats] = []
    parts = _encoded({"result": _plain(result, arrays)}, arrays)
    if len(parts[1]) > MOST_HEADER_BYTES:
        raise ModelError(
            f"The names of this network's layers and classes take {len(parts[1]) / 2**20:,.1f} MB, "
            f"and at most {MOST_HEADER_BYTES >> 20} MB can be shown: give them shorter names."
        )
    return parts


def encode_error(error: CnnvizError) -> list[bytes | memoryview]:
    """The parts of an answer that raises this error for the one who asks."""
    name = type(error).__name__
    attributes = {key: getattr(error, key) for key in _ATTRIBUTES.get(name, {})}
    return _encoded({"error": name, "message": str(error), "attributes": attributes}, [])


def _encoded(content: dict[str, Any], arrays: list[Floats]) -> list[bytes | memoryview]:
    header = content | {"arrays": [[array.dtype.name, array.shape] for array in arrays]}
    # The path of a file may hold bytes that are no text; `json.loads` decodes them in this way.
    text = json.dumps(header, ensure_ascii=False).encode(errors="surrogatepass")
    return [_LENGTH.pack(len(text)), text, *map(_values, arrays)]


def _values(array: Floats) -> memoryview:
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    return native.reshape(-1).view(np.uint8).data


def _plain(value: Any, arrays: list[Floats]) -> Any:
    """A value as JSON has it; an array, or a number of NumPy's, becomes a reference to it."""
    if isinstance(value, np.ndarray | np.floating):
        arrays.append(np.asarray(value))
        return {"array": len(arrays) - 1}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: _plain(getattr(value, name), arrays) for name in names}
    if isinstance(value, dict):
        return {key: _plain(one, arrays) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, arrays) for one in value]
    return value.item() if isinstance(value, np.generic) else value


# --- Reading ------------------------------------------------------------------------------------


def read_answer(receive: Receive, kind: Any) -> Any:
    """Reads the next answer.

    Args:
        receive: fills a buffer with the next bytes.
        kind: the type of the expected result.

    Raises:
        AnswerError: it is no such answer.
        CnnvizError: the answer is this error.
    """
    length = bytearray(_LENGTH.size)
    receive(memoryview(length))
    (size,) = _LENGTH.unpack(length)
    if size > MOST_HEADER_BYTES:
        raise AnswerError(f"The header of an answer claims {size:,} bytes.")
    text = bytearray(size)
    receive(memoryview(text))
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnswerError("The header of an answer is not JSON.") from error
    if not isinstance(header, dict):
        raise AnswerError("The header of an answer is no object.")
    if "error" in header:
        raise _error(header)
    arrays = _received_arrays(header.get("arrays"), receive)
    result = _built(header.get("result"), kind, arrays)
    if not fits_together(result):
        raise AnswerError(f"The parts of an answer ({kind}) do not fit together.")
    return result


def _error(header: dict[str, Any]) -> CnnvizError:
    name, message = header["error"], header.get("message")
    kind = _ERRORS.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(message, str):
        raise AnswerError("An answer holds an unknown error.")
    given = header.get("attributes")
    expected = _ATTRIBUTES.get(kind.__name__, {})
    if not isinstance(given, dict) or {key: type(one) for key, one in given.items()} != expected:
        raise AnswerError("An error in an answer has other attributes.")
    return kind(message, **given)


def _received_arrays(described: Any, receive: Receive) -> list[Floats]:
    if not isinstance(described, list) or len(described) > _MOST_ARRAYS:
        raise AnswerError("An answer does not list its arrays.")
    arrays, total = [], 0
    for one in described:
        match one:
            case [str(name), list(shape)] if name in _TYPES and len(shape) <= _MOST_AXES:
                pass
            case _:
                raise AnswerError("An array in an answer has an unknown type or shape.")
        # True and False are integers, too.
        if any(type(side) is not int or not 0 <= side <= MOST_BYTES for side in shape):
            raise AnswerError("An array in an answer has an impossible shape.")
        total += math.prod(shape) * np.dtype(name).itemsize
        if total > MOST_BYTES:
            raise AnswerError(f"An answer claims more than {MOST_BYTES:,} bytes.")
        arrays.append((name, shape))
    return [_received_array(name, shape, receive) for name, shape in arrays]


def _received_array(name: str, shape: list[int], receive: Receive) -> Floats:
    array = np.empty(shape, name)
    if array.size:
        receive(array.reshape(-1).view(np.uint8).data)
    return array


def _built(value: Any, kind: Any, arrays: list[Floats]) -> Any:
    """A value of that type from JSON.

    Raises:
        AnswerError: it does not fit the type.
    """
    arguments = typing.get_args(kind)
    match typing.get_origin(kind), value:
        case types.UnionType, None if type(None) in arguments:
            return None
        case types.UnionType, _:
            (other,) = (one for one in arguments if one is not type(None))
            return _built(value, other, arrays)
        case np.ndarray, {"array": int(index)} if 0 <= index < len(arrays):
            expected = typing.get_args(arguments[1])[0]
            if not np.issubdtype(arrays[index].dtype, expected):
                raise AnswerError(f"An answer holds {arrays[index].dtype} in place of {kind}.")
            # Without axes: a number of NumPy's.
            return arrays[index][()]
        case origin, list() if origin is tuple:
            if arguments[-1] is not Ellipsis and len(value) != len(arguments):
                raise AnswerError(f"The parts of a {kind} do not fit together.")
            return tuple(_built(one, arguments[0], arrays) for one in value)
        case origin, dict() if origin is dict:
            return {key: _built(one, arguments[1], arrays) for key, one in value.items()}
        case typing.Literal, str() if value in arguments:
            return value
        case None, dict() if issubclass(kind, BaseModel):
            try:
                return kind.model_validate(value)
            except ValidationError as error:
                raise AnswerError(f"An answer holds no valid {kind.__name__}.") from error
        case None, dict() if dataclasses.is_dataclass(kind):
            return _built_dataclass(value, kind, arrays)
        case None, int() if type(value) is kind is int and abs(value) > _MOST_INTEGER:
            raise AnswerError("An answer holds an integer that is too large.")
        case None, _ if type(value) is kind:
            return value
        case None, int() if kind is float and type(value) is int and abs(value) <= _MOST_INTEGER:
            return float(value)
        case None, {"array": int(index)} if kind is float and 0 <= index < len(arrays):
            return _number(arrays[index])
    raise AnswerError(f"An answer holds {type(value).__name__} in place of {kind}.")


def _built_dataclass(value: dict[str, Any], kind: Any, arrays: list[Floats]) -> Any:
    hints = _hints(kind)
    if value.keys() != hints.keys():
        raise AnswerError(f"An answer holds other fields than {kind.__name__} has.")
    return kind(**{name: _built(value[name], hint, arrays) for name, hint in hints.items()})


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's fields."""
    return typing.get_type_hints(kind)


def _number(array: Floats) -> float:
    if array.ndim:
        raise AnswerError("An answer holds an array in place of a number.")
    return float(array)
