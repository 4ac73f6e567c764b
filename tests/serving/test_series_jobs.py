"""The queue of series, with a worker that answers when the test lets it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from helpers import wait_until

from cnnviz.attribution.series import SeriesQuestion
from cnnviz.cards import Preprocessing
from cnnviz.errors import ModelError, TargetError, WorkerError
from cnnviz.features.objectives import OF_CLASSES, AscentQuestion, AscentState, Objective
from cnnviz.features.searches import PhotoSearch
from cnnviz.photos.encoding import as_picture
from cnnviz.photos.sources import PhotoSource
from cnnviz.results import SeriesPart
from cnnviz.serving.model_files import ModelFile
from cnnviz.serving.series_jobs import PART_SECONDS, SeriesJob, SeriesQueue

TRUSTED = ModelFile("a.keras", 0, 0, 0, trusted=True)
PHOTO = np.zeros((2, 2, 3), np.uint8)


@dataclass
class Worker:
    """Runs parts as if each run took a time; run n of a series adds n + 1.

    Attributes:
        seconds: that a run takes on the worker's clock.
        asked: the sessions and runs of the parts, in order.
        errors: what the next parts raise.
    """

    seconds: float = 0.01
    before: float = 0.0
    now: float = 0.0
    asked: list[tuple[str, range]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    gate: threading.Semaphore | None = None
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def run_part(
        self, _model: Any, _photo: Any, question: SeriesQuestion, start: int, stop: int, _card: Any
    ) -> SeriesPart:
        count = question.runs or 0
        numbers = range(start, min(stop, count))
        self.asked.append((question.series, numbers))
        self.begun.release()
        if self.gate is not None:
            assert self.gate.acquire(timeout=10)
        self.now += self.before + self.seconds * len(numbers)
        if self.errors:
            raise self.errors.pop(0)
        return SeriesPart(np.array([[float(sum(numbers) + len(numbers))]]), count)

    def hold(self) -> None:
        """From now on a part waits for ``let_go``."""
        self.gate = threading.Semaphore(0)

    def let_go(self, parts: int = 1) -> None:
        assert self.gate is not None
        self.gate.release(parts)

    @property
    def order(self) -> list[str]:
        """The sessions in the order of their parts, each named once in a row."""
        names = [name for name, _ in self.asked]
        return [one for at, one in enumerate(names) if at == 0 or names[at - 1] != one]


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    threads = threading.active_count()
    yield worker
    if worker.gate is not None:
        worker.let_go(1000)
    # The threads of a queue end with its last job.
    until(lambda: threading.active_count() <= threads)


@pytest.fixture
def queue(worker: Worker) -> SeriesQueue:
    return SeriesQueue(
        lambda session: session not in worker.closed, worker.run_part, lambda: worker.now
    )


def until(condition: Callable[[], Any]) -> None:
    assert wait_until(condition, 20)


def job(session: str, runs: int = 10, model: ModelFile = TRUSTED) -> SeriesJob:
    """A job whose series has the name of its session."""
    return SeriesJob(session, model, None, PHOTO, SeriesQuestion(session, runs=runs))


def finish(*jobs: SeriesJob) -> None:
    until(lambda: all(one.is_finished for one in jobs))


def start_all(worker: Worker, queue: SeriesQueue, *jobs: SeriesJob) -> None:
    """Submits jobs, and lets each have its first run, which says how long it is."""
    worker.hold()
    for one in jobs:
        queue.submit(one)
        worker.now += 1e-3
    worker.let_go(len(jobs))
    until(lambda: all(one.count for one in jobs))


def test_the_parts_add_up_to_all_runs(worker: Worker, queue: SeriesQueue) -> None:
    one = job("a", runs=100)
    queue.submit(one)
    finish(one)
    np.testing.assert_array_equal(one.total, [[5050.0]])
    assert (one.done, one.count, one.error) == (100, 100, None)
    assert not queue.status(one).is_queued
    runs = [number for _, numbers in worker.asked for number in numbers]
    assert runs == list(range(100))


def test_a_search_goes_through_all_photos_once(worker: Worker) -> None:
    asked = []

    def look_on(_model: Any, question: Any, earlier: Any, start: int, stop: int, _card: Any) -> Any:
        seen = tuple(one.name for one in question.seen(start, stop))
        asked.append(len(seen))
        return (*(earlier or ()), *seen)

    names = tuple(f"photo {at}" for at in range(20))
    source = PhotoSource("photos", names, lambda name: as_picture(PHOTO))
    steps = Preprocessing(height=2, width=2, fit="stretch", interpolation="nearest")
    one = SeriesJob("a", TRUSTED, None, None, PhotoSearch("key", source, steps))
    queue = SeriesQueue(lambda _: True, worker.run_part, lambda: worker.now, look_on=look_on)
    queue.submit(one)
    finish(one)
    assert one.total == names
    assert (one.done, one.count) == (20, 20)
    assert asked == [1, 2, 4, 8, 5]


@pytest.mark.parametrize(("seconds", "largest"), [(0.01, 10), (0.05, 2), (1.0, 1), (1e-4, 64)])
def test_a_part_grows_until_it_takes_a_tenth_of_a_second(
    worker: Worker, queue: SeriesQueue, seconds: float, largest: int
) -> None:
    worker.seconds = seconds
    one = job("a", runs=2000)
    queue.submit(one)
    finish(one)
    lengths = [len(numbers) for _, numbers in worker.asked]
    # One, then two, four …: the first may have to load a model.
    assert lengths[:3] == [min(size, largest) for size in (1, 2, 4)]
    assert max(lengths) == largest
    assert largest == 1 or largest * seconds <= PART_SECONDS


def test_parts_are_smaller_while_others_ask(worker: Worker, queue: SeriesQueue) -> None:
    """A part's time is also that of the questions before it."""
    one = job("a", runs=400)
    worker.hold()
    queue.submit(one)
    worker.let_go(12)
    until(lambda: len(worker.asked) == 13)
    assert len(worker.asked[-1][1]) >= 9
    worker.before = 0.1
    worker.let_go(12)
    until(lambda: len(worker.asked) == 25)
    assert len(worker.asked[-1][1]) < 5
    worker.before = 0.0
    worker.let_go(12)
    until(lambda: len(worker.asked) == 37)
    assert len(worker.asked[-1][1]) >= 9
    worker.let_go(100)
    finish(one)


