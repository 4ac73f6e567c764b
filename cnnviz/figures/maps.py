"""Maps by themselves, cell by cell: one, or several on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from cnnviz.arrays import Bytes, Floats
from cnnviz.colours import BLANK
from cnnviz.drawing import Limits, Shading, colour_limits, finite, map_shading, shading
from cnnviz.figures.frame import (
    BAR_SPACE,
    HALF_PAGE,
    PAGE,
    TALLEST_PICTURE,
    TEXT,
    broken_text,
    cell_hover,
    empty_drawing,
    fit,
    picture_drawing,
    square_axes,
)
from cnnviz.figures.photos import picture
from cnnviz.figures.shading import colour_scale
from cnnviz.results import ClassActivationMap

# The longest side of a map whose values are printed.
_LARGEST_PRINTED = 7
# Maps side by side: the gap is a share of the width.
_WIDEST_ROW = 4
_TALLEST_TILE = 360
_TILE_GAP = 0.03
_TILE_LETTERS = 14
_TILE_LINE = 18


def heatmap(
    values: Floats,
    *,
    title: str,
    unit: str,
    colours: str,
    centred: bool = False,
    limits: Limits | None = None,
    hover: str = "value",
    narrow: bool = False,
    tallest: int = TALLEST_PICTURE,
) -> go.Figure:
    """One map (h, w) with its raw values as hover texts; rows go down, cells are square.

    Args:
        values: (h, w) float; up to 7 × 7 the numbers are printed in the cells.
        title: plain text.
        unit: what the colours mean, above the colour bar.
        colours: a name from ``colours.SEQUENTIAL`` or ``colours.DIVERGING``, or ``BLANK``.
        centred: whether the limits are the same distance to both sides of zero.
        limits: the values of the first and the last colour; from the values if None.
        hover: the name of a value in a hover text.
        narrow: whether its place is a third of a wide page.
        tallest: pixels of its height at most.
    """
    values = finite(values)
    height, width = values.shape
    colouring = Shading(colours, *colour_limits(values, limits, centred=centred))
    drawing = picture_drawing(title, width, height, (HALF_PAGE, tallest), narrow=narrow)
    printed = max(height, width) <= _LARGEST_PRINTED
    texts = {"texttemplate": "%{z:.3~g}"} if printed else {}
    drawing.add(
        "heatmap",
        z=values,
        **colour_scale(colouring, unit),
        **texts,
        hoverongaps=False,
        hovertemplate=cell_hover(hover, "%{y}", "%{x}"),
        textfont={"size": 16 if max(height, width) <= 4 else 13},
    )
    drawing.set("xaxis", range=[-0.5, width - 0.5])
    drawing.set("yaxis", range=[height - 0.5, -0.5])
    return drawing.figure()


def channel_beside_photo(
    values: Floats,
    pixels: Bytes,
    *,
    title: str,
    unit: str,
    colours: str,
    limits: Limits,
) -> go.Figure:
    """A channel's map (h, w), its raw values as hover texts, and what the network saw beside it.

    Args:
        values: float; what is not finite is drawn as nothing.
        pixels: (H, W, 3) or (H, W, 1) uint8, the network's view of the photo.
        title: plain text.
        unit: what the colours mean, above the colour bar.
        colours: a name from ``colours.SEQUENTIAL`` or ``colours.DIVERGING``.
        limits: the values of the first and the last colour.
    """
    values, seen = finite(values), picture(pixels)
    height, width = values.shape
    share = (1 - _TILE_GAP) / 2
    aspects = height / width, seen.height / seen.width
    plot_height = min(_TALLEST_TILE, PAGE * share * max(aspects))
    drawing = empty_drawing(title, plot_height, above=BAR_SPACE)
    fit(drawing, 0, share * max(aspects))
    drawing.add(
        "heatmap",
        z=values,
        **colour_scale(Shading(colours, *limits), unit),
        hoverongaps=False,
        hovertemplate=cell_hover(unit, "%{y}", "%{x}"),
    )
    square_axes(drawing, "", [-0.5, width - 0.5], [height - 0.5, -0.5])
    drawing.set("xaxis", domain=[0, share])
    drawing.append(
        "images",
        source=seen.source,
        **{"xref": "x2", "yref": "y2", "x": 0, "y": 0, "layer": "below"},
        **{"sizex": seen.width, "sizey": seen.height, "sizing": "stretch"},
    )
    # Plotly draws axes, and with them pictures, only where there is a trace.
    drawing.add("scatter", x=[None], y=[None], xaxis="x2", yaxis="y2", hoverinfo="skip")
    square_axes(drawing, "2", [0, seen.width], [seen.height, 0])
    drawing.set("xaxis2", domain=[1 - share, 1], anchor="y2")
    drawing.set("yaxis2", anchor="x2")
    return drawing.figure()


def evidence_maps(maps: Sequence[ClassActivationMap], *, title: str, unit: str) -> go.Figure:
    """Maps (h, w) for several classes side by side, on one scale centred on zero.

    Args:
        maps: a map of each class; at least one. Those that say nothing are grey.
        title: plain text.
        unit: what the colours mean, above the colour bar.
    """
    cleaned = [finite(cam.values) for cam in maps]
    looks = [map_shading(cam, signed=True) for cam in maps]
    drawn = [values for values, look in zip(cleaned, looks, strict=True) if look.colours != BLANK]
    columns = len(maps) if len(maps) <= _WIDEST_ROW else -(-len(maps) // 2)
    rows = -(-len(maps) // columns)
    labels = [broken_text(cam.target, _TILE_LETTERS) for cam in maps]
    first_space, label_space = _label_space(labels[:columns]), _label_space(labels[columns:])
    share = (1 - _TILE_GAP * (columns - 1)) / columns
    aspect = max(values.shape[0] / values.shape[1] for values in cleaned)
    tile_height = min(_TALLEST_TILE, PAGE * share * aspect)
    pitch = tile_height + label_space
    plot_height = rows * pitch - label_space

    # The labels of the first row are in the margin, those of others below the row before.
    drawing = empty_drawing(title, plot_height, above=BAR_SPACE + first_space)
    pitches = plot_height / pitch
    fit(drawing, pitches * label_space, pitches * share * aspect)
    for index, (values, look) in enumerate(zip(cleaned, looks, strict=True)):
        row, column = divmod(index, columns)
        left, top = column * (share + _TILE_GAP), 1 - row * pitch / plot_height
        number = str(index + 1) if index else ""
        drawing.add(
            "heatmap",
            z=values,
            xaxis="x" + number,
            yaxis="y" + number,
            **(colour_scale(look, unit) if look.colours == BLANK else {"coloraxis": "coloraxis"}),
            hoverongaps=False,
            hovertemplate=cell_hover(maps[index].target, "%{y}", "%{x}"),
        )
        height, width = values.shape
        square_axes(drawing, number, [-0.5, width - 0.5], [height - 0.5, -0.5])
        drawing.set("xaxis" + number, domain=[left, left + share], anchor="y" + number)
        bottom = max(0, top - tile_height / plot_height)
        drawing.set("yaxis" + number, domain=[bottom, top], anchor="x" + number)
        drawing.append(
            "annotations",
            text=labels[index],
            x=left,
            y=top,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="bottom",
            align="left",
            showarrow=False,
            font=TEXT,
        )
    if drawn:
        values = np.concatenate([values.ravel() for values in drawn])
        scale = colour_scale(shading(values, signed=True), unit, letter="c")
        scale["colorbar"]["ypad"] += first_space
        drawing.layout["coloraxis"] = scale
    return drawing.figure()


def _label_space(labels: Sequence[str]) -> int:
    """Pixels for a row of labels; none for no row."""
    lines = max((label.count("<br>") + 1 for label in labels), default=0)
    return lines and 6 + _TILE_LINE * lines
