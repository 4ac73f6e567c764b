"""Where one value of a layer comes from: its receptive field, and its arithmetic.

The values are those of one forward pass; the arithmetic is done anew, in float64, from the inputs
of the layer and its weights.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.errors import TargetError
from cnnviz.geometry import photo_pixels
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.networks.pointwise import activation_is_known, acts_alone, is_frame, mixes_channels
from cnnviz.networks.receptive_fields import receptive_field
from cnnviz.networks.steps import own_activation, step
from cnnviz.networks.structure import no_output
from cnnviz.networks.sums import Cell, Reading, Sum, channel_sums, make_sum
from cnnviz.networks.topology import Node, Topology
from cnnviz.networks.trace_weights import TraceWeights
from cnnviz.photos.preprocessing import NetworkView, PhotoInput, network_input
from cnnviz.results import Box
from cnnviz.traces import ReceptiveField, TraceInput, TraceStep, TraceTerm, ValueTrace

# Input channels that are listed one by one.
_MOST_TERMS = 10


def trace_value(
    network: Network, photo: PhotoInput, layer: str, row: int, column: int, channel: int
) -> ValueTrace:
    """Where one value of a layer comes from: its pixels, inputs × weights, and what follows.

    The sum is that of the layer itself, or of the nearest one before that has a sum: of a ReLU
    after a batch normalization after a convolution it is the convolution's, and the two follow as
    steps.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        layer: path of a layer, or of one of its calls.
        row: from 0; the position in rows of numbers (T, K), 0 in (K,).
        column: from 0; 0 in a layer without maps.
        channel: from 0.

    Returns:
        The trace, as plain data.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        LayerError: there is no such layer, it gives no array of its own, or the network is a
            subclassed model.
        TargetError: there is no such row, column or channel.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    topology = passes.facts(network).topology
    node = _find(network, topology, layer)
    cell = check_cell(f"The layer {layer!r}", node.grid or (1, 1, 1), (row, column, channel))
    # A value that is not a number gives others; the trace shows them.
    with np.errstate(invalid="ignore", over="ignore"):
        return _trace_layer(network, photo, topology, node, cell)


def _trace_layer(
    network: Network, photo: PhotoInput, topology: Topology, node: Node, cell: Cell
) -> ValueTrace:
    """The trace of a value of a layer."""
    core, after = _walk_back(topology, node)
    sources = topology.inputs(core)
    mixed = [topology.inputs(each)[0] for each in after if mixes_channels(each)]
    maps = _run(network, topology, photo, [node, core, *sources, *mixed])
    reading = Reading(core, sources, maps, TraceWeights(network, core.path))
    summed = make_sum(reading, cell) if activation_is_known(core) else None
    total = float(maps[core.path][cell]) if summed is None else summed.total()
    steps = [] if summed is None else _own_steps(reading, cell, total)
    for each in after:
        if is_frame(each):
            continue
        before = steps[-1].value if steps else total
        channels = maps[each.inputs[0]][cell[:2]] if mixes_channels(each) else None
        steps.append(step(each, before, cell, channels, TraceWeights(network, each.path)))
    terms, others, rest = list_terms(summed)
    row, column, channel = cell
    own = maps[node.path]
    return ValueTrace(
        layer=node.path,
        kind=node.kind,
        row=row,
        column=column,
        channel=channel,
        target=None,
        shape=node.shape or (),
        value=float(own[cell]),
        largest=float(np.abs(own).max()),
        field=find_field(network, topology, photo, node.path, cell),
        source=core.path,
        source_kind=core.kind,
        inputs=_inputs(topology, core, summed),
        combine="sum" if summed is None else summed.combine,
        terms=terms,
        others=others,
        rest=rest,
        bias=None if summed is None else summed.bias,
        total=total,
        steps=tuple(steps),
        result=steps[-1].value if steps else total,
        note=_note(topology, core, summed),
    )


# --- What is asked for ------------------------------------------------------------------------


def _find(network: Network, topology: Topology, path: str) -> Node:
    node = topology.nodes.get(path)
    if node is not None and node.grid is not None:
        return node
    # An operation may be a node, and no layer.
    raise no_output(path, [*topology.nodes, *(info.path for info in network.layers)])


def check_cell(name_of_layer: str, grid: tuple[int, ...], cell: Cell) -> Cell:
    """A cell of a grid, as plain integers.

    Raises:
        TargetError: there is no such row, column or channel.
    """
    for name, at, side in zip(("row", "column", "channel"), cell, grid, strict=True):
        if not 0 <= at < side:
            raise TargetError(
                f"{name_of_layer} has {side} {name}{'s' if side > 1 else ''}, counted from 0. "
                f"Received: {name} {at}"
            )
    row, column, channel = map(int, cell)
    return row, column, channel


