"""The smallest part of a photo that keeps an answer, or whose loss changes it, by a search.

Dabkowski and Gal 2017, "Real time image saliency for black box classifiers", call them the smallest
sufficient and the smallest destroying region; Carter et al. 2019, "What made you do this?
Understanding black-box decisions with sufficient input subsets", ask for the former. Parts are
made of cells of a grid here, and the search is greedy: it adds the cell that helps most, until the
part does what it is to do, and then takes away again what the part can do without.

Two things make it quick, and see further. As in the accelerated greedy algorithm (Minoux 1978) a
cell is tried again only if it helped more, when it was last tried, than the best one of this round.
And before anything is added, each cell is left out of the whole: the one that the whole misses most
is tried in each round, and taken where none helps by itself. That is so where two patterns only
count together, or where either of two suffices and both must be hidden.

Unlike in a ``Series`` each run depends on the ones before. So a search is a state, in plain arrays,
and a step leads from one to the next: any process that has the network can take the next step.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.errors import TargetError
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index, class_scores, predict, read_prediction
from cnnviz.numerals import percent
from cnnviz.photos.masking import enlarged, filled
from cnnviz.photos.preprocessing import NetworkView, PhotoInput, network_view, scale_pixels
from cnnviz.results import PartSearch, Prediction, SmallestPart, Stage

# Cells along each side of the grid.
SIDE = 7
# A part keeps an answer if the class stays the answer, with at least this share of its probability.
KEPT = 0.9
# The probability from which a class is an answer where classes do not exclude each other.
_EVEN = 0.5
# Candidates that are run together, and seconds after which a step ends with those that were run.
_AT_ONCE, _SECONDS = 4, 0.15
# Smaller differences of a score are noise of float32 rather than progress.
_LEAST_GAIN = 1e-3


def smallest_part(
    network: Network,
    photo: PhotoInput,
    target: str | int | None = None,
    *,
    keep: bool = True,
    side: int = SIDE,
    filling: str = "blur",
    progress: Callable[[PartSearch], None] | None = None,
) -> SmallestPart:
    """A small part of a photo that keeps the network's answer, or whose loss changes it.

    It is a small part that a search found, and not proven to be the smallest; but what it does was
    checked by a run of the network on the very pixels, and no cell of it can be left out alone.

    A class is the answer if it is the most probable one; where classes do not exclude each other,
    if its probability is at least 50 %. A part keeps the answer if the class remains the answer,
    with at least 90 % of its probability, when all other cells are hidden. The loss of a part
    changes the answer if the class no longer is the answer when the part is hidden.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        target: the answer, by name or number; the predicted class if None.
        keep: whether to look for a part that keeps the answer, or for one whose loss changes it.
        side: cells along each side of the grid; fewer where the network's input has fewer pixels.
        filling: what takes the place of hidden pixels, as in ``occlude``.
        progress: is told of the search after each step, of a few runs; an error that it raises ends
            the search.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8, or there is no such filling.
        TargetError: there is no such class, or it is not the answer for this photo.
        LayerError: the network is a subclassed model.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
    search: PartSearch | None = None
    while search is None or search.stage != "done":
        search = search_part(
            network, photo, search, target=target, keep=keep, side=side, filling=filling
        )
        if progress is not None:
            progress(search)
    steps = network.card.preprocessing
    cells = search.cells > 0
    shown = cells if keep else ~cells
    return SmallestPart(
        search.target,
        keep,
        filling,
        cells,
        ~enlarged(shown, steps.height, steps.width),
        search.probability,
        search.before,
        search.reached,
        search.runs,
    )


