"""Values to colours: which value gets which, the bar that tells it, the picture that shows it."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnviz.arrays import largest_magnitude, steps
from cnnviz.colours import plotly_scale, table
from cnnviz.figures.frame import TEXT, plain_text

Floats = NDArray[np.floating]
Bytes = NDArray[np.uint8]
Limits = tuple[float, float]


def finite(values: Floats) -> NDArray[np.float32]:
    """A float32 copy in which infinities are missing too (NaN)."""
    copy = np.array(values, dtype=np.float32)
    copy[~np.isfinite(copy)] = np.nan
    return copy


def colour_limits(values: Floats, limits: Limits | None, *, centred: bool) -> Limits:
    """The values of the first and the last colour: never equal, whatever the values are."""
    if limits is not None:
        low, high = float(limits[0]), float(limits[1])
    elif centred:
        high = largest_magnitude(values)
        low = -high
    else:
        known = values[~np.isnan(values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if low < high:
        return low, high
    # One value only: the scale reaches to zero, and from zero to one; centred, to both sides.
    magnitude = abs(high) or 1.0
    if centred:
        return -magnitude, magnitude
    return (-magnitude, 0.0) if high < 0 else (0.0, magnitude)


def colour_scale(
    name: str, low: float, high: float, unit: str, letter: str = "z"
) -> dict[str, Any]:
    """A colour scale with its limits, and its bar along the top: ``letter`` as Plotly's min."""
    middle = 0.0 if low < 0 < high and low == -high else low / 2 + high / 2
    ticks = [low, middle, high]
    return {
        # Never by name: Streamlit gives colours such as #000004, inferno's first, a new meaning.
        "colorscale": plotly_scale(table(name)[::5]),
        f"{letter}min": low,
        f"{letter}max": high,
        "showscale": True,
        "colorbar": {
            "orientation": "h",
            "title": {"text": plain_text(unit), "side": "top", "font": TEXT},
            "tickvals": ticks,
            "ticktext": [_number(value) for value in ticks],
            "tickfont": TEXT,
            "lenmode": "pixels",
            "len": 290,
            "thickness": 12,
            "x": 0,
            "xanchor": "left",
            "xpad": 34,
            # At 1 exactly, Plotly would move the figure's title out of sight.
            "y": 0.9999,
            "yanchor": "bottom",
            "ypad": 6,
            "outlinewidth": 0,
            "ticks": "",
        },
    }


def coloured(values: Floats, colours: Bytes, low: float, high: float) -> str:
    """A map (h, w) as a picture of 255 colours and, where it is NaN, nothing.

    One byte a pixel and a palette: a third of the size of RGBA, and of the time.
    """
    places = np.where(np.isnan(values), 0, steps(values, low, high, 255) + 1).astype(np.uint8)
    chosen = colours[np.rint(np.linspace(0, len(colours) - 1, 255)).astype(int)]
    alpha = chosen[:, 3] if chosen.shape[1] == 4 else np.full(255, 255, np.uint8)
    image = Image.fromarray(places, "P")
    image.putpalette(np.vstack([np.zeros((1, 3), np.uint8), chosen[:, :3]]).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3, transparency=b"\0" + alpha.tobytes())
    return data_uri(buffer.getvalue(), "png")


def data_uri(data: bytes, kind: str) -> str:
    """An address that holds a picture itself: ``kind`` is png or jpeg."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def magnify(pixels: NDArray[Any], factor: int) -> NDArray[Any]:
    """Repeats each pixel of (h, w, ...) ``factor`` times down and across."""
    return pixels if factor <= 1 else pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
