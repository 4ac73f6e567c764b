"""Class activation maps with more cells than the layer has.

The last maps of a network are coarse: 7×7 cells are usual. Three ways lead to finer ones, see
``details``: maps of shifted copies of the photo, put together; a larger photo, where the network
takes one; and maps of earlier layers, fused with those of the last (Jiang et al. 2021, "LayerCAM:
exploring hierarchical class activation maps for localization").
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

import numpy as np

from cnnviz.arrays import Floats, rectify, resize
from cnnviz.attribution import details, map_terms
from cnnviz.attribution.details import DETAILS, DOUBLE, FUSED, SHIFTED
from cnnviz.attribution.formulas import weighted
from cnnviz.attribution.series import Series
from cnnviz.errors import LayerError, ModelError, TargetError
from cnnviz.evidence import why_empty
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_scores
from cnnviz.networks.receptive_fields import cell_step
from cnnviz.networks.stages import choose_stages
from cnnviz.networks.structure import no_output
from cnnviz.results import ClassActivationMap

if TYPE_CHECKING:
    from cnnviz.attribution.methods import Method
    from cnnviz.attribution.series_runs import Subject

# The factor of Jiang et al. before the tanh: maps of early layers have few large values, and the
# others would vanish beside the maps of the last layer.
_SCALE = 2.0
# Details for which one photo after the other is explained.
BY_PHOTO = (*SHIFTED, FUSED)


def check(network: Network, method: Method, detail: str, layer: str | None) -> None:
    """Checks that a method's maps can be had in a detail.

    Args:
        network: the network.
        method: one that fits it.
        detail: a key of ``DETAILS``.
        layer: the chosen layer, if one is.

    Raises:
        TargetError: they cannot.
        LayerError: there is no such layer, or the network has none with maps.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    details.check(method, detail, layer)
    if detail in SHIFTED:
        path = _path(network, method, layer)
        if path not in passes.facts(network).topology.nodes:
            raise no_output(path, (one.path for one in network.layers))
        steps(network, path, DETAILS[detail].shifts)


# --- A larger photo ---------------------------------------------------------------------------


def doubled(network: Network, layer: str | None = None) -> Network:
    """The same network for photos of twice the size; model and compiled passes are shared.

    Args:
        network: the network.
        layer: the layer that is to be explained; the last one with maps if None.

    Raises:
        TargetError: the network takes photos of one size only, or scales each to it; with reason.
        LayerError: the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    facts = passes.facts(network)
    reason = f"The detail {DOUBLE!r} does not fit this network: "
    if facts.head.flattened:
        raise TargetError(
            f"{reason}it flattens its maps into dense layers, which have a weight for every place, "
            "and so takes photos of one size only."
        )
    card = network.card.model_copy(update={"preprocessing": network.card.preprocessing.doubled()})
    # A model may declare one size where all its layers take others, so the check of a card, which
    # goes by what is declared, is left out: the network is run.
    larger = dataclasses.replace(network, card=card)
    try:
        nodes = passes.facts(larger).topology.nodes
    except ModelError as error:
        # One of its layers has a fixed size, or it would take too much memory.
        raise TargetError(f"{reason}{error}") from error
    path = layer or facts.head.last_spatial
    if path in nodes and nodes[path].grid == facts.topology.nodes[path].grid:
        raise TargetError(
            f"{reason}the maps of {path!r} have no more cells then, since the network scales every "
            "photo to one size."
        )
    return larger


# --- Shifted copies ---------------------------------------------------------------------------


def offsets(step: float, copies: int) -> list[int]:
    """By how many pixels copies are shifted so that their cells lie evenly in those of the layer.

    Args:
        step: from one cell of the layer to the next, in pixels.
        copies: along one side.

    Returns:
        Whole pixels: a shift is exact, and places are so up to half a pixel.

    Example:
        >>> offsets(32, 2), offsets(32, 4)
        ([-8, 8], [-12, -4, 4, 12])
    """
    middle = (copies - 1) / 2
    # Rounded to one side: Python rounds halves to even numbers, and two shifts would be one.
    return [math.floor((copy - middle) * step / copies + 0.5) for copy in range(copies)]


def shifted(inputs: Floats, down: int, right: int) -> Floats:
    """A copy (h, w, C) of a network's input whose pixel (y, x) is that of (y + down, x + right).

    What lies beyond an edge is mirrored: it has the colours and the texture of the photo, and no
    edge of its own, which black or a repeated last row would have. The outermost pixels, not
    repeated, are the mirror.

    Args:
        inputs: (h, w, C).
        down: less than h in size.
        right: less than w in size.
    """
    rows, columns = (
        _mirrored(length, shift)
        for length, shift in zip(inputs.shape[:2], (down, right), strict=True)
    )
    return inputs[rows][:, columns]


def _mirrored(length: int, shift: int) -> Floats:
    places = np.abs(np.arange(length) + shift)
    return (length - 1) - np.abs(length - 1 - places)


def _copies(side: int) -> Series:
    """The series of ``side`` × ``side`` shifted copies, a run for each."""

    def part(about: Subject, numbers: range, count: int) -> Floats:
        path = _path(about.network, cast("Method", about.method), about.layer)
        downs, rights = (offsets(step, side) for step in steps(about.network, path, side))
        total: Floats | None = None
        for number in numbers:
            row, column = divmod(number, side)
            copy = shifted(about.inputs, downs[row], rights[column])
            maps = np.stack([cam.values for cam in _maps(about, copy)])
            if total is None:
                classes, height, width = maps.shape
                total = np.zeros((classes, side * height, side * width))
            # Cell i of a copy that is shifted by d lies d pixels further on in the photo.
            total[:, row::side, column::side] = maps
        return cast(Floats, total)

    return Series(lambda about, wanted: side**2, part)


SHIFTS = {key: _copies(DETAILS[key].shifts) for key in SHIFTED}


def from_shifts(about: Subject, total: Floats, detail: str) -> tuple[ClassActivationMap, ...]:
    """The maps of a subject's classes, from the sum over all runs of a series of ``SHIFTS``."""
    return tuple(
        # The cells of shifted copies add up to the scores of those.
        dataclasses.replace(cam, values=values.astype(np.float32), bias=None, detail=detail)
        for cam, values in zip(_maps(about, about.inputs), total, strict=True)
    )


