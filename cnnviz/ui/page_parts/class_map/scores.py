"""Can the map be believed? Its scores, beside those of a blurred copy and of a random map."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.attribution.descriptions import nothing_to_see
from cnnviz.attribution.faithfulness import (
    MEASURES,
    TESTS,
    Measure,
    chosen_measures,
    map_score,
    tests_of,
)
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.errors import CnnvizError, ModelError
from cnnviz.figures.deletion import step_curves
from cnnviz.results import ClassActivationMap, MapScore, percent
from cnnviz.serving import workers
from cnnviz.ui import parts
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# Runs that are asked for at once: other people's questions pass in between.
_AT_ONCE = 16
# Maps whose scores a session keeps.
_MOST_KEPT = 8
_KEPT = "scores of maps"
_ARROWS = {"higher": "higher ↑", "lower": "lower ↓"}
# What is found of a map: its scores, by their keys.
Scores = dict[str, MapScore]


def show(scene: Scene, cam: ClassActivationMap) -> None:
    """The section: a button, then a table and curves.

    Called last, since it may take seconds, and no fragment: a click in one would wait for its end.
    """
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
    found = _kept(scene, cam)
    _Step(quick, "Measure this map", "Some seconds.", "measure").show(scene, cam, found)
    if all(one.key in found for one in quick):
        step = _Step(
            tuple(one for one in measures if one not in quick),
            "Also shuffle the network’s weights",
            "Takes longer: TensorFlow runs a copy of the network whose weights are shuffled.",
            "measure weights",
        )
        step.show(scene, cam, found)
    if found:
        _table(measures, found)
        _curves(found)
        _explained(measures, found)


@dataclass(frozen=True)
class _Step:
    """Scores that one click asks for, and the button for it."""

    measures: tuple[Measure, ...]
    label: str
    help: str
    key: str

    def show(self, scene: Scene, cam: ClassActivationMap, found: Scores) -> None:
        """The button while a score is missing; after a click, the progress until all are found."""
        missing = tuple(one for one in self.measures if one.key not in found)
        if not missing:
            return
        place, running = st.empty(), st.empty()
        label = self.label if missing == self.measures else "Go on measuring"
        if not place.button(label, icon=":material/rule:", key=self.key, help=self.help):
            return
        place.empty()
        with running.container():
            bar = st.progress(0.0, "Measuring …")
            st.button("Stop", icon=":material/stop_circle:", key=f"stop {self.key}")

        def tell(share: float, text: str) -> None:
            bar.progress(share, text)

        try:
            for measure, total in _sums(scene, cam, missing, tell):
                found[measure.key] = map_score(measure, total)
        except CnnvizError as error:
            running.error(plain(str(error)), icon=":material/error:")
            return
        running.empty()


def _sums(
    scene: Scene,
    cam: ClassActivationMap,
    measures: tuple[Measure, ...],
    tell: Callable[[float, str], None],
) -> Iterator[tuple[Measure, Floats]]:
    """The sums of the tests of some scores, one after the other, each with its scores.

    The one place that decides how the parts of a test are asked for. A click on the page ends it
    at the next part.
    """
    seen, tests = scene.view(), tests_of(measures)
    for number, test in enumerate(tests):
        of_test = [one for one in measures if one.test == test]
        question = SeriesQuestion(
            test,
            (cam.target,),
            cam.layer or None,
            cam.against,
            shown=cam.values,
            method=cam.method,
        )
        name = f"{of_test[0].title} ({number + 1} of {len(tests)})"
        done, count, total = 0, 1, None
        while done < count:
            share = (number + done / count) / len(tests)
            tell(share, name)
            with workers.announcing_tensorflow(
                functools.partial(tell, share, f"{name}: TensorFlow starts, for some seconds")
            ):
                part = workers.run_part(
                    scene.model, seen, question, done, done + _AT_ONCE, scene.card
                )
            if total is not None and part.values.shape != total.shape:
                raise ModelError("The network’s answers do not fit each other.")
            total = part.values if total is None else total + part.values
            count, done = part.count, done + _AT_ONCE
        for one in of_test:
            yield one, np.asarray(total)


def _kept(scene: Scene, cam: ClassActivationMap) -> Scores:
    """What this session has found of a map; changed in place."""
    kept: dict[object, Scores] = st.session_state.setdefault(_KEPT, {})
    card = None if scene.card is None else scene.card.model_dump_json()
    key = (scene.model, card, scene.photo.seen_key, cam.method, cam.layer, cam.target, cam.against)
    found = kept.pop(key, {})
    while len(kept) >= _MOST_KEPT:
        del kept[next(iter(kept))]
    # Last in the order of use.
    kept[key] = found
    return found


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
    return percent(value) if measure.share else f"{value:.2f}".replace("-", "−")


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
