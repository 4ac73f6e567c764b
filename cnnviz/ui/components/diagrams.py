"""What a network map shows: a network's calls as tiles, in blocks, in bands of one resolution.

A *unit* is a layer with the normalisation, activation and dropout that follow it. A *block* is a
unit, or branches that part and meet again within one resolution, such as a residual block. A
*band* holds the blocks of one resolution, and a *section* the bands of one model: a nested model
has sections of its own.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cnnviz.results import LayerCall, LayerInfo, Outline

# With more tiles than this, blocks are folded at first.
MOST_OPEN = 200
# With as few tiles as this, each has its layer's name.
MOST_NAMED = 24
# Branches of more layers than this are no block: folded, it would say nothing.
_LARGEST_BLOCK = 80
# Heights of tiles in pixels: those of one channel, for each doubling, and the most.
_LOWEST, _DOUBLING, _HIGHEST = 12, 3, 44
_SMALL = 20


@dataclass(frozen=True)
class Family:
    """Layers of a kind, which have one colour.

    Attributes:
        key: its name in the browser.
        title: in the legend.
        light: its colour on a light page, below white text.
        dark: its colour on a dark page, below dark text.
        parts: a class of layers belongs to the first family that has a part of its name.
    """

    key: str
    title: str
    light: str
    dark: str
    parts: tuple[str, ...]


FAMILIES = (
    Family("depthwise", "Depthwise convolution", "#00788c", "#46c8dc", ("DepthwiseConv",)),
    Family("convolution", "Convolution", "#3a4fb0", "#7f95ff", ("Conv",)),
    Family("attention", "Attention", "#6b5a00", "#e9dc5a", ("Attention",)),
    Family("pooling", "Pooling", "#a14a00", "#ffa94d", ("Pool",)),
    Family("dense", "Dense", "#7b3fa8", "#c68cf2", ("Dense", "Einsum")),
    Family("normalisation", "Normalisation", "#2f7d3b", "#7bcf86", ("Normalization",)),
    Family(
        "activation",
        "Activation",
        "#b8336b",
        "#f58bb4",
        ("Activation", "ReLU", "Relu", "ELU", "Softmax", "Sigmoid", "Silu", "Gelu", "Tanh"),
    ),
    Family(
        "merge",
        "Branches meet",
        "#14202b",
        "#eaf0f4",
        ("Add", "Concat", "Multiply", "Average", "Maximum", "Minimum", "Subtract", "Dot"),
    ),
    Family("other", "Other", "#707070", "#a6a6a6", ("",)),
)
_FOLLOWERS = {"normalisation", "activation"}
# What is written on a tile, by the class of its layer.
_TEXTS = {
    "Add": "+",
    "AveragePooling2D": "avg",
    "Concatenate": "join",
    "GlobalAveragePooling2D": "avg",
    "GlobalMaxPooling2D": "max",
    "InputLayer": "in",
    "MaxPooling2D": "max",
    "Multiply": "×",
    "Subtract": "−",
}


@dataclass(frozen=True)
class Tile:
    """One call.

    Attributes:
        path: of the call.
        family: a key of ``FAMILIES``.
        text: written on it; nothing makes it a slim bar.
        lines: what there is to say of it, in plain text.
        height: in pixels; it grows with the number of channels.
        inputs: the indices of the tiles that it reads.
    """

    path: str
    family: str
    text: str
    lines: tuple[str, ...]
    height: int
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """Tiles that belong together.

    Attributes:
        name: what the names of its layers begin with.
        units: indices of its tiles, in groups without a gap.
        branches: whether branches meet in it.
    """

    name: str
    units: tuple[tuple[int, ...], ...]
    branches: bool


@dataclass(frozen=True)
class Band:
    """The blocks of one resolution; ``size`` is "112 × 112" and ``note`` the channels there."""

    size: str
    note: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Section:
    """The bands of one model; ``path`` and ``title`` are empty for the network itself."""

    path: str
    title: str
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class Diagram:
    """A network as a map.

    Attributes:
        tiles: in the order in which they are drawn.
        sections: which hold them.
    """

    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]

    @property
    def families(self) -> tuple[Family, ...]:
        """Those that there are, for the legend."""
        there = {tile.family for tile in self.tiles}
        return tuple(family for family in FAMILIES if family.key in there)


def family_of(kind: str) -> str:
    """The key of the family of a class of layers."""
    return next(one.key for one in FAMILIES if any(part in kind for part in one.parts))


def layers_of_calls(outline: Outline) -> dict[str, LayerInfo]:
    """The layer of each call by the call's path; operations that are no layers have none."""
    layers = {layer.path: layer for layer in outline.layers}
    again = {call.path: re.sub(r"#\d+$", "", call.path) for call in outline.calls}
    return layers | {path: layers[name] for path, name in again.items() if name in layers}


