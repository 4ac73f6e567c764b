"""Series of runs: the jobs of all sessions, and who is served next.

A job is asked for in parts of about a tenth of a second. The arrays of a series' parts are added
up; an ascent's part goes on from the state that the one before it gave, and that of a search among
photos from what was found before.
A worker answers in the order in which it is asked, so everybody else's question waits for one part
at most. The jobs of trusted models are run one at a time, and those of each untrusted model by
themselves: it has a process of its own, and may be slow or stuck.

First come, first served: with equal jobs in turns, all of them would end when the last one does.
But a short job passes long ones, as long as these have not waited for long: see ``_due``. Of one
session's jobs the shortest is first.
"""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from cnnviz.errors import CnnvizError, ModelError, WorkerError
from cnnviz.features.objectives import AscentQuestion, AscentState
from cnnviz.features.searches import PhotoSearch
from cnnviz.serving import photo_searches, workers
from cnnviz.serving.photo_searches import Found

if TYPE_CHECKING:
    from cnnviz.arrays import Floats
    from cnnviz.attribution.series import SeriesQuestion
    from cnnviz.cards import ModelCard
    from cnnviz.photos.preprocessing import PhotoInput
    from cnnviz.results import SeriesPart
    from cnnviz.serving.model_files import ModelFile

# What a part should take: others wait for as long.
PART_SECONDS = 0.1
# Runs of a part are at most so many times those of the one before; and so many in all, since their
# inputs are in memory together.
_GROWTH, _MOST = 2, 64
# The last parts, which say how long a run takes; and how many there must be before the page says
# how long the rest takes, since the first may have to load a model.
_MEASURED, _LEAST_MEASURED = 8, 3
# Seconds for which a job lets shorter ones pass it, for each of its runs: with 500 runs some
# minutes, which is what a class of thirty waits where each asks for as many.
_PATIENCE = 0.5

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class SeriesJob:
    """A series, an ascent or a search that a session has asked for, and how far it is.

    Attributes:
        session: the session's id.
        model: the model.
        card: takes the place of the model's own card; None for that one.
        photo: the photo, or what the network sees of it; None where it is not about one.
        question: which series, about what; or which ascent, whose steps are its runs; or which
            search, whose photos are.
        total: the sum over the runs that are done, an ascent's state, or what a search has found;
            None before the first.
        done: how many those are.
        count: how many there are in all; None before the first part.
        error: why it ended; None unless it failed.
    """

    session: str
    model: ModelFile
    card: ModelCard | None
    photo: PhotoInput | None
    question: SeriesQuestion | AscentQuestion | PhotoSearch
    total: Floats | AscentState | Found | None = None
    done: int = 0
    count: int | None = None
    error: CnnvizError | None = None
    _submitted: float = 0.0
    _asked_again: bool = False
    _at_once: int = 1
    _ended: threading.Event = field(default_factory=threading.Event)
    # Seconds a run, in the last parts. A part's time is also that of the questions before it: the
    # more others ask, the smaller the parts are.
    _pace: deque[float] = field(default_factory=lambda: deque(maxlen=_MEASURED))

    @property
    def is_finished(self) -> bool:
        """Whether all runs are done."""
        return self.count is not None and self.done >= self.count

    def wait(self, seconds: float) -> bool:
        """Waits until it is finished or has failed, at most so long; whether it is."""
        return self._ended.wait(seconds)

    @property
    def seconds_left(self) -> float | None:
        """How long the other runs take once it is its turn; None before the first parts."""
        if self.count is None or len(self._pace) < _LEAST_MEASURED:
            return None
        return (self.count - self.done) * statistics.median(self._pace)


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands.

    Attributes:
        is_queued: whether it runs, or will; else it is finished, failed or was stopped.
        before: how many other sessions have jobs that come before it.
    """

    is_queued: bool
    before: int = 0


class SeriesQueue:
    """The jobs that run or wait; threads of its own run them, and end with the last one."""

    def __init__(
        self,
        is_open: Callable[[str], bool],
        run_part: Callable[..., SeriesPart] = workers.run_part,
        clock: Callable[[], float] = time.monotonic,
        ascend: Callable[..., AscentState] = workers.ascend,
        look_on: Callable[..., Found] = photo_searches.look_on,
    ) -> None:
        """An empty queue.

        Args:
            is_open: whether somebody still has the session of that id; the jobs of others end.
            run_part: runs a part, as ``workers.run_part``.
            clock: the time in seconds.
            ascend: goes on with an ascent, as ``workers.ascend``.
            look_on: goes on with a search among photos, as ``photo_searches.look_on``.
        """
        self._is_open = is_open
        self._run_part = run_part
        self._ascend = ascend
        self._look_on = look_on
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: list[SeriesJob] = []
        self._lanes: set[str] = set()

    def submit(self, job: SeriesJob) -> None:
        """Has a job run, from where it is."""
        with self._lock:
            if job in self._jobs:
                return
            job._submitted = self._clock()
            self._jobs.append(job)
            lane = _lane(job)
            if lane not in self._lanes:
                self._lanes.add(lane)
                threading.Thread(target=self._run, args=(lane,), daemon=True).start()

    def stop(self, job: SeriesJob) -> None:
        """Has a job end, after the part that runs; ``submit`` goes on with it."""
        with self._lock:
            self._jobs = [one for one in self._jobs if one is not job]

    def status(self, job: SeriesJob) -> JobStatus:
        """Where a job stands."""
        with self._lock:
            if job not in self._jobs:
                return JobStatus(is_queued=False)
            line = self._line(_lane(job))
            others = {one.session for one in line[: line.index(job)]} - {job.session}
            return JobStatus(True, len(others))

    def _run(self, lane: str) -> None:
        while (job := self._next(lane)) is not None:
            self._go_on(job)

    def _next(self, lane: str) -> SeriesJob | None:
        with self._lock:
            self._jobs = [one for one in self._jobs if self._is_open(one.session)]
            line = self._line(lane)
            if not line:
                self._lanes.remove(lane)
                return None
            return line[0]

    def _line(self, lane: str) -> list[SeriesJob]:
        """The jobs that wait for each other, the next one first.

        It is the turn of the session with the job that is due first, and then of its shortest one.
        """
        jobs = [one for one in self._jobs if _lane(one) == lane]
        shortest = sorted(jobs, key=_left)
        turns = sorted(jobs, key=_due)
        line: list[SeriesJob] = []
        for turn in turns:
            line.append(next(one for one in shortest if one.session == turn.session))
            shortest.remove(line[-1])
        return line

    def _go_on(self, job: SeriesJob) -> None:
        """Runs the next part of a job; only the thread of its lane changes how far it is."""
        start, runs = job.done, job._at_once
        begun = self._clock()
        try:
            total, count = self._advance(job, runs)
        except CnnvizError as error:
            self._fail(job, error)
            return
        # Whatever it is, the other jobs go on.
        except Exception:  # noqa: BLE001
            _log.exception("A part of %s failed", type(job.question).__name__)
            self._fail(job, ModelError("The network could not be run. The server's log says more."))
            return
        seconds = self._clock() - begun
        with self._lock:
            job.total, job.count = total, job.count or count
            job.done, job._asked_again = min(start + runs, job.count), False
            job._pace.append(seconds / max(1, job.done - start))
            pace = statistics.median(job._pace)
            fitting = int(PART_SECONDS / pace) if pace else _MOST
            job._at_once = max(1, min(fitting, runs * _GROWTH, _MOST))
            if job.is_finished:
                self._end(job)

    def _advance(self, job: SeriesJob, runs: int) -> tuple[Floats | AscentState | Found, int]:
        """What a job has after some runs more, and how many there are in all."""
        if isinstance(job.question, AscentQuestion):
            state = cast(AscentState | None, job.total)
            state = self._ascend(job.model, job.question, state, runs, job.card)
            return state, job.question.ascent.steps
        end = job.done + runs
        if isinstance(job.question, PhotoSearch):
            so_far = cast("Found | None", job.total)
            so_far = self._look_on(job.model, job.question, so_far, job.done, end, job.card)
            return so_far, job.question.count
        part = self._run_part(job.model, job.photo, job.question, job.done, end, job.card)
        return added(cast("Floats | None", job.total), part), part.count

    def _fail(self, job: SeriesJob, error: CnnvizError) -> None:
        """Ends a job; if its process stopped, the part is first asked for once more."""
        with self._lock:
            if isinstance(error, WorkerError) and error.again and not job._asked_again:
                job._asked_again = True
                return
            job.error = error
            self._end(job)

    def _end(self, job: SeriesJob) -> None:
        self._jobs = [one for one in self._jobs if one is not job]
        job._ended.set()


def added(total: Floats | None, part: SeriesPart) -> Floats:
    """The sum over some runs and those of one more part; None for no runs.

    Raises:
        ModelError: the part is of another shape.
    """
    if total is None:
        return part.values
    if total.shape != part.values.shape:
        raise ModelError("The network’s answers do not fit each other.")
    return total + part.values


def _lane(job: SeriesJob) -> str:
    """The jobs with the same one wait for each other."""
    return "" if job.model.trusted else job.model.path


def _left(job: SeriesJob) -> int:
    """The runs that are left; none of a job whose length is not known: its first run is soon."""
    return 0 if job.count is None else job.count - job.done


def _due(job: SeriesJob) -> float:
    """The job with the smallest one is next: the time when it came, and more for what is left."""
    return job._submitted + _PATIENCE * _left(job)
