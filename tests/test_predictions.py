"""Predictions: what the plain model says, as probabilities of named classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.errors import ModelError, TargetError
from cnnviz.graph import Head
from cnnviz.predictions import class_index, read_prediction
from cnnviz.preprocessing import network_input
from cnnviz.results import Prediction, Score

Tiny = Callable[[str], Any]


def head(activation: str) -> Head:
    return Head(activation, None, None, None)


# --- Reading an output ----------------------------------------------------------------------


def test_softmax_outputs_are_probabilities_as_they_are(tiny: Tiny) -> None:
    output = np.array([[0.2, 0.5, 0.3]], np.float32)
    prediction = read_prediction(tiny("flat"), head("softmax"), output, np.log(output))
    np.testing.assert_allclose(prediction.probabilities, [0.2, 0.5, 0.3], rtol=1e-6)
    np.testing.assert_allclose(prediction.logits, np.log([0.2, 0.5, 0.3]), rtol=1e-6)
    assert (prediction.index, prediction.label) == (1, "dog")


def test_linear_outputs_go_through_a_softmax(tiny: Tiny) -> None:
    output = np.log(np.array([[2.0, 5.0, 3.0]], np.float32))
    prediction = read_prediction(tiny("flat"), head("linear"), output, output)
    np.testing.assert_allclose(prediction.probabilities, [0.2, 0.5, 0.3], rtol=1e-6)


def test_sigmoid_outputs_of_several_classes_are_independent(tiny: Tiny) -> None:
    output = np.array([[0.9, 0.8, 0.1]], np.float32)
    prediction = read_prediction(tiny("many_sigmoids"), head("sigmoid"), output, None)
    np.testing.assert_allclose(prediction.probabilities, [0.9, 0.8, 0.1], rtol=1e-6)
    assert prediction.logits is None


def test_one_sigmoid_unit_speaks_for_two_classes(tiny: Tiny) -> None:
    output, logit = np.array([[0.8]]), np.log([[4.0]])
    prediction = read_prediction(tiny("one_sigmoid"), head("sigmoid"), output, logit)
    np.testing.assert_allclose(prediction.probabilities, [0.2, 0.8])
    np.testing.assert_allclose(prediction.logits, [-np.log(4), np.log(4)])
    assert prediction.label == "dog"


def test_one_linear_unit_is_the_logit_of_a_sigmoid(tiny: Tiny) -> None:
    logit = -np.log([[4.0]])
    prediction = read_prediction(tiny("one_logit"), head("linear"), logit, logit)
    np.testing.assert_allclose(prediction.probabilities, [0.8, 0.2])
    assert prediction.label == "cat"


@pytest.mark.parametrize("size", [1e4, 3e38])
@pytest.mark.parametrize("name", ["one_logit", "linear_logits"])
def test_huge_logits_saturate_and_do_not_overflow(tiny: Tiny, name: str, size: float) -> None:
    network = tiny(name)
    units = network.model.outputs[0].shape[-1]
    for sign in (-1, 1):
        logits = np.zeros((1, units))
        logits[0, -1] = sign * size
        found = read_prediction(network, head("linear"), logits, logits).probabilities
        assert found.sum() == pytest.approx(1)
        assert found[-1] == pytest.approx(1 if sign > 0 else 0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_is_an_error(tiny: Tiny, wrong: float) -> None:
    output = np.array([[0.5, wrong, 0.5]])
    with pytest.raises(ModelError, match="not a number"):
        read_prediction(tiny("flat"), head("linear"), output, output)


# --- A photo --------------------------------------------------------------------------------


def test_every_network_gives_its_own_answer_by_label(
    any_network: Any, photo: np.ndarray, eager_outputs: Any
) -> None:
    inputs = network_input(photo, any_network.card.preprocessing)
    output, _ = eager_outputs(any_network.model, inputs)
    prediction = cnnviz.predict(any_network, photo)
    labels = any_network.card.labels
    assert prediction.labels == tuple(labels)
    assert prediction.probabilities.shape == (len(labels),)
    assert ((prediction.probabilities >= 0) & (prediction.probabilities <= 1)).all()
    if output.shape[1] > 1:
        assert prediction.index == output[0].argmax()


@pytest.mark.parametrize("name", ["softmax_operation", "float32_tail", "flattened_scores"])
def test_probabilities_do_not_go_through_a_softmax_twice(
    tiny: Tiny, photo: np.ndarray, name: str
) -> None:
    """These end in the same body and softmax as `flat`, said in another way."""
    expected = cnnviz.predict(tiny("flat"), photo)
    found = cnnviz.predict(tiny(name), photo)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-6)


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


# --- Top and classes ------------------------------------------------------------------------

FOUR = Prediction(("a", "b", "c", "d"), np.array([0.1, 0.4, 0.1, 0.4]), None)


def test_the_top_comes_in_order_and_equals_by_number() -> None:
    assert FOUR.top(3) == [Score("b", 0.4), Score("d", 0.4), Score("a", 0.1)]
    assert [score.label for score in FOUR.top(9)] == ["b", "d", "a", "c"]
    assert FOUR.top(0) == []


@pytest.mark.parametrize(
    ("target", "place"), [("cat", 0), ("owl", 2), (1, 1), (np.int64(2), 2), (np.uint8(0), 0)]
)
def test_a_class_goes_by_name_or_number(tiny: Tiny, target: Any, place: int) -> None:
    found = class_index(tiny("flat"), target)
    assert found == place
    assert type(found) is int


@pytest.mark.parametrize("target", ["Cat", "", 3, -1, 1.0, None])
def test_an_unknown_class_lists_those_that_are(tiny: Tiny, target: Any) -> None:
    with pytest.raises(TargetError, match="Its 3 are: cat, dog, owl") as error:
        class_index(tiny("flat"), target)
    assert repr(target) in str(error.value)
