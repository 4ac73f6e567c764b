"""From a photo to the network input and back: regions by hand, and where a bright spot lands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cnnviz.arrays import Region
from cnnviz.cards import Preprocessing
from cnnviz.errors import PhotoError
from cnnviz.geometry import place_on_photo, seen_region
from cnnviz.photos.preprocessing import NetworkView, network_input, network_view, scale_pixels

FITS = ("crop", "stretch", "pad")


def make(height: int, width: int, **fields: Any) -> Preprocessing:
    return Preprocessing(height=height, width=width, **fields)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


# --- Regions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "region"),
    [
        ({"fit": "stretch"}, Region(0, 0, 60, 40)),
        ({"fit": "crop"}, Region(10, 0, 40, 40)),
        ({"fit": "crop", "crop_fraction": 0.5}, Region(20, 10, 20, 20)),
        ({"fit": "pad"}, Region(0, -10, 60, 60)),
    ],
)
def test_the_region_of_a_square_input_by_hand(fields: dict[str, Any], region: Region) -> None:
    assert seen_region(40, 60, make(12, 12, **fields)) == region


@pytest.mark.parametrize(
    ("fit", "region"), [("crop", Region(0, 13.75, 50, 12.5)), ("pad", Region(-55, 0, 160, 40))]
)
def test_the_region_of_an_oblong_input_by_hand(fit: str, region: Region) -> None:
    """An input of 8×32 is four times as wide as high; the photo is 40 high and 50 wide."""
    assert seen_region(40, 50, make(8, 32, fit=fit)) == region


def test_borders_of_whole_pixels_are_accounted_for() -> None:
    """7 of 10 pixels are inside, behind a border of 1: the other border is 2."""
    region = seen_region(10, 7, make(10, 10, fit="pad"))
    assert region == Region(-1, 0, 10, 10)


@pytest.mark.parametrize(
    ("photo", "size", "inside"),
    [
        # 10 wide becomes 7; 6 high becomes 4.2, so 4: of 3 free rows 1 is above and 2 are below.
        ((6, 10), (7, 7), (0, 1, 7, 4)),
        ((10, 6), (7, 7), (1, 0, 4, 7)),
        # 11 high becomes 8; 9 wide becomes 6.5 (6.545), so 7: the one free column is at the right.
        ((11, 9), (8, 8), (0, 0, 7, 8)),
        # Exact halves go to the even number: 2.5 to 2, 3.5 to 4.
        ((5, 10), (5, 5), (0, 1, 5, 2)),
        ((7, 10), (5, 5), (0, 0, 5, 4)),
        # 0.07 of a row is one row, in the middle of seven.
        ((1, 100), (7, 7), (0, 3, 7, 1)),
        ((100, 1), (7, 7), (3, 0, 1, 7)),
        # An oblong input of 5 rows and 9 columns: 3 by 3 becomes 5 by 5, between 2 and 2 columns.
        ((3, 3), (5, 9), (2, 0, 5, 5)),
        ((9, 5), (5, 9), (3, 0, 3, 5)),
    ],
)
def test_where_a_padded_photo_of_odd_size_is(
    photo: tuple[int, int], size: tuple[int, int], inside: tuple[int, int, int, int]
) -> None:
    """Left, top, width and height in the input, by hand; all else is black."""
    left, top, width, height = inside
    how = make(*size, fit="pad")
    view = network_view(np.full((*photo, 3), 255, np.uint8), how)
    expected = np.zeros((*size, 3), np.uint8)
    expected[top : top + height, left : left + width] = 255
    np.testing.assert_array_equal(view, expected)
    # One input pixel is so many photo pixels, across and down.
    across, down = photo[1] / width, photo[0] / height
    region = seen_region(*photo, how)
    assert (region.left, region.top) == pytest.approx((-left * across, -top * down))
    assert (region.width, region.height) == pytest.approx((size[1] * across, size[0] * down))


def test_the_region_of_a_padded_photo_of_odd_size_by_hand() -> None:
    """6 × 10 pixels are 4 rows of 1.5 and 7 columns of 10/7; one row of border is above."""
    region = seen_region(6, 10, make(7, 7, fit="pad"))
    assert (region.left, region.top) == (0, -1.5)
    assert (region.width, region.height) == pytest.approx((10, 10.5))


# --- What the network sees ------------------------------------------------------------------


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_a_photo_of_the_input_s_size_is_unchanged(fit: str, interpolation: str) -> None:
    photo = noise(12, 9)
    view = network_view(photo, make(12, 9, fit=fit, interpolation=interpolation))
    np.testing.assert_array_equal(view, photo)


def test_a_crop_at_full_size_is_the_middle_of_the_photo() -> None:
    photo = noise(12, 20)
    np.testing.assert_array_equal(network_view(photo, make(12, 12, fit="crop")), photo[:, 4:16])


def test_a_padded_photo_has_black_borders() -> None:
    photo = noise(10, 7)
    view = network_view(photo, make(10, 10, fit="pad"))
    np.testing.assert_array_equal(view[:, 1:8], photo)
    assert not view[:, :1].any()
    assert not view[:, 8:].any()


def test_halving_takes_the_mean_of_four() -> None:
    """Pillow's bilinear filter widens by the scale: (1, 3, 3, 1)/8 inside the photo."""
    photo = np.repeat(np.array([[0, 80, 160, 240]], np.uint8)[..., None], 3, axis=2)
    view = network_view(photo, make(1, 2, fit="stretch"))
    # At the edges a part of the filter falls outside: (3, 3, 1)/7.
    left = (3 * 0 + 3 * 80 + 160) / 7
    np.testing.assert_allclose(view[0, :, 0], [left, 240 - left], atol=1)


