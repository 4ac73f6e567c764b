"""Probabilities as bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from cnnviz.figures.frame import ACCENT, FAINT, TEXT, empty_drawing, plain_text
from cnnviz.numerals import percent

# From one bar to the next, and how much of that is coloured.
_PITCH = 52
_SHARE = 0.34
_TRACK = "rgba(128,140,152,0.16)"


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
    rows = list(range(len(ordered)))
    drawing = empty_drawing(title, _PITCH * len(ordered), below=30)
    drawing.add(
        "bar",
        x=[1] * len(ordered),
        y=rows,
        orientation="h",
        width=_SHARE,
        marker={"color": _TRACK},
        hoverinfo="skip",
    )
    drawing.add(
        "bar",
        x=[score for _, score in ordered],
        y=rows,
        orientation="h",
        width=_SHARE,
        marker={"color": [ACCENT if name == highlight else FAINT for name, _ in ordered]},
        hovertext=[f"{plain_text(name)}<br>{percent(score)}" for name, score in ordered],
        hoverinfo="text",
    )
    for row, (name, score) in zip(rows, ordered, strict=True):
        weight = "bold" if name == highlight else "normal"
        for text, x, anchor in ((plain_text(name), 0, "left"), (percent(score), 1, "right")):
            drawing.append(
                "annotations",
                text=text,
                x=x,
                y=row - _SHARE / 2,
                xanchor=anchor,
                yanchor="bottom",
                xshift=-1 if anchor == "left" else 1,
                showarrow=False,
                font={"size": 15, "weight": weight},
                borderpad=1,
            )
    drawing.layout |= {"barmode": "overlay", "bargap": 0}
    drawing.set(
        "xaxis",
        range=[0, 1],
        tickvals=[0, 0.25, 0.5, 0.75, 1],
        ticktext=["0 %", "25 %", "50 %", "75 %", "100 %"],
        tickfont=TEXT,
        fixedrange=True,
        showgrid=False,
        zeroline=False,
    )
    drawing.set("yaxis", range=[len(ordered) - 0.5, -0.85], visible=False, fixedrange=True)
    drawing.set("margin", l=16, r=24)
    return drawing.figure()


def _probability(score: float) -> float:
    return float(np.clip(np.nan_to_num(score), 0, 1))
