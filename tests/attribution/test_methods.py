"""The formulas of the maps, on cases worked out by hand and against nested loops."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnnviz.attribution.formulas import (
    cam_weights,
    contrast_picture,
    contrastive_weights,
    eigen_cam_weights,
    grad_cam_plus_plus_weights,
    grad_cam_weights,
    hires_cam_weights,
    layer_cam_weights,
    noise_map,
    weighted,
    xgrad_cam_weights,
)
from cnnviz.attribution.methods import ANY_LAYER, AVERAGED_MAPS, MANY_PASSES, METHODS, Method

# Two channels of 2×2.
FEATURES = np.stack([[[1.0, 0.0], [2.0, 0.0]], [[0.0, 1.0], [3.0, 0.0]]], axis=-1)

numbers = st.floats(-100, 100, width=32)

SOURCES = ("cnnviz", "pages", "benchmarks", "scripts")


def map_of(formula: Callable[..., np.ndarray], maps: np.ndarray, *factors: Any) -> np.ndarray:
    """The map that a formula's weights give."""
    return weighted(maps, formula(maps, *factors))


def test_the_methods_are_named() -> None:
    assert list(METHODS) == [
        "cam",
        "contrastive-cam",
        "grad-cam",
        "grad-cam++",
        "hires-cam",
        "xgrad-cam",
        "layer-cam",
        "finer-cam",
        "eigen-cam",
        "score-cam",
        "ablation-cam",
        "occlusion",
        "rise",
        "smoothgrad",
        "integrated-gradients",
        "random",
    ]
    assert METHODS["hires-cam"].title == "HiResCAM"
    of_photos = [key for key, method in METHODS.items() if method.needs == "photo"]
    assert sorted(METHODS) == sorted([*AVERAGED_MAPS, *ANY_LAYER, *of_photos])
    assert set(MANY_PASSES) == {"score-cam", "ablation-cam", *of_photos}
    independent = [key for key, method in METHODS.items() if not method.of_class]
    assert independent == ["eigen-cam", "random"]
    assert "the same for every class" in METHODS["eigen-cam"].summary
    assert "no class has a part in it" in METHODS["random"].summary


# --- Every record ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [method for method in METHODS.values() if method.weights is not None],
    ids=lambda method: method.key,
)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 2), (7, 5, 3), (2, 3, 3, 4)])
def test_a_record_s_formula_conforms(method: Method, shape: tuple[int, ...]) -> None:
    """Shape, type, finite values, inputs that stay as they were, and a batch photo by photo."""
    random = np.random.default_rng(0)
    maps = random.random(shape, np.float32)
    of_factors = {"forward": shape[-1:], "backward": shape}.get(method.passes)
    factors = [] if of_factors is None else [random.normal(size=of_factors).astype(np.float32)]
    before = [part.copy() for part in (maps, *factors)]
    values = map_of(method.weights, maps, *factors)
    assert values.shape == shape[:-1]
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    for part, copy in zip((maps, *factors), before, strict=True):
        np.testing.assert_array_equal(part, copy)
    # A layer that is dead for the photo, and a score that it has no part in, have maps of zeros.
    assert not map_of(method.weights, 0 * maps, *factors).any()
    if factors:
        assert not map_of(method.weights, maps, 0 * factors[0]).any()
    if len(shape) == 4:
        ours = [factor[1] if factor.ndim == 4 else factor for factor in factors]
        alone = map_of(method.weights, maps[1], *ours)
        np.testing.assert_allclose(values[1], alone, atol=1e-5)
    if method.picture is not None:
        picture = method.picture(values)
        assert (picture.shape, picture.dtype) == (values.shape, np.uint8)


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.key)
def test_a_record_is_complete(method: Method) -> None:
    assert METHODS[method.key] is method
    assert all((method.key, method.title, method.unit))
    assert method.summary.endswith(".")
    assert re.search(r"\b(19|20)\d\d\b", method.paper)
    # map_terms.py implements these combinations.
    assert (method.passes == "forward") == (method.needs == "averaged maps")
    assert method.of_class == (method.passes in {"forward", "backward", "many"})
    assert (method.series is None) == (method.weights is not None) == (method.passes != "many")
    assert method.needs != "photo" or method.passes == "many"
    assert method.against != "others" or method.passes == "forward"
    assert method.against != "nearest" or method.passes == "backward"
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
    np.testing.assert_allclose(
        map_of(cam_weights, FEATURES, np.array([2.0, -1.0])), [[2, -1], [1, 0]]
    )


