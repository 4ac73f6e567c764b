"""Exported files, read again by the programs that people use."""

from __future__ import annotations

import csv
import io

import numpy as np

from cnnviz.exports import filters_csv, filters_npz, npy
from cnnviz.results import Filters, WeightStatistics


def two_filters(biases: bool = True) -> Filters:
    kernels = np.array([1, -2, 0.5, 4], np.float32).reshape(1, 2, 1, 2)
    column = np.array([1.0, 2.0])
    statistics = WeightStatistics(column, column + 1, column + 2, column + 3, column + 4)
    values = np.array([7, 8], np.float32) if biases else None
    return Filters("conv", "Conv2D", kernels, values, None, statistics, statistics)


def test_an_array_is_read_back_unchanged() -> None:
    values = np.array([[1.5, -np.pi], [0, 1e-30]], np.float32)
    back = np.load(io.BytesIO(npy(values)), allow_pickle=False)
    np.testing.assert_array_equal(back, values)
    assert back.dtype == np.float32


def test_what_a_layer_lacks_is_not_in_the_npz() -> None:
    with np.load(io.BytesIO(filters_npz(two_filters(biases=False)))) as saved:
        assert saved.files == ["kernels"]
        np.testing.assert_array_equal(saved["kernels"], two_filters().kernels)


def test_a_line_of_the_csv_is_one_filter() -> None:
    rows = list(csv.reader(io.StringIO(filters_csv(two_filters()).decode())))
    statistics = ["minimum", "maximum", "mean", "norm", "sparsity"]
    named = [f"filter {name}" for name in statistics]
    assert rows[0] == ["filter", "bias", *named, "[0,0,0]", "[0,1,0]"]
    numbers = [[float(value) for value in row] for row in rows[1:]]
    assert numbers == [[0, 7, 1, 2, 3, 4, 5, 1, 0.5], [1, 8, 2, 3, 4, 5, 6, -2, 4]]
