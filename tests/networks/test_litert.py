"""LiteRT as an engine: threads, memory, lost files, and what it leaves to TensorFlow.

Its answers about every small network are checked in `test_every_network.py`.
"""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert import interpreter

import cnnviz
from cnnviz.errors import LayerError
from cnnviz.networks import passes
from cnnviz.networks.engines import conversion, litert, tensorflow
from cnnviz.networks.network import ModelSource

Lite = Callable[[str], Any]

REAL = interpreter.Interpreter

# Keras saves a model with a call that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(count).random((count, 12, 12, 3), np.float32)


def alone(network: Any) -> Any:
    """The converted network, where an answer of TensorFlow is an error."""

    def refuse() -> Any:
        pytest.fail("TensorFlow was asked")

    return replace(network, source=ModelSource(refuse), compiled={})


@pytest.fixture
def no_interpreters(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The free interpreters: none at first."""
    idle: list[Any] = []
    monkeypatch.setattr(litert, "_idle", idle)
    return idle


# --- Answers --------------------------------------------------------------------------------


def test_a_batch_is_answered_photo_by_photo(lite: Lite) -> None:
    network, batch = alone(lite("flat")), pictures(5)
    together = passes.forward(network, batch, ["conv1", "scores", "image"])
    for number, picture in enumerate(batch):
        one = passes.forward(network, picture[None], ["conv1", "scores"])
        np.testing.assert_array_equal(together.output[number], one.output[0])
        np.testing.assert_array_equal(together.logits[number], one.logits[0])
        for path in ("conv1", "scores"):
            np.testing.assert_array_equal(together.layers[path][number], one.layers[path][0])
    np.testing.assert_array_equal(together.layers["image"], batch)
    assert not np.shares_memory(together.layers["image"], batch)


@pytest.mark.parametrize("name", ["dense_after_flatten", "one_sigmoid", "flat"])
def test_the_gradients_of_a_batch_are_those_of_tensorflow(lite: Lite, name: str) -> None:
    """Of each photo by its own class, and by the hidden units that are not zero for it."""
    batch = pictures(8) * np.linspace(-4, 4, 8, dtype=np.float32)[:, None, None, None]
    network = lite(name)
    expected = tensorflow.backward(network, batch, frozenset({"conv2"}), None)
    assert len(np.unique(expected.scores)) == 8
    actual = passes.backward(alone(network), batch, ["conv2"])
    assert list(actual.layers) == ["conv2"]
    for ours, theirs in (
        (actual.scores, expected.scores),
        (actual.gradients["conv2"], expected.gradients["conv2"]),
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_gradients_of_maps_that_are_flattened_with_channels_first(tmp_path: Path) -> None:
    how = {"data_format": "channels_first"}
    image = keras.Input((3, 6, 8))
    x = keras.layers.Conv2D(4, 3, **how, activation="relu", name="conv")(image)
    x = keras.layers.Dense(5, "relu")(keras.layers.Flatten()(x))
    keras.utils.set_random_seed(2)
    model = keras.Model(image, keras.layers.Dense(3, "softmax")(x))
    network = cnnviz.network(model, preset="unit")
    converted = replace(network, converted=conversion.convert(network, tmp_path))
    picture = np.random.default_rng(0).random((1, 6, 8, 3), np.float32)
    for target in (None, 0, 2):
        expected = tensorflow.backward(network, picture, frozenset({"conv"}), target)
        actual = passes.backward(alone(converted), picture, ["conv"], target)
        assert actual.gradients["conv"].shape == (1, 4, 6, 4)
        assert np.abs(expected.gradients["conv"]).max() > 1e-3
        np.testing.assert_allclose(
            actual.gradients["conv"], expected.gradients["conv"], rtol=0, atol=1e-6
        )


def small(tail: Callable[[Any], Any]) -> Any:
    """A network of one convolution (6, 6, 4) and what ``tail`` makes of it."""
    keras.utils.set_random_seed(2)
    image = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(4, 3, name="conv")(image)
    model = keras.Model(image, tail(maps))
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.2, weight.shape))
    return cnnviz.network(model, preset="unit")


def hidden(layers: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda maps: keras.layers.Dense(3, name="scores")(layers(keras.layers.Flatten()(maps)))


UNUSUAL: dict[str, Callable[[Any], Any]] = {
    "a limited ReLU as activation": hidden(
        keras.layers.Dense(7, activation=keras.layers.ReLU(max_value=1))
    ),
    "a dense layer on rows": hidden(
        lambda x: keras.layers.Flatten()(
            keras.layers.Dense(5, "relu")(
                keras.layers.Reshape((3, 4))(keras.layers.Dense(12, "relu")(x))
            )
        )
    ),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_the_gradients_of_an_unusual_end_are_those_of_tensorflow(name: str, tmp_path: Path) -> None:
    network = small(UNUSUAL[name])
    converted = replace(network, converted=conversion.convert(network, tmp_path))
    picture = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    for target in (0, 1):
        expected = tensorflow.backward(network, picture, frozenset({"conv"}), target)
        actual = passes.backward(converted, picture, ["conv"], target)
        assert np.abs(expected.gradients["conv"]).max() > 1e-3
        np.testing.assert_allclose(
            actual.gradients["conv"], expected.gradients["conv"], rtol=0, atol=1e-5
        )


def test_the_gradient_of_one_averaged_map_is_known_without_weights(tmp_path: Path) -> None:
    """The sigmoid of one map's mean: its other class has the negated logit."""
    maps = keras.layers.Conv2D(1, 1, name="one")
    network = small(
        lambda x: keras.layers.Activation("sigmoid")(keras.layers.GlobalAveragePooling2D()(maps(x)))
    )
    converted = replace(network, converted=conversion.convert(network, tmp_path))
    for target, sign in ((0, -1), (1, 1)):
        values = passes.backward(
            alone(converted), np.zeros((1, 8, 8, 3), np.float32), ["one"], target
        )
        np.testing.assert_array_equal(
            values.gradients["one"], np.full((1, 6, 6, 1), sign / 36, np.float32)
        )


def test_an_unknown_layer_is_named_as_tensorflow_does(lite: Lite) -> None:
    for network in (alone(lite("flat")), replace(lite("flat"), converted=None)):
        with pytest.raises(LayerError, match="no layer 'conv9'. Near it: conv"):
            passes.forward(network, pictures(1), ["conv1", "conv9"])


# --- What TensorFlow answers ----------------------------------------------------------------


def test_gradients_before_the_end_are_tensorflow_s(lite: Lite, photo: np.ndarray) -> None:
    network = replace(lite("flat"), compiled={})
    cnnviz.class_activation_map(network, photo, "cat", layer="conv1")
    assert [key[:2] for key in network.compiled] == [("backward", frozenset({"conv1"}))]


def test_another_output_or_size_than_the_converted_one_is_tensorflow_s(
    lite: Lite, photo: np.ndarray
) -> None:
    for name, changes in (
        ("several_outputs", {"output": "mood", "labels": ["calm", "wild"]}),
        ("free_size", {"preprocessing": {"height": 10, "width": 14}}),
    ):
        network = lite(name)
        if steps := changes.get("preprocessing"):
            changes = {"preprocessing": network.card.preprocessing.model_copy(update=steps)}
        card = network.card.model_copy(update=changes)
        other = replace(network, card=card, compiled={})
        expected = cnnviz.predict(replace(other, converted=None, compiled={}), photo)
        actual = cnnviz.predict(other, photo)
        np.testing.assert_array_equal(actual.probabilities, expected.probabilities)
        assert other.compiled
        # A title, labels or values of pixels are no reason.
        renamed = network.card.model_copy(update={"title": "Another"})
        cnnviz.predict(alone(replace(network, card=renamed)), photo)


def opened_late(network: Any, path: Path) -> Any:
    """The network, whose model Keras loads from a file when it is first needed."""
    network.model.save(path)
    source = ModelSource(lambda: keras.saving.load_model(path))
    return replace(network, source=source, compiled={})


@pytest.mark.parametrize("from_file", [True, False])
def test_a_model_that_is_loaded_for_a_gradient_has_its_weights(
    lite: Lite, tmp_path: Path, from_file: bool
) -> None:
    """Loaded while TensorFlow traces a pass, all of them would be zero."""
    network = lite("flat")
    path = tmp_path / "flat.keras"
    late = replace(opened_late(network, path), path=path if from_file else None)
    actual = passes.backward(late, pictures(1), ["conv1"], 1).gradients["conv1"]
    expected = tensorflow.backward(network, pictures(1), frozenset({"conv1"}), 1)
    assert np.abs(expected.gradients["conv1"]).max() > 1e-3
    np.testing.assert_allclose(actual, expected.gradients["conv1"], rtol=0, atol=1e-6)


def test_the_map_of_another_output_has_that_output_s_weights(
    lite: Lite, tmp_path: Path, photo: np.ndarray
) -> None:
    """The conversion knows where the weights of its own output are, not of the others."""
    network = opened_late(lite("several_outputs"), tmp_path / "model.keras")
    changes = {"output": "mood", "labels": ["calm", "wild"]}
    other = replace(network, card=network.card.model_copy(update=changes))
    reference = replace(other, converted=None, compiled={})
    assert passes.facts(reference).head.dense == "mood"
    for target in ("calm", "wild"):
        actual, expected = (
            cnnviz.class_activation_map(one, photo, target) for one in (other, reference)
        )
        assert actual.method == "cam"
        np.testing.assert_allclose(actual.values, expected.values, rtol=0, atol=1e-6)
        assert actual.score == pytest.approx(expected.score, abs=1e-6)


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        lambda file: file.write_bytes(b"no network"),
        # It is still a network, but not the one that was compared with TensorFlow.
        lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    ],
    ids=["gone", "no network", "another"],
)
def test_a_file_that_is_lost_is_no_reason_not_to_answer(
    lite: Lite,
    tmp_path: Path,
    no_interpreters: list[Any],
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path], Any],
) -> None:
    """As where somebody empties the cache of a running server."""
    network = lite("flat")
    file, scores = network.converted.scores
    copy = Path(shutil.copy(file, tmp_path))
    spoil(copy)
    lost = replace(
        network, converted=replace(network.converted, scores=(copy, scores)), compiled={}
    )
    with caplog.at_level(logging.WARNING):
        actual = passes.forward(lost, pictures(1)).output
    assert lost.compiled
    assert f"The conversion of {network.card.title} is not used" in caplog.text
    expected = passes.forward(alone(network), pictures(1)).output
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)
    assert len(no_interpreters) == 1


