"""How a network ends is read from a recorded run: scores, logits, features and their makers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import cnnviz
from cnnviz.networks import passes
from cnnviz.photos.preprocessing import network_input

Tiny = Callable[[str], Any]

# Name of the network: activation, dense layer, averaged maps, last maps (as patterns).
HEADS = {
    "activation_layer": ("softmax", "scores", "conv2", "conv2"),
    "all_convolutional": ("softmax", None, "class_maps", "class_maps"),
    "attention": ("softmax", "scores", None, "patches"),
    "augmented": ("softmax", "scores", "conv2", "conv2"),
    "averaged_class_maps": ("linear", None, "class_maps", "class_maps"),
    "averaged_softmax_maps": ("combined", None, "class_maps", "class_maps"),
    "averaged_probabilities": ("combined", None, None, "(first|second)_conv"),
    "backbone_in_backbone": ("softmax", "scores", "outer/act", "outer/act"),
    "brain_floats": ("softmax", "scores", "act", "act"),
    "called_sequential": ("softmax", "scores", "act", "act"),
    "channels_first": ("softmax", "scores", "transpose", "transpose"),
    "channels_first_maps": ("linear", None, "class_maps", "class_maps"),
    "convolutions": ("softmax", "scores", "dilated", "dilated"),
    "dense_after_flatten": ("softmax", "scores", None, "conv2"),
    "dropouts_before_dense": ("softmax", "scores", "conv2", "conv2"),
    "ends_in_operations": ("softmax", "scores", None, r"relu(_\d+)?"),
    "flat": ("softmax", "scores", "conv2", "conv2"),
    "flattened_scores": ("softmax", "scores", "conv2", "conv2"),
    "float32_tail": ("softmax", "scores", "conv2", "conv2"),
    "four_channels": ("softmax", "scores", "conv2", "conv2"),
    "free_size": ("softmax", "scores", "conv2", "conv2"),
    "global_maximum": ("softmax", "scores", None, "conv2"),
    "grey": ("softmax", "scores", "conv2", "conv2"),
    "hidden_dense": ("softmax", "scores", None, "conv2"),
    "kept_axes": ("softmax", "scores", "conv2", "conv2"),
    "linear_logits": ("linear", "scores", "conv2", "conv2"),
    "logit_maps": ("linear", None, "class_maps", "class_maps"),
    "many_sigmoids": ("sigmoid", "scores", "conv2", "conv2"),
    "mean_operation": ("softmax", "scores", "conv2", "conv2"),
    "mixed_precision": ("softmax", "scores", "conv2", "conv2"),
    "named_output": ("softmax", "scores", "conv2", "conv2"),
    "nested_functional": ("softmax", "scores", "joined", "joined"),
    "nested_sequential": ("softmax", "scores", "backbone/conv_b", "backbone/conv_b"),
    "normalised": ("softmax", "scores", "conv2", "conv2"),
    "one_place": ("softmax", None, None, "conv2"),
    "one_sigmoid_map": ("combined", None, "class_maps", "class_maps"),
    "one_logit": ("linear", "scores", "conv2", "conv2"),
    "one_sigmoid": ("sigmoid", "scores", "conv2", "conv2"),
    "rectified_scores": ("softmax", None, None, "conv2"),
    "rescaled": ("softmax", "scores", "act", "act"),
    "reshaped_maps": ("softmax", ".*", "recut", "recut"),
    "several_outputs": ("softmax", "scores", "conv2", "conv2"),
    "shared_head": ("softmax", "end#1/scores", "dimmed", "dimmed"),
    "shared_layer": ("softmax", "scores", "difference", "difference"),
    "skip_connections": ("softmax", "scores", r"add(_\d+)?", r"add(_\d+)?"),
    "softmax_convolution": ("softmax", "scores", "conv2", "conv2"),
    "softmax_layer": ("softmax", "scores", "conv2", "conv2"),
    "softmax_maps": ("combined", None, "class_maps", r"softmax(_\d+)?"),
    "softmax_operation": ("softmax", "scores", "conv2", "conv2"),
    "turned_inside": ("softmax", "scores", "act", "act"),
    "two_classes": ("softmax", "scores", "conv2", "conv2"),
    "two_outputs_inside": ("softmax", "scores", None, "pyramid/coarse"),
    "whole_pooling": ("softmax", "scores", "conv2", "conv2"),
    "wide": ("softmax", "scores", "conv2", "conv2"),
}


def inputs_of(network: Any, photo: np.ndarray) -> np.ndarray:
    return network_input(photo, network.card.preprocessing)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores.astype(np.float64) - scores.max())
    return powers / powers.sum()


def tolerance(network: Any) -> float:
    """1e-5, or what half precision has when a compiler rounds in another order."""
    kinds = {layer.compute_dtype for layer in network.model.layers}
    return 3e-2 if "bfloat16" in kinds else 3e-3 if "float16" in kinds else 1e-5


# --- How a network ends ---------------------------------------------------------------------


@pytest.mark.parametrize("name", HEADS)
def test_the_end_of_every_network_is_read(tiny: Tiny, name: str) -> None:
    head = passes.any_pass(tiny(name)).head
    activation, *layers = HEADS[name]
    assert head.activation == activation
    for pattern, found in zip(layers, (head.dense, head.features, head.last_spatial), strict=True):
        if pattern is None:
            assert found is None
        else:
            assert re.fullmatch(pattern, str(found)), head


@pytest.mark.parametrize(
    ("dense", "last", "activation"),
    [("linear", "tanh", "tanh"), ("softmax", "softmax", "softmax"), ("sigmoid", "relu", "relu")],
)
def test_weights_that_give_no_logit_are_not_taken_for_it(
    dense: str, last: str, activation: str
) -> None:
    """Such as the beginner's second softmax: the weights then say nothing exact of the output."""
    image = keras.Input((4, 4, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(image))
    x = keras.layers.Activation(last)(keras.layers.Dense(3, dense)(x))
    head = passes.any_pass(cnnviz.network(keras.Model(image, x))).head
    assert (head.activation, head.dense, head.features) == (activation, None, None)


def test_a_network_without_maps_says_so() -> None:
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(image)))
    head = passes.any_pass(cnnviz.network(model)).head
    assert (head.activation, head.features, head.last_spatial) == ("softmax", None, None)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_an_activation_that_is_a_layer_of_its_own_is_known(activation: str) -> None:
    kinds = {"softmax": keras.layers.Softmax(), "sigmoid": keras.ops.sigmoid}
    image = keras.Input((4, 4, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(image))
    model = keras.Model(image, keras.layers.Dense(3, activation=kinds[activation])(x))
    assert passes.any_pass(cnnviz.network(model)).head.activation == activation


# --- Logits and features --------------------------------------------------------------------


def test_logits_become_the_output_through_the_activation(
    any_network: Any, photo: np.ndarray, request: pytest.FixtureRequest
) -> None:
    """Whatever the last layers are: the activation of what is called logits is the output."""
    made = passes.forward(any_network)
    values = made.run(inputs_of(any_network, photo))
    output = values["output"].numpy()[0]
    if "logits" not in values:
        assert request.node.callspec.id in {
            "averaged_probabilities",
            "averaged_softmax_maps",
            "one_sigmoid_map",
            "softmax_maps",
        }
        return
    logits = values["logits"].numpy()[0].astype(np.float64)
    expected = {
        "softmax": softmax(logits),
        "sigmoid": 1 / (1 + np.exp(-logits)),
        "linear": logits,
    }[made.head.activation]
    np.testing.assert_allclose(output, expected, rtol=0, atol=tolerance(any_network))


def test_the_averaged_features_times_the_weights_are_the_logits(
    averaged_network: Any, photo: np.ndarray
) -> None:
    """The path named `features` holds what the dense layer really reads."""
    made = passes.forward(averaged_network)
    values = made.run(inputs_of(averaged_network, photo))
    logits = values["features"].numpy()[0].mean(axis=(0, 1))
    if made.head.dense:
        name = made.head.dense.rpartition("/")[2]
        kernel, bias = next(
            (np.asarray(weight) for weight in layer.weights)
            for layer in averaged_network.model._flatten_layers()
            if layer.name == name
        )
        # A 1×1 convolution stands in for a dense layer: (1, 1, K, C).
        logits = logits @ kernel.reshape(-1, kernel.shape[-1]) + bias
    np.testing.assert_allclose(
        values["logits"].numpy()[0], logits, rtol=1e-4, atol=tolerance(averaged_network)
    )


# --- Makers ---------------------------------------------------------------------------------


def test_the_convolution_that_made_each_layer_s_channels(tiny: Tiny) -> None:
    assert passes.any_pass(tiny("flat")).makers == {
        "conv1": "conv1",
        "pool": "conv1",
        "conv2": "conv2",
    }
    makers = passes.any_pass(tiny("nested_functional")).makers
    assert makers["left/act"] == "left/conv"
    assert makers["right/norm"] == "right/conv"
    assert "joined" not in makers
    rescaled = passes.any_pass(tiny("rescaled")).makers
    assert rescaled == {"conv": "conv", "norm": "conv", "act": "conv"}


def test_where_branches_meet_no_one_filter_made_the_channels(tiny: Tiny) -> None:
    makers = passes.any_pass(tiny("skip_connections")).makers
    assert makers == {"stem": "stem", "block1": "block1", "block2": "block2"}
