"""The picture that excites a channel or a class most, by gradient ascent on its pixels.

Erhan et al. 2009, "Visualizing higher-layer features of a deep network"; Olah et al. 2017, "Feature
visualization", https://distill.pub/2017/feature-visualization. The steps are taken on the
parameters of pictures (``forms``), and the network sees copies that are shifted, turned and scaled
at random.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnviz.errors import LayerError, ModelError, TargetError
from cnnviz.features.forms import FORMS
from cnnviz.features.found import better, joined, lasts, result
from cnnviz.features.objectives import (
    CROPS,
    MOST_AT_ONCE,
    MOST_COPIES,
    MOST_SIDE,
    MOST_STEPS,
    Ascent,
    AscentQuestion,
    AscentState,
    Maximised,
    Objective,
    PictureCheck,
)
from cnnviz.features.ways import before_activation, usual
from cnnviz.networks import passes
from cnnviz.networks.keras_start import start_keras
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index, class_probabilities
from cnnviz.photos.preprocessing import scale_pixels

# Adam (Kingma and Ba 2015, arXiv 1412.6980).
_MOMENTUM, _SQUARES, _TINY = 0.9, 0.999, 1e-8
# Steps between two reports.
_AT_ONCE = 5
# The sides of other crops as shares of the picture's, and the quality of their JPEG files.
_SHARES, _QUALITY = (0.85, 0.97), 75
# A smaller picture has no room for a pattern.
_LEAST_SIDE = 8

# Is told the number of steps done, and of all.
Progress = Callable[[int, int], None]


def maximise(
    network: Network,
    objectives: Sequence[Objective],
    ascents: Sequence[Ascent] = (),
    *,
    start: NDArray[np.uint8] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Maximised:
    """The pictures that excite each of some channels of one layer most, or each of some classes.

    Where the network no longer says a class after another crop and JPEG compression, the next way
    is tried, and the better picture is kept.

    Args:
        network: the network.
        objectives: all of one layer, or all classes. A picture is the same, up to rounding,
            whatever else is asked for with it.
        ascents: ways to search for them, of one size; the usual ones, if none.
        start: (side, side, C) uint8 to start from; random parameters if None.
        seed: of all that is random in the usual ways.
        progress: is told after some steps how many are done; what it raises ends the search.

    Raises:
        LayerError: the layer does not exist, is never run, gives no maps, or lacks the channel.
        TargetError: there is no such class, or no objective.
        ModelError: TensorFlow cannot run the network on a picture of this size.
    """
    if not objectives:
        raise TargetError("Name at least one channel or class.")
    ways = ascents or usual_ascents(network, objectives[0], seed)
    batches = [
        tuple(objectives[first : first + MOST_AT_ONCE])
        for first in range(0, len(objectives), MOST_AT_ONCE)
    ]
    total, done = len(batches) * ways[0].steps, 0

    def report(step: int, _: int) -> None:
        if progress is not None:
            progress(done + step, total)

    found = []
    for batch in batches:
        best = _search(network, AscentQuestion(batch, ways[0], start), report)
        done += ways[0].steps
        for way in ways[1:]:
            doubtful = tuple(
                objective
                for objective, values in zip(batch, best.check.values, strict=True)
                if objective.layer is None and not lasts(values)
            )
            if doubtful:
                total += way.steps
                best = better(best, _search(network, AscentQuestion(doubtful, way, start), report))
                done += way.steps
        found.append(best)
    return joined(found)


def usual_ascents(network: Network, objective: Objective, seed: int = 0) -> list[Ascent]:
    """The usual ways to search for a picture, the first one first.

    Raises:
        ModelError: the network takes only pictures that are not square.
    """
    nodes = passes.facts(network).topology.nodes
    return usual(network.card, nodes, of_class=objective.layer is None, seed=seed)


def _search(network: Network, question: AscentQuestion, progress: Progress) -> Maximised:
    state: AscentState | None = None
    while state is None or state.step < question.ascent.steps:
        state = ascend(network, question, state, _AT_ONCE)
        progress(state.step, question.ascent.steps)
    check = check_pictures(network, question.objectives, state.pictures, question.ascent.seed)
    return result(question, state, check)


def begin(
    network: Network,
    objectives: Sequence[Objective],
    ascent: Ascent,
    start: NDArray[np.uint8] | None = None,
) -> AscentState:
    """The state of pictures before the first step; they are grey until that is done."""
    channels = min(network.card.preprocessing.channels, 3)
    form, side, count = FORMS[ascent.form], ascent.side, len(objectives)
    if start is None:
        # One picture does not depend on those beside it.
        drawn = [
            form.draw(np.random.default_rng([ascent.seed, one.index]), side, channels)
            for one in objectives
        ]
        parameters = np.stack(drawn)
    else:
        if start.shape != (side, side, channels):
            raise ValueError(
                f"Expected a start of {(side, side, channels)}. Received: {start.shape}"
            )
        parameters = np.repeat(form.of_picture(start)[None], count, axis=0)
    zeros = np.zeros_like(parameters)
    pictures = np.full((count, side, side, channels), 128, np.uint8)
    return AscentState(0, parameters, zeros, zeros, np.zeros((count, 0), np.float32), pictures)


def control(network: Network, objectives: Sequence[Objective], ascent: Ascent) -> AscentState:
    """What the form of the pictures draws alone: the random ones that the ascent starts from."""
    question = AscentQuestion(tuple(objectives), dataclasses.replace(ascent, steps=1))
    return ascend(network, question, None, 1)


def ascend(
    network: Network, question: AscentQuestion, state: AscentState | None, steps: int
) -> AscentState:
    """Some steps more, at most to the ascent's last one; see ``maximise``.

    The same state follows, however the steps are cut into parts.

    Args:
        network: the network.
        question: what is searched for.
        state: where the search is; None begins it.
        steps: how many.
    """
    objectives, ascent = question.objectives, question.ascent
    _check_limits(question)
    layer, numbers, rivals = _read_from(network, objectives)
    if state is None:
        state = begin(network, objectives, ascent, question.start)
    start_keras()
    from cnnviz.features import ascents

    try:
        take_step = ascents.compiled(network, layer, len(objectives), ascent)
    except ModelError as error:
        size = network.card.preprocessing
        if (size.height, size.width) == (ascent.side, ascent.side):
            raise
        raise ModelError(
            f"This network cannot be run on a picture of {ascent.side} × {ascent.side} pixels: "
            f"some of its layers need the {size.height} × {size.width} that it was built for."
        ) from error
    parameters, mean, square = state.parameters, state.mean, state.square
    values, pictures = [state.values], state.pictures
    last = min(state.step + steps, ascent.steps)
    for number in range(state.step + 1, last + 1):
        value, slope, shown = take_step(parameters, numbers, rivals, number)
        mean = _MOMENTUM * mean + (1 - _MOMENTUM) * slope
        square = _SQUARES * square + (1 - _SQUARES) * slope**2
        unbiased = mean / (1 - _MOMENTUM**number)
        scale = np.sqrt(square / (1 - _SQUARES**number)) + _TINY
        parameters = (parameters + ascent.rate * unbiased / scale).astype(np.float32)
        values.append(value[:, None])
        pictures = shown
    return AscentState(last, parameters, mean, square, np.concatenate(values, axis=1), pictures)


def _check_limits(question: AscentQuestion) -> None:
    ascent, count = question.ascent, len(question.objectives)
    within = (
        0 < count <= MOST_AT_ONCE
        and _LEAST_SIDE <= ascent.side <= MOST_SIDE
        and 0 < ascent.steps <= MOST_STEPS
        and 0 < ascent.copies <= MOST_COPIES
    )
    if not within:
        raise ValueError(
            f"Expected 1 to {MOST_AT_ONCE} objectives, a side of {_LEAST_SIDE} to {MOST_SIDE}, at "
            f"most {MOST_STEPS} steps and {MOST_COPIES} copies. Received: {count} and {ascent}"
        )


def _read_from(
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
            if one.against == one.index:
                raise TargetError("A class is not set against itself. Choose another one.")
    topology = passes.facts(network).topology
    if layer is not None and layer not in topology.nodes:
        raise LayerError(f"This network has no layer {layer!r} that is run.")
    path = None if layer is None else before_activation(topology.nodes, layer)
    numbers = np.array([one.index for one in objectives], np.int32)
    rivals = np.array([-1 if one.against is None else one.against for one in objectives], np.int32)
    if path is not None:
        shape = topology.nodes[path].shape
        if shape is None or len(shape) != 3:
            raise LayerError(f"The layer {layer!r} gives no maps. Choose a layer before it.")
        if numbers.min() < 0 or numbers.max() >= shape[2]:
            raise LayerError(
                f"The layer {layer!r} has the channels 0 to {shape[2] - 1}. "
                f"Received: {numbers.tolist()}"
            )
    return path, numbers, rivals


def check_pictures(
    network: Network,
    objectives: Sequence[Objective],
    pictures: NDArray[np.uint8],
    seed: int = 0,
    crops: int = CROPS,
) -> PictureCheck:
    """What the network says of pictures (N, side, side, C) after other crops and JPEG compression.

    A picture may excite a network by details that no photo has, and that are lost at once. Crops
    of a class's picture are enlarged to the network's input; those of a channel's keep their scale
    and are continued by reflection.

    Args:
        network: the network.
        objectives: what each picture was made for.
        pictures: the pictures.
        seed: of the crops.
        crops: how many of each picture.

    Raises:
        LayerError: as ``ascend``.
        TargetError: as ``ascend``.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    layer, numbers, _ = _read_from(network, objectives)
    values, labels = [], []
    for picture, number in zip(pictures, numbers, strict=True):
        generator = np.random.default_rng([seed, int(number)])
        others = [_other_crop(picture, generator) for _ in range(crops)]
        views = np.stack([_fitted(crop, network, enlarge=layer is None) for crop in others])
        inputs = scale_pixels(views, network.card.preprocessing.scaling)
        answers = passes.forward(network, inputs, [] if layer is None else [layer])
        if layer is not None:
            values.append(answers.layers[layer][..., number].mean(axis=(1, 2)))
            continue
        probabilities = class_probabilities(passes.facts(network).head, answers.output)
        values.append(probabilities[:, number])
        labels.append(network.card.labels[int(probabilities.mean(axis=0).argmax())])
    return PictureCheck(np.stack(values).astype(np.float32), tuple(labels))


