"""The attention network: data, gradients against differences, and what a training reaches."""

from __future__ import annotations

import numpy as np
import pytest

from cnnviz.lessons import attention
from cnnviz.lessons.attention import (
    answers,
    begin,
    changed_answers,
    gradients,
    loss,
    mean_shares,
    read_flowers,
    split,
    train,
)


def test_the_flowers_are_fishers() -> None:
    flowers = read_flowers()
    assert flowers.features == ("sepal length", "sepal width", "petal length", "petal width")
    assert flowers.names == ("setosa", "versicolor", "virginica")
    assert np.bincount(flowers.species).tolist() == [50, 50, 50]
    # The means that the data's description gives.
    np.testing.assert_allclose(flowers.values.mean(axis=0), [5.84, 3.05, 3.76, 1.20], atol=0.01)
    assert flowers.values[0].tolist() == [5.1, 3.5, 1.4, 0.2]


def test_ten_of_each_species_are_held_out() -> None:
    flowers = read_flowers()
    seen, held_out = split(flowers, 3)
    assert np.bincount(flowers.species[held_out]).tolist() == [10, 10, 10]
    assert sorted([*seen, *held_out]) == list(range(150))
    assert not np.array_equal(held_out, split(flowers, 4)[1])


def test_answers_worked_out_by_hand() -> None:
    weights = {
        "attention": np.zeros((2, 2)),
        "attention bias": np.array([np.log(3.0), 0.0]),
        "dense": np.array([[1.0, 0.0], [0.0, 1.0]]),
        "dense bias": np.array([0.0, np.log(2.0)]),
    }
    said = answers(weights, np.array([[4.0, 8.0]]))
    # The shares are 3/4 and 1/4, so the scores are 3 and 2 + log 2.
    np.testing.assert_allclose(said.attention, [[0.75, 0.25]])
    np.testing.assert_allclose(said.weighted, [[3.0, 2.0]])
    np.testing.assert_allclose(said.probabilities[0, 0], np.e / (np.e + 2))


@pytest.mark.parametrize("with_attention", [False, True])
def test_gradients_are_the_differences_of_the_loss(with_attention: bool) -> None:
    random = np.random.default_rng(0)
    values, species = random.normal(size=(7, 4)), np.array([0, 1, 2, 0, 1, 2, 2])
    weights = begin(4, 3, 1, attention=with_attention)
    found = gradients(weights, values, species)
    assert found.keys() == weights.keys()
    for name, weight in weights.items():
        for index in np.ndindex(weight.shape):
            ends = []
            for change in (1e-6, -1e-6):
                moved = {key: one.copy() for key, one in weights.items()}
                moved[name][index] += change
                ends.append(loss(moved, values, species))
            assert found[name][index] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


@pytest.mark.parametrize("with_attention", [False, True])
def test_a_training_learns_and_can_be_repeated(with_attention: bool) -> None:
    flowers = read_flowers()
    first, *_, last = train(flowers, 300, 1, attention=with_attention)
    assert first.number == 0
    assert last.number == 300
    assert last.loss < first.loss / 5
    assert last.held_out >= 0.9
    *_, again = train(flowers, 300, 1, attention=with_attention)
    assert again.loss == last.loss


def test_a_step_is_adams() -> None:
    flowers = read_flowers()
    first, second = train(flowers, 1, 0, attention=False)
    change = second.weights["dense"] - first.weights["dense"]
    # Adam's first step goes the learning rate against the slope, whatever its size.
    np.testing.assert_allclose(np.abs(change), attention._RATE, rtol=1e-4)


def test_the_mean_attention_of_each_species() -> None:
    shares = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    assert mean_shares(shares, np.array([0, 0, 1])).tolist() == [[0.75, 0.25], [0.0, 1.0]]


def test_a_measurement_that_is_not_used_is_not_missed() -> None:
    # The first measurement alone decides: the class is its sign.
    weights = {"dense": np.array([[1.0, -1.0], [0.0, 0.0]]), "dense bias": np.zeros(2)}
    values = np.array([[1.0, 5.0], [-1.0, 6.0], [2.0, 7.0], [-2.0, 8.0]])
    signs = values[:, 0] > 0
    shuffled = np.random.default_rng(3).permutation(values[:, 0]) > 0
    assert changed_answers(weights, values, 1, seed=3) == 0
    assert changed_answers(weights, values, 0, seed=3) == (signs != shuffled).sum() > 0


def test_nearly_no_weight_does_not_mean_that_a_measurement_is_not_used() -> None:
    """What the lesson says of its fourth training."""
    flowers = read_flowers()
    *_, last = train(flowers, 200, 3, attention=True)
    seen, _ = split(flowers, 3)
    values = attention.standardise(flowers.values, flowers.values[seen])
    shares = answers(last.weights, values).attention
    assert shares is not None
    assert shares.mean(axis=0)[3] < 0.02
    assert changed_answers(last.weights, values, 3) > 15
