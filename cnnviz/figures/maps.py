"""Maps by themselves, cell by cell: one, or several on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from cnnviz.arrays import Bytes, Floats
from cnnviz.cards import Preprocessing
from cnnviz.colours import BLANK
from cnnviz.drawing import Limits, Shading, colour_limits, common_limit, finite, map_shading
from cnnviz.figures.frame import (
    BAR_SPACE,
    FAINT,
    HALF_PAGE,
    PAGE,
    TALLEST_PICTURE,
    TEXT,
    broken_text,
    cell_hover,
    empty_drawing,
    fit,
    picture_drawing,
    printed_values,
    square_axes,
)
from cnnviz.figures.photos import (
    Picture,
    clear_cells,
    covered,
    grey_pixels,
    picture,
    placed,
)
from cnnviz.figures.shading import colour_scale
from cnnviz.geometry import seen_region
from cnnviz.results import ClassActivationMap

# The longest side of a map whose values are printed.
_LARGEST_PRINTED = 7
# The longest side of one whose cells have edges.
_LARGEST_EDGED = 16
# Maps side by side: the gap is a share of the width.
_WIDEST_ROW = 4
_TILE_SIDE = 400
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
    largest: tuple[int, int] = (HALF_PAGE, TALLEST_PICTURE),
) -> go.Figure:
    """One map (h, w) with its raw values as hover texts; rows go down, cells are square.

    Args:
        values: (h, w) float; up to 7 × 7 the numbers are printed in the cells.
        title: plain text.
        unit: what the colours mean, above the colour bar; empty for no bar.
        colours: a name from ``colours.SEQUENTIAL`` or ``colours.DIVERGING``, or ``BLANK``.
        centred: whether the limits are the same distance to both sides of zero.
        limits: the values of the first and the last colour; from the values if None.
        hover: the name of a value in a hover text.
        narrow: whether its place is a third of a wide page.
        largest: pixels of the map's width and height at most.
    """
    values = finite(values)
    height, width = values.shape
    colouring = Shading(colours, *colour_limits(values, limits, centred=centred))
    above = BAR_SPACE if unit else 0
    drawing = picture_drawing(title, width, height, largest, above=above, narrow=narrow)
    printed = max(height, width) <= _LARGEST_PRINTED
    # Where zero has the page's colour, cells need an edge.
    edged = colouring.low < 0 < colouring.high and max(height, width) <= _LARGEST_EDGED
    edges = {"xgap": 1, "ygap": 1} if edged else {}
    drawing.layout |= {"plot_bgcolor": FAINT} if edged else {}
    texts = (
        {"text": printed_values(values, colouring.limits), "texttemplate": "%{text}"}
        if printed
        else {}
    )
    drawing.add(
        "heatmap",
        z=values,
        **colour_scale(colouring, unit),
        **texts,
        **edges,
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


def evidence_maps(
    photo: Bytes | Picture,
    maps: Sequence[ClassActivationMap],
    preprocessing: Preprocessing,
    *,
    title: str,
    unit: str,
    dark: bool = False,
) -> go.Figure:
    """Maps (h, w) for several classes side by side, each over the photo, on one scale.

    Args:
        photo: (H, W, 3) uint8, the original, or a ``picture`` of it.
        maps: a map of each class; at least one. Of those that say nothing there is the photo.
        preprocessing: how the photo became the network input.
        title: plain text.
        unit: what the colours mean, above the colour bar.
        dark: whether the page has a dark background.
    """
    shown = picture(photo)
    grey = grey_pixels(shown, _TILE_SIDE)
    region = seen_region(shown.height, shown.width, preprocessing)
    limit = common_limit(maps)
    looks = [map_shading(cam, signed=True, limit=limit, dark=dark) for cam in maps]
    columns = len(maps) if len(maps) <= _WIDEST_ROW else -(-len(maps) // 2)
    rows = -(-len(maps) // columns)
    labels = [broken_text(cam.target, _TILE_LETTERS) for cam in maps]
    first_space, label_space = _label_space(labels[:columns]), _label_space(labels[columns:])
    share = (1 - _TILE_GAP * (columns - 1)) / columns
    aspect = shown.height / shown.width
    tile_height = min(_TALLEST_TILE, PAGE * share * aspect)
    pitch = tile_height + label_space
    plot_height = rows * pitch - label_space

    # The labels of the first row are in the margin, those of others below the row before.
    drawing = empty_drawing(title, plot_height, above=BAR_SPACE + first_space)
    pitches = plot_height / pitch
    fit(drawing, pitches * label_space, pitches * share * aspect)
    for index, (cam, look) in enumerate(zip(maps, looks, strict=True)):
        row, column = divmod(index, columns)
        left, top = column * (share + _TILE_GAP), 1 - row * pitch / plot_height
        number = str(index + 1) if index else ""
        axes = {"xaxis": "x" + number, "yaxis": "y" + number}
        colouring = (
            colour_scale(look, unit) if look.colours == BLANK else {"coloraxis": "coloraxis"}
        )
        drawing.add("heatmap", **clear_cells(cam, region), **axes, **colouring)
        source = covered(grey, shown, cam, preprocessing, look)
        place = placed(source, shown.width, shown.height, axes=("x" + number, "y" + number))
        drawing.append("images", **place)
        square_axes(drawing, number, [0, shown.width], [shown.height, 0])
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
    for look in [one for one in looks if one.colours != BLANK][:1]:
        scale = colour_scale(look, unit, letter="c")
        scale["colorbar"]["ypad"] += first_space
        drawing.layout["coloraxis"] = scale
    return drawing.figure()


def _label_space(labels: Sequence[str]) -> int:
    """Pixels for a row of labels; none for no row."""
    lines = max((label.count("<br>") + 1 for label in labels), default=0)
    return lines and 6 + _TILE_LINE * lines
