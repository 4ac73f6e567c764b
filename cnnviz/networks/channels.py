"""Ranks the channels of an activation, and finds those that are zero everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats


@dataclass(frozen=True)
class ChannelRanking:
    """The strength of each of K channels; every array is (K,).

    Attributes:
        deviation: the standard deviation over the cells: how much a map differs from place to
            place.
        peak: the largest value.
        mean: the mean value.
        active: the share of cells that are not zero, 0 to 1.
        dead: indices of the channels that are zero everywhere, in order.
    """

    deviation: Floats
    peak: Floats
    mean: Floats
    active: Floats
    dead: tuple[int, ...]

    def order(self, by: str = "peak") -> NDArray[np.intp]:
        """Channel indices (K,), the largest first, by one of the attributes that are arrays."""
        strength = {
            "deviation": self.deviation,
            "peak": self.peak,
            "mean": self.mean,
            "active": self.active,
        }[by]
        return np.argsort(-strength, kind="stable")


def rank_channels(maps: Floats) -> ChannelRanking:
    """Ranks the channels of an activation (h, w, K), or of a vector (K,)."""
    cells = maps.reshape(-1, maps.shape[-1])
    active = np.count_nonzero(cells, axis=0) / len(cells)
    dead = tuple(int(channel) for channel in np.flatnonzero(active == 0))
    # Of a channel with a value that is infinite, or almost, nothing can be said.
    with np.errstate(invalid="ignore", over="ignore"):
        deviation, peak, mean = cells.std(axis=0), cells.max(axis=0), cells.mean(axis=0)
    return ChannelRanking(deviation, peak, mean, active, dead)
