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

from cnnviz.arrays import Floats
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

# Bins of the calibration error, as in the paper's tables.
_BINS = 15


@dataclass(frozen=True)
class Measurement:
    """Figures of a network on the photos of a split.

    Attributes:
        loss: mean cross-entropy.
        accuracy: 0 to 1.
        confusion: (C, C), a row for each true class and a column for each predicted one.
        calibration_error: as ``calibration_error`` finds it, 0 to 1.
    """

    loss: float
    accuracy: float
    confusion: NDArray[np.int64]
    calibration_error: float


def calibration_error(confidences: Floats, correct: NDArray[np.bool_]) -> float:
    """How far a network's confidence is from how often it is right: the expected calibration error.

    The photos are put into 15 bins of equal width by the probability of the predicted class; the
    error is the distance between the mean probability and the share of right answers, averaged
    over the bins, each counting as often as it has photos. Guo et al. 2017, "On calibration of
    modern neural networks", arXiv 1706.04599.

    Args:
        confidences: (N,) the probability of the predicted class; N is at least 1.
        correct: (N,) whether it is the true one.

    Returns:
        0 to 1; NaN where a probability is not a number.

    Example:
        >>> error = calibration_error(np.array([0.9, 0.9, 0.6]), np.array([True, False, True]))
        >>> round(error, 6)
        0.4
    """
    if np.isnan(confidences).any():
        return float("nan")
    bins = np.clip(np.ceil(confidences * _BINS).astype(int) - 1, 0, _BINS - 1)
    # In each bin the sum of what the confidence has too much.
    excess = np.bincount(bins, confidences - correct, minlength=_BINS)
    return float(np.abs(excess).sum() / len(confidences))


def draft_card(prepared: Prepared, recipe: Recipe, out: Path) -> ModelCard:
    """The card without measured figures, which the checkpoints share."""
    training, validation = prepared.count("training"), prepared.count("validation")
    test = prepared.count("test")
    counts = ", ".join(f"{len(rows):,} of {label}" for label, rows in prepared.rows.items())
    origin = f"; starts from {recipe.origin}" if recipe.origin else ""
    chosen = "as in the source" if prepared.given_split else "by a hash of the content"
    changed = "" if recipe.head_only else ", changed at random in every epoch,"
    preprocessing = prepared.preprocessing.model_dump() | {"scaling": recipe.scaling}
    return ModelCard(
        title=out.stem.replace("_", " "),
        description=recipe.about,
        labels=list(prepared.labels),
        preprocessing=Preprocessing.model_validate(preprocessing),
        training=Training(
            data=f"{prepared.source}: {counts}{origin}",
            split=(
                f"{chosen}: {training:,} photos for training{changed} and {validation:,} for "
                "validation, which chose the best epoch"
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
            confusion matrix and calibration error are kept.
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
    errors = [
        Accuracy(
            metric="expected calibration error",
            value=round(measured.calibration_error, 4),
            on=photos[split],
        )
        for split, measured in measurements.items()
    ]
    figures = {
        "accuracy": accuracy,
        "calibration_error": errors[0] if errors else None,
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
