"""Child processes that end with their parent, also when that is killed."""

from __future__ import annotations

import os
import shutil
import threading
import time


def follow(parent: int, folder: str | None = None) -> None:
    """Starts a thread that ends this process once its parent has ended, for whatever reason.

    Args:
        parent: the id of the process that started this one.
        folder: a folder to delete then.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