@pytest.mark.parametrize("fit", FITS)
def test_a_fourth_channel_is_opaque_everywhere(fit: str) -> None:
    photo = noise(9, 14)
    view = network_view(photo, make(6, 6, fit=fit, channels=4))
    np.testing.assert_array_equal(view[..., :3], network_view(photo, make(6, 6, fit=fit)))
    np.testing.assert_array_equal(view[..., 3], np.full((6, 6), 255))
    inputs = network_input(photo, make(6, 6, fit=fit, channels=4, scaling="unit"))
    np.testing.assert_array_equal(inputs[0, ..., 3], np.ones((6, 6)))


def test_grey_is_the_luma_of_the_colours() -> None:
    photo = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]]], np.uint8)
    view = network_view(photo, make(1, 4, channels=1))
    assert view.shape == (1, 4, 1)
    expected = photo @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(view[..., 0], expected, atol=0.51)


@given(
    st.integers(1, 400),
    st.floats(0.06, 9),
    st.sampled_from([(7, 7), (28, 28), (224, 224), (299, 299), (96, 160)]),
    st.sampled_from(FITS),
    st.sampled_from([1.0, 0.875, 0.1]),
)
@example(1505, 1.0, (299, 299), "crop", 1.0)
@example(1, 20.0, (224, 224), "pad", 1.0)
@example(1, 1.0, (224, 224), "crop", 0.1)
def test_every_photo_can_be_seen(
    height: int, aspect: float, size: tuple[int, int], fit: str, fraction: float
) -> None:
    width = max(1, round(height * aspect))
    photo = np.broadcast_to(np.array([9, 99, 199], np.uint8), (height, width, 3))
    how = make(*size, fit=fit, crop_fraction=fraction)
    view = network_view(photo, how)
    assert view.shape == (*size, 3)
    middle = view[(size[0] - 1) // 2, (size[1] - 1) // 2]
    np.testing.assert_array_equal(middle, [9, 99, 199])
    region = seen_region(height, width, how)
    if fit != "pad":
        assert region.left >= 0
        assert region.top >= 0
        assert region.left + region.width <= width
        assert region.top + region.height <= height


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_an_array_that_is_no_photo_is_refused_with_a_message(photo: np.ndarray) -> None:
    with pytest.raises(PhotoError, match=r"Expected a photo as \(height, width, 3\)") as error:
        network_input(photo, make(4, 4))
    assert str(photo.shape) in str(error.value)


# --- Values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ("none", [0, 51, 255]),
        ("unit", [0, 0.2, 1]),
        ("tf", [-1, -0.6, 1]),
        ("torch", [-0.485 / 0.229, (0.2 - 0.456) / 0.224, (1 - 0.406) / 0.225]),
        ("caffe", [255 - 103.939, 51 - 116.779, 0 - 123.68]),
    ],
)
def test_scaling_by_hand(scaling: str, expected: list[float]) -> None:
    """One pixel with red 0, green 51 and blue 255."""
    scaled = scale_pixels(np.array([[[0, 51, 255]]], np.uint8), scaling)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[0, 0], expected, rtol=1e-5)


