"""Can a map be believed? It is held against what the network loses where the photo is covered.

A map says where the evidence for a class is. If it is right, then the class loses most where the
map is bright and the photo is covered there. ``trust_series`` has the runs, which are those of all
classes; the losses of one are read from them here: how far its log-odds fall where squares around
each cell of a grid are covered. The score (``skill``)
compares the map's mean loss with that of a map that is the same everywhere, and of the losses
themselves as a map. Where covering a small part cannot tell, there is no score, and a reason
instead.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats, blur
from cnnviz.attribution.details import CELLS, DETAILS
from cnnviz.attribution.methods import METHODS
from cnnviz.attribution.trust_series import squares
from cnnviz.errors import ModelError
from cnnviz.evidence import why_empty
from cnnviz.numerals import percent, written
from cnnviz.results import (
    ClassActivationMap,
    Consistency,
    Prediction,
    Verdict,
    VerdictReason,
    VerdictWord,
)

# From these skills on a map is taken to be weak, and to hold: so that a tenth of the maps of wrong
# places get past the first, and a fiftieth past the second. benchmarks/verdict.py finds them on
# some planted networks and photos of one trained network, and measures them on others. A threshold
# halfway to the true maps of planted networks, which have skills above 1, would call many true maps
# of trained networks nothing.
WEAK, HOLDS = 0.3, 0.5
# A map counts as much as the best of its copies that are blurred so far, in cells of the grid, so
# that a blurred copy gets no better verdict than its map, but for the steps between the widths.
_WIDER = 0.35, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0
# Below this the largest loss, two fifths of the odds, tells little of where the evidence is.
LEAST_DROP = 0.5
# Nor does one that is less than a quarter of what the class gains where another part is covered.
_LEAST_SHARE = 0.25
# The losses as a map have to find so much more of log-odds than an even map: else all parts lose
# alike.
_LEAST_BEYOND = 0.3
# A loss without half of the photo that shows that the evidence is there, in several places.
_SEVERAL = 0.5
# What is said of a map, by the mean correlation of the maps of shifted and mirrored copies with it.
_STAYS = (0.8, "stays in place"), (0.5, "changes somewhat"), (-1.0, "does not stay the same")


def losses(
    log_odds: Floats, prediction: Prediction, target: int, against: int | None = None
) -> Floats:
    """(n,): how far a class's log-odds fall in each of n runs on the covered photo.

    With a class to compare with it is log p / q: the difference of both logits, where these are
    known.

    Args:
        log_odds: (1, 1 + n, C) of all classes, each against all others, for the photo as it is and
            in the runs: the sum of ``trust_series.SQUARES`` or ``RANDOM_HALVES``.
        prediction: for the photo.
        target: the number of the class.
        against: that of the class to compare with, if there is one.

    Raises:
        ModelError: the runs are not those of this network.
    """
    if log_odds.shape[::2] != (1, len(prediction.labels)):
        raise ModelError("The network’s answers do not fit each other.")
    values = log_odds[0].astype(np.float64)
    of_class = values[:, target]
    if against is not None:
        of_other = values[:, against]
        if prediction.exclusive or prediction.logits is None:
            of_class, of_other = _log_share(of_class), _log_share(of_other)
        of_class = of_class - of_other
    return of_class[0] - of_class[1:]


def _log_share(log_odds: Floats) -> Floats:
    """The logarithm of a probability."""
    return -np.logaddexp(0, -log_odds)


def cell_drops(of_squares: Floats) -> Floats:
    """(side, side): the mean loss of a cell over the four squares that cover it.

    Args:
        of_squares: ((side + 1)²,) the loss where each of ``trust_series.squares`` is covered.

    Raises:
        ModelError: there are not so many.
    """
    where = squares(max(1, math.isqrt(of_squares.size) - 1))
    if len(where) != of_squares.size:
        raise ModelError("The network’s answers do not fit each other.")
    return np.tensordot(of_squares, where, 1) / where.sum(axis=0)


def judge_runs(
    values: Floats,
    prediction: Prediction,
    target: int,
    against: int | None,
    squares: Floats,
    halves: Callable[[], Floats | None],
) -> Verdict | None:
    """The verdict on a map from runs that serve all classes.

    Args:
        values: (h, w) the map.
        prediction: for its photo.
        target: the number of its class.
        against: that of the class that it is set against, if there is one.
        squares: (1, 1 + n, C) as for ``losses``, of ``trust_series.SQUARES``.
        halves: gives those of ``RANDOM_HALVES``, asked for where the squares show nothing.

    Returns:
        None where ``halves`` gave none.
    """
    drops = cell_drops(losses(squares, prediction, target, against))
    if not needs_halves(drops):
        return judge_drops(values, drops)
    found = halves()
    if found is None:
        return None
    return judge_drops(values, drops, losses(found, prediction, target, against))


def judge_drops(values: Floats, drops: Floats, halves: Floats | None = None) -> Verdict:
    """The verdict on a map, from what its class loses where the photo is covered.

    Args:
        values: (h, w) the map, raw and signed; its positive part is judged.
        drops: (side, side) how far the class's log-odds fall, on average, where squares around
            each cell are covered, signed.
        halves: (n,) how far they fall where random halves of the cells are covered; None if that
            was not asked for. It only tells why losses are missing.
    """
    shares = cell_shares(values, *drops.shape)
    if shares is None:
        return _untold("no evidence", np.zeros_like(drops), drops)
    if not np.isfinite(drops).all():
        return _untold("not numbers", shares, drops)
    if (reason := _why_blind(drops, halves)) is not None:
        return _untold(reason, shares, drops)
    anywhere, best = float(drops.mean()), _best(drops)
    bright = max(float((copy * drops).sum()) for copy in _with_wider(shares))
    found = (bright - anywhere) / (best - anywhere)
    return Verdict(_word(found), None, found, bright, anywhere, best, shares, drops)


def _with_wider(shares: Floats) -> Iterator[Floats]:
    """A map, and copies of it that are blurred, each adding up to 1."""
    yield shares
    for cells in _WIDER:
        copy = blur(shares, cells).astype(np.float64)
        yield copy / copy.sum()


def _word(found: float) -> VerdictWord:
    if found >= HOLDS:
        return "holds"
    return "weak" if found >= WEAK else "says nothing"


def needs_halves(drops: Floats) -> bool:
    """Whether it takes runs without half of the photo to say why there is no verdict."""
    return bool(np.isfinite(drops).all() and drops.max() < LEAST_DROP)


def skill(shares: Floats, drops: Floats) -> float:
    """How much of the losses a map finds: 0 for an even map, 1 for the losses themselves as a map.

    Args:
        shares: (side, side) the map's positive part in the cells, adding up to 1.
        drops: (side, side) the losses, signed; one at least is positive, and they differ.

    Returns:
        (Σ m d − mean d) / (Σ d₊² / Σ d₊ − mean d). Below 0 where a map is bright where covering
        costs less than elsewhere; above 1 where it is more concentrated than the losses are.

    Example:
        >>> drops = np.array([[3.0, 1.0], [0.0, 0.0]])
        >>> skill(np.array([[1.0, 0.0], [0.0, 0.0]]), drops)
        1.3333333333333333
        >>> skill(np.full((2, 2), 0.25), drops)
        0.0
    """
    anywhere = drops.mean()
    return float(((shares * drops).sum() - anywhere) / (_best(drops) - anywhere))


def cell_shares(values: Floats, rows: int, columns: int) -> Floats | None:
    """The positive part of a map (h, w) in the cells of a grid, adding up to 1.

    A cell of the map that lies in several of the grid's is shared out by area.

    Returns:
        (rows, columns); None where the map holds nothing positive, or what is not a number.

    Example:
        >>> cell_shares(np.array([[3.0, 1.0, -5.0]]), 1, 2)
        array([[0.875, 0.125]])
    """
    positive = np.maximum(np.asarray(values, np.float64), 0)
    largest = positive.max(initial=0)
    if not np.isfinite(values).all() or largest <= 0:
        return None
    # Divided first, so that the sum of huge values does not overflow.
    positive /= largest
    down, across = _overlaps(values.shape[0], rows), _overlaps(values.shape[1], columns)
    return down @ (positive / positive.sum()) @ across.T


def _overlaps(cells: int, parts: int) -> Floats:
    """(parts, cells): which share of each cell of a side lies in each part of the same side."""
    edges = np.arange(parts + 1) / parts * cells
    cell = np.arange(cells)
    common = np.minimum(edges[1:, None], cell + 1) - np.maximum(edges[:-1, None], cell)
    return np.maximum(common, 0)


def _best(drops: Floats) -> float:
    """The mean loss where the losses themselves are the map; one of them is positive."""
    positive = np.maximum(drops, 0)
    return float((positive * drops).sum() / positive.sum())


def _why_blind(drops: Floats, halves: Floats | None) -> VerdictReason | None:
    """Why the losses do not show where the evidence is; None if they do."""
    largest, gain = float(drops.max()), -float(drops.min())
    if largest < LEAST_DROP and halves is not None and halves.max() >= _SEVERAL:
        return "several places"
    if gain >= LEAST_DROP and largest < _LEAST_SHARE * gain:
        return "absence"
    if largest < LEAST_DROP:
        return "unmoved"
    return None if _best(drops) - drops.mean() >= _LEAST_BEYOND else "alike"


def _untold(reason: VerdictReason, shares: Floats, drops: Floats) -> Verdict:
    missing = math.nan
    return Verdict("cannot tell", reason, missing, missing, missing, missing, shares, drops)


def verdict_sentence(verdict: Verdict, cam: ClassActivationMap) -> str:
    """What a verdict on a map rests on, in a sentence or two."""
    name = f"“{cam.target}”" if cam.against is None else f"“{cam.target}” against “{cam.against}”"
    if verdict.reason is not None:
        return _REASONS[verdict.reason].format(name=name)
    bright = f"Where the map is bright, covering the photo costs {name}"
    if verdict.skill < 0:
        return f"{bright} less than elsewhere: the network depends more on other places."
    share = min(verdict.skill, 1)
    found = f"{written(share, '.0%')} of what the best map would find."
    if verdict.word == "holds":
        return f"{bright} clearly more than elsewhere: {found}"
    if verdict.word == "weak":
        return f"{bright} somewhat more than elsewhere: {found}"
    return f"{bright} little more than elsewhere: {found}"


def verdict_numbers(verdict: Verdict) -> str:
    """The numbers behind a verdict in words; "" where it cannot tell."""
    if verdict.reason is not None:
        return ""
    return (
        "Mean loss of log-odds where a part is covered: "
        f"{verdict.bright:.2f} weighed by the map, {verdict.anywhere:.2f} over all parts, "
        f"{verdict.best:.2f} weighed by the losses themselves."
    )


def read_consistency(prediction: Prediction, target: int, copies: Floats) -> Consistency:
    """What the runs on shifted copies say of a class.

    Args:
        prediction: for the photo itself.
        target: the number of the class.
        copies: (1, 2 n, C) the probabilities of all classes in each copy, the sum of
            ``trust_series.SHIFTED_COPIES``. The first half of the copies is shifted alone, the
            other mirrored, too.

    Raises:
        ModelError: the runs are not those of this network.
    """
    if copies.shape[::2] != (1, len(prediction.labels)) or copies.shape[1] % 2:
        raise ModelError("The network’s answers do not fit each other.")
    shifted, mirrored = np.split(copies[0, :, target], 2)
    shifted_first, mirrored_first = np.split(copies[0].argmax(axis=1) == target, 2)
    label = prediction.labels[target]
    return Consistency(label, shifted, shifted_first, mirrored, mirrored_first)


def consistency_sentence(found: Consistency, cam: ClassActivationMap | None = None) -> str:
    """How steady a prediction is, and the map that was asked about, in a sentence for each.

    Args:
        found: what the copies say.
        cam: the photo's map; None if it was not asked about.

    Example:
        >>> ones = np.array([0.8, 0.9]), np.array([True, False])
        >>> consistency_sentence(Consistency("cat", *ones, *ones))[:47]
        '“cat” comes first in 1 of 2 slightly shifted co'
    """
    said = (
        f"“{found.target}” comes first in {_count(found.shifted_first)} slightly shifted copies of "
        f"the photo ({_range(found.shifted)}), and in {_count(found.mirrored_first)} that are "
        f"mirrored, too ({_range(found.mirrored)})."
    )
    if cam is None:
        return said
    return f"{said} {why_no_copies(cam) or _map_sentence(found)}"


def why_no_copies(cam: ClassActivationMap) -> str:
    """Why the maps of copies of the photo are not made, in a sentence; "" where they are."""
    if why_empty(cam):
        return "The map says nothing about any place, so it has none to stay in."
    if METHODS[cam.method].series is not None:
        what = f"a map by {METHODS[cam.method].title}"
    elif cam.detail != CELLS:
        what = f"a map in this detail ({DETAILS[cam.detail].title})"
    else:
        return ""
    return (
        f"Whether the map stays in place was not asked: {what} takes many runs or long ones, and "
        "each copy needs one."
    )


def with_maps(found: Consistency, maps: Floats) -> Consistency:
    """What copies say, with their maps.

    Args:
        found: what they say of the class.
        maps: (2 n,) how alike the map of each is to that of the photo, in the order of
            ``trust_series.SHIFTED_COPIES``: the sum of ``map_changes.COPIED_MAPS`` for the class.
    """
    shifted, mirrored = np.split(maps, 2)
    return dataclasses.replace(found, shifted_maps=shifted, mirrored_maps=mirrored)


def _map_sentence(found: Consistency) -> str:
    """Whether a map stays in place; "" where that was not found out."""
    shifted, mirrored, mean = found.shifted_maps, found.mirrored_maps, found.map_likeness
    if shifted is None or mirrored is None or mean is None:
        return ""
    word = next(word for least, word in _STAYS if mean >= least)
    whole, of_shifted, of_mirrored = (
        written(float(one), ".2f") for one in (mean, shifted.mean(), mirrored.mean())
    )
    return (
        f"The map {word}: put back, the maps of the copies correlate with it by r = {whole} on "
        f"average, {of_shifted} shifted and {of_mirrored} mirrored."
    )


def _count(first: NDArray[np.bool_]) -> str:
    if first.all():
        return f"all {len(first)}"
    return f"{int(first.sum()) or 'none'} of {len(first)}"


def _range(probabilities: Floats) -> str:
    low, high = percent(float(probabilities.min())), percent(float(probabilities.max()))
    return low if low == high else f"{low} to {high}"


_REASONS: dict[VerdictReason, str] = {
    "no evidence": "The map holds no evidence for {name}, so there is no place to check.",
    "not numbers": "With parts of the photo covered, the network’s answer is not a number.",
    "several places": (
        "No single part of the photo is needed for {name}, but several together are: what is there "
        "twice, or spread out, is not missed where one part is covered."
    ),
    "absence": (
        "Covering the photo makes {name} more probable rather than less: what speaks against it "
        "comes first, or something that is missing speaks for it, and that cannot be covered."
    ),
    "unmoved": (
        "The score of {name} hardly changes whatever part of the photo is covered, so this test "
        "does not show where its evidence is."
    ),
    "alike": (
        "No part of the photo stands out: covering any of them costs {name} about as much, as "
        "where evidence is spread over the whole photo."
    ),
}
