"""Gradients against finite differences of a network written out in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnnviz.errors import LayerError
from cnnviz.networks.engines.gradients import quick_gradients
from cnnviz.networks.gradients import layer_gradients
from cnnviz.photos.preprocessing import network_input

Tiny = Callable[[str], Any]


def logits_from_pool(pooled: np.ndarray, weights: dict[str, list[np.ndarray]]) -> np.ndarray:
    """The layers of `flat` and similar networks after `pool`, in float64."""
    kernels, bias = weights["conv2"]
    padded = np.pad(pooled, ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    maps = np.maximum(np.einsum("yxcij,ijck->yxk", windows, kernels) + bias, 0)
    x = maps.mean(axis=(0, 1))
    for name in ("hidden", "scores"):
        if name in weights:
            x = x @ weights[name][0] + weights[name][1]
            x = np.maximum(x, 0) if name == "hidden" else x
    return x


def setting(network: Any, photo: np.ndarray) -> tuple[np.ndarray, dict[str, list[np.ndarray]]]:
    weights = {
        layer.name: [np.asarray(weight, np.float64) for weight in layer.get_weights()]
        for layer in network.model.layers
        if layer.weights
    }
    return network_input(photo, network.card.preprocessing), weights


def finite_differences(pooled: np.ndarray, weights: Any, target: int) -> np.ndarray:
    step = 1e-5
    gradient = np.zeros_like(pooled)
    for index in np.ndindex(pooled.shape):
        nudge = np.zeros_like(pooled)
        nudge[index] = step
        up = logits_from_pool(pooled + nudge, weights)[target]
        down = logits_from_pool(pooled - nudge, weights)[target]
        gradient[index] = (up - down) / (2 * step)
    return gradient


@pytest.mark.parametrize("name", ["flat", "linear_logits", "many_sigmoids", "softmax_layer"])
def test_gradients_equal_finite_differences(tiny: Tiny, photo: np.ndarray, name: str) -> None:
    inputs, weights = setting(tiny(name), photo)
    result = layer_gradients(tiny(name), inputs, "pool", 1)
    pooled = result.activations[0].astype(np.float64)
    np.testing.assert_allclose(result.scores[0], logits_from_pool(pooled, weights)[1], rtol=1e-4)
    expected = finite_differences(pooled, weights, 1)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(result.gradients[0], expected, rtol=1e-3, atol=1e-6)


def test_one_unit_s_two_classes_have_opposite_gradients(tiny: Tiny, photo: np.ndarray) -> None:
    inputs, weights = setting(tiny("one_sigmoid"), photo)
    no, yes = (layer_gradients(tiny("one_sigmoid"), inputs, "pool", target) for target in (0, 1))
    expected = finite_differences(yes.activations[0].astype(np.float64), weights, 0)
    np.testing.assert_allclose(yes.gradients[0], expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(no.gradients, -yes.gradients)
    np.testing.assert_array_equal(no.scores, -yes.scores)
    np.testing.assert_array_equal(no.output, yes.output)


def test_two_classes_of_averaged_sigmoids_share_one_probability(
    tiny: Tiny, photo: np.ndarray
) -> None:
    """Without a logit the probability is explained: that of the first class is 1 less the other."""
    network = tiny("one_sigmoid_map")
    inputs, _ = setting(network, photo)
    no, yes = (layer_gradients(network, inputs, "pool", target) for target in (0, 1))
    assert no.logits is None
    np.testing.assert_allclose(no.scores, 1 - yes.scores, rtol=1e-6)
    assert np.abs(yes.gradients).max() > 1e-4
    np.testing.assert_allclose(no.gradients, -yes.gradients, rtol=1e-6)


@pytest.mark.parametrize("name", ["flat", "one_sigmoid", "one_logit"])
def test_without_a_class_each_input_gets_its_most_probable_one(fresh: Any, name: str) -> None:
    network = fresh(name)
    batch = np.random.default_rng(2).normal(0, 3, (9, 12, 12, 3)).astype(np.float32)
    # A bias that balances the classes, so that the batch holds several answers.
    bias = network.model.get_layer("scores").bias
    bias.assign(bias - np.median(layer_gradients(network, batch, "pool", 0).logits, axis=0))
    free = layer_gradients(network, batch, "pool")
    logits = free.logits if name == "flat" else np.hstack([-free.logits, free.logits])
    likely = logits.argmax(axis=1)
    assert len(set(likely.tolist())) > 1
    np.testing.assert_allclose(free.scores, logits.max(axis=1), rtol=1e-6)
    for index, target in enumerate(likely):
        alone = layer_gradients(network, batch, "pool", int(target))
        np.testing.assert_allclose(free.gradients[index], alone.gradients[index], atol=1e-6)
    # Each input can be asked for a class of its own.
    other = layer_gradients(network, batch, "pool", 1 - likely.clip(max=1))
    np.testing.assert_array_equal(other.scores, logits[range(9), 1 - likely.clip(max=1)])


def test_without_a_logit_the_output_itself_is_explained(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("averaged_probabilities")
    inputs = network_input(photo, network.card.preprocessing)
    result = layer_gradients(network, inputs, "first_conv", 2)
    assert result.logits is None
    np.testing.assert_allclose(result.scores, result.output[:, 2])
    # Only the first member's half of the average depends on its layer: p (1 - p) at most.
    kernel = np.asarray(network.model.get_layer("first_scores").kernel, np.float64)
    bias = np.asarray(network.model.get_layer("first_scores").bias, np.float64)
    logits = result.activations[0].mean(axis=(0, 1)) @ kernel + bias
    p = np.exp(logits) / np.exp(logits).sum()
    expected = 0.5 * p[2] * (kernel[:, 2] - kernel @ p) / 25
    np.testing.assert_allclose(result.gradients[0], np.broadcast_to(expected, (5, 5, 4)), rtol=1e-4)


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        (1, {}),
        (1, {"padding": "same"}),
        (1, {"strides": 2}),
        (3, {}),
        (3, {"padding": "same", "strides": 2}),
        (3, {"padding": "same", "dilation_rate": 2}),
        ((1, 3), {}),
    ],
)
def test_the_gradients_of_a_convolution_are_tensorflow_s_own(
    kernel: Any, options: dict[str, Any]
) -> None:
    """Also the kernel's: in a model it may be computed from a layer's output."""
    import keras
    import tensorflow as tf

    rng = np.random.default_rng(3)
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    maps, kernels = (
        tf.constant(rng.normal(size=shape), tf.float32) for shape in ((2, 7, 8, 3), (*sides, 3, 4))
    )

    def convolve(maps: Any, kernels: Any) -> Any:
        return tf.square(keras.ops.conv(maps, kernels, **options))

    @tf.function(autograph=False)
    def quick(maps: Any, kernels: Any) -> Any:
        with quick_gradients(maps.graph):
            output = convolve(maps, kernels)
        return tf.gradients(output, [maps, kernels])

    with tf.GradientTape() as tape:
        tape.watch([maps, kernels])
        output = convolve(maps, kernels)
    for result, expected in zip(
        quick(maps, kernels), tape.gradient(output, [maps, kernels]), strict=True
    ):
        assert np.abs(expected).max() > 1
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-4)


def test_layers_after_the_score_have_no_gradient(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("softmax_layer")
    inputs = network_input(photo, network.card.preprocessing)
    result = layer_gradients(network, inputs, "softmax", 0)
    np.testing.assert_array_equal(result.gradients, np.zeros((1, 3)))


def test_frozen_layers_have_gradients_too(fresh: Any, photo: np.ndarray, tiny: Tiny) -> None:
    network = fresh("flat")
    network.model.trainable = False
    inputs = network_input(photo, network.card.preprocessing)
    np.testing.assert_allclose(
        layer_gradients(network, inputs, "conv1", 0).gradients,
        layer_gradients(tiny("flat"), inputs, "conv1", 0).gradients,
        atol=1e-7,
    )


def test_a_layer_before_every_weight_has_a_gradient(tiny: Tiny, photo: np.ndarray) -> None:
    """By the chain rule: the picture is divided by 255 between the two layers."""
    network = tiny("rescaled")
    inputs = network_input(photo, network.card.preprocessing)
    result = layer_gradients(network, inputs, "scale", 0)
    np.testing.assert_allclose(result.activations, inputs / 255, rtol=1e-5)
    step = 1e-3 * np.sign(result.gradients)
    moved = layer_gradients(network, inputs + 255 * step, "scale", 0)
    gain = 1e-3 * np.abs(result.gradients).sum()
    assert gain > 1e-3
    np.testing.assert_allclose(moved.scores - result.scores, gain, rtol=0.05)


def test_an_unknown_layer_is_refused(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("flat")
    inputs = network_input(photo, network.card.preprocessing)
    with pytest.raises(LayerError, match="no layer 'poll'. Near it: pool"):
        layer_gradients(network, inputs, "poll", 0)
