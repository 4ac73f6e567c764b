"""Colour tables: perceptual ones for values, diverging ones for signed values."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from plotly.colors import sample_colorscale, unlabel_rgb

SEQUENTIAL = ("viridis", "cividis", "inferno", "magma", "gray")
DIVERGING = ("balance", "RdBu_r", "PuOr")
# One grey for all values, of maps that say nothing; transparent over a photo.
BLANK = "blank"
_GREY = (150, 158, 166)


@functools.cache
def table(name: str) -> NDArray[np.uint8]:
    """The 256 colours of a named scale: (256, 3) uint8 RGB, read-only.

    Args:
        name: one of ``SEQUENTIAL`` or ``DIVERGING``, or ``BLANK``.
    """
    if name == BLANK:
        colours = [_GREY] * 256
    else:
        colours = [unlabel_rgb(one) for one in sample_colorscale(name, np.linspace(0, 1, 256))]
    rgb = np.rint(colours).astype(np.uint8)
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


def _css(colour: NDArray[np.uint8]) -> str:
    red, green, blue, *alpha = (int(part) for part in colour)
    if not alpha:
        return f"rgb({red},{green},{blue})"
    return f"rgba({red},{green},{blue},{alpha[0] / 255:.3f})"
