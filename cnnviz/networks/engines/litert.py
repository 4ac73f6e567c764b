"""Runs a converted network with LiteRT: scores and outputs of layers, in half of TensorFlow's time.

It has no gradients. An interpreter runs one photo at a time and in one thread at a time, so every
thread takes a free one, or makes one, which takes some tens of milliseconds.
"""

from __future__ import annotations

import functools
import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.networks.conversions import Converted, LiteNetwork, LostConversionError, is_whole
from cnnviz.networks.network import Network
from cnnviz.networks.structure import no_output
from cnnviz.networks.values import PassValues
from cnnviz.settings import read_settings

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

# What the free interpreters may hold: the maps of all layers of EfficientNet-Lite0 take 76 MB.
# Those of networks that nobody uses any more stay until others need their place.
_MAX_IDLE_BYTES = 320 << 20


@dataclass(frozen=True)
class _Idle:
    """A free interpreter.

    Attributes:
        sha256: of the file that it runs.
        threads: how many it uses.
        memory: about how many bytes it holds.
        interpreter: LiteRT's.
    """

    sha256: str
    threads: int
    memory: int
    interpreter: Any


_lock = threading.Lock()
# The one that was used last at the end.
_idle: list[_Idle] = []
# What LiteRT prints once in a process; it has no setting for that.
_GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
_greeting_lock = threading.Lock()
_has_greeted = False


def forward(network: Network, inputs: NDArray[np.float32], layers: frozenset[str]) -> PassValues:
    """See ``passes.forward``; the network was converted.

    Raises:
        LayerError: a path does not exist or is never run.
        LostConversionError: somebody has removed the files, or LiteRT fails.
    """
    converted = _converted(network)
    pictures = set(converted.facts.inputs) & layers
    computed = layers - pictures
    scores = converted.scores[1]
    if computed <= scores.layers.keys():
        file, lite = converted.scores
    else:
        file, lite = converted.maps
        for path in sorted(computed - lite.layers.keys()):
            raise no_output(path, (layer.path for layer in network.layers))
    wanted = lite.values | {f"/{path}": lite.layers[path] for path in computed}
    values = _run_all(file, lite, inputs, wanted)
    return PassValues(
        values["output"],
        values.get("logits"),
        values.get("features"),
        # The caller may change what it gets.
        {path: inputs.copy() if path in pictures else values[f"/{path}"] for path in layers},
    )


def prepare(network: Network, _layers: frozenset[str]) -> None:
    """Makes the interpreter for scores, so that the first answer is quick.

    That of the layers' maps holds much memory and is quickly made when it is needed.
    """
    with _interpreter(*_converted(network).scores, processors()):
        pass


def processors() -> int:
    """The number of threads that run networks: the setting, else that of the processors."""
    return read_settings().threads or len(_affinity())


def _converted(network: Network) -> Converted:
    if network.converted is None:
        raise ValueError(f"Expected a converted network. Received: {network.card.title}.")
    return network.converted


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _run_all(
    file: Path, lite: LiteNetwork, inputs: NDArray[np.float32], wanted: dict[str, int]
) -> dict[str, Floats]:
    """The values (N, ...) of tensors for pictures (N, h, w, C): several at a time in threads."""
    if len(inputs) == 1:
        return _run(file, lite, inputs, wanted, processors())
    one_thread = functools.partial(_run, file, lite, wanted=wanted, threads=1)
    results = list(_threads().map(one_thread, np.split(inputs, len(inputs))))
    return {name: np.concatenate([values[name] for values in results]) for name in wanted}


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(processors(), "litert")


def _run(
    file: Path,
    lite: LiteNetwork,
    inputs: NDArray[np.float32],
    wanted: dict[str, int],
    threads: int,
) -> dict[str, Floats]:
    """The values (1, ...) of tensors for one picture (1, h, w, C)."""
    with _interpreter(file, lite, threads) as interpreter, _lost_if_it_fails():
        interpreter.set_tensor(lite.input, np.ascontiguousarray(inputs, np.float32))
        interpreter.invoke()
        return _copied({name: interpreter.tensor(index)() for name, index in wanted.items()})


def _copied(values: dict[str, Floats]) -> dict[str, Floats]:
    """Copies of arrays, as parts of one array: many large new ones take five times as long.

    The system gives memory page by page, and a single large array larger pages.
    """
    block = np.empty(sum(array.size for array in values.values()), np.float32)
    copies, start = {}, 0
    for name, array in values.items():
        copies[name] = block[start : start + array.size].reshape(array.shape)
        np.copyto(copies[name], array)
        start += array.size
    return copies


@contextmanager
def _lost_if_it_fails() -> Iterator[None]:
    """Leaves to TensorFlow what LiteRT cannot do here, though it could where it was converted."""
    try:
        yield
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise LostConversionError(f"LiteRT fails: {error}") from error


@contextmanager
def _interpreter(file: Path, lite: LiteNetwork, threads: int) -> Iterator[Any]:
    """A free interpreter of a file, which nobody else uses meanwhile."""
    with _lock:
        key = lite.sha256, threads
        found = next((one for one in reversed(_idle) if (one.sha256, one.threads) == key), None)
        if found is not None:
            _idle.remove(found)
    if found is None:
        with _lost_if_it_fails():
            if not is_whole(file, lite):
                raise LostConversionError(f"{file} is gone, or is another file")
            interpreter = open_interpreter(file, threads)
        # The weights twice: as they are in the file, and as the processor wants them.
        found = _Idle(lite.sha256, threads, 2 * lite.size + lite.memory, interpreter)
    yield found.interpreter
    if found.memory > _MAX_IDLE_BYTES:
        return
    with _lock:
        _idle.append(found)
        while sum(one.memory for one in _idle) > _MAX_IDLE_BYTES:
            del _idle[0]


def open_interpreter(file: Path, threads: int) -> Interpreter:
    """A new interpreter of a file, whose tensors have their memory.

    Raises:
        ImportError: LiteRT is installed, but does not work here.
        RuntimeError: it cannot run the file, or there is not enough memory.
        ValueError: the file is no network.
    """
    from ai_edge_litert.interpreter import Interpreter

    global _has_greeted
    interpreter = Interpreter(str(file), num_threads=threads)
    if _has_greeted:
        interpreter.allocate_tensors()
        return interpreter
    with _greeting_lock, _without_line(_GREETING):
        interpreter.allocate_tensors()
        _has_greeted = True
    return interpreter


@contextmanager
def _without_line(line: bytes) -> Iterator[None]:
    """Keeps a line of a library from standard error, and passes on what else is printed."""
    with ExitStack() as opened:
        try:
            printed = opened.enter_context(tempfile.TemporaryFile())
            original = os.dup(2)
        except OSError:
            # There is no folder for it, or no standard error.
            yield
            return
        os.dup2(printed.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            printed.seek(0)
            if rest := printed.read().replace(line, b"", 1):
                os.write(2, rest)
