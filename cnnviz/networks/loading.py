"""Loads saved models, each with its card."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz.cards import ModelCard, read_card, read_class_names, with_preset
from cnnviz.errors import LayerError, ModelError, RefusedModelError
from cnnviz.inspection.gate import Inspection, write_sanitised
from cnnviz.inspection.limited import sanitised
from cnnviz.inspection.limits import MAX_LABELS_BYTES
from cnnviz.inspection.model_archives import ModelInside, decode_labels, model_inside
from cnnviz.networks import conversions
from cnnviz.networks.card_checks import check_card
from cnnviz.networks.card_inference import infer_card
from cnnviz.networks.conversions import Converted
from cnnviz.networks.keras_start import start_keras
from cnnviz.networks.network import ModelSource, Network
from cnnviz.networks.weight_files import changed_in_use
from cnnviz.shipped_models import shipped
from cnnviz.storage import HashedFile, card_path, hash_file, labels_path, read_small_file

if TYPE_CHECKING:
    import keras


def load_model(path: str | Path, *, trusted: bool = False, preset: str | None = None) -> Network:
    """Loads a saved Keras model and the card beside it, or infers a card.

    An inferred card has the class names of a ``labels.txt`` beside the model, if there is one.
    Keras opens only a sanitised copy of the file, without anything that a network for pictures
    does not need; a process with limits reads the file and writes the copy: see ``inspection``.
    Of a shipped or trusted model that was converted for LiteRT (see ``conversions``), Keras opens
    the file only when something needs that.

    Args:
        path: a ``.keras`` or ``.h5`` file, or a ZIP archive with one of these, and perhaps a
            ``labels.txt``.
        trusted: gives Keras the file itself, for a model that you made: its safe mode still
            refuses Lambda layers, and classes of your own are found where you registered them.
        preset: a key of ``PRESETS``, which takes the place of the card's scaling: needed where
            there is no card, and the model's first operations do not show the values that it takes.

    Raises:
        RefusedModelError: the file is not safe to open, or no model for pictures.
        ModelError: there is no such file, Keras cannot load it, or cnnviz cannot show it.
        CardError: the card beside it has a wrong field or does not fit the model.
    """
    path = Path(path)
    if not path.exists():
        raise ModelError(f"There is no model file at {path}.")
    converted = load_converted(path, trusted=trusted, preset=preset)
    return converted or load_with_keras(path, trusted=trusted, preset=preset)


def load_converted(
    path: Path,
    *,
    trusted: bool = False,
    preset: str | None = None,
    hashed: HashedFile | None = None,
) -> Network | None:
    """The network of a shipped or trusted model that was converted; None of any other.

    Args:
        path: as in ``load_model``.
        trusted: as in ``load_model``.
        preset: as in ``load_model``.
        hashed: what ``hash_file`` gave for the file, if it was read before.

    Raises:
        ModelError: the file cannot be read.
        CardError: as in ``load_model``.
    """
    if not path.is_file():
        return None
    hashed = hashed or hash_model(path)
    fingerprint = hashed.sha256
    if not trusted and fingerprint not in shipped().values():
        return None
    beside = card_beside(path)
    # The current folder may be another one when the file is read again.
    file = path.absolute()
    converted = conversions.find(file, fingerprint, beside)
    if not isinstance(converted, Converted):
        return None
    facts = converted.facts
    card = beside
    if card is None:
        names = read_class_names(_labels_beside(path))
        card = infer_card(facts.structure, facts.scaling, path.stem, names=names)
    if preset is not None:
        card = with_preset(card, preset)
    check_card(facts.structure, card, card_path(path).name)
    source = ModelSource(functools.partial(_load_again, file, fingerprint, trusted=trusted))
    converted = dataclasses.replace(converted, identity=hashed.identity)
    network = Network(source, card, facts.structure, path, fingerprint, converted)
    # Of an inferred card, the cache does not know what it was.
    return network if network.view == converted.view else None


def hash_model(path: Path) -> HashedFile:
    """Reads a model's file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return hash_file(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error


def load_with_keras(path: Path, *, trusted: bool = False, preset: str | None = None) -> Network:
    """``load_model``, for TensorFlow to run the network."""
    model, labels = _open(path, trusted=trusted)
    return _with_card_beside(path, model, labels, preset)


def _open(path: Path, *, trusted: bool) -> tuple[keras.Model, str]:
    """The model of a file, and the text of the ``labels.txt`` in it, if it is an archive."""
    if trusted and path.is_file():
        with _unpacked(path) as inside:
            start_keras()
            from cnnviz.networks.keras_files import open_file

            return open_file(inside.path, path.name), inside.labels
    # A file that is refused is refused before Keras starts, which takes seconds.
    with _refusing_by_name(path), sanitised(path) as (inspection, copy):
        start_keras()
        from cnnviz.networks.keras_files import open_copy

        return open_copy(copy, path.name), inspection.labels


def _load_again(path: Path, fingerprint: str, *, trusted: bool) -> keras.Model:
    """The model of a converted network, without the card beside it: that was read before.

    Raises:
        ModelError: the file cannot be read, or is another one now.
    """
    # Before: nobody said that another file may be opened. After: it may come meanwhile.
    if hash_model(path).sha256 != fingerprint:
        raise changed_in_use(path)
    model, _ = _open(path, trusted=trusted)
    if hash_model(path).sha256 != fingerprint:
        raise changed_in_use(path)
    return model


