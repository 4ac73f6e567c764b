"""The formulas of the maps, on cases worked out by hand and against nested loops."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnnviz.attribution.methods import (
    ANY_LAYER,
    METHODS,
    Method,
    cam,
    contrast_picture,
    contrastive_weights,
    grad_cam,
    hires_cam,
)

# Two channels of 2×2.
FEATURES = np.stack([[[1.0, 0.0], [2.0, 0.0]], [[0.0, 1.0], [3.0, 0.0]]], axis=-1)

numbers = st.floats(-100, 100, width=32)

SOURCES = ("cnnviz", "pages", "benchmarks", "scripts")


def test_the_methods_are_named() -> None:
    assert list(METHODS) == ["cam", "contrastive-cam", "grad-cam", "hires-cam"]
    assert METHODS["hires-cam"].title == "HiResCAM"
    assert "2011.08891" in METHODS["hires-cam"].paper
    assert ANY_LAYER == ("grad-cam", "hires-cam")


# --- Every record ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.key)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 2), (7, 5, 3), (2, 3, 3, 4)])
def test_a_record_s_formula_conforms(method: Method, shape: tuple[int, ...]) -> None:
    """Shape, type, finite values, and inputs that stay as they were."""
    random = np.random.default_rng(0)
    maps = random.normal(size=shape).astype(np.float32)
    channels = shape[-1]
    if method.passes == "backward":
        factors = random.normal(size=shape).astype(np.float32)
    elif method.weights is None:
        factors = random.normal(size=channels).astype(np.float32)
    else:
        kernel = random.normal(size=(channels, 3)).astype(np.float32)
        factors = method.weights(kernel, 1)
        assert factors.shape == (channels,)
        assert factors.dtype == np.float32
        assert np.shape(method.weights(kernel[0], 1)) == ()
    before = maps.copy(), factors.copy()
    values = method.function(maps, factors)
    assert values.shape == shape[:-1]
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(maps, before[0])
    np.testing.assert_array_equal(factors, before[1])
    if method.picture is not None:
        picture = method.picture(values)
        assert (picture.shape, picture.dtype) == (values.shape, np.uint8)


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.key)
def test_a_record_is_complete(method: Method) -> None:
    assert METHODS[method.key] is method
    assert all((method.key, method.title, method.paper, method.summary, method.unit))
    # explanations.py implements these two combinations.
    assert (method.passes == "forward") == (method.needs == "averaged maps")
    # The command line, addresses and names of files hold the key.
    assert set(method.key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-+")


def test_no_other_file_compares_the_names_of_methods() -> None:
    root = Path(__file__).resolve().parents[2]
    paths = [path for folder in SOURCES for path in (root / folder).rglob("*.py")]
    assert len(paths) > 100
    comparing = []
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare | ast.MatchValue):
                constants = (one.value for one in ast.walk(node) if isinstance(one, ast.Constant))
                if any(isinstance(value, str) and value in METHODS for value in constants):
                    comparing.append(f"{path.relative_to(root)}:{node.lineno}")
    assert comparing == []


# --- CAM ------------------------------------------------------------------------------------


def test_the_map_of_a_class_by_hand() -> None:
    """Channel 0 has the weight 2, channel 1 the weight -1."""
    np.testing.assert_allclose(cam(FEATURES, np.array([2.0, -1.0])), [[2, -1], [1, 0]])


@given(st.data(), hnp.array_shapes(min_dims=3, max_dims=3, max_side=4))
def test_the_map_by_nested_loops(data: st.DataObject, shape: tuple[int, int, int]) -> None:
    height, width, channels = shape
    features = data.draw(hnp.arrays(np.float64, shape, elements=numbers))
    weights = data.draw(hnp.arrays(np.float64, channels, elements=numbers))
    expected = [
        [sum(features[y, x, k] * weights[k] for k in range(channels)) for x in range(width)]
        for y in range(height)
    ]
    np.testing.assert_allclose(cam(features, weights), expected, atol=1e-6)


def test_a_batch_is_explained_photo_by_photo() -> None:
    batch = np.stack([FEATURES, 2 * FEATURES])
    maps = cam(batch, np.array([1.0, 1.0]))
    np.testing.assert_allclose(maps[1], 2 * maps[0])
    np.testing.assert_allclose(maps[0], FEATURES.sum(axis=-1))


# --- Contrastive ----------------------------------------------------------------------------

WEIGHTS = np.array([[1.0, 4.0, 1.0], [0.0, -2.0, 6.0]])


def test_contrastive_weights_by_hand() -> None:
    """Class 0 has (1, 0); the mean of the others is (2.5, 2)."""
    np.testing.assert_allclose(contrastive_weights(WEIGHTS, 0), [-1.5, -2])
    np.testing.assert_allclose(contrastive_weights(WEIGHTS, 1), [3, -5])
    np.testing.assert_allclose(contrastive_weights(np.array([1.0, 2.0, 6.0]), 2), 4.5)


def test_with_two_classes_it_is_the_difference() -> None:
    np.testing.assert_allclose(contrastive_weights(WEIGHTS[:, :2], 1), [3, -2])
    np.testing.assert_allclose(contrastive_weights(WEIGHTS[:, :2], 0), [-3, 2])


@given(hnp.arrays(np.float64, (3, 4), elements=numbers))
def test_the_contrasts_of_all_classes_cancel(weights: np.ndarray) -> None:
    total = sum(contrastive_weights(weights, target) for target in range(4))
    np.testing.assert_allclose(total, 0, atol=1e-9)


# --- Grad-CAM -------------------------------------------------------------------------------


def test_grad_cam_by_hand() -> None:
    """Mean gradients of 2 and -1 are the weights of the two channels; nothing is rectified."""
    gradients = np.stack([[[8.0, 0.0], [0.0, 0.0]], [[-1.0, -1.0], [-1.0, -1.0]]], axis=-1)
    np.testing.assert_allclose(grad_cam(FEATURES, gradients), [[2, -1], [1, 0]])


@given(st.data(), hnp.array_shapes(min_dims=3, max_dims=3, max_side=4))
def test_grad_cam_by_nested_loops(data: st.DataObject, shape: tuple[int, int, int]) -> None:
    height, width, channels = shape
    maps = data.draw(hnp.arrays(np.float64, shape, elements=numbers))
    gradients = data.draw(hnp.arrays(np.float64, shape, elements=numbers))
    expected = np.zeros((height, width))
    for k in range(channels):
        importance = gradients[..., k].sum() / (height * width)
        for y in range(height):
            for x in range(width):
                expected[y, x] += importance * maps[y, x, k]
    np.testing.assert_allclose(grad_cam(maps, gradients), expected, atol=1e-6)


# --- HiResCAM -------------------------------------------------------------------------------


def test_hires_cam_by_hand() -> None:
    """At each cell by itself: 8·1 - 0, 0 - 1, 0 - 3, and 0; Grad-CAM gives 2, -1, 1, 0."""
    gradients = np.stack([[[8.0, 0.0], [0.0, 0.0]], [[-1.0, -1.0], [-1.0, -1.0]]], axis=-1)
    np.testing.assert_allclose(hires_cam(FEATURES, gradients), [[8, -1], [-3, 0]])


@given(st.data(), hnp.array_shapes(min_dims=3, max_dims=3, max_side=4))
def test_hires_cam_of_a_dense_layer_adds_up_to_its_score(
    data: st.DataObject, shape: tuple[int, int, int]
) -> None:
    """A dense layer over all cells: its gradient is its weights, and the sum is their product."""
    maps = data.draw(hnp.arrays(np.float64, shape, elements=numbers))
    weights = data.draw(hnp.arrays(np.float64, shape, elements=numbers))
    values = hires_cam(maps, weights)
    assert values.sum() == pytest.approx(maps.ravel() @ weights.ravel(), abs=1e-6)
    for y, x in np.ndindex(shape[:2]):
        assert values[y, x] == pytest.approx(maps[y, x] @ weights[y, x], abs=1e-6)


@pytest.mark.parametrize("formula", [grad_cam, hires_cam])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 4, 2), (2, 3, 2, 2)])
def test_small_and_batched_maps_keep_their_shape(formula: Any, shape: tuple[int, ...]) -> None:
    ones = np.ones(shape, np.float32)
    values = formula(ones, ones)
    assert values.shape == shape[:-1]
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, shape[-1])


# --- The contrastive map as an 8-bit picture ------------------------------------------------


def test_the_contrast_picture_by_hand() -> None:
    """Divided by 4, its largest magnitude: 0.5, 0, clipped, 0.25."""
    picture = contrast_picture(np.array([[2.0, 0.0], [-4.0, 1.0]]))
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, [[128, 0], [0, 64]])


def test_a_map_of_zeros_is_black_and_one_of_negatives_too() -> None:
    np.testing.assert_array_equal(contrast_picture(np.zeros((2, 2))), np.zeros((2, 2)))
    np.testing.assert_array_equal(contrast_picture(np.full((2, 2), -7.0)), np.zeros((2, 2)))


@given(hnp.arrays(np.float32, (3, 3), elements=numbers))
def test_the_contrast_picture_keeps_the_order_of_positive_values(values: np.ndarray) -> None:
    picture = contrast_picture(values)
    order = np.argsort(values, axis=None)
    assert (np.diff(picture.ravel()[order].astype(int)) >= 0).all()
    if values.max() > 0 and values.max() >= -values.min():
        assert picture.max() == 255
