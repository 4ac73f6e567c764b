"""The network after an epoch: the choice of epoch, photo and layer, and what it computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from cnnviz.attribution.descriptions import describe
from cnnviz.errors import DataError
from cnnviz.photos.encoding import encode_png
from cnnviz.serving import training_jobs
from cnnviz.training.data.manifest import Prepared, read_prepared
from cnnviz.training.runs import Epoch, TrainingRun, best_of
from cnnviz.ui import choices, parts
from cnnviz.ui.components import viewer
from cnnviz.ui.loaded_photo import LoadedPhoto
from cnnviz.ui.page_parts import channel_grids
from cnnviz.ui.page_parts import filters as filter_parts
from cnnviz.ui.page_parts.exemplars import classes
from cnnviz.ui.page_parts.training.views import TrainingView, stay_at_newest
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import photos
from cnnviz.ui.text import plain

_SIDEBAR = "The photo in the sidebar"
_MOST_CHANNELS = 32


def pick_epoch(view: TrainingView, epochs: Sequence[Epoch]) -> Epoch:
    """The choice of an epoch; without a choice, or with that of the newest, the newest one."""
    numbers = {epoch.number: epoch for epoch in epochs}
    newest, scope = epochs[-1].number, view.key
    stay_at_newest("epoch", scope, str(newest))
    if len(numbers) == 1:
        st.caption(
            "The first epoch is done; with the next one you can go back and forth."
            if newest
            else "This is the network before its first step. After the first epoch you can go back "
            "and forth."
        )
        return epochs[0]
    best = best_of(epochs)
    chosen: int = choices.choose(
        st.select_slider,
        "Epoch",
        "epoch",
        list(numbers),
        newest,
        scope=scope,
        format_func=lambda number: name_of(numbers[number], best),
        help="The pictures below show the network as it was after this epoch; 0 is before the "
        "first. The best is the one of the highest accuracy on the photos for validation.",
    )
    return numbers[chosen]


def name_of(epoch: Epoch, best: Epoch | None = None) -> str:
    """The name of an epoch in a list."""
    if not epoch.number:
        return "0 (untrained)"
    return f"{epoch.number} (best)" if epoch == best else str(epoch.number)


def put_epoch(view: TrainingView, epoch: Epoch) -> None:
    """Chooses an epoch for the person, before the choice is drawn."""
    choices.put("epoch", str(epoch.number), view.key)


def pick_photo(view: TrainingView, own: LoadedPhoto) -> tuple[LoadedPhoto, str | None]:
    """The choice of the photo to look at: one for validation, with its class, or the sidebar's."""
    prepared = _prepared_data(view)
    labels = list(_validation_rows(prepared)) if prepared else []
    chosen: str = choices.choose(
        st.selectbox,
        "Photo",
        "looked at",
        [*labels, _SIDEBAR],
        labels[0] if labels else _SIDEBAR,
        scope=view.key,
        format_func=lambda name: name if name == _SIDEBAR else f"{name}, kept for validation",
    )
    if prepared is None or chosen == _SIDEBAR:
        return own, None
    return _validation_photo(view.key, chosen, prepared), chosen


def _validation_rows(prepared: Prepared) -> dict[str, int]:
    """For each class the index of its first row for validation; a class may have none."""
    indices = {
        label: [index for index, row in enumerate(rows) if row.split == "validation"]
        for label, rows in prepared.rows.items()
    }
    return {label: of_class[0] for label, of_class in indices.items() if of_class}


def _prepared_data(view: TrainingView) -> Prepared | None:
    if view.job is None:
        return None
    try:
        return _read_prepared(view.job.data)
    except DataError:
        return None


@st.cache_resource(show_spinner=False, max_entries=4)
def _read_prepared(folder: Path) -> Prepared:
    return read_prepared(folder)


@st.cache_resource(show_spinner=False, max_entries=64)
def _validation_photo(key: str, label: str, _prepared: Prepared) -> LoadedPhoto:
    index = _validation_rows(_prepared)[label]
    values = np.asarray(_prepared.arrays()[_prepared.labels.index(label)][index])
    pixels = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values
    row = _prepared.rows[label][index]
    return photos.loaded_photo(encode_png(pixels), label, row.file, f"{key} {row.sha256}")


def pick_layer(view: TrainingView, run: TrainingRun) -> str | None:
    """The choice of the layer whose activations are drawn; None where the card suggests none."""
    offered = run.card.suggested_layers.activations
    if not offered:
        return None
    scope = f"training {view.key}"
    return choices.choose(st.selectbox, "Layer", "layer", offered, offered[0], scope=scope)


def after(epoch: Epoch, view: TrainingView, run: TrainingRun, photo: LoadedPhoto) -> Scene:
    """The network after an epoch, with the training's card, and a photo.

    Raises:
        ModelError: its checkpoint does not exist any more.
    """
    model = training_jobs.checkpoint(run, epoch.checkpoint, trusted=view.trusted)
    return Scene(model, photo, run.card)


def draw(scene: Scene, layer: str | None) -> None:
    """Draws a network's prediction for a photo, its map, its filters and its activations."""
    explanation = scene.explanation()
    text = describe(explanation, scene.photo.size, scene.outline.card.preprocessing)
    st.subheader(plain(text), anchor=False)
    evidence, kernels, maps = st.columns(3, gap="medium")
    with evidence:
        parts.overlay(scene, explanation.maps[0], key="training overlay")
    filters = scene.outline.card.suggested_layers.filters
    if filters is not None:
        with kernels:
            weights = scene.filters(filters)
            filter_parts.overview(scene, weights, key="training filters")
    if layer is not None:
        with maps:
            _draw_activations(scene, layer)


def draw_exemplars(scene: Scene) -> None:
    """Draws the photos that a network takes for a class, which can be chosen."""
    labels = scene.outline.card.labels
    label = choices.choose(
        st.selectbox,
        "Class",
        "class",
        labels,
        labels[0],
        scope=f"training {scene.outline.card.title}",
        width=320,
    )
    classes.show(scene, label)


def _draw_activations(scene: Scene, layer: str) -> None:
    """Draws channels in the order of their numbers, so that each keeps its position."""
    maps = scene.activations(layer)
    count = min(maps.shape[-1], _MOST_CHANNELS)
    look = channel_grids.Look("number", "layer", "teal")
    title = f"{count} of {maps.shape[-1]} channels of {layer}"
    drawn = channel_grids.channel_grid(maps, range(count), look, layer, title, [])
    viewer.show(drawn, "training activations")
