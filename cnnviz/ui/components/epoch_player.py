"""Plays the epochs of a training: a photo's evidence, filters and activations after each of them.

Everything goes to the browser once. ``epoch_player.js`` plays, steps, and wipes between two epochs
without an answer of the server.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.drawing import Limits
from cnnviz.ui.components import modules
from cnnviz.ui.components.comparison import ShownPhoto
from cnnviz.ui.components.scenes import Legend, Rectangle, buffer, plain, tables

STYLES = ("base.css", "viewer.css", "epoch_player.css")


@dataclass(frozen=True)
class PlayedEpoch:
    """An epoch: its name in lists, such as "0 (untrained)", and its caption."""

    name: str
    caption: str


@dataclass(frozen=True)
class PlayedGrid:
    """Maps or kernels of each epoch, as a grid of tiles on one scale.

    Attributes:
        name: of the grid.
        title: above it.
        values: (E, K, h, w), coloured by a scale, or (E, K, h, w, 3), red, green and blue.
        limits: the values of the first and the last colour.
        legend: of the colours.
        unit: what a value is.
        cell: so many cells of a map, across and down, are one of the drawn ones.
        sentences: K plain sentences.
    """

    name: str
    title: str
    values: Floats
    limits: Limits
    legend: Legend
    unit: str
    cell: int
    sentences: Sequence[str]


@dataclass(frozen=True)
class PlayedEvidence:
    """A photo with the map of one class after each epoch.

    Attributes:
        title: above it.
        photo: the photo.
        seen: the part of it that the networks saw, in shares of its width and height.
        values: (E, h, w).
        limit: the absolute value that is drawn solid, in all epochs.
        unit: what a value is.
    """

    title: str
    photo: ShownPhoto
    seen: Rectangle
    values: Floats
    limit: float
    unit: str


@dataclass(frozen=True)
class EpochPlay:
    """What is played.

    Attributes:
        id: with the same one the browser stays at its epoch.
        epochs: E epochs, at least one.
        evidence: the photo.
        grids: beside it.
    """

    id: str
    epochs: Sequence[PlayedEpoch]
    evidence: PlayedEvidence
    grids: Sequence[PlayedGrid]


def show(play: EpochPlay, key: str) -> None:
    """Draws the player.

    Args:
        play: what is played.
        key: its name on the page.
    """
    _component()(data=pack(play), key=key)


def pack(play: EpochPlay) -> bytes:
    """The epochs as the buffer that ``epoch_player.js`` reads."""
    arrays: list[NDArray[Any]] = []
    names = ["blue-orange", *(grid.legend.colours for grid in play.grids)]
    header = {"kind": "epochs", "tables": tables(names, arrays)}
    return buffer(header | plain(play, arrays), arrays)


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_epoch_player", css=modules.style(*STYLES), js=modules.code("epoch_player.js")
    )
