"""Channels first: every array equals that of a twin with channels last and the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import cnnviz

Tiny = Callable[[str], Any]

PAIRS = [
    ("channels_first", "channels_last_twin"),
    ("channels_first_maps", "channels_last_maps_twin"),
]
pair = pytest.mark.parametrize(("first", "last"), PAIRS)


# --- The same as the twin -------------------------------------------------------------------


@pair
def test_the_same_layers_with_the_same_shapes(tiny: Tiny, first: str, last: str) -> None:
    described = [
        [(info.path, info.output_shape, info.kernel_shape, info.spatial) for info in each.layers]
        for each in (tiny(first), tiny(last))
    ]
    assert described[0] == described[1]
    assert cnnviz.outline(tiny(first)).input_shape == (None, 12, 14, 3)


@pair
@pytest.mark.engines
def test_the_same_answers_activations_and_filters(
    tiny: Tiny, photo: np.ndarray, first: str, last: str
) -> None:
    one, other = tiny(first), tiny(last)
    paths = [info.path for info in one.layers]
    actual, expected = (cnnviz.activations(network, photo, paths) for network in (one, other))
    for path in paths:
        scale = max(1, np.abs(expected[path]).max())
        np.testing.assert_allclose(actual[path], expected[path], atol=1e-5 * scale, err_msg=path)
    np.testing.assert_allclose(
        cnnviz.predict(one, photo).probabilities,
        cnnviz.predict(other, photo).probabilities,
        atol=1e-5,
    )
    for path in ("conv1", "block/conv", "depthwise", "separable", "transpose"):
        np.testing.assert_array_equal(
            cnnviz.filters(one, path).kernels, cnnviz.filters(other, path).kernels
        )


@pair
@pytest.mark.engines
@pytest.mark.parametrize("method", ["cam", "contrastive-cam", "grad-cam"])
def test_the_same_maps(tiny: Tiny, photo: np.ndarray, first: str, last: str, method: str) -> None:
    layers = [None] if method != "grad-cam" else [None, "block/conv", "joined"]
    for layer in layers:
        actual, expected = (
            cnnviz.class_activation_map(tiny(name), photo, "dog", method=method, layer=layer)
            for name in (first, last)
        )
        scale = np.abs(expected.values).max()
        assert scale > 1e-4
        np.testing.assert_allclose(actual.values, expected.values, atol=1e-5 * max(1, scale))
        assert actual.score == pytest.approx(expected.score, rel=1e-4)
        assert actual.layer == expected.layer


@pytest.mark.engines
def test_the_plain_model_agrees(tiny: Tiny, photo: np.ndarray) -> None:
    """Not only its twin, but the model itself, run by Keras with channels first."""
    network = tiny("channels_first")
    size = network.card.preprocessing
    assert (size.height, size.width, size.channels, size.scaling) == (12, 14, 3, "none")
    inputs = cnnviz.activations(network, photo, ["image"])["image"]
    expected = network.model.predict(inputs.transpose(2, 0, 1)[None], verbose=0)[0]
    np.testing.assert_allclose(cnnviz.predict(network, photo).probabilities, expected, atol=1e-5)


def test_maps_as_wide_as_there_are_filters_are_those_of_predict(photo: np.ndarray) -> None:
    """Keras 3.15, called directly, then adds the bias along the width; its `predict` does not."""
    how = {"data_format": "channels_first"}
    image = keras.Input((3, 8, 7))
    x = keras.layers.Conv2D(5, 3, **how, bias_initializer="random_normal", name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D(**how)(x)
    model = keras.Model(image, keras.layers.Dense(4, "softmax")(x))
    network = cnnviz.network(model, preset="unit")
    inputs = cnnviz.activations(network, photo, [network.layers[0].path])[network.layers[0].path]
    expected = network.model.predict(inputs.transpose(2, 0, 1)[None], verbose=0)[0]
    np.testing.assert_allclose(cnnviz.predict(network, photo).probabilities, expected, atol=1e-6)


@pytest.mark.engines
def test_layers_whose_layout_changes_inside_give_channels_last(
    tiny: Tiny, photo: np.ndarray, eager_outputs: Any
) -> None:
    network = tiny("turned_inside")
    actual = cnnviz.activations(network, photo, ["turned", "conv", "back", "act"])
    np.testing.assert_allclose(actual["conv"], actual["back"], atol=1e-6)
    assert actual["conv"].shape == (10, 10, 4)
    assert actual["turned"].shape == (12, 12, 3)
    inputs = cnnviz.activations(network, photo, ["image"])["image"]
    np.testing.assert_array_equal(actual["turned"], inputs)
    output, _ = eager_outputs(network.model, inputs[None])
    np.testing.assert_allclose(cnnviz.predict(network, photo).probabilities, output[0], atol=1e-5)
