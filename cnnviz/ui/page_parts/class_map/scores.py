"""Can the map be believed? Its scores, beside those of a blurred copy and of a random map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import streamlit as st

from cnnviz.attribution.descriptions import cells, nothing_to_see, title
from cnnviz.attribution.faithfulness import (
    MEASURES,
    TESTS,
    Measure,
    chosen_measures,
    map_score,
    tests_of,
)
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.errors import CnnvizError
from cnnviz.figures.deletion import step_curves
from cnnviz.numerals import percent, written
from cnnviz.results import ClassActivationMap, MapScore
from cnnviz.ui import long_questions, parts
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# The step that a person has asked for in this session, and of which map.
_ASKED = "scores that are asked for"
_ARROWS = {"higher": "higher ↑", "lower": "lower ↓"}
# What is found of a map: its scores, by their keys.
Scores = dict[str, MapScore]


@dataclass(frozen=True)
class _Step:
    """Scores that one click asks for, and the button for it."""

    measures: tuple[Measure, ...]
    label: str
    help: str


def show(scene: Scene, cam: ClassActivationMap) -> None:
    """The section: a button, then the progress, then a table and curves."""
    st.subheader("Can it be believed?", anchor=False)
    if nothing_to_see(cam):
        st.caption("This map says nothing, so there is nothing to measure.")
        return
    st.markdown(
        "Parts of the photo are replaced, the photo is shifted, noise is added: does the map say "
        "what then counts? A blurred copy of the map and a random map take the same tests. Where "
        "they do as well, the score says nothing for this map."
    )
    st.caption(
        "Such scores disagree with each other, no method wins all of them, and some reward a "
        "blurred map: none is a proof."
    )
    measures = chosen_measures(cam.method)
    quick = tuple(one for one in measures if TESTS[one.test].needs != "weights")
    steps = [
        _Step(quick, "Measure this map", "Some seconds."),
        _Step(
            tuple(one for one in measures if one not in quick),
            "Also shuffle the network’s weights",
            "Takes longer: TensorFlow runs a copy of the network whose weights are shuffled.",
        ),
    ]
    found: Scores = {}
    try:
        for step in steps:
            found |= _scores(scene, cam, step)
            if not all(one.key in found for one in step.measures):
                break
    except CnnvizError as error:
        st.session_state.pop(_ASKED, None)
        st.error(plain(str(error)), icon=":material/error:")
    if found:
        _table(measures, found)
        _curves(found)
        _explained(measures, found)


def _scores(scene: Scene, cam: ClassActivationMap, step: _Step) -> Scores:
    """The scores of a step that are there; if there are others, the button, or their progress."""
    tests = tests_of(step.measures)
    questions = {test: question(cam, test) for test in tests}
    sums = {test: long_questions.known(scene, questions[test]) for test in tests}
    missing = [test for test in tests if sums[test] is None]
    this = (scene.model, scene.card, scene.photo.seen_key, cells(cam), title(cam), step.label)
    if missing and st.session_state.get(_ASKED) != this:
        st.button(
            step.label if missing == list(tests) else "Go on measuring",
            icon=":material/rule:",
            key=f"measure {step.label}",
            help=step.help,
            on_click=st.session_state.__setitem__,
            args=(_ASKED, this),
        )
    else:
        for test in missing:
            first = next(one for one in step.measures if one.test == test)
            name = f"{first.title} ({tests.index(test) + 1} of {len(tests)})"
            sums[test] = long_questions.series(scene, questions[test], name)
            if sums[test] is None:
                break
    return {
        one.key: map_score(one, total.values)
        for one in step.measures
        if (total := sums[one.test]) is not None
    }


def question(cam: ClassActivationMap, test: str) -> SeriesQuestion:
    """The runs of a test, by its key, of a map."""
    return SeriesQuestion(
        test, (cam.target,), cam.layer or None, cam.against, shown=cam.values, method=cam.method
    )


def _table(measures: tuple[Measure, ...], found: Scores) -> None:
    head = ["Score", "Better", "This map", "Blurred copy", "Random map"]
    lines = [head, [":--", ":--", "--:", "--:", "--:"]]
    for one in measures:
        if one.key not in found:
            continue
        score = found[one.key]
        numbers = (score.value, score.blurred, score.random)
        texts = [_text(one, number) for number in numbers]
        lines.append([plain(one.title), _ARROWS[one.better], f"**{texts[0]}**", *texts[1:]])
    st.markdown("\n".join(f"| {' | '.join(cells)} |" for cells in lines))


def _text(measure: Measure, value: float) -> str:
    if math.isnan(value):
        return "–"
    return percent(value) if measure.share else written(value, ".2f")


def _curves(found: Scores) -> None:
    drawn = [score for score in found.values() if score.curves is not None]
    for start in range(0, len(drawn), 2):
        for column, score in zip(st.columns(2), drawn[start : start + 2], strict=False):
            record = MEASURES[score.measure]
            figure = step_curves(
                np.asarray(score.curves), title=record.title, across=TESTS[record.test].curve
            )
            with column:
                parts.chart(figure, f"curves {score.measure}")


def _explained(measures: tuple[Measure, ...], found: Scores) -> None:
    with st.expander("What the scores are, and what fools them", icon=":material/help:"):
        st.markdown(
            "\n".join(
                f"- **{plain(one.title)}**, {one.better} is better. {plain(one.summary)} "
                f"{plain(one.caution)} ({plain(one.paper)})"
                for one in measures
                if one.key in found
            )
        )
