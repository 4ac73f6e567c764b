"""The import of Keras and TensorFlow, which takes seconds: late, once, and as the program wants it.

A converted network needs neither until something is asked that only TensorFlow can answer.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from cnnviz.settings import check_tensorflow

_lock = threading.Lock()
_around: Callable[[], AbstractContextManager[object]] = nullcontext
_is_started = False


def around_start(manager: Callable[[], AbstractContextManager[object]]) -> None:
    """Sets what this process does around the import, such as to say so, or to refuse it."""
    global _around
    _around = manager


def start_keras() -> None:
    """Imports Keras, TensorFlow and the engine on them.

    Raises:
        CnnvizError: TensorFlow is not installed, or this process refuses the import.
    """
    global _is_started
    with _lock:
        if not _is_started:
            check_tensorflow()
            with _around():
                importlib.import_module("cnnviz.networks.engines.tensorflow")
            _is_started = True
