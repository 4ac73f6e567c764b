"""Imports what the pages need, once the server answers and a browser loads its scripts."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import threading
import time

from cnnviz.settings import PACKAGE

# The first page, which most people open first.
_FIRST = ("cnnviz.ui.shell", "cnnviz.ui.page_parts.explore.page")
# Seconds until the first page is complete, from whose browser no time is to be taken.
_PAUSE = 5


def start() -> None:
    """Imports in a thread; a page that is requested earlier imports what it needs itself."""
    threading.Thread(target=_import_all, name="page imports", daemon=True).start()


def _import_all() -> None:
    try:
        for name in _FIRST:
            importlib.import_module(name)
        time.sleep(_PAUSE)
        folder = str(PACKAGE / "ui" / "page_parts")
        for module in pkgutil.walk_packages([folder], "cnnviz.ui.page_parts."):
            importlib.import_module(module.name)
    finally:
        gc.enable()
    # What has been imported stays: the garbage collector need not scan it again.
    gc.collect()
    gc.freeze()
