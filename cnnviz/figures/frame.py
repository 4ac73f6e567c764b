"""Arrays to Plotly figures. This room draws: it computes no map and runs no network.

Grids of channels and photos travel as pictures, since a browser paints one picture faster
than hundreds of traces; a single map travels as raw float32 values, so that the value under
the mouse is the value that was computed. A cell that is not a number stays empty.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image

from cnnviz.arrays import Region, largest_magnitude, steps, tile
from cnnviz.cards import Preprocessing
from cnnviz.colours import DIVERGING, overlay_table, plotly_scale, table
from cnnviz.images import encode_jpeg, encode_png, shrink
from cnnviz.preprocessing import place_on_photo, seen_region
from cnnviz.results import percent

Floats = NDArray[np.floating]
Bytes = NDArray[np.uint8]
Limits = tuple[float, float]

CHART_CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "scrollZoom": False,
    # Two quick clicks on two channels are two clicks.
    "doubleClickDelay": 0,
    "modeBarButtonsToRemove": ["autoScale2d", "zoomIn2d", "zoomOut2d", "select2d", "lasso2d"],
    "toImageButtonOptions": {"format": "png", "filename": "cnnviz", "scale": 2},
}

# Sizes on the screen are in pixels. A page is about 1000 wide, or half of that in two columns.
_PAGE = 1000
_HALF_PAGE = 480
_TALLEST_GRID = 620
_TALLEST_PICTURE = 480
_TITLE = {"size": 16}
_TITLE_LINE = 22
_TITLE_LETTERS = 46  # fits a telephone's width
_TEXT = {"size": 13}
_BAR_SPACE = 62
_SLIDER_SPACE = 92
_AXIS_SPACE = 48

# Grids: so many stand in one row; space for a name, and the smallest tile that gets one.
_ONE_ROW = 4
_NAME_SPACE = 20
_SMALLEST_NAMED_TILE = 60
# Heatmaps: the longest side whose values are printed.
_LARGEST_PRINTED = 7
# Photos: the longest side that is sent, that of an overlay, and what counts as tiny.
_PHOTO_SIDE = 1000
_OVERLAY_SIDE = 400
_TINY_PHOTO = 100
# Maps side by side: the gap is a share of the width.
_WIDEST_ROW = 4
_TALLEST_TILE = 360
_TILE_GAP = 0.03
_TILE_LETTERS = 14
_TILE_LINE = 18
# Bars: from one to the next, and how much of that is coloured.
_BAR_PITCH = 52
_BAR_SHARE = 0.34
# The network: a gap is one doubling of channels and a half; a slim box is a share of the tallest.
_STAGE_HEIGHT = 260
_STAGE_TEXT = 84
_STAGE_GAP = 1.5
_SLIM = 0.08
_MOST_LABELS = 22
_LEGEND_SPACE = 44

_ACCENT = "#23849d"
# Readable on light and on dark; named, so that a selection elsewhere does not dim it.
_NAME = "#7d8793"
_FAINT = "rgba(128,140,152,0.55)"
_TRACK = "rgba(128,140,152,0.16)"
_CLEAR = "rgba(0,0,0,0)"
# The first whose name is part of a layer's class. They tell apart on white and on black.
_KINDS = (
    ("Depthwise", "#5fb7c9"),
    ("Conv", "#2a7fb8"),
    ("Pool", "#d9822b"),
    ("Dense", "#8e63c7"),
    ("Normalization", "#3f9e6b"),
    ("Activation", "#c25b7c"),
    ("ReLU", "#c25b7c"),
    ("Input", "#8a949e"),
)


@dataclass(frozen=True)
class Stage:
    """One step of a network's picture: a layer, and the maps (height, width, channels) it gives.

    Attributes:
        path: the layer's path.
        kind: the layer's class.
        height: rows of a map; 1 for a layer without maps.
        width: columns of a map; 1 for a layer without maps.
        channels: maps, or units of a layer without maps.
        parameters: number of weights.
    """

    path: str
    kind: str
    height: int
    width: int
    channels: int
    parameters: int


def channel_grid(
    maps: Floats,
    *,
    title: str,
    unit: str,
    names: Sequence[str],
    hovers: Sequence[str],
    colours: str,
    limits: Limits | None = None,
    columns: int | None = None,
    pixelated: bool = True,
) -> go.Figure:
    """All channels (h, w, K) as one picture; each can be pointed at and clicked.

    A click selects the point whose ``customdata`` is ``[k]``, k being the place in ``maps``.

    Args:
        maps: (h, w, K) float.
        title: plain text.
        unit: what the colours mean, beside the colour bar.
        names: K short labels, drawn where the tiles are large enough for them.
        hovers: K plain texts for the mouse; a line break starts a new line.
        colours: a name from ``colours.SEQUENTIAL`` or ``colours.DIVERGING``.
        limits: the values of the first and the last colour; if None, the smallest and the
            largest value, or the same distance to both sides of zero for diverging colours.
        columns: channels in a row; chosen to fill a wide page if None.
        pixelated: keeps the cells' edges sharp; otherwise the browser blurs them.

    Raises:
        ValueError: names or hovers are not K.
    """
    maps = _finite(maps)
    count = maps.shape[-1]
    if len(names) != count or len(hovers) != count:
        raise ValueError(
            f"Expected {count} names and hovers, one per channel. "
            f"Received: {len(names)} names and {len(hovers)} hovers"
        )
    low, high = _limits(maps, limits, centred=colours in DIVERGING)
    columns = columns or _columns(count, maps.shape[0] / maps.shape[1])
    # A gap is a whole number of cells: very small tiles are magnified to make it thin.
    maps = _magnify(maps, round(8 / max(maps.shape[:2])))
    height, width, _ = maps.shape
    gap = max(1, round(max(height, width) / 16))
    cell = _PAGE / (columns * (width + gap))
    labelled = cell * width >= _SMALLEST_NAMED_TILE
    strip = int(np.ceil(_NAME_SPACE / cell)) if labelled else 0
    mosaic = tile(np.pad(maps, ((strip, 0), (0, 0), (0, 0)), constant_values=np.nan), columns, gap)
    x, y = mosaic.centres()
    rows_high, columns_wide = mosaic.values.shape

    figure = _picture_figure(title, columns_wide, rows_high, (_PAGE, _TALLEST_GRID))
    figure.add_image(
        source=_coloured(mosaic.values, table(colours), low, high),
        x0=0.5,
        y0=0.5,
        # Shrunk by the browser, sharp cells would drop out.
        zsmooth=False if pixelated and columns_wide <= _PAGE else "fast",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=x + 0.5,
        y=y + 0.5,
        mode="markers",
        marker={
            "opacity": 0,
            "color": np.full(count, low),
            **_scale(colours, low, high, unit, letter="c"),
        },
        # A selection must not dim the others: all points are invisible, always.
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        customdata=[[channel] for channel in range(count)],
        hovertext=[_text(hover) for hover in hovers],
        hoverinfo="text",
    )
    if labelled:
        figure.add_scatter(
            x=x - (width - 1) / 2,
            y=y - (height + strip - 1) / 2 + strip / 2,
            mode="text",
            text=[_text(name) for name in names],
            textposition="middle right",
            textfont={**_TEXT, "color": _NAME},
            unselected={"textfont": {"color": _NAME}},
            cliponaxis=False,
            hoverinfo="skip",
        )
    # The nearest centre is that of the tile under the mouse, however far it is.
    figure.update_layout(hoverdistance=-1, clickmode="event+select")
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(fixedrange=True)
    return figure


def heatmap(
    values: Floats,
    *,
    title: str,
    unit: str,
    colours: str,
    centred: bool = False,
    limits: Limits | None = None,
    x_title: str | None = None,
    y_title: str | None = None,
    hover: str = "value",
) -> go.Figure:
    """One map (h, w) with its raw values under the mouse; rows go down, cells are square.

    Args:
        values: (h, w) float; up to 7 × 7 the numbers are printed in the cells.
        title: plain text.
        unit: what the colours mean, above the colour bar.
        colours: a name from ``colours.SEQUENTIAL`` or ``colours.DIVERGING``.
        centred: whether the limits are the same distance to both sides of zero.
        limits: the values of the first and the last colour; from the values if None.
        x_title: what a column is; without it the columns have no numbers.
        y_title: what a row is; without it the rows have no numbers.
        hover: the name of a value under the mouse.
    """
    values = _finite(values)
    height, width = values.shape
    low, high = _limits(values, limits, centred=centred)
    figure = _picture_figure(title, width, height, (_HALF_PAGE, _TALLEST_PICTURE))
    printed = max(height, width) <= _LARGEST_PRINTED
    figure.add_heatmap(
        z=values,
        **_scale(colours, low, high, unit),
        hoverongaps=False,
        hovertemplate=_cell_hover(hover, "%{y}", "%{x}"),
        texttemplate="%{z:.3~g}" if printed else None,
        textfont={"size": 16 if max(height, width) <= 4 else 13},
    )
    figure.update_xaxes(range=[-0.5, width - 0.5])
    figure.update_yaxes(range=[height - 0.5, -0.5])
    if x_title is not None:
        _name_axis(figure.layout.xaxis, x_title, width)
        figure.layout.margin.b = _AXIS_SPACE
    if y_title is not None:
        _name_axis(figure.layout.yaxis, y_title, height)
        figure.layout.margin.l = _AXIS_SPACE
    _fit(figure, 0, height / width)
    return figure


def map_overlay(
    photo: Bytes,
    values: Floats,
    preprocessing: Preprocessing,
    *,
    title: str,
    unit: str,
    signed: bool = False,
    opacity: float = 0.7,
    label: str = "",
) -> go.Figure:
    """A map (h, w) over the photo (H, W, 3), where the network looked, with an opacity slider.

    The picture is that of ``overlays.overlay``. The raw value of each native cell is under
    the mouse. The slider works in the browser alone.

    Args:
        photo: (H, W, 3) uint8, the original.
        values: (h, w) raw and signed.
        preprocessing: how the photo became the network input.
        title: plain text.
        unit: what the colours mean, above the colour bar.
        signed: whether evidence against the class is shown too, in the other colour.
        opacity: 0 to 1, where the slider starts.
        label: the name of a value under the mouse.
    """
    values = _finite(values)
    height, width = photo.shape[:2]
    region = seen_region(height, width, preprocessing)
    colours = "balance" if signed else "inferno"
    strongest = float(np.nanmax(values, initial=0))
    low, high = _limits(values, None if signed else (0, strongest), centred=signed)

    figure = photo_figure(photo, title=title)
    scale = _OVERLAY_SIDE / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    # One missing cell must not spread over the others.
    placed = place_on_photo(np.nan_to_num(values), *size, preprocessing)
    layer = _coloured(placed, overlay_table(colours), low, high)
    figure.add_layout_image(_placed(layer, width, height, above=True, opacity=opacity))
    cell_height, cell_width = region.height / values.shape[0], region.width / values.shape[1]
    figure.add_heatmap(
        z=values,
        x0=region.left + cell_width / 2,
        dx=cell_width,
        y0=region.top + cell_height / 2,
        dy=cell_height,
        customdata=np.moveaxis(np.indices(values.shape), 0, -1),
        opacity=0,
        **_scale(colours, low, high, unit),
        hoverongaps=False,
        hovertemplate=_cell_hover(label or "value", "%{customdata[0]}", "%{customdata[1]}"),
    )
    if _is_part(region, height, width):
        figure.add_shape(
            type="rect",
            x0=region.left,
            y0=region.top,
            x1=region.left + region.width,
            y1=region.top + region.height,
            line={"color": "white", "width": 1, "dash": "dot"},
        )
    figure.update_layout(sliders=[_opacity_slider(opacity)])
    return figure


def photo_figure(photo: Bytes, *, title: str) -> go.Figure:
    """A photo in the frame that ``map_overlay`` gives it, to stand beside it.

    Args:
        photo: (H, W, 3) or, grey, (H, W, 1) uint8; a tiny one keeps its pixels' edges.
        title: plain text.
    """
    photo = photo[..., 0] if photo.shape[-1] == 1 else photo
    height, width = photo.shape[:2]
    figure = _picture_figure(
        title, width, height, (_HALF_PAGE, _TALLEST_PICTURE), below=_SLIDER_SPACE
    )
    if max(height, width) < _TINY_PHOTO:
        source = _png(_magnify(photo, round(_OVERLAY_SIDE / max(height, width))))
    else:
        source = _uri(encode_jpeg(shrink(photo, _PHOTO_SIDE)), "jpeg")
    figure.add_layout_image(_placed(source, width, height))
    # Plotly draws axes, and with them the pictures, only where there is a trace.
    figure.add_scatter(x=[None], y=[None], hoverinfo="skip")
    return figure


def evidence_maps(maps: Sequence[tuple[str, Floats]], *, title: str, unit: str) -> go.Figure:
    """Maps (h, w) for several classes side by side, on one scale centred on zero.

    Args:
        maps: class name and raw, signed values (h, w) of each; at least one.
        title: plain text.
        unit: what the colours mean, above the colour bar.
    """
    cleaned = [_finite(values) for _, values in maps]
    limit = max(largest_magnitude(values) for values in cleaned) or 1.0
    columns = len(maps) if len(maps) <= _WIDEST_ROW else -(-len(maps) // 2)
    rows = -(-len(maps) // columns)
    labels = [_broken(label, _TILE_LETTERS) for label, _ in maps]
    first_space, label_space = _label_space(labels[:columns]), _label_space(labels[columns:])
    share = (1 - _TILE_GAP * (columns - 1)) / columns
    aspect = max(values.shape[0] / values.shape[1] for values in cleaned)
    tile_height = min(_TALLEST_TILE, _PAGE * share * aspect)
    pitch = tile_height + label_space
    plot_height = rows * pitch - label_space

    # The labels of the first row stand in the margin, those of others below the row before.
    figure = _figure(title, plot_height, above=_BAR_SPACE + first_space)
    places = plot_height / pitch
    _fit(figure, places * label_space, places * share * aspect)
    for index, values in enumerate(cleaned):
        row, column = divmod(index, columns)
        left, top = column * (share + _TILE_GAP), 1 - row * pitch / plot_height
        number = str(index + 1) if index else ""
        figure.add_heatmap(
            z=values,
            xaxis="x" + number,
            yaxis="y" + number,
            coloraxis="coloraxis",
            hoverongaps=False,
            hovertemplate=_cell_hover(maps[index][0], "%{y}", "%{x}"),
        )
        height, width = values.shape
        xaxis, yaxis = go.layout.XAxis(), go.layout.YAxis()
        _square(xaxis, yaxis, [-0.5, width - 0.5], [height - 0.5, -0.5], "x" + number)
        xaxis.update(domain=[left, left + share], anchor="y" + number)
        yaxis.update(domain=[max(0, top - tile_height / plot_height), top], anchor="x" + number)
        figure.update_layout({"xaxis" + number: xaxis, "yaxis" + number: yaxis})
        figure.add_annotation(
            text=labels[index],
            x=left,
            y=top,
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="bottom",
            align="left",
            showarrow=False,
            font=_TEXT,
        )
    scale = _scale("balance", -limit, limit, unit, letter="c")
    scale["colorbar"]["ypad"] += first_space
    figure.update_layout(coloraxis=scale)
    return figure


def confidence_bars(
    scores: Sequence[tuple[str, float]], *, highlight: str | None = None, title: str = "Confidence"
) -> go.Figure:
    """Probabilities as bars, the most probable class at the top, on a fixed 0–100 % axis.

    Args:
        scores: class name and probability (0 to 1).
        highlight: the class that is drawn in the accent colour.
        title: plain text.
    """
    ordered = sorted(((name, _probability(score)) for name, score in scores), key=lambda s: -s[1])
    places = list(range(len(ordered)))
    figure = _figure(title, _BAR_PITCH * len(ordered), below=30)
    figure.add_bar(
        x=[1] * len(ordered),
        y=places,
        orientation="h",
        width=_BAR_SHARE,
        marker={"color": _TRACK},
        hoverinfo="skip",
    )
    figure.add_bar(
        x=[score for _, score in ordered],
        y=places,
        orientation="h",
        width=_BAR_SHARE,
        marker={"color": [_ACCENT if name == highlight else _FAINT for name, _ in ordered]},
        hovertext=[f"{_text(name)}<br>{score:.2%}" for name, score in ordered],
        hoverinfo="text",
    )
    for place, (name, score) in zip(places, ordered, strict=True):
        weight = "bold" if name == highlight else "normal"
        for text, x, anchor in ((_text(name), 0, "left"), (percent(score), 1, "right")):
            figure.add_annotation(
                text=text,
                x=x,
                y=place - _BAR_SHARE / 2,
                xanchor=anchor,
                yanchor="bottom",
                xshift=-1 if anchor == "left" else 1,
                showarrow=False,
                font={"size": 15, "weight": weight},
                borderpad=1,
            )
    figure.update_layout(barmode="overlay", bargap=0)
    figure.update_xaxes(
        range=[0, 1],
        tickvals=[0, 0.25, 0.5, 0.75, 1],
        ticktext=["0 %", "25 %", "50 %", "75 %", "100 %"],
        tickfont=_TEXT,
        fixedrange=True,
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(range=[len(ordered) - 0.5, -0.85], visible=False, fixedrange=True)
    figure.update_layout(margin={"l": 16, "r": 24})
    return figure


def architecture(
    stages: Sequence[Stage], *, title: str = "How the maps shrink and multiply"
) -> go.Figure:
    """How the maps shrink and multiply: a box per stage, from left to right.

    A box's height follows the side of a map (square root), its width the number of channels
    (logarithm); a layer without maps is a slim bar. A click selects the box whose
    ``customdata`` is ``[path]``.

    Args:
        stages: at least one.
        title: plain text.
    """
    heights = [max(stage.height, stage.width) ** 0.5 for stage in stages]
    tallest = max(heights)
    heights = [
        height if _has_maps(stage) else tallest * _SLIM
        for stage, height in zip(stages, heights, strict=True)
    ]
    widths = [1 + math.log2(max(1, stage.channels)) for stage in stages]
    rights = list(itertools.accumulate(width + _STAGE_GAP for width in widths))
    centres = [right - _STAGE_GAP - width / 2 for right, width in zip(rights, widths, strict=True)]
    figure = _figure(title, _STAGE_HEIGHT + _STAGE_TEXT, below=_LEGEND_SPACE)
    for kind in dict.fromkeys(stage.kind for stage in stages):
        chosen = [index for index, stage in enumerate(stages) if stage.kind == kind]
        figure.add_bar(
            name=_text(kind),
            x=[centres[index] for index in chosen],
            y=[heights[index] for index in chosen],
            base=[-heights[index] / 2 for index in chosen],
            width=[widths[index] for index in chosen],
            marker={"line": {"width": 0}, "color": _kind_colour(kind)},
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            customdata=[[stages[index].path] for index in chosen],
            hovertext=[_stage_hover(stages[index]) for index in chosen],
            hoverinfo="text",
        )
    for index in _labelled(stages, centres, rights[-1] / _MOST_LABELS):
        figure.add_annotation(
            text=_shape(stages[index]),
            x=centres[index],
            y=-heights[index] / 2,
            xanchor="center",
            yanchor="top",
            yshift=-2,
            textangle=-90,
            showarrow=False,
            font=_TEXT,
        )
    below = tallest * (0.5 + _STAGE_TEXT / _STAGE_HEIGHT)
    figure.update_layout(
        barmode="overlay",
        clickmode="event+select",
        margin={"l": 12, "r": 12},
        showlegend=True,
        legend={
            "orientation": "h",
            "x": 0,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "font": _TEXT,
            "itemclick": False,
            "itemdoubleclick": False,
        },
    )
    figure.update_xaxes(range=[0, rights[-1] - _STAGE_GAP], visible=False, fixedrange=True)
    figure.update_yaxes(range=[-below, tallest / 2], visible=False, fixedrange=True)
    return figure


def css_height(figure: go.Figure) -> str:
    """The height that a figure of this module needs, for CSS, in a container of any width.

    A figure's own height suits a wide page. In a narrow container a picture gets lower, and
    a fixed height would leave a void. ``cqw`` is a percent of the nearest container.
    """
    height = f"{figure.layout.height}px"
    if figure.layout.meta is None:
        return height
    fixed, per_width = figure.layout.meta
    return f"min({height}, {fixed:.0f}px + {100 * per_width:.3f}cqw)"


def _label_space(labels: Sequence[str]) -> int:
    """Pixels for a row of labels; none for no row."""
    lines = max((label.count("<br>") + 1 for label in labels), default=0)
    return lines and 6 + _TILE_LINE * lines


def _kind_colour(kind: str) -> str:
    for part, shade in _KINDS:
        if part in kind:
            return shade
    return _FAINT


def _labelled(stages: Sequence[Stage], centres: Sequence[float], least: float) -> list[int]:
    """The stages that get a label, ``least`` apart: both ends, each map size, each shape."""
    shapes = [_shape(stage) for stage in stages]
    sizes: dict[tuple[int, int], list[int]] = {}
    for index, stage in enumerate(stages):
        sizes.setdefault((stage.height, stage.width), []).append(index)
    everyone = range(len(stages))
    chosen: list[int] = []
    # One of each group. Where the first map of a size has no room, one of the next may have.
    for group in ([0], [len(stages) - 1], *sizes.values(), *([index] for index in everyone)):
        for index in group:
            room = all(abs(centres[index] - centres[other]) >= least for other in chosen)
            if room and shapes[index] not in {shapes[other] for other in chosen}:
                chosen.append(index)
                break
    return sorted(chosen)


def _shape(stage: Stage) -> str:
    if _has_maps(stage):
        return f"{stage.height}×{stage.width}×{stage.channels}"
    return str(stage.channels)


def _has_maps(stage: Stage) -> bool:
    return max(stage.height, stage.width) > 1


def _stage_hover(stage: Stage) -> str:
    return (
        f"{_text(stage.path)}<br>{_text(stage.kind)}<br>{_shape(stage)}"
        f"<br>{stage.parameters:,} parameters"
    )


def _figure(title: str, plot_height: float, *, above: float = 0, below: float = 8) -> go.Figure:
    """An empty figure, with room above its plot for the title and more, and below it."""
    lines = _broken(title, _TITLE_LETTERS)
    breaks = lines.count("<br>")
    top = 12 + _TITLE_LINE * (breaks + 1) + above
    return go.Figure(
        layout={
            "height": round(top + max(plot_height, 60) + below),
            "margin": {"l": 2, "r": 2, "t": top, "b": below, "pad": 0},
            "title": {
                "text": lines,
                "x": 0,
                "xanchor": "left",
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                # Plotly anchors the last line of a title, not its first.
                "pad": {"t": 8 + _TITLE_LINE * breaks, "l": 2},
                "font": _TITLE,
            },
            "plot_bgcolor": _CLEAR,
            "hovermode": "closest",
            "hoverlabel": {"font": {"size": 14}, "align": "left"},
            # A drag scrolls the page on a telephone; the buttons zoom.
            "dragmode": False,
            "showlegend": False,
        }
    )


def _picture_figure(
    title: str, width: float, height: float, largest: tuple[int, int], *, below: float = 8
) -> go.Figure:
    """An empty figure whose axes are a picture's pixels, from 0 to width and, down, to height."""
    plot_height = min(largest[1], largest[0] * height / width)
    figure = _figure(title, plot_height, above=_BAR_SPACE, below=below)
    _fit(figure, 0, height / width)
    xaxis, yaxis = figure.layout.xaxis, figure.layout.yaxis
    _square(xaxis, yaxis, [0, width], [height, 0], "x")
    return figure