def load_inspected(
    path: str | Path, inspection: Inspection, *, preset: str | None = None
) -> Network:
    """Loads a file that was inspected before; it is not inspected again.

    Args:
        path: the file.
        inspection: what ``inspect_model`` or ``inspect_inner_model`` returned for it.
        preset: as in ``load_model``.

    Raises:
        RefusedModelError: the weights cannot be read, or the file has changed since.
        ModelError: Keras cannot load it, or cnnviz cannot show it.
        CardError: the card beside it has a wrong field or does not fit the model.
    """
    from cnnviz.networks.keras_files import open_copy

    path = Path(path)
    with _refusing_by_name(path), tempfile.TemporaryDirectory(prefix="cnnviz-") as folder:
        copy = Path(folder) / f"model{inspection.suffix}"
        write_sanitised(path, inspection, copy)
        model = open_copy(copy, path.name)
    # Card and fingerprint belong to the whole file, not to a model inside it.
    if inspection.inner:
        return _make(model, None, path, preset=preset)
    return _with_card_beside(path, model, inspection.labels, preset)


def extract_model(path: str | Path, layer: str | None = None) -> Network:
    """Loads the real model inside a file that was saved for several graphics cards.

    Keras 2's ``multi_gpu_model`` put it between Lambda layers that slice the batch; these are
    not run. The model is the one that ``path`` without them would have held.

    Args:
        path: the ``.h5`` file.
        layer: name of the model inside; may be None where there is only one.

    Raises:
        RefusedModelError: the file is not one of those, or the model inside is not safe.
        LayerError: there is no model of that name inside.
        ModelError: Keras cannot load it, or cnnviz cannot show it.
    """
    path = Path(path)
    with _refusing_by_name(path), sanitised(path, inner=True) as (inspection, copy):
        name = inspection.config["config"]["name"]
        if layer not in {None, name}:
            raise LayerError(f"There is no model {layer!r} inside {path.name}; there is {name!r}.")
        start_keras()
        from cnnviz.networks.keras_files import open_copy

        model = open_copy(copy, path.name)
    return _make(model, None, path)


def network(
    model: keras.Model,
    card: ModelCard | None = None,
    *,
    preset: str | None = None,
) -> Network:
    """Makes a ``Network`` of a model in memory; without a card it infers one.

    Args:
        model: the model.
        card: its card.
        preset: as in ``load_model``.

    Raises:
        ModelError: the model does not take one picture or gives no class scores.
        CardError: the card's output, labels or channels do not fit the model, or there is no
            such preset.
    """
    return _make(model, card, None, preset=preset)


def _make(
    model: keras.Model,
    card: ModelCard | None,
    path: Path | None,
    *,
    preset: str | None = None,
    fingerprint: str = "",
    names: Sequence[str] = (),
) -> Network:
    from cnnviz.networks.checks import check_built, check_model
    from cnnviz.networks.input_scaling import find_scaling
    from cnnviz.networks.keras_models import describe_model

    check_built(model)
    structure = describe_model(model)
    check_model(model, structure)
    if card is None:
        title = path.stem if path else model.name
        card = infer_card(structure, find_scaling(model), title, names=names)
    if preset is not None:
        card = with_preset(card, preset)
    check_card(structure, card, card_path(path).name if path else repr(card.title))
    return Network(ModelSource(model=model), card, structure, path, fingerprint)


def with_card(original: Network, card: ModelCard) -> Network:
    """The same network with another card; model, structure and compiled passes are shared.

    Raises:
        CardError: the card's output, labels or channels do not fit the model.
    """
    check_card(original.structure, card, repr(card.title))
    return dataclasses.replace(original, card=card)


def _with_card_beside(path: Path, model: keras.Model, labels: str, preset: str | None) -> Network:
    """The network of a whole file, with the card beside it and the file's fingerprint.

    Args:
        path: the file.
        model: what Keras loaded from it.
        labels: the text of the ``labels.txt`` in the file, if it is an archive.
        preset: as in ``load_model``.
    """
    card = card_beside(path)
    fingerprint = hash_model(path).sha256
    names = read_class_names(labels or _labels_beside(path)) if card is None else ()
    return _make(model, card, path, preset=preset, fingerprint=fingerprint, names=names)


def card_beside(path: Path) -> ModelCard | None:
    """The card beside a model's file, if there is one."""
    beside = card_path(path)
    return read_card(beside) if beside.exists() else None


def _labels_beside(path: Path) -> str:
    """The text of the ``labels.txt`` in a model's folder; "" if there is no such file."""
    try:
        return decode_labels(read_small_file(labels_path(path), MAX_LABELS_BYTES))
    except OSError:
        return ""


def _unpacked(path: Path) -> AbstractContextManager[ModelInside]:
    """The model in a ZIP archive; a file of another kind itself."""
    if path.suffix.lower() == ".zip":
        return model_inside(path)
    return nullcontext(ModelInside(path))


@contextmanager
def _refusing_by_name(path: Path) -> Iterator[None]:
    """Adds the name of the file to a refusal."""
    try:
        yield
    except RefusedModelError as error:
        raise RefusedModelError(f"{path.name} is refused. {error}", error.code) from error
