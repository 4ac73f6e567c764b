"""Networks whose weights are set by hand: detectors of patterns, and heads that weigh them.

Each is a chain of steps, a layer with its weights; Keras is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .planted_patterns import Array, Detector

# A layer, and its weights in Keras's order; none where it has none, or keeps its own.
Step = tuple[Any, tuple[Array, ...]]

# The layer whose channels are the detectors.
DETECTORS = "detectors"


@dataclass(frozen=True)
class Body:
    """What lies between a photo and the head, and how the photo gets in.

    Attributes:
        side: of the input, in pixels.
        cell: side of a cell after the first pooling, in pixels.
        depth: pairs of further 3×3 convolutions, which in the end change nothing.
        strides: further convolutions that halve the maps.
        nested: how many models the body lies in.
        sequential: whether the innermost of these is a Sequential.
        normalised: whether batch normalisation and a ReLU6 take the place of bias and ReLU.
        padding: of the detectors.
        fit: how the photo is brought to the input.
    """

    side: int = 64
    cell: int = 8
    depth: int = 0
    strides: int = 0
    nested: int = 0
    sequential: bool = False
    normalised: bool = False
    padding: str = "same"
    fit: str = "stretch"

    def cells(self, pattern: int) -> int:
        """The side of the last maps in cells, for patterns of so many pixels."""
        side = self.side - (pattern - 1 if self.padding == "valid" else 0)
        return side // self.cell >> self.strides

    @property
    def detectors(self) -> str:
        """The path of the layer whose channels are the detectors."""
        return "/".join([f"backbone_{level}" for level in range(self.nested, 0, -1)] + [DETECTORS])


def body_steps(body: Body, detectors: Sequence[Detector]) -> list[Step]:
    """The detectors, and what brings their answers to the last maps: a channel for each."""
    from keras import layers

    return [
        *_detection(body, detectors),
        (layers.MaxPooling2D(body.cell), ()),
        *_further_convolutions(body, len(detectors)),
    ]


def _detection(body: Body, detectors: Sequence[Detector]) -> list[Step]:
    from keras import layers

    side, count = len(detectors[0].pattern), len(detectors)
    if not body.normalised:
        weights = [detector.weights for detector in detectors]
        kernel = np.stack([kernel for kernel, _ in weights], axis=-1)
        biases = np.array([bias for _, bias in weights])
        name, padding = DETECTORS, body.padding
        convolution = layers.Conv2D(count, side, padding=padding, activation="relu", name=name)
        return [(convolution, (kernel, biases))]
    kernel = np.stack([detector.kernel for detector in detectors], axis=-1)
    thresholds = np.array([detector.threshold for detector in detectors])
    scales = np.array([detector.gain for detector in detectors]) / (1 - thresholds)
    # Any statistics will do: scale and shift bring back what they take away.
    mean, variance = np.linspace(-0.3, 0.4, count), np.linspace(0.5, 2, count)
    norm = layers.BatchNormalization(epsilon=1e-3)
    gamma, beta = scales * np.sqrt(variance + 1e-3), scales * (mean - thresholds)
    return [
        (layers.Conv2D(count, side, padding=body.padding, use_bias=False), (kernel,)),
        (norm, (gamma, beta, mean, variance)),
        (layers.ReLU(6.0, name=DETECTORS), ()),
    ]


def _further_convolutions(body: Body, channels: int) -> list[Step]:
    """Convolutions that move the channels round and scale them, and undo it again."""
    from keras import layers

    steps: list[Step] = []
    for number in range(2 * body.depth):
        shift, scale = ((1, 2.0), (-1, 0.5))[number % 2]
        kernel = np.zeros((3, 3, channels, channels))
        kernel[1, 1] = scale * np.roll(np.eye(channels), shift, axis=1)
        convolution = layers.Conv2D(channels, 3, padding="same", activation="relu")
        steps.append((convolution, (kernel, np.zeros(channels))))
    for _ in range(body.strides):
        # A single cell of four has an answer, and keeps it.
        kernel = np.tile(np.eye(channels), (2, 2, 1, 1))
        convolution = layers.Conv2D(channels, 2, strides=2, activation="relu")
        steps.append((convolution, (kernel, np.zeros(channels))))
    return steps


def averaged(weights: Array, cells: int, bias: Array | None = None) -> list[Step]:
    """An average over all cells, and a dense layer: one cell's answer counts by its weight.

    Args:
        weights: (K, C) of one cell.
        cells: side of the maps.
        bias: (C,).
    """
    from keras import layers

    return [(layers.GlobalAveragePooling2D(), ()), scores(weights * cells**2, bias)]


def strongest(weights: Array) -> list[Step]:
    """A maximum over all cells, and a dense layer with weights (K, C)."""
    from keras import layers

    return [(layers.GlobalMaxPooling2D(), ()), scores(weights)]


def flattened(weights: Array, cells: int) -> list[Step]:
    """Each cell has weights of its own: (K, C) for all the same, or (cells, cells, K, C)."""
    from keras import layers

    each = np.broadcast_to(weights, (cells, cells, *weights.shape[-2:]))
    return [(layers.Flatten(), ()), scores(each.reshape(-1, weights.shape[-1]))]


def scores(weights: Array, bias: Array | None = None) -> Step:
    """The last dense layer: a softmax, or a sigmoid for one unit."""
    from keras import layers

    units = weights.shape[-1]
    bias = np.zeros(units) if bias is None else bias
    activation = "sigmoid" if units == 1 else "softmax"
    return layers.Dense(units, activation=activation, name="scores"), (weights, bias)


def rectified(weights: Array, bias: Array) -> Step:
    """A hidden dense layer with a ReLU."""
    from keras import layers

    return layers.Dense(len(bias), activation="relu", name="hidden"), (weights, bias)


def convolved(kernel: Array, bias: Array) -> Step:
    """A convolution with a ReLU after the body; kernel (k, k, K, L)."""
    from keras import layers

    size, units = len(kernel), len(bias)
    return layers.Conv2D(units, size, padding="same", activation="relu"), (kernel, bias)


def build(
    body: Body, detectors: Sequence[Detector], head: Sequence[Step], labels: Sequence[str]
) -> Any:
    """The network of a body and a head, with a card."""
    import keras

    import cnnviz

    before = body_steps(body, detectors)
    image = keras.Input((body.side, body.side, 3), name="image")
    x = image
    if body.nested:
        x = _nested(body, [layer for layer, _ in before])(x)
        rest = list(head)
    else:
        rest = [*before, *head]
    for layer, _ in rest:
        x = layer(x)
    for layer, weights in [*before, *head]:
        if weights:
            layer.set_weights(list(weights))
    return cnnviz.network(keras.Model(image, x), _card(body, labels))


def _nested(body: Body, layers: list[Any]) -> Any:
    """A model of the layers, in as many models as the body says."""
    import keras

    shape = (body.side, body.side, 3)
    if body.sequential:
        model: Any = keras.Sequential([keras.Input(shape), *layers], name="backbone_1")
    else:
        image = x = keras.Input(shape)
        for layer in layers:
            x = layer(x)
        model = keras.Model(image, x, name="backbone_1")
    for level in range(2, body.nested + 1):
        image = keras.Input(shape)
        model = keras.Model(image, model(image), name=f"backbone_{level}")
    return model


def _card(body: Body, labels: Sequence[str]) -> Any:
    from cnnviz.cards import ModelCard

    fields = {
        "title": "A planted network",
        "description": "Its weights were set by hand.",
        "labels": list(labels),
        "preprocessing": {
            "height": body.side,
            "width": body.side,
            "fit": body.fit,
            "interpolation": "nearest",
            "scaling": "tf",
        },
        "training": {"data": "none", "split": "none"},
        "licence": "MIT",
        "source": "built for tests",
    }
    return ModelCard.model_validate(fields)
