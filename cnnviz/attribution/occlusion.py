"""What a photo's parts are worth: how far a score falls when one is replaced by a blurred copy.

Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", slide a grey square
over a photo; a blurred copy in its place has no edges of its own, and the colours of the photo
(Fong and Vedaldi 2017, "Interpretable explanations of black boxes by meaningful perturbation").
NumPy is imported inside functions, as in ``formulas``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cnnviz.attribution.series import Series, in_place

if TYPE_CHECKING:
    from cnnviz.arrays import Floats
    from cnnviz.attribution.series_runs import Subject

# Cells along each side of the grid, unless another number of runs is asked for.
SIDE = 7


def cell_means(values: Floats, rows: int, columns: int) -> Floats:
    """The means of a map (h, w) in the cells of a grid of (rows, columns), no finer than the map.

    Example:
        >>> import numpy as np
        >>> cell_means(np.array([[1.0, 3.0, 8.0, 0.0]]), 1, 2)
        array([[2., 4.]])
    """
    import numpy as np

    from cnnviz.photos.masking import edges

    means = np.asarray(values, np.float64)
    for axis, cells in enumerate((rows, columns)):
        starts = edges(means.shape[axis], cells)
        sums = np.add.reduceat(means, starts[:-1], axis=axis)
        means = sums / np.expand_dims(np.diff(starts), 1 - axis)
    return means


def _count(subject: Subject, passes: int | None) -> int:
    side = SIDE if passes is None else math.isqrt(passes)
    return max(1, min(side, *subject.inputs.shape[:2])) ** 2


def _part(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, side, side): the fall of the scores, in the cells of these runs."""
    side = math.isqrt(count)
    scores = subject.scores(occluded(subject.inputs, subject.blurred, numbers, side))
    return in_place((subject.base - scores).T, numbers, count).reshape(-1, side, side)


def occluded(inputs: Floats, filling: Floats, numbers: range, side: int) -> Floats:
    """Copies (n, h, w, C) of a network's input (h, w, C), each with one cell of a grid replaced.

    Args:
        inputs: (h, w, C).
        filling: (h, w, C), what the cell is replaced by.
        numbers: of the cells, row by row.
        side: cells of the grid along each side.
    """
    import numpy as np

    from cnnviz.photos.masking import edges

    rows, columns = (edges(length, side) for length in inputs.shape[:2])
    copies = np.repeat(inputs[None], len(numbers), axis=0)
    for copy, number in zip(copies, numbers, strict=True):
        row, column = divmod(number, side)
        cell = slice(*rows[row : row + 2]), slice(*columns[column : column + 2])
        copy[cell] = filling[cell]
    return copies


# The map is the sum itself: cell by cell, how far the score falls without it.
OCCLUSION = Series(_count, _part, lambda subject, total, count: total, all_classes=True)
