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


def quarters(values: Floats) -> Floats:
    """What each quarter of a map (h, w) adds to its mean: (2, 2), which adds up to the mean.

    A row or column in the middle belongs to both halves, with half of its values to each.

    Example:
        >>> quarters(np.array([[0.0, 4.0, 4.0], [0.0, 0.0, 1.0]]))
        array([[0.33333333, 1.        ],
               [0.        , 0.16666667]])
    """
    first, left = (np.clip(size / 2 - np.arange(size), 0, 1) for size in values.shape)
    rows, columns = np.stack([first, 1 - first]), np.stack([left, 1 - left])
    return rows @ values.astype(np.float64) @ columns.T / values.size
