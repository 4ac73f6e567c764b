"""Descriptions: the sentence agrees with the map, and an empty map has its reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnnviz.attribution.descriptions import (
    compared,
    damage,
    describe,
    mirrored,
    nothing_to_see,
    sum_of_cells,
    title,
    where,
)
from cnnviz.attribution.methods import METHODS
from cnnviz.cards import Preprocessing
from cnnviz.geometry import place_on_photo
from cnnviz.results import ClassActivationMap, Explanation, Filters, Prediction, WeightStatistics

POSITIONS = [
    ["in the upper left", "at the top", "in the upper right"],
    ["on the left", "in the middle", "on the right"],
    ["in the lower left", "at the bottom", "in the lower right"],
]
SQUARE = Preprocessing(height=8, width=8, fit="stretch")


def photo(height: int = 60, width: int = 60) -> tuple[int, int]:
    """A photo's size."""
    return height, width


def cam(
    values: object, *, method: str = "cam", target: str = "cat", **fields: Any
) -> ClassActivationMap:
    array = np.asarray(values, np.float32)
    of_method = {"score": 1.0, "bias": None, "aggregate": METHODS[method].aggregate}
    return ClassActivationMap(array, method, "conv", target, **of_method | fields)


def peak(rows: int, columns: int, row: int, column: int) -> ClassActivationMap:
    """A map of -1 with one peak."""
    values = np.full((rows, columns), -1.0)
    values[row, column] = 2.0
    return cam(values)


def explained(probabilities: list[float], labels: tuple[str, ...]) -> Explanation:
    prediction = Prediction(labels, np.array(probabilities), None)
    return Explanation(prediction, (cam([[0.0, 0.0], [0.0, 5.0]], target=prediction.label),))


# --- Where ------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("column", range(3))
def test_each_third_of_the_photo_has_its_name(row: int, column: int) -> None:
    text = where(peak(3, 3, row, column), photo(), SQUARE)
    assert f"“cat” is strongest {POSITIONS[row][column]}" in text


def test_a_single_pixel_of_thousands_is_no_place() -> None:
    """One is largest at the upper left, but the lower right holds more."""
    values = np.zeros((70, 70))
    values[2, 2], values[60:70, 60:70] = 5, 1
    assert "“cat” is strongest in the lower right" in where(cam(values), photo(), SQUARE)
    text = where(cam(-values), photo(), SQUARE)
    assert "mostly against it, most of all in the lower right" in text
    # Of what only shows where the score reacts, both signs count.
    text = where(cam(-values, method="smoothgrad"), photo(), SQUARE)
    assert "“cat” changes most with the light in the lower right" in text
    assert "no evidence" in text


def test_nothing_to_see_of_a_photo_that_was_changed() -> None:
    reason = nothing_to_see(cam(np.zeros((3, 3)), method="rise"))
    assert "no change of the photo that was tried" in reason


@pytest.mark.parametrize(
    ("cells", "index", "third"),
    # The centre of cell i of n is at (i + 1/2) / n.
    [(7, 1, 0), (7, 2, 1), (7, 4, 1), (7, 5, 2), (2, 0, 0), (2, 1, 2), (4, 1, 1), (1, 0, 1)],
)
def test_the_centre_of_the_strongest_cell_counts(cells: int, index: int, third: int) -> None:
    assert POSITIONS[third][1] in where(peak(cells, 1, index, 0), photo(), SQUARE)
    assert POSITIONS[1][third] in where(peak(1, cells, 0, index), photo(), SQUARE)


def test_a_crop_is_undone() -> None:
    # Of a photo three times as wide as high the network sees the middle third alone.
    crop = Preprocessing(height=8, width=8, fit="crop")
    for column in range(3):
        assert "in the middle of" in where(peak(3, 3, 1, column), photo(60, 180), crop)
    # With 0.9 of a square the outer cells' centres are still in the outer thirds.
    inner = Preprocessing(height=8, width=8, fit="crop", crop_fraction=0.9)
    assert POSITIONS[0][2] in where(peak(3, 3, 0, 2), photo(), inner)


