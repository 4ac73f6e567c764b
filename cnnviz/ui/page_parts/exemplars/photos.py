"""Where exemplars come from: kept files, the package's pictures, or the photos of a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from cnnviz.errors import DataError
from cnnviz.features.searches import PhotoSearch
from cnnviz.photos import sources
from cnnviz.photos.encoding import encode_png
from cnnviz.photos.sources import PhotoSource
from cnnviz.serving import training_jobs
from cnnviz.serving.model_files import ModelFile
from cnnviz.shipped_models import fingerprint_of
from cnnviz.training.data.manifest import Prepared, read_prepared
from cnnviz.training.data.prepared_photos import prepared_photos
from cnnviz.training.runs import run_folder
from cnnviz.ui import choices, notices
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import library, own_models
from cnnviz.ui.sidebar import photos as sidebar

# What is searched when somebody asks: the package's own pictures, and the photos of a training.
OWN, TRAINING = "own", "training"
# A network's input of so many pixels, in grey, is for digits: every tenth of them is looked at.
_DIGITS_SIDE, _DIGITS_STEP = 32, 10
# The name of the choice in the address.
_AMONG = "among"
_NONE = ""


def searchable(scene: Scene) -> dict[str, PhotoSource]:
    """The photos that can be searched for a network; none as long as it cannot be run."""
    if scene.needs_preset:
        return {}
    found = {OWN: _own(scene)}
    of_training = _of_training(scene)
    return found if of_training is None else {TRAINING: of_training, **found}


def pick(
    kept: Sequence[str],
    offered: Mapping[str, PhotoSource],
    scope: str,
    *,
    in_row: bool = False,
) -> str | None:
    """The choice of the photos; None where nobody has asked for any yet.

    Args:
        kept: what kept exemplars were chosen from: the first one is shown without being asked for.
        offered: what can be searched.
        scope: as in ``choices.choose``.
        in_row: whether it is in a row of choices, with a label; then the first photos are searched
            without being asked for, too.
    """
    texts = {key: f"{len(source.names):,} {source.title}" for key, source in offered.items()}
    options = [*kept, *texts]
    if not options:
        st.caption("This follows once it is known which values this network takes.")
        return None
    at_once = in_row or bool(kept)
    if len(options) == 1 and not at_once:
        (only,) = options
        widget: Callable[..., bool] = lambda label, _, key: st.toggle(label, key=key)  # noqa: E731
        wanted = choices.choose(
            widget, f"Look among the {texts[only]}", "exemplars", [False, True], False
        )
        return only if wanted else None
    chosen = choices.choose(
        st.selectbox,
        "Chosen from",
        _AMONG,
        options if at_once else [_NONE, *options],
        options[0] if at_once else _NONE,
        scope=scope,
        format_func=lambda option: texts.get(option, option) or "Choose where to look",
        label_visibility="visible" if in_row else "collapsed",
    )
    return chosen or None


def search(
    scene: Scene, source: PhotoSource, layer: str | None = None, channels: tuple[int, ...] = ()
) -> PhotoSearch:
    """The search among some photos for the exemplars of channels, or of classes."""
    card = scene.outline.card
    if not set(source.classes) <= set(card.labels):
        # Other names than the network's, such as those of another data set, are not its classes.
        source = dataclasses.replace(source, classes=())
    key = f"{scene.model.name} {source.title}"
    return PhotoSearch(key, source, source.steps(card.preprocessing), layer, channels)


def open_photo(scene: Scene, source: PhotoSource, name: str) -> None:
    """Makes a photo that was found that of all pages, before they are drawn."""
    sample = next((one for one in library.samples(scene.model) if one.title == name), None)
    if sample is not None:
        sidebar.choose_sample(scene.model, sample.name)
    else:
        data = encode_png(np.asarray(source.open(name)))
        sidebar.take(data, name.rpartition("/")[2], f"From {source.title}")
    notices.show(f"{name} is the photo of all pages now.")


def keeps_files(model: ModelFile) -> bool:
    """Whether a model can have exemplars that are kept.

    What somebody has kept of a file is not for a visitor who uploads a copy of it: the pictures
    may be of photos that are not for them.
    """
    return Path(model.path).parent != Path(own_models.uploaded_files().folder.name)


@st.cache_data(show_spinner=False)
def fingerprint(model: ModelFile) -> str:
    """The SHA-256 of a model's file."""
    return fingerprint_of(Path(model.path))


def _own(scene: Scene) -> PhotoSource:
    steps = scene.outline.card.preprocessing
    if steps.channels == 1 and max(steps.height, steps.width) <= _DIGITS_SIDE:
        return _digits()
    return sources.sample_photos(library.samples(scene.model))


@st.cache_resource(show_spinner=False)
def _digits() -> PhotoSource:
    return sources.digit_photos(_DIGITS_STEP)


def _of_training(scene: Scene) -> PhotoSource | None:
    """The photos for validation of the training on this server that made a network, if one did."""
    path = Path(scene.model.path)
    for job in training_jobs.jobs():
        if path == job.model or path.parent == run_folder(job.model):
            try:
                prepared = _prepared(job.data)
                return prepared_photos(prepared, scene.outline.card.preprocessing, "validation")
            except DataError:
                return None
    return None


@st.cache_resource(show_spinner=False, max_entries=4)
def _prepared(folder: Path) -> Prepared:
    return read_prepared(folder)