def test_equal_jobs_come_in_the_order_in_which_they_were_asked_for(
    worker: Worker, queue: SeriesQueue
) -> None:
    jobs = [job(name, runs=30) for name in "abc"]
    start_all(worker, queue, *jobs)
    assert [queue.status(one).before for one in jobs] == [0, 1, 2]
    worker.let_go(100)
    finish(*jobs)
    assert worker.order[-3:] == ["a", "b", "c"]
    for one in jobs:
        np.testing.assert_array_equal(one.total, [[465.0]])


def test_a_short_job_passes_long_ones_that_have_not_waited_long(
    worker: Worker, queue: SeriesQueue
) -> None:
    first, second, short = job("first", 500), job("second", 500), job("short", 20)
    start_all(worker, queue, first, second, short)
    assert [queue.status(one).before for one in (short, first, second)] == [0, 1, 2]
    worker.let_go(500)
    finish(first, second, short)
    assert worker.order[-3:] == ["short", "first", "second"]


def test_a_long_job_that_has_waited_for_long_is_not_passed(
    worker: Worker, queue: SeriesQueue
) -> None:
    first, second = job("first", 500), job("second", 500)
    start_all(worker, queue, first, second)
    worker.now += 300
    late = job("late", 20)
    queue.submit(late)
    assert queue.status(late).before == 2
    worker.let_go(500)
    finish(first, second, late)
    assert worker.order[-3:] == ["first", "second", "late"]


def test_a_stopped_job_keeps_what_is_done_and_goes_on(worker: Worker, queue: SeriesQueue) -> None:
    one = job("a", runs=50)
    worker.hold()
    queue.submit(one)
    worker.let_go(2)
    until(lambda: len(worker.asked) == 3)
    queue.stop(one)
    assert not queue.status(one).is_queued
    # The part that was under way counts.
    worker.let_go()
    until(lambda: one.done == 7)
    assert len(worker.asked) == 3
    queue.submit(one)
    worker.let_go(50)
    finish(one)
    np.testing.assert_array_equal(one.total, [[1275.0]])


def test_going_on_at_once_does_not_run_a_part_twice(worker: Worker, queue: SeriesQueue) -> None:
    one = job("a", runs=20)
    worker.hold()
    queue.submit(one)
    assert worker.begun.acquire(timeout=10)
    queue.stop(one)
    queue.submit(one)
    worker.let_go(50)
    finish(one)
    np.testing.assert_array_equal(one.total, [[210.0]])


def test_the_shortest_job_of_a_session_is_first(worker: Worker, queue: SeriesQueue) -> None:
    """A verdict before RISE, also where RISE is the one that has waited for long."""
    rise, other, verdict = job("rise", 500), job("other", 20), job("verdict", 64)
    rise.session = verdict.session = "me"
    start_all(worker, queue, rise, other)
    worker.now += 300
    queue.submit(verdict)
    # Nobody else is before the person's own turn, though it is not this job's.
    assert [queue.status(one).before for one in (rise, verdict, other)] == [1, 1, 0]
    worker.let_go(500)
    finish(rise, other, verdict)
    assert worker.order[-3:] == ["other", "verdict", "rise"]


def test_short_jobs_of_one_session_do_not_keep_others_waiting(
    worker: Worker, queue: SeriesQueue
) -> None:
    first, mine, second = job("first", 64), job("mine", 64), job("second", 64)
    first.session = second.session = "me"
    start_all(worker, queue, first, mine)
    queue.submit(second)
    worker.let_go(500)
    finish(first, mine, second)
    assert worker.order[-3:] == ["first", "mine", "second"]


