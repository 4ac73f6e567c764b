"""Where a cell of a class activation map comes from: channel × weight, ranked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.attribution.explanations import class_factors, methods
from cnnviz.attribution.methods import ANY_LAYER, METHODS, Method
from cnnviz.errors import LayerError, TargetError
from cnnviz.networks import passes
from cnnviz.networks.arithmetic import check_cell, find_field, list_terms
from cnnviz.networks.gradients import layer_gradients
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index, predict
from cnnviz.networks.sums import Part, Sum
from cnnviz.photos.preprocessing import PhotoInput, network_input
from cnnviz.results import Box
from cnnviz.traces import TraceInput, ValueTrace


def trace_class_map(
    network: Network,
    photo: PhotoInput,
    row: int,
    column: int,
    target: str | int | None = None,
    *,
    method: str | None = None,
    layer: str | None = None,
) -> ValueTrace:
    """Where one cell of ``class_activation_map`` comes from: each channel times its weight.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        row: of the map, from 0.
        column: of the map, from 0.
        target: a class, by name or number; the predicted one if None.
        method: a key of ``METHODS``; the best that fits how the network ends if None.
        layer: the layer to explain, for methods with gradients only; the last one with maps
            if None.

    Returns:
        The trace, as plain data; its total is the cell's value.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such class, method, row or column, or the method does not fit.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size; or, without a
            target, its answer is not a number.
    """
    index = predict(network, photo).index if target is None else class_index(network, target)
    chosen = _choose(network, method, layer)
    inputs = network_input(photo, network.card.preprocessing)
    path, maps, factors = _maps(network, inputs, index, chosen, layer)
    values = chosen.function(maps, factors)
    row, column, _ = check_cell("The class map", (*values.shape, 1), (row, column, 0))
    # A map is a sum over channels: of ones in place of a channel it is the channel's weight.
    ones = np.ones((*values.shape, 1))
    weights = [
        chosen.function(ones, factors[..., channel : channel + 1].astype(np.float64))[row, column]
        for channel in range(maps.shape[-1])
    ]
    cells = maps[row, column].astype(np.float64)[None, None]
    part = Part(path, [row], [column], range(len(weights)), cells, np.array([[weights]]))
    summed = Sum((part,))
    terms, others, rest = list_terms(summed)
    facts = passes.facts(network)
    kind = facts.topology.nodes[path].kind
    before = chosen.passes == "forward" and facts.head.activation == "combined"
    return ValueTrace(
        layer=path,
        kind=kind,
        row=row,
        column=column,
        channel=index,
        target=network.card.labels[index],
        shape=values.shape,
        value=float(values[row, column]),
        largest=float(np.abs(values).max()),
        field=find_field(network, facts.topology, photo, path, (row, column, None)),
        source=path,
        source_kind=kind,
        inputs=(TraceInput(path, maps.shape, Box(column, row, column + 1, row + 1)),),
        combine="sum",
        terms=terms,
        others=others,
        rest=rest,
        bias=None,
        total=summed.total(),
        steps=(),
        result=summed.total(),
        note=chosen.summary + before * " The maps are those before their layer's activation.",
    )


def _choose(network: Network, key: str | None, layer: str | None) -> Method:
    """The method of that key, or the first that fits."""
    fitting = methods(network)
    if layer not in {None, passes.facts(network).head.features}:
        fitting = tuple(each for each in fitting if each in ANY_LAYER)
    if key is not None and key not in fitting:
        raise TargetError(
            f"The method {key!r} does not fit here. Choose from {', '.join(fitting)}."
        )
    return METHODS[key or fitting[0]]


def _maps(
    network: Network, inputs: NDArray[np.float32], target: int, method: Method, layer: str | None
) -> tuple[str, Floats, Floats]:
    """The maps' path, the maps (h, w, K), and what the method's formula takes beside them."""
    head = passes.facts(network).head
    if method.needs == "averaged maps":
        features = passes.forward(network, inputs).features
        if features is None or head.features is None:
            raise TargetError(f"The method {method.key!r} does not fit this network.")
        weights, _ = class_factors(network, head, method, features.shape[-1], target)
        return head.features, features[0], weights
    path = layer or head.last_spatial
    if path is None:
        raise LayerError("This network has no layer with maps, so there is nothing to trace.")
    run = layer_gradients(network, inputs, path, target)
    if run.activations.ndim != 4:
        raise LayerError(
            f"The layer {path!r} gives one number a channel and no maps. Choose one before it."
        )
    return path, run.activations[0], run.gradients[0]
