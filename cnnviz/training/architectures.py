"""The networks of the recipes, untrained: a short function for each."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

from cnnviz.errors import ModelError
from cnnviz.settings import ROOT

Shape = tuple[int, int, int]

BACKBONE = ROOT / "models" / "imagenet_efficientnet_lite0.keras"


def lesson_mnist(shape: Shape, classes: int) -> keras.Model:
    """Two convolutions and two dense layers: (N, h, w, C) of 0 to 1 -> (N, classes)."""
    image = keras.Input(shape, name="image")
    x = layers.Conv2D(32, 3, activation="relu", name="conv1")(image)
    x = layers.Conv2D(64, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Dropout(0.25, name="dropout1")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    x = layers.Dropout(0.5, name="dropout2")(x)
    return keras.Model(image, _scores(x, classes), name="lesson_mnist")


def lesson_cam(shape: Shape, classes: int) -> keras.Model:
    """Convolutions, global average pooling, one dense layer (Zhou et al. 2016, arXiv:1512.04150).

    (N, h, w, C) of 0 to 1 -> (N, classes); the last feature maps have an eighth of the side.
    """
    image = x = keras.Input(shape, name="image")
    for number, filters in enumerate((32, 64, 128, 128), start=1):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
        # With a few photos an epoch has few steps, which the running mean must follow.
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
        if number < 4:
            x = layers.MaxPooling2D(name=f"pool{number}")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(image, _scores(x, classes), name="lesson_cam")


def transfer(shape: Shape, classes: int) -> keras.Model:
    """The shipped EfficientNet-Lite0 with a new dense layer for the classes.

    (N, 224, 224, 3) of 0 to 255 -> (N, classes).
    """
    if not BACKBONE.exists():
        raise ModelError(f"Transfer learning starts from {BACKBONE}, which is not there.")
    backbone = keras.saving.load_model(BACKBONE, compile=False)
    x = backbone.get_layer("avg_pool").output
    x = layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(backbone.input, _scores(x, classes), name="transfer")


def tiny_vgg(shape: Shape, classes: int) -> keras.Model:
    """The network of CNN Explainer (Wang et al. 2020, arXiv:2004.15004).

    (N, h, w, C) of 0 to 1 -> (N, classes).
    """
    image = x = keras.Input(shape, name="image")
    for block in (1, 2):
        for number in (1, 2):
            name = f"conv_{block}_{number}"
            x = layers.Conv2D(10, 3, activation="relu", name=name)(x)
        x = layers.MaxPooling2D(name=f"max_pool_{block}")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, _scores(x, classes), name="tiny_vgg")


def _scores(x: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    # Probabilities need float32, also where the other layers compute in bfloat16.
    dense = layers.Dense(classes, activation="softmax", dtype="float32", name="predictions")
    return dense(x)


BUILDERS: dict[str, Callable[[Shape, int], keras.Model]] = {
    "lesson-mnist": lesson_mnist,
    "lesson-cam": lesson_cam,
    "transfer": transfer,
    "transfer-quick": transfer,
    "tiny-vgg": tiny_vgg,
}


def freeze(network: keras.Model, *, all_but_scores: bool) -> None:
    """Sets which layers of the transfer network are trained.

    Batch normalisations never are: a few photos would replace statistics of a million photos.
    """
    for layer in network.layers:
        normalises = isinstance(layer, layers.BatchNormalization)
        layer.trainable = not normalises and (layer.name == "predictions" or not all_but_scores)
