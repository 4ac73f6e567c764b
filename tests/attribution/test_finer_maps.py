"""Finer maps: shifted copies, a doubled photo and fused layers, worked out by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.attribution import series_runs
from cnnviz.attribution.descriptions import at_twice_the_size, cells, sum_of_cells, title, unit
from cnnviz.attribution.details import DETAILS, FUSED, fitting
from cnnviz.attribution.finer_maps import doubled, fuse, offsets, shifted
from cnnviz.attribution.methods import METHODS
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.cards import ModelCard
from cnnviz.errors import LayerError, TargetError
from cnnviz.networks import passes
from cnnviz.networks.receptive_fields import cell_step

Tiny = Callable[[str], Any]

SIDE, CELL = 16, 4
HALVES = np.array([0.4, 0.6], np.float32)


def averaging(*, flatten: bool = False, scaled: bool = False) -> Any:
    """A network whose one map has the mean of each square of 4×4 pixels; B has the negative."""
    import keras
    from keras import layers

    image = x = keras.Input((SIDE, SIDE, 1))
    if scaled:
        x = layers.Resizing(SIDE, SIDE)(x)
    x = layers.AveragePooling2D(CELL, name="squares")(x)
    x = layers.Conv2D(1, 1, use_bias=False, name="same")(x)
    x = layers.Flatten()(x) if flatten else layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="scores")(x))
    model.get_layer("same").set_weights([np.ones((1, 1, 1, 1))])
    inputs = (SIDE // CELL) ** 2 if flatten else 1
    model.get_layer("scores").set_weights([np.tile([1.0, -1.0], (inputs, 1)), np.zeros(2)])
    card = {
        "title": "Squares",
        "description": "Means of squares.",
        "labels": ["A", "B"],
        "preprocessing": {"height": SIDE, "width": SIDE, "channels": 1},
        "training": {"data": "none", "split": "none"},
        "licence": "MIT",
        "source": "built for tests",
    }
    return cnnviz.network(model, ModelCard.model_validate(card))


def grey(side: int = SIDE) -> np.ndarray:
    """A grey photo, another value at each pixel."""
    values = np.random.default_rng(5).permutation(side * side).reshape(side, side) % 256
    return np.repeat(values[..., None], 3, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def network() -> Any:
    return averaging()


# --- Shifted copies -------------------------------------------------------------------------


@pytest.mark.parametrize("copies", [2, 4])
@pytest.mark.parametrize("method", ["cam", "grad-cam", "hires-cam"])
def test_shifted_copies_are_the_finer_average(network: Any, copies: int, method: str) -> None:
    photo = grey()
    plain = cnnviz.class_activation_map(network, photo, "A", method=method)
    cam = cnnviz.class_activation_map(network, photo, "A", method=method, detail=f"shifts-{copies}")
    assert cam.values.shape == (4 * copies, 4 * copies)
    assert (cam.detail, cam.bias, cam.score) == (f"shifts-{copies}", None, plain.score)
    # Each fine cell is the mean of the whole square around its centre, or up to half a pixel off.
    pixels, step = photo[..., 0].astype(float), CELL // copies
    gradient = 1 if method == "cam" else 1 / 16
    tops = np.floor((np.arange(4 * copies) + 0.5) * step - CELL / 2 + 0.5).astype(int)
    inside = [(row, top) for row, top in enumerate(tops) if 0 <= top <= SIDE - CELL]
    assert len(inside) == {2: 6, 4: 13}[copies]
    for row, top in inside:
        for column, left in inside:
            square = pixels[top : top + CELL, left : left + CELL].mean()
            assert cam.values[row, column] == pytest.approx(gradient * square, rel=1e-5)


def test_a_copy_of_the_cells_stays_where_it_was(network: Any) -> None:
    # One bright pixel: all cells whose square it is in are bright, and they lie around it.
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    photo[9, 6] = 160
    fine = cnnviz.class_activation_map(network, photo, "A", detail="shifts-4").values
    rows, columns = np.nonzero(fine > 1e-6)
    assert fine.max() == pytest.approx(10, rel=1e-5)
    # Centres at 8.5 to 11.5 and so on, rounded to whole pixels: half a pixel to one side.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (7, 10, 4, 7)


def test_beyond_the_edge_the_photo_is_mirrored() -> None:
    inputs = np.arange(5.0)[:, None, None] + np.array([0.0, 10, 20])[None, :, None]
    np.testing.assert_array_equal(shifted(inputs, 2, 0)[:, 0, 0], [2, 3, 4, 3, 2])
    np.testing.assert_array_equal(shifted(inputs, -1, 0)[:, 0, 0], [1, 0, 1, 2, 3])
    np.testing.assert_array_equal(shifted(inputs, 0, 1)[0, :, 0], [10, 20, 10])
    assert shifted(inputs[:1, :1], 0, 0).shape == (1, 1, 1)


@pytest.mark.parametrize(
    ("step", "copies", "expected"),
    [(4, 2, [-1, 1]), (2, 2, [0, 1]), (4, 4, [-1, 0, 1, 2]), (32, 4, [-12, -4, 4, 12])],
)
def test_shifts_are_all_different(step: int, copies: int, expected: list[int]) -> None:
    assert offsets(step, copies) == expected


def test_the_nearest_class_is_one_for_all_copies(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("flat")
    plain = cnnviz.class_activation_map(network, photo, "cat", method="finer-cam")
    fine = cnnviz.class_activation_map(network, photo, "cat", method="finer-cam", detail="shifts-2")
    chosen = cnnviz.class_activation_map(
        network,
        photo,
        "cat",
        method="finer-cam",
        detail="shifts-2",
        against=plain.against,
    )
    assert fine.against == plain.against
    np.testing.assert_array_equal(fine.values, chosen.values)


def test_parts_of_shifts_add_up_to_the_map(network: Any) -> None:
    photo = grey()
    question = SeriesQuestion("shifts-2", ("B", "A"), method="grad-cam")
    parts = [series_runs.run_part(network, photo, question, *run) for run in ((0, 3), (3, 9))]
    assert [part.count for part in parts] == [4, 4]
    total = parts[0].values + parts[1].values
    summed = series_runs.explain_sum(network, photo, question, total, 4)
    whole = cnnviz.explain(network, photo, ["B", "A"], method="grad-cam", detail="shifts-2")
    for one, other in zip(summed.maps, whole.maps, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert (one.target, one.detail) == (other.target, other.detail)


def test_the_step_of_cells_is_the_product_of_strides(tiny: Tiny) -> None:
    topology = passes.facts(averaging()).topology
    assert cell_step(topology, "same") == (CELL, CELL)
    assert cell_step(passes.facts(averaging(scaled=True)).topology, "same") is not None


# --- The photo at twice the size ------------------------------------------------------------


def test_the_doubled_photo_has_the_map_of_a_larger_network(network: Any) -> None:
    photo = grey(2 * SIDE)
    cam = cnnviz.class_activation_map(network, photo, "A", detail="double")
    squares = photo[..., 0].reshape(8, CELL, 8, CELL).mean(axis=(1, 3))
    np.testing.assert_allclose(cam.values, squares, rtol=1e-5)
    assert cam.detail == "double"
    assert cam.score == pytest.approx(squares.mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"flatten": True}, "flattens its maps"),
        ({"scaled": True}, "scales every photo to one size"),
    ],
)
def test_where_it_cannot_be_doubled_the_reason_is_said(options: Any, reason: str) -> None:
    with pytest.raises(TargetError, match=reason):
        doubled(averaging(**options))


# --- Fused layers ---------------------------------------------------------------------------


def test_fused_by_hand() -> None:
    fine = np.array([[8.0, 0, 0, 0], [0, 4, 0, -9], [0, 0, 0, 0], [0, 0, 0, 2]])
    coarse = np.array([[1.0, 0], [0, 2]])
    whole = np.tanh(2)
    # Bilinear between the centres of two cells: 1, 3/4, 1/4 and 0 of the way.
    near = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    of_coarse = near @ np.array([[np.tanh(1), 0], [0, whole]]) @ near.T
    of_fine = np.array([[whole, 0, 0, 0], [0, np.tanh(1), 0, 0], [0] * 4, [0, 0, 0, np.tanh(0.5)]])
    np.testing.assert_allclose(fuse([fine, coarse]), np.maximum(of_fine, of_coarse), rtol=1e-6)


def test_what_is_nowhere_positive_adds_nothing() -> None:
    nothing = np.array([[-1.0, -2.0], [0.0, -3.0]])
    np.testing.assert_array_equal(fuse([nothing, np.array([[0.0]])]), np.zeros((2, 2)))


def test_a_fused_map_has_the_cells_of_the_finest_layer(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("flat")
    cam = cnnviz.class_activation_map(network, photo, "cat", detail=FUSED)
    assert (cam.method, cam.detail, cam.bias) == ("layer-cam", FUSED, None)
    assert cam.values.max() <= np.tanh(2) + 1e-6
    assert cam.values.min() >= 0


# --- What does not fit ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "detail", "layer", "reason"),
    [
        (None, "finest", None, "no detail 'finest'"),
        ("occlusion", "shifts-2", None, "cannot be had in the detail 'shifts-2'"),
        ("grad-cam", "fused", None, "It fits layer-cam"),
        (None, "fused", "same", "'same' cannot be chosen"),
    ],
)
def test_what_does_not_fit_is_said(
    network: Any, method: str | None, detail: str, layer: str | None, reason: str
) -> None:
    with pytest.raises(TargetError, match=reason):
        cnnviz.class_activation_map(network, grey(), method=method, detail=detail, layer=layer)


def test_a_layer_with_cells_of_a_pixel_cannot_be_shifted(tiny: Tiny, photo: np.ndarray) -> None:
    with pytest.raises(TargetError, match="from one cell to the next it is 1 pixel of"):
        cnnviz.class_activation_map(
            tiny("flat"), photo, method="grad-cam", layer="conv1", detail="shifts-2"
        )
    with pytest.raises(LayerError, match="nowhere"):
        cnnviz.class_activation_map(
            tiny("flat"), photo, method="grad-cam", layer="nowhere", detail="shifts-2"
        )


def test_every_method_has_its_own_cells_first() -> None:
    for method in METHODS.values():
        assert fitting(method)[0] == "cells"
        assert set(fitting(method)) <= set(DETAILS)


# --- In words -------------------------------------------------------------------------------


def test_what_was_done_is_said(network: Any) -> None:
    small, large = (cnnviz.predict(network, grey(side)) for side in (SIDE, 2 * SIDE))
    of_copies, doubled_map, of_layers = (
        cnnviz.class_activation_map(network, grey(), "A", detail=detail)
        for detail in ("shifts-2", "double", "fused")
    )
    assert title(of_copies) == "Class activation map for “A”, 4 shifted copies"
    assert cells(of_copies) == "8 × 8 cells of same, 4 shifted copies"
    assert "do not add up to it" in sum_of_cells(of_copies, small)
    assert sum_of_cells(doubled_map, small).endswith("“A”, for the photo at twice the size.")
    assert unit(of_copies) == "evidence (logit)"
    assert unit(of_layers) == "share of the largest value, scaled"
    said = at_twice_the_size(of_copies, small, dataclasses.replace(large, probabilities=HALVES))
    assert said.startswith("At twice the size the probability of “A” is 40.0 %, and “B” is the")
