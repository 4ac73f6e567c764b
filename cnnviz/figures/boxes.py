"""Boxes and contours on a photo, as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnnviz.arrays import Bytes
from cnnviz.results import Box, Point

# Their colours, over a wider line that is seen on any photo. A line is as wide as a share of the
# photo's shorter side.
BOX_COLOUR, CONTOUR_COLOUR, _CASING = "#ff8a2b", "#ffffff", "#14202b"
_LINE = 1 / 160


def boxes_on_photo(
    photo: Bytes, boxes: Sequence[Box], rings: Iterable[Sequence[Point]]
) -> NDArray[np.uint8]:
    """A photo with contours and boxes, the first one bold: (H, W, 3) uint8.

    Args:
        photo: (H, W, 3) uint8.
        boxes: orange; all of their lines are inside them.
        rings: corners of contours, white.
    """
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    line = max(1, round(min(photo.shape[:2]) * _LINE))
    closed = [[*ring, ring[0]] for ring in rings]
    for ring in closed:
        draw.line(ring, _CASING, line + 2)
    for at, box in enumerate(boxes):
        bold = line if at else 2 * line
        corners = box.left, box.top, box.right - 1, box.bottom - 1
        draw.rectangle(corners, outline=_CASING, width=bold + 1)
        draw.rectangle(corners, outline=BOX_COLOUR, width=bold)
    # Over the boxes, whose lines they often follow.
    for ring in closed:
        draw.line(ring, CONTOUR_COLOUR, line)
    return np.asarray(image)
