"""Whether cnnviz can show a model, and whether a card fits it."""

from __future__ import annotations

import re

import keras

from cnnviz.cards import MAX_SIDE, ModelCard
from cnnviz.errors import CardError, ModelError
from cnnviz.networks.structure import ModelStructure, graph_of

# More would fill the memory of the process that shows them; ImageNet-21k has 21,841.
MAX_CLASSES = 65_536

# What TensorFlow accepts as the name of a scope.
_SCOPE_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]*")


def check_built(model: keras.Model) -> None:
    """Raises ``ModelError`` for a model without weights or without an input."""
    if not model.built or (graph_of(model) and not model.inputs):
        raise ModelError(
            "This model was never built: it holds no weights, and no input that cnnviz could "
            "feed. Call it once on a picture and save it again."
        )


def check_model(model: keras.Model, structure: ModelStructure) -> None:
    """Checks that a model takes one picture, gives class scores, and can be run.

    Raises:
        ModelError: it does not; the message names what cnnviz supports.
    """
    if structure.has_graph:
        _check_input(model, structure)
        _check_outputs(model, structure)
    unfit = [layer.path for layer in structure.layers if not _SCOPE_NAME.fullmatch(layer.path)]
    if unfit:
        raise ModelError(
            f"TensorFlow cannot run a layer named {unfit[0]!r}: a name may hold letters, digits "
            "and the signs . _ - / >. Rename the layer and save the model again."
        )


def _check_input(model: keras.Model, structure: ModelStructure) -> None:
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ModelError(
            "cnnviz shows networks that take one picture: an input of (batch, height, width, "
            "channels), or with the channels before the height. Networks with several inputs, "
            "and networks for text, sound, tables, video or volumes, are not supported. This "
            f"one takes {', '.join(map(str, shapes))}."
        )
    _, height, width, channels = structure.input_shape
    if channels not in {1, 3, 4} or max(height or 1, width or 1) > MAX_SIDE:
        raise ModelError(
            "cnnviz feeds networks with pictures of 1 channel (grey), 3 (RGB) or 4 (RGB and an "
            f"opaque alpha), and at most {MAX_SIDE} pixels a side. This one takes {shapes[0]}."
        )


def _check_outputs(model: keras.Model, structure: ModelStructure) -> None:
    if not structure.class_counts:
        raise ModelError(
            "cnnviz shows networks that give class scores: an output of (batch, classes), or of "
            "(batch, height, width, classes). This one gives "
            f"{', '.join(str(tuple(tensor.shape)) for tensor in model.outputs)}."
        )
    _check_classes(structure)


def _check_classes(structure: ModelStructure) -> None:
    classes = max(structure.class_counts.values())
    if classes > MAX_CLASSES:
        raise ModelError(
            f"This model has {classes:,} outputs, and cnnviz shows networks of at most "
            f"{MAX_CLASSES:,} classes: it may lack the last layer, which gives one score a class."
        )


def check_card(structure: ModelStructure, card: ModelCard, name: str) -> None:
    """Checks that output, labels, input size and layers of a card are those of the model.

    Args:
        structure: the structure of the model.
        card: the card.
        name: what a message calls the card.

    Raises:
        CardError: one of them is not.
    """
    correction = f"The card {name} needs a correction. "
    if structure.has_graph:
        _check_labels(structure, card, correction)
        _check_input_size(structure, card, correction)
    paths = {layer.path for layer in structure.layers}
    suggested = card.suggested_layers
    for path in (suggested.filters, *suggested.activations, suggested.cam):
        if path is not None and path not in paths:
            raise CardError(f"{correction}suggested_layers: the model has no layer {path!r}.")


def _check_labels(structure: ModelStructure, card: ModelCard, correction: str) -> None:
    try:
        units = structure.class_count(card.output)
    except CardError as error:
        raise CardError(f"{correction}{error}") from None
    # One sigmoid unit represents two classes.
    if len(card.labels) != max(units, 2):
        of_output = f" {card.output!r}" if card.output else ""
        raise CardError(
            f"{correction}labels: there are {len(card.labels)}, but the model{of_output} has "
            f"{units} outputs."
        )


def _check_input_size(structure: ModelStructure, card: ModelCard, correction: str) -> None:
    _, *sizes = structure.input_shape
    preprocessing = card.preprocessing
    on_card = (preprocessing.height, preprocessing.width, preprocessing.channels)
    pairs = zip(sizes, on_card, strict=True)
    if any(size is not None and size != card_size for size, card_size in pairs):
        raise CardError(
            f"{correction}preprocessing: height, width and channels are {on_card}, but the model "
            f"takes {tuple(sizes)}."
        )
