"""Where a value comes from, as plain data: a photo's way through a network, and one value's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cnnviz.arrays import Floats
from cnnviz.results import Box, Explanation


@dataclass(frozen=True)
class CellFields:
    """The receptive fields of all cells of a layer, in pixels of the network's input.

    The field of a cell (row, column) begins at ``start + (row, column) · step`` and has ``size``;
    it ends at the edges of the input.

    Attributes:
        start: row and column; below zero where the padding begins.
        step: from one cell to the next, down and across.
        size: height and width.
        input: (h, w) of the network's input.
    """

    start: tuple[int, int]
    step: tuple[int, int]
    size: tuple[int, int]
    input: tuple[int, int]


@dataclass(frozen=True)
class StageMaps:
    """maps (h, w, k): the maps of a layer that vary most over a photo, the strongest first.

    Attributes:
        path: the layer's path.
        kind: the layer's class.
        channels: how many maps the layer has.
        order: the channels of the maps.
        maps: float32, raw.
        limits: the smallest and the largest value of all the layer's maps.
        bound: the largest value that the layer can give, such as 6 of ReLU6; None without one.
        fields: None where they are not all alike.
    """

    path: str
    kind: str
    channels: int
    order: tuple[int, ...]
    maps: Floats
    limits: tuple[float, float]
    bound: float | None = None
    fields: CellFields | None = None


@dataclass(frozen=True)
class Units:
    """values (n,): the outputs of a dense layer at a path."""

    path: str
    values: Floats


@dataclass(frozen=True)
class ClassTerms:
    """What the score of a class is the sum of: input × weight of the last dense layer.

    Attributes:
        target: the class.
        order: the channels, or units, with the largest terms, the largest absolute value first.
        terms: what each of them adds.
        rest: what all others add together.
        bias: of the class.
        score: the sum of all: the class's logit.
    """

    target: str
    order: tuple[int, ...]
    terms: tuple[float, ...]
    rest: float
    bias: float
    score: float


@dataclass(frozen=True)
class ListedChannels:
    """The channels, or units, that the terms of any of the classes list, each once.

    Attributes:
        channels: n numbers: of each class those with the largest terms by absolute value, and
            those that speak most for it.
        products: (C, n), what each adds to each class's score.
        maps: (h, w, n) of the channels; None for units.
        limits: the smallest and the largest value of all the layer's maps or units.
        path: of the layer, or of an operation that is no layer.
        count: how many channels or units it has.
    """

    channels: tuple[int, ...]
    products: Floats
    maps: Floats | None
    limits: tuple[float, float]
    path: str
    count: int


@dataclass(frozen=True)
class StagedExplanation:
    """A photo's way through a network.

    Attributes:
        stages: the strongest maps of a few layers, from the photo to the last maps.
        units: the dense layers between the maps and the scores.
        explanation: the prediction, and a map for each of some classes.
        terms: of the same classes; () where their scores are no sums of the last inputs.
        listed: what the terms list; None without terms.
    """

    stages: tuple[StageMaps, ...]
    units: tuple[Units, ...]
    explanation: Explanation
    terms: tuple[ClassTerms, ...]
    listed: ListedChannels | None = None


@dataclass(frozen=True)
class ReceptiveField:
    """The pixels that a value depends on; to change any other pixel does not change it.

    Attributes:
        size: (h, w) of the network's input.
        box: what encloses them on the network's input; None for a value that depends on no pixel.
        pixels: how many of the box's pixels they are: strides and dilation may leave gaps.
        exact: whether each of them counts. Otherwise an operation on the way is not one of
            those that are understood, and some of them may not.
        photo: the box on the photo, all pixels of it that go into those of ``box`` by scaling; None
            where only the network's view of the photo was given, or it is in the borders.
    """

    size: tuple[int, int]
    box: Box | None
    pixels: int
    exact: bool
    photo: Box | None


@dataclass(frozen=True)
class TraceInput:
    """A layer whose values were read for one value of another layer.

    Attributes:
        layer: its path, with which the next trace can be asked for.
        shape: rows, columns, channels; (1, 1, K) of a layer with one number a channel.
        box: the cells that were read; None where only padding was.
    """

    layer: str
    shape: tuple[int, ...]
    box: Box | None


@dataclass(frozen=True)
class TraceTerm:
    """The part of one input channel in a value: inputs × weights, added up.

    Attributes:
        layer: path of the input layer.
        channel: of the input layer.
        rows: (a,) rows of the input layer; those outside of it are padding.
        columns: (b,) columns likewise.
        inputs: (a, b) the values, 0 in the padding.
        weights: (a, b) what each is multiplied by.
        total: the sum of the products.
    """

    layer: str
    channel: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    inputs: Floats
    weights: Floats
    total: float


@dataclass(frozen=True)
class TraceStep:
    """What follows after the sum, such as a normalization or an activation.

    Attributes:
        layer: path of the layer.
        kind: its class, or the activation's name.
        formula: how the new value follows from the value before, which is ``x``.
        numbers: the other letters and words of the formula.
        value: the new value.
    """

    layer: str
    kind: str
    formula: str
    numbers: dict[str, float]
    value: float


@dataclass(frozen=True)
class ValueTrace:
    """Where one value of a layer, or of a class map, comes from.

    The terms and ``rest``, combined as ``combine`` says, and the bias are ``total``; the steps
    lead from ``total`` to ``result``, which is ``value`` but for rounding.

    Attributes:
        layer: path of the layer; of a class map the path of the maps that it weighs.
        kind: the layer's class.
        row: of the value.
        column: of the value.
        channel: of the value; of a class map the number of the class.
        target: the class of a class map, None for a layer.
        shape: of the layer: (h, w, K), (T, K) or (K,); of a class map (h, w).
        value: as the network gives it.
        largest: the largest magnitude in the layer, or in the class map.
        field: the pixels that it depends on.
        source: path of the layer whose sum begins the arithmetic: itself, or one before.
        source_kind: its class.
        inputs: the layers whose values were read.
        combine: how the terms are combined.
        terms: of at most ten input channels in their order; of more, those ten that gave most,
            the largest magnitude first.
        others: how many input channels are left out.
        rest: what those gave together.
        bias: added to the sum; None where there is none.
        total: the terms, the rest and the bias.
        steps: what follows, up to the layer.
        result: the value after the last step.
        note: a sentence on what is special; where the arithmetic of ``source`` is not spelled out,
            it says so, there are no terms, and ``total`` is what the network gave.
    """

    layer: str
    kind: str
    row: int
    column: int
    channel: int
    target: str | None
    shape: tuple[int, ...]
    value: float
    largest: float
    field: ReceptiveField
    source: str
    source_kind: str
    inputs: tuple[TraceInput, ...]
    combine: Literal["sum", "product", "maximum", "minimum"]
    terms: tuple[TraceTerm, ...]
    others: int
    rest: float
    bias: float | None
    total: float
    steps: tuple[TraceStep, ...]
    result: float
    note: str
