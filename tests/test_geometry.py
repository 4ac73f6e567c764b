"""Geometry between photo, network input and map: cases worked out by hand."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from cnnviz.cards import Preprocessing
from cnnviz.geometry import padded_position, place_on_photo, seen_region


@pytest.mark.parametrize(
    ("size", "position"),
    [
        # 3 × 8/7 is 3.43 rows: 3 of them, with 2 above and 3 below.
        ((3, 7), (0, 2, 8, 3)),
        ((7, 3), (2, 0, 3, 8)),
        # 5 × 8/9 is 4.44 rows.
        ((5, 9), (0, 2, 8, 4)),
        ((9, 9), (0, 0, 8, 8)),
        # A side is never empty.
        ((1, 99), (0, 3, 8, 1)),
    ],
)
def test_a_padded_photo_of_odd_sides_is_centred(
    size: tuple[int, int], position: tuple[int, int, int, int]
) -> None:
    pad = Preprocessing(height=8, width=8, fit="pad")
    assert padded_position(*size, pad) == position


def test_the_region_of_a_padded_photo_reaches_beyond_it() -> None:
    """Of 8 rows 3 hold the photo of 3 rows: a row of the input is a row of the photo."""
    pad = Preprocessing(height=8, width=8, fit="pad")
    assert astuple(seen_region(3, 7, pad)) == pytest.approx((0, -2, 7, 8))


def test_the_region_of_a_crop_is_centred() -> None:
    crop = Preprocessing(height=10, width=20, fit="crop", crop_fraction=0.5)
    # The largest rectangle of that shape is 50 × 100; half of its sides are 25 × 50.
    assert astuple(seen_region(90, 100, crop)) == pytest.approx((25, 32.5, 50, 25))


def test_a_map_is_placed_on_the_cropped_part_alone() -> None:
    crop = Preprocessing(height=8, width=8, fit="crop")
    placed = place_on_photo(np.array([[1.0]]), 2, 4, crop)
    np.testing.assert_array_equal(placed, [[np.nan, 1, 1, np.nan]] * 2)