def search_part(
    network: Network,
    photo: PhotoInput,
    search: PartSearch | None = None,
    *,
    target: str | int | None = None,
    keep: bool = True,
    side: int = SIDE,
    filling: str = "blur",
) -> PartSearch:
    """The next step of a search: a few runs of the network, for about a sixth of a second.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        search: what the last step returned; None to begin.
        target: as in ``smallest_part``; like the others it counts for the first step alone.
        keep: as ``target``.
        side: as ``target``.
        filling: as ``target``.

    Raises:
        as ``smallest_part``.
    """
    if search is None:
        return _begin(network, photo, target, keep, side, filling)
    end = time.monotonic() + _SECONDS
    pixels = _pixels(network, photo)
    hidden = filled(pixels, search.filling)
    while search.stage != "done" and time.monotonic() < end:
        waiting = _waiting(search)
        if waiting.size:
            search = _try(network, pixels, hidden, search, waiting[:_AT_ONCE])
        else:
            search = _finish_round(search)
    return search


def _begin(
    network: Network,
    photo: PhotoInput,
    target: str | int | None,
    keep: bool,
    side: int,
    filling: str,
) -> PartSearch:
    """A search with an empty part: its two runs are of the whole photo and of that part."""
    prediction = predict(network, photo)
    index = prediction.index if target is None else class_index(network, target)
    label, before = prediction.labels[index], float(prediction.probabilities[index])
    if not _is_answer(prediction, index):
        raise TargetError(
            f"{label!r} is not the network's answer for this photo: it has {percent(before)}. A "
            "part that keeps an answer, or changes it, is looked for where there is one."
        )
    pixels = _pixels(network, photo)
    size = max(1, min(side, *pixels.shape[:2]))
    search = PartSearch(
        target=label,
        keep=keep,
        filling=filling,
        before=before,
        stage="weigh",
        cells=np.zeros((size, size)),
        score=0.0,
        probability=before,
        reached=False,
        weights=np.zeros((size, size)),
        gains=np.full((size, size), np.inf),
        tried=np.full((3, size, size), np.nan),
        runs=2,
    )
    empty = np.zeros((1, size, size), bool)
    ((score, probability, reached),) = _results(
        network, pixels, filled(pixels, filling), search, empty
    )
    return dataclasses.replace(
        search,
        stage="done" if reached else "weigh",
        score=score,
        probability=probability,
        reached=bool(reached),
    )


def _candidates(search: PartSearch) -> NDArray[np.bool_]:
    """The cells (n, n) that a round may add, or take away."""
    if search.stage == "weigh":
        return np.ones(search.cells.shape, bool)
    return (search.cells > 0) != (search.stage == "grow")


def _waiting(search: PartSearch) -> NDArray[np.intp]:
    """The numbers of the cells that are still to be tried in this round, the most promising first.

    To add a cell, those are tried that helped more when they were last tried than the best one of
    this round does, and the one that the whole misses most.
    """
    candidates = _candidates(search)
    waiting = candidates & np.isnan(search.tried[0])
    promise = search.gains.copy()
    if search.stage == "grow":
        promise.flat[_heaviest(search)] = np.inf
        gain = np.nanmax(search.tried[0], initial=-np.inf) - search.score
        waiting &= promise > gain
    order = np.argsort(-promise, axis=None, kind="stable")
    return order[waiting.flat[order]]


def _heaviest(search: PartSearch) -> int:
    """The number of the cell that the whole misses most, of those that are not in the part."""
    return int(np.argmax(np.where(_candidates(search), search.weights, -np.inf)))


def _try(
    network: Network,
    pixels: NDArray[np.uint8],
    hidden: NDArray[np.uint8],
    search: PartSearch,
    numbers: NDArray[np.intp],
) -> PartSearch:
    """The search after runs of some candidates, by the numbers of their cells."""
    whole = np.ones(search.cells.shape, bool) if search.stage == "weigh" else search.cells > 0
    parts = np.repeat(whole[None], len(numbers), axis=0)
    parts.reshape(len(numbers), -1)[np.arange(len(numbers)), numbers] = search.stage == "grow"
    tried = search.tried.copy()
    results = _results(network, pixels, hidden, search, parts)
    tried.reshape(3, -1)[:, numbers] = np.transpose(results)
    return dataclasses.replace(search, tried=tried, runs=search.runs + len(numbers))


