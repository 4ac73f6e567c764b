"""What a person has painted, kept for the session: it is too large for an address."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.ui.components import paint
from cnnviz.ui.scene import Scene

# Paintings that a session keeps: those of the photos that were painted on last.
_MOST = 8
_numbers = itertools.count()


@dataclass(frozen=True)
class Painting:
    """A painting on a photo.

    Attributes:
        mask: (h, w) of the network's input, true where it is painted.
        stamp: names it; another painting has another one.
    """

    mask: NDArray[np.bool_]
    stamp: str


def place(scene: Scene) -> str:
    """Names what is painted on: the part of a photo that a network sees, in its own pixels."""
    steps = scene.outline.card.preprocessing
    shape = f"{steps.height} {steps.width} {steps.fit} {steps.crop_fraction}"
    return f"{scene.photo.seen_key} {shape}"


def of(scene: Scene) -> Painting:
    """The painting on the photo; an empty one at first."""
    kept = _kept()
    if place(scene) not in kept:
        steps = scene.outline.card.preprocessing
        put_own(scene, np.zeros((steps.height, steps.width), bool))
    return kept[place(scene)]


def put(scene: Scene, painting: Painting) -> None:
    """Keeps a painting in place of the last one on the photo."""
    kept = _kept()
    kept.pop(place(scene), None)
    while len(kept) >= _MOST:
        del kept[next(iter(kept))]
    kept[place(scene)] = painting


def put_own(scene: Scene, mask: NDArray[np.bool_]) -> Painting:
    """Keeps a painting that the server made, and that the browser is to take."""
    painting = Painting(mask, f"{paint.SERVER} {next(_numbers)}")
    put(scene, painting)
    return painting


def _kept() -> dict[str, Painting]:
    return st.session_state.setdefault("paintings", {})
