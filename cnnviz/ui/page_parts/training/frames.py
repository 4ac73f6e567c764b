"""The frames of a replay: what the network of each epoch makes of a photo, small enough to send.

The answers are asked from the worker of checkpoints, one epoch after the other, and kept for
everybody who watches the same training.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.cards import ModelCard
from cnnviz.drawing import finite
from cnnviz.results import ClassActivationMap, Prediction
from cnnviz.serving.model_files import ModelFile
from cnnviz.training.runs import Epoch, best_of
from cnnviz.ui import ask
from cnnviz.ui.components import scenes
from cnnviz.ui.page_parts import filters as filter_parts
from cnnviz.ui.scene import Scene

# What is sent at most: a frame's channels have 32 · 32² cells of two bytes, so that all frames
# together have less than 2 MB. Of larger maps a cell is the mean of several.
MOST_EPOCHS = 24
MOST_CHANNELS = 32
_SIDE = 32
# Frames that are kept, of some 150 kB each in memory.
_KEPT = 128


@dataclass(frozen=True)
class FilterTiles:
    """A layer's filters as tiles.

    Attributes:
        layer: its path.
        count: of its filters.
        values: (K, kh, kw), or (K, kh, kw, 3) in colour; K is 32 at most.
    """

    layer: str
    count: int
    values: Floats


@dataclass(frozen=True)
class ChannelTiles:
    """A layer's channels as tiles.

    Attributes:
        layer: its path.
        count: of its channels.
        values: (K, h, w), of which K is 32 at most.
        cell: so many cells of the maps, across and down, are one of the tiles'.
    """

    layer: str
    count: int
    values: Floats
    cell: int


@dataclass(frozen=True)
class Frame:
    """What the network of an epoch makes of a photo.

    Attributes:
        prediction: for the photo.
        cam: the map of the class that the replay is about.
        filters: None where the card suggests no layer.
        channels: None where no layer is chosen.
    """

    prediction: Prediction
    cam: ClassActivationMap
    filters: FilterTiles | None
    channels: ChannelTiles | None


@dataclass(frozen=True)
class Reel:
    """The frames of a replay that are asked for.

    Attributes:
        epochs: those that are played, the first one first.
        scenes: the network of each, and the photo.
        target: the class whose map is shown.
        layer: whose activations are shown; None for none.
    """

    epochs: Sequence[Epoch]
    scenes: Sequence[Scene]
    target: str
    layer: str | None

    def known(self) -> dict[int, Frame]:
        """The frames that are there, by the number of the epoch."""
        found = {
            epoch.number: _known(scene, self.target, self.layer)
            for epoch, scene in zip(self.epochs, self.scenes, strict=True)
        }
        return {number: frame for number, frame in found.items() if frame is not None}

    def load(self, seconds: float) -> None:
        """Asks for frames that are missing: for one, and for more until so much time is over.

        The newest one comes first, then the oldest: these can be compared at once.

        Raises:
            CnnvizError: whatever a network's process raises.
        """
        begun = time.monotonic()
        for scene in (self.scenes[-1], *self.scenes[:-1]):
            if _known(scene, self.target, self.layer) is None:
                _keep(scene, self.target, self.layer)
                if time.monotonic() - begun > seconds:
                    return


def choose(epochs: Sequence[Epoch]) -> list[Epoch]:
    """At most ``MOST_EPOCHS`` epochs: every second, fourth, … of many, the last and the best one.

    While a training goes on the same ones stay chosen for as long as possible.
    """
    step = 1
    while len(epochs) / step > MOST_EPOCHS - 2:
        step *= 2
    kept = {epoch.number for epoch in (*epochs[::step], best_of(epochs), epochs[-1])}
    return [epoch for epoch in epochs if epoch.number in kept]


def make(scene: Scene, target: str, layer: str | None) -> Frame:
    """Asks a network for its frame.

    Args:
        scene: model and photo.
        target: the class whose map is shown.
        layer: whose activations are shown; None for none.

    Raises:
        CnnvizError: whatever the network's process raises.
    """
    explanation = scene.explanation((target,))
    of_filters = scene.outline.card.suggested_layers.filters
    return Frame(
        explanation.prediction,
        explanation.maps[0],
        None if of_filters is None else _filters(scene, of_filters),
        None if layer is None else _channels(scene, layer),
    )


def _filters(scene: Scene, layer: str) -> FilterTiles:
    weights = scene.filters(layer)
    drawn = filter_parts.tiles(scene, weights, filter_parts.together(scene, weights))
    return FilterTiles(layer, drawn.shape[-1], finite(np.moveaxis(drawn, -1, 0)[:MOST_CHANNELS]))


def _channels(scene: Scene, layer: str) -> ChannelTiles:
    maps = scene.activations(layer)
    kept = np.moveaxis(maps, -1, 0)[:MOST_CHANNELS]
    values, cell = scenes.averaged(kept, len(kept) * _SIDE**2)
    return ChannelTiles(layer, maps.shape[-1], values, cell)


class _NotAskedError(Exception):
    """Nobody has had the frame yet; an error, since a cache keeps no errors."""


def _not_asked() -> Frame:
    raise _NotAskedError


def _known(scene: Scene, target: str, layer: str | None) -> Frame | None:
    try:
        return _frame(scene.model, scene.card, scene.photo.seen_key, target, layer, _not_asked)
    except _NotAskedError:
        return None


def _keep(scene: Scene, target: str, layer: str | None) -> None:
    frame = make(scene, target, layer)
    _frame(scene.model, scene.card, scene.photo.seen_key, target, layer, lambda: frame)


@st.cache_resource(show_spinner=False, max_entries=_KEPT)
def _frame(
    model: ModelFile,
    card: ModelCard | None,
    photo: str,
    target: str,
    layer: str | None,
    _find: Callable[[], Frame],
) -> Frame:
    return _find()


ask.forget_with_photos(_frame.clear)
