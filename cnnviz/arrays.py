"""Pure NumPy on maps and pictures: normalise, resize, tile, colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Region:
    """A rectangle in pixels of a photo; edges may be fractional or outside the photo."""

    left: float
    top: float
    width: float
    height: float


def normalise(values: Floats, axis: tuple[int, ...] | None = None) -> Floats:
    """Scales an array to 0 to 1 by its smallest and largest value; same shape, float32.

    A constant array has no contrast to show: it becomes zero everywhere.

    Args:
        values: any shape.
        axis: the axes that are scaled together, such as (0, 1) for each channel of (h, w, K)
            by itself; all if None.
    """
    # Halved first, so that the span of two huge values of opposite sign does not overflow.
    half = np.asarray(values, dtype=np.float64) / 2
    low = half.min(axis=axis, keepdims=True)
    span = half.max(axis=axis, keepdims=True) - low
    return np.clip((half - low) / np.where(span > 0, span, 1), 0, 1).astype(np.float32)


def scale_filters(kernels: Floats, scaling: str = "layer") -> Floats:
    """Scales kernels (kh, kw, C_in, C_out) for display; same shape.

    Args:
        kernels: the raw weights.
        scaling: ``layer`` gives 0 to 1 over the whole layer, ``filter`` 0 to 1 within each
            filter, ``symmetric`` -1 to 1 with zero kept at zero.

    Raises:
        ValueError: another scaling.
    """
    if scaling == "layer":
        return normalise(kernels)
    if scaling == "filter":
        return normalise(kernels, axis=(0, 1, 2))
    if scaling == "symmetric":
        return centre(kernels)
    raise ValueError(
        f"Expected scaling to be 'layer', 'filter' or 'symmetric'. Received: {scaling!r}"
    )


def rectify(values: Floats) -> Floats:
    """Keeps the positive part and sets the rest to zero; same shape."""
    return np.maximum(values, 0)


def largest_magnitude(values: Floats) -> float:
    """The largest absolute value, NaN left out; 0.0 where there is none."""
    magnitudes = np.abs(values[~np.isnan(values)])
    return float(magnitudes.max()) if magnitudes.size else 0.0


def centre(values: Floats, axis: tuple[int, ...] | None = None) -> Floats:
    """Scales an array to -1 to 1 by its largest magnitude, zero stays zero; same shape.

    ``axis`` is as in ``normalise``.
    """
    limit = np.abs(values).max(axis=axis, keepdims=True)
    return values / np.where(limit > 0, limit, 1)


def resize(
    values: Floats, height: int, width: int, region: Region | None = None
) -> NDArray[np.float32]:
    """Resizes a map (h, w) to (height, width), bilinear and half-pixel centred, as float32.

    The centre of each cell stays over the part of the picture that it belongs to, so a
    peak lands over its own cell and not half a cell beside it.

    Args:
        values: (h, w) map.
        height: rows of the result.
        width: columns of the result.
        region: the part of the result that the map covers, in pixels of the result; the
            pixels whose centre is outside become NaN. All of it if None.
    """
    region = region or Region(0, 0, width, height)
    rows = _interpolation(values.shape[0], height, region.top, region.height)
    columns = _interpolation(values.shape[1], width, region.left, region.width)
    # OpenBLAS now and then warns of a NaN in cells that it only pads with.
    with np.errstate(invalid="ignore"):
        return (rows @ np.asarray(values, np.float64) @ columns.T).astype(np.float32)


def blur(values: Floats, deviation: float) -> NDArray[np.float32]:
    """Blurs a picture or map (h, w) or (h, w, C) with a Gaussian, as float32 of the same shape.

    Near an edge the weights of the pixels that are there are scaled up to 1, so that the borders do
    not darken.

    Args:
        values: the picture; each channel is blurred by itself.
        deviation: the Gaussian's standard deviation, in pixels; 0 changes nothing.
    """
    wide = np.asarray(values, np.float64)
    if deviation <= 0:
        return wide.astype(np.float32)
    rows, columns = (_gaussian(length, deviation) for length in wide.shape[:2])
    down = np.tensordot(rows, wide, axes=(1, 0))
    across = np.tensordot(columns, down, axes=(1, 1))
    return np.swapaxes(across, 0, 1).astype(np.float32)


def _gaussian(pixels: int, deviation: float) -> Floats:
    """(pixels, pixels): the weights of a Gaussian around each pixel, adding up to 1."""
    pixel = np.arange(pixels)
    weights = np.exp(-0.5 * ((pixel[:, None] - pixel) / deviation) ** 2)
    return weights / weights.sum(axis=1, keepdims=True)


def _interpolation(cells: int, pixels: int, start: float, length: float) -> Floats:
    """(pixels, cells) weights of linear interpolation; NaN rows outside the region."""
    centre = (np.arange(pixels) + 0.5 - start) / length
    position = np.clip(centre * cells - 0.5, 0, cells - 1)
    lower = np.floor(position).astype(int)
    upper = np.minimum(lower + 1, cells - 1)
    share = position - lower
    weights = np.zeros((pixels, cells))
    index = np.arange(pixels)
    weights[index, lower] += 1 - share
    weights[index, upper] += share
    weights[(centre < 0) | (centre > 1)] = np.nan
    return weights


def tile(channels: Floats, columns: int, gap: int = 1) -> NDArray[np.float32]:
    """Channels (h, w, K) side by side: (rows*(h+gap)-gap, columns*(w+gap)-gap) float32.

    The gaps, and the cells after the last channel, hold NaN.

    Args:
        channels: the maps.
        columns: channels in a row.
        gap: empty cells between two channels.
    """
    height, width, count = channels.shape
    rows = -(-count // columns)
    mosaic = np.full((rows * (height + gap), columns * (width + gap)), np.nan, np.float32)
    for index in range(count):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        mosaic[top : top + height, left : left + width] = channels[..., index]
    return mosaic[: rows * (height + gap) - gap, : columns * (width + gap) - gap]


def steps(values: Floats, low: float, high: float, count: int = 256) -> Bytes:
    """The index of each value on a scale of ``count`` steps from low to high; same shape.

    Values beyond an end get that end; NaN gets 0, and so do all if high is not above low.
    """
    wide = np.asarray(values, np.float64)
    # Halved, so that the span of two huge values of opposite sign does not overflow.
    span = high / 2 - low / 2
    if not span > 0:
        return np.zeros(wide.shape, np.uint8)
    scaled = np.clip((wide / 2 - low / 2) / span * (count - 1), 0, count - 1)
    return np.rint(np.where(np.isnan(wide), 0, scaled)).astype(np.uint8)


def colour(values: Floats, table: Bytes, low: float, high: float) -> Bytes:
    """Looks each value up in a colour table: (..., 4) RGBA; NaN is transparent.

    Args:
        values: any shape.
        table: (256, 3) RGB or (256, 4) RGBA.
        low: the value that gets the first colour.
        high: the value that gets the last colour; at ``low`` or below, all get the first.
    """
    opaque = np.full((len(table), 1), 255, np.uint8)
    rgba = table if table.shape[1] == 4 else np.hstack([table, opaque])
    coloured = rgba[steps(values, low, high)]
    coloured[np.isnan(values)] = 0
    return coloured
