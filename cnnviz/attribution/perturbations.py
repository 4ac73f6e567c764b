"""Tests of a map by changed photos: what its cells are worth to the network.

A test is a series (see ``series``) whose sum is (T, rows, n): a row for each of three maps, the one
that is tested, a blurred copy of it and a random one, or first one row of what they are compared
with. Nothing else is needed to work out the scores of ``faithfulness``. NumPy is imported inside
functions, as in ``formulas``.
"""

from __future__ import annotations

import functools
import math
import zlib
from typing import TYPE_CHECKING, Literal, cast

from cnnviz.attribution.occlusion import OCCLUSION, SIDE
from cnnviz.attribution.series import Series, in_place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnviz.arrays import Bytes, Floats
    from cnnviz.attribution.series_runs import Subject

    Masks = NDArray[np.bool_]

# The map, its blurred copy and the random map.
MAPS = 3
# The deviation of the blurred copy of a map, as a share of its shorter side: 1.5 of 7 cells.
_MAP_BLUR = 1.5 / 7
# Steps from the photo to its replacement, for maps with so many cells or more.
_STEPS = 25
# Shares of the grid's cells that are replaced at once, and how many sets of cells of each size.
_SHARES = (0.1, 0.2, 0.4, 0.6)
_SETS = 25
# Of the order of equal cells, and of the sets of cells.
SEED = 0


def blurred_copy(values: Floats) -> Floats:
    """A map (h, w) blurred by 1.5 cells, if it has 7 × 7, or as much of its shorter side."""
    from cnnviz.arrays import blur

    return blur(values, _MAP_BLUR * min(values.shape))


def random_map(like: Floats, inputs: Floats) -> Floats:
    """The map of the method ``random`` for a network's input (h, w, C), as large as another one."""
    import numpy as np

    from cnnviz.attribution.formulas import noise_map

    height, width = like.shape
    return noise_map(height, width, zlib.crc32(np.ascontiguousarray(inputs).tobytes()))


def compared_maps(subject: Subject) -> Floats:
    """(3, h, w): the tested map, its blurred copy and the random map."""
    import numpy as np

    shown = cast("Floats", subject.shown)
    return np.stack([shown, blurred_copy(shown), random_map(shown, subject.inputs)])


# --- Deletion and insertion -----------------------------------------------------------------------


def ranked_cells(values: Floats) -> NDArray[np.intp]:
    """The numbers of a map's cells, row by row, the largest first.

    Equal ones are in a random order of a fixed seed: an order by place would favour a corner.
    """
    import numpy as np

    shuffled = np.random.default_rng(SEED).permutation(values.size)
    return shuffled[np.argsort(-values.ravel()[shuffled], kind="stable")]


def pixels_of(cells: NDArray[np.intp], shape: tuple[int, ...], height: int, width: int) -> Masks:
    """(height, width): which pixels of a network's input some cells of a map make up.

    Args:
        cells: their numbers, row by row.
        shape: (h, w) of the map.
        height: of the input.
        width: of the input.
    """
    import numpy as np

    from cnnviz.photos.masking import enlarged

    taken = np.zeros(shape, bool)
    taken.ravel()[cells] = True
    return enlarged(taken, height, width)


