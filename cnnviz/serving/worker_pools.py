"""Pools of worker processes, and which of them runs a model.

Trusted models share two pools: one of light processes, which answer with LiteRT about networks that
were converted, and one with TensorFlow for everything else. The checkpoints of trainings share
another one with TensorFlow, so that they do not evict the networks that everybody uses; loky runs
the processes of all three. A model that is not trusted has one process of its own, confined for
good before it opens the file, so that not even a crash in native code affects another model. A pool
whose process dies is discarded, and the next call opens a new one.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from loky.process_executor import (
    BrokenProcessPool,
    ProcessPoolExecutor,
    ShutdownExecutorError,
)

from cnnviz.errors import WorkerError
from cnnviz.sandbox.confinement import missing_protections, protect_memory
from cnnviz.serving import temporary_folders, worker_process
from cnnviz.serving.model_files import ModelFile
from cnnviz.serving.untrusted_processes import UntrustedProcess
from cnnviz.serving.worker_process import WorkerCall, initialise
from cnnviz.settings import Settings, check_tensorflow, read_settings

# The names of the pools of trusted models, the first one of light processes; that of an untrusted
# model is its path.
SHARED = "shared"
TENSORFLOW = "tensorflow"
CHECKPOINTS = "checkpoints"

# A call takes a small part of this; one that takes longer is stuck. The time in the queue counts,
# since the queue is short.
SECONDS = 120

# The processes died, or were stopped because another caller's call was stuck in them.
GONE = (BrokenProcessPool, ShutdownExecutorError)

_log = logging.getLogger(__name__)

_lock = threading.RLock()


class WorkerPool:
    """The processes that run trusted models.

    Attributes:
        name: ``SHARED``, ``TENSORFLOW`` or ``CHECKPOINTS``.
        folder: for their temporary files; deleted with the pool.
        executor: runs the processes.
        waiting: how many callers wait for an answer.
        is_prepared: whether it was given the models to prepare; see ``workers.start``.
    """

    untrusted = False

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self.waiting = 0
        self.is_prepared = False
        self._has_answered = False
        self.folder = temporary_folders.make("workers")
        self.executor = ProcessPoolExecutor(
            1 if name == CHECKPOINTS else settings.workers,
            initializer=initialise,
            initargs=(settings, os.getpid(), self.folder.name, name == SHARED),
            env={"TF_CPP_MIN_LOG_LEVEL": "3", "TMPDIR": self.folder.name},
        )

    @property
    def starts_tensorflow(self) -> bool:
        """Whether its next answer has to wait for the import of TensorFlow."""
        return self.name != SHARED and not self._has_answered

    def answer(self, question: WorkerCall, seconds: float | None = None) -> Any:
        """What a process answers.

        Args:
            question: what is called.
            seconds: how long to wait, also in the queue; ``SECONDS`` if None.

        Raises:
            WorkerError: the process died, or gave no answer in time: the pool is of no more use.
            CnnvizError: whatever the function raises.
        """
        seconds = SECONDS if seconds is None else seconds
        try:
            return self.submit(question).result(seconds)
        except GONE as error:
            raise WorkerError(
                "The process that runs the networks stopped before it answered. "
                "A new one is being started; nothing of yours is lost."
            ) from error
        except TimeoutError as error:
            raise WorkerError.too_late(seconds) from error

    def submit(self, question: WorkerCall) -> Future[Any]:
        """The answer of a process, once there is one.

        Raises:
            BrokenProcessPool, ShutdownExecutorError: as in ``GONE``.
        """
        future: Future[Any] = self.executor.submit(worker_process.answer, question)
        future.add_done_callback(self._note_answer)
        return future

    def _note_answer(self, done: Future[Any]) -> None:
        if not done.cancelled() and not isinstance(done.exception(), GONE):
            self._has_answered = True

    def close(self) -> None:
        """Kills the processes, and deletes their temporary files."""
        self.executor.shutdown(wait=True, kill_workers=True)
        self.folder.cleanup()


# By name, the one that was used last at the end.
_pools: OrderedDict[str, WorkerPool | UntrustedProcess] = OrderedDict()


def running() -> list[WorkerPool | UntrustedProcess]:
    """The pools that are open, the one that was used last at the end."""
    with _lock:
        return list(_pools.values())


def find(model: ModelFile) -> WorkerPool | UntrustedProcess | None:
    """The pool that is asked first about a model, or None if it is not open."""
    with _lock:
        return _pools.get(_name(model))


def open_pool(model: ModelFile, *, tensorflow: bool = False) -> WorkerPool | UntrustedProcess:
    """A pool for a model, which is opened if necessary.

    Args:
        model: the model.
        tensorflow: whether it must be one with TensorFlow; else it is the one to ask first.

    Raises:
        CnnvizError: TensorFlow is not installed.
        WorkerError: the model is not trusted, and all processes for such models are in use.
    """
    name = _name(model, tensorflow=tensorflow)
    with _lock:
        pool = _pools.get(name)
        # A confined process can read the file, and the card, that were there when it started.
        if isinstance(pool, UntrustedProcess) and pool.model != model:
            discard(pool)
            pool = None
        if pool is None:
            check_tensorflow()
            pool = _pools[name] = _started(read_settings(), model, name)
        _pools.move_to_end(name)
        return pool


@contextmanager
def waiting_for(
    model: ModelFile, *, tensorflow: bool = False
) -> Iterator[WorkerPool | UntrustedProcess]:
    """A pool for a model, which is not closed for another model while the caller waits.

    Args:
        model: the model.
        tensorflow: as for ``open_pool``.

    Raises:
        WorkerError: the model is not trusted, and all processes for such models are in use.
    """
    with _lock:
        pool = open_pool(model, tensorflow=tensorflow)
        pool.waiting += 1
    try:
        yield pool
    finally:
        with _lock:
            pool.waiting -= 1


def close_idle(model: ModelFile) -> None:
    """Ends the process of an untrusted model, if it has one and no caller waits for it."""
    with _lock:
        pool = find(model)
        if pool is not None and pool.untrusted and not pool.waiting:
            discard(pool)


def discard(pool: WorkerPool | UntrustedProcess) -> None:
    """Stops a pool's processes; the next call opens a new pool."""
    with _lock:
        if _pools.get(pool.name) is not pool:
            # Another caller does it already; two at once would disturb each other.
            return
        del _pools[pool.name]
    # In the background: killing takes a moment, and only then can the files be deleted for good.
    threading.Thread(target=pool.close, daemon=True).start()


