"""The saved models that the app offers, and the samples that suit each."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz.errors import CardError
from cnnviz.photos import samples as sample_pictures
from cnnviz.photos.samples import Sample
from cnnviz.serving.model_files import ModelFile, model_file
from cnnviz.settings import read_settings
from cnnviz.storage import card_path

if TYPE_CHECKING:
    from cnnviz.cards import ModelCard

_ENDINGS = (".keras", ".h5", ".hdf5")


def models() -> list[ModelFile]:
    """The model files in the folder of models, in the order of their names."""
    folder = read_settings().models
    if not folder.is_dir():
        return []
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in _ENDINGS]
    return [model_file(path) for path in files]


def by_name(models: Sequence[ModelFile]) -> dict[str, ModelFile]:
    """The models by name; where several share a name, by the name with its ending."""
    shared = Counter(model.name for model in models)
    return {
        model.name if shared[model.name] == 1 else Path(model.path).name: model for model in models
    }


def titles(models: Mapping[str, ModelFile]) -> dict[str, str]:
    """The titles in the list of models, by name: the card's title, else the name.

    Where several share a title the name is appended.
    """
    cards = {name: card(model) for name, model in models.items()}
    plain = {name: card.title if card else name for name, card in cards.items()}
    shared = Counter(plain.values())
    return {
        name: title if shared[title] == 1 else f"{title} ({name})" for name, title in plain.items()
    }


def samples(model: ModelFile) -> list[Sample]:
    """The samples that suit a model; all of them if none is meant for it."""
    suited = [sample for sample in _samples() if model.name in sample.models]
    return suited or list(_samples())


@functools.cache
def _samples() -> tuple[Sample, ...]:
    return sample_pictures.samples()


@functools.lru_cache(maxsize=64)
def card(model: ModelFile) -> ModelCard | None:
    """The card beside a model; None where there is none, or it cannot be read."""
    # Only here: the server starts with the list of models.
    from cnnviz.cards import read_card

    path = card_path(model.path)
    try:
        return read_card(path) if path.exists() else None
    except CardError:
        # Loading the model reports what is wrong with the card.
        return None
