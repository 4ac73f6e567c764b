"""Find and load saved models, each with its card."""

from __future__ import annotations

import functools
import hashlib
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from cnnviz.cards import (
    MAX_SIDE,
    ModelCard,
    Preprocessing,
    SuggestedLayers,
    Training,
    card_path,
    read_card,
)
from cnnviz.errors import CardError, ModelError
from cnnviz.layers import describe, walk
from cnnviz.results import LayerInfo

# What TensorFlow takes as the name of a scope.
_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]*")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """A Keras model with what is known about it.

    Attributes:
        model: the model, which cnnviz reads and never changes.
        card: labels, preprocessing and origin.
        path: the file it came from, None for a model made in memory.
        fingerprint: SHA-256 of that file in hexadecimal, "" for a model made in memory.
    """

    model: keras.Model
    card: ModelCard
    path: Path | None = None
    fingerprint: str = ""
    # Compiled views on the model, kept by `graph`; they live and die with the network.
    compiled: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @functools.cached_property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer, nested ones included, in order."""
        return describe(self.model)


def load_model(path: str | Path) -> Network:
    """Loads a saved Keras model and the card beside it, or infers a card.

    Args:
        path: a ``.keras`` or ``.h5`` file.

    Raises:
        ModelError: there is no such file, or Keras cannot load it.
        CardError: the card beside it has a wrong field.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no model file at {path}.")
    card = card_path(path)
    known = read_card(card) if card.exists() else None
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    # Keras raises whatever a malformed file makes it raise, with paths and code in the text.
    except Exception as error:
        _log.warning("Keras could not load %s", path, exc_info=error)
        raise ModelError(
            f"{path.name} cannot be loaded as a Keras model: the file is damaged, was saved by "
            "an incompatible version, or needs code of its own."
        ) from error
    fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()
    return network(model, known, path=path, fingerprint=fingerprint)


def network(
    model: keras.Model,
    card: ModelCard | None = None,
    *,
    path: Path | None = None,
    fingerprint: str = "",
) -> Network:
    """Makes a ``Network`` of a model in memory; without a card it infers one.

    Raises:
        ModelError: the model does not take one picture and give one row of class scores.
        CardError: the card's labels or channels do not fit the model.
    """
    if not model.built or not getattr(model, "inputs", None):
        raise ModelError(
            "This model has no input that cnnviz could feed: it was never built, and holds no "
            "weights, or it is written as a class of its own. Call a Sequential model once on a "
            "picture and save it again, or rebuild yours as a functional model."
        )
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        raise ModelError(
            "cnnviz shows networks that take one picture: an input of (batch, height, width, "
            f"channels). This one takes {[tuple(i.shape) for i in model.inputs]}."
        )
    _, height, width, channels = model.inputs[0].shape
    if channels not in {1, 3} or max(height or 1, width or 1) > MAX_SIDE:
        raise ModelError(
            "cnnviz feeds networks with grey or RGB pictures: (batch, height, width, channels) "
            f"with 1 or 3 channels, and at most {MAX_SIDE} pixels a side. This one takes "
            f"{tuple(model.inputs[0].shape)}."
        )
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2 or not model.outputs[0].shape[1]:
        raise ModelError(
            "cnnviz shows networks with one row of class scores: an output of (batch, classes). "
            f"This one gives {[tuple(o.shape) for o in model.outputs]}."
        )
    unfit = [path for path, _ in walk(model) if not _NAME.fullmatch(path)]
    if unfit:
        raise ModelError(
            f"TensorFlow cannot run a layer named {unfit[0]!r}: a name may hold letters, digits "
            "and the signs . _ - / >. Rename the layer and save the model again."
        )
    if card is None:
        card = infer_card(model, path.stem if path else model.name)
    _check_fit(model, card, card_path(path).name if path else repr(card.title))
    return Network(model, card, path, fingerprint)


def infer_card(model: keras.Model, title: str) -> ModelCard:
    """The best guess at a card: numbered classes, and the values that the input suggests."""
    _, height, width, channels = model.inputs[0].shape
    classes = max(model.outputs[0].shape[-1], 2)
    return ModelCard(
        title=title,
        description="A saved Keras model without a card: what stands here is inferred.",
        labels=[f"class {index}" for index in range(classes)],
        preprocessing=Preprocessing(
            height=height or 224,
            width=width or 224,
            channels=channels,
            scaling="none" if _scales_inside(model) else "unit",
        ),
        training=Training(data="unknown", split="unknown"),
        licence="unknown",
        source="unknown",
        suggested_layers=SuggestedLayers(),
        inferred=True,
    )


def _scales_inside(model: keras.Model) -> bool:
    kinds = {info.kind for info in describe(model)}
    return bool(kinds & {"Rescaling", "Normalization"})


def _check_fit(model: keras.Model, card: ModelCard, name: str) -> None:
    correction = f"The card {name} needs a correction. "
    units = model.outputs[0].shape[-1]
    # One sigmoid unit speaks for two classes.
    if len(card.labels) != max(units, 2):
        raise CardError(
            f"{correction}labels: there are {len(card.labels)}, but the model has {units} outputs."
        )
    _, *sizes = model.inputs[0].shape
    named = (card.preprocessing.height, card.preprocessing.width, card.preprocessing.channels)
    if any(size is not None and size != told for size, told in zip(sizes, named, strict=True)):
        raise CardError(
            f"{correction}preprocessing: height, width and channels are {named}, but the model "
            f"takes {tuple(sizes)}."
        )
    paths = {path for path, _ in walk(model)}
    suggested = card.suggested_layers
    for layer in (suggested.filters, *suggested.activations, suggested.cam):
        if layer is not None and layer not in paths:
            raise CardError(f"{correction}suggested_layers: the model has no layer {layer!r}.")
