"""Limits and folders: every one has a default and an environment variable.

=======================  ==========================================  ==================
variable                 meaning                                     default
=======================  ==========================================  ==================
``CNNVIZ_MODELS``        folder with the saved models                ``models/``
``CNNVIZ_WORKERS``       worker processes that hold networks         1
``CNNVIZ_NETWORKS``      networks kept in memory by each worker      3
``CNNVIZ_THREADS``       threads of TensorFlow in each worker        0 (its own choice)
=======================  ==========================================  ==================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cnnviz.errors import CnnvizError

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """What the person who deploys cnnviz may choose."""

    models: Path
    workers: int
    networks: int
    threads: int


def read_settings() -> Settings:
    """Reads the environment.

    Raises:
        CnnvizError: a number is not a whole number, or is too small.
    """
    return Settings(
        models=Path(os.environ.get("CNNVIZ_MODELS") or ROOT / "models"),
        workers=_whole_number("CNNVIZ_WORKERS", default=1, least=1),
        networks=_whole_number("CNNVIZ_NETWORKS", default=3, least=1),
        threads=_whole_number("CNNVIZ_THREADS", default=0, least=0),
    )


def _whole_number(name: str, *, default: int, least: int) -> int:
    text = os.environ.get(name, "").strip() or str(default)
    if not text.isdecimal() or int(text) < least:
        raise CnnvizError(
            f"The environment variable {name} must be a whole number of at least {least}; "
            f"it is {text!r}."
        )
    return int(text)