def _step_count(subject: Subject, runs: int | None) -> int:
    shown = cast("Floats", subject.shown)
    steps = min(shown.size, _STEPS if runs is None else max(runs // MAPS - 1, 1))
    return MAPS * (steps + 1)


def _curves(
    kind: Literal["deletion", "insertion"],
    filling: Literal["blurred", "mean"],
    subject: Subject,
    numbers: range,
    count: int,
) -> Floats:
    """(T, 3, steps + 1): the class's probability after each step, in the steps of these runs."""
    import numpy as np

    inputs, steps = subject.inputs, count // MAPS - 1
    filler = subject.blurred if filling == "blurred" else inputs.mean(axis=(0, 1))
    maps = compared_maps(subject)
    orders = [ranked_cells(values) for values in maps]
    pictures = []
    for number in numbers:
        which, step = divmod(number, steps + 1)
        cells = orders[which][: round(step * maps[which].size / steps)]
        mask = pixels_of(cells, maps[which].shape, *inputs.shape[:2])[..., None]
        removed = mask if kind == "deletion" else ~mask
        pictures.append(np.where(removed, filler, inputs))
    curves = in_place(subject.probabilities(np.stack(pictures)).T, numbers, count)
    return curves.reshape(-1, MAPS, steps + 1)


def _curve_series(
    kind: Literal["deletion", "insertion"], filling: Literal["blurred", "mean"]
) -> Series:
    return Series(_step_count, functools.partial(_curves, kind, filling))


DELETION_BLUR = _curve_series("deletion", "blurred")
DELETION_MEAN = _curve_series("deletion", "mean")
INSERTION_BLUR = _curve_series("insertion", "blurred")
INSERTION_MEAN = _curve_series("insertion", "mean")


# --- The photo times the map ----------------------------------------------------------------------


def masked_photo(subject: Subject, values: Floats) -> Floats:
    """The network's input (h, w, C) for the photo times the positive part of a map (h', w').

    The map is resized to the input and divided by its largest value, so that its peak leaves the
    photo as it is, and all pixels where it is not positive are black.
    """
    import numpy as np

    from cnnviz.arrays import rectify, resize
    from cnnviz.photos.preprocessing import scale_pixels

    inputs = subject.inputs
    height, width, channels = inputs.shape
    kept = resize(rectify(values), height, width)
    peak = kept.max()
    share = (kept / peak if peak > 0 else kept)[..., None]
    pixel: Bytes = np.zeros((1, 1, channels), np.uint8)
    # A fourth channel is an alpha, which is opaque everywhere.
    pixel[..., 3:] = 255
    black = scale_pixels(pixel, subject.network.card.preprocessing.scaling)
    return black + share * (inputs - black)


def _masked(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, 3, 2): the class's probability for the photo, and for the photo times the map."""
    import numpy as np

    maps = compared_maps(subject)
    pictures = np.stack([masked_photo(subject, maps[number]) for number in numbers])
    pairs = np.zeros((len(subject.targets), count, 2))
    pairs[:, numbers.start : numbers.stop, 0] = subject.base_probabilities[:, None]
    pairs[:, numbers.start : numbers.stop, 1] = subject.probabilities(pictures).T
    return pairs


MASKED = Series(lambda subject, runs: MAPS, _masked)


# --- Cells of a grid, one by one and together -----------------------------------------------------


def _on_grid(subject: Subject, rows: int, columns: int) -> Floats:
    """(3, rows * columns): the means of the three maps over the cells of a grid."""
    import numpy as np

    from cnnviz.geometry import cell_shares

    maps = compared_maps(subject)
    down, across = (
        cell_shares(length, cells, 0, length)
        for length, cells in zip(maps.shape[1:], (rows, columns), strict=True)
    )
    means: Floats = np.stack([down @ values @ across.T for values in maps])
    return means.reshape(MAPS, -1)


def _one_by_one(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, 4, n): the falls of the scores without each cell, and the three maps there."""
    import numpy as np

    side = math.isqrt(count)
    table = np.zeros((len(subject.targets), 1 + MAPS, count))
    table[:, 0] = OCCLUSION.part(subject, numbers, count).reshape(-1, count)
    runs = slice(numbers.start, numbers.stop)
    table[:, 1:, runs] = _on_grid(subject, side, side)[:, runs]
    return table


# As many cells as the map that the method ``occlusion`` gives.
ONE_BY_ONE = Series(OCCLUSION.count, _one_by_one)


def cell_sets(number: int, cells: int) -> NDArray[np.intp]:
    """The cells that are replaced together in the run of this number.

    The sizes of the sets take turns.
    """
    import numpy as np

    size = max(1, round(_SHARES[number % len(_SHARES)] * cells))
    return np.random.default_rng([SEED, number]).choice(cells, size, replace=False)


def _together(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, 4, n): the falls of the scores without sets of cells, and the sums of the three maps."""
    import numpy as np

    height, width = subject.inputs.shape[:2]
    rows, columns = min(SIDE, height), min(SIDE, width)
    maps, pictures = _on_grid(subject, rows, columns), []
    table = np.zeros((len(subject.targets), 1 + MAPS, count))
    for number in numbers:
        cells = cell_sets(number, rows * columns)
        mask = pixels_of(cells, (rows, columns), height, width)
        pictures.append(np.where(mask[..., None], subject.blurred, subject.inputs))
        table[:, 1:, number] = maps[:, cells].sum(axis=1)
    falls = subject.base - subject.scores(np.stack(pictures))
    table[:, 0, numbers.start : numbers.stop] = falls.T
    return table


def _set_count(subject: Subject, runs: int | None) -> int:
    sets = _SETS if runs is None else max(runs // len(_SHARES), 2)
    return len(_SHARES) * sets


TOGETHER = Series(_set_count, _together)
# The columns of its sum whose sets of cells have one size, size by size.
SIZES = tuple(slice(first, None, len(_SHARES)) for first in range(len(_SHARES)))