def steps(network: Network, path: str, side: int) -> tuple[float, float]:
    """From one cell of a layer to the next, down and across, in pixels of the network's input.

    Args:
        network: the network.
        path: of the layer.
        side: how many times finer its maps are to be.

    Raises:
        TargetError: there are no ``side`` different shifts of whole pixels within a cell.
    """
    topology = passes.facts(network).topology
    found: tuple[float, float] | None = cell_step(topology, path)
    if found is None:
        # As if the cells shared out the input.
        height, width, _ = topology.nodes[path].grid or (1, 1, 1)
        size = network.card.preprocessing
        found = size.height / height, size.width / width
    if min(found) < side:
        raise TargetError(
            f"The maps of {path!r} cannot be had {side} times finer: from one cell to the next it "
            f"is {min(found):g} pixel{'s' * (min(found) != 1)} of the network’s input."
        )
    return found


def _path(network: Network, method: Method, layer: str | None) -> str:
    head = passes.facts(network).head
    return map_terms.maps_path(head, layer) if method.needs == "layer" else str(head.features)


def _maps(about: Subject, inputs: Floats) -> list[ClassActivationMap]:
    """The maps of a subject's classes for a network input (h, w, C), with the layer's own cells."""
    method, network = cast("Method", about.method), about.network
    of_rival: dict[int | None, list[int]] = defaultdict(list)
    for target in about.targets:
        of_rival[_rival(about, method, target)].append(target)
    found: dict[int, ClassActivationMap] = {}
    for rival, targets in of_rival.items():
        batch = inputs[None].astype(np.float32)
        terms = map_terms.run(network, batch, targets, method, about.layer, rival)[2]
        found |= {one: map_terms.make_map(network, method, one, terms(0, one)) for one in targets}
    return [found[target] for target in about.targets]


def _rival(about: Subject, method: Method, target: int) -> int | None:
    """The class whose score is subtracted; one for all copies, where the method looks for it."""
    if about.against is not None or method.against != "nearest":
        return about.against
    scores = class_scores(about.values.output, about.values.logits)[0]
    return map_terms.nearest(scores, target)


# --- Earlier layers ---------------------------------------------------------------------------


def fused(about: Subject) -> tuple[ClassActivationMap, ...]:
    """The maps of a subject's classes, each fused of those of the layers of ``choose_stages``.

    Raises:
        LayerError: the network has no layer with maps that has learned something.
    """
    network, method = about.network, cast("Method", about.method)
    facts = passes.facts(network)
    paths = choose_stages(network.layers, facts.makers, facts.head)
    if not paths:
        raise LayerError("This network has no convolution with maps, so there is nothing to fuse.")
    rival = None
    if about.against is not None:
        rival = passes.backward(network, about.inputs[None], paths, about.against).gradients

    def of_class(cam: ClassActivationMap, target: int) -> ClassActivationMap:
        # Divided by its largest value, a map that says nothing would look as if it did.
        if why_empty(cam):
            return cam
        own = passes.backward(network, about.inputs[None], paths, target)
        maps = []
        for path in paths:
            gradients = own.gradients[path]
            if rival is not None:
                gradients = gradients - method.strength * rival[path]
            layer = own.layers[path]
            formula = cast("Callable[..., Floats]", method.weights)
            maps.append(weighted(layer, formula(layer, gradients))[0])
        return dataclasses.replace(cam, values=fuse(maps), bias=None, detail=FUSED)

    return tuple(map(of_class, _maps(about, about.inputs), about.targets))


def fuse(maps: Iterable[Floats]) -> Floats:
    """One map (h, w) float32 of several layers' maps, as Jiang et al. 2021 fuse them.

    Of each the positive part, divided by its largest value, goes through tanh(2 x); the largest
    of these values counts at each place. So a value is between 0 and tanh(2), about 0.96.

    Args:
        maps: (h_l, w_l) each; the result has as many rows and columns as the largest of them.

    Example:
        >>> fuse([np.array([[4.0, 0.0], [0.0, 2.0]]), np.array([[-1.0]])]).round(2)
        array([[0.96, 0.  ],
               [0.  , 0.76]], dtype=float32)
    """
    positive = [rectify(one) for one in maps]
    height, width = (max(one.shape[axis] for one in positive) for axis in (0, 1))
    scaled = [np.tanh(_SCALE * one / (one.max() or 1)) for one in positive]
    return np.max([resize(one, height, width) for one in scaled], axis=0)