def test_black_borders_are_undone() -> None:
    # The wide photo is in rows 2 to 5 of 8: the map's rows 0 and 3 are on its borders.
    pad = Preprocessing(height=8, width=8, fit="pad")
    for row, third in ((0, 0), (1, 0), (2, 2), (3, 2)):
        assert POSITIONS[third][1] in where(peak(4, 1, row, 0), photo(60, 120), pad)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(60, 60), (50, 90), (90, 50)])
def test_the_position_is_where_the_overlay_has_its_peak(fit: str, size: tuple[int, int]) -> None:
    preprocessing = Preprocessing(height=8, width=8, fit=fit)
    for row in range(1, 6):
        for column in range(1, 6):
            shown = peak(7, 7, row, column)
            placed = place_on_photo(shown.values, *size, preprocessing)
            top, left = np.unravel_index(np.nanargmax(placed), size)
            position = POSITIONS[int(top / size[0] * 3)][int(left / size[1] * 3)]
            assert position in where(shown, photo(*size), preprocessing), (row, column)


def test_evidence_against_a_class_is_not_its_strongest_evidence() -> None:
    text = where(cam([[-9.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), photo(), SQUARE)
    assert POSITIONS[2][2] in text


# --- For and against --------------------------------------------------------------------------


def test_weak_evidence_beside_strong_evidence_against_is_not_called_the_strongest() -> None:
    values = np.zeros((3, 3))
    values[1, 1], values[0, 2] = -0.45, 0.003
    assert where(cam(values, target="0"), photo(), SQUARE) == (
        "The map of “0” speaks mostly against it. The evidence against it is strongest in the "
        "middle of the photo (−0.45); the evidence for it is at most +0.003, in the upper right: "
        "less than a fifth of that."
    )
    values[0, 2] = 0.09
    text = where(cam(values, target="0"), photo(), SQUARE)
    assert text == "The evidence for “0” is strongest in the upper right of the photo."


@pytest.mark.parametrize("highest", [-0.5, 0.0])
def test_a_map_without_positive_cells_has_evidence_against_alone(highest: float) -> None:
    text = where(cam([[-4.0, highest, highest]]), photo(), SQUARE)
    assert text == (
        "The photo holds no evidence for “cat”: no cell of the map is above zero. The evidence "
        "against it is strongest on the left of the photo (−4)."
    )


# --- The sum of the cells ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (
            cam([[1.0, 2.0]], score=1.75, bias=0.25),
            "Mean of the map 1.500 + bias 0.250 = 1.750, the network's logit for “cat”.",
        ),
        (
            cam([[1.0, 2.0]], score=1.75, bias=0.25, method="contrastive-cam"),
            "Mean of the map 1.500 + bias 0.250 = 1.750, the logit less the mean logit of the "
            "other classes.",
        ),
        (
            cam([[1.0, 2.0]], score=3.25, bias=0.25, method="hires-cam"),
            "Sum of the map 3.000 + bias 0.250 = 3.250, the network's logit for “cat”.",
        ),
        (
            cam([[1.0, 2.0]], score=3.5, method="hires-cam"),
            "Sum of the map 3.000; the score is 3.500, the network's logit for “cat”. Other "
            "layers come between this layer and the score, so each cell has what its place "
            "contributed to first order, and the sum need not be the score.",
        ),
        (
            cam([[1.0, 2.0]], score=3.5, method="grad-cam"),
            "The score is 3.500, the network's logit for “cat”; the cells of this map need not "
            "add up to it.",
        ),
    ],
    ids=lambda one: getattr(one, "method", ""),
)
def test_the_sum_of_the_cells_is_described(shown: ClassActivationMap, text: str) -> None:
    prediction = Prediction(("cat", "dog"), np.array([0.9, 0.1]), np.array([2.0, 1.0]))
    assert sum_of_cells(shown, prediction) == text