@given(st.data(), hnp.array_shapes(min_dims=3, max_dims=3, max_side=4))
def test_a_weighted_sum_by_nested_loops(data: st.DataObject, shape: tuple[int, int, int]) -> None:
    """With one weight a map, and with one a map and cell."""
    height, width, channels = shape
    maps = data.draw(hnp.arrays(np.float64, shape, elements=numbers))
    weights = data.draw(hnp.arrays(np.float64, shape, elements=numbers))
    for given_weights, each in ((weights, weights), (weights[0, 0], 0 * weights + weights[0, 0])):
        expected = [
            [sum(maps[y, x, k] * each[y, x, k] for k in range(channels)) for x in range(width)]
            for y in range(height)
        ]
        np.testing.assert_allclose(weighted(maps, given_weights), expected, atol=1e-6)


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


# --- Methods with gradients -----------------------------------------------------------------

GRADIENTS = np.stack([[[8.0, 0.0], [0.0, 0.0]], [[-1.0, -1.0], [-1.0, -1.0]]], axis=-1)
# Of both signs in one channel; the other has none that is positive.
MIXED = np.stack([[[1.0, -2.0], [4.0, 0.0]], [[-1.0, -1.0], [-1.0, -1.0]]], axis=-1)


@pytest.mark.parametrize(
    ("formula", "gradients", "expected"),
    [
        # Mean gradients of 2 and -1 are the weights of the two channels; nothing is rectified.
        (grad_cam_weights, GRADIENTS, [[2, -1], [1, 0]]),
        # At each cell by itself: 8·1 - 0, 0 - 1, 0 - 3, and 0.
        (hires_cam_weights, GRADIENTS, [[8, -1], [-3, 0]]),
        # Channel 0 adds up to 3: (1·1 + 2·4) / 3 = 3; channel 1 to 4: -4 / 4 = -1.
        (xgrad_cam_weights, MIXED, [[3, -1], [3, 0]]),
        # Only 1 and 4 of channel 0 are positive: 1·1, and 2·4.
        (layer_cam_weights, MIXED, [[1, 0], [8, 0]]),
        # Channel 0 adds up to 3: 1 / (2 + 3) + 4 / (2 + 12) is its weight; channel 1 has none.
        (grad_cam_plus_plus_weights, MIXED, np.array([[1, 0], [2, 0]]) * (1 / 5 + 4 / 14)),
    ],
)
def test_a_formula_with_gradients_by_hand(
    formula: Callable[..., np.ndarray], gradients: np.ndarray, expected: Any
) -> None:
    np.testing.assert_allclose(map_of(formula, FEATURES, gradients), expected)


positive = st.floats(0, 100, width=32)


@given(st.data(), hnp.array_shapes(min_dims=3, max_dims=3, max_side=4))
def test_identities_of_the_formulas(data: st.DataObject, shape: tuple[int, int, int]) -> None:
    maps = data.draw(hnp.arrays(np.float64, shape, elements=positive))
    gradients = data.draw(hnp.arrays(np.float64, shape, elements=numbers))

    def agree(one: np.ndarray, other: np.ndarray) -> None:
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-6)

    exact = map_of(hires_cam_weights, maps, gradients)
    # A dense layer over all cells: its gradient is its weights, and the sum is their product.
    assert exact.sum() == pytest.approx(maps.ravel() @ gradients.ravel(), abs=1e-6)
    # So is that of XGrad-CAM, channel by channel: its conservation.
    assert map_of(xgrad_cam_weights, maps, gradients).sum() == pytest.approx(exact.sum(), abs=1e-4)
    # Behind an average all cells of a map have the same gradient: CAM up to scale.
    even = np.broadcast_to(gradients[:1, :1], shape)
    agree(map_of(hires_cam_weights, maps, even), map_of(cam_weights, maps, gradients[0, 0]))
    agree(map_of(grad_cam_weights, maps, even), map_of(hires_cam_weights, maps, even))
    # Where the maps are the same everywhere, no place counts more than another.
    flat = np.broadcast_to(maps[:1, :1], shape)
    agree(map_of(xgrad_cam_weights, flat, gradients), map_of(grad_cam_weights, flat, gradients))
    # Positive gradients stay as they are.
    rising = np.abs(gradients)
    agree(map_of(layer_cam_weights, maps, rising), map_of(hires_cam_weights, maps, rising))
    assert (map_of(layer_cam_weights, maps, gradients) >= exact - 1e-6).all()


