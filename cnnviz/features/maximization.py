"""The picture that excites a channel or a class most, by gradient ascent on its pixels.

Erhan et al. 2009, "Visualizing higher-layer features of a deep network"; Olah et al. 2017, "Feature
visualization", https://distill.pub/2017/feature-visualization. The steps are taken in a Fourier
basis with decorrelated colours, on copies that are shifted, turned and scaled at random.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cnnviz.errors import LayerError
from cnnviz.features.objectives import OF_CHANNELS, OF_CLASSES, Ascent, AscentState, Objective
from cnnviz.networks import passes
from cnnviz.networks.keras_start import start_keras
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index
from cnnviz.networks.topology import Topology

# Adam (Kingma and Ba 2015, arXiv 1412.6980).
_MOMENTUM, _SQUARES, _TINY = 0.9, 0.999, 1e-8
# Steps of one part, where the caller does not say how many.
_AT_ONCE = 10

# Is told the number of steps done, and of all.
Progress = Callable[[int, int], None]


def maximise(
    network: Network,
    objectives: Sequence[Objective],
    ascent: Ascent | None = None,
    *,
    start: NDArray[np.uint8] | None = None,
    progress: Progress | None = None,
) -> AscentState:
    """The pictures that excite each of some channels of one layer most, or each of some classes.

    Args:
        network: the network.
        objectives: all of one layer, or all classes: one picture each, in one batch.
        ascent: how they are searched for; the usual way for channels, or for classes, if None.
        start: (side, side, C) uint8 to start from; grey noise if None.
        progress: is told after some steps how many are done; what it raises ends the search.

    Raises:
        LayerError: the layer does not exist, is never run, gives no maps, or lacks the channel.
        TargetError: there is no such class.
        ModelError: TensorFlow cannot run the network on a picture of this size.
    """
    chosen = usual(network, objectives[0]) if ascent is None else ascent
    state = begin(network, len(objectives), chosen, start)
    while state.step < chosen.steps:
        state = ascend(network, objectives, chosen, state, _AT_ONCE)
        if progress is not None:
            progress(state.step, chosen.steps)
    return state


def usual(network: Network, objective: Objective) -> Ascent:
    """The usual ascent for a channel, or for a class at the size of the network's input."""
    if objective.layer is not None:
        return OF_CHANNELS
    return dataclasses.replace(OF_CLASSES, side=network.card.preprocessing.height)


def begin(
    network: Network, count: int, ascent: Ascent, start: NDArray[np.uint8] | None = None
) -> AscentState:
    """The state of ``count`` pictures before the first step."""
    from cnnviz.features import fourier

    channels = min(network.card.preprocessing.channels, 3)
    if start is None:
        random = np.random.default_rng(ascent.seed)
        spectrum = fourier.noise(random, count, ascent.side, channels)
    else:
        spectrum = np.repeat(fourier.spectrum_of(start)[None], count, axis=0)
    zeros = np.zeros_like(spectrum)
    pictures = np.full((count, ascent.side, ascent.side, channels), 128, np.uint8)
    return AscentState(0, spectrum, zeros, zeros, np.zeros((count, 0), np.float32), pictures)


def ascend(
    network: Network,
    objectives: Sequence[Objective],
    ascent: Ascent,
    state: AscentState,
    steps: int,
) -> AscentState:
    """Some steps more, at most to the ascent's last one; see ``maximise``."""
    start_keras()
    from cnnviz.features import ascents

    layer, numbers, rivals = _compiled_for(network, objectives)
    take_step = ascents.compiled(network, layer, len(objectives), ascent)
    spectrum, mean, square = state.spectrum, state.mean, state.square
    values, pictures = [state.values], state.pictures
    last = min(state.step + steps, ascent.steps)
    for number in range(state.step + 1, last + 1):
        value, slope, shown = take_step(spectrum, numbers, rivals, number)
        mean = _MOMENTUM * mean + (1 - _MOMENTUM) * slope
        square = _SQUARES * square + (1 - _SQUARES) * slope**2
        unbiased = mean / (1 - _MOMENTUM**number)
        scale = np.sqrt(square / (1 - _SQUARES**number)) + _TINY
        spectrum = (spectrum + ascent.rate * unbiased / scale).astype(np.float32)
        values.append(value[:, None])
        pictures = shown
    return AscentState(last, spectrum, mean, square, np.concatenate(values, axis=1), pictures)


def _compiled_for(
    network: Network, objectives: Sequence[Objective]
) -> tuple[str | None, NDArray[np.int32], NDArray[np.int32]]:
    """The layer to read, and of each objective its index and that of its rival, -1 for none."""
    layers = {one.layer for one in objectives}
    if len(layers) != 1:
        raise LayerError("Pictures of one batch are all of one layer, or all of classes.")
    (layer,) = layers
    for one in objectives:
        if layer is None:
            class_index(network, one.index)
            if one.against is not None:
                class_index(network, one.against)
    path = None if layer is None else before_activation(passes.facts(network).topology, layer)
    numbers = np.array([one.index for one in objectives], np.int32)
    rivals = np.array([-1 if one.against is None else one.against for one in objectives], np.int32)
    if path is not None:
        shape = passes.facts(network).topology.nodes[path].shape
        if shape is None or len(shape) != 3:
            raise LayerError(f"The layer {layer!r} gives no maps. Choose a layer before it.")
        if numbers.min() < 0 or numbers.max() >= shape[2]:
            raise LayerError(
                f"The layer {layer!r} has the channels 0 to {shape[2] - 1}. "
                f"Received: {numbers.tolist()}"
            )
    return path, numbers, rivals


def before_activation(topology: Topology, layer: str) -> str:
    """The path of what an activation such as ReLU takes; of another layer its own.

    Behind a ReLU a channel that is silent everywhere has no gradient that would wake it.

    Raises:
        LayerError: the layer does not exist or is never run.
    """
    if layer not in topology.nodes:
        raise LayerError(f"This network has no layer {layer!r} that is run.")
    node = topology.nodes[layer]
    if node.kind in {"ReLU", "Activation", "LeakyReLU", "ELU"} and len(node.inputs) == 1:
        return node.inputs[0]
    return layer
