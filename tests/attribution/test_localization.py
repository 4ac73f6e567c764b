"""The box of a class: worked out by hand, and against a slower way of joining cells."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnnviz.attribution.localization import (
    connected_parts,
    contours,
    find_box,
    find_boxes,
    find_parts,
    localization_record,
    peaks,
    smoothed,
    smoothing,
)
from cnnviz.attribution.methods import METHODS
from cnnviz.cards import Preprocessing
from cnnviz.evidence import mostly_against
from cnnviz.results import Box, ClassActivationMap, FoundPart

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


def test_the_parts_by_hand() -> None:
    assert connected_parts(MAP > 1.8) == [
        [(1, 2), (2, 2), (2, 3), (3, 4)],
        [(4, 0), (4, 1)],
        [(0, 0)],
    ]


def test_of_equal_parts_the_topmost_is_first_and_then_the_left_one() -> None:
    mask = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0], [1, 0, 1]], bool)
    assert connected_parts(mask) == [[(0, 2)], [(1, 0)], [(3, 0)], [(3, 2)]]


def test_nothing_has_no_part() -> None:
    assert connected_parts(np.zeros((3, 4), bool)) == []


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
def test_the_parts_are_what_spreads(mask: np.ndarray) -> None:
    spreading = {spread(mask, (int(y), int(x))).tobytes() for y, x in np.argwhere(mask)}
    parts = connected_parts(mask)
    found = set()
    for part in parts:
        one = np.zeros_like(mask)
        one[tuple(np.transpose(part))] = True
        found.add(one.tobytes())
    assert found == spreading
    assert len(parts) == len(spreading)
    sizes = [len(part) for part in parts]
    assert sizes == sorted(sizes, reverse=True)


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
    """A photo of 20 × 40 is in the middle of a square, with a border of 10 above and below.

    Cells in the border do not count, not even for how far the box reaches to the side.
    """
    padded = steps(fit="pad", height=8, width=8)
    values = np.zeros((4, 4))
    values[0, 1:3] = values[1, 1] = 1
    assert find_box(values, 20, 40, padded) == Box(10, 0, 20, 10)


def test_evidence_in_the_border_alone_has_no_box() -> None:
    values = np.zeros((4, 4))
    values[0] = 1
    assert find_box(values, 20, 40, steps(fit="pad", height=8, width=8)) is None


def test_all_boxes_by_hand() -> None:
    """By the number of cells: four, two, one."""
    assert find_boxes(MAP, 50, 100, steps()) == (
        Box(40, 10, 100, 40),
        Box(0, 40, 40, 50),
        Box(0, 0, 20, 10),
    )


@pytest.mark.parametrize(
    ("threshold", "boxes"),
    [
        # All that is positive: the same parts.
        (0.0, [Box(40, 10, 100, 40), Box(0, 40, 40, 50), Box(0, 0, 20, 10)]),
        # Above 2.25 without the cell of 2, above 2.7 without that of 2.5: the topmost of two.
        (0.25, [Box(40, 10, 80, 30), Box(0, 40, 40, 50), Box(0, 0, 20, 10)]),
        (0.3, [Box(40, 10, 60, 30), Box(0, 40, 40, 50), Box(0, 0, 20, 10)]),
        (0.4, [Box(0, 40, 40, 50), Box(0, 0, 20, 10), Box(40, 20, 60, 30)]),
        # The maximum alone.
        (0.999, [Box(0, 0, 20, 10)]),
    ],
)
def test_the_threshold_by_hand(threshold: float, boxes: list[Box]) -> None:
    assert list(find_boxes(MAP, 50, 100, steps(), threshold)) == boxes
    assert find_box(MAP, 50, 100, steps(), threshold) == boxes[0]


@pytest.mark.parametrize("threshold", [1.0, -0.1, float("nan")])
def test_a_threshold_that_leaves_nothing_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold from 0 to below 1"):
        find_box(MAP, 50, 100, steps(), threshold)


def test_a_part_in_the_border_does_not_hide_a_smaller_one_in_the_photo() -> None:
    """The top row of cells is in the border; it still has the maximum."""
    padded = steps(fit="pad", height=8, width=8)
    values = np.zeros((4, 4))
    values[0, :3] = 5
    values[2, 3] = 2
    assert find_boxes(values, 20, 40, padded) == (Box(30, 10, 40, 20),)
    assert find_boxes(values, 20, 40, padded, 0.5) == ()
    assert peaks(values, 20, 40, padded) == ((5.0, -5.0), (15.0, -5.0), (25.0, -5.0))


def test_the_peaks_are_the_middles_of_the_largest_cells() -> None:
    assert peaks(MAP, 50, 100, steps()) == ((10.0, 5.0),)
    cropped = steps(fit="crop", crop_fraction=0.5)
    assert peaks(np.array([[0.0, 2.0], [2.0, 0.0]]), 40, 100, cropped) == (
        (55.0, 15.0),
        (45.0, 25.0),
    )


def cam(values: np.ndarray, method: str = "cam") -> ClassActivationMap:
    return ClassActivationMap(values, method, "conv", "cat", 1.0, None)


def test_a_map_that_says_nothing_has_no_parts() -> None:
    assert find_parts(cam(np.full((2, 2), 3.0)), 10, 10, steps()) == ()
    assert find_parts(cam(np.array([[np.nan, 1.0]])), 10, 10, steps()) == ()
    assert find_parts(cam(MAP), 50, 100, steps()) == find_parts(MAP, 50, 100, steps())


@pytest.mark.parametrize("method", [key for key, one in METHODS.items() if one.of_pixels])
def test_a_map_of_pixels_is_smoothed_before_boxes_are_found(method: str) -> None:
    # Two pixels of one thing, a single one that is brighter, and pixels that speak against it.
    values = np.zeros((50, 100))
    values[20, 30] = values[20, 32] = 3
    values[40, 80] = 4
    values[39:42, 79:82:2] = -1
    size = (50, 100, steps())
    assert len(find_parts(values, *size)) == 3
    shown = cam(values, method)
    assert smoothing(shown) == 2
    # A Gaussian of 2 pixels is exp(-r² / 8) at a distance of r: twice 3 exp(-1 / 8) between the
    # two, and 4 less the six around it at the single one.
    peak, single = smoothed(shown)[20, 31], smoothed(shown)[40, 80]
    beside = 2 * np.exp(-1 / 8) + 4 * np.exp(-2 / 8)
    if METHODS[method].shows == "sensitivity":
        # Of a sensitivity the sizes count, whatever the sign.
        assert single / peak == pytest.approx((4 + beside) / (6 * np.exp(-1 / 8)), rel=1e-4)
        assert len(find_parts(shown, *size, 0.5)) == 2
        return
    assert single / peak == pytest.approx((4 - beside) / (6 * np.exp(-1 / 8)), rel=1e-4)
    (part,) = find_parts(shown, *size, 0.5)
    # Half of that: exp(-4 / 8) of it two pixels above and below, exp(-9 / 8) at three; to the
    # sides exp(-1 / 8) + exp(-9 / 8) of 2 exp(-1 / 8) at two, exp(-4 / 8) + exp(-16 / 8) at three.
    assert part.box == Box(29, 18, 34, 23)
    record = localization_record(shown, 50, 100, steps(), 0.5, [part])
    assert (record["smoothing"], record["peaks"]) == (2, ((31.5, 20.5),))
    assert localization_record(cam(values), 50, 100, steps(), 0.5, [])["smoothing"] == 0


def test_the_record_by_hand() -> None:
    values = np.array([[9.0, 0.0], [0.0, 4.0], [1.0, 0.0]])
    parts = find_parts(values, 30, 20, steps(), 0.3)
    record = localization_record(cam(values), 30, 20, steps(), 0.3, parts)
    assert json.loads(json.dumps(record)) == {
        "width": 20,
        "height": 30,
        "class": "cat",
        "against": None,
        "method": "cam",
        "layer": "conv",
        "threshold": 0.3,
        "smoothing": 0,
        "peaks": [[5.0, 5.0]],
        "parts": [
            {
                "box": {"left": 0, "top": 0, "right": 20, "bottom": 20},
                "cells": 2,
                "contours": [
                    [[0, 0], [10, 0], [10, 10], [0, 10]],
                    [[10, 10], [20, 10], [20, 20], [10, 20]],
                ],
            }
        ],
    }


# --- Contours -------------------------------------------------------------------------------


def grid(text: str) -> list[Box]:
    """The cells that are marked in rows of text, each 2 wide and 1 high."""
    return [
        Box(2 * x, y, 2 * x + 2, y + 1)
        for y, row in enumerate(text.split())
        for x, sign in enumerate(row)
        if sign == "#"
    ]


@pytest.mark.parametrize(
    ("cells", "rings"),
    [
        ("##", [[(0, 0), (4, 0), (4, 1), (0, 1)]]),
        ("#. ##", [[(0, 0), (2, 0), (2, 1), (4, 1), (4, 2), (0, 2)]]),
        # A hole runs the other way around.
        (
            "### #.# ###",
            [[(0, 0), (6, 0), (6, 3), (0, 3)], [(2, 1), (2, 2), (4, 2), (4, 1)]],
        ),
        # Cells that touch at a corner: a ring each.
        ("#. .#", [[(0, 0), (2, 0), (2, 1), (0, 1)], [(2, 1), (4, 1), (4, 2), (2, 2)]]),
    ],
)
def test_contours_by_hand(cells: str, rings: list[list[tuple[int, int]]]) -> None:
    assert list(map(list, contours(grid(cells)))) == rings


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7)))
def test_contours_enclose_the_cells_and_no_others(mask: np.ndarray) -> None:
    """A cell is inside if a way from it to the left crosses the rings an odd number of times."""
    cells = [Box(x, y, x + 1, y + 1) for y, x in np.argwhere(mask).tolist()]
    rings = contours(cells)
    for ring in rings:
        assert len(set(ring)) == len(ring)
    edges = [edge for ring in rings for edge in zip(ring, (*ring[1:], ring[0]), strict=True)]
    inside = np.zeros_like(mask)
    for y, x in np.ndindex(mask.shape):
        crossed = [
            1
            for (x0, y0), (x1, y1) in edges
            if x0 == x1 and x0 <= x and min(y0, y1) <= y < max(y0, y1)
        ]
        inside[y, x] = len(crossed) % 2
    np.testing.assert_array_equal(inside, mask)
    # The shoelace formula: outer rings count as positive, holes as negative.
    areas = [
        sum(
            x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True)
        )
        for ring in rings
    ]
    assert sum(areas) == 2 * mask.sum()


# --- Any map --------------------------------------------------------------------------------


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
def test_boxes_are_inside_the_photo_and_not_empty(
    values: np.ndarray, height: int, width: int, fit: str
) -> None:
    parts = find_parts(values, height, width, steps(fit=fit))
    for box in [one for part in parts for one in (part.box, *part.cells)]:
        assert 0 <= box.left < box.right <= width
        assert 0 <= box.top < box.bottom <= height
    for part in parts:
        assert FoundPart(bounds(part.cells), part.cells) == part
    if not parts and fit == "stretch" and height >= 6 and width >= 6:
        assert values.max() <= 0 or mostly_against(values)


def bounds(cells: tuple[Box, ...]) -> Box:
    left, top, right, bottom = np.array([[*asdict(cell).values()] for cell in cells]).T
    return Box(left.min(), top.min(), right.max(), bottom.max())
