"""The position of a class in a photo: a box around the strongest evidence of its map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.cards import Preprocessing
from cnnviz.evidence import mostly_against
from cnnviz.geometry import seen_region
from cnnviz.results import Box

# The share of the map's maximum above which a cell belongs to the object (Zhou et al. 2016).
THRESHOLD = 0.2


def find_box(values: Floats, height: int, width: int, preprocessing: Preprocessing) -> Box | None:
    """The box of a class in a photo of (height, width), from its map (h, w).

    The box of the largest connected part of the map above 20 % of its maximum, by Zhou et
    al. 2016, "Learning deep features for discriminative localization". It follows the map's
    cells, so it is as coarse as the map.

    Args:
        values: (h, w) raw and signed.
        height: of the photo.
        width: of the photo.
        preprocessing: how the photo became the network's input.

    Returns:
        The box in pixels of the photo; None where the map holds nothing positive, or less than
        a fifth of what is negative, or only beyond the photo's edge, in a border that the card
        adds.
    """
    peak = values.max()
    if not peak > 0 or mostly_against(values):
        return None
    rows, columns = np.nonzero(largest_part(values > THRESHOLD * peak))
    seen = seen_region(height, width, preprocessing)
    down, across = seen.height / values.shape[0], seen.width / values.shape[1]

    def pixel(cells: np.integer | int, start: float, step: float, size: int) -> int:
        return int(np.clip(round(start + int(cells) * step), 0, size))

    box = Box(
        pixel(columns.min(), seen.left, across, width),
        pixel(rows.min(), seen.top, down, height),
        pixel(columns.max() + 1, seen.left, across, width),
        pixel(rows.max() + 1, seen.top, down, height),
    )
    return box if box.left < box.right and box.top < box.bottom else None


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of a mask (h, w), same shape; of equal ones the topmost.

    Cells that touch at a side or a corner are connected.
    """
    largest: set[tuple[int, int]] = set()
    remaining = dict.fromkeys(zip(*(index.tolist() for index in np.nonzero(mask)), strict=True))
    while remaining:
        part = _take_part(remaining)
        largest = max(largest, part, key=len)
    result = np.zeros_like(mask)
    for cell in largest:
        result[cell] = True
    return result


def _take_part(remaining: dict[tuple[int, int], None]) -> set[tuple[int, int]]:
    """Removes the first cell from ``remaining``, and all that are connected to it."""
    start = next(iter(remaining))
    part, waiting = {start}, [start]
    del remaining[start]
    while waiting:
        row, column = waiting.pop()
        for y in (row - 1, row, row + 1):
            for x in (column - 1, column, column + 1):
                if (y, x) in remaining:
                    del remaining[y, x]
                    part.add((y, x))
                    waiting.append((y, x))
    return part
