"""The scores of maps: worked out by hand on a network of four cells, and identities."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import cnnviz
from cnnviz.attribution import map_changes, perturbations, series_runs
from cnnviz.attribution.faithfulness import (
    MEASURES,
    TESTS,
    applies,
    area,
    drop,
    increase,
    map_score,
)
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.attribution.similarity import correlation, rank_correlation
from cnnviz.errors import ModelError, TargetError
from cnnviz.networks.shuffled_weights import shuffled_copies
from cnnviz.results import ClassActivationMap, Faithfulness

# What the cells of the photo hold, and what each is worth to the logit of "yes"; "no" has 0.
CELLS = np.array([[8.0, 4.0], [2.0, 1.0]])
WEIGHTS = np.array([[0.25, 0.1], [0.0, -0.5]])
PHOTO = np.repeat(np.kron(CELLS, np.ones((2, 2)))[..., None], 3, axis=2).astype(np.uint8)


def sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


@functools.cache
def linear_network() -> Any:
    """The mean of each cell of 2 × 2 pixels, times a weight of its own."""
    means = keras.layers.Conv2D(1, 2, strides=2, use_bias=False, name="means")
    dense = keras.layers.Dense(2, use_bias=False, name="scores")
    model = keras.Sequential([keras.Input((4, 4, 3)), means, keras.layers.Flatten(), dense])
    means.set_weights([np.full((2, 2, 3, 1), 1 / 12)])
    dense.set_weights([np.stack([np.zeros(4), WEIGHTS.ravel()], axis=1)])
    card = cnnviz.ModelCard(
        title="linear",
        description="Its weights were set by hand.",
        training=cnnviz.Training(data="none", split="none"),
        licence="none",
        source="made by a test",
        labels=("no", "yes"),
        preprocessing=cnnviz.Preprocessing(height=4, width=4, scaling="none"),
    )
    return cnnviz.network(model, card)


def a_map(values: Any, method: str = "hires-cam") -> ClassActivationMap:
    return ClassActivationMap(np.array(values, np.float32), method, "means", "yes", 0.0, None)


def measured(values: Any, *scores: str) -> Faithfulness:
    return cnnviz.measure(linear_network(), PHOTO, a_map(values), scores)


def subject_for(values: Any, test: str) -> series_runs.Subject:
    from cnnviz.photos.preprocessing import network_input

    network = linear_network()
    inputs = network_input(PHOTO, network.card.preprocessing)
    about = series_runs.subject(network, inputs, [1])
    return series_runs.tested(about, test, np.array(values), "hires-cam", "means")


# --- Worked out by hand ---------------------------------------------------------------------------


def test_deletion_and_insertion_of_four_cells() -> None:
    # The evidence: 8 × 0.25, 4 × 0.1, 2 × 0, 1 × −0.5. The photo's mean is 15 / 4.
    mean = 3.75
    cam = cnnviz.class_activation_map(linear_network(), PHOTO, "yes", method="hires-cam")
    np.testing.assert_allclose(cam.values, [[2, 0.4], [0, -0.5]], atol=1e-6)
    deletion = [
        sigmoid(2 + 0.4 - 0.5),
        sigmoid(0.25 * mean + 0.4 - 0.5),
        sigmoid(0.25 * mean + 0.1 * mean - 0.5),
        sigmoid(0.25 * mean + 0.1 * mean - 0.5),
        sigmoid((0.25 + 0.1 - 0.5) * mean),
    ]
    insertion = [
        deletion[-1],
        sigmoid(2 + 0.1 * mean - 0.5 * mean),
        sigmoid(2 + 0.4 - 0.5 * mean),
        sigmoid(2 + 0.4 - 0.5 * mean),
        deletion[0],
    ]
    found = cnnviz.measure(linear_network(), PHOTO, cam, ["deletion-mean", "insertion-mean"])
    for score, curve in zip(found.scores, (deletion, insertion), strict=True):
        assert score.curves is not None
        np.testing.assert_allclose(score.curves[0], curve, atol=1e-6)
        by_hand = (curve[0] / 2 + curve[1] + curve[2] + curve[3] + curve[4] / 2) / 4
        assert score.value == pytest.approx(by_hand, abs=1e-6)


def test_the_photo_times_the_map() -> None:
    before = sigmoid(1.9)
    cases = {
        # An even map leaves the photo as it is; without anything positive all is black.
        "even": (np.full((4, 4), 7.0), 1.9),
        "negative": (np.full((4, 4), -7.0), 0.0),
        # The peak leaves its cell as it is, half of it halves the cell.
        "two cells": (np.kron([[3.0, 0.0], [-1.0, 1.5]], np.ones((2, 2))), 2 - 0.25),
    }
    for values, logit in cases.values():
        lost, won = measured(values, "average-drop", "increase").scores
        assert lost.value == pytest.approx((before - sigmoid(logit)) / before, abs=1e-6)
        assert won.value == 0
    won = measured(np.kron([[1.0, 1.0], [0.0, 0.0]], np.ones((2, 2))), "increase").scores[0]
    assert won.value == 1, "without the cell that speaks against it the class is more probable"


def test_finishing_by_hand() -> None:
    assert area(np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0]])) == [0.5, 0.5]
    assert drop(np.array([[0.5, 0.125], [0.5, 0.75], [0.0, 0.0]])) == [0.75, 0.0, 0.0]
    assert increase(np.array([[0.5, 0.125], [0.5, 0.75], [0.5, 0.5 + 1e-8]])) == [0.0, 1.0, 0.0]


def test_correlations_by_hand() -> None:
    # Ranks 0, 1.5, 1.5, 3 and 1, 0, 2, 3: deviations −1.5, 0, 0, 1.5 and −0.5, −1.5, 0.5, 1.5.
    first, second = np.array([1.0, 5.0, 5.0, 70.0]), np.array([2.0, 1.0, 3.0, 4.0])
    assert rank_correlation(first, second) == pytest.approx(3 / np.sqrt(4.5 * 5))
    assert correlation(first, -2 * first) == pytest.approx(-1)
    assert np.isnan(rank_correlation(np.ones(4), second))
    assert np.isnan(correlation(second, np.array([1, 1, 1 + 1e-9, 1]) / 3))


def test_each_cell_is_its_own_part_of_the_photo() -> None:
    masks = perturbations.pixels_of(np.array([1, 5]), (2, 3), 4, 7)
    np.testing.assert_array_equal(masks[:2].astype(int), [[0, 0, 1, 1, 1, 0, 0]] * 2)
    np.testing.assert_array_equal(masks[2:].astype(int), [[0, 0, 0, 0, 0, 1, 1]] * 2)


def test_a_shifted_photo_s_map_is_shifted_back() -> None:
    picture = np.random.default_rng(0).standard_normal((9, 7))
    moved = map_changes.shifted(picture[..., None], 2, -1)[..., 0]
    np.testing.assert_array_equal(moved[2:, :-1], picture[:-2, 1:])
    np.testing.assert_array_equal(moved[0, :-1], picture[0, 1:])
    assert map_changes._alike(picture, moved, 2, -1) == pytest.approx(1)
    assert map_changes._alike(picture, moved) < 0.5
    assert map_changes._alike(picture, np.ones((9, 7))) == 0


# --- Identities -----------------------------------------------------------------------------------


def test_what_a_linear_network_loses_is_its_best_map() -> None:
    occlusion = cnnviz.class_activation_map(linear_network(), PHOTO, "yes", method="occlusion")
    for sign in (1, -1):
        for score in measured(sign * occlusion.values, "occlusion-rank", "sensitivity-n").scores:
            assert score.value == pytest.approx(sign, abs=1e-5)
            assert abs(score.random) < 0.99


def test_what_replacing_each_cell_costs_is_the_best_map() -> None:
    """The evidence adds up, so no other order of the cells makes a better curve at any step."""
    scores = ("deletion-mean", "insertion-mean")
    costs = WEIGHTS * (CELLS - CELLS.mean())
    best = measured(costs, *scores).scores
    orders = [np.reshape(order, (2, 2)) for order in itertools.permutations(range(4))]
    for values in (-costs, *orders[::5]):
        for ours, theirs in zip(best, measured(values, *scores).scores, strict=True):
            sign = 1 if ours.better == "higher" else -1
            gains = sign * (np.asarray(ours.curves)[0] - np.asarray(theirs.curves)[0])
            assert (gains > -1e-6).all()
            assert sign * (ours.value - theirs.value) > -1e-6
    opposite = measured(-costs, *scores).scores
    assert best[0].value < opposite[0].value - 0.1
    assert best[1].value > opposite[1].value + 0.1


def test_equal_maps_have_equal_scores() -> None:
    cam = cnnviz.class_activation_map(linear_network(), PHOTO, "yes", method="random")
    for score in cnnviz.measure(linear_network(), PHOTO, cam).scores:
        np.testing.assert_equal(score.value, score.random, err_msg=score.measure)


def test_the_random_map_fails_where_a_map_should_depend_on_photo_and_network(
    tiny: Callable[[str], Any], photo: np.ndarray
) -> None:
    scores = ["shift-stability", "noise-stability", "weight-randomisation"]
    cam = cnnviz.class_activation_map(tiny("flat"), photo, method="hires-cam")
    shifts, noise, weights = cnnviz.measure(tiny("flat"), photo, cam, scores).scores
    assert shifts.random < 0.3
    assert shifts.value > 0.5
    assert noise.random < 0.3
    assert noise.value > 0.5
    assert weights.random == 1
    assert weights.value < 0.9


def test_equal_cells_are_in_an_order_that_is_the_same_each_time_and_favours_no_corner() -> None:
    order = perturbations.ranked_cells(np.zeros((7, 7)))
    np.testing.assert_array_equal(order, perturbations.ranked_cells(np.ones((7, 7))))
    assert sorted(order) == list(range(49))
    assert abs(np.mean(order[:24]) - 24) < 8


def test_a_class_against_another_has_the_probability_out_of_the_two(
    tiny: Callable[[str], Any], photo: np.ndarray
) -> None:
    network = tiny("flat")
    probabilities = cnnviz.predict(network, photo).probabilities
    cam = cnnviz.class_activation_map(network, photo, 0, against=1)
    found = cnnviz.measure(network, photo, cam, ["deletion-mean"]).scores[0]
    assert found.curves is not None
    expected = probabilities[0] / (probabilities[0] + probabilities[1])
    assert found.curves[0, 0] == pytest.approx(expected, abs=1e-6)


# --- Series ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", TESTS)
def test_parts_of_any_size_add_up_to_the_same(test: str) -> None:
    network, values = linear_network(), WEIGHTS * CELLS
    question = SeriesQuestion(test, (1,), "means", shown=values, method="hires-cam")
    about = subject_for(values, test)
    whole, count = series_runs.run(TESTS[test].series, about)
    assert whole.shape[:2] == (1, TESTS[test].rows)
    for size in (1, 7, count):
        starts = range(0, count, size)
        parts = [series_runs.run_part(network, PHOTO, question, at, at + size) for at in starts]
        np.testing.assert_allclose(sum(part.values for part in parts), whole, atol=1e-6)
        assert {part.count for part in parts} == {count}


def test_progress_counts_all_runs_and_can_end_them() -> None:
    told: list[tuple[int, int]] = []
    cam = a_map(WEIGHTS * CELLS)
    scores = ["deletion-mean", "average-drop", "increase", "noise-stability"]
    network = linear_network()
    cnnviz.measure(network, PHOTO, cam, scores, progress=lambda *now: told.append(now))
    assert told == [(15, 22), (18, 22), (22, 22)]

    def stop(done: int, count: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        cnnviz.measure(network, PHOTO, cam, scores, progress=stop)


def test_what_cannot_be_measured_is_said() -> None:
    network, cam = linear_network(), a_map(WEIGHTS)
    with pytest.raises(TargetError, match="no score 'best'"):
        cnnviz.measure(network, PHOTO, cam, ["best"])
    with pytest.raises(TargetError, match="many maps"):
        cnnviz.measure(network, PHOTO, a_map(WEIGHTS, "occlusion"), ["shift-stability"])
    with pytest.raises(TargetError, match="finite"):
        cnnviz.measure(network, PHOTO, a_map([[1, np.nan]]))
    assert not applies("one-by-one", "occlusion")
    assert applies("together", "occlusion")
    total = np.zeros((1, 3, 5))
    for wrong in (total[:, :2], total[0], total[..., :1], np.full_like(total, np.inf)):
        with pytest.raises(ModelError):
            map_score(MEASURES["deletion-mean"], wrong)


# --- Shuffled weights -----------------------------------------------------------------------------


def test_copies_are_shuffled_from_the_head_down_and_the_network_stays(
    fresh: Callable[[str], Any], photo: np.ndarray, snapshot: Any
) -> None:
    network = fresh("nested_functional")
    before = snapshot(network.model)
    own = [weight.numpy() for weight in network.model.weights]
    layers = [info for info in network.layers if info.parameters and not info.nested]
    changed = []
    for copy in shuffled_copies(network, [1, len(layers)], 0):
        theirs = [weight.numpy() for weight in copy.model.weights]
        for mine, other in zip(own, theirs, strict=True):
            np.testing.assert_array_equal(np.sort(mine, axis=None), np.sort(other, axis=None))
        changed.append([not np.array_equal(a, b) for a, b in zip(own, theirs, strict=True)])
        assert np.isfinite(cnnviz.predict(copy, photo).probabilities).all()
    assert sum(changed[0]) <= len(cnnviz.filters(network, "left/conv").kernels.shape)
    assert any(changed[0])
    assert not any(changed[0][:-2]), "the last layer has the last weights"
    kernels = [weight.ndim > 1 for weight in network.model.weights]
    assert all(np.array(changed[1])[kernels])
    assert snapshot(network.model) == before


def test_every_record_is_whole() -> None:
    assert {one.test for one in MEASURES.values()} == set(TESTS)
    for key, one in MEASURES.items():
        assert one.key == key
        texts = [getattr(one, name) for name in ("title", "paper", "summary", "caution")]
        assert all(texts), key
        assert dataclasses.is_dataclass(one)
