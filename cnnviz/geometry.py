"""Which part of a photo a network looks at, and where a map therefore belongs on the photo."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats, Region, resize
from cnnviz.cards import Preprocessing
from cnnviz.results import Box

# How far Pillow's filters reach, in pixels of the result or of the photo, whichever are larger.
_REACH = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}
# Pillow keeps a filter's weights as integers of so many steps: smaller weights are none.
_WEIGHT_STEPS = 1 << 22


def seen_region(height: int, width: int, preprocessing: Preprocessing) -> Region:
    """The part of a photo (height, width) that the network looks at, in photo pixels.

    With ``pad`` it reaches beyond the photo, by the black borders.
    """
    if preprocessing.fit == "stretch":
        return Region(0, 0, width, height)
    if preprocessing.fit == "pad":
        left, top, inner_width, inner_height = padded_position(height, width, preprocessing)
        across, down = width / inner_width, height / inner_height
        return Region(
            -left * across,
            -top * down,
            preprocessing.width * across,
            preprocessing.height * down,
        )
    scale = min(height / preprocessing.height, width / preprocessing.width)
    # Rounding must not put an edge outside the photo, not even by 1e-13.
    seen_height = min(scale * preprocessing.height, height) * preprocessing.crop_fraction
    seen_width = min(scale * preprocessing.width, width) * preprocessing.crop_fraction
    share_left, share_above = preprocessing.crop_at
    return Region(
        (width - seen_width) * share_left,
        (height - seen_height) * share_above,
        seen_width,
        seen_height,
    )


def padded_position(
    height: int, width: int, preprocessing: Preprocessing
) -> tuple[int, int, int, int]:
    """The position of a padded photo in the network input: left, top, width, height, in pixels.

    Args:
        height: of the photo.
        width: of the photo.
        preprocessing: how the photo becomes the network input.
    """
    scale = min(preprocessing.height / height, preprocessing.width / width)
    inner_width = max(1, round(width * scale))
    inner_height = max(1, round(height * scale))
    return (
        (preprocessing.width - inner_width) // 2,
        (preprocessing.height - inner_height) // 2,
        inner_width,
        inner_height,
    )


def place_on_photo(
    values: NDArray[np.floating], height: int, width: int, preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """Resizes a map (h, w) to a photo of (height, width), exactly where the network looked.

    Crop and scaling are undone; photo pixels that the network never saw are NaN.
    """
    return resize(values, height, width, seen_region(height, width, preprocessing))


def cell_shares(pixels: int, cells: int, start: float, length: float) -> Floats:
    """(cells, pixels): which share of each cell each pixel of one side of a photo makes up.

    Args:
        pixels: of the side.
        cells: of equal length, beside each other.
        start: where the first one begins, in pixels.
        length: of all of them, in pixels.

    Example:
        >>> cell_shares(3, 2, 0, 3)
        array([[0.66666667, 0.33333333, 0.        ],
               [0.        , 0.33333333, 0.66666667]])
    """
    edges = start + np.arange(cells + 1) / cells * length
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(pixels)
    common = np.minimum(right, pixel + 1) - np.maximum(left, pixel)
    return np.maximum(common, 0) / (length / cells)


def photo_pixels(box: Box, height: int, width: int, preprocessing: Preprocessing) -> Box | None:
    """The pixels of a photo that go into some pixels of the network's input.

    Args:
        box: in pixels of the network's input.
        height: of the photo.
        width: of the photo.
        preprocessing: how the photo becomes the network's input.

    Returns:
        All that the filter of the scaling reads for them; None where they are in the borders of a
        padded photo.
    """
    seen = seen_region(height, width, preprocessing)
    across, down = preprocessing.width, preprocessing.height
    if preprocessing.fit == "pad":
        left, top, across, down = padded_position(height, width, preprocessing)
        seen = Region(0, 0, width, height)
        box = Box(
            max(box.left - left, 0),
            max(box.top - top, 0),
            min(box.right - left, across),
            min(box.bottom - top, down),
        )
        if box.left >= box.right or box.top >= box.bottom:
            return None
    filter_name = preprocessing.interpolation
    columns = _Scaling(seen.left, seen.width, across, width, filter_name)
    rows = _Scaling(seen.top, seen.height, down, height, filter_name)
    left, right = columns.read_all(box.left, box.right)
    top, bottom = rows.read_all(box.top, box.bottom)
    return Box(left, top, right, bottom)


def cell_pixels(
    cell: tuple[int, int],
    cells: tuple[int, int],
    height: int,
    width: int,
    preprocessing: Preprocessing,
) -> Box | None:
    """The pixels of a photo that one cell of a map lies on, as ``place_on_photo`` places maps.

    Args:
        cell: row and column.
        cells: rows and columns of the map.
        height: of the photo.
        width: of the photo.
        preprocessing: how the photo becomes the network's input.

    Returns:
        All that it touches; None where it is in the borders of a padded photo.

    Example:
        >>> cell_pixels((1, 0), (2, 4), 100, 200, Preprocessing(height=8, width=16))
        Box(left=0, top=50, right=50, bottom=100)
    """
    seen = seen_region(height, width, preprocessing)
    top, bottom = _side(seen.top, seen.height, cell[0], cells[0], height)
    left, right = _side(seen.left, seen.width, cell[1], cells[1], width)
    return Box(left, top, right, bottom) if left < right and top < bottom else None


def _side(start: float, length: float, cell: int, cells: int, pixels: int) -> tuple[int, int]:
    """The first pixel of a side that a cell touches, and the first beyond it."""
    # Rounding must not add a pixel where an edge is a whole number.
    first, end = (round(start + length * at / cells, 6) for at in (cell, cell + 1))
    return max(math.floor(first), 0), min(math.ceil(end), pixels)


@dataclass(frozen=True)
class _Scaling:
    """How Pillow scales one axis of a picture.

    Attributes:
        start: the first pixel that is scaled; may be a fraction.
        length: how many are scaled.
        count: pixels of the result.
        size: pixels of the picture, some of which may lie outside of what is scaled.
        interpolation: a key of ``_REACH``.
    """

    start: float
    length: float
    count: int
    size: int
    interpolation: str

    def read_all(self, first: int, end: int) -> tuple[int, int]:
        """The same as ``read``, for the pixels from ``first`` to the one before ``end``."""
        # A pixel in the middle of one of the photo's may read less than its neighbour further in.
        near = {first, min(first + 1, end - 1), max(end - 2, first), end - 1}
        reads = [self.read(pixel) for pixel in near]
        return min(start for start, _ in reads), max(beyond for _, beyond in reads)

    def read(self, pixel: int) -> tuple[int, int]:
        """The first pixel that goes into a pixel of the result, and the first beyond them."""
        # Pillow has the edges in single precision.
        start, end = float(np.float32(self.start)), float(np.float32(self.start + self.length))
        step = (end - start) / self.count
        centre = start + (pixel + 0.5) * step
        if self.interpolation == "nearest":
            # Pillow goes from one pixel to the next, which rounds otherwise.
            centre = float(np.cumsum([start + 0.5 * step] + pixel * [step])[-1])
            return int(centre), int(centre) + 1
        wide = max(step, 1.0)
        reach = _REACH[self.interpolation] * wide
        first = max(int(centre - reach + 0.5), 0)
        beyond = min(int(centre + reach + 0.5), self.size)
        weights = _filter(self.interpolation, (np.arange(first, beyond) - centre + 0.5) / wide)
        counts = np.flatnonzero(np.rint(weights / weights.sum() * _WEIGHT_STEPS))
        return first + int(counts[0]), first + int(counts[-1]) + 1


def _filter(interpolation: str, distance: Floats) -> Floats:
    """The weights of Pillow's filters at some distances, in pixels, from the centre."""
    x = np.abs(distance)
    if interpolation == "bilinear":
        return np.maximum(1 - x, 0)
    if interpolation == "lanczos":
        return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))
