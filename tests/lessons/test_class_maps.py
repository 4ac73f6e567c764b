"""The lesson on class activation maps: sums of weighted maps, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cnnviz.lessons.class_maps import quarters, stacked


def test_maps_are_added_up_one_after_the_other() -> None:
    maps = np.stack([[[1.0, 0.0], [0.0, 3.0]], [[0.0, 2.0], [4.0, 0.0]]], axis=-1)
    sums = stacked(maps, np.array([2.0, -0.5]))
    assert sums.tolist() == [
        [[0, 0], [0, 0]],
        [[2, 0], [0, 6]],
        [[2, -1], [-2, 6]],
    ]
    # The mean of the sum is the sum of mean × weight: 1 · 2 − 1.5 · 0.5.
    assert sums[-1].mean() == 1.25 == (maps.mean(axis=(0, 1)) * [2.0, -0.5]).sum()


def test_what_each_quarter_adds_to_the_mean() -> None:
    values = np.array([[8.0, 2.0, 0.0], [4.0, 16.0, 4.0], [0.0, 2.0, -9.0]])
    # Of the middle cell a quarter belongs to each of them, of the other cells in the cross a half.
    top_left, top_right = 8 + 1 + 2 + 4, 0 + 1 + 2 + 4
    bottom_left, bottom_right = 0 + 1 + 2 + 4, -9 + 1 + 2 + 4
    expected = np.array([[top_left, top_right], [bottom_left, bottom_right]]) / 9
    np.testing.assert_allclose(quarters(values), expected)
    assert quarters(values).sum() == pytest.approx(values.mean())