def calls_of(outline: Outline) -> tuple[LayerCall, ...]:
    """The calls of a network; of one whose graph is not known its layers, without connections."""
    return outline.calls or tuple(
        LayerCall(layer.path, layer.kind, (), _known(layer.output_shape[1:]), layer.nested)
        for layer in outline.layers
    )


def neighbours(calls: Sequence[LayerCall], path: str) -> tuple[list[str], list[str]]:
    """The paths of the calls that a call reads, and of those that read it.

    Of a nested model they are those outside of it.
    """
    prefix = f"{path}/"
    nested = any(call.nested and call.path == path for call in calls)
    own = {call.path for call in calls if nested and call.path.startswith(prefix)} | {path}
    inputs, readers = [], []
    for call in calls:
        if call.path in own and not (nested and call.path == path):
            inputs += [one for one in call.inputs if one not in own]
        elif not call.nested and own.intersection(call.inputs):
            readers.append(call.path)
    return list(dict.fromkeys(inputs)), readers


def diagram(outline: Outline) -> Diagram:
    """The map of a network."""
    models = {call.path: call.kind for call in calls_of(outline) if call.nested}
    layers = layers_of_calls(outline)
    calls = [call for call in calls_of(outline) if not call.nested]
    groups = list(_groups(calls))
    drawn = [call for group in groups for unit in group for call in unit]
    numbers = {call.path: number for number, call in enumerate(drawn)}
    named = len(drawn) <= MOST_NAMED
    tiles = tuple(_tile(call, layers.get(call.path), numbers, named) for call in drawn)
    sections = []
    for path, inside in itertools.groupby(groups, lambda group: _model(group[0][0].path)):
        bands = []
        for size, here in _by_size(list(inside)):
            blocks = tuple(_block(group, numbers) for group in here)
            bands.append(Band(_size_text(size), _channels(here, size), blocks))
        title = f"{path} · {models.get(path, 'part')}" if path else ""
        sections.append(Section(path, title, tuple(bands)))
    return Diagram(tiles, tuple(sections))


# --- Grouping -----------------------------------------------------------------------------------

# The calls of a block, by its units.
_Group = list[list[LayerCall]]


def _groups(calls: Sequence[LayerCall]) -> list[_Group]:
    """The calls as blocks, in the order in which they are drawn."""
    groups: list[_Group] = []
    for segment in _segments(calls):
        if _is_block(segment):
            groups.append(_units(_by_branch(segment)))
        else:
            groups += [[unit] for unit in _units(segment)]
    # What follows a layer in a segment of its own is part of that layer's unit; of a block, only an
    # activation where its branches meet.
    merged: list[_Group] = []
    for group in groups:
        (first, *others), *units = group
        before = merged[-1] if merged else []
        single = not (others or units) and bool(before)
        if single and _follows(first, before[-1][-1]) and _may_join(first, before):
            before[-1].append(first)
        else:
            merged.append(group)
    return merged


def _may_join(call: LayerCall, group: _Group) -> bool:
    return len(group) == 1 or family_of(call.kind) == "activation"


def _segments(calls: Sequence[LayerCall]) -> list[list[LayerCall]]:
    """The calls, cut wherever all that comes later needs one output alone: the last one."""
    last_reader = {path: at for at, call in enumerate(calls) for path in call.inputs}
    segments: list[list[LayerCall]] = [[]]
    # The last call that reads an output of one before the current call.
    needed = -1
    for at, call in enumerate(calls):
        segments[-1].append(call)
        if needed <= at:
            segments.append([])
        needed = max(needed, last_reader.get(call.path, at))
    return [segment for segment in segments if segment]


def _is_block(segment: Sequence[LayerCall]) -> bool:
    """Whether branches part and meet again in one model, within one resolution.

    Single values of channels, such as those of a squeeze-and-excitation, are no other resolution.
    """
    sizes = {_size(call) for call in segment} - {None, ()}
    models = {_model(call.path) for call in segment}
    return 1 < len(segment) <= _LARGEST_BLOCK and len(models) == 1 and sizes <= {_size(segment[-1])}


def _by_branch(segment: Sequence[LayerCall]) -> list[LayerCall]:
    """The calls of a block, one branch after the other."""
    inside = {call.path: call for call in segment}
    waiting = {call.path: sum(path in inside for path in call.inputs) for call in segment}
    ready = [call for call in reversed(segment) if not waiting[call.path]]
    ordered = []
    while ready:
        call = ready.pop()
        ordered.append(call)
        for reader in reversed(segment):
            if call.path in reader.inputs:
                waiting[reader.path] -= 1
                if not waiting[reader.path]:
                    ready.append(reader)
    return ordered