class Failing:
    """An interpreter of which one thing fails."""

    def __init__(self, what: str, error: Exception, made: list[Any]) -> None:
        self._what, self._error, self._made = what, error, made

    def __call__(self, *args: Any, **how: Any) -> Any:
        self._made.append(args)
        if self._what == "open":
            raise self._error
        self._real = REAL(*args, **how)
        return self

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any) -> None:
            raise self._error

        return fail if name == self._what else getattr(self._real, name)


@pytest.mark.parametrize("what", ["open", "allocate_tensors", "invoke"])
@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_where_litert_fails_tensorflow_answers(
    lite: Lite,
    no_interpreters: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
    error: type[Exception],
) -> None:
    network = replace(lite("flat"), compiled={})
    made: list[Any] = []
    reason = f"{what} {error.__name__}"
    monkeypatch.setattr(interpreter, "Interpreter", Failing(what, error(reason), made))
    for _ in range(2):
        actual = passes.forward(network, pictures(1)).output
    assert (len(made), no_interpreters) == (2, [])
    assert caplog.text.count(f"is not used: LiteRT fails: {reason}") == 1
    expected = tensorflow.forward(network, pictures(1), frozenset()).output
    np.testing.assert_array_equal(actual, expected)


def test_where_litert_cannot_be_imported_tensorflow_answers(
    lite: Lite,
    no_interpreters: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    photo: np.ndarray,
) -> None:
    """It is installed, for another processor, say."""
    network = replace(lite("flat"), compiled={})
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert cnnviz.predict(network, photo).label in network.card.labels
    cnnviz.class_activation_map(network, photo)
    assert network.compiled
    assert no_interpreters == []
    assert caplog.text.count("is not used: LiteRT fails: import of ai_edge_litert") == 1


