"""A filter slides over a picture: the products under it are added up, place by place.

As in all neural networks the kernel is not mirrored: it is a cross-correlation (Goodfellow, Bengio
and Courville 2016, "Deep learning", chapter 9).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz.arrays import Floats

# Kernels whose effect is easily seen; the values of the first three add up to 1, so that an even
# area keeps its value, those of the others to 0, so that an even area becomes 0.
KERNELS: dict[str, list[list[float]]] = {
    "same": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "blur": [[1 / 9, 1 / 9, 1 / 9], [1 / 9, 1 / 9, 1 / 9], [1 / 9, 1 / 9, 1 / 9]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "vertical edges": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "horizontal edges": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "outline": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
}


@dataclass(frozen=True)
class Sliding:
    """How a kernel slides.

    Attributes:
        stride: pixels from one place to the next.
        padding: rows and columns of zeros around the picture.
        dilation: distance of two of the kernel's values, in pixels; 1 where they touch.
    """

    stride: int = 1
    padding: int = 0
    dilation: int = 1


@dataclass(frozen=True)
class Place:
    """What a kernel gives at one place.

    Attributes:
        top: row of the picture under the kernel's first row; negative in the padding.
        left: column likewise.
        values: (k, k) what is under the kernel; 0 in the padding.
        products: (k, k) values × kernel.
        total: their sum.
    """

    top: int
    left: int
    values: Floats
    products: Floats
    total: float


def output_size(size: int, kernel: int, sliding: Sliding) -> int:
    """The number of places along a side: 28 pixels have 26 for a kernel of 3.

    Args:
        size: of the picture, in pixels.
        kernel: of the kernel, in values.
        sliding: how it slides.

    Returns:
        0 where the kernel does not fit.

    Example:
        >>> output_size(28, 3, Sliding()), output_size(28, 3, Sliding(stride=2, padding=1))
        (26, 14)
    """
    reach = (kernel - 1) * sliding.dilation + 1
    room = size + 2 * sliding.padding - reach
    return max(room // sliding.stride + 1, 0) if room >= 0 else 0


def place(picture: Floats, kernel: Floats, row: int, column: int, sliding: Sliding) -> Place:
    """What a kernel (k, k) gives at one place of a picture (h, w): see ``Place``.

    Args:
        picture: the picture.
        kernel: the kernel.
        row: of the place, counted in steps.
        column: likewise.
        sliding: how the kernel slides.

    Raises:
        ValueError: there is no such place.
    """
    places = _places(picture, kernel, sliding)
    if not (0 <= row < places[0] and 0 <= column < places[1]):
        raise ValueError(f"Expected a place within {places}. Received: {(row, column)}")
    padded = np.pad(picture.astype(np.float64), sliding.padding)
    rows, columns = (
        step * sliding.stride + sliding.dilation * np.arange(side)
        for step, side in zip((row, column), kernel.shape, strict=True)
    )
    values = padded[np.ix_(rows, columns)]
    products = values * kernel
    top, left = int(rows[0]) - sliding.padding, int(columns[0]) - sliding.padding
    return Place(top, left, values, products, float(products.sum()))


def convolve(picture: Floats, kernel: Floats, sliding: Sliding) -> Floats:
    """What a kernel (k, k) gives at all places of a picture (h, w), or of its channels (h, w, C).

    Returns:
        (rows, columns) or (rows, columns, C), float64; ``output_size`` has the sides.

    Raises:
        ValueError: the kernel is larger than the padded picture.

    Example:
        >>> picture = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]])
        >>> convolve(picture, np.array([[-1.0, 1.0]]), Sliding())
        array([[1., 2.],
               [0., 0.]])
    """
    places = _places(picture, kernel, sliding)
    if not all(places):
        raise ValueError(
            f"Expected a kernel that fits on the picture. Received: {kernel.shape} with a dilation "
            f"of {sliding.dilation}, on {picture.shape[:2]}"
        )
    edge, step = sliding.padding, sliding.stride
    around = [(edge, edge), (edge, edge), *[(0, 0)] * (picture.ndim - 2)]
    padded = np.pad(picture.astype(np.float64), around)
    total = np.zeros((*places, *picture.shape[2:]))
    for (row, column), weight in np.ndenumerate(kernel):
        top, left = row * sliding.dilation, column * sliding.dilation
        below, beyond = top + step * places[0], left + step * places[1]
        total += weight * padded[top:below:step, left:beyond:step]
    return total


def _places(picture: Floats, kernel: Floats, sliding: Sliding) -> tuple[int, int]:
    height, width = (
        output_size(size, side, sliding)
        for size, side in zip(picture.shape[:2], kernel.shape, strict=True)
    )
    return height, width
