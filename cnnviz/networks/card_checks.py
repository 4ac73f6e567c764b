"""Whether a card fits a model."""

from __future__ import annotations

from cnnviz.cards import ModelCard
from cnnviz.errors import CardError
from cnnviz.networks.structure import ModelStructure


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
