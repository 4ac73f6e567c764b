"""The choices of the page Maximise: what is excited, from what, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from cnnviz.cards import Preprocessing
from cnnviz.features.objectives import OF_CLASSES_PHASE, Ascent, Objective
from cnnviz.features.ways import knows_digits, usual
from cnnviz.photos.preprocessing import network_view
from cnnviz.results import LayerInfo
from cnnviz.ui import choices, parts
from cnnviz.ui.scene import Scene

_KINDS = {
    "class": "Class",
    "channel": "Channel",
    "layer": "Many channels",
    "game": "Game",
}
_HINTS = {"photos": "Photos that excite it", "picture": "A picture made for it"}
_STARTS = {"noise": "Random noise", "photo": "Your photo"}
_WAYS = {"usual": "As usual", "phase": "Phases alone (MACO)"}
# What is to be excited, and what it is called.
_Named = tuple[tuple[Objective, ...], tuple[str, ...]]
# Channels that are searched for side by side.
GRID = 32
_NOTHING = "nothing else"
_MOST_SEED = 9999


@dataclass(frozen=True)
class Choice:
    """What a person has chosen.

    Attributes:
        objectives: the channels of one layer, or one class.
        names: what they are called.
        ways: how they are searched for, the first one first.
        start: (side, side, C) uint8; random parameters if None.
        start_key: identifies the start.
    """

    objectives: tuple[Objective, ...]
    names: tuple[str, ...]
    ways: tuple[Ascent, ...]
    start: NDArray[np.uint8] | None
    start_key: str

    @property
    def key(self) -> tuple[object, ...]:
        """Two choices with the same key give the same pictures."""
        return self.objectives, self.ways, self.start_key


@dataclass(frozen=True)
class Game:
    """The choice to guess which photos excite the channels of a layer.

    Attributes:
        layer: the layer's path.
        hint: what shows a channel: ``photos``, or the ``picture`` that was made for it.
        way: how pictures are searched for; its seed is that of the rounds, too.
        place: of the choice of the photos, beside the others.
    """

    layer: str
    hint: str
    way: Ascent
    place: DeltaGenerator

    @property
    def seed(self) -> int:
        """Of all that is random: the same seed gives the same rounds."""
        return self.way.seed

    def pictures(self, channels: Sequence[int]) -> Choice:
        """The choice of the pictures that are made for some channels."""
        objectives = tuple(Objective(self.layer, channel) for channel in channels)
        names = tuple(f"channel {channel} of {self.layer}" for channel in channels)
        return Choice(objectives, names, (self.way,), None, "")


def pick(scene: Scene) -> Choice | Game:
    """Draws the choices and returns them."""
    with st.container(key="maximise-choices"):
        kind_place, first, second, from_place, more = st.columns(
            [6, 4, 3, 4, 2], vertical_alignment="bottom"
        )
    with kind_place:
        kind = choices.choose(
            st.segmented_control,
            "What is looked for",
            "excite",
            list(_KINDS),
            "class",
            format_func=_KINDS.__getitem__,
            required=True,
        )
    if kind == "game":
        with first:
            layer, _ = _pick_layer(scene)
        with second:
            hint = choices.choose(
                st.selectbox, "Hint", "hint", list(_HINTS), "photos", format_func=_HINTS.__getitem__
            )
        with more, st.popover("More", width="stretch"):
            (way,) = _pick_ways(scene, _pick_seed(), of_class=False)
        return Game(layer, hint, way, from_place)
    with first:
        if kind == "class":
            objectives, names = _pick_class(scene, second)
        else:
            objectives, names = _pick_channels(scene, second, whole=kind == "layer")
    with from_place:
        start = choices.choose(
            st.segmented_control,
            "Starts from",
            "from",
            list(_STARTS),
            "noise",
            format_func=_STARTS.__getitem__,
            required=True,
        )
    with more, st.popover("More", width="stretch"):
        seed = _pick_seed()
        ways = _pick_ways(scene, seed, of_class=kind == "class")
    pixels = _of_photo(scene, ways[0].side) if start == "photo" else None
    key = scene.photo.seen_key if start == "photo" else ""
    return Choice(objectives, names, tuple(ways), pixels, key)


def _pick_class(scene: Scene, place: DeltaGenerator) -> _Named:
    labels = scene.outline.card.labels
    predicted = scene.explanation().prediction.label
    target = choices.choose(
        st.selectbox, "Class", "class", labels, predicted, scope=f"maximise {scene.model.name}"
    )
    with place:
        rival = choices.choose(
            st.selectbox,
            "Minus",
            "minus",
            [_NOTHING, *(label for label in labels if label != target)],
            _NOTHING,
            scope=f"maximise {scene.model.name} {target}",
            help="The score of this class is subtracted: the picture shows what tells them apart.",
        )
    against = None if rival == _NOTHING else labels.index(rival)
    name = target if against is None else f"{target} − {rival}"
    return (Objective(None, labels.index(target), against),), (name,)


def _pick_layer(scene: Scene) -> tuple[str, int]:
    """The choice of a layer, by path, and how many channels it has."""
    layers = [layer for layer in scene.outline.layers if layer.spatial and not layer.nested]
    layers = [layer for layer in layers if layer.kind != "InputLayer"]
    if not layers:
        st.info("This network has no layer with maps: choose a class.")
        st.stop()
    path = parts.pick_layer(
        "Layer", layers, _default_layer(layers).path, f"maximise {scene.model.name}"
    )
    counts = {layer.path: layer.output_shape[-1] or 1 for layer in layers}
    return path, counts[path]


def _pick_channels(scene: Scene, place: DeltaGenerator, *, whole: bool) -> _Named:
    path, count = _pick_layer(scene)
    scope = f"maximise {scene.model.name} {path}"
    with place:
        if whole:
            first = choices.choose(
                st.selectbox,
                "Channels",
                "channels",
                list(range(0, count, GRID)),
                0,
                scope=scope,
                format_func=lambda first: f"{first} to {min(first + GRID, count) - 1}",
            )
            numbers = list(range(first, min(first + GRID, count)))
        else:
            numbers = [
                choices.choose(
                    st.selectbox, "Channel", "channel", list(range(count)), 0, scope=scope
                )
            ]
    names = tuple(f"channel {number} of {path}" for number in numbers)
    return tuple(Objective(path, number) for number in numbers), names


def _default_layer(layers: list[LayerInfo]) -> LayerInfo:
    """A layer in the middle, whose channels' pictures are neither plain nor tangled."""
    activations = [layer for layer in layers if layer.kind == "ReLU"]
    some = activations or [layer for layer in layers if layer.kernel_shape] or layers
    return some[len(some) // 2]


def _pick_seed() -> int:
    """The choice of a seed; from a link, too."""
    return choices.choose(
        lambda label, _options, key: st.number_input(
            label,
            0,
            _MOST_SEED,
            key=key,
            help="Another seed begins with other noise, and gives another picture.",
        ),
        "Seed",
        "seed",
        range(_MOST_SEED + 1),
        0,
    )


def put_seed(seed: int) -> None:
    """Chooses a seed for the person, before the choice is drawn."""
    choices.put("seed", str(seed % (_MOST_SEED + 1)))


def _pick_ways(scene: Scene, seed: int, *, of_class: bool) -> list[Ascent]:
    card = scene.outline.card
    calls = {call.path: call for call in scene.outline.calls}
    ways = usual(card, calls, of_class=of_class, seed=seed)
    if not of_class or knows_digits(card):
        return ways
    way = choices.choose(
        st.selectbox,
        "How",
        "how",
        list(_WAYS),
        "usual",
        format_func=_WAYS.__getitem__,
        help="With phases alone, the strength of each frequency stays that of photos.",
    )
    if way == "phase":
        return [dataclasses.replace(OF_CLASSES_PHASE, side=ways[0].side, seed=seed)]
    return ways


def _of_photo(scene: Scene, side: int) -> NDArray[np.uint8]:
    """The middle of the photo as the network sees it: (side, side, C)."""
    pixels = scene.view().pixels[..., :3]
    channels = pixels.shape[2]
    size = Preprocessing(
        height=side, width=side, channels=channels, fit="crop", interpolation="bicubic"
    )
    return network_view(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), size)
