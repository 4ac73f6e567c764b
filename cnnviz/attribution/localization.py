"""The position of a class in a photo: the parts of its map that stand out, as boxes and contours.

The map's cells above a share of its largest value are the region, and cells of it that touch are
one part. All of it follows the cells, in whole pixels of the photo: a map says nothing finer. A map
whose cells are single pixels is smoothed first: its largest values are single pixels, and the parts
would be specks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats, blur
from cnnviz.attribution.methods import METHODS
from cnnviz.cards import Preprocessing
from cnnviz.evidence import mostly_against, why_empty
from cnnviz.geometry import seen_region
from cnnviz.results import Box, ClassActivationMap, FoundPart, Point

# The share of the map's maximum above which a cell belongs to the object. Zhou et al. 2016,
# section 3.2: "the regions of which the value is above 20% of the max value of the CAM".
THRESHOLD = 0.2
# The standard deviation of the Gaussian that maps of pixels are smoothed with, as a share of their
# longer side: that of gradients in the pointing game of TorchRay (Fong, Patrick and Vedaldi 2019,
# arXiv 1910.08485).
SMOOTHING = 0.02

_Cell = tuple[int, int]


def find_box(
    values: ClassActivationMap | Floats,
    height: int,
    width: int,
    preprocessing: Preprocessing,
    threshold: float = THRESHOLD,
) -> Box | None:
    """The box of a class in a photo of (height, width), from its map.

    The box of the largest connected part of the map above 20 % of its maximum, by Zhou et
    al. 2016, "Learning deep features for discriminative localization". It follows the map's
    cells, so it is as coarse as the map.

    Args:
        values: the map. One of ``class_activation_map`` is smoothed first if its cells are single
            pixels (``smoothed``), and has no box where it says nothing about any place. An array
            (h, w), raw and signed, is taken as it is.
        height: of the photo.
        width: of the photo.
        preprocessing: how the photo became the network's input.
        threshold: the share of the maximum above which a cell counts: 0 or more, less than 1.

    Returns:
        The box in pixels of the photo; None where the map holds nothing positive, or less than
        a fifth of what is negative, or only beyond the photo's edge, in a border that the card
        adds.

    Raises:
        ValueError: another threshold.
    """
    boxes = find_boxes(values, height, width, preprocessing, threshold)
    return boxes[0] if boxes else None


def find_boxes(
    values: ClassActivationMap | Floats,
    height: int,
    width: int,
    preprocessing: Preprocessing,
    threshold: float = THRESHOLD,
) -> tuple[Box, ...]:
    """The boxes of all parts of a map that stand out in a photo, the largest part first.

    Arguments and errors are those of ``find_box``.
    """
    parts = find_parts(values, height, width, preprocessing, threshold)
    return tuple(part.box for part in parts)


def find_parts(
    values: ClassActivationMap | Floats,
    height: int,
    width: int,
    preprocessing: Preprocessing,
    threshold: float = THRESHOLD,
) -> tuple[FoundPart, ...]:
    """All parts of a map that stand out in a photo, the largest part first.

    A part is as large as the number of its cells; of equal ones the topmost is first. Cells that
    touch at a side or a corner belong to one part. Those that lie beyond the photo's edge, in a
    border that the card adds, do not count, except for the maximum.

    Arguments and errors are those of ``find_box``.
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"Expected a threshold from 0 to below 1. Received: {threshold!r}")
    if isinstance(values, ClassActivationMap):
        if why_empty(values):
            return ()
        values = smoothed(values)
    # In double precision, as the threshold is.
    values = np.asarray(values, np.float64)
    peak = values.max()
    if not peak > 0 or mostly_against(values):
        return ()
    rows, columns = _cell_edges(values.shape, height, width, preprocessing)
    visible = (np.diff(rows) > 0)[:, None] & (np.diff(columns) > 0)
    return tuple(
        _part([Box(columns[x], rows[y], columns[x + 1], rows[y + 1]) for y, x in cells])
        for cells in connected_parts((values > threshold * peak) & visible)
    )


def smoothing(cam: ClassActivationMap) -> float:
    """The standard deviation, in cells, of the Gaussian that a map is smoothed with; 0 for none."""
    return SMOOTHING * max(cam.values.shape) if METHODS[cam.method].of_pixels else 0.0


def smoothed(cam: ClassActivationMap) -> Floats:
    """The values (h, w) in which the parts of a map are looked for.

    Its own, but for a method that has a value for each pixel: these are smoothed, so that each is
    the mean of what is around it. Evidence keeps its sign. That of a sensitivity says only whether
    more or less light raises the score, so there its absolute values are smoothed.
    """
    sensitivity = METHODS[cam.method].shows == "sensitivity"
    return blur(np.abs(cam.values) if sensitivity else cam.values, smoothing(cam))


def peaks(
    values: Floats, height: int, width: int, preprocessing: Preprocessing
) -> tuple[tuple[float, float], ...]:
    """The middles (x, y) of the cells with the largest value, in pixels of the photo.

    Of a padded photo one may be outside, in the border.

    Args:
        values: (h, w) raw and signed.
        height: of the photo.
        width: of the photo.
        preprocessing: how the photo became the network's input.
    """
    seen = seen_region(height, width, preprocessing)
    down, across = seen.height / values.shape[0], seen.width / values.shape[1]
    return tuple(
        (seen.left + (column + 0.5) * across, seen.top + (row + 0.5) * down)
        for row, column in np.argwhere(values == values.max()).tolist()
    )


