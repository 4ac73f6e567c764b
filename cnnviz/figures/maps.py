"""Maps by themselves, cell by cell: one, or several on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from cnnviz.arrays import largest_magnitude
from cnnviz.figures.frame import (
    BAR_SPACE,
    HALF_PAGE,
    PAGE,
    TALLEST_PICTURE,
    TEXT,
    broken_text,
    cell_hover,
    empty_figure,
    fit,
    picture_figure,
    plain_text,
    square_axes,
)
from cnnviz.figures.shading import Floats, Limits, colour_limits, colour_scale, finite

# One map: room for an axis with numbers, and the longest side whose values are printed.
_AXIS_SPACE = 48
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
    values = finite(values)
    height, width = values.shape
    low, high = colour_limits(values, limits, centred=centred)
    figure = picture_figure(title, width, height, (HALF_PAGE, TALLEST_PICTURE))
    printed = max(height, width) <= _LARGEST_PRINTED
    figure.add_heatmap(
        z=values,
        **colour_scale(colours, low, high, unit),
        hoverongaps=False,
        hovertemplate=cell_hover(hover, "%{y}", "%{x}"),
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
    fit(figure, 0, height / width)
    return figure


def evidence_maps(maps: Sequence[tuple[str, Floats]], *, title: str, unit: str) -> go.Figure:
    """Maps (h, w) for several classes side by side, on one scale centred on zero.

    Args:
        maps: class name and raw, signed values (h, w) of each; at least one.
        title: plain text.
        unit: what the colours mean, above the colour bar.
    """
    cleaned = [finite(values) for _, values in maps]
    limit = max(largest_magnitude(values) for values in cleaned) or 1.0
    columns = len(maps) if len(maps) <= _WIDEST_ROW else -(-len(maps) // 2)
    rows = -(-len(maps) // columns)
    labels = [broken_text(label, _TILE_LETTERS) for label, _ in maps]
    first_space, label_space = _label_space(labels[:columns]), _label_space(labels[columns:])
    share = (1 - _TILE_GAP * (columns - 1)) / columns
    aspect = max(values.shape[0] / values.shape[1] for values in cleaned)
    tile_height = min(_TALLEST_TILE, PAGE * share * aspect)
    pitch = tile_height + label_space
    plot_height = rows * pitch - label_space

    # The labels of the first row stand in the margin, those of others below the row before.
    figure = empty_figure(title, plot_height, above=BAR_SPACE + first_space)
    places = plot_height / pitch
    fit(figure, places * label_space, places * share * aspect)
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
            hovertemplate=cell_hover(maps[index][0], "%{y}", "%{x}"),
        )
        height, width = values.shape
        xaxis, yaxis = go.layout.XAxis(), go.layout.YAxis()
        square_axes(xaxis, yaxis, [-0.5, width - 0.5], [height - 0.5, -0.5], "x" + number)
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
            font=TEXT,
        )
    scale = colour_scale("balance", -limit, limit, unit, letter="c")
    scale["colorbar"]["ypad"] += first_space
    figure.update_layout(coloraxis=scale)
    return figure


def _name_axis(axis: go.layout.XAxis | go.layout.YAxis, title: str, cells: int) -> None:
    axis.update(
        visible=True,
        title={"text": plain_text(title), "font": TEXT, "standoff": 6},
        tickvals=list(range(0, cells, -(-cells // 8))),
        tickfont=TEXT,
        showgrid=False,
        zeroline=False,
    )


def _label_space(labels: Sequence[str]) -> int:
    """Pixels for a row of labels; none for no row."""
    lines = max((label.count("<br>") + 1 for label in labels), default=0)
    return lines and 6 + _TILE_LINE * lines
