"""Conversions in the background, of models in the folder that TensorFlow had to answer about.

One process at a time, of the lowest priority, makes them; the next question about a model finds
its conversion. What goes wrong is logged, and TensorFlow goes on answering.
"""

from __future__ import annotations

import functools
import logging
import os
import queue
import subprocess  # nosec B404
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz.sandbox.confinement import protect_memory
from cnnviz.serving import temporary_folders
from cnnviz.settings import PACKAGE, read_settings

if TYPE_CHECKING:
    from cnnviz.serving.model_files import ModelFile

# A conversion takes some seconds, and many times as long on a busy machine; else it is stuck.
SECONDS = 3600

_log = logging.getLogger(__name__)

_lock = threading.Lock()
# Those that wait, that are being made, and that failed, which are not tried again.
_taken: set[ModelFile] = set()


def convert(model: ModelFile) -> None:
    """Has a model of the folder converted, unless that has failed before; returns at once."""
    if not _is_of_the_folder(model):
        return
    with _lock:
        if model not in _taken:
            _taken.add(model)
            _queue().put(model)


def _is_of_the_folder(model: ModelFile) -> bool:
    path = Path(model.path)
    in_folder = path.parent.resolve() == read_settings().models.resolve()
    other_kind = model.checkpoint or model.inner or path.suffix.lower() == ".zip"
    return model.trusted and in_folder and not other_kind


@functools.cache  # once in a process
def _queue() -> queue.SimpleQueue[ModelFile]:
    models: queue.SimpleQueue[ModelFile] = queue.SimpleQueue()
    threading.Thread(target=_convert_all, args=(models,), daemon=True).start()
    return models


def _convert_all(models: queue.SimpleQueue[ModelFile]) -> None:
    while True:
        model = models.get()
        if _is_converted_now(model):
            # Should the cache lose it, it may be made again.
            with _lock:
                _taken.discard(model)


def _is_converted_now(model: ModelFile) -> bool:
    """Runs the process of one conversion; where it gives a reason for a failure it logs that."""
    try:
        with temporary_folders.make("conversion") as folder, _start(model, folder) as process:
            try:
                code = process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
    except OSError as error:
        _log.warning("No process can convert %s for LiteRT: %s", model.path, error)
        return False
    if code < 0:
        _log.warning("The process that converted %s for LiteRT was killed (%d)", model.path, -code)
    return code == 0


def _start(model: ModelFile, folder: str) -> subprocess.Popen[bytes]:
    protect_memory()
    # In the same folder as this process: the paths of models and cache may be relative to it.
    python_path = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        # The workers may have taken all memory of a graphics card.
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONPATH": os.pathsep.join(python_path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TMPDIR": folder,
    }
    # No shell; the arguments are a model of the folder, and what belongs to this process.
    return subprocess.Popen(  # nosec B603
        [
            *(sys.executable, "-m", "cnnviz.serving.conversion_process"),
            *(model.path, str(os.getpid()), folder),
        ],
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
    )
