"""Find and load saved models, each with its card."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import keras

from cnnviz.cards import (
    MAX_SIDE,
    ModelCard,
    Preprocessing,
    SuggestedLayers,
    Training,
    card_path,
    numbered_labels,
    read_card,
)
from cnnviz.errors import CardError, LayerError, ModelError, RefusedModelError
from cnnviz.inspection.gate import Inspection, inspect_inner_model, inspect_model, write_sanitised
from cnnviz.networks.layers import damaged, describe, walk
from cnnviz.networks.layouts import Shape, graph_of, input_shape, outputs
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

    @functools.cached_property
    def damaged(self) -> tuple[str, ...]:
        """Paths of the layers that hold a weight that is NaN or infinite."""
        return damaged(self.model)

    @functools.cached_property
    def outputs(self) -> dict[str, int]:
        """The outputs that give class scores, and how many; the card's ``output`` chooses one."""
        return _fitting(self.model)

    @functools.cached_property
    def output(self) -> str | None:
        """Name of the output that is shown; None for a model written as a class of its own.

        Raises:
            CardError: the card names one that gives no class scores.
        """
        if self.outputs:
            _units(self.model, self.card.output)
        return self.card.output or next(iter(self.outputs), None)


def load_model(path: str | Path, *, trusted: bool = False) -> Network:
    """Loads a saved Keras model and the card beside it, or infers a card.

    Keras itself only ever sees a clean copy of the file, without whatever a network for
    pictures does not need: see ``inspection``.

    Args:
        path: a ``.keras`` or ``.h5`` file.
        trusted: hands Keras the file itself, for a model that you made: its safe mode still
            refuses Lambda layers, and classes of your own are found where you registered them.

    Raises:
        RefusedModelError: the file is not safe to open, or no model for pictures.
        ModelError: there is no such file, or Keras cannot load it.
        CardError: the card beside it has a wrong field.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no model file at {path}.")
    if trusted:
        return _of_file(path, _load(path, path.name))
    with _refusing_by_name(path):
        found = inspect_model(path)
    return load_inspected(path, found)


def load_inspected(path: str | Path, found: Inspection) -> Network:
    """Loads the model that ``inspection`` found in a file, without another look at it.

    Raises:
        RefusedModelError: the weights cannot be read, or the file is another one by now.
        ModelError: Keras cannot load it.
        CardError: the card beside it has a wrong field.
    """
    path = Path(path)
    with _refusing_by_name(path):
        model = _load_clean_copy(path, found)
    # Card and fingerprint belong to the whole file, not to a model inside it.
    return network(model, path=path) if found.inner else _of_file(path, model)


def extract_model(path: str | Path, layer: str | None = None) -> Network:
    """Loads the real model inside a file that was saved for several graphics cards.

    Keras 2's ``multi_gpu_model`` put it between Lambda layers that slice the batch; these are
    not run. The model is the one that ``path`` without them would have held.

    Args:
        path: the ``.h5`` file.
        layer: the name of the model inside; it need not be given where there is one.

    Raises:
        RefusedModelError: the file is not one of those, or the model inside is not safe.
        LayerError: there is no model of that name inside.
    """
    path = Path(path)
    found = inspect_inner_model(path)
    name = found.config["config"]["name"]
    if layer not in {None, name}:
        raise LayerError(f"There is no model {layer!r} inside {path.name}; there is {name!r}.")
    return load_inspected(path, found)


def _of_file(path: Path, model: keras.Model) -> Network:
    """The network of a whole file, with the card beside it."""
    card = card_path(path)
    known = read_card(card) if card.exists() else None
    with path.open("rb") as file:
        fingerprint = hashlib.file_digest(file, "sha256").hexdigest()
    return network(model, known, path=path, fingerprint=fingerprint)


@contextmanager
def _refusing_by_name(path: Path) -> Iterator[None]:
    try:
        yield
    except RefusedModelError as error:
        raise RefusedModelError(f"{path.name} is refused. {error}", error.code) from error


def _load_clean_copy(path: Path, found: Inspection) -> keras.Model:
    settings = _keras_settings()
    with tempfile.TemporaryDirectory(prefix="cnnviz-") as folder:
        copy = Path(folder) / f"model{found.suffix}"
        write_sanitised(path, found, copy)
        model = _load(copy, path.name)
    if _keras_settings() != settings:
        raise ModelError(f"{path.name} changed Keras's own settings while it was loaded.")
    for _, layer in walk(model):
        # Keras 3.15 leaves such a layer inside another model with a mean of 0 and a variance of 1.
        if isinstance(layer, keras.layers.Normalization) and layer.built:
            layer.finalize_state()
    return model


def _keras_settings() -> tuple[Any, ...]:
    config = keras.config
    policy = keras.dtype_policies.serialize(config.dtype_policy())
    return config.floatx(), config.epsilon(), config.image_data_format(), str(policy)


def _load(path: Path, name: str) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    # Keras raises whatever a malformed file makes it raise, with paths and code in the text.
    except Exception as error:
        _log.warning("Keras could not load %s", name, exc_info=error)
        raise ModelError(
            f"{name} cannot be loaded as a Keras model: the file is damaged, was saved by "
            "an incompatible version, or needs code of its own."
        ) from error


def network(
    model: keras.Model,
    card: ModelCard | None = None,
    *,
    path: Path | None = None,
    fingerprint: str = "",
) -> Network:
    """Makes a ``Network`` of a model in memory; without a card it infers one.

    Raises:
        ModelError: the model does not take one picture or gives no class scores.
        CardError: the card's output, labels or channels do not fit the model.
    """
    if not model.built or (graph_of(model) and not model.inputs):
        raise ModelError(
            "This model was never built: it holds no weights, and no input that cnnviz could "
            "feed. Call it once on a picture and save it again."
        )
    if graph_of(model):
        _check_kind(model)
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


def with_card(known: Network, card: ModelCard) -> Network:
    """The same network by another card; what was compiled is shared.

    Raises:
        CardError: the card's output, labels or channels do not fit the model.
    """
    _check_fit(known.model, card, repr(card.title))
    return dataclasses.replace(known, card=card)


def infer_card(model: keras.Model, title: str, output: str | None = None) -> ModelCard:
    """The best guess at a card: numbered classes, and the values that the input suggests.

    Args:
        model: the model.
        title: what the card calls it.
        output: name of the output that is to be shown; the first that fits if None.

    Raises:
        CardError: there is no such output.
    """
    sizes: Shape = (None, None, None, 3)
    labels = ["class 0"]
    description = (
        "A model written as a class of its own: its layers and filters can be shown, and "
        "nothing is known of its classes and its input."
    )
    if graph_of(model):
        sizes = input_shape(model)
        labels = numbered_labels(_units(model, output))
        description = "A saved Keras model without a card: what stands here is inferred."
    _, height, width, channels = sizes
    return ModelCard(
        title=title,
        description=description,
        output=output,
        labels=labels,
        preprocessing=Preprocessing(
            height=height or 224,
            width=width or 224,
            channels=cast(Literal[1, 3, 4], channels),
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


def _check_kind(model: keras.Model) -> None:
    """Raises ``ModelError`` for a model that takes no picture or gives no class scores."""
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ModelError(
            "cnnviz shows networks that take one picture: an input of (batch, height, width, "
            "channels), or with the channels before the height. Networks with several inputs, "
            "and networks for text, sound, tables, video or volumes, are not supported. This "
            f"one takes {', '.join(map(str, shapes))}."
        )
    _, height, width, channels = input_shape(model)
    if channels not in {1, 3, 4} or max(height or 1, width or 1) > MAX_SIDE:
        raise ModelError(
            "cnnviz feeds networks with pictures of 1 channel (grey), 3 (RGB) or 4 (RGB and an "
            f"opaque alpha), and at most {MAX_SIDE} pixels a side. This one takes {shapes[0]}."
        )
    if not _fitting(model):
        raise ModelError(
            "cnnviz shows networks that give class scores: an output of (batch, classes), or of "
            "(batch, height, width, classes). This one gives "
            f"{', '.join(str(tuple(tensor.shape)) for tensor in model.outputs)}."
        )


def _fitting(model: keras.Model) -> dict[str, int]:
    """The outputs that give class scores and how many classes; rows of scores before maps."""
    known = outputs(model)
    return {
        name: int(shape[-1] or 0)
        for rank in (2, 4)
        for name, shape in known.items()
        if len(shape) == rank and shape[-1]
    }


def _units(model: keras.Model, output: str | None) -> int:
    """How many numbers the chosen output gives for a picture."""
    fitting = _fitting(model)
    if output is not None and output not in fitting:
        raise CardError(
            f"output: there is no output {output!r} that gives class scores. "
            f"Choose from {', '.join(fitting)}."
        )
    return fitting[output or next(iter(fitting))]


def _check_fit(model: keras.Model, card: ModelCard, name: str) -> None:
    correction = f"The card {name} needs a correction. "
    if graph_of(model):
        _check_ends(model, card, correction)
    paths = {path for path, _ in walk(model)}
    suggested = card.suggested_layers
    for layer in (suggested.filters, *suggested.activations, suggested.cam):
        if layer is not None and layer not in paths:
            raise CardError(f"{correction}suggested_layers: the model has no layer {layer!r}.")


def _check_ends(model: keras.Model, card: ModelCard, correction: str) -> None:
    """Raises ``CardError`` where labels or input size are not those of the model."""
    try:
        units = _units(model, card.output)
    except CardError as error:
        raise CardError(f"{correction}{error}") from None
    # One sigmoid unit speaks for two classes.
    if len(card.labels) != max(units, 2):
        several = f" {card.output!r}" if card.output else ""
        raise CardError(
            f"{correction}labels: there are {len(card.labels)}, but the model{several} has "
            f"{units} outputs."
        )
    _, *sizes = input_shape(model)
    named = (card.preprocessing.height, card.preprocessing.width, card.preprocessing.channels)
    if any(size is not None and size != told for size, told in zip(sizes, named, strict=True)):
        raise CardError(
            f"{correction}preprocessing: height, width and channels are {named}, but the model "
            f"takes {tuple(sizes)}."
        )
