"""What a viewer shows, and the buffer in which it goes to the browser.

The buffer: the length of the header (4 bytes, little-endian), the header (JSON), then the arrays.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats, largest_magnitude
from cnnviz.colours import on_page, table
from cnnviz.drawing import Limits, finite

# Left, top, width and height in units of the region.
Rectangle = tuple[float, float, float, float]

# The name of a grid's tiles.
TILES = "tiles"
# Cells of all tiles together; of larger maps a drawn cell is the mean of several.
_MOST_CELLS = 600_000
# Maps (K, h, w) of more cells are sent in 16 bits: the three digits that are shown are right down
# to a ten-thousandth of the largest value.
_MAPS, _LARGEST_EXACT = 3, 4096
_WORD = 4


@dataclass(frozen=True)
class Tiles:
    """Maps or kernels as a grid of tiles.

    Attributes:
        name: of the tiles in events.
        values: (K, h, w), coloured by a scale, or (K, h, w, 3), which are red, green and blue.
        limits: the values of the first and the last colour, of all tiles or (K, 2) of each.
        colours: the scale, a name of ``cnnviz.colours``.
        label: of the grid, for readers of the screen.
        unit: what a value is, such as "activation".
        sentences: K plain sentences; a line break starts a new line.
        names: K short names above large tiles, or none.
        at: where they are; None in a region without a size.
        columns: tiles in a row, where there is a place.
        narrow: the place on a narrow screen, if it is another one.
        narrow_columns: tiles in a row there.
        gap: between two tiles, in units of the region.
        cell: so many cells of the map, across and down, are one of the drawn ones.
        opens: whether a click is reported.
    """

    name: str
    values: Floats
    limits: Limits | Floats
    colours: str
    label: str
    unit: str
    sentences: Sequence[str]
    names: Sequence[str] = ()
    at: Rectangle | None = None
    columns: int = 1
    narrow: Rectangle | None = None
    narrow_columns: int | None = None
    gap: float = 2
    cell: int = 1
    opens: bool = True


@dataclass(frozen=True)
class Region:
    """One canvas; regions are side by side, and below one another on a narrow screen.

    Attributes:
        items: what is drawn, the first at the bottom.
        size: width and height in units of its own, which fill its column; None for one grid of
            tiles that fills it by itself, and can be zoomed.
        narrow_size: on a narrow screen, if it is another one.
    """

    items: Sequence[Tiles]
    size: tuple[float, float] | None = None
    narrow_size: tuple[float, float] | None = None


@dataclass(frozen=True)
class Legend:
    """A bar of colours.

    Attributes:
        unit: what the colours mean; empty for a bar as wide as its column, above its numbers.
        colours: the scale, a name of ``cnnviz.colours``.
        low: the value of its first colour; zero has a mark.
        high: the value of its last colour.
        ticks: the texts at its ends.
        rgb: whether it is of tiles in red, green and blue: then it is a bar of each.
    """

    unit: str
    colours: str
    low: float
    high: float
    ticks: tuple[str, str]
    rgb: bool = False


@dataclass(frozen=True)
class Scene:
    """What a viewer shows.

    Attributes:
        id: events name it: one that is late is known to be of another scene.
        regions: the canvases.
        title: a heading; empty for none.
        legend: of the colours.
        keys: keyboard keys that are reported, such as "Escape".
    """

    id: str
    regions: Sequence[Region]
    title: str = ""
    legend: Legend | None = None
    keys: Sequence[str] = ()


def grid(
    maps: Floats,
    *,
    scene: str,
    title: str,
    limits: Limits | Floats,
    legend: Legend,
    unit: str,
    sentences: Sequence[str],
    names: Sequence[str] = (),
    opens: bool = True,
    heading: str | None = None,
) -> Scene:
    """Maps as a grid of tiles that fills its column.

    Args:
        maps: (h, w, K) float, or (h, w, 3, K), which are red, green and blue; what is not finite
            is drawn as nothing.
        scene: as ``Scene.id``.
        title: the name of the grid for readers of the screen.
        limits: as in ``Tiles``.
        legend: of the colours.
        unit: as in ``Tiles``.
        sentences: as in ``Tiles``.
        names: as in ``Tiles``.
        opens: as in ``Tiles``.
        heading: above the grid, empty for none; the title if it is left out.
    """
    drawn, cell = averaged(np.moveaxis(maps, -1, 0))
    tiles = Tiles(
        name=TILES,
        values=drawn,
        limits=limits,
        colours=legend.colours,
        label=title,
        unit=unit,
        sentences=sentences,
        names=names,
        cell=cell,
        opens=opens,
    )
    return Scene(scene, [Region([tiles])], title if heading is None else heading, legend)


def averaged(maps: Floats, most: int = _MOST_CELLS) -> tuple[NDArray[np.float32], int]:
    """Maps (K, h, w, ...) of at most so many cells in all, and the side of a block of them.

    A cell is the mean of a block; at the edges, of the part of it that is there. What is not
    finite becomes NaN, and so does a block with it.
    """
    values: NDArray[np.float32] = finite(maps)
    size = max(1, int(np.ceil(np.sqrt(values.size / most))))
    if size == 1:
        return values, 1
    for axis in (1, 2):
        starts = np.arange(0, values.shape[axis], size)
        lengths = np.diff(starts, append=values.shape[axis]).astype(np.float32)
        sums = np.add.reduceat(values, starts, axis=axis)
        others = [other for other in range(values.ndim) if other != axis]
        values = (sums / np.expand_dims(lengths, axis=others)).astype(np.float32)
    return values, size


def pack(scene: Scene, key: str) -> bytes:
    """A scene as the buffer that ``viewer.js`` reads."""
    arrays: list[NDArray[Any]] = []
    items = [item for region in scene.regions for item in region.items]
    names = [item.colours for item in items]
    names += [scene.legend.colours] if scene.legend else []
    header = {"kind": "scene", "key": key, "tables": tables(names, arrays)}
    header |= plain(scene, arrays)
    return buffer(header, arrays)


def tables(names: Sequence[str], arrays: list[NDArray[Any]]) -> Any:
    """The colours of scales, for light and dark pages, by name; appended to ``arrays``."""
    wanted = {
        name: [table(on_page(name, dark=dark)) for dark in (False, True)]
        for name in dict.fromkeys(names)
    }
    return plain(wanted, arrays)


def plain(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """A value as JSON has it; arrays and files become their number in ``arrays``."""
    if isinstance(value, bytes):
        value = np.frombuffer(value, np.uint8)
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if dataclasses.is_dataclass(value):
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return plain(fields, arrays)
    if isinstance(value, dict):
        return {name: plain(one, arrays) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one, arrays) for one in value]
    return value


def buffer(header: dict[str, Any], arrays: Sequence[NDArray[Any]]) -> bytes:
    """Length, header and arrays; each begins at a multiple of four bytes."""
    stored = [_stored(values) for values in arrays]
    described = [
        {"dtype": values.dtype.name, "shape": values.shape, "scale": scale}
        for values, scale in stored
    ]
    text = json.dumps(
        header | {"arrays": described}, separators=(",", ":"), allow_nan=False
    ).encode()
    text += b" " * (-len(text) % _WORD)
    data = [values.astype(values.dtype.newbyteorder("<")).tobytes() for values, _ in stored]
    return (
        struct.pack("<I", len(text))
        + text
        + b"".join(part + bytes(-len(part) % _WORD) for part in data)
    )


def _stored(values: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """An array as it is sent, and what its numbers are multiplied by."""
    if values.dtype == np.uint8:
        return values, 1.0
    exact = np.asarray(values, np.float32)
    if exact.ndim < _MAPS or exact.size <= _LARGEST_EXACT:
        return exact, 1.0
    scale = largest_magnitude(exact) or 1.0
    return (exact / np.float32(scale)).astype(np.float16), scale
