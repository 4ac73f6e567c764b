"""Starts the app: ``python -m cnnviz.ui [--lan] [--replay FOLDER] [options of "streamlit run"]``.

The server starts with what it needs to answer, and the worker processes just before it; what the
pages need is imported while a browser loads its scripts, see `page_imports`.
"""

import argparse
import ctypes
import gc
import os
import signal
import sys

from cnnviz.errors import CnnvizError
from cnnviz.settings import ROOT, check_tensorflow, read_settings

# Options of glibc's mallopt: the size above which memory is mapped, and the number of heaps.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8


def main() -> None:
    """Starts the workers, then Streamlit's own server on ``app.py``."""
    options = take_own_options(sys.argv[1:])
    try:
        check_tensorflow()
        if read_settings().lan:
            from cnnviz.ui.web import lan

            lan.listen(options)
    except CnnvizError as error:
        sys.exit(f"Error: {error}")
    exit_normally_on_signals()
    map_large_arrays()
    use_one_blas_thread()
    # Nothing that is imported is garbage. `page_imports` switches it on again.
    gc.disable()
    from cnnviz.serving import temporary_folders, workers
    from cnnviz.ui.sidebar import library

    temporary_folders.delete_leftovers()
    from streamlit.web import cli

    from cnnviz.ui import page_imports

    page_imports.import_shared()
    # Not before: its imports would take the processors from these, which a browser waits for.
    workers.start(library.models())

    limits = [*cache_limit(), *upload_limit(options)]
    sys.argv = ["streamlit", "run", str(ROOT / "app.py"), *limits, *options]
    sys.exit(cli.main())


def exit_normally_on_signals() -> None:
    """Has the process end as usual, with its exit handlers, when it is asked to stop.

    The server closes its connections first, and then sends itself the same signal again.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))


def take_own_options(words: list[str]) -> list[str]:
    """Takes the options that are not Streamlit's, as settings, and returns the rest."""
    parser = argparse.ArgumentParser("python -m cnnviz.ui", add_help=False, allow_abbrev=False)
    parser.add_argument("--replay", metavar="FOLDER", help="of a training")
    parser.add_argument("--lan", action="store_true")
    own, rest = parser.parse_known_args(words)
    if own.replay is not None:
        os.environ["CNNVIZ_REPLAY"] = own.replay
    if own.lan:
        os.environ["CNNVIZ_LAN"] = "on"
    return rest


def cache_limit() -> list[str]:
    """The option for the size of all cached answers together."""
    return ["--server.maxCacheDataSize", f"{read_settings().cache_mb}MB"]


def upload_limit(options: list[str]) -> list[str]:
    """The option for the size of uploads, where models or zips of photos may be uploaded.

    The configuration file has the limit for photos, which is smaller.
    """
    from cnnviz.ui.web.uploads import LOCAL

    # As Streamlit does: an option overrides a variable, and that overrides the configuration.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--server.address", dest="address")
    address = parser.parse_known_args(options)[0].address
    address = address or os.environ.get("STREAMLIT_SERVER_ADDRESS") or "localhost"
    settings = read_settings()
    switches = (settings.uploads, settings.training)
    larger = any(address in LOCAL if switch is None else switch for switch in switches)
    return ["--server.maxUploadSize", str(settings.upload_mb)] if larger else []


def use_one_blas_thread() -> None:
    """Has NumPy, which must not be imported yet, multiply matrices in the calling thread.

    A page's matrices are small. OpenBLAS's own threads would wait for the next one in a busy
    loop, for longer than the multiplication takes.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def map_large_arrays() -> None:
    """Has glibc, where it is in use, map what is large instead of taking it from its heaps.

    Photos, their files and pictures are allocated and freed in many threads. By default glibc
    adapts to their size and puts them into heaps that it never returns to the system, so that the
    server grows for hours; with a threshold of 1 MB the heaps still grew by 45 MB in 13 minutes.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, 1 << 18)
        libc.mallopt(_ARENA_MAX, 2)


if __name__ == "__main__":
    main()
