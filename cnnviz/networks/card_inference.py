"""A card for a model that has none, as far as its structure shows it."""

from __future__ import annotations

from typing import Literal, cast

from cnnviz.cards import ModelCard, Preprocessing, SuggestedLayers, Training, numbered_labels
from cnnviz.networks.structure import ModelStructure, Shape

_SCALING_KINDS = {"Rescaling", "Normalization"}


def infer_card(structure: ModelStructure, title: str, output: str | None = None) -> ModelCard:
    """The most likely card: numbered classes, and the preprocessing that the input suggests.

    Args:
        structure: the structure of the model.
        title: the card's title.
        output: name of the selected output; the first with class scores if None.

    Raises:
        CardError: there is no such output with class scores.
    """
    sizes: Shape = (None, None, None, 3)
    labels = ["class 0"]
    description = (
        "A subclassed model (a Python class of its own): its layers and filters can be shown, and "
        "nothing is known of its classes and its input."
    )
    if structure.has_graph:
        sizes = structure.input_shape
        labels = numbered_labels(structure.class_count(output))
        description = "A saved Keras model without a card: these values are inferred."
    _, height, width, channels = sizes
    scales_inside = any(layer.kind in _SCALING_KINDS for layer in structure.layers)
    return ModelCard(
        title=title,
        description=description,
        output=output,
        labels=labels,
        preprocessing=Preprocessing(
            height=height or 224,
            width=width or 224,
            channels=cast(Literal[1, 3, 4], channels),
            scaling="none" if scales_inside else "unit",
        ),
        training=Training(data="unknown", split="unknown"),
        licence="unknown",
        source="unknown",
        suggested_layers=SuggestedLayers(),
        inferred=True,
    )
