"""A card for a model that has none, as far as the model shows it."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.cards import (
    PRESETS,
    ModelCard,
    Preprocessing,
    SuggestedLayers,
    Training,
    numbered_labels,
)
from cnnviz.networks.structure import ModelStructure, Shape

_DESCRIPTION = (
    "A saved Keras model: its class names and the way a photo becomes its input are inferred."
)
_SUBCLASSED = (
    "A subclassed model (a Python class of its own): its layers and filters can be shown, and "
    "nothing is known of its classes and its input."
)


def infer_card(
    structure: ModelStructure,
    scaling: str | None,
    title: str,
    output: str | None = None,
    names: Sequence[str] = (),
) -> ModelCard:
    """The most likely card, with the preprocessing that the model's first operations show.

    Args:
        structure: of the model.
        scaling: what ``input_scaling.find_scaling`` found; None where that is not known.
        title: the card's title.
        output: name of the selected output; the first with class scores if None.
        names: the class names of ``labels.txt``; numbers take their place where they do not fit.

    Raises:
        CardError: there is no such output with class scores.
    """
    sizes: Shape = (None, None, None, 3)
    labels = ["class 0"]
    sentences = [_SUBCLASSED]
    if structure.has_graph:
        sizes = structure.input_shape
        labels = numbered_labels(structure.class_count(output))
        sentences = [_DESCRIPTION]
    if names and len(names) == len(set(names)) == len(labels):
        labels = list(names)
        sentences.append("The class names are those of labels.txt.")
    elif names:
        sentences.append(
            f"The names of labels.txt are not used: there are {len(set(names))} different ones "
            f"for {len(labels)} classes."
        )
    # A subclassed model gets no photo, so the card need not be completed.
    steps: dict[str, str] = {"scaling": scaling or "unknown" if structure.has_graph else "none"}
    if steps["scaling"] == "unknown" and _is_teachable_machine(structure):
        steps = PRESETS["teachable-machine"]
        sentences.append("Its layers and its preprocessing are those of Teachable Machine.")
    _, height, width, channels = sizes
    return ModelCard(
        title=title,
        description=" ".join(sentences),
        output=output,
        labels=labels,
        preprocessing=Preprocessing.model_validate(
            {"height": height or 224, "width": width or 224, "channels": channels, **steps}
        ),
        training=Training(data="unknown", split="unknown"),
        licence="unknown",
        source="unknown",
        suggested_layers=SuggestedLayers(),
        inferred=True,
    )


def _is_teachable_machine(structure: ModelStructure) -> bool:
    """Whether the layers are those of Teachable Machine's image projects.

    A Sequential of two: one of a backbone and an average, one of dense layers.
    """
    kinds: dict[str, list[str]] = {}
    for layer in structure.layers:
        parent, _, _ = layer.path.rpartition("/")
        kinds.setdefault(parent, []).append(layer.kind)
    if kinds.get("") != ["Sequential", "Sequential"]:
        return False
    backbone, classifier = (
        kinds.get(layer.path, []) for layer in structure.layers if "/" not in layer.path
    )
    return (
        len(backbone) == 2
        and backbone[1] == "GlobalAveragePooling2D"
        and set(classifier) == {"Dense"}
    )
