"""Worker processes: networks live there, and whoever asks never imports TensorFlow.

Trusted models share the workers. A model that is not trusted, a guest, has a process of its own,
confined for good before it opens the file, so that not even a crash in native code reaches what
anybody else is looking at. loky runs the processes. One that dies, whatever the reason, is
replaced; who waited for its answer gets a ``WorkerError``, and the next call finds a new one.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loky.process_executor import (
    BrokenProcessPool,
    ProcessPoolExecutor,
    ShutdownExecutorError,
)

from cnnviz.answers import GuardedConnection
from cnnviz.cards import ModelCard, changed
from cnnviz.errors import CnnvizError, ModelError, WorkerError
from cnnviz.model_files import ModelFile
from cnnviz.settings import Settings, read_settings

# What may be asked of a worker, and where it lives.
_FUNCTIONS = {
    "activations": "feature_maps",
    "explain": "explanations",
    "filters": "kernels",
    "outline": "outlines",
    "predict": "predictions",
    "prepare": "outlines",
}

# A call takes a small part of this, others before it included; one that does not is stuck.
_SECONDS = 120
_GUEST_SECONDS = 60

# The processes died, or somebody else's question was stuck in them and they were stopped.
_GONE = (BrokenProcessPool, ShutdownExecutorError)

# The home of all trusted models; a guest's home is its file.
_SHARED = ""

_log = logging.getLogger(__name__)
_lock = threading.RLock()


@dataclass(eq=False)
class _Home:
    """The processes of some models.

    Attributes:
        executor: runs them.
        folder: where a guest's process puts temporary files; it goes with the process.
        waiting: how many wait for an answer.
    """

    executor: ProcessPoolExecutor
    folder: TemporaryDirectory[str] | None = None
    waiting: int = 0


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
            return home.executor.submit(_answer, function, model, args, kwargs).result(seconds)
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

    home.executor.submit(_answer, function, model, (), {}).add_done_callback(go_on)


def _home_name(model: ModelFile) -> str:
    return _SHARED if model.trusted else model.path


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
            if name != _SHARED:
                _make_room(settings.guests)
            _homes[name] = _open_home(settings, guest=name != _SHARED)
        _homes.move_to_end(name)
        return _homes[name]


def _make_room(most: int) -> None:
    """Gives away the guests that were not used for longest, until one more is no more than most.

    Raises:
        WorkerError: somebody waits for an answer of each.
    """
    guests = [name for name in _homes if name != _SHARED]
    idle = [name for name in guests if not _homes[name].waiting]
    surplus = len(guests) + 1 - most
    if surplus > len(idle):
        raise WorkerError(
            f"All {most} places for people's own models are busy. Try again in a moment.",
            again=False,
        )
    for name in idle[: max(0, surplus)]:
        _discard(_homes[name])


def _open_home(settings: Settings, *, guest: bool) -> _Home:
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    folder = None
    if guest:
        folder = TemporaryDirectory(prefix="cnnviz-guest-", ignore_cleanup_errors=True)
        # Each of glibc's heaps takes address space, which is what is limited.
        environment |= {"TMPDIR": folder.name, "MALLOC_ARENA_MAX": "4"}
    executor = ProcessPoolExecutor(
        1 if guest else settings.workers,
        initializer=_initialise,
        initargs=(settings, os.getpid(), folder.name if folder else None),
        env=environment,
    )
    if guest:
        # Whoever took over the process must not be able to have this one run anything.
        executor._result_queue._reader = GuardedConnection(executor._result_queue._reader)
    return _Home(executor, folder)


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


# From here on: what runs inside a worker.

# Each thread of a guest takes address space; a stranger's model need not have all cores.
_GUEST_THREADS = 2

_networks: OrderedDict[ModelFile, Any] = OrderedDict()
# The same by the cards that people set in the app: little more than the cards.
_carded: OrderedDict[ModelFile, Any] = OrderedDict()
_MOST_CARDS = 8
_most = 1


def _initialise(settings: Settings, parent: int, folder: str | None) -> None:
    global _most
    guest = folder is not None
    _most = 1 if guest else settings.networks
    threading.Thread(target=_follow, args=(parent, folder), daemon=True).start()
    if guest:
        # TensorFlow comes later, so that a file that is refused is refused at once.
        from cnnviz.confinement import confine

        confine(settings.guest_gb << 30)
    else:
        _import_tensorflow(settings.threads)


def _import_tensorflow(threads: int) -> None:
    # TensorFlow makes hundreds of thousands of objects that stay: to count them again
    # and again in the middle of the import takes a sixth of its time.
    gc.disable()
    import tensorflow as tf

    # 0 leaves the choice to TensorFlow.
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    importlib.import_module("cnnviz.outlines")
    gc.enable()


def _follow(parent: int, folder: str | None) -> None:
    """Ends this process when the one that started it is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(1)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _answer(function: str, model: ModelFile, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        network = _network(model)
        home = importlib.import_module(f"cnnviz.{_FUNCTIONS[function]}")
        return getattr(home, function)(network, *args, **kwargs)
    except CnnvizError:
        raise
    # An error of TensorFlow's could not be read without TensorFlow.
    except Exception as error:  # noqa: BLE001
        _log.exception("%s failed on %s", function, model.path)
        raise ModelError(
            f"The network could not be run: {type(error).__name__}. The server's log says more."
        ) from None


def _network(model: ModelFile) -> Any:
    base = _loaded(replace(model, card="", title=""))
    if not model.card and not model.title:
        return base
    known = _carded.get(model)
    if known is None or known.model is not base.model:
        from cnnviz.loading import with_card

        while len(_carded) >= _MOST_CARDS:
            _carded.popitem(last=False)
        if model.card:
            card = ModelCard.model_validate_json(model.card)
        else:
            card = changed(base.card, title=model.title)
        known = _carded[model] = with_card(base, card)
    return known


def _loaded(model: ModelFile) -> Any:
    if model in _networks:
        _networks.move_to_end(model)
        return _networks[model]
    while len(_networks) >= _most:
        _networks.popitem(last=False)
    _networks[model] = _load(model)
    # loky collects garbage after a call; what stays need not be looked at every time.
    gc.collect()
    gc.freeze()
    return _networks[model]


def _load(model: ModelFile) -> Any:
    if not model.trusted:
        from cnnviz import inspection

        if not Path(model.path).exists():
            raise ModelError(
                "This model was put away, because others needed the room. Upload it again."
            )
        look = inspection.inspect_inner_model if model.inner else inspection.inspect_model
        look(Path(model.path))
        _import_tensorflow(read_settings().threads or _GUEST_THREADS)
    from cnnviz import loading

    if model.inner:
        return loading.extract_model(model.path)
    return loading.load_model(model.path, trusted=model.trusted)
