"""Starts the app: ``python -m cnnviz.ui [--replay FOLDER] [options of "streamlit run"]``.

The worker processes start first, so that TensorFlow loads while the server comes up. What the
pages draw with is imported before the server answers, so that no visitor waits for it.
"""

import argparse
import ctypes
import gc
import importlib
import os
import sys

from cnnviz.settings import ROOT, read_settings

# Options of glibc's mallopt: what is larger gets pages of its own, and the most heaps.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8


def main() -> None:
    """Starts the workers, then Streamlit's own server on ``app.py``."""
    _give_memory_back()
    _calculate_alone()
    options = _take_replay(sys.argv[1:])
    from cnnviz.serving import temporary_folders, workers
    from cnnviz.ui.sidebar import library

    temporary_folders.delete_leftovers()
    workers.start(library.models())
    importlib.import_module("pandas")
    importlib.import_module("cnnviz.figures.grids")
    from streamlit.web import cli

    # What has been imported stays: no collection of garbage need look at it again.
    gc.collect()
    gc.freeze()

    sys.argv = ["streamlit", "run", str(ROOT / "app.py"), *_limit(options), *options]
    sys.exit(cli.main())


def _take_replay(words: list[str]) -> list[str]:
    """Takes ``--replay FOLDER`` out of the command, and gives the rest, which is Streamlit's."""
    parser = argparse.ArgumentParser("python -m cnnviz.ui", add_help=False, allow_abbrev=False)
    parser.add_argument("--replay", metavar="FOLDER", help="of a training")
    known, rest = parser.parse_known_args(words)
    if known.replay is not None:
        os.environ["CNNVIZ_REPLAY"] = known.replay
    return rest


def _limit(options: list[str]) -> list[str]:
    """The limit for uploads: that for photos is in the configuration.

    A model, or a zip of photos to train on, may be larger.
    """
    from cnnviz.ui.sidebar.own_models import LOCAL

    # As Streamlit does: an option comes before a variable, and that before the configuration.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--server.address", dest="address")
    address = parser.parse_known_args(options)[0].address
    address = address or os.environ.get("STREAMLIT_SERVER_ADDRESS") or "localhost"
    settings = read_settings()
    switches = (settings.uploads, settings.training)
    larger = any(address in LOCAL if switch is None else switch for switch in switches)
    return ["--server.maxUploadSize", str(settings.upload_mb)] if larger else []


def _calculate_alone() -> None:
    """Has NumPy, which must not be loaded yet, multiply matrices in the thread that asks.

    A page's matrices are small. OpenBLAS's own threads would wait for the next one without
    sleeping, for longer than it takes.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


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
