"""Which cells of its input a cell of a layer reads, axis by axis, and how arrays are rearranged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.networks.topology import Node

CONVOLUTIONS = (
    "Conv1D",
    "Conv2D",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
)
TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose")
POOLINGS = ("AveragePooling1D", "AveragePooling2D", "MaxPooling1D", "MaxPooling2D")
PADDINGS = ("ZeroPadding1D", "ZeroPadding2D")
CROPPINGS = ("Cropping1D", "Cropping2D")
UPSAMPLINGS = ("UpSampling1D", "UpSampling2D")
WINDOWED = (*CONVOLUTIONS, *TRANSPOSED, *POOLINGS, *PADDINGS, *CROPPINGS, *UPSAMPLINGS)

REARRANGING = (
    "ExpandDims",
    "Flatten",
    "Flip",
    "GetItem",
    "Moveaxis",
    "Permute",
    "Reshape",
    "Squeeze",
    "Swapaxes",
    "Transpose",
)


@dataclass(frozen=True)
class Window:
    """How a row (or a column) of an output reads the rows of its input.

    Attributes:
        taps: how many rows each reads; the size of a kernel.
        stride: rows of the input from one row of the output to the next.
        dilation: rows of the input from one tap to the next.
        before: rows of padding before the first; negative where rows are cut off.
        transposed: input and output change places, as in a transposed convolution.
    """

    taps: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    transposed: bool = False

    def read(self, row: int) -> list[tuple[int, int]]:
        """(tap, row of the input) for one row of the output; rows may be in the padding."""
        if not self.transposed:
            start = row * self.stride - self.before
            return [(tap, start + tap * self.dilation) for tap in range(self.taps)]
        places = [(tap, row + self.before - tap * self.dilation) for tap in range(self.taps)]
        return [(tap, at // self.stride) for tap, at in places if at % self.stride == 0]

    def needed(self, wanted: NDArray[Any], inputs: int) -> NDArray[Any]:
        """Which rows of the input some rows of the output read.

        Args:
            wanted: (rows, ...) True where a row of the output is wanted.
            inputs: rows of the input.

        Returns:
            (inputs, ...)
        """
        found = np.zeros((inputs, *wanted.shape[1:]), bool)
        for tap in range(self.taps):
            if self.transposed:
                given = np.arange(inputs)
                at = given * self.stride + tap * self.dilation - self.before
                inside = (at >= 0) & (at < len(wanted))
                found[given[inside]] |= wanted[at[inside]]
            else:
                at = np.arange(len(wanted))
                given = at * self.stride + tap * self.dilation - self.before
                inside = (given >= 0) & (given < inputs)
                found[given[inside]] |= wanted[at[inside]]
        return found


def windows(node: Node, source: Node) -> tuple[Window, Window] | None:
    """The windows of rows and columns of a layer in ``WINDOWED``; None where they are not known."""
    settings, grid, given = node.settings, node.grid, source.grid
    if settings is None or grid is None or given is None:
        return None
    axes = 1 if node.kind.endswith(("1D", "1DTranspose")) else 2
    made = [_window(node, axis, grid[axis], given[axis]) for axis in range(axes)]
    if axes == 1:
        made.append(Window())
    rows, columns = made
    return None if rows is None or columns is None else (rows, columns)


def _window(node: Node, axis: int, size: int, given: int) -> Window | None:
    """The window along the first or second axis of a grid."""
    settings: dict[str, Any] = node.settings or {}
    if node.kind in PADDINGS + CROPPINGS:
        amounts = settings["padding" if node.kind in PADDINGS else "cropping"]
        pair = amounts[axis] if isinstance(amounts[0], list) else amounts
        return Window(before=pair[0] if node.kind in PADDINGS else -pair[0])
    if node.kind in UPSAMPLINGS:
        return _enlarging(_at(settings["size"], axis), settings.get("interpolation", "nearest"))
    pooled = node.kind in POOLINGS
    taps = _at(settings["pool_size" if pooled else "kernel_size"], axis)
    stride = _at(settings["strides"], axis)
    dilation = 1 if pooled else _at(settings.get("dilation_rate", 1), axis)
    reach = (taps - 1) * dilation + 1
    transposed = node.kind in TRANSPOSED
    match settings["padding"]:
        case "valid":
            before = 0
        case "causal":
            before = reach - 1
        case "same":
            # That of a transposed convolution is the padding of the convolution that it turns.
            fewer, more = (given, size) if transposed else (size, given)
            before = max((fewer - 1) * stride + reach - more, 0) // 2
        case _:
            return None
    return Window(taps, stride, dilation, before, transposed)


def _enlarging(factor: int, interpolation: str) -> Window | None:
    if interpolation == "nearest":
        return Window(factor, factor, transposed=True)
    if interpolation == "bilinear":
        # The triangle of a cell, which reaches to the centres of its neighbours.
        return Window(2 * factor - factor % 2, factor, before=factor // 2, transposed=True)
    return None


def _at(value: Any, axis: int) -> int:
    return int(value[axis] if isinstance(value, list) else value)


def rearranged(node: Node, source: Node) -> NDArray[np.intp] | None:
    """For each cell of a layer in ``REARRANGING`` the cell of its input that it is.

    Returns:
        Flat indices into the input's grid, of the shape of the output's grid; None where the
        operation is not understood.
    """
    if node.settings is None or node.shape is None or source.shape is None:
        return None
    index = np.arange(np.prod(source.shape)).reshape(source.shape)
    if source.channels_first and index.ndim == 3:
        index = np.moveaxis(index, 2, 0)
    own = node.shape
    if node.channels_first and len(own) == 3:
        own = (own[2], own[0], own[1])
    moved = _rearrange(node.kind, node.settings, index[None], own)
    if moved is None or moved.shape != (1, *own):
        return None
    moved = moved[0]
    if node.channels_first and moved.ndim == 3:
        moved = np.moveaxis(moved, 0, 2)
    return moved.reshape(node.grid)


def _rearrange(
    kind: str, settings: dict[str, Any], array: NDArray[np.intp], shape: tuple[int, ...]
) -> NDArray[np.intp] | None:
    match kind:
        case "Flatten" if settings.get("data_format") == "channels_first" and array.ndim > 2:
            return np.moveaxis(array, 1, -1).reshape(1, *shape)
        case "Flatten" | "Reshape" | "ExpandDims" | "Squeeze" if array.size == math.prod(shape):
            return array.reshape(1, *shape)
        case "Permute":
            return array.transpose(0, *settings["dims"])
        case "Transpose":
            return array.transpose(settings.get("axes"))
        case "Moveaxis":
            return np.moveaxis(array, settings["source"], settings["destination"])
        case "Swapaxes":
            return array.swapaxes(settings["axis1"], settings["axis2"])
        case "Flip":
            axis = settings.get("axis")
            return np.flip(array, tuple(axis) if isinstance(axis, list) else axis)
        case "GetItem" if "key" in settings:
            parts = [slice(*part) if isinstance(part, list) else part for part in settings["key"]]
            return array[tuple(Ellipsis if part == "..." else part for part in parts)]
    return None
