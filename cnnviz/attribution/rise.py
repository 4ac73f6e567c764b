"""RISE: what a network answers when random halves of a photo are black.

Petsiuk et al. 2018, "RISE: randomized input sampling for explanation of black-box models", arXiv
1806.07421. A mask follows from its number, so that any process makes the same. NumPy is imported
inside functions, as in ``formulas``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.attribution.occlusion import cell_means
from cnnviz.attribution.series import Series

if TYPE_CHECKING:
    from cnnviz.arrays import Floats
    from cnnviz.attribution.series_runs import Subject

# Cells along each side of the grid that a mask is drawn on, and the share that is kept.
GRID = 8
KEPT = 0.5
# Masks, unless another number is asked for.
MASKS = 500
_SEED = 0
# Cells along each side of the map at most: a mask changes little within one of them.
_MOST_CELLS = 56


def mask(number: int, height: int, width: int) -> tuple[Floats, Floats, Floats]:
    """Mask ``number`` as a product: rows (height, 8), cells (8, 8) of 0 and 1, columns (width, 8).

    ``rows @ cells @ columns.T`` is the mask (height, width). The cells are interpolated to a
    picture that is a cell larger than the photo, of which a part that is drawn, too, is the mask.
    """
    import numpy as np

    draw = np.random.default_rng((_SEED, number))
    cells = (draw.random((GRID, GRID)) < KEPT).astype(np.float32)
    rows, columns = (_interpolation(length, draw.random()) for length in (height, width))
    return rows, cells, columns


def _interpolation(length: int, shift: float) -> Floats:
    """(length, 8): how the cells make up ``length`` pixels, shifted by this share of a cell."""
    import numpy as np

    from cnnviz.arrays import resize

    pixels = -(-length // GRID)
    start = int(shift * pixels)
    return resize(np.eye(GRID), (GRID + 1) * pixels, GRID)[start : start + length]


def _count(subject: Subject, wanted: int | None) -> int:
    return wanted or MASKS


def _part(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, 3, h, w): the sums of score × mask, of the masks, and of the scores."""
    import numpy as np

    height, width = subject.inputs.shape[:2]
    size = min(height, _MOST_CELLS), min(width, _MOST_CELLS)
    drawn = [mask(number, height, width) for number in numbers]
    seen = np.stack([rows @ cells @ columns.T for rows, cells, columns in drawn])[..., None]
    # Less that of the photo itself: of a score that never changes, nothing is left by rounding.
    scores = subject.scores(subject.black + seen * (subject.inputs - subject.black)) - subject.base
    # In the cells of the map: the mean of a product of lines is the product of their means.
    masks = np.stack(
        [
            cell_means(rows, size[0], GRID) @ cells @ cell_means(columns, size[1], GRID).T
            for rows, cells, columns in drawn
        ]
    )
    sums = np.einsum("nt,nhw->thw", scores, masks)
    of_masks = np.broadcast_to(masks.sum(axis=0), sums.shape)
    of_scores = np.broadcast_to(scores.sum(axis=0)[:, None, None], sums.shape)
    return np.stack([sums, of_masks, of_scores], axis=1)


def _maps(subject: Subject, total: Floats, count: int) -> Floats:
    """(T, h, w): the mean score where a place is kept, less the mean score of all masks."""
    products, masks, scores = total.swapaxes(0, 1)
    return (products - scores / count * masks) / (count * KEPT)


RISE = Series(_count, _part, _maps)
