"""Trains a cat-or-dog network on the convolutional features of EfficientNet-Lite0.

    python -m scripts.train_cat_dog --data cats_dogs

The folder holds ``cat/`` and ``dog/``. The convolutions stay as they are; global average
pooling and one dense layer follow, so that the class activation map of Zhou et al.,
"Learning Deep Features for Discriminative Localization" (2016), comes straight from the
dense weights. A fifth of the photos is put aside and measured once, at the end; the
strength of the regularisation is chosen by cross-validation inside the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import typer
from keras import layers
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from cnnviz.cards import (
    Accuracy,
    ModelCard,
    Preprocessing,
    Training,
    card_path,
    read_card,
    write_card,
)
from cnnviz.images import open_photo
from cnnviz.preprocessing import network_view
from scripts.photos import CAT_DOG, list_photos, read_batch, split_photos

VIEWS = 8
FOLDS = 5
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
Photos = list[tuple[Path, int]]
Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Pixels = NDArray[np.uint8]


def augment(photo: Pixels, size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """A random view of a photo, (h, w, 3) uint8: cropped, perhaps mirrored, colours changed.

    The crop keeps 40 to 100% of the photo's area; its shape is between 3:4 and 4:3.
    """
    image = Image.fromarray(photo)
    area, shape = rng.uniform(0.4, 1.0), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    side = np.sqrt(area * image.width * image.height)
    width = min(image.width, int(side * np.sqrt(shape)))
    height = min(image.height, int(side / np.sqrt(shape)))
    left = int(rng.integers(image.width - width + 1))
    top = int(rng.integers(image.height - height + 1))
    box = (left, top, left + width, top + height)
    image = image.resize(size, Image.Resampling.BICUBIC, box)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = change(image).enhance(rng.uniform(0.7, 1.3))
    return np.asarray(image)


def pooled_features(backbone: keras.Model, photos: Photos, preprocessing: Preprocessing) -> Floats:
    """Pooled features of each photo, (N, 1 + VIEWS, K): the plain view first, then random ones."""
    size = (preprocessing.width, preprocessing.height)
    features = []
    for index, (path, _) in enumerate(photos):
        photo, rng = open_photo(path), np.random.default_rng(index)
        views = [network_view(photo, preprocessing)]
        views += [augment(photo, size, rng) for _ in range(VIEWS)]
        features.append(backbone.predict_on_batch(np.stack(views).astype(np.float32)))
    return np.stack(features).astype(np.float64)


def fit_logistic(x: Floats, y: Classes, penalty: float) -> tuple[Floats, float]:
    """Logistic regression with an L2 penalty, by Newton's method.

    Minimises the summed log loss plus ``penalty / 2 * |weights|²``: a convex problem with
    one answer, so that no seed and no learning rate can change the result.

    Args:
        x: features, (N, K).
        y: 0 or 1, (N,).
        penalty: the strength of the regularisation; the bias is free of it.

    Returns:
        weights (K,) and bias: the log-odds of class 1 are ``x @ weights + bias``.
    """
    padded = np.hstack([x, np.ones((len(x), 1))])
    ridge = np.full(padded.shape[1], penalty)
    ridge[-1] = 1e-6
    solution = np.zeros(padded.shape[1])
    for _ in range(30):
        probability = 1 / (1 + np.exp(-padded @ solution))
        gradient = padded.T @ (probability - y) + ridge * solution
        curvature = (padded.T * (probability * (1 - probability))) @ padded + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        solution -= step
        if np.abs(step).max() < 1e-8:
            return solution[:-1], float(solution[-1])
    raise RuntimeError("Newton's method did not settle within 30 steps.")


def cross_validate(features: Floats, y: Classes, penalty: float) -> tuple[float, float]:
    """Mean log loss and accuracy on the plain views of photos left out of the fit."""
    # Every FOLDS-th photo: the photos are in the order of a hash within each class.
    fold = np.arange(len(y)) % FOLDS
    log_odds = np.empty(len(y))
    for left_out in range(FOLDS):
        weights, bias = fit_on_views(features[fold != left_out], y[fold != left_out], penalty)
        log_odds[fold == left_out] = features[fold == left_out, 0] @ weights + bias
    loss = np.logaddexp(0, np.where(y == 1, -log_odds, log_odds)).mean()
    return float(loss), float(np.mean((log_odds > 0) == y))


def fit_on_views(features: Floats, y: Classes, penalty: float) -> tuple[Floats, float]:
    """Fits the head on all views of the photos, (N, V, K)."""
    photos, views, channels = features.shape
    return fit_logistic(features.reshape(photos * views, channels), np.repeat(y, views), penalty)


def attach_head(backbone: keras.Model, weights: Floats, bias: float) -> keras.Model:
    """Puts a two-class dense layer on the pooled features: (N, 224, 224, 3) -> (N, 2).

    The log-odds are shared out evenly, half for the dog and half against the cat: of two
    classes only the difference is determined.
    """
    head = layers.Dense(2, activation="softmax", name="predictions")
    network = keras.Model(backbone.input, head(backbone.output), name="cat_dog")
    kernel = np.stack([-weights / 2, weights / 2], axis=1)
    head.set_weights([kernel, np.array([-bias / 2, bias / 2])])
    return network


def measure(network: keras.Model, photos: Photos, preprocessing: Preprocessing) -> Floats:
    """The probability of the true class of each photo, (N,)."""
    probabilities = []
    for start in range(0, len(photos), 64):
        batch = read_batch([path for path, _ in photos[start : start + 64]], preprocessing)
        probabilities.append(network.predict_on_batch(batch))
    truth = np.array([index for _, index in photos])
    return np.concatenate(probabilities)[np.arange(len(photos)), truth].astype(np.float64)


def make_card(base: ModelCard, count: tuple[int, int], figures: list[Accuracy]) -> ModelCard:
    """The card; ``count`` is the number of photos for training and for validation."""
    return ModelCard(
        title="Cat or dog",
        description="Tells cats from dogs, and calls anything else one of the two as well.",
        labels=list(CAT_DOG),
        preprocessing=base.preprocessing,
        training=Training(
            data=(
                f"{sum(count):,} photos of cats and dogs, half of each, for the dense layer; the "
                "convolutions are those of EfficientNet-Lite0, trained on ImageNet-1k, unchanged"
            ),
            split=(
                f"80% / 20% of each class by a hash of the file name: {count[0]:,} photos for "
                f"training, each in {VIEWS} random views besides the plain one, and {count[1]:,} "
                "for validation, measured once, at the end"
            ),
            accuracy=figures,
        ),
        licence="Apache-2.0",
        source=(
            "trained with scripts/train_cat_dog.py on the convolutions of "
            "imagenet_efficientnet_lite0"
        ),
        suggested_layers=base.suggested_layers,
    )


def main(
    data: Annotated[Path, typer.Option(help="A folder with cat/ and dog/.")],
    base: Annotated[Path, typer.Option(help="The network whose convolutions are used.")] = Path(
        "models/imagenet_efficientnet_lite0.keras"
    ),
    out: Annotated[Path, typer.Option(help="The model file to write.")] = Path(
        "models/cat_dog.keras"
    ),
) -> None:
    """Trains the head, saves the network, and measures the saved file on the photos put aside."""
    base_card = read_card(card_path(base))
    base_model = keras.models.load_model(base)
    backbone = keras.Model(base_model.input, base_model.get_layer("avg_pool").output)
    training, validation = split_photos(list_photos(data))
    features = pooled_features(backbone, training, base_card.preprocessing)
    y = np.array([index for _, index in training])
    results = {penalty: cross_validate(features, y, penalty) for penalty in PENALTIES}
    for penalty, (loss, share) in results.items():
        print(f"penalty {penalty:g}: log loss {loss:.4f}, accuracy {share:.4f} ({FOLDS} folds)")
    best = min(results, key=lambda penalty: results[penalty][0])
    attach_head(backbone, *fit_on_views(features, y, best)).save(out)

    saved = keras.models.load_model(out)
    truth = measure(saved, validation, base_card.preprocessing)
    figures = [
        Accuracy(
            metric="accuracy",
            value=round(float(np.mean(truth > 0.5)), 4),
            on=f"the {len(validation):,} validation photos",
        ),
        Accuracy(
            metric="mean probability of the right class",
            value=round(float(truth.mean()), 4),
            on=f"the {len(validation):,} validation photos",
        ),
        Accuracy(
            metric="accuracy",
            value=round(results[best][1], 4),
            on=f"the {len(training):,} training photos, by {FOLDS}-fold cross-validation",
        ),
    ]
    write_card(make_card(base_card, (len(training), len(validation)), figures), card_path(out))
    for figure in figures:
        print(f"{figure.value:.4f}  {figure.metric}, on {figure.on}")


if __name__ == "__main__":
    typer.run(main)
