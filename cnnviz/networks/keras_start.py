"""The import of Keras and TensorFlow, which takes seconds: late, once, and as the program wants it.

A converted network needs neither until something is asked that only TensorFlow can answer.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from cnnviz.errors import CnnvizError
from cnnviz.settings import check_tensorflow

_log = logging.getLogger(__name__)

# What is done around the import may ask for it again.
_lock = threading.RLock()
_around: Callable[[], AbstractContextManager[object]] = nullcontext
_is_started = False


def around_start(manager: Callable[[], AbstractContextManager[object]]) -> None:
    """Sets what this process does around the import, such as to say so, or to refuse it."""
    global _around
    _around = manager


def start_keras() -> None:
    """Imports Keras, TensorFlow and the engine on them.

    Raises:
        CnnvizError: TensorFlow is not installed or damaged, or this process refuses the import.
    """
    global _is_started
    with _lock:
        if _is_started:
            return
        check_tensorflow()
        _is_started = True
        try:
            with _around():
                _import_engine()
        except BaseException:
            _is_started = False
            raise


def _import_engine() -> None:
    try:
        importlib.import_module("cnnviz.networks.engines.tensorflow")
    except ImportError as error:
        _log.warning("TensorFlow could not be imported", exc_info=error)
        raise CnnvizError(
            "TensorFlow is installed, but cannot be imported: its files are damaged, or it does "
            "not fit this Python or the other packages. Install cnnviz anew with it: "
            "pip install --force-reinstall 'cnnviz[cpu]'."
        ) from error
