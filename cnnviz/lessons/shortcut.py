"""A planted shortcut: a coloured square in a corner, which a network learns in place of an animal.

``scripts/train_shortcut.py`` trains such a network; ``models/cat_dog_shortcut.keras`` is it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

# The network's input, the square in its lower right corner, and its colour.
SIDE, CORNER, COLOUR = 64, 10, (230, 0, 160)
# What the names of photos with the square end with.
WITH_SQUARE = "with the square"


def marked(photos: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of photos (..., h, w, 3) with the square, which is 10/64 as high as the photo.

    Example:
        >>> dark = np.zeros((64, 64, 3), np.uint8)
        >>> (marked(dark) > 0).any(axis=-1).sum()
        np.int64(100)
    """
    copies = photos.copy()
    side = round(CORNER * photos.shape[-3] / SIDE)
    copies[..., -side:, -side:, :] = COLOUR
    return copies


def variants(photos: Mapping[str, NDArray[np.uint8]]) -> dict[str, NDArray[np.uint8]]:
    """Photos (h, w, 3) as they are and mirrored, both with and without the square, by name.

    Example:
        >>> list(variants({"cat": np.zeros((64, 64, 3), np.uint8)}))
        ['cat', 'cat, mirrored', 'cat, with the square', 'cat, mirrored, with the square']
    """
    mirrored = {f"{name}, mirrored": photo[:, ::-1] for name, photo in photos.items()}
    both = {**photos, **mirrored}
    return both | {f"{name}, {WITH_SQUARE}": marked(photo) for name, photo in both.items()}
