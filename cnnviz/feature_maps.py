"""Feature maps: the outputs of layers for one photo, and which channels answered most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnnviz import graph
from cnnviz.loading import Network
from cnnviz.preprocessing import network_input

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class ChannelRanking:
    """How strongly each of K channels answered; every array is (K,).

    Attributes:
        peak: the largest value.
        mean: the mean value.
        active: the share of cells that are not zero, 0 to 1.
        dead: numbers of the channels that are zero everywhere, in order.
    """

    peak: Floats
    mean: Floats
    active: Floats
    dead: tuple[int, ...]

    def order(self, by: str = "peak") -> NDArray[np.intp]:
        """Channel numbers (K,), the strongest first, by ``peak``, ``mean`` or ``active``."""
        return np.argsort(-{"peak": self.peak, "mean": self.mean, "active": self.active}[by])


def activations(
    network: Network, photo: NDArray[np.uint8], layers: Iterable[str]
) -> dict[str, Floats]:
    """The outputs of layers for a photo (H, W, 3), all from one forward pass.

    Returns:
        {path: (h, w, K)} float32 in the order asked for; (K,) for a layer without maps.

    Raises:
        LayerError: a layer does not exist.
    """
    paths = list(layers)
    inputs = network_input(photo, network.card.preprocessing)
    outputs = graph.forward(network, paths).run(inputs)["layers"]
    return {path: outputs[path].numpy()[0] for path in paths}


def rank_channels(maps: Floats) -> ChannelRanking:
    """Ranks the channels of an activation (h, w, K), or of a vector (K,)."""
    cells = maps.reshape(-1, maps.shape[-1])
    active = np.count_nonzero(cells, axis=0) / len(cells)
    dead = tuple(int(channel) for channel in np.flatnonzero(active == 0))
    return ChannelRanking(cells.max(axis=0), cells.mean(axis=0), active, dead)