def test_the_network_input_is_one_scaled_picture_and_the_photo_is_unchanged() -> None:
    photo = noise(12, 20)
    before = photo.copy()
    inputs = network_input(photo, make(12, 12, fit="crop", scaling="unit"))
    assert inputs.shape == (1, 12, 12, 3)
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs[0], photo[:, 4:16] / 255, rtol=1e-6)
    np.testing.assert_array_equal(photo, before)


# --- Back onto the photo --------------------------------------------------------------------


def test_what_the_network_did_not_see_is_nan() -> None:
    ones = np.ones((3, 3))
    cropped = place_on_photo(ones, 40, 60, make(12, 12, fit="crop"))
    assert np.isnan(cropped[:, :10]).all()
    assert np.isnan(cropped[:, 50:]).all()
    assert (cropped[:, 10:50] == 1).all()
    for fit in ("stretch", "pad"):
        assert (place_on_photo(ones, 40, 60, make(12, 12, fit=fit)) == 1).all()


@given(
    st.tuples(st.integers(60, 300), st.integers(60, 300)),
    st.tuples(st.integers(24, 80), st.integers(24, 80)),
    st.tuples(st.floats(0.3, 0.7), st.floats(0.3, 0.7)),
    st.sampled_from(FITS),
    st.sampled_from([1.0, 0.875]),
)
def test_a_bright_spot_in_the_network_s_view_maps_back_to_its_position(
    photo_size: tuple[int, int],
    input_size: tuple[int, int],
    spot: tuple[float, float],
    fit: str,
    fraction: float,
) -> None:
    """Through the photo's preprocessing and back, without assumptions about either."""
    how = make(*input_size, fit=fit, crop_fraction=fraction)
    height, width = photo_size
    region = seen_region(height, width, how)
    # A position in the middle of the view, and a spot of about three input pixels.
    row = int(max(region.top, 0) + spot[0] * min(region.height, height))
    column = int(max(region.left, 0) + spot[1] * min(region.width, width))
    reach_y = 1 + int(1.5 * region.height / input_size[0])
    reach_x = 1 + int(1.5 * region.width / input_size[1])
    photo = np.zeros((height, width, 3), np.uint8)
    rows = slice(max(row - reach_y, 0), row + reach_y + 1)
    columns = slice(max(column - reach_x, 0), column + reach_x + 1)
    photo[rows, columns] = 255

    bright = network_view(photo, how).mean(axis=-1)
    placed = np.nan_to_num(place_on_photo(bright, height, width, how))
    # The centre of gravity is finer than the position of the peak.
    y = (placed.sum(axis=1) * np.arange(height)).sum() / placed.sum()
    x = (placed.sum(axis=0) * np.arange(width)).sum() / placed.sum()
    true_y = (rows.start + min(rows.stop, height) - 1) / 2
    true_x = (columns.start + min(columns.stop, width) - 1) / 2
    assert abs(y - true_y) <= 0.5 * max(1, region.height / input_size[0])
    assert abs(x - true_x) <= 0.5 * max(1, region.width / input_size[1])
    peak_y, peak_x = np.unravel_index(placed.argmax(), placed.shape)
    assert photo[peak_y, peak_x, 0] == 255


@pytest.mark.parametrize("fit", FITS)
def test_a_view_can_replace_its_photo(fit: str) -> None:
    settings = make(7, 9, fit=fit, crop_fraction=0.5, scaling="torch")
    seen = NetworkView(network_view(noise(40, 60), settings), settings)
    expected = network_input(noise(40, 60), settings)
    np.testing.assert_array_equal(network_input(seen, settings), expected)


def test_a_view_with_another_preprocessing_is_refused() -> None:
    seen = NetworkView(network_view(noise(40, 60), make(7, 9)), make(7, 9))
    with pytest.raises(ValueError, match="Expected a view made by .*crop"):
        network_input(seen, make(7, 9, fit="crop"))