@given(st.data(), hnp.array_shapes(min_dims=3, max_dims=3, max_side=3))
def test_grad_cam_plus_plus_as_the_paper_has_it(
    data: st.DataObject, shape: tuple[int, int, int]
) -> None:
    """α = D₂ / (2 D₂ + Σ A · D₃) for the derivatives D of exp(S), which have the factor exp(S)."""
    maps = data.draw(hnp.arrays(np.float64, shape, elements=positive))
    gradients = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(-2, 2, width=16)))
    height, width, channels = shape
    exponential = np.exp(0.7)
    expected = np.zeros((height, width))
    for k in range(channels):
        weight = 0.0
        for y, x in np.ndindex(height, width):
            first, second, third = (
                exponential * gradients[y, x, k] ** power for power in (1, 2, 3)
            )
            if first > 0:
                weight += second / (2 * second + maps[..., k].sum() * third) * first
        expected += weight * maps[..., k] / exponential
    actual = map_of(grad_cam_plus_plus_weights, maps, gradients)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def test_maps_that_add_up_to_nothing_have_no_weight() -> None:
    """They would be divided by zero: 1 - 1, and 2 + 1·(-2)."""
    maps, ones = np.array([[[1.0], [-1.0]]]), np.ones((1, 2, 1))
    assert not map_of(xgrad_cam_weights, maps, ones).any()
    assert not map_of(grad_cam_plus_plus_weights, maps - 1, ones).any()


# --- Whatever the class ---------------------------------------------------------------------


def test_eigen_cam_by_hand() -> None:
    """Cells (3, 4), (6, 8), (0, 0) and (-3, -4): all on the direction (0.6, 0.8)."""
    lengths = np.array([[5.0, 10.0], [0.0, -5.0]])
    maps = lengths[..., None] * [0.6, 0.8]
    np.testing.assert_allclose(map_of(eigen_cam_weights, maps), lengths, atol=1e-9)
    np.testing.assert_allclose(eigen_cam_weights(maps).ravel(), [0.6, 0.8])
    # The maps' signs turned: the sum stays positive. 10 more along a second direction: the first.
    np.testing.assert_allclose(map_of(eigen_cam_weights, -maps), lengths, atol=1e-9)
    maps[1, 0] = [-8.0, 6.0]
    np.testing.assert_allclose(map_of(eigen_cam_weights, maps), lengths, atol=1e-9)


def test_eigen_cam_of_what_is_not_a_number_is_none() -> None:
    maps = np.ones((2, 2, 3), np.float32)
    maps[0, 1, 2] = np.inf
    assert np.isnan(map_of(eigen_cam_weights, maps)).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 7), (28, 14)])
def test_noise_is_that_of_its_seed(size: tuple[int, int]) -> None:
    noise = noise_map(*size, 3)
    assert (noise.shape, noise.dtype) == (size, np.float32)
    np.testing.assert_array_equal(noise, noise_map(*size, 3))
    assert np.abs(noise - noise_map(*size, 4)).max() > 0.1
    # On a larger map the same grid is seen more finely: no cell goes beyond it.
    assert np.abs(noise).max() <= np.abs(noise_map(*np.minimum(size, 7), 3)).max() + 1e-6


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
