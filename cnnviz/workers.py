"""Worker processes: networks live there, and whoever asks never imports TensorFlow.

loky runs the processes. A worker that dies, whatever the reason, is replaced; who waited
for its answer gets a ``WorkerError``, and the next call finds a new one.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loky.process_executor import (
    BrokenProcessPool,
    ProcessPoolExecutor,
    ShutdownExecutorError,
)

from cnnviz.cards import card_path
from cnnviz.errors import CnnvizError, ModelError, WorkerError
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

# The processes died, or somebody else's question was stuck in them and they were stopped.
_GONE = (BrokenProcessPool, ShutdownExecutorError)

_log = logging.getLogger(__name__)
_lock = threading.RLock()
_executor: ProcessPoolExecutor | None = None
# The processes that were told to load and compile the models.
_prepared: ProcessPoolExecutor | None = None


@dataclass(frozen=True)
class ModelFile:
    """A saved model on disk, as it is now: a change of it, or of its card, makes it another one.

    Attributes:
        path: the file.
        modified: when it was written, in nanoseconds since 1970.
        size: in bytes.
        card_modified: when the card beside it was written; 0 without a card.
    """

    path: str
    modified: int
    size: int
    card_modified: int

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return Path(self.path).stem


def model_file(path: str | Path) -> ModelFile:
    """Looks at a model file without reading it.

    Raises:
        ModelError: there is no such file.
    """
    try:
        status = Path(path).stat()
    except OSError as error:
        raise ModelError(f"There is no model file at {path}.") from error
    card = card_path(path)
    card_modified = card.stat().st_mtime_ns if card.exists() else 0
    return ModelFile(str(path), status.st_mtime_ns, status.st_size, card_modified)


def call(function: str, model: ModelFile, *args: Any, **kwargs: Any) -> Any:
    """Calls one of the backend's functions on a model, in a worker process.

    Args:
        function: ``activations``, ``explain``, ``filters``, ``outline``, ``predict`` or
            ``prepare``: those of the public API that take a network.
        model: the model; the worker loads it once and keeps it while there is room.
        args: what the function takes after the network.
        kwargs: its keyword arguments.

    Returns:
        What the function returns.

    Raises:
        WorkerError: the process died, or gave no answer in time.
        CnnvizError: whatever the function raises.
    """
    executor, seconds = _current(), _SECONDS
    try:
        return executor.submit(_answer, function, model, args, kwargs).result(seconds)
    except _GONE as error:
        _discard(executor)
        raise WorkerError(
            "The process that runs the networks stopped before it answered. "
            "A new one is being started; nothing of yours is lost."
        ) from error
    except futures.TimeoutError as error:
        _discard(executor)
        raise WorkerError(
            f"The network gave no answer within {seconds} seconds, so it was stopped. "
            "A new process is being started; nothing of yours is lost."
        ) from error


def start(models: Sequence[ModelFile]) -> None:
    """Starts the workers, and has one load and compile some models, in this order.

    Returns at once, and does nothing more until the processes have been replaced. Of more
    models than a worker keeps it takes the first ones, so that none drives out another. The
    steps are handed over one by one, so that a visitor's question never waits for more than
    one of them.
    """
    kept = models[: read_settings().networks]
    steps = [(function, model) for model in kept for function in ("outline", "prepare")]
    global _prepared
    with _lock:
        if steps and (_executor is None or _executor is not _prepared):
            _prepared = _current()
            _next_step(steps)


def _next_step(steps: list[tuple[str, ModelFile]]) -> None:
    function, model = steps[0]

    def go_on(done: futures.Future[Any]) -> None:
        if done.cancelled() or isinstance(done.exception(), _GONE):
            return
        if done.exception() is not None:
            _log.warning("Could not prepare %s: %s", model.path, done.exception())
        if steps[1:]:
            _next_step(steps[1:])

    _current().submit(_answer, function, model, (), {}).add_done_callback(go_on)


def _current() -> ProcessPoolExecutor:
    """The processes in use; they are started if there are none."""
    global _executor
    with _lock:
        if _executor is None:
            settings = read_settings()
            _executor = ProcessPoolExecutor(
                settings.workers,
                initializer=_initialise,
                initargs=(settings, os.getpid()),
                env={"TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        return _executor


def _discard(broken: ProcessPoolExecutor) -> None:
    """Leaves these processes, if nobody did before; the next call starts new ones."""
    global _executor
    with _lock:
        if _executor is broken:
            _executor = None
    broken.shutdown(wait=False, kill_workers=True)


# From here on: what runs inside a worker.

_networks: OrderedDict[ModelFile, Any] = OrderedDict()
_most = 1


def _initialise(settings: Settings, parent: int) -> None:
    global _most
    _most = settings.networks
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    # TensorFlow makes hundreds of thousands of objects that stay: to count them again
    # and again in the middle of the import takes a sixth of its time.
    gc.disable()
    import tensorflow as tf

    if settings.threads:
        tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    importlib.import_module("cnnviz.outlines")
    gc.enable()


def _follow(parent: int) -> None:
    """Ends this process when the one that started it is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def _answer(function: str, model: ModelFile, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        home = importlib.import_module(f"cnnviz.{_FUNCTIONS[function]}")
        return getattr(home, function)(_network(model), *args, **kwargs)
    except CnnvizError:
        raise
    # An error of TensorFlow's could not be read without TensorFlow.
    except Exception as error:  # noqa: BLE001
        _log.exception("%s failed on %s", function, model.path)
        raise ModelError(
            f"The network could not be run: {type(error).__name__}. The server's log says more."
        ) from None


def _network(model: ModelFile) -> Any:
    if model in _networks:
        _networks.move_to_end(model)
        return _networks[model]
    from cnnviz.loading import load_model

    while len(_networks) >= _most:
        _networks.popitem(last=False)
    _networks[model] = load_model(model.path)
    # loky collects garbage after a call; what stays need not be looked at every time.
    gc.collect()
    gc.freeze()
    return _networks[model]
