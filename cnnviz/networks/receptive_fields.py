"""The receptive field of a value: exactly the pixels of the network's input that it depends on.

From the value's own cell the cells that are needed are followed back, call by call. Branches that
give other channels than those that are needed do not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.networks.pointwise import (
    MERGING,
    activation_is_known,
    acts_alone,
    mixes_channels,
)
from cnnviz.networks.topology import Node, Topology
from cnnviz.networks.windows import (
    CROPPINGS,
    PADDINGS,
    POOLINGS,
    REARRANGING,
    UPSAMPLINGS,
    WINDOWED,
    rearranged,
    windows,
)
from cnnviz.traces import CellFields

# (h, w), or (K,).
Mask = NDArray[Any]

# Cells from which a distance can be told at both ends.
_FEWEST_CELLS = 4

GLOBAL_POOLINGS = (
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
)
# Operations that may take a mean, sum, … over all cells of a map.
REDUCTIONS = ("Amax", "Amin", "Max", "Mean", "Min", "Sum")

# Every value depends on all cells and channels of the inputs.
_MIXING = frozenset(
    [
        "AdditiveAttention",
        "Attention",
        "Bidirectional",
        "GRU",
        "GroupNormalization",
        "GroupQueryAttention",
        "LSTM",
        "LayerNormalization",
        "MultiHeadAttention",
    ]
)
# They keep the channels apart.
_CHANNELWISE = (
    *GLOBAL_POOLINGS,
    *REDUCTIONS,
    *POOLINGS,
    *PADDINGS,
    *CROPPINGS,
    *UPSAMPLINGS,
)


@dataclass(frozen=True)
class Needed:
    """What of a call's output is needed: those channels of those cells.

    Attributes:
        cells: (h, w).
        channels: (K,).
    """

    cells: Mask
    channels: Mask

    def joined(self, other: Needed | None) -> Needed:
        """What is needed by either."""
        if other is None:
            return self
        return Needed(self.cells | other.cells, self.channels | other.channels)


def receptive_field(
    topology: Topology, path: str, row: int, column: int, channel: int | None
) -> tuple[Mask, bool]:
    """The pixels (h, w) of the network's input that one value depends on.

    Args:
        topology: of the network.
        path: of a call whose shape is known.
        row: of the value.
        column: of the value.
        channel: of the value; None for all of a cell's.

    Returns:
        The pixels; and whether they are exact. Where an operation on the way is not understood
        they are all that it could read.
    """
    height, width, channels = topology.nodes[path].grid or (1, 1, 1)
    cells, chosen = np.zeros((height, width), bool), np.zeros(channels, bool)
    cells[row, column] = True
    chosen[slice(None) if channel is None else channel] = True
    needed = {path: Needed(cells, chosen)}
    exact = True
    for node in reversed(topology.nodes.values()):
        if node.path not in needed or node.path == topology.source:
            continue
        wanted = needed.pop(node.path)
        understood = _read(topology, node, wanted)
        exact = exact and (understood is not None or not node.inputs)
        reads = understood if understood is not None else _all_of(topology, node)
        for given, part in zip(node.inputs, reads, strict=True):
            if part.cells.any() and part.channels.any():
                needed[given] = part.joined(needed.get(given))
    height, width, _ = topology.nodes[topology.source].grid or (1, 1, 1)
    found = needed.get(topology.source)
    return (np.zeros((height, width), bool) if found is None else found.cells), exact


def cell_fields(topology: Topology, path: str) -> CellFields | None:
    """The receptive fields of all cells of a layer, where they are all of one size and distance.

    Where branches were joined channel by channel, they are not: each channel has the field of its
    own branch.

    They follow from the cells at the two ends of the diagonal, whose fields are cut off at one
    edge only, and are compared with that of a cell in the middle.

    Args:
        topology: of the network.
        path: of a call that gives maps.
    """
    height, width, _ = topology.nodes[path].grid or (1, 1, 1)
    if min(height, width) < _FEWEST_CELLS or not _channels_alike(topology, path):
        return None

    def edges(row: int, column: int) -> list[tuple[int, int]] | None:
        pixels, exact = receptive_field(topology, path, row, column, None)
        found = [np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0)]
        if not exact or not all(len(each) for each in found):
            return None
        return [(int(each[0]), int(each[-1]) + 1) for each in found]

    last = (height - 1, width - 1)
    cells = [(0, 0), (1, 1), (last[0] - 1, last[1] - 1), last, (height // 2, width // 2)]
    found = [edges(*cell) for cell in cells]
    rows, columns, _ = topology.nodes[topology.source].grid or (1, 1, 1)
    known = [each for each in found if each is not None]
    if len(known) < len(cells):
        return None
    vertical = _line([each[0] for each in known], [cell[0] for cell in cells], rows)
    horizontal = _line([each[1] for each in known], [cell[1] for cell in cells], columns)
    if vertical is None or horizontal is None:
        return None
    (top, down, tall), (left, across, wide) = vertical, horizontal
    return CellFields((top, left), (down, across), (tall, wide), (rows, columns))


def cell_step(topology: Topology, path: str) -> tuple[int, int] | None:
    """From one cell of a layer to the next, down and across, in pixels of the network's input.

    It is the product of all strides, and so known where the fields of all cells cover the input.

    Args:
        topology: of the network.
        path: of a call that gives maps.

    Returns:
        None where something else than strides changes the number of cells, such as scaling.
    """
    down = across = 1
    node = topology.nodes[path]
    while node.path != topology.source:
        # Branches that meet have maps of one size, or a single value for each channel.
        source = max(topology.inputs(node), key=lambda one: math.prod((one.grid or (0,))[:2]))
        if node.kind in WINDOWED:
            read = windows(node, source)
            if read is None or any(each.transposed for each in read):
                return None
            down, across = down * read[0].stride, across * read[1].stride
        elif (node.grid or ())[:2] != (source.grid or ())[:2]:
            return None
        node = source
    return down, across


def _channels_alike(topology: Topology, path: str) -> bool:
    """Whether no branches were joined since a layer that reads all channels."""
    waiting = [path]
    while waiting:
        node = topology.nodes[waiting.pop()]
        if node.path == topology.source:
            continue
        height, width, channels = node.grid or (1, 1, 1)
        wanted = Needed(np.ones((height, width), bool), np.arange(channels) == 0)
        reads = _read(topology, node, wanted)
        if reads is None or node.kind == "Concatenate" or node.kind in REARRANGING:
            return False
        parts = zip(node.inputs, reads, strict=True)
        waiting += [given for given, part in parts if not part.channels.all()]
    return True


def _line(edges: list[tuple[int, int]], cells: list[int], size: int) -> tuple[int, int, int] | None:
    """Start, step and length of fields along one axis, from the edges of those of five cells."""
    if all(edge == (0, size) for edge in edges):
        return 0, 0, size
    (_, first), (_, second), (before, _), (last, _), _ = edges
    # The end of a field in the beginning, and its start at the end, are not cut off.
    step = second - first if second < size else last - before
    start, end = last - cells[3] * step, first
    for cell, (low, high) in zip(cells, edges, strict=True):
        whole = start + cell * step, end + cell * step
        if (max(whole[0], 0), min(whole[1], size)) != (low, high):
            return None
    return start, step, end - start


def _all_of(topology: Topology, node: Node) -> list[Needed]:
    grids = [each.grid or (1, 1, 1) for each in topology.inputs(node)]
    return [Needed(np.ones(grid[:2], bool), np.ones(grid[2], bool)) for grid in grids]


def _read(topology: Topology, node: Node, wanted: Needed) -> list[Needed] | None:
    """What a call needs of each of its inputs; None where that is not understood."""
    sources = topology.inputs(node)
    if node.grid is None or any(source.grid is None for source in sources):
        return None
    if mixes_channels(node):
        wanted = Needed(wanted.cells, np.ones_like(wanted.channels))
    if acts_alone(node, topology):
        return [wanted]
    if node.settings is None or not sources or not activation_is_known(node):
        return None
    if node.kind in MERGING:
        return _broadcast(sources, wanted)
    if node.kind == "Concatenate":
        return _joined(node, sources, wanted)
    if node.kind in _MIXING:
        return _all_of(topology, node)
    if len(sources) > 1:
        return None
    (source,) = sources
    height, width, channels = source.grid or (1, 1, 1)
    if node.kind in WINDOWED:
        return _windowed(node, source, wanted)
    if node.kind == "Dense":
        return [Needed(wanted.cells, np.ones(channels, bool))]
    if node.kind in GLOBAL_POOLINGS or reduces_cells(node, source):
        return [Needed(np.ones((height, width), bool), _channels(node, source, wanted.channels))]
    if node.kind in REARRANGING:
        return _rearranged(node, source, wanted)
    return None


def _windowed(node: Node, source: Node, wanted: Needed) -> list[Needed] | None:
    pair = windows(node, source)
    if pair is None:
        return None
    rows, columns = pair
    height, width, _ = source.grid or (1, 1, 1)
    cells = columns.needed(rows.needed(wanted.cells, height).T, width).T
    return [Needed(cells, _channels(node, source, wanted.channels))]


def reduces_cells(node: Node, source: Node) -> bool:
    """Whether a mean, sum, … is taken over all cells of the maps, for each channel by itself."""
    if node.kind not in REDUCTIONS:
        return False
    axis = (node.settings or {}).get("axis")
    axes = axis if isinstance(axis, list) else [axis]
    if source.shape is None or source.grid is None:
        return False
    spatial = {0, 1} if len(source.shape) == 3 else {0}
    reduced = {source.axis(each) if isinstance(each, int) else None for each in axes}
    return node.grid == (1, 1, source.grid[2]) and reduced == spatial


def _channels(node: Node, source: Node, wanted: Mask) -> Mask:
    """The channels of the input that some channels of the output need."""
    _, _, given = source.grid or (1, 1, 1)
    if node.kind in _CHANNELWISE and len(wanted) == given:
        return wanted
    if node.kind in {"DepthwiseConv1D", "DepthwiseConv2D"} and len(wanted) % given == 0:
        # Each channel gives as many in a row.
        return np.logical_or.reduce(wanted.reshape(given, -1), axis=1)
    groups = (node.settings or {}).get("groups", 1)
    if node.kind in {"Conv1D", "Conv2D"} and given % groups == 0 and len(wanted) % groups == 0:
        return np.repeat(np.logical_or.reduce(wanted.reshape(groups, -1), axis=1), given // groups)
    return np.ones(given, bool)


def _broadcast(sources: list[Node], wanted: Needed) -> list[Needed] | None:
    """What a sum, product, … needs of its inputs, some of which may be one cell or channel."""
    needs = []
    for source in sources:
        cells, channels = wanted.cells, wanted.channels
        height, width, count = source.grid or (1, 1, 1)
        if height == 1:
            cells = np.logical_or.reduce(cells, axis=0, keepdims=True)
        if width == 1:
            cells = np.logical_or.reduce(cells, axis=1, keepdims=True)
        if count == 1:
            channels = np.logical_or.reduce(channels, keepdims=True)
        if (*cells.shape, len(channels)) != source.grid:
            return None
        needs.append(Needed(cells, channels))
    return needs


def _joined(node: Node, sources: list[Node], wanted: Needed) -> list[Needed] | None:
    axis = node.axis((node.settings or {}).get("axis", -1))
    if axis is None:
        return None
    needs, start = [], 0
    for source in sources:
        end = start + (source.grid or (1, 1, 1))[axis]
        part = [slice(None)] * 3
        part[axis] = slice(start, end)
        needs.append(Needed(wanted.cells[part[0], part[1]], wanted.channels[part[2]]))
        start = end
    return needs


def _rearranged(node: Node, source: Node, wanted: Needed) -> list[Needed] | None:
    places = rearranged(node, source)
    height, width, count = source.grid or (1, 1, 1)
    if places is None:
        return None
    flat = places[wanted.cells][:, wanted.channels]
    needed: Mask = np.zeros((height, width, count), bool)
    needed.reshape(-1)[flat] = True
    return [Needed(np.logical_or.reduce(needed, axis=2), np.logical_or.reduce(needed, axis=(0, 1)))]
