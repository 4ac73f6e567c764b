"""The weights of a layer by name: the one place from which a trace reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.errors import LayerError
from cnnviz.networks.network import Network


@dataclass(frozen=True)
class TraceWeights:
    """The weights of one layer, as float64.

    Attributes:
        layer: the layer.
        kept: the weights that were read as a whole, by name.
    """

    layer: Any
    kept: dict[str, Floats] = field(default_factory=dict)

    def read(self, name: str, channel: int | None = None) -> Floats | None:
        """A weight, or its part for one index of the last axis; None if there is none.

        Args:
            name: Keras's attribute, such as ``kernel``.
            channel: an index of the last axis. To copy one column of a large dense layer costs
                nothing, to copy all of it may take longer than to run the network.
        """
        weight = getattr(self.layer, name, None)
        if weight is None or not hasattr(weight, "shape"):
            return None
        if channel is not None and name not in self.kept:
            part = weight[..., channel : channel + 1]
            return np.asarray(part).astype(np.float64)[..., 0]
        if name not in self.kept:
            self.kept[name] = np.asarray(weight).astype(np.float64)
        return self.kept[name] if channel is None else self.kept[name][..., channel]


def trace_weights(network: Network, path: str) -> TraceWeights:
    """The weights of the layer at a path, or at the path of one of its calls.

    An operation that is no layer has none.
    """
    # First the model: it is what starts Keras, or refuses it in a process without TensorFlow.
    model = network.model
    from cnnviz.networks.keras_models import find

    try:
        return TraceWeights(find(model, path))
    except LayerError:
        return TraceWeights(None)
