"""Limits and folders: every one has a default and an environment variable.

=========================  ================================================  ==================
variable                   meaning                                           default
=========================  ================================================  ==================
``CNNVIZ_MODELS``          folder with the saved models                      ``models/``
``CNNVIZ_TRUST``           ``on``: its files are loaded as they are, without  ``off``
                           inspection; the shipped ones always are
``CNNVIZ_WORKERS``         worker processes that hold networks               1
``CNNVIZ_NETWORKS``        networks kept in memory by each worker            4
``CNNVIZ_THREADS``         threads of TensorFlow in each worker              0 (its own choice)
``CNNVIZ_UPLOADS``         ``on`` or ``off``: whether people may bring       on where the server
                           their own models                                  is on localhost
``CNNVIZ_UPLOAD_MB``       the largest model, or zip of photos to train on,  200
                           that may be uploaded, MB
``CNNVIZ_TRAINING``        ``on`` or ``off``: whether people may train       on where the server
                           networks, one at a time                           is on localhost
``CNNVIZ_REPLAY``          folder of a training to watch again; its files    none
                           are loaded as they are, without inspection
``CNNVIZ_GUESTS``          models that are not trusted in memory at once,     2
                           each in a process of its own
``CNNVIZ_GUEST_GB``        memory of such a process, GB                      4
=========================  ================================================  ==================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cnnviz.errors import CnnvizError

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent


@dataclass(frozen=True)
class Settings:
    """What the person who deploys cnnviz may choose."""

    models: Path
    trust: bool
    workers: int
    networks: int
    threads: int
    uploads: bool | None
    training: bool | None
    replay: Path | None
    upload_mb: int
    guests: int
    guest_gb: int


def read_settings() -> Settings:
    """Reads the environment.

    Raises:
        CnnvizError: a number is not a whole number or too small, a switch neither on nor off.
    """
    return Settings(
        models=Path(os.environ.get("CNNVIZ_MODELS") or ROOT / "models"),
        trust=bool(_switch("CNNVIZ_TRUST")),
        workers=_whole_number("CNNVIZ_WORKERS", default=1, least=1),
        networks=_whole_number("CNNVIZ_NETWORKS", default=4, least=1),
        threads=_whole_number("CNNVIZ_THREADS", default=0, least=0),
        uploads=_switch("CNNVIZ_UPLOADS"),
        training=_switch("CNNVIZ_TRAINING"),
        replay=Path(replay) if (replay := os.environ.get("CNNVIZ_REPLAY")) else None,
        upload_mb=_whole_number("CNNVIZ_UPLOAD_MB", default=200, least=1),
        guests=_whole_number("CNNVIZ_GUESTS", default=2, least=1),
        guest_gb=_whole_number("CNNVIZ_GUEST_GB", default=4, least=2),
    )


def _whole_number(name: str, *, default: int, least: int) -> int:
    text = os.environ.get(name, "").strip() or str(default)
    if not text.isdecimal() or int(text) < least:
        raise CnnvizError(
            f"The environment variable {name} must be a whole number of at least {least}; "
            f"it is {text!r}."
        )
    return int(text)


def _switch(name: str) -> bool | None:
    """on or off; None where nothing is said."""
    text = os.environ.get(name, "").strip().lower()
    if text not in {"", "on", "off"}:
        raise CnnvizError(f"The environment variable {name} must be on or off; it is {text!r}.")
    return None if text == "" else text == "on"
