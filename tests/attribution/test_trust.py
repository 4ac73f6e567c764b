"""The verdict on a map: grids worked out by hand, and planted networks from end to end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from corpus.planted import planted_cases
from corpus.planted_case import PlantedCase

import cnnviz
from cnnviz.arrays import Floats, blur, resize
from cnnviz.attribution import map_changes, series_runs
from cnnviz.attribution.explanations import explain_inputs
from cnnviz.attribution.judging import judge_all
from cnnviz.attribution.map_changes import COPIED_MAPS
from cnnviz.attribution.trust import (
    cell_drops,
    cell_shares,
    consistency_sentence,
    judge_drops,
    losses,
    skill,
    verdict_numbers,
    verdict_sentence,
)
from cnnviz.attribution.trust_series import (
    RANDOM_HALVES,
    SHIFTED_COPIES,
    SQUARES,
    log_odds,
    shifted,
    squares,
)
from cnnviz.errors import ModelError
from cnnviz.networks.values import PassValues
from cnnviz.photos.masking import edges
from cnnviz.photos.preprocessing import network_input
from cnnviz.results import ClassActivationMap, Consistency, Prediction

# A loss of 4 in one cell, 2 in its neighbour, and a gain of 1 in another.
DROPS = np.zeros((3, 3))
DROPS[0, 0], DROPS[0, 1], DROPS[2, 2] = 4.0, 2.0, -1.0


def at(*cells: tuple[int, int]) -> Floats:
    """A map (3, 3) that is 1 in some cells."""
    values = np.zeros((3, 3))
    for cell in cells:
        values[cell] = 1
    return values


def cam_of(values: Floats, against: str | None = None) -> ClassActivationMap:
    return ClassActivationMap(values, "cam", "a", "cat", 1.0, None, against=against)


def test_the_skill_by_hand() -> None:
    # The mean loss is 5/9, and that of the losses as a map (16 + 4) / 6.
    best = 10 / 3 - 5 / 9
    for cells, bright in (([(0, 0)], 4), ([(0, 1)], 2), ([(0, 0), (2, 2)], 1.5), ([(2, 2)], -1)):
        shares = at(*cells) / len(cells)
        assert skill(shares, DROPS) == pytest.approx((bright - 5 / 9) / best)
    assert skill(np.full((3, 3), 1 / 9), DROPS) == pytest.approx(0)
    assert skill(np.maximum(DROPS, 0) / 6, DROPS) == pytest.approx(1)


def test_cells_that_lie_in_two_are_shared_out_by_area() -> None:
    shares = cell_shares(np.array([[2.0, 0.0], [0.0, 6.0]]), 3, 3)
    # A cell of the map covers one and a half of the grid's along each side.
    corner = np.array([[4, 2, 0], [2, 1, 0], [0, 0, 0]]) / 9
    np.testing.assert_allclose(shares, corner / 4 + corner[::-1, ::-1] * 3 / 4)
    assert shares is not None
    assert shares.sum() == pytest.approx(1)
    for empty in (np.zeros((2, 2)), -np.ones((2, 2)), np.array([[np.nan, 1.0]])):
        assert cell_shares(empty, 3, 3) is None
    huge = cell_shares(np.full((2, 2), 1e308), 2, 2)
    np.testing.assert_allclose(huge, np.full((2, 2), 0.25))


def test_the_words() -> None:
    found = judge_drops(at((0, 0)), DROPS)
    assert (found.word, found.reason, found.bright) == ("holds", None, 4.0)
    assert (found.anywhere, found.best) == pytest.approx((5 / 9, 10 / 3))
    assert judge_drops(at((0, 0), (2, 2)), DROPS).word == "weak"
    assert judge_drops(at((2, 2)), DROPS).word == "says nothing"
    assert judge_drops(np.ones((3, 3)), DROPS).word == "says nothing"


def test_a_map_counts_as_much_as_its_best_blurred_copy() -> None:
    # One cell beside the loss; a copy that reaches it finds more.
    beside = judge_drops(at((1, 0)), DROPS)
    assert skill(at((1, 0)), DROPS) < 0 < beside.skill
    wider = blur(at((1, 0)), 0.7).astype(np.float64)
    # But for the steps between the widths.
    assert judge_drops(wider, DROPS).skill == pytest.approx(beside.skill, abs=0.01)
    assert judge_drops(at((0, 0)), DROPS).skill == pytest.approx(skill(at((0, 0)), DROPS))


def test_why_it_cannot_tell() -> None:
    def reason(drops: Floats, halves: Floats | None = None, values: Floats | None = None) -> Any:
        verdict = judge_drops(np.ones((3, 3)) if values is None else values, drops, halves)
        assert (verdict.word == "cannot tell") == math.isnan(verdict.skill)
        return verdict.reason

    nothing, few = np.full((3, 3), 0.01), np.array([0.1, -2.0])
    assert reason(nothing, few) == reason(nothing) == "unmoved"
    assert reason(nothing, np.array([0.0, 4.0])) == "several places"
    # A loss of 0.9 is less than a quarter of a gain of 4.
    assert reason(np.minimum(-DROPS, 0.9), few) == "absence"
    assert reason(-DROPS) is None
    assert reason(np.full((3, 3), 2.0)) == "alike"
    assert reason(DROPS, values=-at((0, 0))) == "no evidence"
    assert reason(np.where(at((1, 1)), np.nan, DROPS)) == "not numbers"


def test_what_is_said() -> None:
    cam = cam_of(at((0, 0)))
    verdict = judge_drops(cam.values, DROPS)
    assert verdict_sentence(verdict, cam) == (
        "Where the map is bright, covering the photo costs “cat” clearly more than elsewhere: "
        "100 % of what the best map would find."
    )
    assert verdict_numbers(verdict) == (
        "Mean loss of log-odds where a part is covered: 4.00 weighed by the map, 0.56 over all "
        "parts, 3.33 weighed by the losses themselves."
    )
    wrong = cam_of(at((2, 2)), against="dog")
    said = verdict_sentence(judge_drops(wrong.values, DROPS), wrong)
    assert said.startswith("Where the map is bright, covering the photo costs “cat” against “dog”")
    assert "less than elsewhere" in said
    blind = judge_drops(cam.values, np.zeros((3, 3)))
    assert verdict_sentence(blind, cam).startswith("The score of “cat” hardly changes")
    assert not verdict_numbers(blind)


def log_odds_of(scores: Floats, each: bool = False, units: int = 3) -> Floats:
    """The log-odds from logits, of a network as far as they depend on it."""
    values = PassValues(np.ones((1, units)), scores[:, -units:])
    subject: Any = SimpleNamespace(values=values, judges_each=each)
    return log_odds(subject, scores)


def test_log_odds_by_hand() -> None:
    # exp of these logits are 1, 2 and 5.
    logits = np.log(np.array([[1.0, 2.0, 5.0]]))
    np.testing.assert_allclose(log_odds_of(logits), [np.log([1 / 7, 2 / 6, 5 / 3])])
    # What all logits gain alike does not count.
    np.testing.assert_allclose(log_odds_of(logits + 9), [np.log([1 / 7, 2 / 6, 5 / 3])])
    np.testing.assert_allclose(log_odds_of(logits, each=True), logits)
    sides = np.array([[-3.0, 3.0]])
    np.testing.assert_allclose(log_odds_of(sides, each=True, units=1), sides)
    # Where 1 less the likeliest class's share is 0 in any float.
    sure = log_odds_of(np.array([[900.0, 0.0, 0.0]]))
    np.testing.assert_allclose(sure, [[900 - np.log(2), -900, -900]])


def test_log_odds_of_a_network_without_logits() -> None:
    shares = np.array([[0.2, 0.8]])
    subject: Any = SimpleNamespace(values=PassValues(shares), judges_each=False)
    np.testing.assert_allclose(log_odds(subject, shares), [np.log([1 / 4, 4])])


def test_losses_by_hand() -> None:
    labels = ("cat", "dog", "fox")
    photo, covered = np.log([[1.0, 2.0, 5.0]]), np.log([[1.0, 1.0, 2.0]])
    for each in (False, True):
        prediction = Prediction(labels, np.ones(3) / 3, photo[0], exclusive=not each)
        runs = np.stack([log_odds_of(photo, each), log_odds_of(covered, each)], axis=1)
        alone, against = losses(runs, prediction, 2), losses(runs, prediction, 2, 1)
        np.testing.assert_allclose(alone, [np.log(5 / 2 if each else (5 / 3) / (2 / 2))])
        # The difference of both logits, whether classes exclude each other or not.
        np.testing.assert_allclose(against, [np.log((5 / 2) / (2 / 1))])
    with pytest.raises(ModelError):
        losses(runs[..., :2], prediction, 0)
    with pytest.raises(ModelError):
        cell_drops(np.zeros(65))


@pytest.mark.parametrize("parts", [[range(64)], [range(5), range(5, 64)]])
def test_the_loss_of_a_cell_is_the_mean_over_four_squares(parts: list[range]) -> None:
    # A logit that adds up the pixels: 4 in the cell of the corner, and 4 in one farther inside.
    photo = np.zeros((14, 14, 1))
    photo[:2, :2] = photo[6:8, 8:10] = 1

    def sides(inputs: Floats) -> Floats:
        logit = inputs.sum((1, 2))
        return np.hstack([-logit, logit])

    subject: Any = SimpleNamespace(
        inputs=photo,
        blurred=np.zeros_like(photo),
        values=PassValues(np.ones((1, 1)), np.ones((1, 1))),
        base_scores=sides(photo[None]),
        all_scores=sides,
    )
    assert SQUARES.count(subject, None) == 64
    runs = np.sum([SQUARES.part(subject, part, 64) for part in parts], axis=0)
    prediction = Prediction(("no", "yes"), np.array([0.0, 1.0]), np.array([-8.0, 8.0]))
    # Two of the four squares on a neighbour are on the cell, too, and one of those on a diagonal.
    around = np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])
    expected = np.zeros((7, 7))
    expected[:2, :2] = around[1:, 1:]
    expected[2:5, 3:6] = around
    for against in (None, 0):
        found = cell_drops(losses(runs, prediction, 1, against))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_copies_are_shifted_by_half_a_cell() -> None:
    photo = np.arange(14 * 28, dtype=float).reshape(14, 28, 1)
    copies = shifted(photo, range(16))
    # Up and left by half a cell, which is one row and two columns.
    np.testing.assert_array_equal(copies[0][:13, :26], photo[1:, 2:])
    np.testing.assert_array_equal(copies[0][13], copies[0][12])
    np.testing.assert_array_equal(copies[8:], copies[:8, :, ::-1])


def test_how_steady_a_prediction_is() -> None:
    both = np.array([True, True])
    found = Consistency("cat", np.array([0.9995, 0.92]), both, np.array([0.2, 0.2]), ~both)
    assert consistency_sentence(found) == (
        "“cat” comes first in all 2 slightly shifted copies of the photo (92.0 % to > 99.9 %), and "
        "in none of 2 that are mirrored, too (20.0 %)."
    )
    cam = cam_of(at((0, 0)))
    maps = replace(found, shifted_maps=np.array([1.0, 0.9]), mirrored_maps=np.array([1.0, 0.5]))
    assert consistency_sentence(maps, cam).endswith(
        " The map stays in place: put back, the maps of the copies correlate with it by r = 0.85 "
        "on average, 0.95 shifted and 0.75 mirrored."
    )
    worse = replace(maps, mirrored_maps=np.array([-0.9, 0.4]))
    assert "The map does not stay the same" in consistency_sentence(worse, cam)
    assert "0.95 shifted and −0.25 mirrored." in consistency_sentence(worse, cam)
    many = consistency_sentence(found, replace(cam, method="rise"))
    assert "was not asked: a map by RISE takes many runs" in many


def test_the_maps_of_copies_are_put_back_into_place(monkeypatch: pytest.MonkeyPatch) -> None:
    # A network whose map is the photo itself, so that each copy's is the map, shifted and mirrored.
    photo = np.random.default_rng(0).random((14, 28, 1))
    monkeypatch.setattr(map_changes, "_maps", lambda subject, network, inputs: inputs[..., 0])
    subject: Any = SimpleNamespace(inputs=photo, network=None, shown=photo[..., 0])
    whole = COPIED_MAPS.part(subject, range(16), 16)
    np.testing.assert_allclose(whole, np.ones((1, 16)), atol=1e-6)
    parts = [COPIED_MAPS.part(subject, part, 16) for part in (range(5), range(5, 16))]
    np.testing.assert_array_equal(sum(parts), whole)
    # One that looks at a place of the photo's frame, whatever is there, does not move with it.
    still = np.zeros((14, 28))
    still[3:6, 5:9] = 1
    monkeypatch.setattr(map_changes, "_maps", lambda *about: np.stack([still] * len(about[2])))
    subject.shown = still
    (found,) = COPIED_MAPS.part(subject, range(16), 16)
    # Up and left by one row and two columns: 2 × 2 of 3 × 4 cells are still covered, of 13 × 26.
    cells = 13 * 26
    expected = (4 / cells - (12 / cells) ** 2) / (12 / cells - (12 / cells) ** 2)
    assert found[0] == pytest.approx(expected)
    assert found[8:].max() < 0


# --- Runs that all classes share ------------------------------------------------------------


def alone(network: Any, photo: Any, cam: ClassActivationMap) -> Any:
    """The verdict on a map from runs for its class alone, each worked out by itself."""
    inputs = network_input(photo, network.card.preprocessing)
    about = series_runs.subject(network, inputs, ())
    labels, side = network.card.labels, min(7, *inputs.shape[1:3])
    this = labels.index(cam.target)
    other = None if cam.against is None else labels.index(cam.against)

    def ahead(pictures: Floats) -> Floats:
        """How far the class is ahead of the other one, or of all others, in each picture."""
        found = about.predictions(pictures)
        if found[0].logits is None:
            logs = np.log([one.probabilities for one in found])
            rest = np.log([1 - one.probabilities for one in found])
        else:
            logs = np.array([one.logits for one in found])
            rest = np.zeros_like(logs)
        if other is not None:
            # The logits of a single unit's sides are twice as far apart as their log-odds.
            return (logs[:, this] - logs[:, other]) / (2 if single else 1)
        if found[0].logits is None or single or not found[0].exclusive:
            return logs[:, this] - rest[:, this]
        rivals = np.delete(logs, this, axis=1)
        return logs[:, this] - np.log(np.exp(rivals).sum(axis=1))

    single = about.values.output.shape[-1] == 1

    def falls(where: Any) -> Floats:
        sizes = [np.diff(edges(length, side)) for length in inputs.shape[1:3]]
        masks = [one.repeat(sizes[0], axis=0).repeat(sizes[1], axis=1) for one in where]
        covered = [np.where(mask[..., None], about.blurred, inputs[0]) for mask in masks]
        return ahead(inputs)[0] - ahead(np.stack(covered))

    drops = np.zeros((side, side))
    for square, fall in zip(squares(side), falls(squares(side)), strict=True):
        drops += square * fall / 4
    halves = []
    for number in range(40):
        cells = np.random.default_rng([side, number]).permutation(side * side)
        halves.append(np.isin(np.arange(side * side), cells[: side * side // 2]))
    of_halves = falls(np.reshape(halves, (-1, side, side))) if drops.max() < 0.5 else None
    return judge_drops(cam.values, drops, of_halves)


@pytest.mark.parametrize("name", ["flat", "many_sigmoids", "one_sigmoid", "averaged_probabilities"])
def test_shared_runs_judge_each_class_as_runs_for_it_alone(
    name: str, tiny: Callable[[str], Any], photo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tiny(name)
    labels = network.card.labels
    maps = [
        ClassActivationMap(np.eye(5) - 0.1, "cam", "a", one, 1.0, None, against=against)
        for one in labels
        for against in (None, next(label for label in labels if label != one))
    ]
    series: list[Any] = []
    run = series_runs.run
    monkeypatch.setattr(series_runs, "run", lambda *of: (series.append(of[0]), run(*of))[1])
    found = judge_all(network, photo, maps)
    # Whatever is asked about: once each, or the second not at all.
    assert series in ([SQUARES, RANDOM_HALVES], [SQUARES])
    for cam, verdict in zip(maps, found, strict=True):
        expected = alone(network, photo, cam)
        np.testing.assert_allclose(verdict.drops, expected.drops, atol=1e-4)
        np.testing.assert_allclose(verdict.skill, expected.skill, rtol=1e-3, equal_nan=True)
        assert (verdict.word, verdict.reason) == (expected.word, expected.reason)
    assert judge_all(network, photo, []) == []


# --- Planted networks -----------------------------------------------------------------------


def first(kind: str) -> PlantedCase:
    return next(islice(planted_cases([kind]), 1))


def verdict_of(case: PlantedCase, **choices: Any) -> Any:
    cam = cnnviz.class_activation_map(case.network, case.photo, case.target, **choices)
    return cnnviz.judge(case.network, case.photo, cam)


def test_a_true_map_holds_and_false_ones_do_not() -> None:
    case = first("two classes")
    cam = cnnviz.class_activation_map(case.network, case.photo, "A", method="cam")
    # Both patterns were planted with a weight of 4: the other class's is against this one.
    found = cnnviz.judge(case.network, case.photo, cam)
    assert found.drops.max() == pytest.approx(4, abs=0.8)
    assert found.drops.min() == pytest.approx(-4, abs=0.8)
    assert found.word == "holds"
    wrong = replace(cam, values=cnnviz.class_activation_map(case.network, case.photo, "B").values)
    assert cnnviz.judge(case.network, case.photo, wrong).word == "says nothing"
    assert verdict_of(case, method="random").word == "says nothing"


@pytest.mark.parametrize(
    ("kind", "method", "reason"),
    [
        ("either of two", "random", "several places"),
        ("nothing there", "random", "absence"),
        ("a gap", "hires-cam", "absence"),
    ],
)
def test_it_abstains_where_covering_is_blind(kind: str, method: str, reason: str) -> None:
    verdict = verdict_of(first(kind), method=method)
    assert (verdict.word, verdict.reason) == ("cannot tell", reason)


def test_a_distractor_that_raises_all_logits_does_not_count() -> None:
    case = first("raises all logits")
    contrast = verdict_of(case, method="contrastive-cam")
    plain = verdict_of(case, method="cam")
    assert contrast.word == "holds"
    assert plain.skill < contrast.skill
    against = verdict_of(case, method="cam", against="B")
    np.testing.assert_allclose(against.drops, contrast.drops, atol=1.5)


def test_consistency_of_a_network(tiny: Callable[[str], Any], photo: Any) -> None:
    network = tiny("two_classes")
    found = cnnviz.consistency(network, photo, "cat")
    subject = series_runs.subject(
        network, np.zeros((1, *network.model.input_shape[1:]), np.float32), ()
    )
    total, count = series_runs.run(SHIFTED_COPIES, subject)
    # An input that is the same everywhere has equal copies.
    assert (count, total.shape) == (16, (1, 16, 2))
    assert np.ptp(total, axis=1).max() < 1e-6
    cam = cnnviz.class_activation_map(network, photo, "cat")
    assert found.map_likeness is None
    many = cnnviz.map_consistency(network, photo, replace(cam, method="rise"))
    assert many.map_likeness is None
    with_maps = cnnviz.map_consistency(network, photo, cam)
    np.testing.assert_array_equal(with_maps.shifted, found.shifted)
    # The first copy by hand: its map, resized, shifted back down and to the right.
    steps = network.card.preprocessing
    inputs = network_input(photo, steps)[0]
    (answer,) = explain_inputs(network, shifted(inputs, range(1)), ["cat"])
    size = inputs.shape[:2]
    down, right = (max(1, round(side / 14)) for side in size)
    before = resize(cam.values, *size)[down:, right:]
    after = resize(answer.maps[0].values, *size)[: size[0] - down, : size[1] - right]
    expected = np.corrcoef(before.ravel(), after.ravel())[0, 1]
    assert with_maps.shifted_maps is not None
    assert with_maps.shifted_maps[0] == pytest.approx(expected, abs=1e-4)
    other = cnnviz.consistency(network, photo, "dog")
    np.testing.assert_allclose(found.shifted + other.shifted, 1, atol=1e-6)
    np.testing.assert_array_equal(found.mirrored_first, ~other.mirrored_first)
