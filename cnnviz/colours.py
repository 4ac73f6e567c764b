"""Colour tables: perceptual ones for values, diverging ones for signed values.

``teal`` (activations) and ``blue-orange`` (evidence and weights) are this project's own. Each has
a table for light pages and one for dark pages, in which zero has the page's ground.
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
}
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
def overlay_table(name: str) -> NDArray[np.uint8]:
    """A named scale for maps that are laid over a photo: (256, 4) uint8 RGBA, read-only.

    Where there is no evidence the photo stays as it is: zero is transparent, and the colour
    grows solid towards the end of a sequential scale, or both ends of a diverging one.
    ``BLANK`` is transparent everywhere.
    """
    step = np.arange(256)
    if name == BLANK:
        strength = np.zeros(256)
    elif name in DIVERGING:
        # Zero is between the two middle steps of a diverging scale: both are transparent.
        strength = (np.abs(2 * step - 255) - 1) / 254
    else:
        strength = step / 255
    # The square root keeps middling evidence visible.
    alpha = np.rint(255 * np.sqrt(strength)).astype(np.uint8)
    rgba = np.column_stack([table(name), alpha])
    rgba.setflags(write=False)
    return rgba


def plotly_scale(colours: NDArray[np.uint8]) -> list[list[object]]:
    """A table (256, 3) or (256, 4) as a Plotly ``colorscale``."""
    steps = np.linspace(0, 1, len(colours))
    return [[float(step), _css(colour)] for step, colour in zip(steps, colours, strict=True)]


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
