"""The box of a class: worked out by hand, and against a slower way of joining cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnnviz.attribution.localization import find_box, largest_part
from cnnviz.cards import Preprocessing
from cnnviz.results import Box

# Three parts: one cell at the top left, four cells that touch, two of them at a corner, and two.
MAP = np.array(
    [
        [9.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 3.0, 0.0, 0.0],
        [0.0, 0.0, 4.0, 2.5, 0.0],
        [-9.0, 0.0, 0.0, 0.0, 2.0],
        [5.0, 5.0, 0.0, 0.0, 0.0],
    ]
)


def steps(**changes: object) -> Preprocessing:
    return Preprocessing.model_validate({"height": 10, "width": 10, "fit": "stretch"} | changes)


# --- Parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("lowest", "found"), [(-10.0, True), (-10.1, False)])
def test_evidence_that_is_weak_beside_that_against_has_no_box(lowest: float, found: bool) -> None:
    values = np.array([[2.0, 0.0], [0.0, lowest]])
    box = find_box(values, 20, 20, Preprocessing(height=8, width=8))
    assert box == (Box(0, 0, 10, 10) if found else None)


def test_the_largest_part_by_hand() -> None:
    expected = np.zeros((5, 5), bool)
    expected[[1, 2, 2, 3], [2, 2, 3, 4]] = True
    np.testing.assert_array_equal(largest_part(MAP > 1.8), expected)


def test_of_equal_parts_it_is_the_topmost() -> None:
    mask = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 1]], bool)
    np.testing.assert_array_equal(largest_part(mask), [[0, 0, 1], [0] * 3, [0] * 3, [0] * 3])


def test_nothing_has_no_part() -> None:
    assert not largest_part(np.zeros((3, 4), bool)).any()


def spread(mask: np.ndarray, start: tuple[int, int]) -> np.ndarray:
    """The part of a cell: its neighbours are added until none is new."""
    part = np.zeros_like(mask)
    part[start] = True
    while True:
        padded = np.pad(part, 1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
        wider = windows.any(axis=(2, 3)) & mask
        if (wider == part).all():
            return part
        part = wider


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8)))
def test_the_largest_part_is_the_largest_of_what_spreads(mask: np.ndarray) -> None:
    parts = [spread(mask, (int(y), int(x))) for y, x in np.argwhere(mask)]
    expected = max(parts, key=np.sum, default=np.zeros_like(mask))
    np.testing.assert_array_equal(largest_part(mask), expected)


# --- Boxes ----------------------------------------------------------------------------------


def test_the_box_by_hand() -> None:
    """Cells of 20 × 10 pixels; 20 % of 9 is 1.8, and the four cells are in columns 2–4."""
    assert find_box(MAP, 50, 100, steps()) == Box(40, 10, 100, 40)


def test_a_cell_at_the_threshold_is_outside() -> None:
    values = np.array([[5.0, 1.0], [1.0, 1.0]])
    assert find_box(values, 10, 10, steps()) == Box(0, 0, 5, 5)
    values[0, 1] += 1e-9
    assert find_box(values, 10, 10, steps()) == Box(0, 0, 10, 5)


def test_the_box_is_where_the_network_looked() -> None:
    """Of 40 × 100 the middle 40 × 40 is cropped, and of it the middle half is seen."""
    values = np.array([[1.0, 0.0], [0.0, 0.0]])
    cropped = steps(fit="crop", crop_fraction=0.5)
    assert find_box(values, 40, 100, cropped) == Box(40, 10, 50, 20)


def test_the_box_ends_at_the_photo_s_edge() -> None:
    """A photo of 20 × 40 is in the middle of a square, with a border of 10 above and below."""
    padded = steps(fit="pad", height=8, width=8)
    values = np.zeros((4, 4))
    values[0, 1:3] = values[1, 1] = 1
    assert find_box(values, 20, 40, padded) == Box(10, 0, 30, 10)


def test_evidence_in_the_border_alone_has_no_box() -> None:
    values = np.zeros((4, 4))
    values[0] = 1
    assert find_box(values, 20, 40, steps(fit="pad", height=8, width=8)) is None


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_without_evidence_there_is_no_box(value: float) -> None:
    assert find_box(np.full((3, 3), value), 30, 30, steps()) is None


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-10, 10, width=32),
    ),
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from(["crop", "stretch", "pad"]),
)
def test_a_box_is_inside_the_photo_and_not_empty(
    values: np.ndarray, height: int, width: int, fit: str
) -> None:
    box = find_box(values, height, width, steps(fit=fit))
    if box is not None:
        assert 0 <= box.left < box.right <= width
        assert 0 <= box.top < box.bottom <= height
    elif fit == "stretch" and height >= 6 and width >= 6:
        assert values.max() <= 0
