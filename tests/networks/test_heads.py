"""How a network ends is read from a recorded run: scores, logits, features and their makers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest

import cnnviz
from cnnviz.networks import passes
from cnnviz.networks.keras2_activations import keras2_hard_sigmoid

Tiny = Callable[[str], Any]

# --- How a network ends ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dense", "last", "activation"),
    [("linear", "tanh", "tanh"), ("softmax", "softmax", "softmax"), ("sigmoid", "relu", "relu")],
)
def test_weights_that_do_not_give_logits_are_not_the_head_s_dense_layer(
    dense: str, last: str, activation: str
) -> None:
    """Such as a second softmax: the output is then no exact function of the weighted maps."""
    image = keras.Input((4, 4, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(image))
    x = keras.layers.Activation(last)(keras.layers.Dense(3, dense)(x))
    head = passes.facts(cnnviz.network(keras.Model(image, x))).head
    assert (head.activation, head.dense, head.features) == (activation, None, None)


def test_a_network_without_maps_has_no_last_spatial_layer() -> None:
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(image)))
    head = passes.facts(cnnviz.network(model)).head
    assert (head.activation, head.features, head.last_spatial) == ("softmax", None, None)


def test_an_activation_of_keras_2_is_shown_by_its_name() -> None:
    image = keras.Input((4, 4, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(image))
    model = keras.Model(image, keras.layers.Dense(3, keras2_hard_sigmoid)(x))
    assert passes.facts(cnnviz.network(model)).head.activation == "hard_sigmoid"


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_an_activation_that_is_a_separate_layer_is_recognised(activation: str) -> None:
    kinds = {"softmax": keras.layers.Softmax(), "sigmoid": keras.ops.sigmoid}
    image = keras.Input((4, 4, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(image))
    model = keras.Model(image, keras.layers.Dense(3, activation=kinds[activation])(x))
    assert passes.facts(cnnviz.network(model)).head.activation == activation


def test_a_mean_of_a_softmax_and_of_sigmoids_is_a_mean_of_probabilities() -> None:
    image = keras.Input((4, 4, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(image))
    members = [keras.layers.Dense(3, activation)(x) for activation in ("softmax", "sigmoid")]
    head = passes.facts(cnnviz.network(keras.Model(image, keras.layers.Average()(members)))).head
    assert (head.activation, head.dense) == ("combined", None)


@pytest.mark.parametrize(("pool", "features"), [(3, "conv"), (2, None)])
def test_a_pooling_averages_maps_only_where_it_covers_them(pool: int, features: Any) -> None:
    """Maps of 3×3: pooled by 2×2, one cell is left, but it is the mean of four of nine."""
    image = keras.Input((5, 5, 3))
    x = keras.layers.AveragePooling2D(pool)(keras.layers.Conv2D(2, 3, name="conv")(image))
    x = keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(x))
    head = passes.facts(cnnviz.network(keras.Model(image, x))).head
    assert head.features == features


@pytest.mark.parametrize(
    ("layers", "known"),
    [
        ([keras.layers.Dense(4, "relu")], True),
        ([keras.layers.Dense(4), keras.layers.Activation("relu")], True),
        ([keras.layers.Dense(4, activation=keras.layers.ReLU())], True),
        ([keras.layers.Dense(4, activation=keras.layers.ReLU(max_value=6))], False),
        ([keras.layers.Dense(4, activation=keras.layers.ReLU(negative_slope=0.1))], False),
        ([keras.layers.Dense(4), keras.layers.Activation(keras.layers.ReLU(max_value=6))], False),
        ([keras.layers.Dense(4), keras.layers.ReLU(threshold=0.1)], False),
        ([keras.layers.Dense(4, "relu6")], False),
        ([keras.layers.Reshape((9, 2)), keras.layers.Dense(4), keras.layers.Flatten()], False),
    ],
)
def test_only_a_dense_layer_with_a_plain_relu_is_a_step(layers: list[Any], known: bool) -> None:
    """A function of another kind may have the same name."""
    image = keras.Input((5, 5, 3))
    x = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, name="conv")(image))
    for layer in layers:
        x = layer(x)
    head = passes.facts(cnnviz.network(keras.Model(image, keras.layers.Dense(3)(x)))).head
    assert (head.flattened, head.hidden, len(head.steps)) == ("conv", True, int(known))


# --- Makers ---------------------------------------------------------------------------------


def test_the_convolution_that_made_each_layer_s_channels(tiny: Tiny) -> None:
    assert passes.facts(tiny("flat")).makers == {
        "conv1": "conv1",
        "pool": "conv1",
        "conv2": "conv2",
    }
    makers = passes.facts(tiny("nested_functional")).makers
    assert makers["left/act"] == "left/conv"
    assert makers["right/norm"] == "right/conv"
    assert "joined" not in makers
    rescaled = passes.facts(tiny("rescaled")).makers
    assert rescaled == {"conv": "conv", "norm": "conv", "act": "conv"}


def test_where_branches_meet_no_one_filter_made_the_channels(tiny: Tiny) -> None:
    makers = passes.facts(tiny("skip_connections")).makers
    assert makers == {"stem": "stem", "block1": "block1", "block2": "block2"}
