"""Geometry between photo, network input and map: cases worked out by hand."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from PIL import Image

from cnnviz.cards import Preprocessing
from cnnviz.geometry import cell_pixels, photo_pixels, place_on_photo, seen_region
from cnnviz.photos.preprocessing import picture_view
from cnnviz.results import Box


def test_the_region_of_a_crop_is_centred_unless_the_card_says_where() -> None:
    crop = Preprocessing(height=10, width=20, fit="crop", crop_fraction=0.5)
    # The largest rectangle of that shape is 50 × 100; half of its sides are 25 × 50.
    assert astuple(seen_region(90, 100, crop)) == pytest.approx((25, 32.5, 50, 25))
    moved = crop.model_copy(update={"crop_at": (1.0, 0.2)})
    assert astuple(seen_region(90, 100, moved)) == pytest.approx((50, 13, 50, 25))


def test_a_map_is_placed_on_the_cropped_part_alone() -> None:
    crop = Preprocessing(height=8, width=8, fit="crop")
    placed = place_on_photo(np.array([[1.0]]), 2, 4, crop)
    np.testing.assert_array_equal(placed, [[np.nan, 1, 1, np.nan]] * 2)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(37, 53), (9, 8), (12, 12), (5, 31)])
def test_the_pixels_that_are_scaled_are_those_that_pillow_reads(
    interpolation: str, fit: str, size: tuple[int, int]
) -> None:
    """A row of the photo that is one, all others zero, shows in the rows that read it."""
    height, width = size
    how = Preprocessing(height=12, width=10, channels=1, interpolation=interpolation, fit=fit)
    # Numbers in place of bytes, which would round small shares away.
    shares = np.zeros((height, 12))
    for row in range(height):
        picture = np.zeros(size, np.float32)
        picture[row] = 1
        shares[row] = _numbers(picture, how)[:, 5]
    # Pillow rounds shares below a step of its integers away.
    reads = np.abs(shares) > 2.0**-23
    for first, end in ((0, 1), (4, 5), (6, 9), (11, 12), (0, 12)):
        found = photo_pixels(Box(5, first, 6, end), height, width, how)
        rows = np.flatnonzero(reads[:, first:end].any(axis=1))
        expected = (rows[0], rows[-1] + 1) if len(rows) else None
        assert (found and (found.top, found.bottom)) == expected


def test_a_pixel_that_reads_one_alone_does_not_hide_what_its_neighbour_reads() -> None:
    how = Preprocessing(height=12, width=4, interpolation="lanczos")
    # Of 4 pixels made 12, the fifth is in the middle of one; its neighbours read up to six.
    middle, both = (photo_pixels(Box(0, 4, 1, end), 4, 4, how) for end in (5, 6))
    assert middle is not None and (middle.top, middle.bottom) == (1, 2)  # noqa: PT018
    assert both is not None and (both.top, both.bottom) == (0, 4)  # noqa: PT018


def test_the_nearest_pixel_is_that_of_pillow_where_two_are_as_near() -> None:
    how = Preprocessing(height=15, width=1, interpolation="nearest")
    rows = np.arange(20, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    nearest = picture_view(Image.fromarray(rows), how)[:, 0, 0]
    found = [photo_pixels(Box(0, row, 1, row + 1), 20, 1, how) for row in range(15)]
    assert [box.top for box in found if box is not None] == nearest.tolist()


def _numbers(picture: np.ndarray, how: Preprocessing) -> np.ndarray:
    image = Image.fromarray(picture)
    image.convert = lambda _: image  # type: ignore[method-assign,assignment]
    return picture_view(image, how)[..., 0]


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize(("height", "width"), [(40, 64), (61, 30), (8, 8)])
def test_a_cell_is_where_the_middles_of_its_pixels_are(fit: str, height: int, width: int) -> None:
    steps = Preprocessing(height=24, width=24, fit=fit, crop_fraction=0.875)
    seen = seen_region(height, width, steps)
    cells = (3, 4)
    rows = np.floor((np.arange(height) + 0.5 - seen.top) / seen.height * cells[0])
    columns = np.floor((np.arange(width) + 0.5 - seen.left) / seen.width * cells[1])
    for cell in np.ndindex(*cells):
        box = cell_pixels(cell, cells, height, width, steps)
        inside = [
            np.flatnonzero(side == at) for side, at in zip((rows, columns), cell, strict=True)
        ]
        if box is None:
            assert not all(map(len, inside))
            continue
        for pixels, first, end in zip(
            inside, (box.top, box.left), (box.bottom, box.right), strict=True
        ):
            # Pixels at an edge may have their middle in the next cell.
            assert len(pixels) <= end - first <= len(pixels) + 2
            assert set(pixels) <= set(range(first, end))
