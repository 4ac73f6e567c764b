"""How well a map agrees with where the evidence truly is, on networks and photos that say so.

The truth is a mask of the photo. ``covered_cells`` brings it to the cells of a map; the scores
then compare two arrays of the same shape, in cells or in pixels, whichever the caller has. Pixels
of a map that are NaN, where the network never looked, are left out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.attribution.localization import THRESHOLD
from cnnviz.cards import Preprocessing
from cnnviz.geometry import cell_shares, seen_region
from cnnviz.results import Box

Mask = NDArray[np.bool_]

# The IoU above which a box is taken for right.
RIGHT = 0.5


def covered_cells(mask: Mask, height: int, width: int, preprocessing: Preprocessing) -> Floats:
    """The share of each cell of a map (height, width) that a mask of the photo covers.

    Args:
        mask: (H, W) of the photo.
        height: rows of the map.
        width: columns of the map.
        preprocessing: how the photo became the network's input.

    Returns:
        (height, width), 0 to 1. Of cells in the border of a padded photo nothing is covered.

    Example:
        >>> mask = np.array([[True, False, False, False], [True, True, False, False]])
        >>> covered_cells(mask, 1, 2, Preprocessing(height=2, width=4))
        array([[0.75, 0.  ]])
    """
    photo_height, photo_width = mask.shape
    seen = seen_region(photo_height, photo_width, preprocessing)
    rows = cell_shares(photo_height, height, seen.top, seen.height)
    columns = cell_shares(photo_width, width, seen.left, seen.width)
    # OpenBLAS now and then warns of a NaN in cells that it only pads with.
    with np.errstate(invalid="ignore"):
        return rows @ mask.astype(np.float64) @ columns.T


def energy_inside(values: Floats, mask: Mask) -> float:
    """The share of a map's positive values that lies inside a mask.

    The energy-based pointing game of Wang et al. 2020, "Score-CAM", arXiv 1910.01279.

    Args:
        values: (h, w) raw and signed.
        mask: (h, w).

    Returns:
        0 to 1; NaN where the map holds nothing positive.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> energy_inside(np.array([[3.0, 1.0], [-9.0, 0.0]]), np.array([[True, False]] * 2))
        0.75
    """
    values, mask = _seen(values, mask)
    positive = np.maximum(values, 0)
    total = positive.sum()
    return float(positive[mask].sum() / total) if total > 0 else float("nan")


def pointing_game(values: Floats, mask: Mask, tolerance: float = 0) -> float:
    """Whether the largest value of a map lies inside a mask, or near enough.

    Zhang et al. 2018, "Top-down neural attention by excitation backprop", who allow 15 pixels.

    Args:
        values: (h, w) raw and signed.
        mask: (h, w).
        tolerance: the distance from the mask that is near enough, from centre to centre, in cells
            (or pixels) of the map.

    Returns:
        1 for a hit and 0 for a miss; where several cells are the largest, the share of these that
        hit: so a map that is the same everywhere points no better than chance. NaN where no value
        is a number.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> values, mask = np.array([[1.0, 5.0, 5.0]]), np.array([[True, False, False]])
        >>> pointing_game(values, mask), pointing_game(values, mask, tolerance=1)
        (0.0, 0.5)
    """
    _check_shapes(values, mask)
    if np.isnan(values).all():
        return float("nan")
    peaks = values == np.nanmax(values)
    return float(_widened(mask, tolerance)[peaks].mean())


def rank_inside(values: Floats, mask: Mask) -> float:
    """The probability that a cell inside a mask has a larger value than one outside.

    The area under the ROC curve of the map as a detector of the mask's cells (Fawcett 2006, "An
    introduction to ROC analysis"); two equal values count half.

    Args:
        values: (h, w) raw and signed.
        mask: (h, w).

    Returns:
        0 to 1, 0.5 for a map that is the same everywhere; NaN where no cell is inside, or all are.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> rank_inside(np.array([[4.0, 2.0, 2.0, 1.0]]), np.array([[True, True, False, False]]))
        0.875
    """
    values, mask = _seen(values, mask)
    inside, outside = values[mask], np.sort(values[~mask])
    if not inside.size or not outside.size:
        return float("nan")
    below = np.searchsorted(outside, inside, side="left")
    not_above = np.searchsorted(outside, inside, side="right")
    return float((below + not_above).mean() / (2 * outside.size))


def overlap(values: Floats, mask: Mask, threshold: float = THRESHOLD) -> float:
    """Intersection over union (IoU) of a mask and the cells of a map that stand out.

    Zhou et al. 2016, "Learning deep features for discriminative localization", take the cells
    above a share of the largest value; with them, mask by mask and not box by box, as Choe et al.
    2020, "Evaluating weakly supervised object localization methods right", arXiv 2001.07437.

    Args:
        values: (h, w) raw and signed.
        mask: (h, w).
        threshold: share of the largest value, 0 to 1, above which a cell counts.

    Returns:
        0 to 1; 0 where the map holds nothing positive; NaN where the mask is empty, too.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> overlap(np.array([[5.0, 2.0, 1.0]]), np.array([[True, False, True]]))
        0.3333333333333333
    """
    values, mask = _seen(values, mask)
    peak = values.max(initial=0)
    found = values > threshold * peak if peak > 0 else np.zeros(values.shape, bool)
    union = np.sum(found | mask)
    return float(np.sum(found & mask) / union) if union else float("nan")


def box_overlap(box: Box, truth: Box) -> float:
    """Intersection over union (IoU) of two boxes, 0 to 1.

    A box is usually taken for right where this is more than ``RIGHT`` (Zhou et al. 2016).

    Example:
        >>> box_overlap(Box(0, 0, 4, 2), Box(2, 0, 6, 2))
        0.3333333333333333
    """
    return region_overlap([box], truth)


def region_overlap(cells: Iterable[Box], truth: Box) -> float:
    """Intersection over union (IoU) of a region and a box, 0 to 1.

    Args:
        cells: what the region is made of; disjoint, such as those of a ``FoundPart``.
        truth: the box.

    Example:
        >>> region_overlap([Box(0, 0, 2, 2), Box(2, 2, 4, 4)], Box(0, 0, 4, 4))
        0.5
    """
    cells = tuple(cells)
    common = sum(_common_area(cell, truth) for cell in cells)
    return common / (sum(map(_area, cells)) + _area(truth) - common)


def cells_inside(
    box: Box, shape: tuple[int, ...], height: int, width: int, preprocessing: Preprocessing
) -> Mask:
    """The cells of a map whose middles are in a box of a photo: a mask of the map's shape (h, w).

    Args:
        box: in pixels of the photo.
        shape: of the map.
        height: of the photo.
        width: of the photo.
        preprocessing: how the photo became the network's input.
    """
    seen = seen_region(height, width, preprocessing)
    y = seen.top + (np.arange(shape[0]) + 0.5) * (seen.height / shape[0])
    x = seen.left + (np.arange(shape[1]) + 0.5) * (seen.width / shape[1])
    rows, columns = (box.top <= y) & (y < box.bottom), (box.left <= x) & (x < box.right)
    return rows[:, None] & columns


def _area(box: Box) -> int:
    return (box.right - box.left) * (box.bottom - box.top)


def _common_area(first: Box, second: Box) -> int:
    width = min(first.right, second.right) - max(first.left, second.left)
    height = min(first.bottom, second.bottom) - max(first.top, second.top)
    return max(width, 0) * max(height, 0)


def _widened(mask: Mask, distance: float) -> Mask:
    """A mask with all cells whose centre is no farther than a distance from that of one in it."""
    reach = int(distance)
    height, width = mask.shape
    padded = np.pad(mask, reach)
    wide = np.zeros_like(mask)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down**2 + right**2 <= distance**2:
                top, left = reach + down, reach + right
                wide |= padded[top : top + height, left : left + width]
    return wide


def _seen(values: Floats, mask: Mask) -> tuple[Floats, Mask]:
    """The values that are numbers, and the mask there; both flat."""
    _check_shapes(values, mask)
    numbers = ~np.isnan(values)
    return values[numbers].astype(np.float64), mask[numbers]


def _check_shapes(values: Floats, mask: Mask) -> None:
    if values.shape != mask.shape:
        raise ValueError(
            f"Expected a map and a mask of the same shape. Received: {values.shape} and "
            f"{mask.shape}"
        )
