"""Whether the map on the page of class activation maps can be believed, and the prediction."""

from __future__ import annotations

from typing import Literal

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.arrays import Floats
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.attribution.trust import (
    HOLDS,
    WEAK,
    consistency_sentence,
    verdict_numbers,
    verdict_sentence,
)
from cnnviz.colours import on_page
from cnnviz.figures.maps import heatmap
from cnnviz.results import ClassActivationMap, Prediction, Verdict, VerdictWord
from cnnviz.ui import long_questions, parts, verdicts
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
# What is said while there is no verdict: text and icon.
_CHECKING = "Checking the map …", ":material/hourglass_empty:"
_STOPPED = "Not checked", ":material/stop:"
# Pixels of a grid; and the height of the usual texts, so that nothing moves when they come.
_GRID, _VERDICT, _STEADINESS = 280, 9.25, 9


def places(beside: DeltaGenerator, below: DeltaGenerator) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Where the verdict will be, and how steady the prediction is: in containers of the page."""
    with beside:
        on_map = _place("verdict", _VERDICT)
    with below:
        on_prediction = _place("steadiness", _STEADINESS)
    return on_map, on_prediction


def show(
    place: DeltaGenerator,
    scene: Scene,
    prediction: Prediction,
    cam: ClassActivationMap,
    *,
    wait: bool,
) -> bool:
    """Draws the verdict on a map, and how it is judged; whether it is there.

    Args:
        place: for it.
        scene: model and photo.
        prediction: for the photo.
        cam: the map.
        wait: whether to ask for runs that are missing; else it says that the map is being checked.
    """
    with place.container(gap="small"):
        badge = st.container(horizontal=True, vertical_alignment="center", gap="small")
        waiting = badge.empty()
        waiting.badge(_CHECKING[0], icon=_CHECKING[1], color="gray")
        verdict = verdicts.verdict(cam, prediction, lambda question: _runs(scene, question, wait))
        if verdict is None:
            if long_questions.is_stopped("checks"):
                waiting.badge(_STOPPED[0], icon=_STOPPED[1], color="gray")
            return False
        text, icon, colour = _BADGES[verdict.word]
        waiting.badge(text, icon=icon, color=colour)
        with badge, st.popover("How?", help="How is this judged?", type="tertiary"):
            _explain(verdict)
        st.caption(plain(verdict_sentence(verdict, cam)))
    return True


def steadiness(
    place: DeltaGenerator,
    scene: Scene,
    prediction: Prediction,
    cam: ClassActivationMap,
    *,
    wait: bool,
) -> bool:
    """Draws how steady prediction and map are, from shifted copies; as ``show``."""

    def ask(question: SeriesQuestion) -> Floats | None:
        return _runs(scene, question, wait)

    with place.container():
        found = verdicts.consistency(prediction, cam.target, ask)
        if found is not None:
            found = verdicts.with_map(found, cam, ask)
        if found is not None:
            st.caption(plain(consistency_sentence(found, cam)))
    return found is not None


def _place(key: str, height: float) -> DeltaGenerator:
    st.html(f"<style>.st-key-{key} {{min-height: {height}rem}}</style>")
    return st.container(key=key).empty()


def _runs(scene: Scene, question: SeriesQuestion, wait: bool) -> Floats | None:
    """The runs of a check if they are there, at once or after a moment; one check waits at most."""
    if not wait or long_questions.is_waiting("checks"):
        total = long_questions.known(scene, question)
    else:
        moment = long_questions.SHORT
        total = long_questions.series(scene, question, place="checks", wait=moment)
    return None if total is None else total.values


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
