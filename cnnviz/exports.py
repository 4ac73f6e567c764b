"""Arrays, filters and comparisons as the bytes of files that other programs read."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import platform
import sys
from importlib import metadata
from typing import Any

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.results import ComparedAnswer, ComparedCell, Comparison, Filters, Verdict

# What runs a network, as far as it is installed; a result may depend on its version.
_LIBRARIES = ("numpy", "keras", "tensorflow", "tensorflow-cpu", "ai-edge-litert")
# The numbers of a verdict.
_NUMBERS = ("skill", "bright", "anywhere", "best")


def npy(array: Floats) -> bytes:
    """An array as a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def filters_npz(filters: Filters) -> bytes:
    """``kernels`` and, where the layer has them, ``biases`` and ``pointwise``, as a .npz file."""
    arrays: dict[str, Any] = {"kernels": filters.kernels}
    for name in ("biases", "pointwise"):
        if getattr(filters, name) is not None:
            arrays[name] = getattr(filters, name)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def filters_csv(filters: Filters) -> bytes:
    """A line for each filter: number, bias, statistics of all its weights, and the weights.

    A weight's name is [row,column,input].
    """
    statistics = dataclasses.asdict(filters.per_filter)
    height, width, channels, count = filters.kernels.shape
    weights = [
        f"[{row},{column},{channel}]"
        for row in range(height)
        for column in range(width)
        for channel in range(channels)
    ]
    # Where a separable layer has pointwise kernels, the biases are theirs.
    biases: Any = [""] * count
    if filters.biases is not None and filters.pointwise is None:
        biases = filters.biases
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["filter", "bias", *(f"filter {name}" for name in statistics), *weights])
    for index in range(count):
        numbers = [values[index] for values in statistics.values()]
        kernel = filters.kernels[..., index].ravel()
        writer.writerow([index, biases[index], *numbers, *kernel])
    return text.getvalue().encode()


def comparison_json(comparison: Comparison) -> bytes:
    """A comparison as JSON: settings, predictions, and the raw values of all maps.

    Values have all their digits, so that the same float32 is read again; one that is no number is
    null.
    """
    content = {
        "versions": {"cnnviz": _own_version(), "python": platform.python_version(), **_installed()},
        "settings": {
            "classes": comparison.classes,
            "methods": [method.key for method in comparison.methods],
            "layer": comparison.layer,
            "against": comparison.against,
            "runs": comparison.runs,
        },
        "methods": [dataclasses.asdict(method) for method in comparison.methods],
        "answers": [_answer(one) for one in comparison.answers],
        "cells": [_cell(one) for one in comparison.cells],
    }
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1).encode()


def _own_version() -> str:
    # Imports run downwards, and the package itself is above this module; but it has been loaded.
    return str(sys.modules["cnnviz"].__version__)


def _installed() -> dict[str, str]:
    """The versions of the libraries that are installed."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _answer(answer: ComparedAnswer) -> dict[str, Any]:
    prediction = answer.prediction
    height, width = answer.size
    return {
        "network": {"title": answer.network, "sha256": answer.fingerprint or None},
        "photo": {
            "name": answer.photo,
            "pixels_sha256": answer.photo_sha256,
            "height": height,
            "width": width,
        },
        "preprocessing": answer.preprocessing.model_dump(mode="json"),
        "predicted": prediction.label,
        "labels": prediction.labels,
        "probabilities": prediction.probabilities.tolist(),
        "logits": None if prediction.logits is None else prediction.logits.tolist(),
    }


def _cell(cell: ComparedCell) -> dict[str, Any]:
    values = [[_number(value) for value in row] for row in cell.cam.values.tolist()]
    of_map = {name: _number(value) for name, value in vars(cell.cam).items() if name != "values"}
    return {
        "answer": cell.answer,
        **of_map,
        "limit": cell.limit,
        "note": cell.note,
        "box": None if cell.box is None else dataclasses.asdict(cell.box),
        "scores": dict(cell.scores),
        "verdict": None if cell.verdict is None else _verdict(cell.verdict),
        "values": values,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    numbers = {name: _number(getattr(verdict, name)) for name in _NUMBERS}
    drops = [[_number(value) for value in row] for row in verdict.drops.tolist()]
    return {"word": verdict.word, "reason": verdict.reason, **numbers, "drops": drops}


def _number(value: Any) -> Any:
    """A value as JSON can have it: null for what is no number."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
