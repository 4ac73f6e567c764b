"""A network as a row of boxes, one per stage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from cnnviz.figures.frame import FAINT, TEXT, empty_drawing, plain_text

# A gap is one doubling of channels and a half; a slim box is a share of the tallest.
_HEIGHT = 260
_TEXT_SPACE = 84
_GAP = 1.5
_SLIM = 0.08
_MOST_LABELS = 22
_LEGEND_SPACE = 44
# The first whose name is part of a layer's class counts. Distinct on white and on black.
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
    rights = list(itertools.accumulate(width + _GAP for width in widths))
    centres = [right - _GAP - width / 2 for right, width in zip(rights, widths, strict=True)]
    drawing = empty_drawing(title, _HEIGHT + _TEXT_SPACE, below=_LEGEND_SPACE)
    for kind in dict.fromkeys(stage.kind for stage in stages):
        chosen = [index for index, stage in enumerate(stages) if stage.kind == kind]
        drawing.add(
            "bar",
            name=plain_text(kind),
            x=[centres[index] for index in chosen],
            y=[heights[index] for index in chosen],
            base=[-heights[index] / 2 for index in chosen],
            width=[widths[index] for index in chosen],
            marker={"line": {"width": 0}, "color": _kind_colour(kind)},
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            customdata=[[stages[index].path] for index in chosen],
            hovertext=[_hover(stages[index]) for index in chosen],
            hoverinfo="text",
        )
    for index in _labelled(stages, centres, rights[-1] / _MOST_LABELS):
        drawing.append(
            "annotations",
            text=_shape(stages[index]),
            x=centres[index],
            y=-heights[index] / 2,
            xanchor="center",
            yanchor="top",
            yshift=-2,
            textangle=-90,
            showarrow=False,
            font=TEXT,
        )
    below = tallest * (0.5 + _TEXT_SPACE / _HEIGHT)
    drawing.layout |= {"barmode": "overlay", "clickmode": "event+select", "showlegend": True}
    drawing.set("margin", l=12, r=12)
    drawing.set(
        "legend",
        orientation="h",
        x=0,
        y=0,
        yref="container",
        yanchor="bottom",
        font=TEXT,
        itemclick=False,
        itemdoubleclick=False,
    )
    drawing.set("xaxis", range=[0, rights[-1] - _GAP], visible=False, fixedrange=True)
    drawing.set("yaxis", range=[-below, tallest / 2], visible=False, fixedrange=True)
    return drawing.figure()


def _labelled(stages: Sequence[Stage], centres: Sequence[float], least: float) -> list[int]:
    """The stages that get a label, ``least`` apart: both ends, each map size, each shape."""
    shapes = [_shape(stage) for stage in stages]
    sizes: dict[tuple[int, int], list[int]] = {}
    for index, stage in enumerate(stages):
        sizes.setdefault((stage.height, stage.width), []).append(index)
    everyone = range(len(stages))
    chosen: list[int] = []
    # One of each group: the first that is far enough from the labels so far.
    for group in ([0], [len(stages) - 1], *sizes.values(), *([index] for index in everyone)):
        for index in group:
            fits = all(abs(centres[index] - centres[other]) >= least for other in chosen)
            if fits and shapes[index] not in {shapes[other] for other in chosen}:
                chosen.append(index)
                break
    return sorted(chosen)


def _shape(stage: Stage) -> str:
    if _has_maps(stage):
        return f"{stage.height}×{stage.width}×{stage.channels}"
    return str(stage.channels)


def _has_maps(stage: Stage) -> bool:
    return max(stage.height, stage.width) > 1


def _hover(stage: Stage) -> str:
    return (
        f"{plain_text(stage.path)}<br>{plain_text(stage.kind)}<br>{_shape(stage)}"
        f"<br>{stage.parameters:,} parameters"
    )


def _kind_colour(kind: str) -> str:
    for part, shade in _KINDS:
        if part in kind:
            return shade
    return FAINT
