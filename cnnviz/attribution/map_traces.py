"""Where a cell of a class activation map comes from: channel × weight, ranked."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.attribution import map_terms
from cnnviz.attribution.formulas import weighted
from cnnviz.attribution.methods import Method
from cnnviz.errors import TargetError
from cnnviz.networks import passes
from cnnviz.networks.arithmetic import check_cell, find_field, list_terms
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
    against: str | int | None = None,
) -> ValueTrace:
    """Where one cell of ``class_activation_map`` comes from: each channel times its weight.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        row: of the map, from 0.
        column: of the map, from 0.
        target: a class, by name or number; the predicted one if None.
        method: a key of ``METHODS``; the best that fits how the network ends if None.
        layer: the layer to explain, for methods that read any layer; the last one with maps
            if None.
        against: as in ``class_activation_map``.

    Returns:
        The trace, as plain data; its total is the cell's value.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such class, method, row or column, the method does not fit, or its
            map is no sum of weighted maps; or ``against`` is the target or does not fit the method.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size; or, without a
            target, its answer is not a number.
    """
    index = predict(network, photo).index if target is None else class_index(network, target)
    other = None if against is None else class_index(network, against)
    map_terms.check_different(network, [index], other)
    facts = passes.facts(network)
    chosen = map_terms.choose(facts.head, method, layer, against)
    _check_traceable(chosen)
    inputs = network_input(photo, network.card.preprocessing)
    of_class = map_terms.run(network, inputs, [index], chosen, layer, other)[2](0, index)
    path = of_class.layer
    # In double precision, so that the terms add up.
    maps, *factors = (part.astype(np.float64) for part in (of_class.maps, *of_class.factors))
    formula = cast(Callable[..., Floats], chosen.weights)
    weights = np.broadcast_to(formula(maps, *factors), maps.shape)
    values = weighted(maps, weights)
    row, column, _ = check_cell("The class map", (*values.shape, 1), (row, column, 0))
    cells, of_cell = maps[row, column][None, None], weights[row, column][None, None]
    note = chosen.summary
    if of_class.against is not None:
        labels = network.card.labels
        note += f" Here “{labels[index]}” is set against “{labels[of_class.against]}”."
    if chosen.passes == "forward" and facts.head.activation == "combined":
        note += " The maps are those before their layer's activation."
    part = Part(path, [row], [column], range(maps.shape[-1]), cells, of_cell)
    summed = Sum((part,))
    terms, others, rest = list_terms(summed)
    kind = facts.topology.nodes[path].kind
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
        note=note,
    )


def _check_traceable(method: Method) -> None:
    """Checks that a map is a sum of maps, each times a weight.

    Raises:
        TargetError: it is not.
    """
    if method.passes == "none":
        raise TargetError(
            f"The map of the method {method.key!r} is drawn by chance, so its cells come from "
            "nothing that could be traced."
        )
    if method.weights is None:
        raise TargetError(
            f"The method {method.key!r} compares many runs of the network, so its cells are no sum "
            "that could be traced."
        )
