"""Helpers that several test files share.

Worker processes import test files, and so this module: what is large is imported in functions.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from scripts.process_list import running


def wait_until(condition: Callable[[], Any], seconds: float = 180) -> bool:
    """Polls until the condition holds; False if it does not in that many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class ByValue:
    """A function of a test file, pickled with its code: a confined process cannot read the file."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __reduce__(self) -> tuple[Any, ...]:
        import cloudpickle

        module = sys.modules[self.function.__module__]
        cloudpickle.register_pickle_by_value(module)
        try:
            return cloudpickle.loads, (cloudpickle.dumps(self.function),)
        finally:
            cloudpickle.unregister_pickle_by_value(module)


def running_in(session: int) -> set[int]:
    """The ids of a session's processes that have not ended."""
    return {process.pid for process in running() if process.session == session}


def rows_in(out: Path) -> list[dict]:
    """The rows of a batch run, as a reader of its folder gets them."""
    import pyarrow.parquet as pq

    return pq.read_table(out / "results").to_pylist()


def chelsea() -> np.ndarray:
    """The sample photo of a cat: (300, 451, 3) uint8."""
    from cnnviz.photos.decoding import open_photo
    from cnnviz.photos.samples import samples

    return open_photo(next(one.path for one in samples() if one.name == "chelsea"))
