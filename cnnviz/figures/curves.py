"""Curves: loss and accuracy over the epochs of a training, a value over the steps of a search."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from cnnviz.arrays import Floats
from cnnviz.figures.frame import ACCENT, FAINT, TEXT, empty_drawing

_HEIGHT = 200
# The sides of the curve of batches, which is stretched to its place.
_WIDE, _HIGH = 600, 100
_RULE = "rgba(128,140,152,0.25)"
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
    limits = {"range": [0, 1.02], "tickformat": ".0%"} if share else {"rangemode": "tozero"}
    drawing.set("yaxis", tickfont=TEXT, fixedrange=True, gridcolor=_RULE, **limits)
    drawing.set("margin", l=52, r=12)
    return drawing.figure()


def batch_curve(positions: Floats, values: Floats, highest: float) -> str:
    """The latest batches of a training as a small SVG: each one, and its mean over the last ten.

    It fills its place, has no text, and is drawn anew at little cost: every second or so.

    Args:
        positions: (B,) the share of the training that was done after each, in epochs.
        values: (B,) of each, 0 or more; what is not a number is left out.
        highest: the value at its top; 0 is at its bottom.
    """
    first, last = float(positions[0]), float(positions[-1])
    across = _WIDE / (last - first or 1)
    x = (positions - first) * across
    if len(positions) == 1:
        # A level line: a single point would not be seen.
        x, values = np.array([0.0, _WIDE]), np.repeat(values, 2)
    edges = "".join(
        f'<path d="M{(epoch - first) * across:.1f} 0V{_HIGH}" stroke-dasharray="2 4"/>'
        for epoch in range(math.ceil(first), math.floor(last) + 1)
    )
    lines = "".join(
        f'<polyline points="{_points(x, _HIGH * (1 - drawn / highest))}" stroke="{colour}" '
        f'stroke-width="{width}"/>'
        for drawn, colour, width in (
            (values, _TRAINING, 1),
            (trailing_mean(values, 10), ACCENT, 2),
        )
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -2 {_WIDE} {_HIGH + 4}" '
        'preserveAspectRatio="none" fill="none"><style>* {vector-effect: non-scaling-stroke}'
        f'</style><g stroke="{_RULE}"><path d="M0 0H{_WIDE}M0 {_HIGH}H{_WIDE}"/>{edges}</g>'
        f"{lines}</svg>"
    )


def _points(x: Floats, y: Floats) -> str:
    return " ".join(
        f"{across:.1f},{down:.1f}" for across, down in zip(x, y, strict=True) if np.isfinite(down)
    )


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
    drawing.set("yaxis", nticks=5, gridcolor=_RULE, **axis)
    drawing.set("margin", l=52, r=12)
    return drawing.figure()
