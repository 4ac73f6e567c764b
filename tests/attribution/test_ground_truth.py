"""Scores of a map against a known truth: worked out by hand, and against plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnnviz.attribution.ground_truth import (
    box_overlap,
    cells_inside,
    covered_cells,
    energy_inside,
    overlap,
    pointing_game,
    rank_inside,
    region_overlap,
)
from cnnviz.attribution.localization import find_parts
from cnnviz.cards import Preprocessing
from cnnviz.results import Box

# The two largest values lie inside and one cell from it.
MAP = np.array([[1.0, 0.0, -4.0], [6.0, 2.0, 0.0], [0.0, 6.0, 1.0]])
MASK = np.array([[True, False, False], [True, False, False], [False, False, False]])
SCORES = (energy_inside, pointing_game, rank_inside, overlap)

maps = hnp.arrays(np.float64, (3, 4), elements=st.integers(-3, 3).map(float))
masks = hnp.arrays(np.bool_, (3, 4))


def steps(**changes: object) -> Preprocessing:
    return Preprocessing.model_validate({"height": 4, "width": 4} | changes)


# --- Cells ----------------------------------------------------------------------------------


def test_the_share_of_each_cell_that_a_mask_covers() -> None:
    mask = np.zeros((4, 6), bool)
    mask[1:3, 1:5] = True
    np.testing.assert_allclose(covered_cells(mask, 2, 2, steps()), np.full((2, 2), 1 / 3))
    # Cells of 4/3 × 2 pixels.
    expected = [[0.125, 0.25, 0.125], [0.5, 1.0, 0.5], [0.125, 0.25, 0.125]]
    np.testing.assert_allclose(covered_cells(mask, 3, 3, steps()), expected)


def test_of_a_cropped_photo_only_what_is_seen_counts() -> None:
    mask = np.zeros((4, 8), bool)
    mask[:, :3] = True
    np.testing.assert_allclose(covered_cells(mask, 1, 2, steps(fit="crop")), [[0.5, 0.0]])


def test_the_border_of_a_padded_photo_is_not_covered() -> None:
    mask = np.ones((2, 4), bool)
    covered = covered_cells(mask, 4, 2, steps(fit="pad"))
    np.testing.assert_allclose(covered, [[0, 0], [1, 1], [1, 1], [0, 0]])


# --- Scores ---------------------------------------------------------------------------------


def test_the_energy_inside_by_hand() -> None:
    # 1 + 6 of 1 + 6 + 2 + 6 + 1; the −4 does not count.
    assert energy_inside(MAP, MASK) == pytest.approx(7 / 16)
    assert math.isnan(energy_inside(-np.abs(MAP), MASK))


@pytest.mark.parametrize(
    ("tolerance", "expected"),
    # From the other peak the nearest cell inside is diagonal.
    [(0, 0.5), (1, 0.5), (1.4, 0.5), (1.5, 1.0)],
)
def test_the_pointing_game_by_hand(tolerance: float, expected: float) -> None:
    assert pointing_game(MAP, MASK, tolerance) == expected


def test_a_map_without_a_place_points_by_chance() -> None:
    flat = np.zeros((3, 3))
    assert pointing_game(flat, MASK) == pytest.approx(2 / 9)
    assert rank_inside(flat, MASK) == 0.5
    assert overlap(flat, MASK) == 0


def test_the_rank_by_hand() -> None:
    # Outside: −4, 0, 0, 0, 1, 2, 6. Of them 4.5 are below 1, and 6.5 below 6.
    assert rank_inside(MAP, MASK) == pytest.approx(11 / 14)


@pytest.mark.parametrize(
    ("threshold", "expected"),
    # Above 1.2 are 6, 2, 6; above 0.6 all five that are positive; above 3 both peaks.
    [(0.2, 1 / 4), (0.1, 2 / 5), (0.5, 1 / 3)],
)
def test_the_overlap_by_hand(threshold: float, expected: float) -> None:
    assert overlap(MAP, MASK, threshold) == pytest.approx(expected)


def test_without_a_truth_there_is_no_score() -> None:
    nowhere = np.zeros_like(MASK)
    assert energy_inside(MAP, nowhere) == pointing_game(MAP, nowhere) == 0
    assert overlap(MAP, nowhere) == 0
    assert math.isnan(rank_inside(MAP, nowhere))
    assert math.isnan(rank_inside(MAP, ~nowhere))
    assert math.isnan(overlap(-np.abs(MAP), nowhere))


@pytest.mark.parametrize("score", SCORES)
def test_what_the_network_never_saw_does_not_count(score: Any) -> None:
    wider = np.pad(MAP, 1, constant_values=np.nan)
    assert score(wider, np.pad(MASK, 1, constant_values=True)) == pytest.approx(score(MAP, MASK))


def test_a_map_without_numbers_points_nowhere() -> None:
    assert math.isnan(pointing_game(np.full((2, 2), np.nan), np.ones((2, 2), bool)))


@pytest.mark.parametrize("score", SCORES)
def test_a_mask_of_another_shape_is_an_error(score: Any) -> None:
    with pytest.raises(ValueError, match=r"\(3, 3\) and \(2, 3\)"):
        score(MAP, MASK[:2])


@settings(max_examples=30)
@given(maps, masks)
def test_ranks_are_those_of_comparing_every_pair(values: np.ndarray, mask: np.ndarray) -> None:
    pairs = [
        1.0 if inside > outside else 0.5 if inside == outside else 0.0
        for inside in values[mask]
        for outside in values[~mask]
    ]
    expected = np.mean(pairs) if pairs else math.nan
    assert rank_inside(values, mask) == pytest.approx(expected, nan_ok=True)


@settings(max_examples=30)
@given(maps, masks)
def test_neither_scale_nor_the_order_of_cells_matters(values: np.ndarray, mask: np.ndarray) -> None:
    for score in SCORES:
        expected = pytest.approx(score(values, mask), nan_ok=True)
        assert score(4 * values, mask) == expected
        assert score(values[::-1].T, mask[::-1].T) == expected


# --- Boxes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (Box(0, 0, 4, 2), Box(0, 0, 4, 2), 1),
        # 2 × 1 in common, of 8 + 6 − 2.
        (Box(0, 0, 4, 2), Box(2, 1, 5, 3), 2 / 12),
        (Box(0, 0, 10, 10), Box(2, 2, 7, 6), 0.2),
        # They touch.
        (Box(0, 0, 4, 2), Box(4, 0, 8, 2), 0),
        (Box(0, 0, 1, 1), Box(5, 5, 6, 6), 0),
    ],
)
def test_the_overlap_of_boxes_by_hand(first: Box, second: Box, expected: float) -> None:
    assert box_overlap(first, second) == pytest.approx(expected)
    assert box_overlap(second, first) == pytest.approx(expected)


def test_the_overlap_of_a_region_is_that_of_its_pixels() -> None:
    """Cells of 3 × 4 pixels; the two parts are disjoint, and their boxes are not."""
    values = np.array([[5.0, 0.0, 4.0], [3.0, 0.0, 0.0], [3.0, 3.0, 3.0]])
    parts = find_parts(values, 9, 12, steps(fit="stretch"))
    truth = Box(2, 1, 11, 5)
    inside = np.zeros((9, 12), bool)
    inside[1:5, 2:11] = True
    pixels = np.kron(values, np.ones((3, 4)))
    cells = [cell for part in parts for cell in part.cells]
    assert region_overlap(cells, truth) == pytest.approx(overlap(pixels, inside))
    assert len(parts) == 2
    pixels[0, 8:] = pixels[1, 8:] = pixels[2, 8:] = 0
    assert region_overlap(parts[0].cells, truth) == pytest.approx(overlap(pixels, inside))


def test_the_cells_in_a_box_are_those_whose_middles_are() -> None:
    """Of 40 × 100 the middle 40 × 40 is seen: middles at x = 40, 60 and y = 10, 30."""
    crop = steps(fit="crop")
    for box, expected in (
        (Box(40, 10, 60, 30), [[True, False], [False, False]]),
        (Box(0, 11, 61, 40), [[False, False], [True, True]]),
        (Box(0, 0, 30, 40), [[False, False], [False, False]]),
    ):
        np.testing.assert_array_equal(cells_inside(box, (2, 2), 40, 100, crop), expected)
