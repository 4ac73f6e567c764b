"""The lesson on class activation maps: sums of weighted maps, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cnnviz.lessons.class_maps import quarter, stacked


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


@pytest.mark.parametrize(
    ("place", "expected"),
    [((0, 0), (0, 0)), ((1, 3), (0, 1)), ((2, 2), (1, 1)), ((2, 1), (1, 0)), ((4, 4), (1, 1))],
)
def test_the_quarter_of_the_largest_value(
    place: tuple[int, int], expected: tuple[int, int]
) -> None:
    values = np.full((5, 5), -1.0)
    values[place] = 0
    assert quarter(values) == expected
