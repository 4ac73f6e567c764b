"""Arrays: hand-worked cases, slower second implementations, and properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnnviz.arrays import (
    Region,
    centre,
    colour,
    largest_magnitude,
    normalise,
    rectify,
    resize,
    scale_filters,
    steps,
    tile,
)

GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def maps(largest: float = 1e6, side: int = 6, dims: int = 2) -> st.SearchStrategy[np.ndarray]:
    numbers = st.floats(-largest, largest, width=32)
    shapes = hnp.array_shapes(min_dims=dims, max_dims=dims, max_side=side)
    return hnp.arrays(np.float32, shapes, elements=numbers)


# --- normalise, centre, rectify, largest_magnitude ------------------------------------------


def test_normalise_by_hand() -> None:
    values = np.array([[-2.0, 0.0], [2.0, 6.0]])
    np.testing.assert_allclose(normalise(values), [[0, 0.25], [0.5, 1]])


def test_normalise_each_channel_by_itself() -> None:
    values = np.stack([[[0.0, 1.0], [2.0, 4.0]], [[8.0, 8.0], [8.0, 8.0]]], axis=-1)
    scaled = normalise(values, axis=(0, 1))
    np.testing.assert_allclose(scaled[..., 0], [[0, 0.25], [0.5, 1]])
    np.testing.assert_allclose(scaled[..., 1], 0)


@pytest.mark.parametrize("value", [0.0, 5.0, -3e38, 5e-324])
def test_a_constant_array_becomes_zero_and_not_nan(value: float) -> None:
    np.testing.assert_array_equal(normalise(np.full((2, 3), value)), np.zeros((2, 3)))
    expected = np.zeros((2, 3)) if value == 0 else np.full((2, 3), np.sign(value))
    np.testing.assert_allclose(centre(np.full((2, 3), value)), expected)


def test_normalise_survives_the_ends_of_the_number_range() -> None:
    end = float(np.finfo(np.float64).max)
    np.testing.assert_allclose(normalise(np.array([-end, 0, end])), [0, 0.5, 1])
    np.testing.assert_array_equal(normalise(np.array([0, 5e-324])), [0, 0])


@given(maps(largest=float(np.finfo(np.float32).max)))
def test_normalise_keeps_order_and_reaches_both_ends(values: np.ndarray) -> None:
    scaled = normalise(values)
    assert scaled.shape == values.shape
    assert scaled.dtype == np.float32
    assert np.isfinite(scaled).all()
    assert scaled.min() == 0
    assert scaled.max() == (1 if values.max() > values.min() else 0)
    order = np.argsort(values, axis=None)
    assert (np.diff(scaled.ravel()[order]) >= 0).all()


def test_centre_by_hand() -> None:
    np.testing.assert_allclose(centre(np.array([[-4.0, 0.0], [1.0, 2.0]])), [[-1, 0], [0.25, 0.5]])


@given(maps())
def test_centre_keeps_zero_and_signs(values: np.ndarray) -> None:
    scaled = centre(values)
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() == (1 if values.any() else 0)
    np.testing.assert_array_equal(scaled[values == 0], 0)
    assert (scaled * values >= 0).all()


def test_rectify_and_largest_magnitude_by_hand() -> None:
    values = np.array([[-4.0, 0.0], [1.0, 2.0]])
    np.testing.assert_array_equal(rectify(values), [[0, 0], [1, 2]])
    assert largest_magnitude(values) == 4
    assert largest_magnitude(np.array([np.nan, -1.5])) == 1.5
    assert largest_magnitude(np.array([np.nan])) == 0


# --- scale_filters --------------------------------------------------------------------------


def two_filters() -> np.ndarray:
    """(1, 2, 1, 2): the first filter is (-1, 3), the second (0, 1)."""
    return np.array([[-1.0, 0.0], [3.0, 1.0]]).reshape(1, 2, 1, 2)


def test_filters_scaled_over_the_layer_keep_their_proportions() -> None:
    scaled = scale_filters(two_filters(), "layer")
    np.testing.assert_allclose(scaled[0, :, 0], [[0, 0.25], [1, 0.5]])


def test_filters_scaled_one_by_one_each_use_the_whole_range() -> None:
    scaled = scale_filters(two_filters(), "filter")
    np.testing.assert_allclose(scaled[0, :, 0], [[0, 0], [1, 1]])


def test_filters_on_a_symmetric_scale_keep_zero() -> None:
    scaled = scale_filters(two_filters(), "symmetric")
    np.testing.assert_allclose(scaled[0, :, 0], [[-1 / 3, 0], [1, 1 / 3]])


def test_an_unknown_scaling_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'layer', 'filter' or 'symmetric'.*'minmax'"):
        scale_filters(two_filters(), "minmax")


# --- resize ---------------------------------------------------------------------------------


def naive_resize(values: np.ndarray, height: int, width: int, region: Region) -> np.ndarray:
    """Pixel by pixel, from the definition: sample where the pixel's centre falls."""
    rows, columns = values.shape
    result = np.full((height, width), np.nan)
    for y in range(height):
        for x in range(width):
            v = (y + 0.5 - region.top) / region.height
            u = (x + 0.5 - region.left) / region.width
            if not (0 <= u <= 1 and 0 <= v <= 1):
                continue
            row = min(max(v * rows - 0.5, 0), rows - 1)
            column = min(max(u * columns - 0.5, 0), columns - 1)
            top, left = math.floor(row), math.floor(column)
            bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            down, across = row - top, column - left
            above = (1 - across) * values[top, left] + across * values[top, right]
            below = (1 - across) * values[bottom, left] + across * values[bottom, right]
            result[y, x] = (1 - down) * above + down * below
    return result


