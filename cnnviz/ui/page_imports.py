"""Makes the pages ready, once the server answers and a browser loads its scripts.

What they need is imported, and the first photo explained.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys
import threading
import time

from streamlit import delta_generator

from cnnviz.settings import PACKAGE

# What the answers of workers are made of, with NumPy and Pydantic.
_SHARED = ("cnnviz.cards", "cnnviz.traces")
# The first page, which most people open first.
_FIRST = ("cnnviz.ui.shell", "cnnviz.ui.page_parts.explore.page")
# Seconds until the first page is complete, from whose browser no time is to be taken.
_PAUSE = 5
# Seconds after which the imports of the first page let the server answer a request: a browser asks
# for a hundred scripts meanwhile, and would wait 0.005 s for each of them.
_TURN = 0.0005


def import_shared() -> None:
    """Imports what several threads need at once: sessions, those of workers, and that of ``start``.

    The modules of NumPy import each other: of two threads that import it at the same time one may
    find half of it. So it has to be there before there are threads.
    """
    for name in _SHARED:
        importlib.import_module(name)


def start() -> None:
    """Imports in a thread; a page that is requested earlier imports what it needs itself."""
    import_shared()
    # At the first element Streamlit asks whether it runs in a server, by looking for the files of
    # all modules, which takes as long as all the rest of the first run.
    delta_generator._use_warning_has_been_displayed = True
    threading.Thread(target=_import_all, name="page imports", daemon=True).start()


def _import_all() -> None:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        for name in _FIRST:
            importlib.import_module(name)
        sys.setswitchinterval(usual)
        ahead = importlib.import_module("cnnviz.ui.ahead")
        threading.Thread(target=ahead.answer_first_photo, name="first photo", daemon=True).start()
        time.sleep(_PAUSE)
        folder = str(PACKAGE / "ui" / "page_parts")
        for module in pkgutil.walk_packages([folder], "cnnviz.ui.page_parts."):
            importlib.import_module(module.name)
    finally:
        sys.setswitchinterval(usual)
        gc.enable()
    # What has been imported stays: the garbage collector need not scan it again.
    gc.collect()
    gc.freeze()
