"""All channels of a layer in one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from cnnviz.arrays import Floats, tile
from cnnviz.colours import DIVERGING
from cnnviz.drawing import Limits, Shading, colour_limits, finite
from cnnviz.figures.frame import PAGE, TEXT, picture_drawing, plain_text
from cnnviz.figures.shading import colour_scale, grid_picture, magnify

_TALLEST = 620
# Up to this many are in one row; space for a name, and the smallest tile that gets one.
_ONE_ROW = 4
_NAME_SPACE = 20
_SMALLEST_NAMED_TILE = 60
# Readable on light and on dark; named, so that a selection elsewhere does not dim it.
_NAME = "#7d8793"


def channel_grid(
    maps: Floats,
    *,
    title: str,
    unit: str,
    names: Sequence[str],
    hovers: Sequence[str],
    colours: str,
    limits: Limits | None = None,
    narrow: bool = False,
) -> go.Figure:
    """All channels (h, w, K) as one picture; each has a hover text and can be clicked.

    A click selects the point whose ``customdata`` is ``[k]``, k being the index in ``maps``.
    Where a wide page is too narrow for every cell, a drawn one is the mean of several.

    Args:
        maps: (h, w, K) float.
        title: plain text.
        unit: what the colours mean, beside the colour bar.
        names: K short labels, drawn where the tiles are large enough for them.
        hovers: K plain hover texts; a line break starts a new line.
        colours: a name from ``colours.SEQUENTIAL`` or ``colours.DIVERGING``.
        limits: the values of the first and the last colour; if None, the smallest and the
            largest value, or the same distance to both sides of zero for diverging colours.
        narrow: whether its place is a third of a wide page.

    Raises:
        ValueError: names or hovers are not K.
    """
    maps = finite(maps)
    count = maps.shape[-1]
    if len(names) != count or len(hovers) != count:
        raise ValueError(
            f"Expected {count} names and hovers, one per channel. "
            f"Received: {len(names)} names and {len(hovers)} hovers"
        )
    shading = Shading(colours, *colour_limits(maps, limits, centred=colours in DIVERGING))
    columns = _columns(count, maps.shape[0] / maps.shape[1])
    maps = _averaged(maps, math.ceil(columns * maps.shape[1] / PAGE))
    # A gap is a whole number of cells: very small tiles are magnified to make it thin.
    maps = magnify(maps, round(8 / max(maps.shape[:2])))
    height, width, _ = maps.shape
    gap = max(1, round(max(height, width) / 16))
    cell = PAGE / (columns * (width + gap))
    labelled = cell * width >= _SMALLEST_NAMED_TILE
    strip = int(np.ceil(_NAME_SPACE / cell)) if labelled else 0
    mosaic = tile(np.pad(maps, ((strip, 0), (0, 0), (0, 0)), constant_values=np.nan), columns, gap)
    x, y = mosaic.centres()
    rows_high, columns_wide = mosaic.values.shape

    drawing = picture_drawing(title, columns_wide, rows_high, (PAGE, _TALLEST), narrow=narrow)
    drawing.add(
        "image",
        source=grid_picture(mosaic.values, shading),
        x0=0.5,
        y0=0.5,
        # Shrunk by the browser, sharp cells would drop out.
        zsmooth=False if columns_wide <= PAGE else "fast",
        hoverinfo="skip",
    )
    drawing.add(
        "scatter",
        x=x + 0.5,
        y=y + 0.5,
        # To draw invisible marks would take the browser a fifth of a second for a thousand.
        mode="text",
        text=[""] * count,
        customdata=[[channel] for channel in range(count)],
        hovertext=[plain_text(hover) for hover in hovers],
        hoverinfo="text",
    )
    # Plotly gives a colour bar to marks alone.
    drawing.add(
        "scatter",
        x=[None],
        y=[None],
        mode="markers",
        marker={"color": [shading.low], **colour_scale(shading, unit, letter="c")},
        hoverinfo="skip",
    )
    if labelled:
        drawing.add(
            "scatter",
            x=x - (width - 1) / 2,
            y=y - (height + strip - 1) / 2 + strip / 2,
            mode="text",
            text=[plain_text(name) for name in names],
            textposition="middle right",
            textfont={**TEXT, "color": _NAME},
            unselected={"textfont": {"color": _NAME}},
            cliponaxis=False,
            hoverinfo="skip",
        )
    # The nearest centre is that of the tile under the mouse, however far it is.
    drawing.layout |= {"hoverdistance": -1, "clickmode": "event+select"}
    drawing.set("xaxis", fixedrange=True)
    drawing.set("yaxis", fixedrange=True)
    return drawing.figure()


def _averaged(maps: Floats, size: int) -> Floats:
    """Maps (h, w, K) with one cell for each block of ``size`` × ``size``: its mean."""
    if size == 1:
        return maps
    height, width, count = maps.shape
    # An incomplete block is filled up with the cells at the edge.
    padded = np.pad(maps, ((0, -height % size), (0, -width % size), (0, 0)), mode="edge")
    blocks = padded.reshape(-(-height // size), size, -(-width // size), size, count)
    return blocks.mean(axis=(1, 3))


def _columns(count: int, aspect: float) -> int:
    """Channels in a row, for a wide page: few empty cells, then about 16 to 10.

    Args:
        count: number of channels.
        aspect: a channel's height by its width.
    """
    ideal = min(count, max(1.0, (1.6 * count * aspect) ** 0.5))
    widest = max(math.floor(1.3 * ideal), _ONE_ROW)
    candidates = range(math.ceil(0.75 * ideal), min(count, widest) + 1)
    return min(candidates, key=lambda n: (-count % n, abs(math.log(n / ideal))))
