"""Compiled passes: the plain model's answers, compiled once, and refused in words."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from corpus import builders

import cnnviz
from cnnviz.errors import LayerError, ModelError
from cnnviz.networks import passes
from cnnviz.networks.engines import folding, tensorflow
from cnnviz.networks.engines.tensorflow import PassKind, compiled_pass
from cnnviz.networks.loading import with_card
from cnnviz.photos.preprocessing import network_input

# NumPy 2 warns of how Keras 3.15 copies a variable that is saved.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

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
    (backward,) = (kept for key, kept in network.compiled.items() if key[0] == "backward")
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
    """Nothing of it may be folded: the copies would not change with the weights."""
    network = fresh("nested_functional")
    before = cnnviz.predict(network, photo).logits
    *_, dense = network.model.layers
    dense.bias.assign_add([1.0] * dense.units)
    np.testing.assert_allclose(cnnviz.predict(network, photo).logits, before + 1, atol=1e-5)
    gradients = passes.backward(network, inputs_of(network, photo), ["conv"], 0).gradients["conv"]
    for name in ("left", "right"):
        norm = network.model.get_layer(name).get_layer("norm")
        norm.gamma.assign(norm.gamma * 3)
        norm.beta.assign(norm.beta * 3)
    inputs = inputs_of(network, photo)
    after = passes.backward(network, inputs, ["conv"], 0)
    np.testing.assert_allclose(after.output, network.model(inputs), atol=1e-6)
    assert np.abs(after.gradients["conv"] - gradients).max() > 0.1 * np.abs(gradients).max()


# --- Folded batch normalizations ------------------------------------------------------------

# Of the model below, by the name of the convolution.
FOLDED = ["plain", "biased", "several", "separable", "grouped", "pointwise"]
NOT_FOLDED = ["rectified", "read_twice"]


def normalised_convolutions() -> Any:
    """Each kind of convolution with a batch normalization after it, and its output after that."""
    layers = keras.layers

    def normalised(layer: Any, x: Any, **options: Any) -> Any:
        x = layers.BatchNormalization(name=f"{layer.name}_norm", **options)(layer(x))
        return layers.ReLU(6, name=f"{layer.name}_act")(x)

    same = {"padding": "same"}
    image = keras.Input((12, 12, 3), name="image")
    x = normalised(layers.Conv2D(4, 3, strides=2, use_bias=False, name="plain", **same), image)
    x = normalised(layers.Conv2D(4, 3, name="biased", **same), x, epsilon=0.1)
    several = layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, name="several", **same)
    x = normalised(several, x, scale=False)
    separable = layers.SeparableConv2D(6, 3, name="separable", **same)
    x = normalised(separable, x, center=False)
    x = normalised(layers.Conv2D(6, 3, groups=2, name="grouped", **same), x)
    x = normalised(layers.Conv2D(6, 1, use_bias=False, name="pointwise"), x) + x
    x = normalised(layers.Conv2D(6, 1, activation="relu", name="rectified"), x)
    twice = layers.Conv2D(6, 3, name="read_twice", **same)(x)
    x = layers.BatchNormalization(name="read_twice_norm")(twice) + twice
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(image, layers.Dense(3, "softmax", name="scores")(x))


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same network in memory, where nothing is folded, and from a file."""
    model = builders.fill(normalised_convolutions())
    path = tmp_path_factory.mktemp("models") / "normalised.keras"
    model.save(path)
    in_memory = cnnviz.network(model, builders.make_card(model))
    from_file = with_card(cnnviz.load_model(path, trusted=True), in_memory.card)
    return in_memory, from_file


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    return np.random.default_rng(5).normal(0, 2, (2, 12, 12, 3)).astype(np.float32)


def kinds(network: Any, layers: list[str], kind: PassKind = "forward") -> Counter[str]:
    """The operations in a compiled pass."""
    function = compiled_pass(network, frozenset(layers), kind).by_size[1]
    return Counter(operation.type for operation in function.graph.get_operations())


def assert_close(left: Any, right: Any) -> None:
    """Within 1e-5 of the largest value."""
    np.testing.assert_allclose(left, right, rtol=0, atol=1e-5 * np.nanmax(np.abs(right)))


def test_convolutions_that_only_a_normalization_reads_are_folded(twins: Any) -> None:
    in_memory, from_file = twins
    found = folding.pairs(from_file.model)
    assert [(pair.path, pair.normalization.name) for pair in found] == [
        (name, f"{name}_norm") for name in FOLDED
    ]
    assert kinds(in_memory, [])["Rsqrt"] == len(FOLDED + NOT_FOLDED)
    assert kinds(from_file, [])["Rsqrt"] == len(NOT_FOLDED)


