"""Random damage to model files, for tests that such files are refused or load safely."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

import h5py
import numpy as np

from . import models
from . import networks as n

NASTY: list[Any] = [
    None,
    True,
    0,
    -1,
    2**20 + 1,
    2**31,
    -(2**63),
    1e308,
    0.5,
    "",
    "relu",
    "../../etc/passwd",
    "keras.config.set_floatx",
    "__lambda__",
    "Lambda",
    "Sequential",
    "Functional",
    "float64",
    "x" * 300,
    "\x00",
    [],
    [[[]]],
    [None, 8, 8, 3],
    {},
    {"class_name": "Lambda", "config": {}},
    {"class_name": "__keras_tensor__", "config": {"keras_history": [1, 2, 3]}},
    {"class_name": "__numpy__", "config": {"value": [[1], [1, 2]], "dtype": "int8"}},
    {"module": "os", "class_name": "function", "config": "getcwd", "registered_name": "getcwd"},
]


def originals() -> list[bytes]:
    """Files that are as they should be, one of every kind."""
    names = {
        "packed",
        "functional",
        "slice",
        "shared-by-two-models",
        "keras-2-nested",
        "keras-2-list-of-layers",
        "compressed-arrays",
        "operation-in-h5",
        "multi-gpu",
    }
    return [one.make() for one in models.CASES if one.name in names]


def damaged_file(chance: random.Random) -> bytes:
    """A model file with random damage; of some archives only the weights are damaged.

    A quarter uses the newest format of HDF5, which is read by other code of its library.
    """
    files, weights = _sound(chance.choice([None, None, None, "latest"]))
    if chance.random() < 0.3:
        return n.keras_file(arrays=damaged_bytes(chance.choice(weights), chance))
    return damaged_bytes(chance.choice(files), chance)


@functools.cache
def _sound(libver: str | None) -> tuple[list[bytes], list[bytes]]:
    """Sound files: of Keras 2, archives, and in the older format one of every kind; and weights."""
    weights = [n.hdf5(_fill, libver), n.hdf5(_fill_with_more, libver)]
    files = [n.hdf5_file(libver=libver), n.hdf5_file(libver=libver, fill=_odds_and_ends)]
    files.append(n.keras_file(arrays=weights[0]))
    return files if libver else files + originals(), weights


def _fill(file: h5py.File) -> None:
    for path, values in n.KERAS_WEIGHTS.items():
        file[path] = values


def _fill_with_more(file: h5py.File) -> None:
    _fill(file)
    _odds_and_ends(file)


def _odds_and_ends(file: h5py.File) -> None:
    """What some files have: many arrays, many texts, packed arrays, an array without values."""
    group = file.create_group("optimizer")
    for index in range(40):
        group[f"moment{index}"] = index
        group.attrs[f"text{index}"] = "x" * index
    group.create_dataset("packed", data=np.zeros((20, 20)), chunks=(4, 4), compression="gzip")
    group.create_dataset("growing", (0,), maxshape=(None,), shuffle=True)


def descriptions() -> list[n.Json]:
    """Descriptions of models, in the style of Keras 3 and of Keras 2."""
    return [
        n.sequential(),
        n.functional_network(middle=n.layer("Rescaling", "scale", scale=[1.0], offset=0.0)),
        n.functional_network(middle=n.sequential(n.layer("Identity", "same"), name="inner")),
        n.keras_2_sequential(),
        n.keras_2_functions(),
        n.multi_gpu(),
    ]


def damaged_bytes(data: bytes, chance: random.Random) -> bytes:
    """The bytes with a few of them changed, cut out, doubled or moved."""
    result = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(result))
        length = chance.choice([1, 1, 2, 4, 8, 64])
        match chance.randrange(6):
            case 0:
                result[start] ^= 1 << chance.randrange(8)
            case 1:
                result[start : start + length] = chance.randbytes(length)
            case 2:
                result[start : start + length] = chance.choice([b"\x00", b"\xff"]) * length
            case 3 if len(result) > 200:
                del result[start : start + length]
            case 4 if len(result) > 200:
                # Truncated, or a block of it doubled further on.
                if chance.random() < 0.5:
                    del result[start + 1 :]
                else:
                    to = chance.randrange(len(result))
                    result[to : to + length] = result[start : start + length]
            case _:
                result[start:start] = result[start : start + length]
    return bytes(result)


def damaged_description(description: n.Json, chance: random.Random) -> Any:
    """The description with a few of its values replaced, removed, doubled or exchanged."""
    result = _copy(description)
    for _ in range(chance.randint(1, 3)):
        values = list(_values(result))
        if not values:
            return result
        holder, key = chance.choice(values)
        match chance.randrange(5):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[chance.choice(["class_name", "module", "name", "config"])] = _copy(
                    holder[key]
                )
            case 2:
                other, source = chance.choice(values)
                holder[key] = _copy(other[source])
            case _:
                holder[key] = _copy(chance.choice(NASTY))
    return result


def _copy(value: Any) -> Any:
    """A separate copy: a value that is in two containers could contain itself afterwards."""
    return json.loads(json.dumps(value))


def _values(value: Any) -> Any:
    """Every (container, key) of a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(inside):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _values(inner)
