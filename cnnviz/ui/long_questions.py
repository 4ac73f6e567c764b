"""Questions to the networks that take many runs: their progress on the page, and their answers.

A page asks in every run and gets None until the answer is there; meanwhile a line in its place says
how far it is. What takes about a second is waited for first, so that there is no such line. A page
has two places for such questions, the page itself and the checks of what it shows, and in each one
question at a time: the first of a run that is not answered yet. Another choice, or another page,
stops it.
"""

from __future__ import annotations

import dataclasses
import functools
import time
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

# The places of questions.
Place = Literal["page", "checks"]
# Seconds for which a run of the page waits for what is short, and how often it looks meanwhile
# whether the person has chosen something else.
SHORT, _LOOK = 1.0, 0.05

# The names of the session's questions by their places, and of the keys of those that this run of
# the page has asked and that are not answered.
_ASKED, _IN_THIS_RUN = "long questions", "long questions of this run"


@dataclass
class _Asked:
    """A question of a session.

    Attributes:
        key: what it is about; another one is another question.
        job: its runs.
        place: where it is asked.
        name: what the line says that it finds; empty where the place says it.
        stopped: whether the person has stopped it.
    """

    key: tuple[Any, ...]
    job: SeriesJob
    place: Place = "page"
    name: str = ""
    stopped: bool = False


def explanation(
    scene: Scene, question: SeriesQuestion, name: str = "", *, wait: float = 0.0
) -> Explanation | None:
    """The prediction for the photo, and the maps of a series; as ``series``."""
    total = series(scene, question, name, wait=wait)
    if total is None:
        return None
    return ask.series_explanation(scene.model, scene.card, scene.photo, question, total)


def series(
    scene: Scene,
    question: SeriesQuestion,
    name: str = "",
    *,
    place: Place = "page",
    wait: float = 0.0,
) -> SeriesPart | None:
    """The sum over all runs of a series, and their number.

    Args:
        scene: model and photo.
        question: which series, and what it is about.
        name: what the line says that it finds, where the place does not say it.
        place: where it is asked.
        wait: seconds for which this run of the page waits before it draws the line. Meanwhile the
            browser shows what is drawn already, and another choice ends the run.

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
        place,
        wait,
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
    place: Place = "page",
    wait: float = 0.0,
) -> SeriesJob | None:
    """The job of a question once all of its runs are done; None, and its progress, before."""
    if _in_this_run().setdefault(place, key) != key:
        what = f"{plain(name)} follows" if name else "This follows"
        st.caption(f"{what} once the answer above is there.")
        return None
    asked = _asked().get(place)
    if asked is None or asked.key != key:
        asked = _put(_Asked(key, make(), place, name))
    job = asked.job
    # It is not queued any more if the person was on another page, or disconnected for a moment.
    if not (asked.stopped or job.is_finished or job.error or _queue().status(job).is_queued):
        _queue().submit(job)
    if wait and not asked.stopped:
        _wait(job, wait)
    if job.error is not None:
        # Asked anew by the next run of the page.
        _drop(place)
        raise job.error
    if job.is_finished:
        # Another one may be asked in this run.
        _drop(place)
        return job
    _follow(asked, is_answered)
    return None


def known(scene: Scene, question: SeriesQuestion) -> SeriesPart | None:
    """The answer of ``series`` if it is there, without asking for it."""
    return ask.known_series(scene.model, scene.card, scene.photo, question)


def is_waiting(place: Place = "page") -> bool:
    """Whether this run of the page has asked a question there that is not answered yet."""
    return place in _in_this_run()


def is_stopped(place: Place = "page") -> bool:
    """Whether it is waiting for one that the person has stopped."""
    return is_waiting(place) and _asked()[place].stopped


def go_on(key: tuple[Any, ...], job: SeriesJob) -> JobStatus:
    """Has a job of a page run, in place of its other one.

    A page that draws the progress itself calls this in each run, and in each one of its fragment,
    until the job is finished or the person stops it. Another page stops it, too.

    Args:
        key: what the job is about.
        job: the job, which is submitted unless it is queued already.
    """
    asked = _Asked(key, job)
    _in_this_run()[asked.place] = key
    _put(asked)
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
    _in_this_run().clear()


def end_run() -> None:
    """Stops the questions of the session that this run of its page did not ask."""
    for place, asked in _asked().items():
        if _in_this_run().get(place) != asked.key:
            _queue().stop(asked.job)


def _wait(job: SeriesJob, seconds: float) -> None:
    """Waits for a job's end, at most so long; another choice of the person ends the run."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not job.wait(_LOOK):
        # Whoever looks into the session's state is interrupted there.
        _asked()


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
    with st.container(
        horizontal=True, vertical_alignment="center", key=f"progress of the {asked.place}"
    ):
        share = job.done / job.count if job.count else 0.0
        name = f"{plain(asked.name)}: " if asked.name else ""
        st.progress(share, text=name + _text(asked))
        if phase == "stopped":
            label, icon, do = "Go on", ":material/play_arrow:", _go_on
        else:
            label, icon, do = "Stop", ":material/stop:", _stop
        st.button(label, icon=icon, key=f"{label} {asked.place}", on_click=do, args=(asked,))


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


def _asked() -> dict[Place, _Asked]:
    """The session's questions, by their places."""
    asked: dict[Place, _Asked] = st.session_state.setdefault(_ASKED, {})
    return asked


def _in_this_run() -> dict[Place, tuple[Any, ...]]:
    """The keys of the questions of this run of the page, by their places."""
    keys: dict[Place, tuple[Any, ...]] = st.session_state.setdefault(_IN_THIS_RUN, {})
    return keys


def _put(asked: _Asked) -> _Asked:
    """Makes a question the one of its place; another one ends."""
    other = _asked().get(asked.place)
    if other is not None and other.job is not asked.job:
        _queue().stop(other.job)
    _asked()[asked.place] = asked
    return asked


def _drop(place: Place) -> None:
    del _asked()[place], _in_this_run()[place]


def _session() -> str:
    context = get_script_run_ctx()
    return "" if context is None else context.session_id


@functools.cache  # once in a process
def _queue() -> SeriesQueue:
    return SeriesQueue(_is_open)


def _is_open(session: str) -> bool:
    """Whether a browser is connected with a session."""
    return not runtime.exists() or runtime.get_instance().is_active_session(session)
