"""The few layers that show how a network gets from a photo to its last maps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from cnnviz.networks.values import Head
from cnnviz.results import LayerInfo

# Resolutions that are shown at most.
_MAX_STAGES = 5
# Layers that are shown of a network whose maps all have the same size.
_EVEN_STAGES = 4


def choose_stages(
    layers: Sequence[LayerInfo], makers: Mapping[str, str], head: Head
) -> tuple[str, ...]:
    """The paths of at most five layers with maps, from the photo to the last maps.

    For each resolution it is the layer that brings the maps down to it, with what follows channel
    by channel (normalisation, activation); for the last one, the last layer with maps. Of more
    than five resolutions the first, the last, and those after the largest steps are kept. Where
    the resolution never changes, the layers are spread evenly over the depth.

    Args:
        layers: of the network, in order.
        makers: as in ``GraphFacts``.
        head: how the network ends.
    """
    maps = [layer for layer in layers if layer.spatial and not layer.nested]
    # What only scales the photo is not yet a layer that has learned something.
    learned = next((i for i, layer in enumerate(maps) if layer.kernel_shape), None)
    if learned is None:
        return ()
    last = head.features or head.flattened or head.last_spatial
    end = next((i for i, layer in enumerate(maps) if layer.path == last), len(maps) - 1)
    shown = maps[learned : end + 1]
    if not shown:
        return ()
    firsts: dict[int, LayerInfo] = {}
    for layer in shown:
        cells = _cells(layer)
        if not firsts or cells < min(firsts):
            firsts[cells] = layer
    if len(firsts) == 1:
        return _spread(shown, makers)
    stages = [_finished(layer, shown, makers) for layer in firsts.values()]
    stages[-1] = shown[-1]
    kept = _largest_steps(list(firsts))
    return tuple(dict.fromkeys(stages[index].path for index in kept))


def _cells(layer: LayerInfo) -> int:
    """The number of places of a map; a size that is free counts as the largest."""
    height, width = (math.inf if size is None else size for size in layer.output_shape[1:3])
    return int(min(height * width, 1 << 40))


def _finished(
    first: LayerInfo, layers: Sequence[LayerInfo], makers: Mapping[str, str]
) -> LayerInfo:
    """The last layer of the same size whose channels the same convolution made."""
    maker = makers.get(first.path)
    same = [
        layer
        for layer in layers
        if maker is not None
        and makers.get(layer.path) == maker
        and layer.output_shape == first.output_shape
    ]
    return same[-1] if same else first


def _spread(layers: Sequence[LayerInfo], makers: Mapping[str, str]) -> tuple[str, ...]:
    """The finished convolutions among the layers, evenly over the depth, and the last maps."""
    convolutions = [layer for layer in layers if layer.kernel_shape]
    count = min(_EVEN_STAGES, len(convolutions))
    step = (len(convolutions) - 1) / max(count - 1, 1)
    chosen = [convolutions[round(number * step)] for number in range(count)]
    paths = [_finished(layer, layers, makers).path for layer in chosen]
    # The last maps: behind the last convolution branches may meet.
    return tuple(dict.fromkeys([*paths[:-1], layers[-1].path]))


def _largest_steps(cells: list[int]) -> list[int]:
    """The indices of at most five resolutions, in order."""
    if len(cells) <= _MAX_STAGES:
        return list(range(len(cells)))
    steps = [before / after for before, after in itertools.pairwise(cells)]
    between = sorted(range(1, len(cells) - 1), key=lambda index: -steps[index - 1])
    return sorted([0, *between[: _MAX_STAGES - 2], len(cells) - 1])
