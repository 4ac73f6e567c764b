"""A class activation map laid over the photo, as one picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import blend, colour, largest_magnitude, rectify
from cnnviz.cards import Preprocessing
from cnnviz.colours import overlay_table
from cnnviz.photos.preprocessing import place_on_photo
from cnnviz.results import ClassActivationMap


def overlay(
    photo: NDArray[np.uint8],
    cam: ClassActivationMap,
    preprocessing: Preprocessing,
    *,
    signed: bool = False,
    opacity: float = 0.7,
) -> NDArray[np.uint8]:
    """A photo with a map over it, exactly where the network looked: (H, W, 3) uint8.

    Args:
        photo: (H, W, 3) uint8, the original.
        cam: the map.
        preprocessing: ``network.card.preprocessing``: how the photo became the input.
        signed: whether evidence against the class is shown too, in the other colour.
        opacity: 0 to 1, how solid the strongest evidence is.
    """
    height, width = photo.shape[:2]
    placed = place_on_photo(cam.values, height, width, preprocessing)
    limit = largest_magnitude(cam.values) if signed else float(rectify(cam.values).max())
    # A map of zeros has no limit, and nothing to show.
    limit = limit or 1.0
    table = overlay_table("balance" if signed else "inferno")
    layer = colour(placed, table, -limit if signed else 0.0, limit)
    return blend(photo, layer, opacity)
