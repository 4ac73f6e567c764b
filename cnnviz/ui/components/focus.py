"""What stands in place of the wall of maps: one value's arithmetic, a layer's channels, or one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cnnviz.arrays import Bytes, Floats
from cnnviz.drawing import Limits
from cnnviz.ui.components.scenes import Rectangle
from cnnviz.ui.components.walk import Text


@dataclass(frozen=True)
class Asked:
    """The event that a content answers: the same event need not be reported again."""

    action: str
    name: str | None = None
    channel: int | None = None
    row: int | None = None
    column: int | None = None


@dataclass(frozen=True)
class StripTile:
    """A tile of the strip of stages.

    Attributes:
        path: the layer's path; empty for a class map.
        name: such as "14 × 14".
        note: below it, such as "× 240".
        values: (1, h, w), one of its maps; None for a layer without maps.
        limits: the values of the first and the last colour.
        colours: the scale, a name of ``cnnviz.colours``.
        here: whether it is what is shown.
        opens: whether its channels can be shown.
    """

    path: str
    name: str
    note: str
    values: Floats | None
    limits: Limits
    colours: str
    here: bool
    opens: bool = True


@dataclass(frozen=True)
class Frame:
    """What all contents have in common.

    Attributes:
        asked: the event.
        label: of the content in the list of what was visited.
        title: the heading.
        subtitle: below it.
        strip: the stages.
    """

    asked: Asked
    label: str
    title: str
    subtitle: str
    strip: Sequence[StripTile]


@dataclass(frozen=True)
class CellMap:
    """A map whose cells can be clicked.

    Attributes:
        title: above it.
        values: (1, h, w); cells beyond the last unit are NaN.
        limits: the values of the first and the last colour.
        colours: the scale.
        unit: what a value is.
        ends: the texts at both ends of the legend.
        selected: row and column of the cell in question, or None.
        event: of a click, but for the cell.
        units: whether a cell is a unit of a dense layer, whose number is the event's channel.
    """

    title: str
    values: Floats
    limits: Limits
    colours: str
    unit: str
    ends: tuple[str, str]
    selected: tuple[int, int] | None
    event: Asked
    units: bool = False


@dataclass(frozen=True)
class Term:
    """Some cells of one input channel, and what each is multiplied by.

    Attributes:
        layer: path of the input layer.
        channel: of that layer.
        name: such as "channel 17".
        size: rows and columns of the layer.
        rows: (a,) rows of the cells; those outside of the layer are padding.
        columns: (b,) likewise.
        inputs: (a, b).
        weights: (a, b).
        map: (1, h, w) all cells of the channel, maybe fewer, each the mean of several; None for a
            layer without maps.
        limits: of the input's colours.
        colours: of the input.
    """

    layer: str
    channel: int
    name: str
    size: tuple[int, int]
    rows: Sequence[int]
    columns: Sequence[int]
    inputs: Floats
    weights: Floats
    map: Floats | None
    limits: Limits
    colours: str


@dataclass(frozen=True)
class Result:
    """A number on the way to the value.

    Attributes:
        name: what was done, such as "Batch normalization".
        value: the number as text.
        formula: below it.
        layer: path of the layer that did it.
    """

    name: str
    value: str
    formula: str
    layer: str


@dataclass(frozen=True)
class Arithmetic:
    """Where one value comes from.

    Attributes:
        frame: what all contents have.
        form: "patch": one channel's inputs × kernel = products; "ranked": patches of several;
            "list": one input × weight a channel; "pool": inputs without weights; "none".
        heading: of the inputs.
        terms: the input channels that are spelled out.
        totals: (n + m,) what each term gives, and then what ``more`` gives.
        more: the names of m further parts, such as "310 other channels" and "bias".
        sums: whether the terms are added up.
        weight_limit: of the colours of the weights, and of the products, (2,).
        winner: of a maximum or minimum, the row and the column in the patch that gave it.
        results: from the sum to the value.
        map: the map that the value is in; None where it is in none.
        sentence: the whole in plain words.
        box: the receptive field in shares of the photo's width and height; None without one.
        caption: of the receptive field.
        links: texts and events that lead to the inputs, where no cell of them does.
    """

    frame: Frame
    form: Literal["patch", "ranked", "list", "pool", "none"]
    heading: str
    terms: Sequence[Term]
    totals: Floats
    more: Sequence[str]
    sums: bool
    weight_limit: Floats
    winner: tuple[int, int] | None
    results: Sequence[Result]
    map: CellMap | None
    sentence: Text
    box: Rectangle | None
    caption: Text
    links: Sequence[tuple[str, Asked]]


@dataclass(frozen=True)
class Channels:
    """All channels of a layer as a grid.

    Attributes:
        frame: what all contents have.
        path: the layer's path.
        order: the channels in the order of the tiles.
        grid: a packed scene of the viewer.
        style: the viewer's style sheet.
        sentence: below it.
    """

    frame: Frame
    path: str
    order: Sequence[int]
    grid: bytes
    style: str
    sentence: Text


@dataclass(frozen=True)
class Channel:
    """One channel of a layer, beside the filter that made it.

    Attributes:
        frame: what all contents have.
        map: the channel.
        heading: of the filter.
        kernels: (n, kh, kw) of the strongest inputs; of a kernel of one cell, (n, 1, 1).
        names: of these inputs.
        limit: the largest magnitude in the filter.
        colour: (kh, kw, 3) uint8, the kernel as one picture if its inputs are red, green and blue.
        note: below the kernels; why there are none, or how many are left out.
        links: texts and events of the buttons that lead to other pages.
        sentence: the channel's numbers.
    """

    frame: Frame
    map: CellMap
    heading: str
    kernels: Floats | None
    names: Sequence[str]
    limit: float
    colour: Bytes | None
    note: str
    links: Sequence[tuple[str, Asked]]
    sentence: Text


@dataclass(frozen=True)
class Failure:
    """Why there is no answer.

    Attributes:
        frame: what all contents have.
        attempt: how many events came before: the same failure is another message.
        text: in the user's words.
    """

    frame: Frame
    attempt: int
    text: str


Content = Arithmetic | Channels | Channel | Failure
