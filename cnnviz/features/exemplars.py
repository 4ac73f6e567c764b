"""The photos, and their parts, that excite the channels of a layer most, and those that do least.

Natural examples say more about a channel than synthetic pictures (Borowski et al. 2021,
"Exemplary natural images explain CNN activations better than state-of-the-art feature
visualization", arXiv 2010.12606).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError, LayerError
from cnnviz.features.merging import COUNT
from cnnviz.geometry import cell_pixels, photo_pixels
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.networks.receptive_fields import receptive_field
from cnnviz.photos.preprocessing import scale_pixels
from cnnviz.photos.sources import SeenPhoto
from cnnviz.results import Box, ChannelExemplars, Exemplar, Exemplars

# Places of cells on photos that are kept, of 200 bytes each.
_PLACES = 1 << 14
# Is told how many photos are done.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class _Kept:
    """The photos that are kept so far for each of K channels, the best first: all (n, K).

    Attributes:
        values: the strongest activation.
        means: the mean activation, which decides between equal values: limited activations, such
            as ReLU6, give many.
        photos: numbers of the photos.
        cells: of the strongest activation, row by row.
    """

    values: Floats
    means: Floats
    photos: NDArray[np.intp]
    cells: NDArray[np.intp]


def find_exemplars(
    network: Network,
    photos: Iterable[SeenPhoto],
    layer: str,
    channels: Sequence[int] | None = None,
    *,
    count: int = COUNT,
    progress: Progress | None = None,
) -> Exemplars:
    """The photos that excite each channel of a layer most, and least: one part of each photo.

    What excites a channel is its strongest cell; the part is that cell's receptive field. Only one
    batch of photos and the best ones of each channel are in memory at a time.

    Args:
        network: the network.
        photos: as it sees them; each is read once.
        layer: the layer's path.
        channels: numbers of channels; all if None.
        count: photos that are kept of each channel at either end.
        progress: is told after each batch how many photos are done; what it raises ends the search.

    Raises:
        LayerError: the layer does not exist, is never run, gives no maps, or lacks a channel.
        DataError: there is no photo.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    most: _Kept | None = None
    least: _Kept | None = None
    # Names and sizes of the photos that are kept, by number.
    seen: dict[int, tuple[str, tuple[int, int]]] = {}
    done = 0
    size = passes.facts(network).batch_size
    for batch in batches(photos, size):
        maps = _maps(network, batch, size, layer, channels)
        found = _strongest(maps, done)
        most = _best(most, found, count, largest=True)
        least = _best(least, found, count, largest=False)
        seen |= {number: (photo.name, photo.size) for number, photo in enumerate(batch, done)}
        kept = {*most.photos.flat, *least.photos.flat}
        seen = {number: photo for number, photo in seen.items() if number in kept}
        done += len(batch)
        if progress is not None:
            progress(done)
    if most is None or least is None:
        raise DataError("There are no photos to choose from.")
    numbers = list(range(most.values.shape[1])) if channels is None else list(channels)
    places = _Places(network, layer, maps.shape[1:3])
    return Exemplars(
        layer,
        done,
        tuple(
            ChannelExemplars(
                channel,
                _listed(most, column, seen, places),
                _listed(least, column, seen, places),
            )
            for column, channel in enumerate(numbers)
        ),
    )


class _Places:
    """Where the cells of a layer are on photos, and what they depend on, each found once."""

    def __init__(self, network: Network, layer: str, cells: tuple[int, int]) -> None:
        self._preprocessing = network.card.preprocessing
        self._topology = passes.facts(network).topology
        self._layer = layer
        self._cells = cells
        # A search in many parts asks for the same ones again and again.
        self._fields = self._topology.known_fields

    def box(self, cell: int, size: tuple[int, int]) -> Box | None:
        """In pixels of a photo of (H, W); None where the cell depends on none of them."""
        key = self._layer, cell
        if key not in self._fields:
            row, column = divmod(cell, self._cells[1])
            pixels, _ = receptive_field(self._topology, self._layer, row, column, None)
            self._fields[key] = _around(pixels)
        field = self._fields[key]
        return None if field is None else _pixels_of(field, size, self._preprocessing)

    def cell(self, cell: int, size: tuple[int, int]) -> Box | None:
        """The cell itself, in pixels of a photo of (H, W)."""
        place = divmod(cell, self._cells[1])
        return _place_of(place, self._cells, size, self._preprocessing)