@pytest.mark.parametrize("asked", [[], FOLDED[::2], FOLDED[1::2]])
def test_folded_passes_give_the_values_of_the_model(
    twins: Any, batch: np.ndarray, asked: list[str]
) -> None:
    """Also at a convolution that is asked for, which is then not folded."""
    in_memory, from_file = twins
    paths = [info.path for info in in_memory.layers]
    layers = [path for path in paths if path not in FOLDED or path in asked]
    expected = passes.backward(in_memory, batch, paths, 1)
    values = passes.backward(from_file, batch, layers, 1)
    kept = compiled_pass(from_file, frozenset(layers), "backward")
    assert_close(values.output, in_memory.model(batch))
    assert_close(values.logits, expected.logits)
    assert_close(values.scores, expected.scores)
    for path in layers:
        assert_close(values.layers[path], expected.layers[path])
        assert_close(values.gradients[path], expected.gradients[path])
    normalizations = len(NOT_FOLDED) + len(asked)
    assert kinds(from_file, layers, "backward")["Rsqrt"] == normalizations
    assert list(kept.by_size) == [1, 2]


@pytest.mark.parametrize("name", ["nested_functional", "rescaled"])
def test_small_networks_are_folded_and_agree(fresh: Any, photo: np.ndarray, name: str) -> None:
    in_memory = fresh(name)
    # As if it came from a file.
    network = dataclasses.replace(in_memory, path=Path("model.keras"), compiled={})
    inputs, (pair, *_) = inputs_of(network, photo), folding.pairs(network.model)
    for path in (str(passes.facts(network).head.last_spatial), pair.path):
        values, expected = (passes.backward(one, inputs, [path], 1) for one in (network, in_memory))
        assert_close(values.layers[path], expected.layers[path])
        assert_close(values.gradients[path], expected.gradients[path])


def test_all_passes_of_a_network_share_the_folded_kernels(twins: Any, photo: np.ndarray) -> None:
    network = dataclasses.replace(twins[1], compiled={})
    for layer in ("plain_act", "biased_act"):
        cnnviz.class_activation_map(network, photo, method="grad-cam", layer=layer)
    first, *others = network.compiled.values()
    assert others
    assert len(first.folded) == len(FOLDED)
    assert all(kept.folded is first.folded for kept in others)


def test_a_network_whose_kernels_are_too_large_is_run_without_folding(
    twins: Any, batch: np.ndarray, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(folding, "MAX_FOLDED_BYTES", 1000)
    network = dataclasses.replace(twins[1], compiled={})
    for layers in ([], ["plain_act"], ["biased_act"]):
        output = passes.forward(network, batch, layers).output
    assert_close(output, twins[0].model(batch))
    assert kinds(network, [])["Rsqrt"] == len(FOLDED + NOT_FOLDED)
    (warning,) = (one.message for one in caplog.records if one.name == folding.__name__)
    assert "a copy of the kernels would take 0 MB" in warning


def test_nothing_of_a_damaged_network_is_folded(
    tmp_path: Path, batch: np.ndarray, caplog: Any
) -> None:
    model = builders.fill(normalised_convolutions())
    model.get_layer("biased_norm").moving_variance.assign([-1, 1, 1, 1])
    model.save(tmp_path / "damaged.keras")
    network = cnnviz.load_model(tmp_path / "damaged.keras", trusted=True, preset="unit")
    values = passes.forward(network, batch, ["biased_act"])
    expected = passes.forward(cnnviz.network(model, network.card), batch, ["biased_act"])
    assert np.isnan(values.layers["biased_act"]).any()
    assert_close(values.layers["biased_act"], expected.layers["biased_act"])
    assert_close(values.output, expected.output)
    passes.prepare(network, ["plain_act"])
    assert kinds(network, [])["Rsqrt"] == len(FOLDED + NOT_FOLDED)
    (warning,) = (one.message for one in caplog.records if one.name == folding.__name__)
    assert warning.endswith("not finite: ['biased_norm']")


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


# --- From the middle ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("flat", "conv1"),
        ("skip_connections", "sum"),
        ("nested_functional", "left"),
        ("channels_first", None),
        ("shared_layer", "again#1"),
        ("mixed_precision", "conv1"),
        ("flat", "image"),
    ],
)
def test_a_layer_that_gives_its_own_maps_changes_nothing_and_others_change_the_scores(
    tiny: Tiny, photo: np.ndarray, name: str, layer: str | None
) -> None:
    network = tiny(name)
    layer = layer or passes.facts(network).head.last_spatial
    inputs = np.repeat(network_input(photo, network.card.preprocessing), 2, axis=0)
    own = passes.forward(network, inputs, [layer])
    maps = own.layers[layer].copy()
    maps[1] = 0
    values = passes.forward_from(network, inputs, layer, maps)
    np.testing.assert_allclose(values.output[0], own.output[0], atol=1e-6)
    assert np.abs(values.output[1] - own.output[1]).max() > 1e-4