def _walk_back(topology: Topology, node: Node) -> tuple[Node, list[Node]]:
    """The nearest call that has a sum, and the calls that follow up to a call, in order."""
    after: list[Node] = []
    while acts_alone(node, topology):
        after.insert(0, node)
        (node,) = topology.inputs(node)
    return node, after


def _run(
    network: Network, topology: Topology, photo: PhotoInput, nodes: Iterable[Node]
) -> dict[str, Floats]:
    """The values (h, w, K) of calls for a photo, from one forward pass."""
    grids = {node.path: node.grid for node in nodes if node.grid is not None}
    spatial = {info.path for info in network.layers if info.spatial}
    if not grids.keys() <= spatial:
        spatial = {path for path, node in topology.nodes.items() if node.grid is not None}
    # One pass for all traces: to compile one for each would take a second each time.
    passes.prepare(network, spatial)
    inputs = network_input(photo, network.card.preprocessing)
    values = passes.forward(network, inputs, grids).layers
    return {path: values[path][0].reshape(grid) for path, grid in grids.items()}


# --- The parts of a trace ---------------------------------------------------------------------


def _own_steps(reading: Reading, cell: Cell, total: float) -> list[TraceStep]:
    """The activation of a layer with a kernel."""
    node = reading.node
    channels = channel_sums(reading, cell) if mixes_channels(node) else None
    activation = own_activation(node, total, channels)
    return [] if activation is None else [activation]


def list_terms(summed: Sum | None) -> tuple[tuple[TraceTerm, ...], int, float]:
    """The terms that are listed; how many others there are, and what they give together."""
    if summed is None:
        return (), 0, 0.0
    places = [(part, index) for part in summed.parts for index in range(len(part.channels))]
    totals = summed.totals()
    shown: NDArray[np.intp] = np.arange(len(places))
    if len(places) > _MOST_TERMS and summed.combine == "sum":
        shown = np.argsort(-np.abs(totals), kind="stable")[:_MOST_TERMS]
    terms = []
    for number in shown:
        part, index = places[number]
        terms.append(
            TraceTerm(
                part.layer,
                int(part.channels[index]),
                tuple(map(int, part.rows)),
                tuple(map(int, part.columns)),
                np.ascontiguousarray(part.inputs[:, :, index]),
                np.ascontiguousarray(part.weights[:, :, index]),
                float(totals[number]),
            )
        )
    rest = float(np.delete(totals, shown).sum())
    return tuple(terms), len(places) - len(terms), rest


def _inputs(topology: Topology, core: Node, summed: Sum | None) -> tuple[TraceInput, ...]:
    """The layers whose values were read; all of their cells where the sum is not spelled out."""
    sources = {source.path: source for source in topology.inputs(core) if source.grid is not None}
    if summed is None:
        return tuple(
            TraceInput(path, source.grid or (), Box(0, 0, source.grid[1], source.grid[0]))
            for path, source in sources.items()
            if source.grid is not None
        )
    boxes: dict[str, Box | None] = {}
    for part in summed.parts:
        height, width, _ = sources[part.layer].grid or (1, 1, 1)
        rows = [row for row in part.rows if 0 <= row < height]
        columns = [column for column in part.columns if 0 <= column < width]
        read = (
            Box(min(columns), min(rows), max(columns) + 1, max(rows) + 1)
            if rows and columns
            else None
        )
        boxes[part.layer] = read
    return tuple(TraceInput(path, sources[path].grid or (), box) for path, box in boxes.items())


def find_field(
    network: Network,
    topology: Topology,
    photo: PhotoInput,
    path: str,
    cell: tuple[int, int, int | None],
) -> ReceptiveField:
    """The receptive field of a value, or of all channels of a cell, on the photo, too."""
    pixels, exact = receptive_field(topology, path, *cell)
    height, width = pixels.shape
    rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return ReceptiveField((height, width), None, 0, exact, None)
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    on_photo = None
    if not isinstance(photo, NetworkView):
        rows_of_photo, columns_of_photo = photo.shape[:2]
        card = network.card.preprocessing
        on_photo = photo_pixels(box, rows_of_photo, columns_of_photo, card)
    return ReceptiveField((height, width), box, int(pixels.sum()), exact, on_photo)


def _note(topology: Topology, core: Node, summed: Sum | None) -> str:
    if core.path == topology.source:
        return "A value of the network's input: a pixel, scaled as the network takes it."
    if summed is None:
        name = core.path.rpartition("/")[2] or core.path
        return (
            f"How {name!r}, of the kind {core.kind}, computes its values is not spelled out here: "
            "the arithmetic begins with what it gave."
        )
    precision = (core.settings or {}).get("compute_dtype", "float32")
    if precision in {"float16", "bfloat16"}:
        return f"The layer computes in {precision}, so what it gives is rounded to few digits."
    if core.kind.startswith("SeparableConv"):
        return "Each weight is that of the depthwise kernels times those of the pointwise kernel."
    return ""
