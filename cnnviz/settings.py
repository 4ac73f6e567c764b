"""Limits and folders: every one has a default and an environment variable.

==============================  ===========================================  ==================
variable                        meaning                                      default
==============================  ===========================================  ==================
``CNNVIZ_MODELS``               folder with the saved models                 ``models/``
``CNNVIZ_TRUST``                ``on``: its files are loaded as they are,    ``off``
                                without inspection; the shipped ones always
                                are
``CNNVIZ_WORKERS``              worker processes that hold networks, with    1
                                LiteRT, and as many with TensorFlow
``CNNVIZ_NETWORKS``             networks kept in memory by each worker       4
``CNNVIZ_THREADS``              threads that run a network in each worker    0 (all processors)
``CNNVIZ_CACHE``                folder with the networks as LiteRT runs      the user's own
                                them, and exemplars of shipped models
``CNNVIZ_TENSORFLOW``           ``lazy``: TensorFlow starts with the first   ``lazy``
                                question that needs it; ``eager``: with the
                                server
``CNNVIZ_CACHE_MB``             memory of the web server for answers of the  128
                                networks that may be asked for again, MB
``CNNVIZ_UPLOADS``              ``on`` or ``off``: whether people may bring  on where the server
                                their own models                             is on localhost
``CNNVIZ_UPLOAD_MB``            the largest model, or zip of photos to       200
                                train on, that may be uploaded, MB
``CNNVIZ_SESSION_UPLOADS_MB``   files that one open page may keep on the     0 (three of the
                                server, MB                                   largest)
``CNNVIZ_ALL_UPLOADS_MB``       files that all open pages may keep on the    1024
                                server, MB
``CNNVIZ_TRAINING``             ``on`` or ``off``: whether people may train  on where the server
                                networks, one at a time                      is on localhost
``CNNVIZ_REPLAY``               folder of a training to watch again; its     none
                                files are loaded as they are, without
                                inspection
``CNNVIZ_LAN``                  ``on``: listens for everybody in this         ``off``
                                machine's network, as ``--lan`` does
``CNNVIZ_METRICS``              ``on``: everybody may read the server's      ``off``
                                load at ``/_stcore/metrics``
``CNNVIZ_UNTRUSTED_PROCESSES``  untrusted models in memory at once, each in  2
                                a process of its own
``CNNVIZ_UNTRUSTED_GB``         memory of such a process, GB                 4
==============================  ===========================================  ==================

``CNNVIZ_GUESTS`` and ``CNNVIZ_GUEST_GB`` are the deprecated names of the last two.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from cnnviz.errors import CnnvizError, StorageError

PACKAGE = Path(__file__).resolve().parent
# The folder of app.py, pages/, models/ and .streamlit/: a wheel has it inside the package.
ROOT = PACKAGE / "_app" if (PACKAGE / "_app").is_dir() else PACKAGE.parent

# Old names of variables, by the new ones.
_DEPRECATED = {
    "CNNVIZ_UNTRUSTED_PROCESSES": "CNNVIZ_GUESTS",
    "CNNVIZ_UNTRUSTED_GB": "CNNVIZ_GUEST_GB",
}


@dataclass(frozen=True)
class Settings:
    """What the person who deploys cnnviz may choose."""

    models: Path
    trust: bool
    workers: int
    networks: int
    threads: int
    cache: Path | None
    eager_tensorflow: bool
    cache_mb: int
    uploads: bool | None
    training: bool | None
    replay: Path | None
    lan: bool
    upload_mb: int
    session_uploads_mb: int
    all_uploads_mb: int
    metrics: bool
    untrusted_processes: int
    untrusted_gb: int


def read_settings() -> Settings:
    """Reads the environment.

    Raises:
        CnnvizError: a number is not a whole number or too small, a switch neither on nor off, a
            choice none of those that there are.
    """
    return Settings(
        models=Path(os.environ.get("CNNVIZ_MODELS") or ROOT / "models"),
        trust=bool(_switch("CNNVIZ_TRUST")),
        workers=_whole_number("CNNVIZ_WORKERS", default=1, least=1),
        networks=_whole_number("CNNVIZ_NETWORKS", default=4, least=1),
        threads=_whole_number("CNNVIZ_THREADS", default=0, least=0),
        cache=Path(cache) if (cache := os.environ.get("CNNVIZ_CACHE")) else None,
        eager_tensorflow=_choice("CNNVIZ_TENSORFLOW", ("lazy", "eager")) == "eager",
        cache_mb=_whole_number("CNNVIZ_CACHE_MB", default=128, least=1),
        uploads=_switch("CNNVIZ_UPLOADS"),
        training=_switch("CNNVIZ_TRAINING"),
        replay=Path(replay) if (replay := os.environ.get("CNNVIZ_REPLAY")) else None,
        lan=bool(_switch("CNNVIZ_LAN")),
        upload_mb=_whole_number("CNNVIZ_UPLOAD_MB", default=200, least=1),
        session_uploads_mb=_whole_number("CNNVIZ_SESSION_UPLOADS_MB", default=0, least=0),
        all_uploads_mb=_whole_number("CNNVIZ_ALL_UPLOADS_MB", default=1024, least=1),
        metrics=bool(_switch("CNNVIZ_METRICS")),
        untrusted_processes=_whole_number("CNNVIZ_UNTRUSTED_PROCESSES", default=2, least=1),
        untrusted_gb=_whole_number("CNNVIZ_UNTRUSTED_GB", default=4, least=2),
    )


def cache_folder() -> Path:
    """The folder of what is made once and kept: ``CNNVIZ_CACHE``, or the user's own.

    Raises:
        StorageError: the system does not know the user's home; ``CNNVIZ_CACHE`` is not set.
    """
    import platformdirs

    try:
        cache = read_settings().cache or platformdirs.user_cache_path("cnnviz", appauthor=False)
    except RuntimeError as error:
        raise StorageError(
            "There is no folder for converted networks, since the user has no home. "
            "Set CNNVIZ_CACHE to one."
        ) from error
    # What was found there is read again, when the current folder may be another one.
    return cache.absolute()


def check_tensorflow() -> None:
    """Checks that TensorFlow, which only the extras ``cpu`` and ``gpu`` install, can be imported.

    Raises:
        CnnvizError: it is not installed.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise CnnvizError(
            "TensorFlow is not installed, and it runs the networks. Install cnnviz with it: "
            "pip install 'cnnviz[cpu]', or 'cnnviz[gpu]' for graphics cards from NVIDIA."
        )


def _whole_number(name: str, *, default: int, least: int) -> int:
    old = _DEPRECATED.get(name)
    if old and os.environ.get(old) and not os.environ.get(name):
        warn_of_deprecated(old, name)
        name = old
    text = os.environ.get(name, "").strip() or str(default)
    if not text.isdecimal() or int(text) < least:
        raise CnnvizError(
            f"The environment variable {name} must be a whole number of at least {least}; "
            f"it is {text!r}."
        )
    return int(text)


@functools.cache  # once in a process
def warn_of_deprecated(old: str, new: str) -> None:
    """Logs that a variable has a new name."""
    logging.getLogger(__name__).warning(
        "The environment variable %s is deprecated: use %s instead.", old, new
    )


def _choice(name: str, choices: tuple[str, ...]) -> str:
    """One of some words; the first where the variable is not set."""
    text = os.environ.get(name, "").strip().lower() or choices[0]
    if text not in choices:
        raise CnnvizError(
            f"The environment variable {name} must be {' or '.join(choices)}; it is {text!r}."
        )
    return text


def _switch(name: str) -> bool | None:
    """on or off; None where the variable is not set."""
    text = os.environ.get(name, "").strip().lower()
    return None if text == "" else _choice(name, ("on", "off")) == "on"
