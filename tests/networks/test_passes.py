"""Compiled passes: the plain model's answers, compiled once, and refused in words."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest

import cnnviz
from cnnviz.errors import LayerError, ModelError
from cnnviz.networks import passes
from cnnviz.networks.engines import tensorflow
from cnnviz.networks.engines.tensorflow import compiled_pass
from cnnviz.photos.preprocessing import network_input

Tiny = Callable[[str], Any]


def inputs_of(network: Any, photo: np.ndarray) -> np.ndarray:
    return network_input(photo, network.card.preprocessing)


def traces(network: Any) -> list[list[int]]:
    """For each compiled pass of a network, the sizes of batches that it was traced for."""
    return [list(kept.by_size) for kept in network.compiled.values()]


# --- The same answers as the plain model ----------------------------------------------------


@pytest.mark.engines
def test_the_output_of_a_photo_does_not_depend_on_the_rest_of_the_batch(tiny: Tiny) -> None:
    network = tiny("flat")
    batch = np.random.default_rng(0).random((3, 12, 12, 3), np.float32)
    together = passes.forward(network, batch).output
    alone = [passes.forward(network, one[None]).output[0] for one in batch]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert np.ptp(together, axis=0).max() > 1e-4


# --- Compiled once --------------------------------------------------------------------------


def test_a_layer_set_is_compiled_once_and_then_reused(fresh: Any, photo: np.ndarray) -> None:
    network = fresh("flat")
    inputs = inputs_of(network, photo)
    for layers in (["conv1", "conv2"], ["conv2", "conv1"]) * 2:
        passes.forward(network, inputs, layers)
        passes.forward(network, inputs + 1, layers)
    assert traces(network) == [[1]]


def test_a_pass_over_more_layers_is_reused_for_fewer(fresh: Any) -> None:
    network = fresh("flat")
    everything = compiled_pass(network, frozenset({"conv1", "pool", "conv2"}))
    some = compiled_pass(network, frozenset({"conv1", "average"}))
    assert compiled_pass(network, frozenset({"conv2"})) is everything
    assert compiled_pass(network, frozenset({"conv1"})) is some
    assert compiled_pass(network, frozenset()) is some
    assert passes.facts(network) in (everything.facts, some.facts)
    assert len(network.compiled) == 2


def test_another_class_does_not_compile_again(fresh: Any, photo: np.ndarray) -> None:
    network = fresh("flat")
    for target in (0, 1, 2, "dog", None):
        cnnviz.class_activation_map(network, photo, target, method="grad-cam")
    (backward,) = (kept for key, kept in network.compiled.items() if key[0])
    assert list(backward.by_size) == [1]


def test_all_public_functions_together_compile_two_passes(fresh: Any, photo: np.ndarray) -> None:
    network = fresh("flat")
    for _ in range(2):
        cnnviz.predict(network, photo)
        cnnviz.class_activation_map(network, photo)
        cnnviz.class_activation_map(network, photo, method="contrastive-cam")
        cnnviz.class_activation_map(network, photo, method="grad-cam")
    assert traces(network) == [[1], [1]]


def test_many_layers_are_outputs_of_one_forward_pass(tiny: Tiny) -> None:
    """The compiled function holds each convolution once, whatever the number of layers."""
    network = tiny("nested_functional")
    maps = [info.path for info in network.layers if info.spatial]
    function = compiled_pass(network, frozenset(maps)).by_size[1]
    kinds = Counter(operation.type for operation in function.graph.get_operations())
    assert len(maps) > 8
    assert kinds["Conv2D"] == 3


def test_only_so_many_compiled_functions_are_kept(fresh: Any, photo: np.ndarray) -> None:
    network = fresh("nested_functional")
    first, *others = [info.path for info in network.layers]
    pairs = [(first, other) for other in others] + [(others[0], other) for other in others[1:]]
    assert len(pairs) > 20
    for pair in pairs:
        passes.prepare(network, pair)
    assert 10 < len(network.compiled) <= 16
    outputs = cnnviz.activations(network, photo, pairs[0])
    assert outputs[others[0]].shape == (12, 12, 4)


def test_eight_threads_share_one_compiled_function(
    fresh: Any, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = fresh("flat")
    compiled: list[Any] = []
    # The makers are looked up once, when a function is compiled.
    makers = tensorflow.makers
    monkeypatch.setattr(tensorflow, "makers", lambda calls: compiled.append(calls) or makers(calls))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: cnnviz.predict(network, photo).logits, range(16)))
    assert len(compiled) == len(network.compiled) == 1
    assert traces(network) == [[1]]
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])


def test_a_model_in_memory_may_be_trained_between_two_questions(
    fresh: Any, photo: np.ndarray
) -> None:
    network = fresh("flat")
    before = cnnviz.predict(network, photo).logits
    dense = network.model.layers[-1]
    dense.bias.assign_add([1.0] * dense.units)
    np.testing.assert_allclose(cnnviz.predict(network, photo).logits, before + 1, atol=1e-5)


# --- Errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [passes.forward, passes.backward])
def test_an_unknown_layer_is_refused_and_nothing_is_kept(
    fresh: Any, photo: np.ndarray, run: Any
) -> None:
    network = fresh("flat")
    inputs = inputs_of(network, photo)
    with pytest.raises(LayerError, match="no layer 'conv9'. Near it: conv"):
        run(network, inputs, ["conv1", "conv9"])
    assert network.compiled == {}
    assert run(network, inputs, ["conv1"]).layers["conv1"].any()


@pytest.mark.engines
@pytest.mark.parametrize(
    ("name", "layer"), [("shared_layer", "again#2"), ("two_outputs_inside", "pyramid")]
)
def test_a_call_that_never_happens_and_several_outputs_are_refused(
    tiny: Tiny, photo: np.ndarray, name: str, layer: str
) -> None:
    network = tiny(name)
    with pytest.raises(LayerError, match=f"'{layer}' gives no array of its own"):
        passes.forward(network, inputs_of(network, photo), [layer])


def test_a_picture_that_is_too_small_for_the_layers_is_refused_with_a_message() -> None:
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(2, 9)(image)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    card = cnnviz.network(model).card
    small = {"preprocessing": card.preprocessing.model_copy(update={"height": 5, "width": 7})}
    network = cnnviz.network(model, card.model_copy(update=small))
    with pytest.raises(ModelError, match=r"cannot run this network on a picture of \(5, 7, 3\)"):
        passes.facts(network)
    assert network.compiled == {}


def test_a_network_that_would_fill_the_memory_is_not_run() -> None:
    import keras
    from keras import layers

    image = keras.Input((8, 8, 3))
    huge = layers.UpSampling2D(1024)(layers.Conv2D(4, 3, padding="same")(image))
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(huge)))
    with pytest.raises(ModelError, match="one of them 268 million; at most 400 and 60 million"):
        passes.facts(cnnviz.network(model))


# --- Rewriting of graphs --------------------------------------------------------------------


@pytest.mark.usefixtures("rewriting")
def test_40_maps_that_are_added_to_themselves_are_run_at_once(photo: np.ndarray) -> None:
    """With the rewriting, 18 of them take 3 s, and each further one doubles the time."""
    tensorflow.turn_off_rewriting()
    image = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(2, 3)(image)
    for _ in range(40):
        maps = keras.layers.Add()([maps, maps])
    scores = keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(maps))
    network = cnnviz.network(keras.Model(image, scores), preset="unit")
    start = time.monotonic()
    cnnviz.predict(network, photo)
    cnnviz.explain(network, photo, [1], method="grad-cam")
    assert time.monotonic() - start < 20


@pytest.mark.usefixtures("rewriting")
def test_without_rewriting_the_answers_are_the_same(fresh: Any, photo: np.ndarray) -> None:
    expected = cnnviz.predict(fresh("flat"), photo).probabilities
    tensorflow.turn_off_rewriting()
    np.testing.assert_allclose(cnnviz.predict(fresh("flat"), photo).probabilities, expected, 1e-6)
