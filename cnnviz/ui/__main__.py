"""Starts the app: ``python -m cnnviz.ui [options of "streamlit run"]``.

The worker processes start first, so that TensorFlow loads while the server comes up. What the
pages draw with is imported before the server answers, so that no visitor waits for it.
"""

import ctypes
import importlib
import sys

from cnnviz import workers
from cnnviz.settings import ROOT, read_settings
from cnnviz.ui import library

# Options of glibc's mallopt: what is larger gets pages of its own, and the most heaps.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8


def main() -> None:
    """Starts the workers, then Streamlit's own server on ``app.py``."""
    _give_memory_back()
    workers.start(library.models())
    importlib.import_module("pandas")
    importlib.import_module("cnnviz.figures")
    from streamlit.web import cli

    settings = read_settings()
    # The one limit for photos is in the configuration file; a model may be larger.
    larger = (
        [] if settings.uploads is False else ["--server.maxUploadSize", str(settings.upload_mb)]
    )
    sys.argv = ["streamlit", "run", str(ROOT / "app.py"), *larger, *sys.argv[1:]]
    sys.exit(cli.main())


def _give_memory_back() -> None:
    """Has glibc, where it is in use, keep large arrays out of its heaps.

    Photos come and go in many threads. Left alone, glibc gets used to their size, puts them into
    heaps that it never gives back, and the server grows for hours.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, 1 << 20)
        libc.mallopt(_ARENA_MAX, 2)


if __name__ == "__main__":
    main()
