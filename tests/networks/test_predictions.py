"""Predictions: what the plain model says, as probabilities of named classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.attribution.descriptions import damage
from cnnviz.attribution.methods import MANY_PASSES
from cnnviz.errors import CardError, ModelError, TargetError
from cnnviz.networks.card_inference import infer_card
from cnnviz.networks.gradients import layer_gradients
from cnnviz.networks.heads import Head
from cnnviz.networks.predictions import class_index, read_prediction
from cnnviz.photos.preprocessing import network_input
from cnnviz.results import Prediction, Score

Tiny = Callable[[str], Any]


def head(activation: str) -> Head:
    return Head(activation, None, None, None)


# --- Reading an output ----------------------------------------------------------------------


def test_softmax_outputs_are_probabilities_as_they_are(tiny: Tiny) -> None:
    output = np.array([0.2, 0.5, 0.3], np.float32)
    prediction = read_prediction(tiny("flat"), head("softmax"), output, np.log(output))
    np.testing.assert_allclose(prediction.probabilities, [0.2, 0.5, 0.3], rtol=1e-6)
    np.testing.assert_allclose(prediction.logits, np.log([0.2, 0.5, 0.3]), rtol=1e-6)
    assert (prediction.index, prediction.label) == (1, "dog")


def test_linear_outputs_go_through_a_softmax(tiny: Tiny) -> None:
    output = np.log(np.array([2.0, 5.0, 3.0], np.float32))
    prediction = read_prediction(tiny("flat"), head("linear"), output, output)
    np.testing.assert_allclose(prediction.probabilities, [0.2, 0.5, 0.3], rtol=1e-6)


def test_sigmoid_outputs_of_several_classes_are_independent(tiny: Tiny) -> None:
    output = np.array([0.9, 0.8, 0.1], np.float32)
    prediction = read_prediction(tiny("many_sigmoids"), head("sigmoid"), output, None)
    np.testing.assert_allclose(prediction.probabilities, [0.9, 0.8, 0.1], rtol=1e-6)
    assert prediction.logits is None


def test_one_sigmoid_unit_represents_two_classes(tiny: Tiny) -> None:
    output, logit = np.array([0.8]), np.log([4.0])
    prediction = read_prediction(tiny("one_sigmoid"), head("sigmoid"), output, logit)
    np.testing.assert_allclose(prediction.probabilities, [0.2, 0.8])
    np.testing.assert_allclose(prediction.logits, [-np.log(4), np.log(4)])
    assert prediction.label == "dog"


def test_one_linear_unit_is_the_logit_of_a_sigmoid(tiny: Tiny) -> None:
    logit = -np.log([4.0])
    prediction = read_prediction(tiny("one_logit"), head("linear"), logit, logit)
    np.testing.assert_allclose(prediction.probabilities, [0.8, 0.2])
    assert prediction.label == "cat"


@pytest.mark.parametrize("size", [1e4, 3e38])
@pytest.mark.parametrize("name", ["one_logit", "linear_logits"])
def test_huge_logits_saturate_and_do_not_overflow(tiny: Tiny, name: str, size: float) -> None:
    network = tiny(name)
    units = network.model.outputs[0].shape[-1]
    for sign in (-1, 1):
        logits = np.zeros(units)
        logits[-1] = sign * size
        probabilities = read_prediction(network, head("linear"), logits, logits).probabilities
        assert probabilities.sum() == pytest.approx(1)
        assert probabilities[-1] == pytest.approx(1 if sign > 0 else 0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_no_number_is_an_error(tiny: Tiny, wrong: float) -> None:
    output = np.array([0.5, wrong, 0.5])
    with pytest.raises(ModelError, match="not a number"):
        read_prediction(tiny("flat"), head("linear"), output, output)


# --- A photo --------------------------------------------------------------------------------


@pytest.mark.engines
@pytest.mark.parametrize("name", ["softmax_operation", "float32_tail", "flattened_scores"])
def test_probabilities_do_not_go_through_a_softmax_twice(
    tiny: Tiny, photo: np.ndarray, name: str
) -> None:
    """These have the same layers and softmax as `flat`, built in another way."""
    expected = cnnviz.predict(tiny("flat"), photo)
    actual = cnnviz.predict(tiny(name), photo)
    np.testing.assert_allclose(actual.probabilities, expected.probabilities, atol=1e-6)
    np.testing.assert_allclose(actual.logits, expected.logits, atol=1e-6)


@pytest.mark.engines
def test_an_average_of_probabilities_stays_one(
    tiny: Tiny, photo: np.ndarray, eager_outputs: Any
) -> None:
    network = tiny("averaged_probabilities")
    output, _ = eager_outputs(network.model, network_input(photo, network.card.preprocessing))
    prediction = cnnviz.predict(network, photo)
    np.testing.assert_allclose(prediction.probabilities, output[0], atol=1e-6)
    assert prediction.logits is None


def test_damaged_weights_are_named_and_never_drawn(fresh: Any, photo: np.ndarray) -> None:
    network = fresh("flat")
    kernel = network.model.get_layer("scores").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    for ask in (cnnviz.predict, cnnviz.class_activation_map):
        with pytest.raises(ModelError, match="not a number"):
            ask(network, photo)
    with pytest.raises(ModelError, match="not a number"):
        cnnviz.class_activation_map(network, photo, "cat", method="grad-cam")


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_the_layer_that_holds_damaged_weights_is_named(
    fresh: Any, photo: np.ndarray, wrong: float
) -> None:
    network = fresh("nested_sequential")
    kernel = network.model.get_layer("backbone").get_layer("conv_b").kernel
    values = np.asarray(kernel).copy()
    values[0, 0, 0, 0] = wrong
    kernel.assign(values)
    assert cnnviz.outline(network).damaged == ("backbone/conv_b",)
    for ask in (cnnviz.predict, cnnviz.class_activation_map):
        with pytest.raises(ModelError, match="NaN or infinite.* are in 'backbone/conv_b'"):
            ask(network, photo)
    damaged = cnnviz.filters(network, "backbone/conv_b")
    assert "1 weight of the layer “backbone/conv_b” is not a number" in damage(damaged)
    assert cnnviz.outline(fresh("nested_sequential")).damaged == ()


def test_an_infinite_weight_is_named_where_the_probability_alone_looks_fine(
    fresh: Any, photo: np.ndarray
) -> None:
    """A logit of minus infinity is a probability of 0, which looks valid."""
    network = fresh("flat")
    network.model.get_layer("scores").bias.assign([-np.inf, 0, 0])
    with pytest.raises(ModelError, match="infinite.* are in 'scores'"):
        cnnviz.predict(network, photo)


def test_values_that_overflow_have_another_message_than_damaged_weights(
    fresh: Any, photo: np.ndarray
) -> None:
    network = fresh("flat")
    for name in ("conv1", "conv2", "scores"):
        layer = network.model.get_layer(name)
        layer.set_weights([weight * 1e25 for weight in layer.get_weights()])
    with pytest.raises(ModelError, match="Its weights are numbers, so values grew too large"):
        cnnviz.predict(network, photo)


@pytest.mark.parametrize("activation", ["relu", "tanh", "exponential"])
def test_outputs_that_are_no_probabilities_are_refused_with_a_message(
    tiny: Tiny, activation: str
) -> None:
    output = np.array([7.0, -1.0, 0.5])
    with pytest.raises(ModelError, match=f"end in '{activation}' and reach from -1 to 7"):
        read_prediction(tiny("flat"), head(activation), output, None)


@pytest.mark.parametrize("output", [[1.02, 0.5, 0.0], [1.0, 0.5, -0.02]])
def test_one_output_on_either_side_is_enough_to_be_no_probabilities(
    tiny: Tiny, output: list[float]
) -> None:
    with pytest.raises(ModelError, match="outputs are not probabilities"):
        read_prediction(tiny("flat"), head("sigmoid"), np.array(output), None)


def test_outputs_may_miss_the_range_of_probabilities_by_the_rounding_of_float16(
    tiny: Tiny,
) -> None:
    output = np.array([1.009, 0.5, -0.009])
    prediction = read_prediction(tiny("flat"), head("sigmoid"), output, None)
    assert prediction.index == 0


def test_logarithms_of_probabilities_become_probabilities(tiny: Tiny) -> None:
    output = np.log([0.2, 0.5, 0.3])
    prediction = read_prediction(tiny("flat"), head("log_softmax"), output, None)
    np.testing.assert_allclose(prediction.probabilities, [0.2, 0.5, 0.3])


@pytest.mark.parametrize(
    ("activation", "output", "exclusive"),
    [
        ("softmax", [0.2, 0.5, 0.3], True),
        ("linear", [4.0, -5.0, 0.0], True),
        ("sigmoid", [0.2, 0.5, 0.3], False),
        ("combined", [0.2, 0.5, 0.3], True),
        ("combined", [0.9, 0.9, 0.3], False),
        ("combined", [0.1, 0.2, 0.3], False),
    ],
)
def test_whether_one_class_excludes_the_others(
    tiny: Tiny, activation: str, output: list[float], exclusive: bool
) -> None:
    prediction = read_prediction(tiny("flat"), head(activation), np.array(output), None)
    assert prediction.exclusive is exclusive


def test_one_unit_s_two_classes_exclude_each_other(tiny: Tiny) -> None:
    prediction = read_prediction(tiny("one_sigmoid"), head("sigmoid"), np.array([0.7]), None)
    assert prediction.exclusive


# --- Several outputs ------------------------------------------------------------------------


def choose(network: Any, output: str, labels: list[str]) -> Any:
    """The same network with another output selected: model and compiled passes are shared."""
    changes = {"output": output, "labels": labels}
    return replace(network, card=network.card.model_copy(update=changes))


@pytest.mark.parametrize("name", ["scores", "mood", "maps"])
def test_the_prediction_is_of_the_selected_output(fresh: Any, photo: np.ndarray, name: str) -> None:
    network = fresh("several_outputs")
    assert list(network.outputs) == ["scores", "mood", "maps"]
    assert cnnviz.outline(network).outputs == network.outputs
    assert network.output == "scores"
    inputs = network_input(photo, network.card.preprocessing)
    answers = dict(
        zip(("maps", "scores", "mood"), network.model.predict(inputs, verbose=0), strict=True)
    )
    chosen = choose(network, name, list("abc"[: answers[name].shape[-1]]))
    prediction = cnnviz.predict(chosen, photo)
    expected = answers[name][0]
    if name == "maps":
        expected = expected.mean(axis=(0, 1))
        np.testing.assert_allclose(prediction.logits, expected, atol=1e-5)
        expected = np.exp(expected) / np.exp(expected).sum()
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-5)
    assert prediction.exclusive is (name != "mood")


def test_two_selected_outputs_share_the_compiled_passes_and_differ(
    fresh: Any, photo: np.ndarray
) -> None:
    scores = fresh("several_outputs")
    mood = choose(scores, "mood", ["calm", "wild"])
    assert mood.compiled is scores.compiled
    for network, features, classes in ((scores, "conv2", 3), (mood, "branch", 2)) * 2:
        assert cnnviz.outline(network).features == features
        assert cnnviz.outline(network).last_spatial == features
        assert len(cnnviz.predict(network, photo).probabilities) == classes
        for method in set(cnnviz.methods(network)) - set(MANY_PASSES):
            cam = cnnviz.class_activation_map(network, photo, 1, method=method)
            assert cam.layer == features
            assert np.abs(cam.values).max() > 1e-4
    # For each output: the scores, the maps by themselves, and the gradients.
    assert len(scores.compiled) == 6
    assert {(kind, len(layers)) for kind, layers, _ in scores.compiled} == {
        ("forward", 0),
        ("forward", 1),
        ("backward", 1),
    }


def test_the_gradient_is_of_the_selected_output(fresh: Any, photo: np.ndarray) -> None:
    """What only the other output depends on has no gradient."""
    scores = fresh("several_outputs")
    mood = choose(scores, "mood", ["calm", "wild"])
    inputs = network_input(photo, scores.card.preprocessing)
    assert not layer_gradients(scores, inputs, "branch", 1).gradients.any()
    result = layer_gradients(mood, inputs, "branch", 1)
    kernel = np.asarray(mood.model.get_layer("mood").kernel)
    expected = np.broadcast_to(kernel[:, 1] / 16, (1, 4, 4, 4))
    np.testing.assert_allclose(result.gradients, expected, rtol=1e-5)
    np.testing.assert_allclose(result.scores, result.logits[:, 1])


def test_a_card_names_an_output_and_its_labels_fit_that_one(fresh: Any) -> None:
    network = fresh("several_outputs", output="mood", labels=["calm", "wild"])
    assert network.output == "mood"
    with pytest.raises(CardError, match="but the model 'mood' has 2 outputs"):
        fresh("several_outputs", output="mood")
    with pytest.raises(CardError, match="A tiny network.*no output 'moods'.*scores, mood, maps"):
        fresh("several_outputs", output="moods")
    with pytest.raises(CardError, match="no output 'moods'"):
        cnnviz.predict(choose(network, "moods", ["calm", "wild"]), np.zeros((4, 4, 3), np.uint8))
    inferred = infer_card(network.structure, None, "x")
    assert inferred.labels == ["class 0", "class 1", "class 2"]
    assert infer_card(network.structure, None, "x", "mood").labels == [
        "class 0",
        "class 1",
    ]


# --- Top and classes ------------------------------------------------------------------------

FOUR = Prediction(("a", "b", "c", "d"), np.array([0.1, 0.4, 0.1, 0.4]), None)


def test_the_top_is_in_order_and_equals_by_number() -> None:
    assert FOUR.top(3) == [Score("b", 0.4), Score("d", 0.4), Score("a", 0.1)]
    assert [score.label for score in FOUR.top(9)] == ["b", "d", "a", "c"]
    assert FOUR.top(0) == []


@pytest.mark.parametrize(
    ("target", "index"), [("cat", 0), ("owl", 2), (1, 1), (np.int64(2), 2), (np.uint8(0), 0)]
)
def test_a_class_is_selected_by_name_or_number(tiny: Tiny, target: Any, index: int) -> None:
    actual = class_index(tiny("flat"), target)
    assert actual == index
    assert type(actual) is int


@pytest.mark.parametrize("target", ["Cat", "", 3, -1, 1.0, None])
def test_an_unknown_class_lists_those_that_are(tiny: Tiny, target: Any) -> None:
    with pytest.raises(TargetError, match="Its 3 are: cat, dog, owl") as error:
        class_index(tiny("flat"), target)
    assert repr(target) in str(error.value)


def test_of_many_classes_the_nearest_are_named(fresh: Any) -> None:
    network = fresh("flat")
    labels = [f"kind {number} of {'owl' if number % 400 else 'cat'}" for number in range(900)]
    crowd: Any = SimpleNamespace(card=SimpleNamespace(labels=labels))
    with pytest.raises(TargetError, match="Near it: .*kind 400 of cat"):
        class_index(crowd, "of cat")
    with pytest.raises(TargetError, match="Its 3 are: cat, dog, owl"):
        class_index(network, "tiger")


def test_of_many_classes_those_that_hold_the_name_are_named() -> None:
    """Names that are far longer than what is asked for do not resemble it as a whole."""
    labels = [f"{kind} that was photographed in the forest" for kind in ("Owl", "elk", "fox")]
    labels += [f"class {number}" for number in range(20)]
    crowd: Any = SimpleNamespace(card=SimpleNamespace(labels=labels))
    with pytest.raises(TargetError, match="Near it: Owl that was photographed in the forest\\.$"):
        class_index(crowd, "owl")
