"""The planted shortcut: where the square is."""

from __future__ import annotations

import numpy as np

from cnnviz.lessons.shortcut import COLOUR, marked


def test_the_square_is_in_the_lower_right_corner() -> None:
    photos = np.zeros((2, 64, 64, 3), np.uint8)
    square = marked(photos)
    assert (square[:, 54:, 54:] == COLOUR).all()
    assert not square[:, :54].any()
    assert not square[:, :, :54].any()
    assert not photos.any()


def test_it_is_as_large_a_share_of_a_larger_photo() -> None:
    assert marked(np.zeros((384, 384, 3), np.uint8)).any(axis=-1).sum() == 60 * 60
