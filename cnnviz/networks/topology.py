"""A network's graph as plain data: which call reads which, with the settings of each.

It is made once for a network, needs neither Keras nor TensorFlow, and holds only what JSON has.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from cnnviz.results import Box


@dataclass(frozen=True)
class Node:
    """One call of an operation; all shapes have the channels last and no batch.

    Attributes:
        path: of the call; the second call of a shared layer has ``name#1``.
        kind: the class of the operation.
        operands: in order, the path of the call that computed an input, or a constant: a number,
            or nested lists of numbers. None is a constant that was not kept.
        shape: of the output: (h, w, K), (T, K) or (K,); None where that is not known.
        channels_first: whether the network keeps the maps as (N, C, h, w).
        settings: what defines the computation, such as ``strides``, by the name of Keras's
            attribute; None for an operation that is not Keras's own.
        is_model: whether it is a nested model: its own layers are calls of their own.
    """

    path: str
    kind: str
    operands: tuple[Any, ...]
    shape: tuple[int, ...] | None
    channels_first: bool
    settings: dict[str, Any] | None
    is_model: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        """The paths of the calls whose outputs it takes."""
        return tuple(operand for operand in self.operands if isinstance(operand, str))

    @property
    def grid(self) -> tuple[int, int, int] | None:
        """The output as rows, columns and channels: (T, 1, K) of (T, K), (1, 1, K) of (K,)."""
        match self.shape:
            case (channels,):
                return 1, 1, channels
            case (length, channels):
                return length, 1, channels
            case (height, width, channels):
                return height, width, channels
        return None

    def axis(self, axis: int) -> int | None:
        """Which axis of ``grid`` an axis of the network's own array, batch included, is.

        None for the batch, and where the shape is not known.
        """
        if self.shape is None:
            return None
        axis %= len(self.shape) + 1
        axes: tuple[int | None, ...] = {
            1: (None, 2),
            2: (None, 0, 2),
            3: (None, 2, 0, 1) if self.channels_first else (None, 0, 1, 2),
        }.get(len(self.shape), (None,) * (len(self.shape) + 1))
        return axes[axis]


@dataclass(frozen=True)
class Topology:
    """The calls of a network by path, in the order in which they run.

    A nested model is a node, too: its input is the call inside it that gives its output.

    Attributes:
        nodes: the calls.
        source: path of the network's input.
    """

    nodes: dict[str, Node]
    source: str

    @functools.cached_property
    def known_fields(self) -> dict[tuple[str, int], Box | None]:
        """What cells depend on, as far as somebody has found it, by path and number of the cell.

        In pixels of the network's input; None for a cell that depends on none of them.
        """
        return {}

    def inputs(self, node: Node) -> list[Node]:
        """The calls that computed the inputs of a call."""
        return [self.nodes[path] for path in node.inputs]