def test_waiting_for_a_job(worker: Worker, queue: SeriesQueue) -> None:
    one, wrong = job("one", 20), job("wrong")
    worker.hold()
    queue.submit(one)
    assert not one.wait(0.01)
    queue.submit(one)
    worker.let_go(100)
    assert one.wait(10)
    # It was submitted twice, and ran once.
    assert [number for _, numbers in worker.asked for number in numbers] == list(range(20))
    worker.errors = [TargetError("No such class.")]
    queue.submit(wrong)
    assert wrong.wait(10)


def test_the_job_of_a_closed_tab_ends(worker: Worker, queue: SeriesQueue) -> None:
    gone, waiting, stays = job("gone"), job("waiting"), job("stays")
    start_all(worker, queue, gone, waiting, stays)
    worker.closed |= {"gone", "waiting"}
    worker.let_go(50)
    finish(stays)
    for one in (gone, waiting):
        assert one.done < 10
        assert not queue.status(one).is_queued


def test_a_process_that_stops_is_asked_once_more(worker: Worker, queue: SeriesQueue) -> None:
    one = job("a", runs=30)
    worker.errors = [WorkerError("It stopped.")]
    queue.submit(one)
    finish(one)
    assert one.error is None
    np.testing.assert_array_equal(one.total, [[465.0]])


@pytest.mark.parametrize(
    ("errors", "parts"),
    [
        ([WorkerError("It stopped.")] * 2, 2),
        ([WorkerError("Too late.", again=False)], 1),
        ([TargetError("No such class.")], 1),
    ],
)
def test_an_error_ends_a_job_and_not_the_others(
    worker: Worker, queue: SeriesQueue, errors: list[Exception], parts: int
) -> None:
    wrong, other = job("wrong"), job("other")
    worker.errors = list(errors)
    queue.submit(wrong)
    until(lambda: wrong.error is not None)
    queue.submit(other)
    finish(other)
    assert wrong.error is errors[-1]
    assert not queue.status(wrong).is_queued
    assert [name for name, _ in worker.asked].count("wrong") == parts


def test_what_nobody_expects_ends_a_job_with_a_message(
    worker: Worker, queue: SeriesQueue, caplog: pytest.LogCaptureFixture
) -> None:
    wrong, other = job("wrong"), job("other")
    worker.errors = [ZeroDivisionError("in a part")]
    queue.submit(wrong)
    queue.submit(other)
    finish(other)
    assert isinstance(wrong.error, ModelError)
    assert "in a part" in caplog.text


def test_an_untrusted_model_delays_only_its_own_jobs(worker: Worker, queue: SeriesQueue) -> None:
    slow = ModelFile("slow.keras", 0, 0, 0)
    stuck, waits, trusted = job("stuck", model=slow), job("waits", model=slow), job("trusted")
    worker.hold()
    queue.submit(stuck)
    queue.submit(waits)
    assert worker.begun.acquire(timeout=10)
    gate, worker.gate = worker.gate, None
    queue.submit(trusted)
    finish(trusted)
    assert stuck.done == waits.done == 0
    assert queue.status(stuck).before == 0
    assert queue.status(waits).before == 1
    assert gate is not None
    gate.release()
    finish(stuck, waits)


def test_the_seconds_that_are_left(worker: Worker, queue: SeriesQueue) -> None:
    one = job("a", runs=100)
    assert one.seconds_left is None
    worker.hold()
    queue.submit(one)
    worker.let_go(3)
    until(lambda: one.done == 7)
    assert one.seconds_left == pytest.approx(0.93)
    worker.let_go(100)
    finish(one)


def test_a_thread_runs_only_while_there_are_jobs(worker: Worker, queue: SeriesQueue) -> None:
    threads = threading.active_count()
    worker.hold()
    for name in "abc":
        queue.submit(job(name))
    assert threading.active_count() == threads + 1
    worker.let_go(100)
    until(lambda: threading.active_count() == threads)
    # And a new one starts with the next job.
    again = job("again")
    queue.submit(again)
    finish(again)


def test_an_ascent_goes_on_from_its_state(worker: Worker) -> None:
    parts: list[tuple[int, int]] = []

    def ascend(_: Any, question: AscentQuestion, state: Any, steps: int, _card: Any) -> AscentState:
        done = 0 if state is None else state.step
        parts.append((done, steps))
        worker.now += 0.01 * steps
        last = min(done + steps, question.ascent.steps)
        empty = np.zeros((1, 1), np.float32)
        return AscentState(last, empty, empty, empty, empty, empty.astype(np.uint8))

    queue = SeriesQueue(lambda _: True, clock=lambda: worker.now, ascend=ascend)
    question = AscentQuestion((Objective(None, 0),), replace(OF_CLASSES, steps=20))
    job = SeriesJob("a", TRUSTED, None, None, question)
    queue.submit(job)
    until(lambda: job.is_finished)
    assert isinstance(job.total, AscentState)
    assert (job.total.step, job.done, job.count) == (20, 20, 20)
    assert [done for done, _ in parts] == [0, 1, 3, 7, 15]
