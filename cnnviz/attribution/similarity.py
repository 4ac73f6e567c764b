"""How alike two maps are, or a map and what it is compared with: coefficients of correlation.

NumPy is imported inside functions, as in ``formulas``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnviz.arrays import Floats

# Values that differ by less than this share of the largest are the same: rounding is no pattern.
_EVEN = 1e-6


def correlation(first: Floats, second: Floats) -> float:
    """Pearson's r of two arrays of one shape, -1 to 1; NaN where one of them is even.

    Example:
        >>> import numpy as np
        >>> round(correlation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 7.0])), 4)
        0.9934
    """
    import numpy as np

    ours, theirs = (values.ravel().astype(np.float64) for values in (first, second))
    if any(np.ptp(values) <= _EVEN * np.abs(values).max() for values in (ours, theirs)):
        return float("nan")
    ours, theirs = (values - values.mean() for values in (ours, theirs))
    return float(ours @ theirs / np.sqrt((ours @ ours) * (theirs @ theirs)))


def rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's ρ of two arrays of one shape, -1 to 1: Pearson's r of their ranks.

    Equal values share the mean of their ranks. NaN where one of both is even.

    Example:
        >>> import numpy as np
        >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 700.0]))
        1.0
    """
    import numpy as np

    if any(np.ptp(values) <= _EVEN * np.abs(values).max() for values in (first, second)):
        return float("nan")
    return correlation(_ranks(first), _ranks(second))


def _ranks(values: Floats) -> Floats:
    """The rank of each value, counted from 0; equal ones share their mean."""
    import numpy as np

    _, place, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    last = np.cumsum(counts) - 1
    ranks: Floats = (last - (counts - 1) / 2)[place.ravel()]
    return ranks