def test_a_score_that_is_no_logit_is_not_called_one() -> None:
    prediction = Prediction(("cat", "dog"), np.array([0.9, 0.1]), None)
    mean = cam([[1.0, 2.0]], score=1.5, bias=0.0)
    assert "the mean logit of all positions for “cat”" in sum_of_cells(mean, prediction)
    output = cam([[1.0, 2.0]], score=0.9, method="grad-cam", logit=False)
    assert "the network's output for “cat”" in sum_of_cells(output, prediction)


# --- Nothing to see ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "method", "reason"),
    [
        ([[0.0, 0.0]], "cam", "zero everywhere: the maps that it weighs are zero"),
        ([[0.0, 0.0]], "contrastive-cam", "zero everywhere: the maps that it weighs are zero"),
        ([[0.0, 0.0]], "grad-cam", "zero everywhere: the maps that it weighs are zero"),
        ([[3.0, 3.0]], "cam", "The evidence for “cat” is the same everywhere"),
        ([[-3.0, -3.0]], "grad-cam", "The evidence against “cat” is the same everywhere"),
        ([[3.0, 3.000001]], "cam", "is the same everywhere"),
        ([[np.nan, 1.0]], "cam", "values that are not numbers"),
        ([[np.inf, 1.0]], "cam", "values that are not numbers"),
        ([[-np.inf, 1.0]], "grad-cam", "values that are not numbers"),
    ],
)
def test_an_empty_map_has_its_reason(values: object, method: str, reason: str) -> None:
    shown = cam(values, method=method)
    assert reason in nothing_to_see(shown)
    assert where(shown, photo(), SQUARE) == nothing_to_see(shown)


@pytest.mark.parametrize(
    ("values", "fields", "reason"),
    [
        ([[0.0, 0.0]], {"gradient": 0.0}, "zero everywhere: no gradient reaches this layer"),
        ([[0.0, 0.0]], {"gradient": 0.5}, "zero everywhere: the maps that it weighs are zero"),
        ([[0.0, 0.0]], {"gradient": 0.0, "saturated": True}, "“cat” rounds to 1, and its gradient"),
        ([[0.0, 3e-9]], {"gradient": 1e-9, "saturated": True}, "“cat” rounds to 1, and its gradi"),
        ([[0.0, 0.0]], {"gradient": 0.0, "saturated": True, "score": 0.0}, "“cat” rounds to 0"),
        ([[np.nan, 0.0]], {"gradient": np.nan}, "values that are not numbers"),
    ],
)
def test_a_lost_gradient_is_the_reason(values: object, fields: Any, reason: str) -> None:
    assert reason in nothing_to_see(cam(values, method="grad-cam", **fields))


@pytest.mark.parametrize(
    "values",
    [[[0.0, 1e-6]], [[-5.0, 1e-6]], [[3.0, 3.1]], [[7.0]]],
    ids=["faint", "mostly against", "nearly even", "one cell"],
)
def test_a_map_with_evidence_needs_no_reason(values: object) -> None:
    assert nothing_to_see(cam(values)) == ""


EPS = 2.0**-23  # the distance from 1 to the next float32


@pytest.mark.parametrize(
    ("values", "fields", "lost"),
    [
        # A logit z becomes exp(z), which is 1 plus about z.
        ([[0.0, 0.9 * EPS]], {"score": 0.0, "bias": 0.0}, True),
        ([[0.0, EPS]], {"score": 0.0, "bias": 0.0}, False),
        ([[0.0, 1.1 * EPS]], {"score": 0.0, "bias": 0.0}, False),
        ([[-3e-11, 1e-11]], {"score": -1e-11, "bias": 0.0}, True),
        ([[-1e-11, -1e-11]], {"score": -1e-11, "bias": 0.0}, True),
        # Beside a large bias, or a large score, what would count otherwise is lost.
        ([[0.0, 900 * EPS]], {"score": 1000.0, "bias": 1000.0}, True),
        ([[0.0, 1100 * EPS]], {"score": 1000.0, "bias": 1000.0}, False),
        ([[0.0, 900 * EPS]], {"score": 0.0, "bias": -1000.0}, True),
        # Of Grad-CAM the sum of the cells counts, here of two.
        ([[0.0, 0.4 * EPS]], {"score": 0.0, "method": "grad-cam"}, True),
        ([[0.0, 0.6 * EPS]], {"score": 0.0, "method": "grad-cam"}, False),
        # A probability has no such 1: a small one has a small map.
        ([[0.0, 1e-12]], {"score": 1e-9, "method": "grad-cam", "logit": False}, False),
        ([[0.0, 1e-17]], {"score": 1e-9, "method": "grad-cam", "logit": False}, True),
    ],
)
def test_evidence_that_rounding_loses_is_not_given_a_place(
    values: object, fields: Any, lost: bool
) -> None:
    shown = cam(values, **fields)
    text = where(shown, photo(), SQUARE)
    assert ("too little to change the network's answer in float32" in text) is lost
    assert ("is strongest" in text) is not lost
    # The threshold is that of the arithmetic itself: half of it can be lost in a single sum.
    largest = np.float32(np.abs(shown.values).max() * (2 if shown.method == "grad-cam" else 1))
    terms = [shown.score, shown.bias or 0] + [1.0] * shown.logit
    if not lost:
        assert all(np.float32(term) + largest != np.float32(term) for term in terms)


