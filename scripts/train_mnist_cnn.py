"""Trains a small network of two convolutions on the handwritten digits of MNIST.

    python -m scripts.train_mnist_cnn --data mnist.npz

The file is the one that Keras hands out: arrays x_train, y_train, x_test, y_test. About
half an hour on one core. The same versions and the same number of threads
(``TF_NUM_INTRAOP_THREADS``, here 1) give the same weights again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf
import typer
from keras import layers
from numpy.typing import NDArray

from cnnviz.cards import (
    Accuracy,
    ModelCard,
    Preprocessing,
    SuggestedLayers,
    Training,
    card_path,
    write_card,
)
from cnnviz.preprocessing import scale_pixels

Images = NDArray[np.float32]
Digits = NDArray[np.uint8]

HELD_OUT = 6_000
EPOCHS = 30
BATCH = 128
PREPROCESSING = Preprocessing(height=28, width=28, channels=1, fit="crop", scaling="unit")


def build() -> keras.Model:
    """Builds the untrained network: ``(N, 28, 28, 1)`` of 0 to 1 -> ``(N, 10)``."""
    image = keras.Input((28, 28, 1), name="image")
    x = layers.Conv2D(32, 3, activation="relu", name="conv1")(image)
    x = layers.Conv2D(64, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Dropout(0.25, name="dropout1")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    x = layers.Dropout(0.5, name="dropout2")(x)
    x = layers.Dense(10, activation="softmax", name="predictions")(x)
    return keras.Model(image, x, name="mnist_cnn")


def with_augmentation(network: keras.Model) -> keras.Model:
    """The same network behind random changes that are active in training only.

    A third of the digits is inverted, so that ink on paper is read as well as MNIST's
    white on black.
    """
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.RandomRotation(10 / 360, fill_mode="constant"),
            layers.RandomTranslation(0.08, 0.08, fill_mode="constant"),
            layers.RandomZoom((-0.1, 0.2), (-0.1, 0.2), fill_mode="constant"),
            layers.RandomInvert(1 / 3, value_range=(0, 1)),
            layers.RandomContrast((0.6, 0.0), value_range=(0, 1)),
            network,
        ]
    )


def train(network: keras.Model, x: Images, y: Digits, held_out: tuple[Images, Digits]) -> None:
    """Trains in place for a fixed number of epochs; the held-out digits are only watched."""
    steps = EPOCHS * -(-len(x) // BATCH)
    model = with_augmentation(network)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(x, y, BATCH, EPOCHS, validation_data=held_out, verbose=2)


def accuracy(network: keras.Model, x: Images, y: Digits) -> float:
    """The share of digits whose most probable class is the right one."""
    return float(np.mean(network.predict(x, 500, verbose=0).argmax(axis=1) == y))


def make_card(held_out: float, test: float) -> ModelCard:
    """The card with the two measured accuracies."""
    return ModelCard(
        title="MNIST: a small network for digits",
        description="Reads one handwritten digit, light on dark or dark on light.",
        labels=[str(digit) for digit in range(10)],
        preprocessing=PREPROCESSING,
        training=Training(
            data=(
                f"MNIST, {60_000 - HELD_OUT:,} of the training digits; turned, moved, scaled and "
                "faded at random, a third of them inverted"
            ),
            split=(
                f"the first {HELD_OUT:,} training digits held out, to choose how long to train; "
                "the 10,000 test digits chose nothing and were measured at the end"
            ),
            accuracy=[
                Accuracy(metric="accuracy", value=round(test, 4), on="the 10,000 test digits"),
                Accuracy(
                    metric="accuracy",
                    value=round(held_out, 4),
                    on=f"the {HELD_OUT:,} held-out training digits",
                ),
            ],
        ),
        licence="MIT (the weights); MNIST: CC BY-SA 3.0",
        source="trained with scripts/train_mnist_cnn.py; MNIST by Y. LeCun, C. Cortes, C. Burges",
        suggested_layers=SuggestedLayers(
            filters="conv1", activations=["conv1", "conv2", "pool"], cam="pool"
        ),
    )


def main(
    data: Annotated[Path, typer.Option(help="MNIST as an .npz file in Keras's form.")],
    out: Annotated[Path, typer.Option(help="The model file to write.")] = Path(
        "models/mnist_cnn.keras"
    ),
) -> None:
    """Trains, saves, and measures the saved file on the test digits."""
    keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    with np.load(data) as digits:
        x, y, x_test, y_test = (digits[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    x, x_test = (scale_pixels(images[..., None], "unit") for images in (x, x_test))
    held_out = x[:HELD_OUT], y[:HELD_OUT]
    network = build()
    train(network, x[HELD_OUT:], y[HELD_OUT:], held_out)
    network.save(out)
    saved = keras.models.load_model(out)
    card = make_card(accuracy(saved, *held_out), accuracy(saved, x_test, y_test))
    write_card(card, card_path(out))
    for figure in card.training.accuracy:
        print(f"{figure.value:.4f}  {figure.metric}, on {figure.on}")


if __name__ == "__main__":
    typer.run(main)
