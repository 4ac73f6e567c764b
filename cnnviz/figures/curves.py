"""Curves: loss and accuracy over the epochs of a training, a value over the steps of a search."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from cnnviz.arrays import Floats
from cnnviz.figures.frame import ACCENT, FAINT, TEXT, empty_drawing

_HEIGHT = 200
_TRAINING = "#8a94a0"


def learning_curve(
    training: Sequence[float],
    validation: Sequence[float],
    *,
    numbers: Sequence[int],
    title: str,
    epochs: int,
    chosen: int,
    share: bool = False,
) -> go.Figure:
    """Two curves over the epochs, one of the training photos and one of those for validation.

    Args:
        training: a number for each epoch that is finished.
        validation: likewise.
        numbers: of these epochs, counted from 1.
        title: plain text.
        epochs: how far the axis reaches.
        chosen: the epoch that is marked, counted from 1.
        share: whether the numbers are shares, shown in percent on an axis of 0 to 100.
    """
    drawing = empty_drawing(title, _HEIGHT, above=30, below=44)
    number = "%{y:.2%}" if share else "%{y:.4f}"
    for name, values, colour in (
        ("training", training, _TRAINING),
        ("validation", validation, ACCENT),
    ):
        drawing.add(
            "scatter",
            x=list(numbers),
            y=list(values),
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 6},
            hovertemplate=f"epoch %{{x}}<br>{name} {number}<extra></extra>",
        )
    if numbers:
        marked = {"type": "line", "x0": chosen, "x1": chosen, "y0": 0, "y1": 1, "yref": "paper"}
        drawing.append("shapes", **marked, line={"color": FAINT, "width": 2, "dash": "dot"})
    drawing.layout |= {"showlegend": True}
    drawing.set("legend", orientation="h", x=0, y=1.02, xanchor="left", yanchor="bottom", font=TEXT)
    ticks = {"dtick": 1} if epochs <= 12 else {"nticks": 8}
    drawing.set(
        "xaxis",
        range=[0.5, max(epochs, 2) + 0.5],
        title={"text": "epoch", "font": TEXT},
        tickfont=TEXT,
        fixedrange=True,
        showgrid=False,
        zeroline=False,
        tickformat="d",
        **ticks,
    )
    limits = {"range": [0, 1.02], "tickformat": ".0%"} if share else {"rangemode": "tozero"}
    drawing.set(
        "yaxis", tickfont=TEXT, fixedrange=True, gridcolor="rgba(128,140,152,0.25)", **limits
    )
    drawing.set("margin", l=52, r=12)
    return drawing.figure()


def ascent_curve(values: Floats, what: str) -> go.Figure:
    """How a value rises over the steps of a search, counted from 1.

    Args:
        values: (steps,).
        what: the value's name, plain text.
    """
    drawing = empty_drawing(
        f"{what[:1].upper()}{what[1:]}, step by step", _HEIGHT, above=30, below=44
    )
    drawing.add(
        "scatter",
        x=list(range(1, len(values) + 1)),
        y=values.tolist(),
        mode="lines",
        line={"color": ACCENT, "width": 2},
        hovertemplate=f"step %{{x}}<br>{what} %{{y:.3g}}<extra></extra>",
    )
    axis = {"tickfont": TEXT, "fixedrange": True, "zeroline": False}
    drawing.set("xaxis", title={"text": "step", "font": TEXT}, nticks=8, showgrid=False, **axis)
    drawing.set("yaxis", nticks=5, gridcolor="rgba(128,140,152,0.25)", **axis)
    drawing.set("margin", l=52, r=12)
    return drawing.figure()