def test_the_size_of_lost_evidence_is_in_the_sentence() -> None:
    text = nothing_to_see(cam([[-3e-11, 1e-11]], score=-1e-11, bias=0.0))
    assert text.startswith("No cell is evidence for or against “cat” by more than 3e-11: ")


# --- The prediction ---------------------------------------------------------------------------


def test_a_sure_network_names_one_class() -> None:
    text = describe(explained([0.0604, 0.9396], ("cat", "dog")), photo(), SQUARE)
    assert text == (
        "The network says “dog” (94.0 %). "
        "The evidence for “dog” is strongest in the lower right of the photo."
    )


def test_an_unsure_network_names_two() -> None:
    text = describe(explained([0.3, 0.45, 0.25], ("cat", "dog", "owl")), photo(), SQUARE)
    assert text.startswith(
        "The network is not sure: “dog” (45.0 %) is most probable, then “cat” (30.0 %). "
    )


@pytest.mark.parametrize(("best", "sure"), [(0.6, True), (0.599, False)])
def test_where_sure_begins(best: float, sure: bool) -> None:
    text = describe(explained([best, 1 - best], ("cat", "dog")), photo(), SQUARE)
    assert text.startswith("The network says") is sure
    assert text.startswith("The network is not sure") is not sure


def test_no_answer_is_rounded_up_to_a_certainty() -> None:
    assert "(> 99.9 %)" in describe(explained([0.99999, 0.00001], ("cat", "dog")), photo(), SQUARE)
    assert "100" not in describe(explained([1.0, 0.0], ("cat", "dog")), photo(), SQUARE)


def test_a_probability_that_rounds_to_1_is_called_saturated() -> None:
    text = describe(explained([1.0, 0.0], ("cat", "dog")), photo(), SQUARE)
    assert text.startswith("The network says “cat”, with a probability that rounds to 1: its last")
    near = describe(explained([0.9999, 0.0001], ("cat", "dog")), photo(), SQUARE)
    assert near.startswith("The network says “cat” (> 99.9 %).")


@pytest.mark.parametrize(
    ("probabilities", "text"),
    [
        ([0.9, 0.2, 0.7], "The network sees “cat” (90.0 %), “owl” (70.0 %). It judges"),
        (
            [0.1, 0.2, 0.3],
            "sees none of its classes; “owl” (30.0 %) is the most probable. It judges",
        ),
        ([1.0, 1.0, 1.0], "The network sees “cat” (> 99.9 %), “dog” (> 99.9 %), “owl” (> 99.9 %)"),
    ],
)
def test_classes_that_are_judged_by_themselves(probabilities: list[float], text: str) -> None:
    prediction = Prediction(("cat", "dog", "owl"), np.array(probabilities), None, exclusive=False)
    sentence = describe(Explanation(prediction, (cam([[0.0, 5.0]]),)), photo(), SQUARE)
    assert text in sentence
    assert "by itself, so the probabilities need not add up to 1." in sentence


