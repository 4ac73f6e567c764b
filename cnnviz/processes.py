"""Processes that end with the one that started them, so that a killed server leaves none."""

from __future__ import annotations

import os
import shutil
import threading
import time


def follow(parent: int, folder: str | None = None) -> None:
    """Ends this process, from now on, when the one that started it is gone, however it went.

    Args:
        parent: the id of the process that started this one.
        folder: is deleted then.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
