"""The replay of a training: its frames are loaded, and played in the browser."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.attribution.descriptions import unit
from cnnviz.attribution.methods import METHODS
from cnnviz.drawing import colour_limits, common_limit, finite, shading
from cnnviz.errors import CnnvizError
from cnnviz.evidence import why_empty
from cnnviz.geometry import seen_region
from cnnviz.numerals import number, percent
from cnnviz.results import ClassActivationMap
from cnnviz.training.runs import Epoch, TrainingRun
from cnnviz.ui import choices
from cnnviz.ui.components import epoch_player
from cnnviz.ui.components.comparison import ShownPhoto
from cnnviz.ui.components.epoch_player import EpochPlay, PlayedEpoch, PlayedEvidence, PlayedGrid
from cnnviz.ui.components.scenes import Legend
from cnnviz.ui.loaded_photo import LoadedPhoto
from cnnviz.ui.page_parts.channel_grids import SIGNED
from cnnviz.ui.page_parts.training import frames, network
from cnnviz.ui.page_parts.training.frames import Frame, Reel
from cnnviz.ui.page_parts.training.views import TrainingView
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

_SHOWN = {"epoch": "One epoch", "replay": "Replay, and before | after"}
# Seconds for which one run asks for frames, and between two runs.
_PART = 0.5
_PAUSE = 0.2
# Why the frames are not all there; the name in the session.
_PROBLEM = "problem of the replay"
# A photo whose pixels are to be seen, such as a digit.
_TINY = 100


def is_chosen(view: TrainingView, epochs: Sequence[Epoch]) -> bool:
    """The choice between one epoch and the replay of all; there is none of a single epoch."""
    if len(epochs) < 2:
        return False
    shown = choices.choose(
        st.segmented_control,
        "What to show",
        "show",
        list(_SHOWN),
        "epoch",
        scope=view.key,
        format_func=_SHOWN.__getitem__,
        label_visibility="collapsed",
        required=True,
    )
    return shown == "replay"


def draw(
    view: TrainingView,
    run: TrainingRun,
    epochs: Sequence[Epoch],
    photo: LoadedPhoto,
    target: str | None,
    layer: str | None,
) -> None:
    """Draws the frames that are there, and asks for the others bit by bit.

    Args:
        view: the training.
        run: its folder.
        epochs: those whose checkpoints exist.
        photo: what the networks look at.
        target: the class whose map is shown; if None, what the newest network takes the photo for.
        layer: whose activations are shown; None for none.
    """
    chosen = frames.choose(epochs)
    scenes = [network.after(epoch, view, run, photo) for epoch in chosen]
    if target is None:
        target = scenes[-1].explanation().prediction.label
    reel = Reel(chosen, scenes, target, layer)
    known = reel.known()
    if known:
        epoch_player.show(build(reel, known, epochs[-1].number), "training replay")
        st.caption(plain(_note(reel, known, epochs)))
    if _PROBLEM in st.session_state:
        st.error(plain(st.session_state.pop(_PROBLEM)), icon=":material/error:")
    elif len(known) < len(chosen):
        st.fragment(_load, run_every=_PAUSE)(reel, len(known))


def _load(reel: Reel, shown: int) -> None:
    """Asks for more frames. The page sends them again when there are twice as many, or all."""
    count = len(reel.epochs)
    known = len(reel.known())
    st.progress(
        known / count,
        text=f"Asking the networks: {known} of {count} epochs. What is there can be played.",
    )
    try:
        reel.load(_PART)
    except CnnvizError as error:
        st.session_state[_PROBLEM] = str(error)
        st.rerun()
    known = len(reel.known())
    if known == count or known >= 2 * shown:
        st.rerun()


def build(reel: Reel, known: dict[int, Frame], last: int) -> EpochPlay:
    """What the browser plays: all frames that are there, on one scale for each of their parts.

    Args:
        reel: the frames that are asked for.
        known: those that are there, by the number of the epoch.
        last: the number of the training's last epoch.
    """
    epochs = [epoch for epoch in reel.epochs if epoch.number in known]
    found = [known[epoch.number] for epoch in epochs]
    scene = reel.scenes[-1]
    return EpochPlay(
        # The same while more epochs come.
        id=f"{Path(scene.model.path).parent} {scene.photo.seen_key} {reel.target} {reel.layer}",
        epochs=[
            PlayedEpoch(network.name_of(epoch), caption(epoch, frame, last))
            for epoch, frame in zip(epochs, found, strict=True)
        ],
        evidence=_evidence(scene, found),
        grids=[*_filters(found), *_channels(found)],
    )


def caption(epoch: Epoch, frame: Frame, last: int) -> str:
    """What is to be known of an epoch: how often it is right, and what it makes of the photo.

    Args:
        epoch: the epoch.
        frame: its frame.
        last: the number of the training's last epoch.
    """
    name = f"Epoch {epoch.number} of {last}" if epoch.number else "Untrained"
    prediction, target = frame.prediction, frame.cam.target
    share = prediction.probabilities[prediction.labels.index(target)]
    parts = [name, f"{percent(epoch.val_accuracy)} right", f"“{target}” {percent(float(share))}"]
    if prediction.label != target:
        parts.append(f"it says “{prediction.label}”")
    return " · ".join(parts)


def _evidence(scene: Scene, found: Sequence[Frame]) -> PlayedEvidence:
    maps = [frame.cam for frame in found]
    photo = scene.photo
    height, width = photo.size
    seen = seen_region(height, width, scene.preprocessing)
    return PlayedEvidence(
        title=f"{METHODS[maps[0].method].title} for “{maps[0].target}”",
        photo=ShownPhoto(
            base64.b64decode(photo.shown.source.partition(",")[2]),
            photo.size,
            max(photo.size) < _TINY,
        ),
        seen=(seen.left / width, seen.top / height, seen.width / width, seen.height / height),
        values=np.stack([_drawn(cam) for cam in maps]),
        limit=common_limit(maps) or 1.0,
        unit=unit(maps[0]),
    )


def _drawn(cam: ClassActivationMap) -> Floats:
    """The values of a map as they are drawn: noise is not to look like evidence."""
    return np.zeros_like(cam.values) if why_empty(cam) else cam.values


def _filters(found: Sequence[Frame]) -> list[PlayedGrid]:
    tiles = [frame.filters for frame in found if frame.filters is not None]
    if not tiles:
        return []
    values = np.stack([one.values for one in tiles])
    _, kept, *_ = values.shape
    low, high = colour_limits(values, centred=True)
    in_colour = values.ndim == 5
    colours = "gray" if in_colour else SIGNED
    return [
        PlayedGrid(
            name="filters",
            title=_title(kept, tiles[0].count, "filters", tiles[0].layer),
            values=values,
            limits=(low, high),
            legend=Legend("weight", colours, low, high, (number(low), number(high)), rgb=in_colour),
            unit="weight",
            cell=1,
            sentences=[f"Filter {at}" for at in range(kept)],
        )
    ]


def _channels(found: Sequence[Frame]) -> list[PlayedGrid]:
    tiles = [frame.channels for frame in found if frame.channels is not None]
    if not tiles:
        return []
    values = finite(np.stack([one.values for one in tiles]))
    look = shading(values, signed=bool((values < 0).any()), colours="teal")
    ticks = number(look.low), number(look.high)
    return [
        PlayedGrid(
            name="activations",
            title=_title(values.shape[1], tiles[0].count, "channels", tiles[0].layer),
            values=values,
            limits=look.limits,
            legend=Legend("activation", look.colours, look.low, look.high, ticks),
            unit="activation",
            cell=tiles[0].cell,
            sentences=[f"Channel {at}" for at in range(values.shape[1])],
        )
    ]


def _title(kept: int, count: int, what: str, layer: str) -> str:
    shown = f"{count} {what}" if kept == count else f"{kept} of {count} {what}"
    return f"{shown} of {layer}"


def _note(reel: Reel, known: dict[int, Frame], epochs: Sequence[Epoch]) -> str:
    """What the colours mean, and what is left out."""
    text = "The colours mean the same in all epochs."
    if len(reel.epochs) < len(epochs):
        text += f" {len(reel.epochs)} of the {len(epochs)} epochs are played."
    cells = {frame.channels.cell for frame in known.values() if frame.channels is not None}
    if cells and (cell := cells.pop()) > 1:
        text += f" A cell of the channels is the mean of {cell} × {cell}."
    return text
