"""Whether the map on the page of class activation maps can be believed, and the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import streamlit as st

from cnnviz.attribution.series import SeriesQuestion
from cnnviz.attribution.trust import (
    consistency_sentence,
    judge_drops,
    needs_halves,
    read_consistency,
    verdict_numbers,
    verdict_sentence,
)
from cnnviz.figures.maps import heatmap
from cnnviz.results import ClassActivationMap, Verdict, VerdictWord
from cnnviz.ui import parts
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# The text, icon and colour of each verdict: none of them is told by the colour alone.
_BADGES: dict[VerdictWord, tuple[str, str, Literal["green", "orange", "red", "gray"]]] = {
    "holds": ("The map holds", ":material/check_circle:", "green"),
    "weak": ("The map is weak", ":material/contrast:", "orange"),
    "says nothing": ("The map says nothing", ":material/cancel:", "red"),
    "cannot tell": ("Cannot tell", ":material/question_mark:", "gray"),
}
_HOW = (
    "One part of the photo after the other, on a grid of {rows} × {columns}, is covered with a blurred "
    "copy, and each time the network is asked again. A loss of 1 takes the odds of the class to 37 %. A map "
    "is right where its class loses most where the map is bright: the number compares it with a "
    "map that is the same everywhere (0 %) and a map of the losses themselves (100 %). From 30 % "
    "on the map holds, from 15 % on it is weak."
)
_LIMITS = (
    "What this cannot tell: a map that is in the right place but a little too wide holds as well; "
    "evidence that is there twice, or something that is missing, is not found by covering parts, "
    "and then there is no verdict. About one in fifty maps of a wrong place holds by chance."
)
_GRID = 280


def show(scene: Scene, maps: Mapping[str, ClassActivationMap], target: str) -> None:
    """The verdict on the chosen map, how it is judged, and how steady the prediction is."""
    cam = maps[target]
    verdict = _judge(scene, tuple(maps), cam)
    text, icon, colour = _BADGES[verdict.word]
    st.badge(text, icon=icon, color=colour)
    st.markdown(plain(verdict_sentence(verdict, cam)))
    st.caption(plain(_steadiness(scene, tuple(maps), target)))
    with st.popover("How is this judged?", width="stretch"):
        _explain(verdict)


def _judge(scene: Scene, classes: tuple[str, ...], cam: ClassActivationMap) -> Verdict:
    number, doing = classes.index(cam.target), "Checking the map"
    drops = scene.series(SeriesQuestion("cell-drops", classes, against=cam.against), doing)[number]
    halves = None
    if needs_halves(drops):
        of_halves = SeriesQuestion("half-drops", classes, against=cam.against)
        halves = scene.series(of_halves, doing)[number]
    return judge_drops(cam.values, drops, halves)


def _steadiness(scene: Scene, classes: tuple[str, ...], target: str) -> str:
    values = scene.series(SeriesQuestion("shifted-copies", classes), "Checking the prediction")
    return consistency_sentence(read_consistency(target, values[classes.index(target)]))


def _explain(verdict: Verdict) -> None:
    rows, columns = verdict.drops.shape
    st.markdown(_HOW.format(rows=rows, columns=columns))
    if np.isfinite(verdict.drops).all():
        left, right = st.columns(2)
        with left:
            _grid(verdict.drops, "Loss where covered", "loss of log-odds", "blue-orange")
        with right:
            _grid(100 * verdict.shares, "The map, percent", "percent of the map", "teal")
    if numbers := verdict_numbers(verdict):
        st.markdown(numbers)
    st.caption(_LIMITS)


def _grid(values: np.ndarray, title: str, hover: str, colours: str) -> None:
    figure = heatmap(
        values,
        title=title,
        unit="",
        colours=colours,
        centred=colours == "blue-orange",
        hover=hover,
        narrow=True,
        largest=(_GRID, _GRID),
    )
    parts.chart(figure, title)
