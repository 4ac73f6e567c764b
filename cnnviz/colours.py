"""Colour tables: perceptual ones for values, diverging ones for signed values.

``teal`` (activations), ``blue-orange`` (evidence and weights) and ``orange``, its half above zero,
are this project's own. Each has a table for light pages and one for dark pages, in which zero has
the page's ground.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from plotly.colors import sample_colorscale, unlabel_rgb

SEQUENTIAL = ("teal", "viridis", "cividis", "inferno", "magma", "gray")
DIVERGING = ("blue-orange", "balance", "RdBu_r", "PuOr")
# One grey for all values, of maps that say nothing; transparent over a photo.
BLANK = "blank"
_GREY = (150, 158, 166)
# The stops of the project's own scales, equally spaced.
_DARK = " on dark"
_STOPS = {
    "teal": ("#eef3f5", "#b9dcdc", "#66b3b9", "#237f95", "#114a6b", "#0a2140"),
    "teal" + _DARK: ("#18222b", "#17465c", "#1a7286", "#3ea39d", "#86ceb0", "#dcf3cd"),
    "blue-orange": ("#2a63d6", "#ffffff", "#e8640a"),
    "blue-orange" + _DARK: ("#5b97ff", "#0e141a", "#ff8a2b"),
    "orange": ("#ffffff", "#e8640a"),
    "orange" + _DARK: ("#0e141a", "#ff8a2b"),
}
# Over a photo: how solid a value is, as a power of its share of the limit; and how much of its
# colour is laid over the photo, which has got the colour's hue in its own light before.
_SOLID, _COVER = 0.85, 0.55
# How bright red, green and blue are (https://www.w3.org/TR/compositing-1).
LIGHT = np.array([0.3, 0.59, 0.11])
# From linear sRGB to the responses of the cones, and from their cube roots to OKLab
# (https://bottosson.github.io/posts/oklab).
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def on_page(name: str, *, dark: bool) -> str:
    """The name of a scale's table for a page with a light or a dark background."""
    return name + _DARK if dark and name + _DARK in _STOPS else name


@functools.cache
def table(name: str) -> NDArray[np.uint8]:
    """The 256 colours of a named scale: (256, 3) uint8 RGB, read-only.

    Args:
        name: one of ``SEQUENTIAL`` or ``DIVERGING``, what ``on_page`` makes of it, or ``BLANK``.
    """
    if name == BLANK:
        colours: Sequence[Sequence[float]] = [_GREY] * 256
    elif name in _STOPS:
        colours = _mixed(_STOPS[name]).tolist()
    else:
        colours = [unlabel_rgb(one) for one in sample_colorscale(name, np.linspace(0, 1, 256))]
    rgb = np.rint(np.array(colours)).astype(np.uint8)
    rgb.setflags(write=False)
    return rgb


@functools.cache
def over_grey(name: str) -> NDArray[np.uint8]:
    """What a scale makes of a grey photo below it: (256 steps, 256 greys, 3) uint8 RGB, read-only.

    Zero leaves the photo as it is, whether it is the first step or in the middle; a value is as
    solid as it is strong, in the colour of its end of the scale. It is laid over the photo twice:
    with the blend mode "color", which keeps the photo's light, then plainly, with less.
    ``BLANK`` leaves all of the photo.
    """
    greys = np.repeat(np.arange(256.0)[:, None], 3, axis=1)
    alpha = strength(name)[:, None, None]
    against, in_favour = table(name)[[0, -1]].astype(np.float64)
    steps = []
    for end in (against, in_favour):
        hued = greys + alpha * (_with_light_of(greys, end) - greys)
        steps.append(hued + _COVER * alpha * (end - hued))
    below_zero = (np.arange(256) < 128) & (name.removesuffix(_DARK) in DIVERGING)
    mixed = np.where(below_zero[:, None, None], *steps)
    rgb = np.rint(mixed).astype(np.uint8)
    rgb.setflags(write=False)
    return rgb


def strength(name: str) -> NDArray[np.float64]:
    """How solid each step of a scale is over a photo: (256,) from 0, at zero, to 1."""
    step = np.arange(256)
    if name == BLANK:
        return np.zeros(256)
    if name.removesuffix(_DARK) in DIVERGING:
        # Zero is between the two middle steps of a diverging scale: both are transparent.
        return ((np.abs(2 * step - 255) - 1) / 254) ** _SOLID
    return (step / 255) ** _SOLID


def plotly_scale(colours: NDArray[np.uint8]) -> list[list[object]]:
    """A table (256, 3) or (256, 4) as a Plotly ``colorscale``."""
    steps = np.linspace(0, 1, len(colours))
    return [[float(step), _css(colour)] for step, colour in zip(steps, colours, strict=True)]


def _with_light_of(greys: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """A colour (3,) with the light of greys (256, 3), as the blend mode "color" has it."""
    moved = end + (greys - end @ LIGHT)
    # Beyond black or white all parts move towards the grey, so that its light stays.
    below = np.maximum((greys - moved).max(axis=1, keepdims=True), 1e-9)
    above = np.maximum((moved - greys).max(axis=1, keepdims=True), 1e-9)
    grey = greys[:, :1]
    share = np.minimum(1, np.minimum(grey / below, (255 - grey) / above))
    return greys + (moved - greys) * share


def _mixed(stops: tuple[str, ...]) -> NDArray[np.float64]:
    """256 colours, (256, 3) in 0 to 255, mixed between the stops in OKLab."""
    rgb = np.array([[int(stop[start : start + 2], 16) for start in (1, 3, 5)] for stop in stops])
    scaled = rgb / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    lab = np.cbrt(linear @ _CONES.T) @ _LAB.T
    position, places = np.linspace(0, 1, 256), np.linspace(0, 1, len(stops))
    mixed = np.column_stack([np.interp(position, places, axis) for axis in lab.T])
    linear = (mixed @ np.linalg.inv(_LAB).T) ** 3 @ np.linalg.inv(_CONES).T
    linear = np.clip(linear, 0, 1)
    bent = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.clip(255 * np.where(linear <= 0.0031308, 12.92 * linear, bent), 0, 255)


def _css(colour: NDArray[np.uint8]) -> str:
    red, green, blue, *alpha = (int(part) for part in colour)
    if not alpha:
        return f"rgb({red},{green},{blue})"
    return f"rgba({red},{green},{blue},{alpha[0] / 255:.3f})"
