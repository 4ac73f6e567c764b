"""The lesson on convolution: numbers worked out by hand, and SciPy-free loops as the oracle."""

from __future__ import annotations

import numpy as np
import pytest

from cnnviz.lessons.convolution import KERNELS, Sliding, convolve, output_size, place


@pytest.mark.parametrize(
    ("size", "kernel", "sliding", "expected"),
    [
        (28, 3, Sliding(), 26),
        (26, 3, Sliding(), 24),
        (28, 3, Sliding(padding=1), 28),
        (28, 3, Sliding(stride=2), 13),
        (7, 3, Sliding(stride=3), 2),
        (7, 3, Sliding(dilation=2), 3),
        (5, 5, Sliding(), 1),
        (4, 5, Sliding(), 0),
        (4, 3, Sliding(dilation=2, padding=1), 2),
    ],
)
def test_output_size(size: int, kernel: int, sliding: Sliding, expected: int) -> None:
    assert output_size(size, kernel, sliding) == expected


def test_a_place_by_hand() -> None:
    picture = np.arange(16.0).reshape(4, 4)
    kernel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    found = place(picture, kernel, 1, 0, Sliding())
    assert (found.top, found.left) == (1, 0)
    assert found.values.tolist() == [[4, 5, 6], [8, 9, 10], [12, 13, 14]]
    # Each row gives twice its weight: 2 · 1 + 2 · 2 + 2 · 1.
    assert found.products.tolist() == [[-4, 0, 6], [-16, 0, 20], [-12, 0, 14]]
    assert found.total == 8
    corner = place(picture, kernel, 0, 0, Sliding(padding=1))
    assert (corner.top, corner.left) == (-1, -1)
    assert corner.values.tolist() == [[0, 0, 0], [0, 0, 1], [0, 4, 5]]
    assert corner.total == 2 * 1 + 5
    wide = place(picture, kernel, 0, 0, Sliding(padding=1, dilation=2))
    assert wide.values.tolist() == [[0, 0, 0], [0, 5, 7], [0, 13, 15]]


@pytest.mark.parametrize(
    "sliding", [Sliding(), Sliding(2), Sliding(1, 1), Sliding(2, 2, 2), Sliding(3, 0, 2)]
)
def test_convolve_is_all_places(sliding: Sliding) -> None:
    random = np.random.default_rng(0)
    picture, kernel = random.normal(size=(9, 11)), random.normal(size=(3, 3))
    found = convolve(picture, kernel, sliding)
    for row, column in np.ndindex(found.shape):
        assert found[row, column] == pytest.approx(
            place(picture, kernel, row, column, sliding).total
        )
    with pytest.raises(ValueError, match="Expected a place"):
        place(picture, kernel, found.shape[0], 0, sliding)
    colours = np.stack([picture, 2 * picture], axis=-1)
    np.testing.assert_allclose(convolve(colours, kernel, sliding)[..., 1], 2 * found)


def test_kernels_keep_or_remove_an_even_area() -> None:
    even = np.full((5, 5), 7.0)
    sums = {
        name: convolve(even, np.array(kernel), Sliding())[0, 0] for name, kernel in KERNELS.items()
    }
    kept = {"same", "blur", "sharpen"}
    assert {name for name, value in sums.items() if value == pytest.approx(7)} == kept
    assert all(abs(value) < 1e-12 for name, value in sums.items() if name not in kept)


def test_a_kernel_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="fits"):
        convolve(np.zeros((2, 5)), np.zeros((3, 3)), Sliding())