# --- Threads and memory ---------------------------------------------------------------------


def test_eight_threads_get_the_answers_of_one(lite: Lite, no_interpreters: list[Any]) -> None:
    network, batch = alone(lite("flat")), pictures(8)
    paths = ["conv1", "scores"]
    expected = [passes.forward(network, picture[None], paths) for picture in batch]

    def run(number: int) -> passes.PassValues:
        return passes.forward(network, batch[number % 8][None], paths)

    with ThreadPoolExecutor(8) as threads:
        for number, actual in enumerate(threads.map(run, range(160))):
            np.testing.assert_array_equal(actual.output, expected[number % 8].output)
            for path in paths:
                np.testing.assert_array_equal(
                    actual.layers[path], expected[number % 8].layers[path]
                )
    assert 1 <= len(no_interpreters) <= 8


def test_free_interpreters_hold_only_so_much_memory(
    lite: Lite, no_interpreters: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def used_last() -> list[str]:
        return [one.sha256 for one in no_interpreters]

    names = ("flat", "one_sigmoid", "grey")
    files = {name: lite(name).converted.scores[1].sha256 for name in names}
    # To compare it with TensorFlow, each was run before.
    no_interpreters.clear()
    for name in (*names, "flat"):
        litert.prepare(lite(name), frozenset())
    assert used_last() == [files[name] for name in ("one_sigmoid", "grey", "flat")]
    two = sum(one.memory for one in no_interpreters[1:])
    monkeypatch.setattr(litert, "_MAX_IDLE_BYTES", two)
    litert.prepare(lite("flat"), frozenset())
    assert used_last() == [files["grey"], files["flat"]]
    # One that alone is too large is not kept, and takes no other one's place.
    one = max(found.memory for found in no_interpreters)
    monkeypatch.setattr(litert, "_MAX_IDLE_BYTES", one)
    litert.prepare(lite("grey"), frozenset())
    monkeypatch.setattr(litert, "_MAX_IDLE_BYTES", no_interpreters[0].memory)
    passes.forward(alone(lite("grey")), np.zeros((1, 12, 12, 1), np.float32), ["conv2"])
    assert used_last() == [files["grey"]]
    monkeypatch.setattr(litert, "_MAX_IDLE_BYTES", 0)
    litert.prepare(lite("grey"), frozenset())
    assert used_last() == []


def test_the_memory_of_an_interpreter_is_not_underestimated(lite: Lite) -> None:
    _, maps = lite("wide").converted.maps
    values = passes.forward(alone(lite("wide")), np.zeros((1, 8, 14, 3), np.float32), maps.layers)
    assert maps.memory >= sum(array.nbytes for array in values.layers.values())
