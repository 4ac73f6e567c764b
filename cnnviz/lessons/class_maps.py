"""How a class activation map is put together: channel after channel, each times its weight.

Zhou et al. 2016, "Learning deep features for discriminative localization": a network that averages
each of its last maps, and weighs the means, has for each class a map whose mean is the score.
"""

from __future__ import annotations

import numpy as np

from cnnviz.arrays import Floats


def stacked(maps: Floats, weights: Floats) -> Floats:
    """The sums of the first 0, 1, …, n of some maps (h, w, n), each times its weight (n,).

    Returns:
        (n + 1, h, w) float64; the first one is 0 everywhere.

    Example:
        >>> maps = np.array([[[1.0, 2.0]], [[3.0, 0.0]]])
        >>> stacked(maps, np.array([10.0, -1.0]))[:, :, 0]
        array([[ 0.,  0.],
               [10., 30.],
               [ 8., 30.]])
    """
    terms = np.moveaxis(maps.astype(np.float64) * weights, -1, 0)
    return np.concatenate([np.zeros((1, *maps.shape[:2])), terms.cumsum(axis=0)])


def quarter(values: Floats) -> tuple[int, int]:
    """The quarter of a map (h, w) that has its largest value: 0 or 1 down, and across.

    Of equal values it is the first one, row by row. A middle row or column counts as the second
    half.

    Example:
        >>> quarter(np.array([[0.0, 5.0], [1.0, 2.0]]))
        (0, 1)
    """
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    return int(2 * row >= values.shape[0] - 1), int(2 * column >= values.shape[1] - 1)
