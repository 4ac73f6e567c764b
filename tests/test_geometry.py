"""Geometry between photo, network input and map: cases worked out by hand."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from cnnviz.cards import Preprocessing
from cnnviz.geometry import place_on_photo, seen_region


def test_the_region_of_a_crop_is_centred() -> None:
    crop = Preprocessing(height=10, width=20, fit="crop", crop_fraction=0.5)
    # The largest rectangle of that shape is 50 × 100; half of its sides are 25 × 50.
    assert astuple(seen_region(90, 100, crop)) == pytest.approx((25, 32.5, 50, 25))


def test_a_map_is_placed_on_the_cropped_part_alone() -> None:
    crop = Preprocessing(height=8, width=8, fit="crop")
    placed = place_on_photo(np.array([[1.0]]), 2, 4, crop)
    np.testing.assert_array_equal(placed, [[np.nan, 1, 1, np.nan]] * 2)
