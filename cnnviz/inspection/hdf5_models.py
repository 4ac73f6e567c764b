"""HDF5 model files: the description is an attribute, the weights are listed layer by layer.

A layer's list names its trainable weights before the others; Keras fills its layers in the order
of the lists and ignores the names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from cnnviz.inspection import weights
from cnnviz.inspection.kinds import MODELS
from cnnviz.inspection.plain_data import WHOLE_AXIS, Json
from cnnviz.inspection.refusals import refusal

GROUP: Final = "model_weights"
# Weights that belong to the model itself and to none of its layers.
OF_THE_MODEL: Final = "top_level_model_weights"

_ELLIPSIS: Final = {"class_name": "__ellipsis__", "config": {}}

# The paths of the arrays of each layer, by the layer's name, in order.
Listing = dict[str, tuple[str, ...]]


def listing(file: h5py.File, survey: weights.Survey) -> Listing:
    """The paths of each layer's weights.

    Raises:
        RefusedModelError: a list names something that is not there.
    """
    if GROUP not in survey.groups:
        raise refusal("no-weights")
    layers = weights.read_texts(file[GROUP], "layer_names")
    if len(set(layers)) < len(layers):
        raise refusal("shared-storage")
    if f"{GROUP}/{OF_THE_MODEL}" in survey.groups and OF_THE_MODEL not in layers:
        layers.append(OF_THE_MODEL)
    result = {}
    for layer in layers:
        group = f"{GROUP}/{layer}"
        if group not in survey.groups:
            raise refusal("damaged-weights")
        paths = [f"{group}/{name}" for name in weights.read_texts(file[group], "weight_names")]
        if not survey.arrays.keys() >= set(paths):
            raise refusal("damaged-weights")
        result[layer] = tuple(paths)
    return result


def write(source: h5py.File, target: h5py.File, description: Json, arrays: Listing) -> None:
    """Writes a model file of a description and the listed arrays, under new names.

    Raises:
        RefusedModelError: an array cannot be read.
    """
    target.attrs["model_config"] = json.dumps(_without_ellipsis(description))
    group = target.create_group(GROUP)
    names = []
    for number, (layer, paths) in enumerate(arrays.items()):
        name = OF_THE_MODEL if layer == OF_THE_MODEL else f"layer{number}"
        inside = group.create_group(name)
        for index, path in enumerate(paths):
            weights.copy_array(source[path], inside, str(index))
        inside.attrs["weight_names"] = _texts(str(index) for index in range(len(paths)))
        if name != OF_THE_MODEL:
            names.append(name)
    group.attrs["layer_names"] = _texts(names)


def _without_ellipsis(value: Any) -> Any:
    """A description with whole slices for each ellipsis: Keras cannot read one from HDF5.

    ``x[..., 0]`` is written as a call with the tensor and the index ``[..., 0]``.
    """
    match value:
        case [{"class_name": "__keras_tensor__", "config": {"shape": list(shape)}} as tensor, key]:
            return [tensor, _whole_index(key, len(shape))]
        case list():
            return [_without_ellipsis(item) for item in value]
        case dict():
            return {name: _without_ellipsis(item) for name, item in value.items()}
    return value


def _whole_index(key: Any, rank: int) -> Any:
    """An index into a tensor of so many axes; None in it is an axis that is added."""
    keys = key if isinstance(key, list) else [key]
    if keys.count(_ELLIPSIS) != 1:
        return key
    at = keys.index(_ELLIPSIS)
    others = sum(item is not None for item in keys) - 1
    return [*keys[:at], *[WHOLE_AXIS] * (rank - others), *keys[at + 1 :]]


def _texts(texts: Iterable[str]) -> npt.NDArray[np.bytes_]:
    """Texts of one short length: an attribute holds at most 64 KB."""
    return np.array(list(texts), dtype="S16")


# --- The copy that Keras 2 made for several graphics cards ------------------------------------


def inner_model(description: Json) -> Json | None:
    """The real model of a file that ``multi_gpu_model`` made, None for any other file.

    Keras 2 put it between Lambda layers that slice the batch, one for each card, and a layer that
    joins the results. None of these is run.
    """
    match description:
        case {"class_name": "Model" | "Functional", "config": {"layers": [*layers]}}:
            pass
        case _:
            return None
    kinds = [str(layer.get("class_name")) if isinstance(layer, dict) else "" for layer in layers]
    inside = [
        layer
        for kind, layer in zip(kinds, layers, strict=True)
        if kind == "Model" or kind in MODELS
    ]
    around = {"InputLayer", "Lambda", "Concatenate", "Model", *MODELS}
    if len(inside) != 1 or not around.issuperset(kinds) or "Lambda" not in kinds:
        return None
    calls = inside[0].get("inbound_nodes")
    if not isinstance(calls, list) or len(calls) != kinds.count("Lambda"):
        return None
    return inside[0]


def inner_listing(description: Json, arrays: Listing) -> Listing:
    """Assigns the weights of the inner model, which are one list, to its layers.

    The name of a weight begins with that of its layer: ``conv2d_1/kernel:0``.

    Args:
        description: of the inner model, with the names that the file has.
        arrays: the listing of the whole file.

    Raises:
        RefusedModelError: a weight belongs to no layer.
    """
    layers = _layers(description)
    owners = {name: _name(layer) for layer in layers for name in _names(layer)}
    most_parts = max((name.count("/") + 1 for name in owners), default=0)
    paths_of: dict[str, list[str]] = {_name(layer): [] for layer in layers}
    for layer, paths in arrays.items():
        for path in paths:
            parts = path.removeprefix(f"{GROUP}/{layer}/").split("/")
            owner = next((owners[part] for part in _runs(parts, most_parts) if part in owners), "")
            if not owner:
                raise refusal("damaged-weights")
            paths_of[owner].append(path)
    return {layer: tuple(paths) for layer, paths in paths_of.items()}


def _runs(parts: list[str], most: int) -> Iterator[str]:
    """Each part with those that follow it, from the first one and the longest run on."""
    for start in range(len(parts)):
        for end in range(min(start + most, len(parts)), start, -1):
            yield "/".join(parts[start:end])


def _layers(model: Json) -> list[Json]:
    """The layers of a model; Keras 2.0 wrote those of a Sequential alone."""
    config = model["config"]
    return list(config if isinstance(config, list) else config.get("layers", []))


def _name(layer: Json) -> str:
    config = layer["config"]
    return str(config.get("name", "") if isinstance(config, dict) else layer.get("name", ""))


def _names(layer: Json) -> Iterator[str]:
    """The name of a layer, and of all layers inside it."""
    yield _name(layer)
    for inner in _layers(layer):
        yield from _names(inner)
