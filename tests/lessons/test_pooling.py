"""The lesson on pooling: the grid at the board."""

from __future__ import annotations

import numpy as np
import pytest

from cnnviz.lessons.pooling import global_average, kept_places, pool, same_after_pooling, windows

GRID = np.array([[1.0, 3, 2, 9], [7, 4, 1, 5], [8, 5, 2, 3], [4, 2, 1, 4]])


def test_the_grid_at_the_board() -> None:
    assert pool(GRID, 2).tolist() == [[7, 9], [8, 4]]
    assert pool(GRID, 2, "average").tolist() == [[15 / 4, 17 / 4], [19 / 4, 10 / 4]]
    assert kept_places(GRID, 2) == [(1, 0), (0, 3), (2, 0), (3, 3)]
    assert global_average(GRID[..., None]).tolist() == [61 / 16]
    # The mean of the windows' averages is the average of all.
    assert pool(GRID, 2, "average").mean() == 61 / 16


def test_windows_that_overlap() -> None:
    assert pool(GRID, 2, stride=1).tolist() == [[7, 4, 9], [8, 5, 5], [8, 5, 4]]
    assert windows(GRID, 3).shape == (1, 1, 3, 3)
    with pytest.raises(ValueError, match="fit"):
        windows(GRID, 5)


def test_another_grid_that_pools_to_the_same() -> None:
    other = same_after_pooling(GRID, 2)
    assert not np.array_equal(other, GRID)
    for kind in ("maximum", "average"):
        assert np.array_equal(pool(other, 2, kind), pool(GRID, 2, kind))