def _fit(figure: go.Figure, fixed: float, per_width: float) -> None:
    """Notes for ``css_height`` how high the plot is: so many pixels, and a share of its width."""
    margin = figure.layout.margin
    fixed += margin.t + margin.b - per_width * (margin.l + margin.r)
    figure.update_layout(meta=[fixed, per_width])


def _square(
    xaxis: go.layout.XAxis,
    yaxis: go.layout.YAxis,
    across: list[float],
    down: list[float],
    anchor: str,
) -> None:
    """Hides two axes and keeps a cell square; what does not fill its room stays top left."""
    xaxis.update(range=across, visible=False, constrain="domain", constraintoward="left")
    yaxis.update(range=down, visible=False, constrain="domain", constraintoward="top")
    yaxis.update(scaleanchor=anchor)


def _name_axis(axis: go.layout.XAxis | go.layout.YAxis, title: str, cells: int) -> None:
    axis.update(
        visible=True,
        title={"text": _text(title), "font": _TEXT, "standoff": 6},
        tickvals=list(range(0, cells, -(-cells // 8))),
        tickfont=_TEXT,
        showgrid=False,
        zeroline=False,
    )


def _scale(name: str, low: float, high: float, unit: str, letter: str = "z") -> dict[str, Any]:
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
            "title": {"text": _text(unit), "side": "top", "font": _TEXT},
            "tickvals": ticks,
            "ticktext": [_number(value) for value in ticks],
            "tickfont": _TEXT,
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


def _opacity_slider(opacity: float) -> dict[str, Any]:
    percents = list(range(0, 101, 5))
    return {
        "active": int(np.argmin([abs(percent / 100 - opacity) for percent in percents])),
        "currentvalue": {"prefix": "Opacity: ", "font": {"size": 14}, "xanchor": "left"},
        "pad": {"t": 8, "l": 8, "r": 8},
        "x": 0,
        "y": 0,
        "len": 1,
        "tickcolor": _FAINT,
        "bordercolor": _FAINT,
        "bgcolor": _FAINT,
        "font": _TEXT,
        "steps": [
            {
                "label": f"{percent} %",
                "method": "relayout",
                "args": [{"images[1].opacity": percent / 100}],
            }
            for percent in percents
        ],
    }


def _is_part(region: Region, height: int, width: int) -> bool:
    """Whether a region leaves out something of a photo, by more than half a pixel."""
    return (
        region.left > 0.5
        or region.top > 0.5
        or region.left + region.width < width - 0.5
        or region.top + region.height < height - 0.5
    )


def _placed(
    source: str, width: float, height: float, *, above: bool = False, opacity: float = 1
) -> go.layout.Image:
    """A picture that fills the axes from (0, 0) to (width, height).

    Of two at the same place in the same layer Plotly draws only one.
    """
    return go.layout.Image(
        source=source,
        xref="x",
        yref="y",
        x=0,
        y=0,
        sizex=width,
        sizey=height,
        sizing="stretch",
        layer="above" if above else "below",
        opacity=opacity,
    )


def _coloured(values: Floats, colours: Bytes, low: float, high: float) -> str:
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
    return _uri(buffer.getvalue(), "png")


def _png(pixels: Bytes) -> str:
    return _uri(encode_png(pixels), "png")


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _magnify(pixels: NDArray[Any], factor: int) -> NDArray[Any]:
    """Repeats each pixel of (h, w, ...) ``factor`` times down and across."""
    return pixels if factor <= 1 else pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _columns(count: int, aspect: float) -> int:
    """Channels in a row, for a wide page: few empty places, then about 16 to 10.

    Args:
        count: number of channels.
        aspect: a channel's height by its width.
    """
    ideal = min(count, max(1.0, (1.6 * count * aspect) ** 0.5))
    widest = max(math.floor(1.3 * ideal), _ONE_ROW)
    candidates = range(math.ceil(0.75 * ideal), min(count, widest) + 1)
    return min(candidates, key=lambda n: (-count % n, abs(math.log(n / ideal))))


def _finite(values: Floats) -> NDArray[np.float32]:
    """A float32 copy in which infinities are missing too (NaN)."""
    copy = np.array(values, dtype=np.float32)
    copy[~np.isfinite(copy)] = np.nan
    return copy


def _limits(values: Floats, limits: Limits | None, *, centred: bool) -> Limits:
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


def _probability(score: float) -> float:
    return float(np.clip(np.nan_to_num(score), 0, 1))


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _cell_hover(name: str, row: str, column: str) -> str:
    """What is under the mouse in a heatmap: a name, the value, and the cell's place."""
    return f"{_text(name)} %{{z:.4~g}}<br>row {row}, column {column}<extra></extra>"


def _broken(text: str, letters: int) -> str:
    """Plain text for Plotly in lines of at most so many letters."""
    return "<br>".join(_text(line) for line in textwrap.wrap(text, letters))


def _text(text: str) -> str:
    """Plain text for Plotly, which would else read tags, links and ``%{…}`` in it."""
    return html.escape(text, quote=False).replace("%", "&#37;").replace("\n", "<br>")
