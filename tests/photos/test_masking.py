"""Photos with parts replaced, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cnnviz.arrays import blur
from cnnviz.cards import Preprocessing
from cnnviz.errors import PhotoError
from cnnviz.photos.masking import edges, enlarged, filled, occlude
from cnnviz.photos.preprocessing import NetworkView

STEPS = Preprocessing(height=2, width=2, scaling="unit", fit="stretch", interpolation="nearest")
PHOTO = np.array([[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [100, 110, 120]]], np.uint8)
HIDDEN = np.array([[False, True], [False, False]])


@pytest.mark.parametrize(("filling", "value"), [("grey", 128), ("black", 0)])
def test_hidden_pixels_are_replaced_and_others_stay(filling: str, value: int) -> None:
    expected = [[[10, 20, 30], [value] * 3], [[70, 80, 90], [100, 110, 120]]]
    for photo in (PHOTO, NetworkView(PHOTO, STEPS)):
        view = occlude(photo, STEPS, HIDDEN, filling)
        assert view.pixels.dtype == np.uint8
        np.testing.assert_array_equal(view.pixels, expected)
        assert view.preprocessing == STEPS
    assert PHOTO[0, 1, 0] == 40


def test_a_blurred_copy_has_the_deviation_of_a_tenth_of_the_shorter_side() -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    expected = np.rint(blur(pixels.astype(np.float32), 2.0))
    np.testing.assert_array_equal(filled(pixels, "blur"), expected)


def test_alpha_stays_opaque() -> None:
    pixels = np.full((2, 2, 4), 255, np.uint8)
    np.testing.assert_array_equal(filled(pixels, "black")[0, 0], [0, 0, 0, 255])


def test_cells_have_the_pixels_of_the_occlusion_grid() -> None:
    cells = np.array([[True, False], [False, True]])
    mask = enlarged(cells, 3, 5)
    # 1.5 and 2.5 are rounded to even numbers: the first row has 2 pixels, the first column 2.
    np.testing.assert_array_equal(mask[:2], [[True, True, False, False, False]] * 2)
    np.testing.assert_array_equal(mask[2], [False, False, True, True, True])
    for length, count in ((10, 4), (224, 7), (28, 7), (299, 7), (5, 5)):
        assert edges(length, count).tolist() == [
            round(length * number / count) for number in range(count + 1)
        ]


@pytest.mark.parametrize(
    ("hidden", "filling", "says"),
    [
        (np.zeros((3, 2), bool), "grey", "Expected a mask"),
        (np.zeros((2, 2)), "grey", "Expected a mask"),
        (HIDDEN, "pink", "There is no filling"),
    ],
)
def test_what_does_not_fit_is_refused(hidden: np.ndarray, filling: str, says: str) -> None:
    with pytest.raises(PhotoError, match=says):
        occlude(PHOTO, STEPS, hidden, filling)


def test_a_view_of_another_network_is_refused() -> None:
    other = STEPS.model_copy(update={"scaling": "tf"})
    with pytest.raises(ValueError, match="Expected a view"):
        occlude(NetworkView(PHOTO, STEPS), other, HIDDEN)