def _units(calls: Sequence[LayerCall]) -> list[list[LayerCall]]:
    units: list[list[LayerCall]] = []
    for call in calls:
        if units and _follows(call, units[-1][-1]):
            units[-1].append(call)
        else:
            units.append([call])
    return units


def _follows(call: LayerCall, before: LayerCall) -> bool:
    """Whether a call continues the unit of the one before."""
    follower = family_of(call.kind) in _FOLLOWERS or "Dropout" in call.kind
    alone = call.inputs == (before.path,) and _model(call.path) == _model(before.path)
    return follower and alone and before.kind != "InputLayer"


def _by_size(groups: Sequence[_Group]) -> list[tuple[_Size, list[_Group]]]:
    """The blocks by resolution, as long as it stays the same; it stays where it is not known."""
    bands: list[tuple[_Size, list[_Group]]] = []
    for group in groups:
        size = _size(group[-1][-1])
        if bands and size in {None, bands[-1][0]}:
            bands[-1][1].append(group)
        else:
            bands.append((size or (), [group]))
    return bands


# Rows and columns, or positions; () of single values.
_Size = tuple[int, ...]


def _size(call: LayerCall) -> _Size | None:
    # What pads or crops prepares for the layer that follows.
    if call.shape is None or "Padding" in call.kind or "Cropping" in call.kind:
        return None
    size = call.shape[:-1]
    return () if set(size) == {1} else size


def _model(path: str) -> str:
    return path.rpartition("/")[0]


# --- Texts --------------------------------------------------------------------------------------


def _block(group: _Group, numbers: Mapping[str, int]) -> Block:
    names = [call.path.rpartition("/")[2] for unit in group for call in unit]
    words = itertools.takewhile(
        lambda words: len(set(words)) == 1, zip(*(name.split("_") for name in names), strict=False)
    )
    shared = "_".join(first for first, *_ in words) if len(group) > 1 else ""
    units = tuple(tuple(numbers[call.path] for call in unit) for unit in group)
    return Block(shared or names[0], units, len(units) > 1)


def _tile(
    call: LayerCall, layer: LayerInfo | None, numbers: Mapping[str, int], named: bool
) -> Tile:
    channels = call.shape[-1] if call.shape else 1
    grown = round(_LOWEST + _DOUBLING * math.log2(max(channels, 1)))
    text = _text(call, layer)
    if named:
        name = call.path.rpartition("/")[2]
        text = name if call.kind in _TEXTS else f"{name} {text}".strip()
    return Tile(
        call.path,
        family_of(call.kind),
        text,
        (call.path, *facts(call, layer)),
        min(_HIGHEST, max(_SMALL, grown)),
        tuple(numbers[path] for path in call.inputs if path in numbers),
    )


def facts(call: LayerCall, layer: LayerInfo | None) -> list[str]:
    """What there is to say of a call, a line each: class, output, parameters, kernel."""
    told = [call.kind]
    if call.shape is not None:
        told.append(f"output {shape_text(call.shape)}")
    if layer is not None:
        told.append(f"{layer.parameters:,} parameters")
    if layer is not None and layer.kernel_shape:
        told.append(f"kernel {kernel_text(layer.kernel_shape)}")
    return told


def kernel_text(shape: Sequence[int]) -> str:
    """The shape (kh, kw, C_in, C_out) of a kernel in words."""
    height, width, inputs, filters = shape
    return f"{height} × {width}, {_count(inputs, 'input')}, {_count(filters, 'filter')}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _text(call: LayerCall, layer: LayerInfo | None) -> str:
    if layer is not None and layer.kernel_shape:
        return "{}×{}".format(*layer.kernel_shape)
    if family_of(call.kind) == "dense" and call.shape:
        return f"{call.shape[-1]:,}"
    return _TEXTS.get(call.kind, "")


def shape_text(shape: Sequence[int]) -> str:
    """A shape without the batch as ``h × w × K``."""
    return " × ".join(f"{side:,}" for side in shape)


def _size_text(size: _Size) -> str:
    match len(size):
        case 0:
            return "Vectors"
        case 1:
            return f"{size[0]:,} positions"
    return shape_text(size)


def _channels(groups: Sequence[_Group], size: _Size) -> str:
    counts = [call.shape[-1] for group in groups for unit in group for call in unit if call.shape]
    if not counts:
        return ""
    low, high = min(counts), max(counts)
    text = _count(high, "channel" if size else "value")
    return text if low == high else f"{low:,}–{text}"


def _known(shape: tuple[int | None, ...]) -> tuple[int, ...] | None:
    sides = tuple(side for side in shape if side is not None)
    return sides if sides and len(sides) == len(shape) else None
