"""Curves: loss and accuracy over the epochs of a training, a value over the steps of a search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from cnnviz.arrays import Floats
from cnnviz.figures.frame import ACCENT, FAINT, TEXT, Drawing, empty_drawing

_HEIGHT = 200
_BATCHES_HEIGHT = 180
_TRAINING = "#8a94a0"


def learning_curve(
    training: Sequence[float | None],
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
        training: a number for each epoch that is finished; None for the untrained network.
        validation: likewise, without None.
        numbers: of these epochs, counted from 1; 0 is the untrained network.
        title: plain text.
        epochs: how far the axis reaches.
        chosen: the number of the epoch that is marked.
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
        range=[-0.5 if 0 in numbers else 0.5, max(epochs, 2) + 0.5],
        title={"text": "epoch", "font": TEXT},
        tickfont=TEXT,
        fixedrange=True,
        showgrid=False,
        zeroline=False,
        tickformat="d",
        **ticks,
    )
    _set_upwards(drawing, share=share)
    return drawing.figure()


def batch_curve(positions: Floats, values: Floats, *, title: str, share: bool = False) -> go.Figure:
    """A figure of each of the latest batches of a training, and its mean over the last ten.

    Args:
        positions: (B,) the share of the training that was done after each, in epochs.
        values: (B,) of each.
        title: plain text.
        share: as in ``learning_curve``.
    """
    drawing = empty_drawing(title, _BATCHES_HEIGHT, above=30, below=44)
    number = "%{y:.1%}" if share else "%{y:.4f}"
    for name, drawn, line in (
        ("batch", values, {"color": _TRAINING, "width": 1}),
        ("mean of 10 batches", trailing_mean(values, 10), {"color": ACCENT, "width": 2}),
    ):
        drawing.add(
            "scatter",
            x=positions.tolist(),
            y=drawn.tolist(),
            name=name,
            mode="lines",
            line=line,
            hovertemplate=f"%{{x:.2f}} epochs<br>{name} {number}<extra></extra>",
        )
    drawing.layout |= {"showlegend": False}
    drawing.set(
        "xaxis",
        title={"text": "epochs", "font": TEXT},
        tickfont=TEXT,
        fixedrange=True,
        showgrid=False,
        zeroline=False,
        nticks=6,
    )
    _set_upwards(drawing, share=share)
    return drawing.figure()


def trailing_mean(values: Floats, count: int) -> Floats:
    """The mean of each value and of those before it, of ``count`` together: (B,) -> (B,).

    Example:
        >>> trailing_mean(np.array([1.0, 3.0, 5.0]), 2).tolist()
        [1.0, 2.0, 4.0]
    """
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    ends = np.arange(1, len(sums))
    starts = np.maximum(0, ends - count)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _set_upwards(drawing: Drawing, *, share: bool) -> None:
    """The axis of the values: from 0, for shares up to 100 %."""
    limits = {"range": [0, 1.02], "tickformat": ".0%"} if share else {"rangemode": "tozero"}
    drawing.set(
        "yaxis", tickfont=TEXT, fixedrange=True, gridcolor="rgba(128,140,152,0.25)", **limits
    )
    drawing.set("margin", l=52, r=12)


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
