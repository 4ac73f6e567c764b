"""Worker processes: networks live there, and whoever asks never imports TensorFlow.

Trusted models share the workers; the checkpoints of trainings have one of their own, so that they
do not drive out what everybody uses. A model that is not trusted, a guest, has a process of its
own, confined for good before it opens the file, so that not even a crash in native code reaches
what anybody else is looking at. loky runs the processes. One that dies, whatever the reason, is
replaced; who waited for its answer gets a ``WorkerError``, and the next call finds a new one.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

from loky.process_executor import (
    BrokenProcessPool,
    ProcessPoolExecutor,
    ShutdownExecutorError,
)

from cnnviz.errors import WorkerError
from cnnviz.serving import temporary_folders
from cnnviz.serving.answers import GuardedConnection
from cnnviz.serving.model_files import ModelFile
from cnnviz.serving.worker_process import answer, initialise
from cnnviz.settings import Settings, read_settings

# A call takes a small part of this; one that does not is stuck. The time in line counts at the
# shared processes, where the line is short; a guest may need most of its time for one answer.
_SECONDS = 120
_GUEST_SECONDS = 60

# The processes died, or somebody else's question was stuck in them and they were stopped.
_GONE = (BrokenProcessPool, ShutdownExecutorError)

# The home of all trusted models, and that of a training's checkpoints; a guest's home is its file.
_SHARED = ""
_CHECKPOINTS = "checkpoints"

_log = logging.getLogger(__name__)
_lock = threading.RLock()


@dataclass(eq=False)
class _Home:
    """The processes of some models.

    Attributes:
        executor: runs them.
        folder: where a guest's process puts temporary files; it goes with the process.
        waiting: how many wait for an answer.
        turn: what a guest's question holds from when it is its turn until it is answered.
    """

    executor: ProcessPoolExecutor
    folder: TemporaryDirectory[str] | None = None
    waiting: int = 0
    turn: AbstractContextManager[Any] = field(default_factory=nullcontext)


# By name; the one that was used last stands last.
_homes: OrderedDict[str, _Home] = OrderedDict()
# The processes that were told to load and compile the models.
_prepared: _Home | None = None


def call(function: str, model: ModelFile, *args: Any, **kwargs: Any) -> Any:
    """Calls one of the backend's functions on a model, in a worker process.

    Args:
        function: ``activations``, ``explain``, ``filters``, ``outline``, ``predict`` or
            ``prepare``: those of the public API that take a network.
        model: the model; a worker loads it once and keeps it while there is room.
        args: what the function takes after the network.
        kwargs: its keyword arguments.

    Returns:
        What the function returns.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: whatever the function raises.
    """
    seconds = _SECONDS if model.trusted else _GUEST_SECONDS
    with _waiting(model) as home:
        try:
            with home.turn:
                return home.executor.submit(answer, function, model, args, kwargs).result(seconds)
        except _GONE as error:
            _discard(home)
            raise WorkerError(
                "The process that runs the networks stopped before it answered. "
                "A new one is being started; nothing of yours is lost."
                if model.trusted
                else "The process that runs this model stopped before it answered: the model "
                "needs more memory than there is for it, or its file is damaged."
            ) from error
        except futures.TimeoutError as error:
            _discard(home)
            raise WorkerError(
                f"The network gave no answer within {seconds} seconds, so it was stopped. "
                "Nothing of yours is lost.",
                again=False,
            ) from error


def forget(model: ModelFile) -> None:
    """Ends the process of a guest, if it has one and nobody waits for its answer."""
    with _lock:
        home = None if model.trusted else _homes.get(_home_name(model))
        if home is not None and not home.waiting:
            _discard(home)


def is_busy(model: ModelFile) -> bool:
    """Whether somebody waits for an answer of a guest."""
    with _lock:
        home = _homes.get(_home_name(model))
        return home is not None and home.waiting > 0


def start(models: Sequence[ModelFile]) -> None:
    """Starts the workers, and has one load and compile some models, in this order.

    Returns at once, and does nothing more until the processes have been replaced. Of more
    models than a worker keeps it takes the first ones, so that none drives out another. The
    steps are handed over one by one, so that a visitor's question never waits for more than
    one of them.
    """
    trusted = [model for model in models if model.trusted]
    kept = trusted[: read_settings().networks]
    steps = [(function, model) for model in kept for function in ("outline", "prepare")]
    global _prepared
    with _lock:
        if steps and (_prepared is None or _homes.get(_SHARED) is not _prepared):
            _prepared = _home(_SHARED)
            _next_step(_prepared, steps)


def _next_step(home: _Home, steps: list[tuple[str, ModelFile]]) -> None:
    function, model = steps[0]

    def go_on(done: futures.Future[Any]) -> None:
        if done.cancelled() or isinstance(done.exception(), _GONE):
            return
        if done.exception() is not None:
            _log.warning("Could not prepare %s: %s", model.path, done.exception())
        if steps[1:]:
            _next_step(home, steps[1:])

    home.executor.submit(answer, function, model, (), {}).add_done_callback(go_on)


def _home_name(model: ModelFile) -> str:
    if not model.trusted:
        return model.path
    return _CHECKPOINTS if model.checkpoint else _SHARED


def _is_guest(name: str) -> bool:
    return name not in {_SHARED, _CHECKPOINTS}


@contextmanager
def _waiting(model: ModelFile) -> Iterator[_Home]:
    """The home of a model, which nobody gives away while an answer is waited for."""
    with _lock:
        home = _home(_home_name(model))
        home.waiting += 1
    try:
        yield home
    finally:
        with _lock:
            home.waiting -= 1


def _home(name: str) -> _Home:
    """The processes of that name; they are started if there are none."""
    with _lock:
        if name not in _homes:
            settings = read_settings()
            if _is_guest(name):
                _make_room(settings.untrusted_processes)
            _homes[name] = _open_home(settings, name)
        _homes.move_to_end(name)
        return _homes[name]


def _make_room(most: int) -> None:
    """Gives away the guests that were not used for longest, until one more is no more than most.

    Raises:
        WorkerError: somebody waits for an answer of each.
    """
    guests = [name for name in _homes if _is_guest(name)]
    idle = [name for name in guests if not _homes[name].waiting]
    surplus = len(guests) + 1 - most
    if surplus > len(idle):
        raise WorkerError(
            f"All {most} places for people's own models are busy. Try again in a moment.",
            again=False,
        )
    for name in idle[: max(0, surplus)]:
        _discard(_homes[name])


def _open_home(settings: Settings, name: str) -> _Home:
    guest = _is_guest(name)
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    folder = None
    if guest:
        folder = temporary_folders.make("guest")
        # Each of glibc's heaps takes address space, which is what is limited.
        environment |= {"TMPDIR": folder.name, "MALLOC_ARENA_MAX": "4"}
    executor = ProcessPoolExecutor(
        settings.workers if name == _SHARED else 1,
        initializer=initialise,
        initargs=(settings, os.getpid(), folder.name if folder else None),
        env=environment,
    )
    if guest:
        # Whoever took over the process must not be able to have this one run anything.
        executor._result_queue._reader = GuardedConnection(executor._result_queue._reader)
    return _Home(executor, folder, turn=threading.Lock() if guest else nullcontext())


def _discard(home: _Home) -> None:
    """Leaves these processes, if nobody did before; the next call starts new ones."""
    with _lock:
        for name in [name for name, other in _homes.items() if other is home]:
            del _homes[name]
    # In the background: to kill takes a moment, and only then do the files stay gone.
    threading.Thread(target=_close, args=(home,), daemon=True).start()


def _close(home: _Home) -> None:
    home.executor.shutdown(wait=True, kill_workers=True)
    if home.folder is not None:
        home.folder.cleanup()