def _finish_round(search: PartSearch) -> PartSearch:
    """The search after a round."""
    scores, _, reached = search.tried
    if search.stage == "weigh":
        return _next_round(dataclasses.replace(search, weights=-scores), "grow")
    # The best of those that do what the part is to do; if there is none, the best of all.
    any_reached = bool(np.nanmax(reached))
    number = int(np.nanargmax(np.where(reached == any_reached, scores, -np.inf)))
    if search.stage == "trim":
        if not any_reached:
            return _next_round(search, "done")
        return _next_round(_changed(search, number), "trim")
    gains = scores - search.score
    if not any_reached and gains.flat[number] < _LEAST_GAIN:
        number = _heaviest(search)
    grown = _changed(search, number)
    gains = np.where(np.isnan(scores), search.gains, gains)
    grown = dataclasses.replace(grown, gains=gains)
    if grown.reached:
        return _next_round(grown, "trim")
    return _next_round(grown, "grow" if grown.cells.sum() < grown.cells.size else "done")


def _changed(search: PartSearch, number: int) -> PartSearch:
    """The search with the candidate of that number as its part."""
    score, probability, reached = search.tried.reshape(3, -1)[:, number]
    cells = search.cells.copy()
    cells.flat[number] = 1 - cells.flat[number]
    return dataclasses.replace(
        search,
        cells=cells,
        score=float(score),
        probability=float(probability),
        reached=bool(reached),
    )


def _next_round(search: PartSearch, stage: Stage) -> PartSearch:
    return dataclasses.replace(search, stage=stage, tried=np.full(search.tried.shape, np.nan))


def _results(
    network: Network,
    pixels: NDArray[np.uint8],
    hidden: NDArray[np.uint8],
    search: PartSearch,
    parts: NDArray[np.bool_],
) -> list[tuple[float, float, float]]:
    """Of some parts (N, n, n): score, probability, and 1 if it does what it is to do, else 0."""
    size = passes.facts(network).batch_size
    head, index = passes.facts(network).head, class_index(network, search.target)
    results = []
    for batch in np.split(parts, range(size, len(parts), size)):
        masks = np.stack([enlarged(part, *pixels.shape[:2]) for part in batch])
        inputs = np.where(masks[..., None] == search.keep, pixels, hidden)
        values = passes.forward(network, scale_pixels(inputs, network.card.preprocessing.scaling))
        scores = class_scores(values.output, values.logits)
        for number in range(len(batch)):
            logits = None if values.logits is None else values.logits[number]
            prediction = read_prediction(network, head, values.output[number], logits)
            score = _score(prediction, scores[number], index)
            reached = _is_reached(search, prediction, index)
            probability = float(prediction.probabilities[index])
            results.append((score if search.keep else -score, probability, float(reached)))
    return results


def _score(prediction: Prediction, scores: Floats, index: int) -> float:
    """How sure the network is of a class; where there are logits, never rounded to 0 or 1."""
    wide = scores.astype(np.float64)
    if prediction.logits is None or not prediction.exclusive:
        return float(wide[index])
    # The logarithm of the odds p / (1 - p).
    return float(wide[index] - np.logaddexp.reduce(np.delete(wide, index)))


def _is_reached(search: PartSearch, prediction: Prediction, index: int) -> bool:
    if not search.keep:
        return not _is_answer(prediction, index)
    enough = KEPT * search.before
    return _is_answer(prediction, index) and prediction.probabilities[index] >= enough


def _is_answer(prediction: Prediction, index: int) -> bool:
    if prediction.exclusive:
        return prediction.index == index
    return bool(prediction.probabilities[index] >= _EVEN)


def _pixels(network: Network, photo: PhotoInput) -> NDArray[np.uint8]:
    """The network's view (h, w, C) of a photo."""
    steps = network.card.preprocessing
    return photo.pixels if isinstance(photo, NetworkView) else network_view(photo, steps)
