"""The structure of a model: layers by path, complete and in order; outputs; channel layout."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import cnnviz
from cnnviz.errors import CardError, LayerError
from cnnviz.networks.keras_models import describe_model, find, walk
from cnnviz.networks.structure import channels_last_shape

Tiny = Callable[[str], Any]


def paths(network: Any) -> list[str]:
    return [path for path, _ in walk(network.model)]


def test_a_flat_model_s_layers_in_order(tiny: Tiny) -> None:
    assert paths(tiny("flat")) == ["image", "conv1", "pool", "conv2", "average", "scores"]


def test_nested_layers_follow_their_model(tiny: Tiny) -> None:
    layer_paths = paths(tiny("nested_sequential"))
    assert layer_paths[:3] == ["backbone", "backbone/conv", "backbone/conv_b"]
    assert layer_paths[-1] == "scores"


def test_layers_of_equal_names_differ_by_path(tiny: Tiny) -> None:
    network = tiny("nested_functional")
    layer_paths = {"conv", "left/conv", "right/conv", "left/act", "right/act"} & set(paths(network))
    assert len(layer_paths) == 5
    layers = {find(network.model, path) for path in ("conv", "left/conv", "right/conv")}
    assert len(layers) == 3


def test_a_backbone_in_a_backbone(tiny: Tiny) -> None:
    convolutions = [path for path in paths(tiny("backbone_in_backbone")) if path.endswith("conv")]
    assert convolutions == ["outer/conv", "outer/inner/conv"]


def test_a_shared_layer_is_listed_once(tiny: Tiny) -> None:
    layer_paths = paths(tiny("shared_layer"))
    assert layer_paths.count("again") == 1
    assert layer_paths.count("twin/conv") == 1


def test_the_kinds_of_convolution_by_hand(tiny: Tiny) -> None:
    layers = {info.path: info for info in tiny("convolutions").layers}
    described = {
        name: (info.kind, info.output_shape, info.parameters, info.kernel_shape)
        for name, info in layers.items()
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
    assert layers["transpose"].spatial
    assert not layers["scores"].spatial
    assert layers["scores"].kernel_shape is None


def test_a_nested_model_is_marked_and_counts_its_layers_parameters(tiny: Tiny) -> None:
    layers = {info.path: info for info in tiny("nested_sequential").layers}
    assert layers["backbone"].nested
    assert not layers["backbone/conv"].nested
    assert layers["backbone"].output_shape == (None, 4, 4, 5)
    assert layers["backbone"].parameters == (27 * 4 + 4) + (36 * 5 + 5)


def test_free_sizes_stay_free(tiny: Tiny) -> None:
    layers = {info.path: info for info in tiny("free_size").layers}
    assert layers["conv1"].output_shape == (None, None, None, 4)
    assert layers["conv1"].spatial


def test_several_outputs_have_no_one_shape(tiny: Tiny) -> None:
    layers = {info.path: info for info in tiny("two_outputs_inside").layers}
    assert layers["pyramid"].output_shape == ()
    assert not layers["pyramid"].spatial
    assert layers["pyramid/coarse"].output_shape == (None, 4, 4, 5)


# --- Subclassed models and layers -------------------------------------------------------------


@functools.cache
def own_model() -> Any:
    """A subclassed model with a subclassed layer, a list and a Sequential."""
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


def test_layers_and_filters_of_a_subclassed_model() -> None:
    network = cnnviz.network(own_model())
    assert network.card.inferred
    assert "subclassed model (a Python class of its own)" in network.card.description
    layers = {info.path: info for info in network.layers}
    blocks = {"first", "first/conv", "second", "second/conv"}
    assert set(layers) == {"stem", "tail", "tail/mix", "scores", *blocks}
    assert [layers[path].nested for path in ("first", "tail", "stem")] == [True, True, False]
    assert layers["second/conv"].kernel_shape == (3, 3, 4, 4)
    kernels, bias = own_model().blocks[1].conv.get_weights()
    filters = cnnviz.filters(network, "second/conv")
    np.testing.assert_array_equal(filters.kernels, kernels)
    np.testing.assert_array_equal(filters.biases, bias)
    total = sum(info.parameters for info in network.layers if not info.nested)
    assert total == own_model().count_params()


def test_all_else_of_a_subclassed_model_is_refused_with_a_message(
    photo: np.ndarray,
) -> None:
    network = cnnviz.network(own_model())
    calls = (
        lambda: cnnviz.predict(network, photo),
        lambda: cnnviz.activations(network, photo, ["stem"]),
        lambda: cnnviz.class_activation_map(network, photo),
        lambda: cnnviz.methods(network),
        lambda: cnnviz.outline(network),
    )
    for call in calls:
        with pytest.raises(LayerError, match="'own' is a subclassed model .*need a Sequ"):
            call()


def test_a_custom_layer_works_inside_a_functional_model(
    photo: np.ndarray, eager_outputs: Any
) -> None:
    import keras
    from keras import layers

    image = keras.Input((12, 12, 3), name="image")
    x = type(own_model().blocks[0])(name="block")(image)
    x = layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(x))
    network = cnnviz.network(keras.Model(image, x), preset="unit")
    assert [info.path for info in network.layers][:3] == ["image", "block", "block/conv"]
    inputs = cnnviz.activations(network, photo, ["image"])["image"]
    output, _ = eager_outputs(network.model, inputs[None])
    np.testing.assert_allclose(cnnviz.predict(network, photo).probabilities, output[0], atol=1e-6)
    assert cnnviz.class_activation_map(network, photo).layer == "block"
    with pytest.raises(LayerError, match="'block/conv' gives no array of its own"):
        cnnviz.activations(network, photo, ["block/conv"])


# --- Other kinds of layers ------------------------------------------------------------------


@pytest.mark.engines
def test_attention_and_dense_layers_are_listed_and_give_their_rows(
    tiny: Tiny, photo: np.ndarray
) -> None:
    network = tiny("attention")
    layers = {info.path: info for info in network.layers}
    assert layers["attention"].kind == "MultiHeadAttention"
    assert layers["attention"].output_shape == (None, 9, 8)
    assert [layers[path].spatial for path in ("patches", "row", "attention")] == [
        True,
        False,
        False,
    ]
    outputs = cnnviz.activations(
        network, photo, ["patches", "row", "attention", "hidden", "scores"]
    )
    np.testing.assert_array_equal(outputs["row"], outputs["patches"].reshape(9, 8))
    assert outputs["attention"].shape == outputs["hidden"].shape == (9, 8)
    np.testing.assert_allclose(
        outputs["scores"], cnnviz.predict(network, photo).probabilities, atol=1e-6
    )
    assert cnnviz.rank_channels(outputs["attention"]).peak.shape == (8,)
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


def test_a_name_without_its_path_lists_the_nested_layers_of_that_name(tiny: Tiny) -> None:
    with pytest.raises(LayerError, match=re.escape("Near it: left/act, right/act.")):
        find(tiny("nested_functional").model, "act")


def test_a_name_unlike_all_others_lists_the_first_layers(tiny: Tiny) -> None:
    with pytest.raises(LayerError, match="Near it: image, conv1, pool"):
        find(tiny("flat").model, "zzzzzzzz")


def test_the_call_of_a_shared_layer_is_that_layer(tiny: Tiny) -> None:
    model = tiny("shared_layer").model
    assert find(model, "again#1") is find(model, "again")
    assert find(model, "twin#1/conv") is find(model, "twin/conv")
    with pytest.raises(LayerError, match="no layer 'again#x'"):
        find(model, "again#x")


# --- Which is which -------------------------------------------------------------------------


def test_the_layout_is_known_in_and_around_a_nested_block(tiny: Tiny) -> None:
    structure = describe_model(tiny("channels_first").model)
    channels_first = structure.channels_first
    assert {"image", "scale", "conv1", "pool", "block", "block/norm", "block/act"} <= channels_first
    assert {"depthwise", "joined", "larger", "transpose"} <= channels_first
    assert not {"average", "scores"} & channels_first
    assert structure.input_shape == (None, 12, 14, 3)
    assert describe_model(tiny("channels_last_twin").model).channels_first == frozenset()


def test_the_layout_may_change_inside_a_network(tiny: Tiny) -> None:
    structure = describe_model(tiny("turned_inside").model)
    assert structure.channels_first == {"turned", "conv"}
    assert structure.input_shape == (None, 12, 12, 3)


@pytest.mark.parametrize(
    ("shape", "channels_first"),
    [
        ((3, 8, 9), True),
        ((1, 8, 9), True),
        ((8, 9, 3), False),
        ((3, 8, 3), False),
        ((5, 8, 9), False),
    ],
)
def test_without_a_layer_that_defines_the_layout_the_number_of_colours_does(
    shape: tuple[int, ...], channels_first: bool
) -> None:
    image = keras.Input(shape)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    assert bool(describe_model(model).channels_first) is channels_first


def test_a_shape_with_channels_last_by_hand() -> None:
    assert channels_last_shape((None, 3, 8, 9), True) == (None, 8, 9, 3)
    assert channels_last_shape((None, 3, 8, 9), False) == (None, 3, 8, 9)
    assert channels_last_shape((None, 7), True) == (None, 7)


def test_the_structure_of_a_model_without_a_graph_is_its_layers() -> None:
    structure = describe_model(own_model())
    assert not structure.has_graph
    assert len(structure.layers) == 8
    assert (structure.input_shape, structure.outputs, structure.class_counts) == ((), {}, {})
    assert structure.channels_first == frozenset()


def test_class_scores_are_counted_by_output_and_rows_precede_maps(tiny: Tiny) -> None:
    structure = tiny("several_outputs").structure
    assert list(structure.outputs) == ["maps", "scores", "mood"]
    assert list(structure.class_counts.items()) == [("scores", 3), ("mood", 2), ("maps", 2)]
    assert [structure.class_count(name) for name in (None, "mood", "maps")] == [3, 2, 2]
    with pytest.raises(CardError, match="no output 'moods'.*Choose from scores, mood, maps"):
        structure.class_count("moods")


def test_the_names_of_outputs() -> None:
    image = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(image)
    dense = keras.layers.Dense(2, name="scores")
    maps = keras.layers.Conv2D(5, 3, name="maps")(image)
    listed = keras.Model(image, [dense(flat), dense(flat * 2), maps])
    assert describe_model(listed).outputs == {
        "scores": (None, 2),
        "scores#1": (None, 2),
        "maps": (None, 6, 6, 5),
    }
    model = keras.Model(image, {"animal": dense(flat), "where": maps})
    assert describe_model(model).outputs == {"animal": (None, 2), "where": (None, 6, 6, 5)}


# --- Class counts ---------------------------------------------------------------------------


def test_maps_of_classes_of_free_size_are_counted() -> None:
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(5, 1, name="maps")(image))
    assert describe_model(model).class_counts == {"maps": 5}
