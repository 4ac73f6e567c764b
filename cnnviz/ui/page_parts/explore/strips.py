"""The strip of stages above a focus view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.drawing import Shading, finite
from cnnviz.results import ClassActivationMap
from cnnviz.traces import StagedExplanation
from cnnviz.ui.components.focus import StripTile
from cnnviz.ui.page_parts.explore.arithmetic import arranged, thumbnail
from cnnviz.ui.page_parts.explore.content import colours_of, common_limits

# Cells of a tile along its longer side.
_TILE = 56


def strip(
    staged: StagedExplanation, here: StripTile | None, order: Sequence[str]
) -> list[StripTile]:
    """The stages as tiles, with the layer that is shown among them, or in its place.

    Args:
        staged: the photo's way through the network.
        here: the tile of the layer that is shown; None where it has none.
        order: the paths of all layers in their order.
    """
    tiles = []
    limits = common_limits(staged.stages)
    for stage in staged.stages:
        height, width, _ = stage.maps.shape
        shading = colours_of(stage.limits, limits)
        tiles.append(
            StripTile(
                stage.path,
                f"{height} × {width}",
                f"× {stage.channels:,}",
                thumbnail(stage.maps[..., 0], _TILE),
                shading.limits,
                shading.colours,
                False,
            )
        )
    if here is None:
        return tiles
    paths = [tile.path for tile in tiles]
    if here.path in paths:
        tiles[paths.index(here.path)] = here
        return tiles
    # The second call of a shared layer has a number after its path.
    places = {path: at for at, path in enumerate(order)}
    last = len(order)
    at = places.get(here.path, places.get(here.path.partition("#")[0], last))
    before = sum(places.get(path, last) < at for path in paths)
    return [*tiles[:before], here, *tiles[before:]]


def layer_tile(path: str, values: Floats, channel: int | None, shading: Shading) -> StripTile:
    """The tile of a layer; of a channel, or of its strongest one."""
    if values.ndim != 3 or values.size == values.shape[-1]:
        name, note = f"{values.shape[-1]:,}", "units"
        small = thumbnail(arranged(values.ravel()), _TILE)
        return StripTile(path, name, note, small, shading.limits, shading.colours, True, False)
    height, width, total = values.shape
    if channel is None:
        channel = int(np.nan_to_num(finite(values)).std(axis=(0, 1)).argmax())
    small = thumbnail(values[..., channel], _TILE)
    name, note = f"{height} × {width}", f"× {total:,}"
    return StripTile(path, name, note, small, shading.limits, shading.colours, True)


def class_tile(cam: ClassActivationMap, limit: float) -> StripTile:
    """The tile of a class's map."""
    values, limits = finite(cam.values)[None], (-limit, limit)
    return StripTile("", cam.target, "class map", values, limits, "blue-orange", True, False)
