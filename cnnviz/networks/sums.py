"""The sum that a value begins with: which inputs are multiplied by which weights, for each layer.

A function for each kind of layer gives the same form, so that all are ranked and added up alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.errors import LayerError
from cnnviz.networks.pointwise import MERGING
from cnnviz.networks.receptive_fields import GLOBAL_POOLINGS, REDUCTIONS, reduces_cells
from cnnviz.networks.topology import Node
from cnnviz.networks.trace_weights import TraceWeights
from cnnviz.networks.weight_files import WeightName
from cnnviz.networks.windows import (
    CONVOLUTIONS,
    CROPPINGS,
    PADDINGS,
    POOLINGS,
    REARRANGING,
    TRANSPOSED,
    UPSAMPLINGS,
    Window,
    rearranged,
    windows,
)

Combine = Literal["sum", "product", "maximum", "minimum"]
Cell = tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """Inputs of one layer and what they are multiplied by.

    Attributes:
        layer: path of the layer.
        rows: (a,) of its cells; those outside of it are padding.
        columns: (b,) likewise.
        channels: (n,) of the layer.
        inputs: (a, b, n).
        weights: (a, b, n).
    """

    layer: str
    rows: Sequence[int]
    columns: Sequence[int]
    channels: Sequence[int]
    inputs: Floats
    weights: Floats

    def totals(self, combine: Combine) -> Floats:
        """(n,) what each channel gives: the sum of its products, or its largest or smallest."""
        products = self.inputs * self.weights
        match combine:
            case "maximum":
                return products.max(axis=(0, 1))
            case "minimum":
                return products.min(axis=(0, 1))
        return products.sum(axis=(0, 1))


@dataclass(frozen=True)
class Sum:
    """The parts of a value, how they are combined, and the bias."""

    parts: tuple[Part, ...]
    combine: Combine = "sum"
    bias: float | None = None

    def totals(self) -> Floats:
        """What each channel of each part gives, part by part."""
        return np.concatenate([[], *(part.totals(self.combine) for part in self.parts)])

    def total(self) -> float:
        """The value: the parts combined, and the bias."""
        totals = self.totals()
        match self.combine:
            case "product":
                combined = totals.prod()
            case "maximum":
                combined = totals.max()
            case "minimum":
                combined = totals.min()
            case _:
                combined = totals.sum()
        return float(combined) + (self.bias or 0.0)


@dataclass(frozen=True)
class Reading:
    """What a sum is made from.

    Attributes:
        node: the call whose value is asked for.
        sources: the calls that computed its inputs.
        maps: their values (h, w, K), by path.
        weights: of the call's layer.
    """

    node: Node
    sources: list[Node]
    maps: dict[str, Floats]
    weights: TraceWeights

    def part(
        self,
        source: Node,
        rows: Sequence[int],
        columns: Sequence[int],
        channels: Sequence[int] | slice,
        weights: Floats | float = 1.0,
    ) -> Part:
        """The part of some cells and channels of an input, which are zero in its padding."""
        maps = self.maps[source.path]
        height, width, count = maps.shape
        numbers = range(count)[channels] if isinstance(channels, slice) else channels
        down, across = np.array(rows, int), np.array(columns, int)
        there = maps[down.clip(0, height - 1)][:, across.clip(0, width - 1)]
        outside = ((down < 0) | (down >= height))[:, None] | (across < 0) | (across >= width)
        inputs = there[:, :, channels].astype(np.float64)
        inputs[outside] = 0
        return Part(
            source.path, rows, columns, numbers, inputs, np.broadcast_to(weights, inputs.shape)
        )


def make_sum(reading: Reading, cell: Cell) -> Sum | None:
    """The sum of one value; None where its arithmetic is not spelled out."""
    node = reading.node
    if node.settings is None or any(source.path not in reading.maps for source in reading.sources):
        return None
    if node.kind in MERGING:
        return _merged(reading, cell)
    if node.kind == "Concatenate":
        return _joined(reading, cell)
    if len(reading.sources) != 1 or node.kind not in _FUNCTIONS:
        return None
    return _FUNCTIONS[node.kind](reading, cell)


def channel_sums(reading: Reading, cell: Cell) -> Floats:
    """(K,) the sums of all channels of a cell, for a layer with a kernel."""
    kernel = reading.weights.read("kernel")
    if reading.node.kind == "Dense" and kernel is not None:
        bias = reading.weights.read("bias")
        given = reading.maps[reading.sources[0].path][cell[:2]].astype(np.float64)
        return np.einsum("n,nk->k", given, kernel) + (0 if bias is None else bias)
    count = (reading.node.grid or (1, 1, 1))[2]
    sums = (make_sum(reading, (*cell[:2], channel)) for channel in range(count))
    return np.array([each.total() for each in sums if each is not None])


def _taps(
    pair: tuple[Window, Window], cell: Cell
) -> tuple[tuple[list[int], list[int]], tuple[list[int], list[int]]]:
    """The taps of a kernel and the rows that they meet; likewise of columns."""
    rows, columns = pair[0].read(cell[0]), pair[1].read(cell[1])
    return (
        ([tap for tap, _ in rows], [row for _, row in rows]),
        ([tap for tap, _ in columns], [column for _, column in columns]),
    )


# --- Layers with a kernel ---------------------------------------------------------------------


def _convolution(reading: Reading, cell: Cell) -> Sum | None:
    (source,) = reading.sources
    pair = windows(reading.node, source)
    if pair is None:
        return None
    (taps, rows), (others, columns) = _taps(pair, cell)
    kernel, channels = _filter(reading, source, cell[2])
    weights = kernel[taps][:, others]
    return Sum((reading.part(source, rows, columns, channels, weights),), bias=_bias(reading, cell))


def _filter(reading: Reading, source: Node, channel: int) -> tuple[Floats, Sequence[int] | slice]:
    """The weights (kh, kw, n) of one filter, and the n channels that it looks at."""
    node = reading.node
    kind = node.kind.removesuffix("Transpose").removesuffix("1D").removesuffix("2D")
    if node.kind in TRANSPOSED:
        # Keras keeps it as (kh, kw, C_out, C_in).
        return _kernel(reading, "kernel")[:, :, channel], slice(None)
    if kind == "DepthwiseConv":
        kernel = _kernel(reading, "kernel")
        looks_at, which = divmod(channel, kernel.shape[-1])
        return kernel[:, :, looks_at : looks_at + 1, which], slice(looks_at, looks_at + 1)
    if kind == "SeparableConv":
        # One product of both kernels for each input channel.
        depthwise = _kernel(reading, "depthwise_kernel")
        factors = _kernel(reading, "pointwise_kernel", channel).reshape(depthwise.shape[2:])
        return (depthwise * factors).sum(axis=3), slice(None)
    groups = (node.settings or {}).get("groups", 1)
    size, filters = (source.grid or (1, 1, 1))[2] // groups, (node.grid or (1, 1, 1))[2] // groups
    start = channel // filters * size
    return _kernel(reading, "kernel", channel), slice(start, start + size)


def _kernel(reading: Reading, name: WeightName, channel: int | None = None) -> Floats:
    """A kernel with two spatial axes: one of a 1-D convolution gets a second."""
    kernel = reading.weights.read(name, channel)
    if kernel is None:
        raise LayerError(f"The layer {reading.node.path!r} has no weights {name!r}.")
    return kernel[:, None] if "1D" in reading.node.kind else kernel


def _dense(reading: Reading, cell: Cell) -> Sum:
    row, column, channel = cell
    kernel = _kernel(reading, "kernel", channel)
    part = reading.part(reading.sources[0], [row], [column], slice(None), kernel)
    return Sum((part,), bias=_bias(reading, cell))


def _bias(reading: Reading, cell: Cell) -> float | None:
    bias = reading.weights.read("bias", cell[2])
    return None if bias is None else float(bias)


# --- Poolings and other layers without weights ------------------------------------------------


def _pooling(reading: Reading, cell: Cell) -> Sum | None:
    (source,) = reading.sources
    pair = windows(reading.node, source)
    if pair is None:
        return None
    (_, rows), (_, columns) = _taps(pair, cell)
    height, width, _ = source.grid or (1, 1, 1)
    # Padding does not count, neither in a maximum nor in a mean.
    rows = [row for row in rows if 0 <= row < height]
    columns = [column for column in columns if 0 <= column < width]
    return _pool(reading, rows, columns, cell[2])


def _global_pooling(reading: Reading, cell: Cell) -> Sum | None:
    (source,) = reading.sources
    if not reading.node.kind.startswith("Global") and not reduces_cells(reading.node, source):
        return None
    height, width, _ = source.grid or (1, 1, 1)
    return _pool(reading, range(height), range(width), cell[2])


def _pool(reading: Reading, rows: Sequence[int], columns: Sequence[int], channel: int) -> Sum:
    (source,) = reading.sources
    kind = reading.node.kind
    mean = "Average" in kind or kind == "Mean"
    weight = 1 / (len(rows) * len(columns)) if mean else 1.0
    combine: Combine = "sum"
    if "Max" in kind or "max" in kind:
        combine = "maximum"
    elif "Min" in kind or "min" in kind:
        combine = "minimum"
    return Sum((reading.part(source, rows, columns, [channel], weight),), combine)


def _enlarged(reading: Reading, cell: Cell) -> Sum | None:
    """Some cells of the input, or one; outside of it, in the border, a zero."""
    (source,) = reading.sources
    pair = windows(reading.node, source)
    if pair is None:
        return None
    settings = reading.node.settings or {}
    height, width, _ = source.grid or (1, 1, 1)
    rows, down = _interpolated(pair[0], cell[0], height, settings)
    columns, across = _interpolated(pair[1], cell[1], width, settings)
    weights = np.outer(down, across)[:, :, None]
    return Sum((reading.part(source, rows, columns, [cell[2]], weights),))


def _interpolated(
    window: Window, at: int, size: int, settings: dict[str, Any]
) -> tuple[list[int], list[float]]:
    """The rows that an enlarged row is made of, and the share of each."""
    rows = [row for _, row in window.read(at)]
    if settings.get("interpolation", "nearest") == "nearest" or window.taps == 1:
        return rows, [1.0] * len(rows)
    centre = min(max((at + 0.5) / window.stride - 0.5, 0.0), size - 1.0)
    shares = {row: 1 - abs(centre - row) for row in rows if 0 <= row < size}
    shares = {row: share for row, share in sorted(shares.items()) if share > 0}
    return list(shares), list(shares.values())


def _moved(reading: Reading, cell: Cell) -> Sum | None:
    """A cell of the input at another place."""
    (source,) = reading.sources
    places = rearranged(reading.node, source)
    if places is None:
        return None
    row, column, channel = np.unravel_index(places[cell], source.grid or (1, 1, 1))
    return Sum((reading.part(source, [int(row)], [int(column)], [int(channel)]),))


# --- Several inputs ---------------------------------------------------------------------------


def _merged(reading: Reading, cell: Cell) -> Sum | None:
    """A sum, product, … of several inputs, of which some may be one cell or channel."""
    node = reading.node
    kind = node.kind
    if kind in {"Divide", "TrueDivide"} or any(not isinstance(one, str) for one in node.operands):
        return None
    combines: dict[str, Combine] = {
        "Multiply": "product",
        "Maximum": "maximum",
        "Minimum": "minimum",
    }
    parts = []
    for number, source in enumerate(reading.sources):
        weight = 1 / len(reading.sources) if kind == "Average" else 1.0
        if kind == "Subtract" and number == 1:
            weight = -1.0
        sides = source.grid or (1, 1, 1)
        row, column, channel = (at if side > 1 else 0 for at, side in zip(cell, sides, strict=True))
        if any(at >= side for at, side in zip((row, column, channel), sides, strict=True)):
            return None
        parts.append(reading.part(source, [row], [column], [channel], weight))
    return Sum(tuple(parts), combines.get(kind, "sum"))


def _joined(reading: Reading, cell: Cell) -> Sum | None:
    axis = reading.node.axis((reading.node.settings or {}).get("axis", -1))
    if axis is None:
        return None
    place = list(cell)
    for source in reading.sources:
        size = (source.grid or (1, 1, 1))[axis]
        if place[axis] < size:
            row, column, channel = place
            return Sum((reading.part(source, [row], [column], [channel]),))
        place[axis] -= size
    return None


_FUNCTIONS: dict[str, Callable[[Reading, Cell], Sum | None]] = {
    "Dense": _dense,
    **dict.fromkeys(CONVOLUTIONS + TRANSPOSED, _convolution),
    **dict.fromkeys(POOLINGS, _pooling),
    **dict.fromkeys(GLOBAL_POOLINGS + REDUCTIONS, _global_pooling),
    **dict.fromkeys(PADDINGS + CROPPINGS + UPSAMPLINGS, _enlarged),
    **dict.fromkeys(REARRANGING, _moved),
}
