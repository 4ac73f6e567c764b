"""A recorded run meets every operation: shared layers twice, augmentation without effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import cnnviz
from cnnviz.errors import LayerError
from cnnviz.networks import passes
from cnnviz.photos.preprocessing import network_input

Tiny = Callable[[str], Any]


def inputs_of(network: Any, photo: np.ndarray) -> np.ndarray:
    return network_input(photo, network.card.preprocessing)


@pytest.mark.engines
def test_augmentation_has_no_effect_in_inference(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("augmented")
    inputs = inputs_of(network, photo)
    values = passes.forward(network, inputs, ["augment", "augment/flip"]).layers
    np.testing.assert_array_equal(values["augment"], inputs)
    first, second = (passes.forward(network, inputs).output for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.engines
def test_the_calls_of_a_shared_layer_have_different_outputs(
    tiny: Tiny, photo: np.ndarray, eager_outputs: Any
) -> None:
    network = tiny("shared_layer")
    inputs = inputs_of(network, photo)
    paths = ["again", "again#1", "twin", "twin#1", "twin#1/conv"]
    values = passes.forward(network, inputs, paths).layers
    layers = {layer.name: layer for layer in network.model.layers}
    _, outputs = eager_outputs(network.model, inputs)
    first, second = outputs[id(layers["again"])]
    np.testing.assert_allclose(values["again"], first, atol=1e-5)
    np.testing.assert_allclose(values["again#1"], second, atol=1e-5)
    assert np.abs(first - second).max() > 0.01
    twins = outputs[id(layers["twin"])]
    for path, twin in (("twin", twins[0]), ("twin#1", twins[1]), ("twin#1/conv", twins[1])):
        np.testing.assert_allclose(values[path], twin, atol=1e-5)


def test_a_subclassed_model_is_refused_with_a_message(photo: np.ndarray) -> None:
    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x * 2

    image = keras.Input((4, 4, 3))
    x = keras.layers.GlobalAveragePooling2D()(Own(name="mine")(image))
    network = cnnviz.network(keras.Model(image, keras.layers.Dense(2)(x)), preset="unit")
    with pytest.raises(LayerError, match="'mine' is a subclassed model .a Python class of its own"):
        cnnviz.predict(network, photo)
