"""Layers by path: complete, in order, and described as they are."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.errors import LayerError
from cnnviz.networks.layers import find, walk

Tiny = Callable[[str], Any]


def paths(network: Any) -> list[str]:
    return [path for path, _ in walk(network.model)]


def test_a_flat_model_s_layers_in_order(tiny: Tiny) -> None:
    assert paths(tiny("flat")) == ["image", "conv1", "pool", "conv2", "average", "scores"]


def test_nested_layers_follow_their_model(tiny: Tiny) -> None:
    found = paths(tiny("nested_sequential"))
    assert found[:3] == ["backbone", "backbone/conv", "backbone/conv_b"]
    assert found[-1] == "scores"


def test_equal_names_are_told_apart_by_their_path(tiny: Tiny) -> None:
    network = tiny("nested_functional")
    found = {"conv", "left/conv", "right/conv", "left/act", "right/act"} & set(paths(network))
    assert len(found) == 5
    layers = {find(network.model, path) for path in ("conv", "left/conv", "right/conv")}
    assert len(layers) == 3


def test_a_backbone_in_a_backbone(tiny: Tiny) -> None:
    found = [path for path in paths(tiny("backbone_in_backbone")) if path.endswith("conv")]
    assert found == ["outer/conv", "outer/inner/conv"]


def test_a_shared_layer_is_listed_once(tiny: Tiny) -> None:
    found = paths(tiny("shared_layer"))
    assert found.count("again") == 1
    assert found.count("twin/conv") == 1


def test_the_kinds_of_convolution_by_hand(tiny: Tiny) -> None:
    known = {info.path: info for info in tiny("convolutions").layers}
    described = {
        name: (info.kind, info.output_shape, info.parameters, info.kernel_shape)
        for name, info in known.items()
        if info.kernel_shape
    }
    assert described == {
        # Three channels with two filters each, 3×3, and a bias for each of the six.
        "depthwise": ("DepthwiseConv2D", (None, 10, 10, 6), 54 + 6, (3, 3, 1, 6)),
        # Six 3×3 filters, then 6 × 4 mixing weights and 4 biases.
        "separable": ("SeparableConv2D", (None, 10, 10, 4), 54 + 24 + 4, (3, 3, 1, 6)),
        "transpose": ("Conv2DTranspose", (None, 21, 21, 5), 180 + 5, (3, 3, 4, 5)),
        "dilated": ("Conv2D", (None, 17, 17, 6), 270, (3, 3, 5, 6)),
    }
    assert known["transpose"].spatial
    assert not known["scores"].spatial
    assert known["scores"].kernel_shape is None


def test_a_nested_model_says_so_and_counts_its_layers_parameters(tiny: Tiny) -> None:
    known = {info.path: info for info in tiny("nested_sequential").layers}
    assert known["backbone"].nested
    assert not known["backbone/conv"].nested
    assert known["backbone"].output_shape == (None, 4, 4, 5)
    assert known["backbone"].parameters == (27 * 4 + 4) + (36 * 5 + 5)


def test_free_sizes_stay_free(tiny: Tiny) -> None:
    known = {info.path: info for info in tiny("free_size").layers}
    assert known["conv1"].output_shape == (None, None, None, 4)
    assert known["conv1"].spatial


def test_several_outputs_have_no_one_shape(tiny: Tiny) -> None:
    known = {info.path: info for info in tiny("two_outputs_inside").layers}
    assert known["pyramid"].output_shape == ()
    assert not known["pyramid"].spatial
    assert known["pyramid/coarse"].output_shape == (None, 4, 4, 5)


# --- Classes of one's own -------------------------------------------------------------------


@functools.cache
def own_model() -> Any:
    """A model written as a class, with a layer written as a class, a list and a Sequential."""
    import keras
    from keras import layers

    class Block(layers.Layer):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.conv = layers.Conv2D(4, 3, name="conv")

        def call(self, x: Any) -> Any:
            return keras.ops.relu(self.conv(x))

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.stem = layers.Conv2D(2, 3, name="stem")
            self.blocks = [Block(name="first"), Block(name="second")]
            self.tail = keras.Sequential([layers.Conv2D(5, 1, name="mix")], name="tail")
            self.scores = layers.Dense(3, name="scores")

        def call(self, x: Any) -> Any:
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            return self.scores(keras.ops.mean(self.tail(x), axis=(1, 2)))

    model = Own()
    model(np.zeros((2, 12, 12, 3), np.float32))
    return model


def test_layers_and_filters_of_a_model_that_is_a_class_of_its_own() -> None:
    network = cnnviz.network(own_model())
    assert network.card.inferred
    assert "class of its own" in network.card.description
    known = {info.path: info for info in network.layers}
    blocks = {"first", "first/conv", "second", "second/conv"}
    assert set(known) == {"stem", "tail", "tail/mix", "scores", *blocks}
    assert [known[path].nested for path in ("first", "tail", "stem")] == [True, True, False]
    assert known["second/conv"].kernel_shape == (3, 3, 4, 4)
    kernels, bias = own_model().blocks[1].conv.get_weights()
    found = cnnviz.filters(network, "second/conv")
    np.testing.assert_array_equal(found.kernels, kernels)
    np.testing.assert_array_equal(found.biases, bias)
    total = sum(info.parameters for info in network.layers if not info.nested)
    assert total == own_model().count_params()


def test_all_else_of_a_model_that_is_a_class_of_its_own_is_refused_in_words(
    photo: np.ndarray,
) -> None:
    network = cnnviz.network(own_model())
    asked = (
        lambda: cnnviz.predict(network, photo),
        lambda: cnnviz.activations(network, photo, ["stem"]),
        lambda: cnnviz.class_activation_map(network, photo),
        lambda: cnnviz.methods(network),
        lambda: cnnviz.outline(network),
    )
    for ask in asked:
        with pytest.raises(LayerError, match="'own' is written as a class of its own.*need a Sequ"):
            ask()


def test_a_layer_that_is_a_class_of_its_own_works_inside_a_functional_model(
    photo: np.ndarray, eager_outputs: Any
) -> None:
    import keras
    from keras import layers

    image = keras.Input((12, 12, 3), name="image")
    x = type(own_model().blocks[0])(name="block")(image)
    x = layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(x))
    network = cnnviz.network(keras.Model(image, x))
    assert [info.path for info in network.layers][:3] == ["image", "block", "block/conv"]
    inputs = cnnviz.activations(network, photo, ["image"])["image"]
    output, _ = eager_outputs(network.model, inputs[None])
    np.testing.assert_allclose(cnnviz.predict(network, photo).probabilities, output[0], atol=1e-6)
    assert cnnviz.class_activation_map(network, photo).layer == "block"
    with pytest.raises(LayerError, match="'block/conv' gives no array of its own"):
        cnnviz.activations(network, photo, ["block/conv"])


# --- Other kinds of layers ------------------------------------------------------------------


def test_attention_and_dense_layers_are_listed_and_give_their_rows(
    tiny: Tiny, photo: np.ndarray
) -> None:
    network = tiny("attention")
    known = {info.path: info for info in network.layers}
    assert known["attention"].kind == "MultiHeadAttention"
    assert known["attention"].output_shape == (None, 9, 8)
    assert [known[path].spatial for path in ("patches", "row", "attention")] == [True, False, False]
    found = cnnviz.activations(network, photo, ["patches", "row", "attention", "hidden", "scores"])
    np.testing.assert_array_equal(found["row"], found["patches"].reshape(9, 8))
    assert found["attention"].shape == found["hidden"].shape == (9, 8)
    np.testing.assert_allclose(
        found["scores"], cnnviz.predict(network, photo).probabilities, atol=1e-6
    )
    assert cnnviz.rank_channels(found["attention"]).peak.shape == (8,)
    cam = cnnviz.class_activation_map(network, photo)
    assert (cam.method, cam.layer, cam.values.shape) == ("grad-cam", "patches", (3, 3))


def test_a_model_that_was_built_by_a_call_takes_any_number_of_photos(tiny: Tiny) -> None:
    network = tiny("called_sequential")
    assert network.model.inputs[0].shape[0] == 4
    assert [info.output_shape[0] for info in network.layers] == [None] * 4
    assert cnnviz.outline(network).input_shape == (None, 12, 12, 3)


# --- Errors ---------------------------------------------------------------------------------


def test_an_unknown_layer_names_near_ones(tiny: Tiny) -> None:
    with pytest.raises(LayerError, match=r"no layer 'conv3'. Near it: conv2, conv1"):
        find(tiny("flat").model, "conv3")


def test_a_name_without_its_way_in_finds_the_nested_layers(tiny: Tiny) -> None:
    with pytest.raises(LayerError, match=re.escape("Near it: left/act, right/act.")):
        find(tiny("nested_functional").model, "act")


def test_a_name_like_no_other_lists_the_first_layers(tiny: Tiny) -> None:
    with pytest.raises(LayerError, match="Near it: image, conv1, pool"):
        find(tiny("flat").model, "zzzzzzzz")


def test_the_call_of_a_shared_layer_is_that_layer(tiny: Tiny) -> None:
    model = tiny("shared_layer").model
    assert find(model, "again#1") is find(model, "again")
    assert find(model, "twin#1/conv") is find(model, "twin/conv")
    with pytest.raises(LayerError, match="no layer 'again#x'"):
        find(model, "again#x")