def contours(cells: Iterable[Box]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """The contours of cells of one grid: rings of corners (x, y), in pixels of the photo.

    A ring ends at its first corner, which is not repeated. Outer rings run clockwise on the screen,
    those around holes counterclockwise. No ring meets itself: cells that touch at a corner alone
    have a ring each. The first corner is the topmost, and so is the first ring.

    Args:
        cells: disjoint, and with the same edges where they are side by side.
    """
    edges: dict[tuple[Point, Point], None] = {}
    for cell in cells:
        corners = (
            (cell.left, cell.top),
            (cell.right, cell.top),
            (cell.right, cell.bottom),
            (cell.left, cell.bottom),
        )
        for start, end in zip(corners, (*corners[1:], corners[0]), strict=True):
            # The edge between two cells is there twice, once in each direction.
            if (end, start) in edges:
                del edges[end, start]
            else:
                edges[start, end] = None
    following: dict[Point, list[Point]] = {}
    for start, end in edges:
        following.setdefault(start, []).append(end)
    rings = []
    for start in list(following):
        while following[start]:
            rings += _rings_from(start, following)
    return tuple(sorted(map(_without_straight, rings), key=lambda ring: _from_the_top(ring[0])))


def localization_record(
    cam: ClassActivationMap,
    height: int,
    width: int,
    preprocessing: Preprocessing,
    threshold: float,
    parts: Iterable[FoundPart],
) -> dict[str, Any]:
    """Where a class was found, as JSON stores it.

    ``smoothing`` is the standard deviation of the Gaussian that the map was smoothed with first, in
    pixels of the network's input; 0 where it was not.

    Args:
        cam: the map.
        height: of the photo.
        width: of the photo.
        preprocessing: how the photo became the network's input.
        threshold: the one that the parts were found with.
        parts: what was found.
    """
    return {
        "width": width,
        "height": height,
        "class": cam.target,
        "against": cam.against,
        "method": cam.method,
        "layer": cam.layer,
        "threshold": threshold,
        "smoothing": smoothing(cam),
        "peaks": [] if why_empty(cam) else peaks(smoothed(cam), height, width, preprocessing),
        "parts": [
            {"box": asdict(part.box), "cells": len(part.cells), "contours": contours(part.cells)}
            for part in parts
        ],
    }


def connected_parts(mask: NDArray[np.bool_]) -> list[list[_Cell]]:
    """The connected parts of a mask (h, w), as rows and columns of cells; the largest first.

    Cells that touch at a side or a corner are connected. Of equal parts the topmost is first, and
    of these the one farthest to the left.
    """
    remaining = dict.fromkeys(zip(*(index.tolist() for index in np.nonzero(mask)), strict=True))
    parts = []
    while remaining:
        parts.append(_take_part(remaining))
    # Stable: in the order in which they begin, from the top and the left.
    return sorted(parts, key=len, reverse=True)


def _take_part(remaining: dict[_Cell, None]) -> list[_Cell]:
    """Removes the first cell from ``remaining``, and all that are connected to it."""
    start = next(iter(remaining))
    del remaining[start]
    part = [start]
    # The list grows while it is gone through.
    for row, column in part:
        for cell in (
            (y, x) for y in range(row - 1, row + 2) for x in range(column - 1, column + 2)
        ):
            if cell in remaining:
                del remaining[cell]
                part.append(cell)
    return part


def _cell_edges(
    shape: tuple[int, ...], height: int, width: int, preprocessing: Preprocessing
) -> tuple[list[int], list[int]]:
    """The edges of a map's rows and columns in pixels of a photo, none outside it."""
    seen = seen_region(height, width, preprocessing)

    def edges(start: float, length: float, cells: int, size: int) -> list[int]:
        steps = start + np.arange(cells + 1) * (length / cells)
        return [int(edge) for edge in np.clip(np.rint(steps), 0, size)]

    return (
        edges(seen.top, seen.height, shape[0], height),
        edges(seen.left, seen.width, shape[1], width),
    )


def _part(cells: list[Box]) -> FoundPart:
    return FoundPart(
        Box(
            min(cell.left for cell in cells),
            min(cell.top for cell in cells),
            max(cell.right for cell in cells),
            max(cell.bottom for cell in cells),
        ),
        tuple(cells),
    )


def _rings_from(start: Point, following: dict[Point, list[Point]]) -> list[list[Point]]:
    """Takes the edges of one way around from ``following``: a ring, and what it would cut off."""
    rings = []
    path = [start]
    while following[path[-1]]:
        point = following[path[-1]].pop()
        if point in path:
            at = path.index(point)
            rings.append(path[at:])
            del path[at + 1 :]
        else:
            path.append(point)
    return rings


def _without_straight(ring: list[Point]) -> tuple[Point, ...]:
    """A ring without the points at which it goes straight on, from its topmost corner."""
    corners = [
        point
        for before, point, after in zip([ring[-1], *ring], ring, [*ring[1:], ring[0]], strict=False)
        if (before[0] == point[0]) != (point[0] == after[0])
    ]
    first = corners.index(min(corners, key=_from_the_top))
    return tuple(corners[first:] + corners[:first])


def _from_the_top(point: Point) -> Point:
    """What sorts points row by row."""
    x, y = point
    return y, x
