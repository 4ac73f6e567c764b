"""Activations: every layer of every network against the plain model, and by nested loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.errors import LayerError
from cnnviz.photos.preprocessing import network_input

Tiny = Callable[[str], Any]


def naive_convolution(image: np.ndarray, kernels: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3×3, stride 1, zeros around, then a ReLU; cell by cell and weight by weight."""
    height, width, channels = image.shape
    result = np.zeros((height, width, kernels.shape[-1]))
    for y in range(height):
        for x in range(width):
            for k in range(kernels.shape[-1]):
                total = float(bias[k])
                for dy in range(3):
                    for dx in range(3):
                        row, column = y + dy - 1, x + dx - 1
                        if not (0 <= row < height and 0 <= column < width):
                            continue
                        for c in range(channels):
                            total += image[row, column, c] * kernels[dy, dx, c, k]
                result[y, x, k] = max(total, 0)
    return result


@pytest.mark.engines
def test_a_convolution_by_nested_loops(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("flat")
    kernels, bias = network.model.get_layer("conv1").get_weights()
    image = network_input(photo, network.card.preprocessing)[0]
    expected = naive_convolution(image, kernels, bias)
    actual = cnnviz.activations(network, photo, ["conv1", "pool"])
    np.testing.assert_allclose(actual["conv1"], expected, atol=1e-5)
    pooled = expected.reshape(6, 2, 6, 2, 4).max(axis=(1, 3))
    np.testing.assert_allclose(actual["pool"], pooled, atol=1e-5)


@pytest.mark.engines
def test_the_filters_that_are_shown_are_those_that_made_the_maps(
    tiny: Tiny, photo: np.ndarray
) -> None:
    """A depthwise convolution's filter k, on its own input channel, gives its channel k."""
    network = tiny("convolutions")
    kernels = cnnviz.filters(network, "depthwise")
    image = network_input(photo, network.card.preprocessing)[0]
    actual = cnnviz.activations(network, photo, ["depthwise"])["depthwise"]
    assert kernels.kernels.shape == (3, 3, 1, 6)
    assert kernels.biases is not None
    for k in range(6):
        one = kernels.kernels[:, :, 0, k]
        windows = np.lib.stride_tricks.sliding_window_view(image[..., k // 2], (3, 3))
        expected = np.maximum((windows * one).sum(axis=(2, 3)) + kernels.biases[k], 0)
        np.testing.assert_allclose(actual[..., k], expected, atol=1e-5)


def test_the_inner_layers_of_every_nested_model_are_reached(tiny: Tiny) -> None:
    names = ("nested_sequential", "nested_functional", "backbone_in_backbone", "shared_layer")
    pixels = np.zeros((5, 5, 3), np.uint8)
    for name in (*names, "two_outputs_inside", "shared_head"):
        network = tiny(name)
        inner = [info.path for info in network.layers if "/" in info.path and info.output_shape]
        reached = [path for path in inner if "input" not in path]
        assert len(cnnviz.activations(network, pixels, reached)) == len(reached) > 0


@pytest.mark.engines
def test_the_order_is_the_requested_one_and_a_vector_has_one_axis(
    tiny: Tiny, photo: np.ndarray
) -> None:
    outputs = cnnviz.activations(tiny("flat"), photo, ["scores", "conv1", "average"])
    assert [(path, values.shape) for path, values in outputs.items()] == [
        ("scores", (3,)),
        ("conv1", (12, 12, 4)),
        ("average", (5,)),
    ]
    assert cnnviz.activations(tiny("flat"), photo, []) == {}


def test_a_channel_that_is_zero_everywhere_is_dead(fresh: Any, photo: np.ndarray) -> None:
    network = fresh("flat")
    layer = network.model.get_layer("conv1")
    kernels, bias = layer.get_weights()
    kernels[..., 2], bias[2] = 0, -1
    layer.set_weights([kernels, bias])
    ranking = cnnviz.rank_channels(cnnviz.activations(network, photo, ["conv1"])["conv1"])
    assert 2 in ranking.dead
    assert ranking.peak[2] == 0
    assert len(ranking.dead) < 4


@pytest.mark.engines
def test_an_unknown_layer_names_near_ones(tiny: Tiny, photo: np.ndarray) -> None:
    with pytest.raises(LayerError, match="no layer 'Conv1'. Near it: conv1"):
        cnnviz.activations(tiny("flat"), photo, ["conv2", "Conv1"])
