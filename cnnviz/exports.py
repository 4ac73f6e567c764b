"""Arrays and filters as the bytes of files that other programs read."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import Any

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.results import Filters


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
