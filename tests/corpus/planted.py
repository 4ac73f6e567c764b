"""Networks whose evidence is known exactly, since it was planted: photos, and where it lies.

Weights are set by hand and nothing is trained.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from . import planted_by_head as by_head
from . import planted_by_photo as by_photo
from .planted_case import PlantedCase

KINDS: dict[str, Callable[[np.random.Generator], Iterator[PlantedCase]]] = {
    "one pattern": by_photo.one_pattern,
    "two classes": by_head.two_classes,
    "ignored distractors": by_photo.ignored,
    "a gap": by_head.gap,
    "nothing there": by_head.nothing,
    "two together": by_head.together,
    "either of two": by_head.either,
    "raises all logits": by_head.raises_all,
    "weighed places": by_head.places,
    "wide": by_photo.wide,
    "light": by_photo.light,
    "in parts": by_photo.parts,
    "small beside large": by_photo.small,
    "for and against": by_head.against,
    "colour alone": by_photo.colour,
    "at the edge": by_photo.edge,
    "pyramid": by_photo.pyramid,
    "nested": by_photo.nested,
    "normalised": by_photo.normalised,
    "one sigmoid": by_head.sigmoid,
    "the strongest counts": by_head.strongest,
    "crop and border": by_photo.framed,
}


def planted_cases(kinds: Iterable[str] | None = None, seed: int = 0) -> Iterator[PlantedCase]:
    """The cases of some kinds, or of all; those of one network follow each other.

    A kind's cases depend on the seed, and not on which other kinds are asked for.
    """
    for kind in KINDS if kinds is None else kinds:
        function = KINDS[kind]
        note = " ".join((inspect.getdoc(function) or "").split())
        rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
        for case in function(rng):
            yield replace(case, kind=kind, note=note)
