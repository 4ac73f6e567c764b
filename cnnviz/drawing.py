"""How values become colours: the one rule for pages, downloads and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Bytes, Floats, largest_magnitude, steps
from cnnviz.cards import Preprocessing
from cnnviz.colours import BLANK, LIGHT, on_page, over_grey, strength
from cnnviz.evidence import why_empty
from cnnviz.geometry import place_on_photo
from cnnviz.results import ClassActivationMap

Limits = tuple[float, float]

# The scales of values on both sides of zero, and of the evidence for a class alone.
SIGNED = "blue-orange"
EVIDENCE = "orange"
# How much of a map's colours is seen over a photo, 0 to 1.
OPACITY = 1.0
# A map of more cells is one of pixels, a few of which are far above all others: the last colour is
# that of this percentile, and of all beyond.
_MOST_CELLS = 64 * 64
_PERCENTILE = 99


@dataclass(frozen=True)
class Shading:
    """A colour scale, and the values that get its first and its last colour.

    Attributes:
        colours: a name that ``colours.table`` takes.
        low: the value of the first colour.
        high: the value of the last colour; always above ``low``.
    """

    colours: str
    low: float
    high: float

    @property
    def limits(self) -> Limits:
        """``low`` and ``high``."""
        return self.low, self.high


@dataclass(frozen=True)
class MapLayer:
    """A map as a picture to lay over a photo.

    Attributes:
        values: (H, W) float32, NaN where the network did not look.
        shading: the colours of the values.
    """

    values: NDArray[np.float32]
    shading: Shading

    def indices(self) -> Bytes:
        """The step of the scale that each value has: (H, W) uint8; zero where it is NaN."""
        indices = steps(self.values, *self.shading.limits)
        indices[np.isnan(self.values)] = strength(self.shading.colours).argmin()
        return indices

    def over(self, grey: Bytes, opacity: float = OPACITY) -> Bytes:
        """The layer over a grey photo (H, W): (H, W, 3) uint8.

        Args:
            grey: the photo.
            opacity: 0 to 1: how much of the colours is seen.
        """
        greys = np.arange(256, dtype=np.float32)[:, None]
        mixed = greys + opacity * (over_grey(self.shading.colours) - greys)
        colours = np.rint(mixed).astype(np.uint8).reshape(-1, 3)
        return colours.take(self.indices().astype(np.uint16) * 256 + grey, axis=0)


def overlay(
    photo: NDArray[np.uint8],
    cam: ClassActivationMap,
    preprocessing: Preprocessing,
    *,
    signed: bool = True,
    opacity: float = OPACITY,
    limit: float | None = None,
) -> NDArray[np.uint8]:
    """A photo in grey with a map over it, exactly where the network looked: (H, W, 3) uint8.

    The photo has no colours of its own, so that every colour is evidence.

    Args:
        photo: (H, W, 3) uint8, the original.
        cam: the map.
        preprocessing: ``network.card.preprocessing``: how the photo became the input.
        signed: as in ``map_shading``.
        opacity: 0 to 1: how much of the map's colours is seen.
        limit: as in ``map_shading``.
    """
    height, width = photo.shape[:2]
    look = map_shading(cam, signed, limit=limit)
    return map_layer(cam, height, width, preprocessing, look).over(in_grey(photo), opacity)


def in_grey(photo: NDArray[np.uint8]) -> Bytes:
    """The light of a photo (H, W, 3): (H, W) uint8."""
    red, green, blue = (photo[..., channel].astype(np.uint16) for channel in range(3))
    of_red, of_green, of_blue = (np.uint16(round(256 * share)) for share in LIGHT)
    return ((of_red * red + of_green * green + of_blue * blue + 128) >> 8).astype(np.uint8)


def map_layer(
    cam: ClassActivationMap, height: int, width: int, preprocessing: Preprocessing, look: Shading
) -> MapLayer:
    """A class activation map as a layer over a photo, shown in (height, width) pixels.

    Args:
        cam: the map; cells that are not finite are drawn as zero.
        height: rows of the layer.
        width: columns of the layer.
        preprocessing: how the photo became the network input.
        look: the colours of the map.
    """
    # A missing cell must not spread over its neighbours.
    values = np.nan_to_num(finite(cam.values))
    return MapLayer(place_on_photo(values, height, width, preprocessing), look)


def map_shading(
    cam: ClassActivationMap,
    signed: bool = True,
    *,
    limit: float | None = None,
    dark: bool = False,
) -> Shading:
    """The colours of a map; of one that says nothing, a single grey.

    Args:
        cam: the map.
        signed: whether evidence against the class is shown too, in blue; evidence for it is orange.
        limit: the absolute value of the last colour, for maps on one scale; if None, this map's
            ``own_limit``.
        dark: whether the page has a dark background.
    """
    limit = own_limit(cam) if limit is None else limit
    look = shading(finite(cam.values), signed=signed, limit=limit)
    return replace(look, colours=BLANK if why_empty(cam) else on_page(look.colours, dark=dark))


def common_limit(maps: Iterable[ClassActivationMap]) -> float | None:
    """The largest ``own_limit`` of maps on one scale; None if none of them says anything."""
    return max((own_limit(cam) for cam in maps if not why_empty(cam)), default=None)


def own_limit(cam: ClassActivationMap) -> float:
    """The absolute value of the last colour of a map: the largest one.

    A map of more than 64 × 64 cells has single pixels far above all others, beside which nothing
    else could be seen: there it is the 99th percentile, and larger values have the same colour.
    """
    values = finite(cam.values)
    if values.size > _MOST_CELLS and not np.isnan(values).all():
        limit = float(np.nanpercentile(np.abs(values), _PERCENTILE))
        if limit > 0:
            return limit
    return largest_magnitude(values)


def picture_on_photo(
    cam: ClassActivationMap,
    picture: Callable[[Floats], Bytes],
    height: int,
    width: int,
    preprocessing: Preprocessing,
) -> Bytes:
    """A method's 8-bit picture of a map, at the size of the photo: (height, width) uint8.

    A map that says nothing is black.

    Args:
        cam: the map.
        picture: ``Method.picture``: from a map to 8-bit values; 0 where the network did not look.
        height: rows of the photo.
        width: columns of the photo.
        preprocessing: how the photo became the network input.
    """
    if why_empty(cam):
        return np.zeros((height, width), np.uint8)
    placed = place_on_photo(np.nan_to_num(finite(cam.values)), height, width, preprocessing)
    return picture(np.nan_to_num(placed))


def shading(
    values: Floats, *, signed: bool, colours: str = EVIDENCE, limit: float | None = None
) -> Shading:
    """The colours of evidence, activations or weights, in which zero means nothing.

    Args:
        values: any shape; NaN is left out.
        signed: whether values below zero are shown: then the scale is a diverging one with zero
            in its middle, otherwise a sequential one from zero to the largest absolute value,
            so that a value that is weak beside one below zero looks weak.
        colours: the sequential scale.
        limit: the absolute value of the last colour; if None, the largest one.
    """
    limit = largest_magnitude(values) if limit is None else limit
    if signed:
        return Shading(SIGNED, *colour_limits(values, (-limit, limit), centred=True))
    return Shading(colours, *colour_limits(values, (0.0, limit), centred=False))


def activation_shading(values: Floats, colours: str) -> Shading:
    """The colours of activations: a diverging scale if any value is below zero.

    Args:
        values: any shape; what is not finite is left out.
        colours: the sequential scale of values without negative ones.
    """
    values = finite(values)
    return shading(values, signed=bool((values < 0).any()), colours=colours)


def colour_limits(values: Floats, limits: Limits | None = None, *, centred: bool) -> Limits:
    """The values of the first and the last colour: never equal, whatever the values are.

    Args:
        values: any shape; NaN is left out.
        limits: the limits, if they are fixed already; else they follow from the values.
        centred: whether they are the same distance to both sides of zero; otherwise they are
            the smallest and the largest value.
    """
    if limits is not None:
        low, high = float(limits[0]), float(limits[1])
    elif centred:
        high = largest_magnitude(values)
        low = -high
    else:
        numbers = values[~np.isnan(values)]
        low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)
    if low < high:
        return low, high
    # One value only: the scale reaches to zero, and from zero to one; centred, to both sides.
    magnitude = abs(high) or 1.0
    if centred:
        return -magnitude, magnitude
    return (-magnitude, 0.0) if high < 0 else (0.0, magnitude)


def finite(values: Floats) -> NDArray[np.float32]:
    """A float32 copy in which infinities are missing too (NaN)."""
    copy = np.array(values, dtype=np.float32)
    copy[~np.isfinite(copy)] = np.nan
    return copy
