"""Questions about networks, answered by worker processes: the caller never imports TensorFlow.

Each function here is one of the public API that takes a network, with a model file in place of
the network. `worker_pools` decides which process is asked first; what needs TensorFlow, and is
refused by a process without it, goes on to one with it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from cnnviz.attribution.details import CELLS
from cnnviz.errors import TensorFlowNeededError, WorkerError
from cnnviz.serving import background_conversion, worker_pools
from cnnviz.serving.worker_pools import WorkerPool
from cnnviz.serving.worker_process import Function, WorkerCall
from cnnviz.settings import read_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnviz.arrays import Floats
    from cnnviz.attribution.series import SeriesQuestion
    from cnnviz.cards import ModelCard
    from cnnviz.features.objectives import AscentQuestion, AscentState, Objective, PictureCheck
    from cnnviz.photos.preprocessing import PhotoInput
    from cnnviz.photos.sources import SeenPhoto
    from cnnviz.results import (
        ClassExemplars,
        Exemplars,
        Explanation,
        Filters,
        Outline,
        PartSearch,
        Prediction,
        SeriesPart,
    )
    from cnnviz.serving.model_files import ModelFile
    from cnnviz.traces import StagedExplanation, ValueTrace

_log = logging.getLogger(__name__)

_lock = threading.Lock()
_before_tensorflow: ContextVar[Callable[[], None]] = ContextVar("before_tensorflow")
_without_tensorflow: ContextVar[bool] = ContextVar("without_tensorflow", default=False)
# What is done with each model at the start.
_PREPARING: tuple[Function, ...] = ("outline", "prepare")
# Seconds after which the second model follows the first one, which the first page shows: until then
# its browser needs the processors.
_PAUSE = 5


def outline(model: ModelFile, card: ModelCard | None = None) -> Outline:
    """The layers of a network, how it ends, and its card.

    Args:
        model: the model.
        card: takes the place of the model's own card.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: the model cannot be loaded.
    """
    return call(WorkerCall("outline", model, card))


def prepare(model: ModelFile) -> None:
    """Compiles the view on all maps of a network, so that later calls are quick.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: the model cannot be loaded.
    """
    call(WorkerCall("prepare", model))


def predict(model: ModelFile, photo: PhotoInput, card: ModelCard | None = None) -> Prediction:
    """``cnnviz.predict`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``cnnviz.predict``.
    """
    return call(WorkerCall("predict", model, card, (photo,)))


def filters(model: ModelFile, layer: str) -> Filters:
    """``cnnviz.filters`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``cnnviz.filters``.
    """
    return call(WorkerCall("filters", model, None, (layer,)))


def activations(
    model: ModelFile, photo: PhotoInput, layers: Iterable[str], card: ModelCard | None = None
) -> dict[str, Floats]:
    """``cnnviz.activations`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``cnnviz.activations``.
    """
    return call(WorkerCall("activations", model, card, (photo, tuple(layers))))


def explain(
    model: ModelFile,
    photo: PhotoInput,
    targets: Sequence[str | int] = (),
    *,
    method: str | None = None,
    layer: str | None = None,
    against: str | int | None = None,
    detail: str = CELLS,
    card: ModelCard | None = None,
) -> Explanation:
    """``cnnviz.explain`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``cnnviz.explain``.
    """
    options = {"method": method, "layer": layer, "against": against, "detail": detail}
    return call(WorkerCall("explain", model, card, (photo, tuple(targets)), options))


def run_part(
    model: ModelFile,
    photo: PhotoInput,
    question: SeriesQuestion,
    start: int,
    stop: int,
    card: ModelCard | None = None,
) -> SeriesPart:
    """``series_runs.run_part`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``series_runs.run_part``.
    """
    return call(WorkerCall("run_part", model, card, (photo, question, start, stop)))


def explain_sum(
    model: ModelFile,
    photo: PhotoInput,
    question: SeriesQuestion,
    total: Floats,
    count: int,
    card: ModelCard | None = None,
) -> Explanation:
    """``series_runs.explain_sum`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``series_runs.explain_sum``.
    """
    return call(WorkerCall("explain_sum", model, card, (photo, question, total, count)))


def search_part(
    model: ModelFile,
    photo: PhotoInput,
    search: PartSearch | None = None,
    *,
    target: str | int | None = None,
    keep: bool,
    side: int,
    filling: str,
    card: ModelCard | None = None,
) -> PartSearch:
    """``smallest_parts.search_part`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``smallest_parts.search_part``.
    """
    options = {"target": target, "keep": keep, "side": side, "filling": filling}
    return call(WorkerCall("search_part", model, card, (photo, search), options))


def find_exemplars(
    model: ModelFile,
    photos: Sequence[SeenPhoto],
    layer: str,
    channels: Sequence[int],
    card: ModelCard | None = None,
) -> Exemplars:
    """``exemplars.find_exemplars`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``exemplars.find_exemplars``.
    """
    return call(WorkerCall("find_exemplars", model, card, (tuple(photos), layer, tuple(channels))))


def find_class_exemplars(
    model: ModelFile,
    photos: Sequence[SeenPhoto],
    truths: Mapping[str, str],
    card: ModelCard | None = None,
) -> tuple[ClassExemplars, ...]:
    """``class_exemplars.find_class_exemplars`` of all classes in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``class_exemplars.find_class_exemplars``.
    """
    args = tuple(photos), (), dict(truths)
    return call(WorkerCall("find_class_exemplars", model, card, args))


def ascend(
    model: ModelFile,
    question: AscentQuestion,
    state: AscentState | None,
    steps: int,
    card: ModelCard | None = None,
) -> AscentState:
    """``maximization.ascend`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``maximization.ascend``.
    """
    return call(WorkerCall("ascend", model, card, (question, state, steps)))


def check_pictures(
    model: ModelFile,
    objectives: Sequence[Objective],
    pictures: NDArray[np.uint8],
    seed: int,
    crops: int,
    card: ModelCard | None = None,
) -> PictureCheck:
    """``maximization.check_pictures`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``maximization.check_pictures``.
    """
    args = tuple(objectives), pictures, seed, crops
    return call(WorkerCall("check_pictures", model, card, args))


def explain_stages(
    model: ModelFile,
    photo: PhotoInput,
    targets: Sequence[str | int] = (),
    card: ModelCard | None = None,
) -> StagedExplanation:
    """``cnnviz.explain_stages`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``cnnviz.explain_stages``.
    """
    return call(WorkerCall("explain_stages", model, card, (photo, tuple(targets))))


def trace_value(
    model: ModelFile,
    photo: PhotoInput,
    layer: str,
    row: int,
    column: int,
    channel: int,
    card: ModelCard | None = None,
) -> ValueTrace:
    """``cnnviz.trace_value`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``cnnviz.trace_value``.
    """
    return call(WorkerCall("trace_value", model, card, (photo, layer, row, column, channel)))


def trace_class_map(
    model: ModelFile,
    photo: PhotoInput,
    row: int,
    column: int,
    target: str | int | None = None,
    *,
    method: str | None = None,
    layer: str | None = None,
    against: str | int | None = None,
    card: ModelCard | None = None,
) -> ValueTrace:
    """``cnnviz.trace_class_map`` in a worker process.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: as ``cnnviz.trace_class_map``.
    """
    options = {"method": method, "layer": layer, "against": against}
    return call(WorkerCall("trace_class_map", model, card, (photo, row, column, target), options))


def call(question: WorkerCall, seconds: float | None = None) -> Any:
    """Has a worker process answer one call.

    Args:
        question: what is called, and on which model.
        seconds: how long to wait; that of the process's kind if None.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        TensorFlowNeededError: `without_tensorflow` it cannot be answered.
        CnnvizError: whatever the function raises.
    """
    try:
        return _ask(question, seconds)
    except TensorFlowNeededError as error:
        if _without_tensorflow.get():
            raise
        needed = error
    result = _ask(question, seconds, tensorflow=True)
    if needed.convertible:
        background_conversion.convert(question.model)
    return result


@contextmanager
def announcing_tensorflow(announce: Callable[[], None]) -> Iterator[None]:
    """Has a function called before a question of this thread waits for TensorFlow to start."""
    token = _before_tensorflow.set(announce)
    try:
        yield
    finally:
        _before_tensorflow.reset(token)


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """Has the questions of this thread be answered by a light worker, or refused."""
    token = _without_tensorflow.set(True)
    try:
        yield
    finally:
        _without_tensorflow.reset(token)


def start(models: Sequence[ModelFile]) -> None:
    """Starts the shared workers, and has one load and compile some models, in this order.

    Those with TensorFlow are started only where the settings say so, LiteRT is not installed, or
    the first model, which the first page shows, has no conversion.
    Returns at once, and does nothing more until the processes have been replaced. Of more
    models than a worker keeps it takes the first ones, so that none evicts another. The
    steps are submitted one by one, so that a visitor's call never waits for more than one
    of them; those of the second model some seconds after those of the first.
    """
    settings = read_settings()
    trusted = [model for model in models if model.trusted]
    kept = trusted[: settings.networks]
    steps = [WorkerCall(function, model) for model in kept for function in _PREPARING]
    if not steps:
        return
    with _lock:
        for tensorflow in (False, True) if settings.eager_tensorflow else (False,):
            pool = worker_pools.open_pool(kept[0], tensorflow=tensorflow)
            if isinstance(pool, WorkerPool) and not pool.is_prepared:
                pool.is_prepared = True
                _submit_next(pool, steps)


def start_tensorflow(model: ModelFile) -> None:
    """Starts the process with TensorFlow that a question will need, and has it load a model.

    Returns at once; an untrusted model's own process has TensorFlow anyway.
    """
    pool = worker_pools.open_pool(model, tensorflow=True)
    if isinstance(pool, WorkerPool) and not pool.is_prepared:
        pool.is_prepared = True
        _submit_next(pool, [WorkerCall("outline", model)])


def shutdown() -> None:
    """Stops all worker processes; the next call starts new ones."""
    for pool in worker_pools.running():
        worker_pools.discard(pool)


def _ask(question: WorkerCall, seconds: float | None, *, tensorflow: bool = False) -> Any:
    with worker_pools.waiting_for(question.model, tensorflow=tensorflow) as pool:
        if pool.starts_tensorflow:
            _before_tensorflow.get(lambda: None)()
        try:
            return pool.answer(question, seconds)
        except WorkerError:
            worker_pools.discard(pool)
            raise


def _submit_next(pool: WorkerPool, steps: list[WorkerCall], at: int = 0) -> None:
    step = steps[at]

    def go_on(done: futures.Future[Any]) -> None:
        if done.cancelled() or isinstance(done.exception(), worker_pools.GONE):
            return
        if not isinstance(done.exception(), TensorFlowNeededError | None):
            _log.warning("Could not prepare %s: %s", step.model.path, done.exception())
        # The server may be ending.
        with suppress(*worker_pools.GONE):
            if at == 0 and isinstance(done.exception(), TensorFlowNeededError):
                tensorflow = worker_pools.open_pool(step.model, tensorflow=True)
                if isinstance(tensorflow, WorkerPool):
                    _submit_next(tensorflow, steps[: len(_PREPARING)])
            if at + 1 == len(_PREPARING) < len(steps):
                later = threading.Timer(_PAUSE, _submit_later, (pool, steps, at + 1))
                later.daemon = True
                later.start()
            elif at + 1 < len(steps):
                _submit_next(pool, steps, at + 1)

    pool.submit(step).add_done_callback(go_on)


def _submit_later(pool: WorkerPool, steps: list[WorkerCall], at: int) -> None:
    # The pool may have been replaced, or the server be ending.
    with suppress(*worker_pools.GONE):
        _submit_next(pool, steps, at)