# Photos of one size ask for the same again and again, and so do the parts of a search.
@functools.lru_cache(maxsize=_PLACES)
def _pixels_of(field: Box, size: tuple[int, int], preprocessing: Preprocessing) -> Box | None:
    return photo_pixels(field, *size, preprocessing)


@functools.lru_cache(maxsize=_PLACES)
def _place_of(
    place: tuple[int, int],
    cells: tuple[int, int],
    size: tuple[int, int],
    preprocessing: Preprocessing,
) -> Box | None:
    return cell_pixels(place, cells, *size, preprocessing)


def _around(pixels: NDArray[np.bool_]) -> Box | None:
    rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def batches(photos: Iterable[SeenPhoto], size: int) -> Iterator[list[SeenPhoto]]:
    """The photos, so many at a time."""
    waiting = iter(photos)
    while batch := list(islice(waiting, size)):
        yield batch


def batch_inputs(network: Network, batch: Sequence[SeenPhoto], size: int) -> Floats:
    """The network's inputs (N, h, w, C) for a batch, whose last photo fills up the last one."""
    scaling = network.card.preprocessing.scaling
    # TensorFlow traces the network again for another number of photos, LiteRT does not.
    padding = size - len(batch) if network.compiled else 0
    padded = [*batch, *[batch[-1]] * padding]
    return np.stack([scale_pixels(photo.pixels, scaling) for photo in padded])


def _maps(
    network: Network,
    batch: list[SeenPhoto],
    size: int,
    layer: str,
    channels: Sequence[int] | None,
) -> Floats:
    """The chosen channels' maps (n, h, w, K); ``size`` is that of a whole batch."""
    inputs = batch_inputs(network, batch, size)
    maps = passes.forward(network, inputs, [layer]).layers[layer][: len(batch)]
    if maps.ndim != 4:
        raise LayerError(f"The layer {layer!r} gives no maps. Choose a layer before it.")
    if channels is None:
        return maps
    if not channels or min(channels) < 0 or max(channels) >= maps.shape[-1]:
        raise LayerError(
            f"The layer {layer!r} has the channels 0 to {maps.shape[-1] - 1}. "
            f"Received: {list(channels)}"
        )
    return maps[..., list(channels)]


def _strongest(maps: Floats, first: int) -> _Kept:
    """The strongest cell of each channel of each photo (n, h, w, K), numbered from ``first``."""
    cells = maps.reshape(len(maps), -1, maps.shape[-1])
    strongest = cells.argmax(axis=1)
    values = np.take_along_axis(cells, strongest[:, None], axis=1)[:, 0]
    numbers = np.arange(first, first + len(maps))[:, None]
    return _Kept(
        values,
        cells.mean(axis=1, dtype=np.float64),
        np.broadcast_to(numbers, values.shape),
        strongest,
    )


def _best(kept: _Kept | None, found: _Kept, count: int, *, largest: bool) -> _Kept:
    """The first ``count`` of both, by value, then by mean, then the photo that came first."""
    both = found
    if kept is not None:
        pairs = zip(vars(kept).values(), vars(found).values(), strict=True)
        both = _Kept(*(np.concatenate(pair) for pair in pairs))
    sign = -1 if largest else 1
    order = np.lexsort((both.photos, sign * both.means, sign * both.values), axis=0)[:count]
    return _Kept(*(np.take_along_axis(part, order, axis=0) for part in vars(both).values()))


def _listed(
    kept: _Kept, column: int, seen: dict[int, tuple[str, tuple[int, int]]], places: _Places
) -> tuple[Exemplar, ...]:
    exemplars = []
    for value, mean, number, cell in zip(
        *(part[:, column] for part in vars(kept).values()), strict=True
    ):
        name, size = seen[int(number)]
        box, place = places.box(int(cell), size), places.cell(int(cell), size)
        exemplars.append(Exemplar(name, float(value), float(mean), box, place))
    return tuple(exemplars)