def has_litert() -> bool:
    """Whether LiteRT is installed, which has no package for some systems."""
    return importlib.util.find_spec("ai_edge_litert") is not None


def _name(model: ModelFile, *, tensorflow: bool = False) -> str:
    if not model.trusted:
        return model.path
    if model.checkpoint:
        return CHECKPOINTS
    return TENSORFLOW if tensorflow or not has_litert() else SHARED


def _close_surplus(most: int) -> None:
    """Discards the untrusted models' pools that were used longest ago, until one more fits.

    Raises:
        WorkerError: callers wait for each of them.
    """
    pools = [pool for pool in _pools.values() if pool.untrusted]
    idle = [pool for pool in pools if not pool.waiting]
    surplus = len(pools) + 1 - most
    if surplus > len(idle):
        raise WorkerError(
            f"All {most} places for people's own models are busy. Try again in a moment.",
            again=False,
        )
    for pool in idle[: max(0, surplus)]:
        discard(pool)


def _started(settings: Settings, model: ModelFile, name: str) -> WorkerPool | UntrustedProcess:
    protect_memory()
    _warn_of_weak_protection()
    if model.trusted:
        return WorkerPool(settings, name)
    _close_surplus(settings.untrusted_processes)
    return UntrustedProcess(settings, model)


@functools.cache  # once in a process
def _warn_of_weak_protection() -> None:
    """Logs what makes the protection from untrusted models weaker than it could be."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        _log.warning(
            "THIS SERVER RUNS AS ROOT. A person who breaks into one of its processes has all "
            "rights on this machine: start it as another user."
        )
    for protection in missing_protections():
        _log.warning("Untrusted models are less confined, since this system lacks %s.", protection)
