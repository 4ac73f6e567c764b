"""The lesson on colour planes."""

from __future__ import annotations

import numpy as np
import pytest

from cnnviz.lessons.colour_planes import PLANES, alone, plane, without

PHOTO = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)


def test_planes_by_hand() -> None:
    assert [plane(PHOTO, colour).tolist() for colour in PLANES] == [
        [[10, 40]],
        [[20, 50]],
        [[30, 60]],
    ]
    assert alone(PHOTO, "blue").tolist() == [[[0, 0, 30], [0, 0, 60]]]
    assert without(PHOTO, "green").tolist() == [[[10, 0, 30], [40, 0, 60]]]
    # A photo is the sum of its planes, and so is what is left without one.
    assert np.array_equal(sum(alone(PHOTO, colour) for colour in PLANES), PHOTO)
    assert PHOTO[0, 0].tolist() == [10, 20, 30]
    with pytest.raises(ValueError, match="red, green, blue"):
        plane(PHOTO, "yellow")
