"""Whether the map on the page of class activation maps can be believed, and the prediction."""

from __future__ import annotations

from typing import Literal

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.attribution.trust import (
    HOLDS,
    WEAK,
    consistency_sentence,
    read_consistency,
    verdict_numbers,
    verdict_sentence,
)
from cnnviz.colours import on_page
from cnnviz.figures.maps import heatmap
from cnnviz.results import ClassActivationMap, Prediction, Verdict, VerdictWord
from cnnviz.ui import parts, verdicts
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# The text, icon and colour of each verdict: none of them is told by the colour alone.
_BADGES: dict[VerdictWord, tuple[str, str, Literal["green", "orange", "red", "gray"]]] = {
    "holds": ("The map holds", ":material/check_circle:", "green"),
    "weak": ("The map is weak", ":material/contrast:", "orange"),
    "says nothing": ("The map says nothing", ":material/cancel:", "red"),
    "cannot tell": ("Cannot tell", ":material/question_mark:", "gray"),
}
_LIMITS = (
    "What this cannot tell: a map in the right place that is too wide by a cell often holds as "
    "well. Evidence that is there twice, or is something that is missing, is not found by covering "
    "one part, and then there is no verdict. Some maps in a hundred are judged wrongly, either way."
)
# Pixels of a grid; and the lines of the usual verdict, so that nothing moves when it comes.
_GRID, _HEIGHT = 280, 8


def show(scene: Scene, prediction: Prediction, cam: ClassActivationMap) -> None:
    """The verdict on a map, and how it is judged."""
    # The choices below stay where they are when the verdict comes.
    st.html(f"<style>.st-key-verdict {{min-height: {_HEIGHT}rem}}</style>")
    with st.container(key="verdict", gap="small"):
        verdict = verdicts.verdict(
            cam, prediction, lambda question: scene.series(question, "Checking the map")
        )
        if verdict is None:
            return
        text, icon, colour = _BADGES[verdict.word]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(text, icon=icon, color=colour)
            with st.popover("How?", help="How is this judged?", type="tertiary"):
                _explain(verdict)
        st.caption(plain(verdict_sentence(verdict, cam)))


def steadiness(scene: Scene, prediction: Prediction, target: str) -> None:
    """How steady the prediction is: a line on the class in shifted and mirrored copies."""
    classes = verdicts.shared_classes(prediction, target)
    values = scene.series(SeriesQuestion("shifted-copies", classes), "Checking the prediction")
    found = read_consistency(target, values[classes.index(target)])
    st.caption(plain(consistency_sentence(found)))


def _explain(verdict: Verdict) -> None:
    rows, columns = verdict.drops.shape
    st.markdown(
        "One square of the photo after the other is covered with a blurred copy, in steps of one "
        f"cell of a grid of {rows} × {columns}, and each time the network is asked again. A square "
        "is two cells wide, and the loss of a cell is the mean over the squares that cover it. A "
        "loss of 1 takes the odds of the class to 37 %. A map is right where its class loses most "
        "where the map is bright: the percentage compares it with a map that is the same "
        "everywhere (0 %) and a map of the "
        f"losses themselves (100 %). From {round(100 * HOLDS)} % on the map holds, from "
        f"{round(100 * WEAK)} % on it is weak."
    )
    if np.isfinite(verdict.drops).all():
        left, right = st.columns(2)
        with left:
            _grid(verdict.drops.round(2), "Loss where covered", "loss of log-odds", diverging=True)
        with right:
            _grid((100 * verdict.shares).round(1), "The map, in percent", "percent of the map")
    if numbers := verdict_numbers(verdict):
        st.markdown(plain(numbers))
    st.caption(_LIMITS)


def _grid(values: Floats, title: str, hover: str, *, diverging: bool = False) -> None:
    name = "blue-orange" if diverging else "teal"
    figure = heatmap(
        values,
        title=title,
        unit="",
        colours=on_page(name, dark=parts.on_dark_page()),
        centred=diverging,
        hover=hover,
        narrow=True,
        largest=(_GRID, _GRID),
    )
    parts.chart(figure, title)
