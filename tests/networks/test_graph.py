"""The view on a network's inside: how it ends, what is compiled when, and that it is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import cnnviz
from cnnviz.errors import LayerError, ModelError
from cnnviz.networks import graph
from cnnviz.photos.preprocessing import network_input

Tiny = Callable[[str], Any]


def inputs_of(network: Any, photo: np.ndarray) -> np.ndarray:
    return network_input(photo, network.card.preprocessing)


# --- How a network ends ---------------------------------------------------------------------


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
    head = graph.any_pass(cnnviz.network(keras.Model(image, x))).head
    assert (head.activation, head.dense, head.features) == (activation, None, None)


def test_a_network_without_maps_says_so() -> None:
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(image)))
    head = graph.any_pass(cnnviz.network(model)).head
    assert (head.activation, head.features, head.last_spatial) == ("softmax", None, None)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_an_activation_that_is_a_layer_of_its_own_is_known(activation: str) -> None:
    kinds = {"softmax": keras.layers.Softmax(), "sigmoid": keras.ops.sigmoid}
    image = keras.Input((4, 4, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(image))
    model = keras.Model(image, keras.layers.Dense(3, activation=kinds[activation])(x))
    assert graph.any_pass(cnnviz.network(model)).head.activation == activation


# --- The same answers as the plain model ----------------------------------------------------


def test_augmentation_sleeps(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("augmented")
    inputs = inputs_of(network, photo)
    values = graph.forward(network, ["augment", "augment/random_flip"]).run(inputs)["layers"]
    np.testing.assert_array_equal(values["augment"], inputs)
    first, second = (graph.forward(network).run(inputs)["output"].numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_photo_s_answer_does_not_depend_on_its_neighbours(tiny: Tiny) -> None:
    network = tiny("flat")
    batch = np.random.default_rng(0).random((3, 12, 12, 3), np.float32)
    together = graph.forward(network).run(batch)["output"].numpy()
    alone = [graph.forward(network).run(one[None])["output"].numpy()[0] for one in batch]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert np.ptp(together, axis=0).max() > 1e-4


# --- Shared layers --------------------------------------------------------------------------


def test_the_calls_of_a_shared_layer_are_told_apart(
    tiny: Tiny, photo: np.ndarray, eager_outputs: Any
) -> None:
    network = tiny("shared_layer")
    inputs = inputs_of(network, photo)
    found = graph.forward(network, ["again", "again#1", "twin", "twin#1", "twin#1/conv"]).run(
        inputs
    )
    layers = {layer.name: layer for layer in network.model.layers}
    _, outputs = eager_outputs(network.model, inputs)
    first, second = outputs[id(layers["again"])]
    np.testing.assert_allclose(found["layers"]["again"], first, atol=1e-5)
    np.testing.assert_allclose(found["layers"]["again#1"], second, atol=1e-5)
    assert np.abs(first - second).max() > 0.01
    twins = outputs[id(layers["twin"])]
    for path, twin in (("twin", twins[0]), ("twin#1", twins[1]), ("twin#1/conv", twins[1])):
        np.testing.assert_allclose(found["layers"][path], twin, atol=1e-5)


# --- Compiled once --------------------------------------------------------------------------


def test_a_layer_set_is_compiled_once_and_then_reused(fresh: Any, photo: np.ndarray) -> None:
    network = fresh("flat")
    first = graph.forward(network, ["conv1", "conv2"])
    inputs = inputs_of(network, photo)
    for _ in range(3):
        assert graph.forward(network, ["conv2", "conv1"]) is first
        first.run(inputs)
        first.run(inputs + 1)
    assert first.run.experimental_get_tracing_count() == 1
    assert len(network.compiled) == 1


def test_what_covers_more_is_used_for_less(fresh: Any) -> None:
    network = fresh("flat")
    everything = graph.forward(network, ["conv1", "pool", "conv2"])
    some = graph.forward(network, ["conv1", "average"])
    assert graph.forward(network, ["conv2"]) is everything
    assert graph.forward(network, ["conv1"]) is some
    assert graph.forward(network) is some
    assert graph.any_pass(network) in (everything, some)
    assert len(network.compiled) == 2


def test_another_class_does_not_compile_again(fresh: Any, photo: np.ndarray) -> None:
    network = fresh("flat")
    for target in (0, 1, 2, "dog", None):
        cnnviz.class_activation_map(network, photo, target, method="grad-cam")
    backward = [made for key, made in network.compiled.items() if key[0] == "backward"]
    assert len(backward) == 1
    assert backward[0].run.experimental_get_tracing_count() == 1


def test_the_whole_public_way_compiles_two_functions(fresh: Any, photo: np.ndarray) -> None:
    network = fresh("flat")
    for _ in range(2):
        cnnviz.predict(network, photo)
        cnnviz.class_activation_map(network, photo)
        cnnviz.class_activation_map(network, photo, method="contrastive-cam")
        cnnviz.class_activation_map(network, photo, method="grad-cam")
    counts = [made.run.experimental_get_tracing_count() for made in network.compiled.values()]
    assert counts == [1, 1]


def test_many_layers_come_from_one_forward_pass(tiny: Tiny) -> None:
    """The compiled function holds each convolution once, however many layers are looked at."""
    network = tiny("nested_functional")
    maps = [info.path for info in network.layers if info.spatial]
    made = graph.forward(network, maps)
    spec = tf.TensorSpec((1, 12, 12, 3), tf.float32)
    kinds = Counter(
        operation.type for operation in made.run.get_concrete_function(spec).graph.get_operations()
    )
    assert len(maps) > 8
    assert kinds["Conv2D"] == 3


def test_only_so_many_compiled_functions_are_kept(fresh: Any, photo: np.ndarray) -> None:
    network = fresh("nested_functional")
    first, *others = [info.path for info in network.layers]
    pairs = [(first, other) for other in others] + [(others[0], other) for other in others[1:]]
    assert len(pairs) > 20
    for pair in pairs:
        graph.forward(network, pair)
    assert 10 < len(network.compiled) <= 16
    found = cnnviz.activations(network, photo, pairs[0])
    assert found[others[0]].shape == (12, 12, 4)


def test_eight_threads_share_one_compiled_function(
    fresh: Any, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = fresh("flat")
    compiled: list[Any] = []
    original = graph._compile
    monkeypatch.setattr(
        graph, "_compile", lambda *given: compiled.append(given) or original(*given)
    )
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: cnnviz.predict(network, photo).logits, range(16)))
    assert len(compiled) == len(network.compiled) == 1
    assert next(iter(network.compiled.values())).run.experimental_get_tracing_count() == 1
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])


# --- Errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [graph.forward, graph.backward])
def test_an_unknown_layer_is_refused_and_nothing_is_kept(fresh: Any, direction: Any) -> None:
    network = fresh("flat")
    with pytest.raises(LayerError, match="no layer 'conv9'. Near it: conv"):
        direction(network, ["conv1", "conv9"])
    assert network.compiled == {}
    assert direction(network, ["conv1"])


def test_a_call_that_never_happens_is_refused(tiny: Tiny) -> None:
    with pytest.raises(LayerError, match="'again#2' gives no array of its own"):
        graph.forward(tiny("shared_layer"), ["again#2"])


def test_several_outputs_are_refused_in_words(tiny: Tiny) -> None:
    with pytest.raises(LayerError, match="'pyramid' gives no array of its own"):
        graph.forward(tiny("two_outputs_inside"), ["pyramid"])


def test_a_model_written_as_a_class_is_refused_in_words(photo: np.ndarray) -> None:
    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x * 2

    image = keras.Input((4, 4, 3))
    x = keras.layers.GlobalAveragePooling2D()(Own(name="mine")(image))
    network = cnnviz.network(keras.Model(image, keras.layers.Dense(2)(x)))
    with pytest.raises(LayerError, match="'mine' is written as a class of its own"):
        cnnviz.predict(network, photo)


def test_a_picture_that_the_layers_cannot_take_is_refused_in_words() -> None:
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(2, 9)(image)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    card = cnnviz.network(model).card
    small = {"preprocessing": card.preprocessing.model_copy(update={"height": 5, "width": 7})}
    network = cnnviz.network(model, card.model_copy(update=small))
    with pytest.raises(ModelError, match=r"cannot run this network on a picture of \(5, 7, 3\)"):
        graph.forward(network)
    assert network.compiled == {}


# --- Makers ---------------------------------------------------------------------------------


def test_the_convolution_that_made_each_layer_s_channels(tiny: Tiny) -> None:
    assert graph.any_pass(tiny("flat")).makers == {
        "conv1": "conv1",
        "pool": "conv1",
        "conv2": "conv2",
    }
    makers = graph.any_pass(tiny("nested_functional")).makers
    assert makers["left/act"] == "left/conv"
    assert makers["right/norm"] == "right/conv"
    assert "joined" not in makers
    rescaled = graph.any_pass(tiny("rescaled")).makers
    assert rescaled == {"conv": "conv", "norm": "conv", "act": "conv"}


def test_where_branches_meet_no_one_filter_made_the_channels(tiny: Tiny) -> None:
    makers = graph.any_pass(tiny("skip_connections")).makers
    assert makers == {"stem": "stem", "block1": "block1", "block2": "block2"}


def test_a_network_that_would_fill_the_memory_is_not_run() -> None:
    import keras
    from keras import layers

    image = keras.Input((8, 8, 3))
    huge = layers.UpSampling2D(1024)(layers.Conv2D(4, 3, padding="same")(image))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(huge)))
    with pytest.raises(ModelError, match="one of them 268 million; at most 400 and 60 million"):
        graph.forward(cnnviz.network(model))
