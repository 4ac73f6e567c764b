"""Pooling: a grid becomes smaller, since each window of it keeps one number."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnviz.arrays import Floats

Kind = Literal["maximum", "average"]


def windows(grid: Floats, size: int, stride: int | None = None) -> Floats:
    """The windows of a grid (h, w): (rows, columns, size, size).

    What is left at the right and at the bottom, where no whole window fits, is in none.

    Args:
        grid: the grid.
        size: of a window, in cells along a side.
        stride: cells from one window to the next; ``size`` if None, so that they touch.

    Raises:
        ValueError: no window fits.
    """
    if size < 1 or min(grid.shape) < size:
        raise ValueError(f"Expected windows that fit on {grid.shape}. Received: {size}")
    step = size if stride is None else stride
    return sliding_window_view(grid, (size, size))[::step, ::step]


def pool(grid: Floats, size: int, kind: Kind = "maximum", stride: int | None = None) -> Floats:
    """The maximum or the average of each window of a grid (h, w): (rows, columns).

    Raises:
        ValueError: no window fits.

    Example:
        >>> grid = np.array([[1.0, 3.0, 2.0, 0.0], [5.0, 7.0, 0.0, 2.0]])
        >>> pool(grid, 2), pool(grid, 2, "average")
        (array([[7., 2.]]), array([[4., 1.]]))
    """
    parts = windows(grid, size, stride)
    return parts.max(axis=(2, 3)) if kind == "maximum" else parts.mean(axis=(2, 3))


def global_average(maps: Floats) -> Floats:
    """One number a map: the mean of each of (h, w, K) maps, (K,).

    Lin, Chen and Yan 2014, "Network in network", arXiv 1312.4400.
    """
    return maps.mean(axis=(0, 1), dtype=np.float64)


def kept_places(grid: Floats, size: int) -> list[tuple[int, int]]:
    """The cells (row, column) that maximum pooling keeps, window by window, row by row.

    Of equal values it is the first one, row by row.

    Raises:
        ValueError: no window fits.
    """
    parts = windows(grid, size)
    rows, columns = parts.shape[:2]
    kept = []
    for row, column in np.ndindex(rows, columns):
        inner, across = divmod(int(parts[row, column].argmax()), size)
        kept.append((row * size + inner, column * size + across))
    return kept


def same_after_pooling(grid: Floats, size: int) -> Floats:
    """Another grid (h, w) that pools to the same: its windows' cells are in the opposite order.

    It shows what pooling forgets: where in a window a value was.

    Raises:
        ValueError: no window fits.
    """
    rows, columns = windows(grid, size).shape[:2]
    other = grid.copy()
    for row, column in np.ndindex(rows, columns):
        cells = slice(row * size, (row + 1) * size), slice(column * size, (column + 1) * size)
        other[cells] = grid[cells][::-1, ::-1]
    return other
