"""The bar beside a figure that explains its colours, and the pictures inside a figure."""

from __future__ import annotations

import base64
from typing import Any

from numpy.typing import NDArray

from cnnviz.colours import BLANK, plotly_scale, table
from cnnviz.drawing import Shading
from cnnviz.figures.frame import TEXT, plain_text
from cnnviz.numerals import number

# Pixels across the bar; a line on it, readable on light and on dark.
_BAR = 12
_LINE = "#5f6d79"


def colour_scale(shading: Shading, unit: str, letter: str = "z") -> dict[str, Any]:
    """A colour scale with its limits, and its bar along the top: ``letter`` as Plotly's min.

    There is no bar without a unit, nor for a map that says nothing: all its colours are the same.
    """
    low, high = shading.limits
    ticks = [low, 0.0, high] if low < 0 < high else [low, high]
    return {
        # Never by name: Streamlit replaces some colours, such as #000004, the first of inferno.
        "colorscale": plotly_scale(table(shading.colours)[::5]),
        f"{letter}min": low,
        f"{letter}max": high,
        "showscale": bool(unit) and shading.colours != BLANK,
        "colorbar": {
            "orientation": "h",
            "title": {"text": plain_text(unit), "side": "top", "font": TEXT},
            "tickvals": ticks,
            "ticktext": [number(value) for value in ticks],
            "tickfont": TEXT,
            "tickangle": 0,
            # With its padding; a share of the plot's width, so that it fits into a narrow column.
            "lenmode": "fraction",
            "len": 0.8,
            "thickness": _BAR,
            "x": 0,
            "xanchor": "left",
            "xpad": 34,
            # At 1 exactly, Plotly would move the figure's title out of sight.
            "y": 0.9999,
            "yanchor": "bottom",
            "ypad": 6,
            "outlinewidth": 0,
            # Lines across the bar: zero is one of them.
            "ticks": "inside",
            "ticklen": _BAR,
            "tickwidth": 1.5,
            "tickcolor": _LINE,
        },
    }


def data_uri(data: bytes, kind: str) -> str:
    """A data URI of a picture: ``kind`` is png or jpeg."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def magnify(pixels: NDArray[Any], factor: int) -> NDArray[Any]:
    """Repeats each pixel of (h, w, ...) ``factor`` times down and across."""
    return pixels if factor <= 1 else pixels.repeat(factor, axis=0).repeat(factor, axis=1)