def _other_crop(picture: NDArray[np.uint8], generator: np.random.Generator) -> Image.Image:
    """A part of a picture, which was a JPEG file."""
    side = len(picture)
    edge = max(1, round(side * generator.uniform(*_SHARES)))
    top, left = generator.integers(0, side - edge + 1, 2)
    crop = picture[top : top + edge, left : left + edge]
    return _as_jpeg(crop)


def _as_jpeg(pixels: NDArray[np.uint8]) -> Image.Image:
    """Pixels (h, w, C) as a JPEG file has them."""
    file = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(file, "JPEG", quality=_QUALITY)
    with Image.open(file) as stored:
        stored.load()
        return stored


def _fitted(image: Image.Image, network: Network, *, enlarge: bool) -> NDArray[np.uint8]:
    """A crop as the network takes it: (h, w, C)."""
    size = network.card.preprocessing
    if enlarge:
        image = image.resize((size.width, size.height), Image.Resampling.BICUBIC)
    view = np.asarray(image)
    view = view if view.ndim == 3 else view[..., None]
    view = view[: size.height, : size.width]
    missing = size.height - view.shape[0], size.width - view.shape[1]
    view = np.pad(view, ((0, missing[0]), (0, missing[1]), (0, 0)), "reflect")
    if size.channels == 4:
        view = np.dstack([view, np.full(view.shape[:2], 255, np.uint8)])
    return view
