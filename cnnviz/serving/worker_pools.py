"""Pools of worker processes, and which of them runs a model.

Trusted models share one pool; the checkpoints of trainings share another one, so that they do not
evict the networks that everybody uses. A model that is not trusted has a pool of one process,
confined for good before it opens the file, so that not even a crash in native code affects another
model. loky runs the processes. A pool whose process dies is discarded, and the next call opens a
new one.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

from loky.process_executor import ProcessPoolExecutor

from cnnviz.errors import WorkerError
from cnnviz.serving import temporary_folders
from cnnviz.serving.answers import GuardedConnection
from cnnviz.serving.model_files import ModelFile
from cnnviz.serving.worker_process import initialise
from cnnviz.settings import Settings, check_tensorflow, read_settings

# The names of the pools of trusted models; that of an untrusted model is its path.
SHARED = "shared"
CHECKPOINTS = "checkpoints"

_lock = threading.RLock()


@dataclass(eq=False)
class WorkerPool:
    """The processes that run some models.

    Attributes:
        name: ``SHARED``, ``CHECKPOINTS``, or the path of an untrusted model.
        executor: runs the processes.
        folder: for the temporary files of an untrusted model's process; deleted with the pool.
        waiting: how many callers wait for an answer.
        turn: what a call of an untrusted model holds while it is answered.
    """

    name: str
    executor: ProcessPoolExecutor
    folder: TemporaryDirectory[str] | None = None
    waiting: int = 0
    turn: AbstractContextManager[Any] = field(default_factory=nullcontext)

    @property
    def untrusted(self) -> bool:
        """Whether its model is not trusted, and its process therefore confined."""
        return self.folder is not None


# By name, the one that was used last at the end.
_pools: OrderedDict[str, WorkerPool] = OrderedDict()


def running() -> list[WorkerPool]:
    """The pools that are open, the one that was used last at the end."""
    with _lock:
        return list(_pools.values())


def find(model: ModelFile) -> WorkerPool | None:
    """The pool of a model, or None if it is not open."""
    with _lock:
        return _pools.get(_name(model))


def open_pool(model: ModelFile) -> WorkerPool:
    """The pool of a model, which is opened if necessary.

    Raises:
        CnnvizError: TensorFlow is not installed.
        WorkerError: the model is not trusted, and all processes for such models are in use.
    """
    name = _name(model)
    with _lock:
        if name not in _pools:
            check_tensorflow()
            settings = read_settings()
            if not model.trusted:
                _close_surplus(settings.untrusted_processes)
            _pools[name] = _started(settings, name, untrusted=not model.trusted)
        _pools.move_to_end(name)
        return _pools[name]


@contextmanager
def waiting_for(model: ModelFile) -> Iterator[WorkerPool]:
    """The pool of a model, which nobody closes to make room while the caller waits.

    Raises:
        WorkerError: the model is not trusted, and all processes for such models are in use.
    """
    with _lock:
        pool = open_pool(model)
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


def discard(pool: WorkerPool) -> None:
    """Stops a pool's processes; the next call opens a new pool."""
    with _lock:
        if _pools.get(pool.name) is pool:
            del _pools[pool.name]
    # In the background: killing takes a moment, and only then can the files be deleted for good.
    threading.Thread(target=_close, args=(pool,), daemon=True).start()


def _name(model: ModelFile) -> str:
    if not model.trusted:
        return model.path
    return CHECKPOINTS if model.checkpoint else SHARED


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


def _started(settings: Settings, name: str, *, untrusted: bool) -> WorkerPool:
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    folder = None
    if untrusted:
        folder = temporary_folders.make("untrusted")
        # Each of glibc's heaps takes address space, which is what is limited.
        environment |= {"TMPDIR": folder.name, "MALLOC_ARENA_MAX": "4"}
    executor = ProcessPoolExecutor(
        settings.workers if name == SHARED else 1,
        initializer=initialise,
        initargs=(settings, os.getpid(), folder.name if folder else None),
        env=environment,
    )
    if untrusted:
        # A process that was taken over must not be able to run anything in this one.
        executor._result_queue._reader = GuardedConnection(executor._result_queue._reader)
    return WorkerPool(name, executor, folder, turn=threading.Lock() if untrusted else nullcontext())


def _close(pool: WorkerPool) -> None:
    pool.executor.shutdown(wait=True, kill_workers=True)
    if pool.folder is not None:
        pool.folder.cleanup()
