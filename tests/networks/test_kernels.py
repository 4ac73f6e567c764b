"""Filters: the layer's own weights, rearranged as documented, and statistics by plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import cnnviz
from cnnviz.errors import LayerError
from cnnviz.networks.keras_models import find

Tiny = Callable[[str], Any]

# TensorFlow and LiteRT give the same.
pytestmark = pytest.mark.engines


def weights_of(network: Any, path: str) -> list[np.ndarray]:
    return find(network.model, path).get_weights()


def test_the_kernels_of_a_plain_convolution_are_its_weights(tiny: Tiny) -> None:
    filters = cnnviz.filters(tiny("nested_functional"), "left/conv")
    kernels, bias = weights_of(tiny("nested_functional"), "left/conv")
    assert (filters.layer, filters.kind) == ("left/conv", "Conv2D")
    np.testing.assert_array_equal(filters.kernels, kernels)
    np.testing.assert_array_equal(filters.biases, bias)
    assert filters.pointwise is None
    other = cnnviz.filters(tiny("nested_functional"), "right/conv")
    assert not np.array_equal(other.kernels, kernels)


def test_a_depthwise_convolution_has_a_filter_for_each_channel(tiny: Tiny) -> None:
    filters = cnnviz.filters(tiny("convolutions"), "depthwise")
    kernels, bias = weights_of(tiny("convolutions"), "depthwise")
    assert kernels.shape == (3, 3, 3, 2)
    assert filters.kernels.shape == (3, 3, 1, 6)
    for channel in range(3):
        for copy in range(2):
            np.testing.assert_array_equal(
                filters.kernels[:, :, 0, 2 * channel + copy], kernels[:, :, channel, copy]
            )
    np.testing.assert_array_equal(filters.biases, bias)
    assert filters.per_filter.mean.shape == (6,)


def test_a_separable_convolution_has_two_sets(tiny: Tiny) -> None:
    filters = cnnviz.filters(tiny("convolutions"), "separable")
    depthwise, pointwise, bias = weights_of(tiny("convolutions"), "separable")
    assert filters.pointwise is not None
    np.testing.assert_array_equal(filters.kernels[:, :, 0, 4], depthwise[:, :, 4, 0])
    np.testing.assert_array_equal(filters.pointwise, pointwise)
    assert filters.pointwise.shape == (1, 1, 6, 4)
    np.testing.assert_array_equal(filters.biases, bias)


def test_a_transposed_convolution_has_the_usual_axes(tiny: Tiny) -> None:
    filters = cnnviz.filters(tiny("convolutions"), "transpose")
    kernels, _ = weights_of(tiny("convolutions"), "transpose")
    assert kernels.shape == (3, 3, 5, 4)
    assert filters.kernels.shape == (3, 3, 4, 5)
    np.testing.assert_array_equal(filters.kernels[..., 1, 3], kernels[..., 3, 1])


def test_a_convolution_without_biases_has_none(tiny: Tiny) -> None:
    assert cnnviz.filters(tiny("convolutions"), "dilated").biases is None


def test_a_wrapped_convolution_has_the_kernels_and_biases_of_the_one_inside() -> None:
    image = keras.Input((6, 6, 3))
    inside = keras.layers.Conv2D(4, 3, bias_initializer="random_normal")
    x = keras.layers.SpectralNormalization(inside, name="wrapped")(image)
    x = keras.layers.Dense(2, "softmax")(keras.layers.GlobalAveragePooling2D()(x))
    filters = cnnviz.filters(cnnviz.network(keras.Model(image, x), preset="unit"), "wrapped")
    np.testing.assert_array_equal(filters.kernels, np.asarray(inside.kernel))
    np.testing.assert_array_equal(filters.biases, np.asarray(inside.bias))


def test_half_precision_weights_are_given_as_float32(fresh: Any) -> None:
    filters = cnnviz.filters(fresh("mixed_precision"), "conv1")
    assert filters.kernels.dtype == np.float32


def test_statistics_by_plain_loops(fresh: Any) -> None:
    network = fresh("flat")
    layer = find(network.model, "conv1")
    kernels, bias = layer.get_weights()
    kernels[0, :, :, 1] = 0
    layer.set_weights([kernels, bias])
    filters = cnnviz.filters(network, "conv1")

    def check(statistics: Any, index: Any, numbers: list[float]) -> None:
        assert statistics.minimum[index] == pytest.approx(min(numbers))
        assert statistics.maximum[index] == pytest.approx(max(numbers))
        assert statistics.mean[index] == pytest.approx(sum(numbers) / len(numbers), abs=1e-6)
        norm = math.sqrt(sum(number * number for number in numbers))
        assert statistics.norm[index] == pytest.approx(norm, rel=1e-5)
        assert statistics.sparsity[index] == pytest.approx(numbers.count(0) / len(numbers))

    for k in range(4):
        check(filters.per_filter, k, kernels[..., k].ravel().tolist())
    check(filters.per_layer, (), kernels.ravel().tolist())
    assert filters.per_filter.sparsity.tolist() == pytest.approx([0, 1 / 3, 0, 0])


def test_showing_filters_changes_no_weight(fresh: Any) -> None:
    network = fresh("flat")
    before = weights_of(network, "conv1")[0]
    filters = cnnviz.filters(network, "conv1")
    filters.kernels.flags.writeable = False
    cnnviz.scale_filters(filters.kernels, "filter")
    np.testing.assert_array_equal(weights_of(network, "conv1")[0], before)


def test_a_layer_without_filters_lists_those_that_have_some(tiny: Tiny) -> None:
    with pytest.raises(
        LayerError, match=r"'pool' is a MaxPooling2D and has no filters.*are: conv1, conv2\."
    ):
        cnnviz.filters(tiny("flat"), "pool")
    with pytest.raises(LayerError, match="'scores' is a Dense"):
        cnnviz.filters(tiny("flat"), "scores")
    with pytest.raises(LayerError, match="no layer 'conv0'. Near it: conv"):
        cnnviz.filters(tiny("flat"), "conv0")
