"""Questions to the networks that take many runs: their progress on the page, and their answers.

A page asks in every run and gets None until the answer is there; meanwhile a line in its place says
how far it is. A session has one such question at a time: the first of a run that is not answered
yet. Another choice, or another page, stops it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from cnnviz.arrays import Floats
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.features.searches import PhotoSearch
from cnnviz.results import Explanation, SeriesPart
from cnnviz.serving.photo_searches import Found
from cnnviz.serving.series_jobs import JobStatus, SeriesJob, SeriesQueue
from cnnviz.ui import ask
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

_Phase = Literal["waits long", "waits", "runs", "stopped", "ended"]

# Seconds between two updates. Each costs the server about as much as a run of the network, so the
# many for whom little changes ask rarely: those with so many before them.
_PAUSES: dict[_Phase, float] = {"waits long": 5.0, "waits": 1.5, "runs": 0.4}
_MANY_BEFORE = 3

# The names of the session's question, and of that of the run of the page.
_ASKED, _IN_THIS_RUN = "long question", "long question of this run"


@dataclass
class _Asked:
    """The question of a session.

    Attributes:
        key: what it is about; another one is another question.
        job: its runs.
        name: what the line says that it finds; empty where the place says it.
        stopped: whether the person has stopped it.
    """

    key: tuple[Any, ...]
    job: SeriesJob
    name: str = ""
    stopped: bool = False


def explanation(scene: Scene, question: SeriesQuestion, name: str = "") -> Explanation | None:
    """The prediction for the photo, and the maps of a method of many runs; as ``series``."""
    total = series(scene, question, name)
    if total is None:
        return None
    return ask.series_explanation(scene.model, scene.card, scene.photo, question, total)


def series(scene: Scene, question: SeriesQuestion, name: str = "") -> SeriesPart | None:
    """The sum over all runs of a series, and their number.

    Args:
        scene: model and photo.
        question: which series, and what it is about.
        name: what the line says that it finds, where the place does not say it.

    Returns:
        None while it is not there yet; a line that says so is drawn in its place.

    Raises:
        CnnvizError: whatever the network's process raises.
    """
    found = known(scene, question)
    if found is not None:
        return found
    job = _finished(
        (scene.model, scene.card, scene.photo.seen_key, *_compared(question)),
        lambda: SeriesJob(_session(), scene.model, scene.card, scene.view(), question),
        lambda: known(scene, question) is not None,
        name,
    )
    if job is None:
        return None
    total = SeriesPart(cast(Floats, job.total), cast(int, job.count))
    return ask.keep_series(scene.model, scene.card, scene.photo, question, total)


def search(scene: Scene, question: PhotoSearch, name: str = "") -> Found | None:
    """What a search among many photos finds; it is not about the photo of the page.

    Args:
        scene: model and photo.
        question: the search.
        name: as for ``series``.

    Returns:
        None while it is not there yet; a line that says so is drawn in its place.

    Raises:
        CnnvizError: whatever the network's process raises, or a photo cannot be read.
    """
    model, card = scene.model, scene.card
    known_one = ask.known_search(model, card, question)
    if known_one is not None:
        return known_one
    job = _finished(
        (model, card, question.compared),
        lambda: SeriesJob(_session(), model, card, None, question),
        lambda: ask.known_search(model, card, question) is not None,
        name,
    )
    return None if job is None else ask.keep_search(model, card, question, cast(Found, job.total))


def _finished(
    key: tuple[Any, ...],
    make: Callable[[], SeriesJob],
    is_answered: Callable[[], bool],
    name: str,
) -> SeriesJob | None:
    """The job of a question once all of its runs are done; None, and its progress, before."""
    if st.session_state.setdefault(_IN_THIS_RUN, key) != key:
        what = f"{plain(name)} follows" if name else "This follows"
        st.caption(f"{what} once the answer above is there.")
        return None
    asked = _asked()
    if asked is None or asked.key != key:
        asked = _Asked(key, make(), name)
        st.session_state[_ASKED] = asked
    job = asked.job
    if job.error is not None:
        # Asked anew by the next run of the page.
        del st.session_state[_ASKED]
        raise job.error
    if job.is_finished:
        # Another one may be asked in this run.
        del st.session_state[_ASKED], st.session_state[_IN_THIS_RUN]
        return job
    # It is not queued any more if the person was on another page, or disconnected for a moment.
    if not asked.stopped and not _queue().status(job).is_queued:
        _queue().submit(job)
    _follow(asked, is_answered)
    return None


def known(scene: Scene, question: SeriesQuestion) -> SeriesPart | None:
    """The answer of ``series`` if it is there, without asking for it."""
    return ask.known_series(scene.model, scene.card, scene.photo, question)


def is_waiting() -> bool:
    """Whether this run of the page has asked a question that is not answered yet."""
    return _IN_THIS_RUN in st.session_state


def go_on(key: tuple[Any, ...], job: SeriesJob) -> JobStatus:
    """Has a job of a page run, in place of the session's other one.

    A page that draws the progress itself calls this in each run, and in each one of its fragment,
    until the job is finished or the person stops it. Another page stops it, too.

    Args:
        key: what the job is about.
        job: the job, which is submitted unless it is queued already.
    """
    st.session_state[_IN_THIS_RUN] = key
    st.session_state[_ASKED] = _Asked(key, job)
    if not job.is_finished and job.error is None and not _queue().status(job).is_queued:
        _queue().submit(job)
    return _queue().status(job)


def stop(job: SeriesJob) -> None:
    """Has a job end after the part that runs; ``go_on`` goes on with it."""
    _queue().stop(job)


def session() -> str:
    """The id of the session, for its jobs."""
    return _session()


def before_you(count: int) -> str:
    """How many people come first."""
    return "1 person is before you" if count == 1 else f"{count:,} people are before you"


def start_run() -> None:
    """Begins a run of a page, which has not asked anything yet."""
    st.session_state.pop(_IN_THIS_RUN, None)


def end_run() -> None:
    """Stops the question of the session if this run of its page did not ask it."""
    asked = _asked()
    if asked is not None and st.session_state.get(_IN_THIS_RUN) != asked.key:
        _queue().stop(asked.job)


def _follow(asked: _Asked, is_answered: Callable[[], bool]) -> None:
    phase = _phase(asked)
    st.fragment(_update, run_every=_PAUSES.get(phase))(asked, phase, is_answered)


def _update(asked: _Asked, drawn: _Phase, is_answered: Callable[[], bool]) -> None:
    phase = _phase(asked)
    # The whole page runs again when there is more to change than this line. The same question of
    # another session may have been answered first.
    if phase == "ended" or phase != drawn or is_answered():
        st.rerun()
    job = asked.job
    with st.container(horizontal=True, vertical_alignment="center", key="progress"):
        share = job.done / job.count if job.count else 0.0
        name = f"{plain(asked.name)}: " if asked.name else ""
        st.progress(share, text=name + _text(asked))
        if phase == "stopped":
            st.button("Go on", icon=":material/play_arrow:", on_click=_go_on, args=(asked,))
        else:
            st.button("Stop", icon=":material/stop:", on_click=_stop, args=(asked,))


def _text(asked: _Asked) -> str:
    job = asked.job
    is_search = isinstance(job.question, PhotoSearch)
    runs = "photos" if is_search else "runs"
    if asked.stopped:
        return f"Stopped at {job.done:,} of {job.count:,} {runs}" if job.count else "Stopped"
    before = _queue().status(job).before
    if before:
        return before_you(before)
    if job.count is None:
        return "Starting …"
    seconds = job.seconds_left
    left = "" if seconds is None else f" · about {max(1, round(seconds)):,} s"
    of_what = runs if is_search else "runs of the network"
    return f"{job.done:,} of {job.count:,} {of_what}{left}"


def _phase(asked: _Asked) -> _Phase:
    job, status = asked.job, _queue().status(asked.job)
    if job.is_finished or job.error is not None:
        return "ended"
    if asked.stopped:
        return "stopped"
    if not status.is_queued:
        return "ended"
    if status.before >= _MANY_BEFORE:
        return "waits long"
    return "waits" if status.before else "runs"


def _stop(asked: _Asked) -> None:
    asked.stopped = True
    _queue().stop(asked.job)


def _go_on(asked: _Asked) -> None:
    asked.stopped = False


def _compared(question: SeriesQuestion) -> tuple[SeriesQuestion, bytes]:
    """A question in a form in which two of them can be compared."""
    shown: Floats | None = question.shown
    if shown is None:
        return question, b""
    return dataclasses.replace(question, shown=None), shown.tobytes()


def _asked() -> _Asked | None:
    asked: _Asked | None = st.session_state.get(_ASKED)
    return asked


def _session() -> str:
    context = get_script_run_ctx()
    return "" if context is None else context.session_id


@functools.cache  # once in a process
def _queue() -> SeriesQueue:
    return SeriesQueue(_is_open)


def _is_open(session: str) -> bool:
    """Whether a browser is connected with a session."""
    return not runtime.exists() or runtime.get_instance().is_active_session(session)
