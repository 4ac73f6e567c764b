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
        peak: the largest value.
        mean: the mean value.
        deviation: the standard deviation over the cells.
        active: the share of cells that are not zero, 0 to 1.
        dead: indices of the channels that are zero everywhere, in order.
    """

    peak: Floats
    mean: Floats
    deviation: Floats
    active: Floats
    dead: tuple[int, ...]

    def order(self, by: str = "peak") -> NDArray[np.intp]:
        """Channel indices (K,), the strongest first, by the attribute of that name."""
        strength = {
            "peak": self.peak,
            "mean": self.mean,
            "deviation": self.deviation,
            "active": self.active,
        }[by]
        return np.argsort(-strength, kind="stable")


def rank_channels(maps: Floats) -> ChannelRanking:
    """Ranks the channels of an activation (h, w, K), or of a vector (K,)."""
    cells = maps.reshape(-1, maps.shape[-1])
    active = np.count_nonzero(cells, axis=0) / len(cells)
    dead = tuple(int(channel) for channel in np.flatnonzero(active == 0))
    return ChannelRanking(cells.max(axis=0), cells.mean(axis=0), cells.std(axis=0), active, dead)
