"""The sample pictures of cnnviz."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cnnviz.settings import PACKAGE

_SAMPLES = PACKAGE / "samples"


@dataclass(frozen=True)
class Sample:
    """A sample picture with its origin.

    Attributes:
        name: its name in addresses.
        title: its name on the page.
        source: the origin of the picture.
        licence: what it may be used for.
        models: names of the shipped models it is for.
        path: the file.
        small: a file of its middle, for a strip of samples; the file itself if that is tiny.
    """

    name: str
    title: str
    source: str
    licence: str
    models: tuple[str, ...]
    path: Path
    small: Path


def samples() -> tuple[Sample, ...]:
    """All sample pictures, in the order of ``samples.json``."""
    entries = json.loads((_SAMPLES / "samples.json").read_text(encoding="utf-8"))
    return tuple(
        Sample(
            entry["name"],
            entry["title"],
            entry["source"],
            entry["licence"],
            tuple(entry["models"]),
            _SAMPLES / entry["file"],
            small_file(_SAMPLES / entry["file"]),
        )
        for entry in entries
    )


def small_file(path: Path) -> Path:
    """The file of a sample's small picture, which ``scripts.make_small_samples`` makes."""
    small = path.parent / "small" / f"{path.stem}.jpg"
    return small if small.exists() else path
