"""The curves of deletion and insertion: a class's probability from step to step."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from cnnviz.arrays import Floats
from cnnviz.figures.frame import ACCENT, TEXT, empty_drawing

_HEIGHT = 170
# The map, its blurred copy and the random map; also told apart without colours.
_LOOKS = (
    ("this map", {"color": ACCENT, "width": 3}),
    ("blurred copy", {"color": "#8a94a0", "width": 2, "dash": "dash"}),
    ("random map", {"color": "#8a94a0", "width": 2, "dash": "dot"}),
)


def step_curves(curves: Floats, *, title: str, across: str) -> go.Figure:
    """A class's probability over the share of a photo that is replaced, for three maps.

    Args:
        curves: (3, n) of the map, its blurred copy and the random map, 0 to 1.
        title: plain text.
        across: what the share on the axis is, in a few words.
    """
    drawing = empty_drawing(title, _HEIGHT, above=30, below=48, narrow=True)
    share = np.linspace(0, 1, curves.shape[1])
    for (name, line), curve in zip(_LOOKS, curves, strict=True):
        drawing.add(
            "scatter",
            x=share,
            y=np.clip(curve, 0, 1),
            name=name,
            mode="lines",
            line=line,
            hovertemplate=f"%{{x:.0%}}: %{{y:.1%}}<extra>{name}</extra>",
        )
    drawing.layout |= {"showlegend": True}
    drawing.set("legend", orientation="h", x=0, y=1.02, xanchor="left", yanchor="bottom", font=TEXT)
    drawing.set(
        "xaxis",
        range=[0, 1],
        title={"text": across, "font": TEXT, "standoff": 6},
        tickformat=".0%",
        tickvals=[0, 0.5, 1],
        tickfont=TEXT,
        fixedrange=True,
        showgrid=False,
        zeroline=False,
    )
    drawing.set(
        "yaxis",
        range=[0, 1.02],
        tickformat=".0%",
        tickvals=[0, 0.5, 1],
        tickfont=TEXT,
        fixedrange=True,
        gridcolor="rgba(128,140,152,0.25)",
    )
    drawing.set("margin", l=52, r=16)
    return drawing.figure()
