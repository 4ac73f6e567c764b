"""One filter: its kernels for a photo's colours, its weights as a strip, and what it adds up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from cnnviz.arrays import Floats, colour
from cnnviz.colours import table
from cnnviz.drawing import Limits, Shading, finite
from cnnviz.figures.frame import (
    BAR_SPACE,
    FAINT,
    TEXT,
    cell_hover,
    empty_drawing,
    fit,
    picture_drawing,
    plain_text,
    printed_values,
    square_axes,
)
from cnnviz.figures.shading import colour_scale, data_uri
from cnnviz.numerals import signed
from cnnviz.photos.encoding import encode_png

# Kernels side by side: the gap is a share of the width.
_GAP = 0.03
_WIDEST = 620
_LABEL_SPACE = 22
_LARGEST_PRINTED = 3
# A strip of weights is about so many times as wide as high.
_STRIP = 4
_LARGEST_STRIP = (640, 120)
# Rows of bars: from one to the next in pixels, and where the parts are, as shares of the width.
_PITCH = 42
_NAME, _BARS, _NUMBER = 0.16, (0.3, 0.84), 1.0
_MAP_SHARE = 0.86


@dataclass(frozen=True)
class WeightedMap:
    """One input of a sum.

    Attributes:
        name: of the input.
        weight: what its map is multiplied by.
        values: (h, w) the map; None where there is none to show.
    """

    name: str
    weight: float
    values: Floats | None


def kernels_side_by_side(
    kernels: Floats,
    names: Sequence[str],
    *,
    title: str,
    unit: str,
    colours: str,
    limits: Limits,
) -> go.Figure:
    """The kernels (kh, kw, C) of a filter for a few inputs, on one scale around zero.

    Args:
        kernels: float; up to 3 × 3 the numbers are printed in the cells.
        names: C names of the inputs.
        title: plain text.
        unit: what the colours mean, above the colour bar.
        colours: a name from ``colours.DIVERGING``.
        limits: the values of the first and the last colour.
    """
    values = finite(kernels)
    height, width, count = values.shape
    share = (1 - _GAP * (count - 1)) / count
    aspect = height / width
    drawing = empty_drawing(title, _WIDEST * share * aspect, above=BAR_SPACE + _LABEL_SPACE)
    fit(drawing, 0, share * aspect)
    printed = max(height, width) <= _LARGEST_PRINTED
    for index, name in enumerate(names):
        number = str(index + 1) if index else ""
        left = index * (share + _GAP)
        drawing.add(
            "heatmap",
            z=np.ascontiguousarray(values[:, :, index]),
            xaxis="x" + number,
            yaxis="y" + number,
            coloraxis="coloraxis",
            hoverongaps=False,
            hovertemplate=cell_hover(f"weight for {name}", "%{y}", "%{x}"),
            **({"texttemplate": "%{text}"} if printed else {}),
            text=printed_values(values[:, :, index], limits) if printed else None,
            textfont=TEXT,
        )
        square_axes(drawing, number, [-0.5, width - 0.5], [height - 0.5, -0.5])
        drawing.set("xaxis" + number, domain=[left, left + share], anchor="y" + number)
        drawing.set("yaxis" + number, anchor="x" + number)
        drawing.append(
            "annotations",
            text=plain_text(name),
            x=left,
            y=1,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            font=TEXT,
        )
    scale = colour_scale(Shading(colours, *limits), unit, letter="c")
    scale["colorbar"]["ypad"] += _LABEL_SPACE
    drawing.layout["coloraxis"] = scale
    return drawing.figure()


def folded(weights: Floats) -> Floats:
    """The weights (n, ...) in rows, as (rows, columns, ...), about four times as wide as high.

    Places that are left over in the last row are NaN; there are none where ``n`` has a divisor
    that fits.
    """
    count = len(weights)
    wanted = max(1.0, float(np.sqrt(count * _STRIP)))
    divisors = [one for one in range(1, count + 1) if count % one == 0]
    columns = min(divisors, key=lambda one: abs(np.log(one / wanted)))
    if not 0.5 <= columns / wanted <= 2:
        columns = min(count, round(wanted))
    rows = -(-count // columns)
    places = np.full((rows * columns, *weights.shape[1:]), np.nan, np.float32)
    places[:count] = weights
    return places.reshape(rows, columns, *weights.shape[1:])


def weight_strip(
    weights: Floats, *, title: str, unit: str, colours: str, limits: Limits
) -> go.Figure:
    """The weights (n,) of a filter whose kernels are 1 × 1, a cell for each input, in rows.

    Args:
        weights: float.
        title: plain text.
        unit: what the colours mean, above the colour bar.
        colours: a name from ``colours.DIVERGING``.
        limits: the values of the first and the last colour.
    """
    values = folded(finite(weights))
    height, width = values.shape
    drawing = picture_drawing(title, width, height, _LARGEST_STRIP)
    drawing.add(
        "heatmap",
        z=values,
        customdata=np.arange(values.size).reshape(values.shape),
        **colour_scale(Shading(colours, *limits), unit),
        hoverongaps=False,
        hovertemplate="weight %{z:.4~g}<br>input %{customdata}<extra></extra>",
    )
    drawing.set("xaxis", range=[-0.5, width - 0.5])
    drawing.set("yaxis", range=[height - 0.5, -0.5])
    return drawing.figure()


def weighted_maps(
    inputs: Sequence[WeightedMap],
    rest: tuple[str, float] | None,
    *,
    title: str,
    unit: str,
    shading: Shading,
    bars: str,
) -> go.Figure:
    """The inputs of a sum as rows: map, name, a bar for the weight, and its number.

    Args:
        inputs: the rows, from the top.
        rest: what the last row says of all other inputs, and the sum of their weights.
        title: plain text.
        unit: of the maps, above the colour bar.
        shading: the colours of all maps.
        bars: a diverging scale; its last colour is that of positive weights, its first of negative.
    """
    with_maps = any(one.values is not None for one in inputs)
    rows = len(inputs) + (rest is not None)
    drawing = empty_drawing(title, _PITCH * rows, above=BAR_SPACE if with_maps else 0)
    weights = np.nan_to_num([one.weight for one in inputs])
    largest = float(np.abs(weights).max(initial=0)) or 1.0
    ends = [f"rgb({','.join(map(str, table(bars)[at]))})" for at in (0, -1)]
    drawing.add(
        "bar",
        x=weights,
        y=list(range(len(inputs))),
        orientation="h",
        width=0.42,
        marker={"color": [ends[int(weight > 0)] for weight in weights], "cornerradius": 2},
        hovertext=[f"{plain_text(one.name)}<br>weight {one.weight:.4g}" for one in inputs],
        hoverinfo="text",
    )
    texts = [(one.name, one.weight) for one in inputs] + ([rest] if rest else [])
    for row, (name, weight) in enumerate(texts):
        left = _NAME if with_maps and row < len(inputs) else 0.0
        text_of_weight = "not a number" if not np.isfinite(weight) else signed(weight)
        for text, x, anchor in (
            (plain_text(name), left, "left"),
            (text_of_weight, _NUMBER, "right"),
        ):
            drawing.append(
                "annotations",
                text=text,
                x=x,
                y=row,
                xref="paper",
                xanchor=anchor,
                yanchor="middle",
                showarrow=False,
                font={"size": 14},
            )
    for row, one in enumerate(inputs):
        if one.values is not None:
            drawing.append(
                "images",
                source=_thumbnail(one.values, shading),
                xref="paper",
                yref="y",
                x=0,
                y=row,
                xanchor="left",
                yanchor="middle",
                sizex=_NAME - 0.02,
                sizey=_MAP_SHARE,
                sizing="contain",
            )
    lines = [{"x0": 0, "x1": 0, "xref": "x", "y0": -0.4, "y1": len(inputs) - 0.6}]
    if rest:
        lines.append({"x0": 0, "x1": 1, "xref": "paper", "y0": rows - 1.5, "y1": rows - 1.5})
    for line in lines:
        drawing.append("shapes", type="line", line={"color": FAINT, "width": 1}, **line)
    if with_maps:
        # No picture has a colour bar of its own: it is that of a cell outside of the axes.
        outside = {"x": [9 * largest], "y": [9 * rows], "z": [[0.0]]}
        drawing.add("heatmap", **outside, hoverinfo="skip", **colour_scale(shading, unit))
    drawing.set(
        "xaxis", domain=list(_BARS), range=[-largest, largest], visible=False, fixedrange=True
    )
    drawing.set("yaxis", range=[rows - 0.5, -0.5], visible=False, fixedrange=True)
    return drawing.figure()


def _thumbnail(values: Floats, shading: Shading) -> str:
    """A map as a picture whose cells stay sharp when a browser enlarges it."""
    cells = colour(finite(values), table(shading.colours), *shading.limits)
    factor = max(1, _PITCH * 2 // max(values.shape))
    sharp = cells.repeat(factor, axis=0).repeat(factor, axis=1)
    return data_uri(encode_png(sharp), "png")
