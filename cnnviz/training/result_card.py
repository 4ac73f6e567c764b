"""The card of a trained network: a draft before the training, measured figures after it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cnnviz.cards import (
    Accuracy,
    Confusion,
    ModelCard,
    Preprocessing,
    SuggestedLayers,
    Training,
)
from cnnviz.training.data.manifest import Prepared, Split
from cnnviz.training.recipes import Recipe
from cnnviz.training.runs import Epoch, best_of


@dataclass(frozen=True)
class Measurement:
    """Figures of a network on the photos of a split.

    Attributes:
        loss: mean cross-entropy.
        accuracy: 0 to 1.
        confusion: (C, C), a row for each true class and a column for each predicted one.
    """

    loss: float
    accuracy: float
    confusion: NDArray[np.int64]


def draft_card(prepared: Prepared, recipe: Recipe, out: Path) -> ModelCard:
    """The card without measured figures, which the checkpoints share."""
    training, validation = prepared.count("training"), prepared.count("validation")
    test = prepared.count("test")
    counts = ", ".join(f"{len(rows):,} of {label}" for label, rows in prepared.rows.items())
    origin = f"; starts from {recipe.origin}" if recipe.origin else ""
    chosen = "as in the source" if prepared.given_split else "by a hash of the content"
    preprocessing = prepared.preprocessing.model_dump() | {"scaling": recipe.scaling}
    return ModelCard(
        title=out.stem.replace("_", " "),
        description=recipe.about,
        labels=list(prepared.labels),
        preprocessing=Preprocessing.model_validate(preprocessing),
        training=Training(
            data=f"{prepared.source}: {counts}{origin}",
            split=(
                f"{chosen}: {training:,} photos for training, changed at random in "
                f"every epoch, and {validation:,} for validation, which chose the best epoch"
                + (f"; {test:,} for the test, which chose nothing" if test else "")
            ),
        ),
        licence="unknown",
        source=f"trained with 'python -m cnnviz train --architecture {recipe.name}'",
        suggested_layers=suggested_layers(recipe),
    )


def suggested_layers(recipe: Recipe) -> SuggestedLayers:
    """The suggested layers of a recipe, as a card holds them."""
    return SuggestedLayers.model_validate(asdict(recipe.layers))


def measured_card(
    draft: ModelCard,
    history: Sequence[Epoch],
    measurements: dict[Split, Measurement],
    continued_after: int = 0,
) -> ModelCard:
    """The card of the best epoch's network.

    Args:
        draft: the card without measured figures.
        history: all epochs.
        measurements: for each split the figures of the best epoch's network; the first one's
            confusion matrix is shown.
        continued_after: as in ``TrainingConfig``.
    """
    photos = {
        split: f"the {measured.confusion.sum():,} {split} photos"
        for split, measured in measurements.items()
    }
    accuracy = [
        Accuracy(metric="accuracy", value=round(measured.accuracy, 4), on=photos[split])
        for split, measured in measurements.items()
    ]
    confusions = [
        Confusion(counts=measured.confusion.tolist(), on=photos[split])
        for split, measured in measurements.items()
    ]
    figures = {
        "accuracy": accuracy,
        "confusion": confusions[0] if confusions else None,
        "epochs": best_of(history).number,
        "seconds": round(sum(epoch.seconds for epoch in history), 1),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }
    training = draft.training.model_copy(update=figures)
    source = draft.source
    if continued_after:
        source += f", finished after epoch {continued_after} and then continued"
    return draft.model_copy(update={"training": training, "source": source})
