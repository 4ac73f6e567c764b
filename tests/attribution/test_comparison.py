"""Comparisons: each cell is the library's own map, with scores and scales worked out by hand."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnviz
from cnnviz.attribution import compared
from cnnviz.cards import Preprocessing
from cnnviz.colours import table
from cnnviz.errors import TargetError
from cnnviz.exports import comparison_json
from cnnviz.figures.comparison import comparison_picture, scale_ends, score_lines
from cnnviz.results import Box, ClassActivationMap, ComparedAnswer, Comparison, Prediction

Tiny = Callable[[str], Any]
STRETCH = Preprocessing(height=4, width=4, scaling="unit")


def an_answer(photo: str = "photo", fit: Any = "stretch") -> ComparedAnswer:
    return ComparedAnswer(
        network="Cats",
        fingerprint="ab",
        photo=photo,
        photo_sha256=photo,
        size=(20, 40),
        preprocessing=STRETCH.model_copy(update={"fit": fit}),
        prediction=Prediction(("cat", "dog"), np.array([0.75, 0.25]), np.array([1.0, -0.1])),
    )


def a_map(values: Any, method: str = "cam", target: str = "cat") -> ClassActivationMap:
    aggregate: Any = "mean" if method == "cam" else "sum"
    values = np.asarray(values, np.float32)
    of_class = method != "random"
    return ClassActivationMap(
        values, method, "conv", target, 1.0, None, aggregate=aggregate, of_class=of_class
    )


def two_by_two() -> Comparison:
    """Two methods and two classes for one photo."""
    maps = [
        [a_map([[1, 2], [3, 4]]), a_map([[-8, 2], [3, 4]], target="dog")],
        [a_map([[4, 3], [2, 1]], "grad-cam"), a_map(np.zeros((2, 2)), "grad-cam", "dog")],
    ]
    return compared.build([an_answer()], ["cam", "grad-cam"], [maps])


# --- Networks -----------------------------------------------------------------------------------


def test_each_cell_is_the_map_of_the_api(tiny: Tiny, photo: np.ndarray) -> None:
    """The second network has the classes in another order: they are matched by name."""
    flat = tiny("flat")
    turned = flat.card.model_copy(update={"labels": flat.card.labels[::-1], "title": "Turned"})
    networks = [flat, dataclasses.replace(flat, card=turned)]
    photos = {"a": photo, "b": photo[::-1]}
    keys = ["cam", "grad-cam", "occlusion", "random"]
    found = cnnviz.compare(
        networks, photos, classes=["dog", 0], methods=keys, layer="conv1", against="owl"
    )
    assert found.classes == ("dog", "cat")
    assert [(one.network, one.photo) for one in found.answers] == [
        (network.card.title, name) for network in networks for name in photos
    ]
    cells = iter(found.cells)
    for network in networks:
        for of_photo in photos.values():
            for target in ("dog", "cat"):
                for key in keys:
                    cam = next(cells).cam
                    expected = cnnviz.class_activation_map(
                        network,
                        of_photo,
                        target,
                        method=key,
                        layer="conv1" if key in {"grad-cam", "random"} else None,
                        against=None if key == "random" else "owl",
                    )
                    np.testing.assert_array_equal(cam.values, expected.values)
                    assert (cam.target, cam.method, cam.layer) == (target, key, expected.layer)
    prediction = cnnviz.predict(networks[1], photos["b"])
    np.testing.assert_allclose(
        found.answers[-1].prediction.probabilities, prediction.probabilities, atol=1e-6
    )


def test_each_map_is_judged_as_by_itself(tiny: Tiny, photo: np.ndarray) -> None:
    """Maps of a photo share runs, but for those set against another class, each by its own."""
    flat, keys = tiny("flat"), ["cam", "finer-cam", "random"]
    photos = {"a": photo, "b": photo[::-1]}
    found = cnnviz.compare(flat, photos, classes=["dog", "cat"], methods=keys, judge=True)
    assert len({cell.cam.against for cell in found.cells}) > 1
    for cell in found.cells:
        expected = cnnviz.judge(flat, photos[found.answers[cell.answer].photo], cell.cam)
        assert cell.verdict is not None
        assert (cell.verdict.word, cell.verdict.reason) == (expected.word, expected.reason)
        assert cell.verdict.skill == pytest.approx(expected.skill, abs=1e-4, nan_ok=True)
        np.testing.assert_allclose(cell.verdict.drops, expected.drops, atol=1e-5)
        assert score_lines(cell)[0] == f"Verdict: {expected.word}"
    (first, *_) = json.loads(comparison_json(found))["cells"]
    assert first["verdict"]["word"] == found.cells[0].verdict.word
    assert cnnviz.compare(flat, photo, methods=["cam"]).cells[0].verdict is None


def test_what_is_not_chosen_is_likely_and_varied(tiny: Tiny, photo: np.ndarray) -> None:
    found = cnnviz.compare(tiny("flat"), photo)
    best = cnnviz.predict(tiny("flat"), photo).top(2)
    assert list(found.classes) == [score.label for score in best]
    assert [one.key for one in found.methods] == ["cam", "grad-cam", "eigen-cam", "random"]
    # At averaged maps Grad-CAM is CAM in other units: the same order of the cells.
    for row in found.rows:
        alike = row[1].scores[compared.LIKE_METHOD]
        assert alike == pytest.approx(1)
    # CAM does not fit a network that flattens its maps: what is compared fits both.
    both = cnnviz.compare([tiny("flat"), tiny("dense_after_flatten")], photo)
    assert [one.key for one in both.methods] == ["grad-cam", "grad-cam++", "eigen-cam", "random"]


def test_what_does_not_fit_is_said_before_a_network_is_run(tiny: Tiny, photo: np.ndarray) -> None:
    flat = tiny("flat")
    other = dataclasses.replace(
        flat, card=flat.card.model_copy(update={"labels": ["x", "y", "z"], "title": "Letters"})
    )
    with pytest.raises(TargetError, match="no class in common.*“Letters” has x, y, z"):
        cnnviz.compare([flat, other], photo)
    with pytest.raises(TargetError, match="no class 'horse'"):
        cnnviz.compare(flat, photo, classes=["horse"])
    with pytest.raises(TargetError, match="no method 'best'"):
        cnnviz.compare(flat, photo, methods=["best"])
    with pytest.raises(TargetError, match="averages its last maps"):
        cnnviz.compare([flat, tiny("dense_after_flatten")], photo, methods=["cam"])
    with pytest.raises(ValueError, match="at least one network"):
        cnnviz.compare([], photo)


# --- Scores and scales, by hand -----------------------------------------------------------------


def test_scores_of_a_cell_by_hand() -> None:
    (cat, reversed_cat), (dog, empty) = two_by_two().rows
    # Below and right of the middle: cells of 10 × 20 pixels, the largest at (1, 1).
    assert dict(cat.scores) == {"largest": 4.0, "where": "in the lower right"}
    assert cat.box == Box(0, 0, 40, 20)
    assert dict(reversed_cat.scores) == {
        "largest": 4.0,
        "where": "in the upper left",
        "rank correlation with the first method": -1.0,
    }
    # The largest evidence is for it, and twice as much is against it.
    assert dog.scores["largest"] == 4.0
    assert (empty.scores, empty.box) == ({}, None)
    assert "zero everywhere" in empty.note
    assert score_lines(empty) == ["This map says nothing."]
    assert score_lines(reversed_cat) == [
        "Largest +4, in the upper left",
        "Rank correlation: −1.00",
    ]


def test_each_method_has_one_scale() -> None:
    found = two_by_two()
    assert [[cell.limit for cell in row] for row in found.rows] == [[8, 4], [8, 4]]
    assert (found.limits(0), found.limits(1)) == ((8,), (4,))
    assert scale_ends(found.limits(0)) == ("−8", "+8")


def test_where_cells_add_up_only_maps_of_as_many_share_a_scale() -> None:
    """Four cells of 1 and one of 4 give the same score: their colours are the same, too."""
    few, many = np.full((1, 2), 4.0), np.full((2, 2), 2.0)
    few[0, 0] = many[0, 0] = 0
    maps = [[[a_map(values, method)] for method in ("cam", "grad-cam")] for values in (few, many)]
    answers = [an_answer("one"), an_answer("two")]
    found = compared.build(answers, ["cam", "grad-cam"], maps)
    assert [[cell.limit for cell in row] for row in found.rows] == [[4, 4], [4, 2]]
    assert scale_ends(found.limits(1)) == ("−largest", "+largest")
    assert score_lines(found.rows[1][1], several=True)[1] == "Colours to ±2"


def test_maps_of_another_crop_are_compared_where_both_networks_looked() -> None:
    """The middle half of the photo, and all of it: the same ramp from left to right."""
    whole = a_map([[1, 2, 3, 4]] * 2)
    middle = a_map([[2, 3]] * 2)
    answers = [an_answer(), an_answer(fit="crop")]
    found = compared.build(answers, ["cam"], [[[whole]], [[middle]]])
    ((first,), (second,)) = found.rows
    assert compared.LIKE_NETWORK not in first.scores
    assert second.scores[compared.LIKE_NETWORK] > 0.95
    turned = compared.build(answers, ["cam"], [[[whole]], [[a_map([[3, 2]] * 2)]]])
    assert turned.rows[1][0].scores[compared.LIKE_NETWORK] < -0.95
    # Other photos are not compared with one another.
    apart = compared.build([an_answer("a"), an_answer("b")], ["cam"], [[[whole]], [[whole]]])
    assert compared.LIKE_NETWORK not in apart.rows[1][0].scores


def test_equal_values_share_their_rank() -> None:
    # Ranks 0.5, 0.5, 2 and 0, 1, 2: deviations ∓.5, ∓.5, 1 and −1, 0, 1.
    found = compared.rank_correlation(np.array([5.0, 5.0, 9.0]), np.array([1.0, 2.0, 3.0]))
    assert found == pytest.approx(1.5 / np.sqrt(1.5 * 2))
    assert compared.rank_correlation(np.ones(3), np.arange(3.0)) is None
    nan = np.array([1.0, np.nan, 2.0, 0.0])
    assert compared.rank_correlation(nan, np.array([2.0, 0.0, 3.0, 1.0])) == pytest.approx(1)


def test_classes_are_matched_by_name_in_the_order_of_the_first() -> None:
    networks = [("a", ["crane", "cat", "dog", "crane"]), ("b", ["dog", "crane", "cow"])]
    assert compared.shared(networks) == ["crane", "dog"]
    prediction = Prediction(("a", "b", "a", "c"), np.array([0.4, 0.1, 0.3, 0.2]), None)
    assert compared.likeliest(prediction, ["a", "b", "c"]) == ["a", "c"]


# --- Files --------------------------------------------------------------------------------------


def test_the_json_has_every_value_again() -> None:
    found = two_by_two()
    text = comparison_json(found)
    read = json.loads(text)
    for cell, one in zip(found.cells, read["cells"], strict=True):
        values = np.array(one["values"], np.float32)
        np.testing.assert_array_equal(values, cell.cam.values)
        assert (one["target"], one["method"], one["answer"]) == (
            cell.cam.target,
            cell.cam.method,
            0,
        )
        assert (one["limit"], one["scores"]) == (cell.limit, dict(cell.scores))
    assert read["cells"][0]["box"] == {"left": 0, "top": 0, "right": 40, "bottom": 20}
    (answer,) = read["answers"]
    assert answer["network"] == {"title": "Cats", "sha256": "ab"}
    assert (answer["labels"], answer["probabilities"]) == (["cat", "dog"], [0.75, 0.25])
    assert answer["preprocessing"]["fit"] == "stretch"
    assert read["settings"]["methods"] == ["cam", "grad-cam"]
    assert read["versions"]["cnnviz"] == cnnviz.__version__
    assert read["versions"]["numpy"] == np.__version__


def test_a_value_that_is_no_number_is_null_in_the_json() -> None:
    found = compared.build([an_answer()], ["cam"], [[[a_map([[np.nan, 1 / 3]])]]])
    (cell,) = json.loads(comparison_json(found))["cells"]
    assert cell["values"] == [[None, float(np.float32(1 / 3))]]
    assert "not numbers" in cell["note"]


def test_the_picture_has_every_map_in_its_colours() -> None:
    photo = np.full((20, 40, 3), 120, np.uint8)
    found = two_by_two()
    drawn = comparison_picture(found, [photo])
    # Two columns of 280 pixels (40 enlarged by 7) beside the headings.
    assert drawn.shape[1] == 900
    left, right = 24 + 220, 24 + 220 + 280 + 20
    scale = drawn[24 + 20 + 9, left : left + 200].astype(int)
    assert np.abs(scale - table("blue-orange")[255]).sum(axis=1).min() == 0
    top = 24 + 3 * 20 + 20
    expected = cnnviz.overlay(photo.repeat(7, 0).repeat(7, 1), found.cells[0].cam, STRETCH, limit=8)
    np.testing.assert_array_equal(drawn[top : top + 140, left : left + 280], expected)
    # Beside it the same photo with the other map; below it a map that says nothing: the photo.
    assert not np.array_equal(drawn[top : top + 140, right : right + 280], expected)
    below = drawn[top + 140 + 80 :, right : right + 280]
    assert (below[40:100] == 120).all()
    with Image.open(io.BytesIO(cnnviz.encode_png(drawn))) as read:
        assert read.size == drawn.shape[1::-1]