def test_resize_by_hand() -> None:
    """Two cells over four pixels: the outer pixels are outside the cells' centres."""
    np.testing.assert_allclose(resize(np.array([[0.0, 4.0]]), 1, 4), [[0, 1, 3, 4]])


def test_resize_over_a_part_leaves_the_rest_empty() -> None:
    placed = resize(np.array([[1.0]]), 2, 4, Region(left=1, top=0, width=2, height=1))
    expected = [[np.nan, 1, 1, np.nan], [np.nan] * 4]
    np.testing.assert_array_equal(placed, expected)


@given(
    maps(largest=1e3, side=5),
    st.integers(1, 9),
    st.integers(1, 9),
    st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.5, 12), st.floats(0.5, 12)),
)
def test_resize_equals_the_slow_definition(
    values: np.ndarray, height: int, width: int, edges: tuple[float, float, float, float]
) -> None:
    region = Region(*edges)
    resized = resize(values, height, width, region)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(
        resized, naive_resize(values, height, width, region), rtol=1e-5, atol=1e-3
    )


@given(maps(largest=1e3), st.integers(1, 4))
def test_the_peak_stays_over_its_own_cell(values: np.ndarray, factor: int) -> None:
    scale = 2 * factor + 1
    resized = resize(values, values.shape[0] * scale, values.shape[1] * scale)
    middle = resized[factor::scale, factor::scale]
    np.testing.assert_allclose(middle, values, rtol=1e-5, atol=1e-3)
    row, column = np.unravel_index(resized.argmax(), resized.shape)
    np.testing.assert_allclose(values[row // scale, column // scale], values.max(), rtol=1e-5)


@given(maps(side=8), st.integers(1, 20), st.integers(1, 20))
def test_resize_never_leaves_the_range(values: np.ndarray, height: int, width: int) -> None:
    resized = resize(values, height, width)
    assert resized.shape == (height, width)
    slack = 1e-5 * max(1, np.abs(values).max())
    assert resized.min() >= values.min() - slack
    assert resized.max() <= values.max() + slack


# --- tile -----------------------------------------------------------------------------------


def test_tile_by_hand() -> None:
    channels = np.stack([np.full((1, 2), k) for k in range(3)], axis=-1).astype(float)
    gap = np.nan
    np.testing.assert_array_equal(
        tile(channels, columns=2),
        [[0, 0, gap, 1, 1], [gap] * 5, [2, 2, gap, gap, gap]],
    )


@given(maps(dims=3), st.integers(1, 9), st.integers(0, 2))
def test_every_channel_is_in_its_row_and_column(
    channels: np.ndarray, columns: int, gap: int
) -> None:
    height, width, count = channels.shape
    mosaic = tile(channels, columns, gap)
    for k in range(count):
        top, left = k // columns * (height + gap), k % columns * (width + gap)
        seen = mosaic[top : top + height, left : left + width]
        np.testing.assert_array_equal(seen, channels[..., k])
    assert np.count_nonzero(~np.isnan(mosaic)) == channels.size


# --- steps and colour ----------------------------------------------------------------------


def test_steps_by_hand() -> None:
    values = np.array([-5.0, 0.0, 1.0, 2.0, 9.0, np.nan])
    np.testing.assert_array_equal(steps(values, 0, 2, count=5), [0, 0, 2, 4, 4, 0])


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0, np.nan)])
def test_a_scale_without_length_gives_the_first_step(low: float, high: float) -> None:
    np.testing.assert_array_equal(steps(np.array([0.0, 1.0, 9.0]), low, high), 0)


def test_colour_by_hand() -> None:
    values = np.array([[0.0, 10.0], [5.0, np.nan]])
    coloured = colour(values, GREYS, 0, 10)
    assert coloured.dtype == np.uint8
    np.testing.assert_array_equal(
        coloured, [[[0, 0, 0, 255], [255, 255, 255, 255]], [[128, 128, 128, 255], [0, 0, 0, 0]]]
    )


def test_colour_keeps_a_table_s_own_opacity() -> None:
    table = np.column_stack([GREYS, GREYS[:, 0]])
    np.testing.assert_array_equal(colour(np.array([0.0, 1.0]), table, 0, 1)[:, 3], [0, 255])


@given(maps(largest=float(np.finfo(np.float32).max)), st.integers(0, 2**32 - 1))
def test_colour_equals_a_look_up_value_by_value(values: np.ndarray, seed: int) -> None:
    holes = np.random.default_rng(seed).random(values.shape) < 0.2
    values = np.where(holes, np.nan, values)
    low, high = -1e38, 2e38
    coloured = colour(values, GREYS, low, high)
    for value, seen in zip(values.ravel(), coloured.reshape(-1, 4), strict=True):
        if math.isnan(value):
            assert seen.tolist() == [0, 0, 0, 0]
            continue
        share = min(max((float(value) - low) / (high - low), 0), 1)
        assert abs(int(seen[0]) - share * 255) <= 0.5 + 1e-6
        assert seen[3] == 255
