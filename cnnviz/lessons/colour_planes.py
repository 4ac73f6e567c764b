"""A colour photo is three grids of numbers: how much red, green and blue each pixel has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]

PLANES = ("red", "green", "blue")


def plane(photo: Photo, colour: str) -> NDArray[np.uint8]:
    """The numbers (h, w) of one colour of a photo (h, w, 3), 0 to 255.

    Raises:
        ValueError: another colour than red, green or blue.

    Example:
        >>> pixel = np.array([[[250, 120, 3]]], np.uint8)
        >>> plane(pixel, "green")
        array([[120]], dtype=uint8)
    """
    return photo[..., _index(colour)]


def alone(photo: Photo, colour: str) -> Photo:
    """A photo (h, w, 3) in one of its colours alone: the other two are 0."""
    only = np.zeros_like(photo)
    only[..., _index(colour)] = plane(photo, colour)
    return only


def without(photo: Photo, colour: str) -> Photo:
    """A photo (h, w, 3) without one of its colours: that one is 0.

    Example:
        >>> pixel = np.array([[[250, 120, 3]]], np.uint8)
        >>> without(pixel, "red").tolist()
        [[[0, 120, 3]]]
    """
    rest = photo.copy()
    rest[..., _index(colour)] = 0
    return rest


def _index(colour: str) -> int:
    if colour not in PLANES:
        raise ValueError(f"Expected one of {', '.join(PLANES)}. Received: {colour!r}")
    return PLANES.index(colour)
