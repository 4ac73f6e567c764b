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
from cnnviz.ui.components.call_groups import Group, Size, by_size, grouped, model_of
from cnnviz.ui.components.layer_families import FAMILIES, Family, family_of

# With more tiles than this, blocks are folded at first.
MOST_OPEN = 200
# With as few tiles as this, each has its layer's name.
MOST_NAMED = 24
# Heights of tiles in pixels: those of one channel, for each doubling, and the most.
_LOWEST, _DOUBLING, _HIGHEST = 12, 3, 44
_SMALL = 20


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
    groups = list(grouped(calls))
    drawn = [call for group in groups for unit in group for call in unit]
    numbers = {call.path: number for number, call in enumerate(drawn)}
    named = len(drawn) <= MOST_NAMED
    tiles = tuple(_tile(call, layers.get(call.path), numbers, named) for call in drawn)
    sections = []
    for path, inside in itertools.groupby(groups, lambda group: model_of(group[0][0].path)):
        bands = []
        for size, here in by_size(list(inside)):
            blocks = tuple(_block(group, numbers) for group in here)
            bands.append(Band(_size_text(size), _channels(here, size), blocks))
        title = f"{path} · {models.get(path, 'part')}" if path else ""
        sections.append(Section(path, title, tuple(bands)))
    return Diagram(tiles, tuple(sections))


# --- Texts --------------------------------------------------------------------------------------


def _block(group: Group, numbers: Mapping[str, int]) -> Block:
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


def _size_text(size: Size) -> str:
    match len(size):
        case 0:
            return "Vectors"
        case 1:
            return f"{size[0]:,} positions"
    return shape_text(size)


def _channels(groups: Sequence[Group], size: Size) -> str:
    counts = [call.shape[-1] for group in groups for unit in group for call in unit if call.shape]
    if not counts:
        return ""
    low, high = min(counts), max(counts)
    text = _count(high, "channel" if size else "value")
    return text if low == high else f"{low:,}–{text}"


def _known(shape: tuple[int | None, ...]) -> tuple[int, ...] | None:
    sides = tuple(side for side in shape if side is not None)
    return sides if sides and len(sides) == len(shape) else None
