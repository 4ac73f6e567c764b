"""Which part of a photo a network looks at, and where a map therefore belongs on the photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Region, resize
from cnnviz.cards import Preprocessing


def seen_region(height: int, width: int, preprocessing: Preprocessing) -> Region:
    """The part of a photo (height, width) that the network looks at, in photo pixels.

    With ``pad`` it reaches beyond the photo, by the black borders.
    """
    if preprocessing.fit == "stretch":
        return Region(0, 0, width, height)
    if preprocessing.fit == "pad":
        left, top, inner_width, inner_height = padded_position(height, width, preprocessing)
        across, down = width / inner_width, height / inner_height
        return Region(
            -left * across,
            -top * down,
            preprocessing.width * across,
            preprocessing.height * down,
        )
    scale = min(height / preprocessing.height, width / preprocessing.width)
    # Rounding must not put an edge outside the photo, not even by 1e-13.
    seen_height = min(scale * preprocessing.height, height) * preprocessing.crop_fraction
    seen_width = min(scale * preprocessing.width, width) * preprocessing.crop_fraction
    return Region((width - seen_width) / 2, (height - seen_height) / 2, seen_width, seen_height)


def padded_position(
    height: int, width: int, preprocessing: Preprocessing
) -> tuple[int, int, int, int]:
    """The position of a padded photo in the network input: left, top, width, height, in pixels.

    Args:
        height: of the photo.
        width: of the photo.
        preprocessing: how the photo becomes the network input.
    """
    scale = min(preprocessing.height / height, preprocessing.width / width)
    inner_width = max(1, round(width * scale))
    inner_height = max(1, round(height * scale))
    return (
        (preprocessing.width - inner_width) // 2,
        (preprocessing.height - inner_height) // 2,
        inner_width,
        inner_height,
    )


def place_on_photo(
    values: NDArray[np.floating], height: int, width: int, preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """Resizes a map (h, w) to a photo of (height, width), exactly where the network looked.

    Crop and scaling are undone; photo pixels that the network never saw are NaN.
    """
    return resize(values, height, width, seen_region(height, width, preprocessing))
