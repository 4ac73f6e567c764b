"""A photo with parts replaced: what a network is asked to find out which parts it needs.

The network's view is changed, in whole pixels of 0 to 255, before its values are scaled: what is
shown is exactly what the network gets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import blur
from cnnviz.cards import Preprocessing
from cnnviz.errors import PhotoError
from cnnviz.photos.preprocessing import NetworkView, PhotoInput, network_view

# What takes the place of hidden pixels.
FILLINGS = ("blur", "grey", "black")

# The deviation of a blurred copy, as a share of the shorter side.
BLUR = 0.1
# The middle of 0 to 255; black is 0.
_GREY = 128
# A fourth channel is an alpha, which stays opaque.
_COLOURS = 3


def occlude(
    photo: PhotoInput,
    preprocessing: Preprocessing,
    hidden: NDArray[np.bool_],
    filling: str = "blur",
) -> NetworkView:
    """A photo with some of the network's pixels replaced, to be given to the network as a photo.

    Args:
        photo: (H, W, 3) uint8, or a network's view of it.
        preprocessing: how the photo becomes the network's input: that of the network's card.
        hidden: (h, w) of the network's input: true where a pixel is replaced.
        filling: by what: ``blur``, the photo blurred with a deviation of a tenth of the shorter
            side; ``grey``, 128 of 255; ``black``, 0.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8, ``hidden`` has another size, or there is no
            such filling.
        ValueError: it is a view with another preprocessing.
    """
    if isinstance(photo, NetworkView):
        if photo.preprocessing != preprocessing:
            raise ValueError(
                f"Expected a view made by {preprocessing!r}. Received: {photo.preprocessing!r}"
            )
        pixels = photo.pixels
    else:
        pixels = network_view(photo, preprocessing)
    if hidden.shape != pixels.shape[:2] or hidden.dtype != bool:
        raise PhotoError(
            f"Expected a mask {pixels.shape[:2]} of type bool, a value for each pixel of the "
            f"network's input. Received: {hidden.shape} of type {hidden.dtype}."
        )
    replaced = np.where(hidden[..., None], filled(pixels, filling), pixels)
    return NetworkView(replaced, preprocessing)


def filled(pixels: NDArray[np.uint8], filling: str) -> NDArray[np.uint8]:
    """What takes the place of hidden pixels of a view (h, w, C); the same shape.

    Raises:
        PhotoError: there is no such filling.
    """
    if filling not in FILLINGS:
        raise PhotoError(f"There is no filling {filling!r}. Choose from {', '.join(FILLINGS)}.")
    result = pixels.copy()
    colours = result[..., :_COLOURS]
    if filling == "blur":
        colours[:] = np.rint(blur(colours.astype(np.float32), BLUR * min(pixels.shape[:2])))
    else:
        colours[:] = _GREY if filling == "grey" else 0
    return result


def enlarged(cells: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """The mask (height, width) of the pixels of some cells (rows, columns) of a grid."""
    mask = cells
    for axis, length in enumerate((height, width)):
        mask = np.repeat(mask, np.diff(edges(length, cells.shape[axis])), axis)
    return mask


def edges(length: int, cells: int) -> NDArray[np.intp]:
    """The first pixel of each of ``cells`` along a side of ``length`` pixels, and its end.

    Example:
        >>> edges(10, 4)
        array([ 0,  2,  5,  8, 10])
    """
    return np.rint(np.arange(cells + 1) * length / cells).astype(np.intp)