def test_a_prediction_without_evidence_is_described_too() -> None:
    prediction = Prediction(("cat", "dog"), np.array([0.9, 0.1]), None)
    text = describe(Explanation(prediction, (cam([[-1.0, -3.0]]),)), photo(), SQUARE)
    assert text.startswith("The network says “cat” (90.0 %). The photo holds no evidence for “cat”")


# --- Damaged weights --------------------------------------------------------------------------


def filters_of(kernels: np.ndarray, biases: np.ndarray | None = None) -> Filters:
    none = WeightStatistics(*[np.zeros(())] * 5)
    return Filters("conv", "Conv2D", kernels, biases, None, none, none)


def test_weights_that_are_no_numbers_are_counted() -> None:
    kernels = np.zeros((3, 3, 2, 4))
    assert damage(filters_of(kernels)) == ""
    assert damage(filters_of(kernels, np.zeros(4))) == ""
    kernels[0, 0, 0, 0] = np.nan
    text = damage(filters_of(kernels))
    assert text.startswith("1 weight of the layer “conv” is not a number")
    text = damage(filters_of(kernels, np.array([0, np.inf, -np.inf, 0])))
    assert text.startswith("3 weights of the layer “conv” are not a number")


# --- Two classes, and none --------------------------------------------------------------------

PREDICTION = Prediction(("cat", "dog"), np.array([0.9, 0.1]), np.array([2.0, -1.0]))


def test_a_class_that_is_set_against_another_is_named_with_it() -> None:
    shown = cam([[0.0, 5.0]], method="grad-cam", against="dog", score=3.0)
    assert title(shown) == "Grad-CAM for “cat” against “dog”"
    assert where(shown, photo(), SQUARE) == (
        "The evidence for “cat” against “dog” is strongest on the right of the photo."
    )
    assert "The score is 3.000, the network's logit for “cat” less that for “dog”;" in sum_of_cells(
        shown, PREDICTION
    )
    finer = cam([[0.0, 5.0]], method="finer-cam", against="dog", score=2.6)
    assert "is 2.600, the network's logit for “cat” less 0.6 × that for “dog”;" in sum_of_cells(
        finer, PREDICTION
    )
    exact = cam([[1.0, 2.0]], score=3.0, bias=1.5, against="dog")
    assert sum_of_cells(exact, PREDICTION).endswith("logit for “cat” less that for “dog”.")
    against = where(cam([[-1.0, -3.0]], against="dog"), photo(), SQUARE)
    assert against.startswith("The photo holds no evidence for “cat” against “dog”:")


def test_a_map_that_is_the_same_for_every_class_is_no_evidence() -> None:
    shown = cam([[0.0, 5.0]], method="eigen-cam", of_class=False, score=2.0)
    assert title(shown) == "Eigen-CAM, whatever the class"
    assert where(shown, photo(), SQUARE) == (
        "The map is largest on the right of the photo. It is the same for every class, so it is no "
        "evidence for “cat”."
    )
    assert sum_of_cells(shown, PREDICTION) == (
        "The score is 2.000, the network's logit for “cat”; this map is the same for every class, "
        "so its cells have no part in it."
    )
    assert compared([shown, shown]) == "Eigen-CAM gives every class the same map."
    # How large its cells are beside a score means nothing.
    small = cam([[0.0, 1e-9]], method="random", of_class=False, score=9.0)
    assert nothing_to_see(small) == ""
    even = cam([[2.0, 2.0]], method="eigen-cam", of_class=False)
    assert nothing_to_see(even).startswith("The map is the same everywhere")


# --- Two maps side by side --------------------------------------------------------------------


def test_maps_that_mirror_each_other_are_explained() -> None:
    text = compared([cam([[1.0, -2.0]], target="cat"), cam([[-1.0, 2.0]], target="dog")])
    assert "evidence for “cat” is exactly the evidence against “dog”" in text
    assert mirrored([cam([[1.0, -2.0]]), cam([[-1.0, 2.1]])]) == ""
    assert mirrored([cam([[0.5]])]) == ""
