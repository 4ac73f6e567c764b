"""The search of a session: its jobs one after the other, and what they have found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import cast

import streamlit as st

from cnnviz.features import found
from cnnviz.features.objectives import (
    CROPS,
    MOST_AT_ONCE,
    AscentQuestion,
    AscentState,
    Maximised,
)
from cnnviz.serving import workers
from cnnviz.serving.series_jobs import JobStatus, SeriesJob
from cnnviz.ui import long_questions
from cnnviz.ui.page_parts.maximise.picks import Choice
from cnnviz.ui.scene import Scene

# Results that a session keeps, for a person who goes back to a choice: some 200 kB each.
_MOST_KEPT = 6
# The names of the session's search, and of its results.
_SEARCH, _RESULTS = "search for pictures", "pictures that were found"


@dataclass(eq=False)
class Search:
    """A search of a session.

    Attributes:
        key: what it is about: model, card and choice.
        waiting: what is still to be searched for, the next one first.
        job: what is searched for now.
        finished: what was found of each batch so far.
        total: steps of all batches.
        is_of_one: whether it is for one picture.
        stopped: whether the person has stopped it.
    """

    key: tuple[object, ...]
    waiting: list[AscentQuestion]
    job: SeriesJob
    total: int
    is_of_one: bool
    finished: list[Maximised] = field(default_factory=list)
    stopped: bool = False

    @property
    def state(self) -> AscentState | None:
        """Where the search of the batch is; None before the first step."""
        return cast(AscentState | None, self.job.total)

    @property
    def question(self) -> AscentQuestion:
        """What is searched for now."""
        return cast(AscentQuestion, self.job.question)

    @property
    def done(self) -> int:
        """The steps that are done, of those of all batches."""
        return self.total - self.job_steps - sum(one.ascent.steps for one in self.waiting)

    @property
    def job_steps(self) -> int:
        """The steps that the job still has to do."""
        return self.question.ascent.steps - self.job.done


def key_of(scene: Scene, choice: Choice) -> tuple[object, ...]:
    """What a search is about; can be the key of a dictionary, which a card cannot."""
    card = None if scene.card is None else scene.card.model_dump_json()
    return scene.model, card, choice.key


def start(scene: Scene, choice: Choice) -> None:
    """Begins a search for what is chosen, in place of the session's other one."""
    way = choice.ways[0]
    batches = [
        choice.objectives[first : first + MOST_AT_ONCE]
        for first in range(0, len(choice.objectives), MOST_AT_ONCE)
    ]
    questions = [AscentQuestion(batch, way, choice.start) for batch in batches]
    job = _job(scene, questions[0])
    total = sum(one.ascent.steps for one in questions)
    is_of_one = len(choice.objectives) == 1
    key = key_of(scene, choice)
    st.session_state[_SEARCH] = Search(key, questions[1:], job, total, is_of_one)


def current(scene: Scene, choice: Choice) -> Search | None:
    """The session's search, if it is for what is chosen."""
    search: Search | None = st.session_state.get(_SEARCH)
    return search if search is not None and search.key == key_of(scene, choice) else None


def forget() -> None:
    """Drops the session's search, such as after an error."""
    st.session_state.pop(_SEARCH, None)


def stop(search: Search) -> None:
    """Stops a search; ``go_on`` goes on with it."""
    search.stopped = True
    long_questions.stop(search.job)


def resume(search: Search) -> None:
    """Has a stopped search go on."""
    search.stopped = False


def result(scene: Scene, choice: Choice) -> Maximised | None:
    """What was found for what is chosen; None if it was not searched for, or not to the end."""
    return _results().get(key_of(scene, choice))


def advance(scene: Scene, choice: Choice, search: Search) -> JobStatus:
    """Goes on with a search: with the next batch, or the next way, where a job is finished.

    Raises:
        CnnvizError: whatever the network's process raises.
    """
    if search.job.error is not None:
        raise search.job.error
    if search.job.is_finished:
        _take(scene, choice, search)
    return long_questions.go_on(search.key, search.job)


def _take(scene: Scene, choice: Choice, search: Search) -> None:
    """Keeps what a job has found, and begins the next one, if there is one."""
    batch = _checked(scene, search)
    earlier = choice.ways.index(search.question.ascent)
    if earlier:
        batch = found.better(search.finished.pop(), batch)
    search.finished.append(batch)
    (*_, last) = search.finished
    doubtful = last.objectives[0].layer is None and not found.lasts(last.check.values)
    if doubtful and earlier + 1 < len(choice.ways):
        question = replace(search.question, ascent=choice.ways[earlier + 1])
        search.waiting.insert(0, question)
        search.total += question.ascent.steps
    if search.waiting:
        search.job = _job(scene, search.waiting.pop(0))
        return
    results = _results()
    results[search.key] = found.joined(search.finished)
    while len(results) > _MOST_KEPT:
        del results[next(iter(results))]
    del st.session_state[_SEARCH]


def _checked(scene: Scene, search: Search) -> Maximised:
    """What a finished job has found, with what the network says of each picture."""
    state = cast(AscentState, search.job.total)
    question = search.question
    crops = CROPS if search.is_of_one else 1
    # One picture after the other: other people's questions pass in between.
    checks = [
        workers.check_pictures(
            scene.model,
            [objective],
            state.pictures[at : at + 1],
            question.ascent.seed,
            crops,
            scene.card,
        )
        for at, objective in enumerate(question.objectives)
    ]
    return found.result(question, state, found.joined_checks(checks))


def _job(scene: Scene, question: AscentQuestion) -> SeriesJob:
    return SeriesJob(long_questions.session(), scene.model, scene.card, None, question)


def _results() -> dict[tuple[object, ...], Maximised]:
    results: dict[tuple[object, ...], Maximised] = st.session_state.setdefault(_RESULTS, {})
    return results
