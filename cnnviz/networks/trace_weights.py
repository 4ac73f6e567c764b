"""The weights of a layer by name: the one place from which a trace reads them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.networks.network import Network
from cnnviz.networks.weight_files import WeightName
from cnnviz.networks.weights import read_weight


@dataclass(frozen=True)
class TraceWeights:
    """The weights of one layer, as float64.

    Attributes:
        network: the network.
        path: of the layer, or of one of its calls; an operation that is no layer has no weights.
        kept: the weights that were read as a whole, by name.
    """

    network: Network
    path: str
    kept: dict[WeightName, Floats | None] = field(default_factory=dict)

    def read(self, name: WeightName, channel: int | None = None) -> Floats | None:
        """A weight, or its part for one index of the last axis; None if there is none.

        Raises:
            ModelError: as for ``read_weight``.
        """
        if channel is not None and name not in self.kept:
            return _precise(read_weight(self.network, self.path, name, channel))
        if name not in self.kept:
            self.kept[name] = _precise(read_weight(self.network, self.path, name))
        weight = self.kept[name]
        return weight if weight is None or channel is None else weight[..., channel]


def _precise(weight: Floats | None) -> Floats | None:
    return None if weight is None else weight.astype(np.float64)
