"""Maps side by side: which classes and methods fit all networks, and what is said of each map.

It needs no network, so that a process without TensorFlow can put together what workers answered.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.attribution.descriptions import nothing_to_see, position
from cnnviz.attribution.localization import find_box
from cnnviz.attribution.methods import METHODS, Method
from cnnviz.drawing import common_limit
from cnnviz.errors import TargetError
from cnnviz.geometry import place_on_photo, seen_region
from cnnviz.results import (
    ClassActivationMap,
    ComparedAnswer,
    ComparedCell,
    ComparedMethod,
    Comparison,
    Prediction,
    Verdict,
)

# The names of a cell's scores.
LARGEST, WHERE = "largest", "where"
LIKE_METHOD = "rank correlation with the first method"
LIKE_NETWORK = "rank correlation across networks"
# Classes and methods of a comparison for which none were chosen.
CLASSES, FEW = 2, 4
# The longer side of the grid on which maps of different cells are compared.
_GRID = 64


def shared(networks: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """The classes that several networks have, by their names, in the order of the first.

    Args:
        networks: the title and the class names of each.

    Raises:
        TargetError: there is none.
    """
    first, *others = (names for _, names in networks)
    common = set(first).intersection(*others)
    if not common:
        named = "; ".join(
            f"“{title}” has {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"
            for title, names in networks
        )
        raise TargetError(
            f"These networks have no class in common, so their maps cannot be compared: {named}. "
            "Classes are matched by their names."
        )
    # Some label names are there twice, as in ImageNet: a name stands for the first of them.
    return [label for label in dict.fromkeys(first) if label in common]


def fitting_all(offered: Sequence[Sequence[str]]) -> list[str]:
    """The methods that fit all of some networks, in the order of the first."""
    first, *others = offered
    return [key for key in first if all(key in keys for keys in others)]


def varied(offered: Sequence[str]) -> list[str]:
    """A few methods that differ in how they are computed, in the order in which they are offered.

    The first of each kind, then others; none that takes many runs.

    Args:
        offered: the methods that fit, the best first: keys of ``METHODS``.

    Example:
        >>> varied(["cam", "contrastive-cam", "grad-cam", "grad-cam++", "eigen-cam", "random"])
        ['cam', 'grad-cam', 'eigen-cam', 'random']
    """
    quick = [key for key in offered if METHODS[key].passes != "many"]
    first_of = {METHODS[key].passes: key for key in reversed(quick)}
    best = [*(key for key in quick if key in first_of.values()), *quick]
    few = list(dict.fromkeys(best))[:FEW]
    return [key for key in quick if key in few]


def likeliest(prediction: Prediction, labels: Sequence[str], count: int = CLASSES) -> list[str]:
    """The most probable of some classes, the most probable first."""
    ranked, allowed = prediction.top(len(prediction.labels)), set(labels)
    likely = dict.fromkeys(score.label for score in ranked if score.label in allowed)
    return list(likely)[:count]


def options(method: str, layer: str | None, against: str | None) -> tuple[str | None, str | None]:
    """The layer and the class to subtract, as far as a method lets them be chosen."""
    record = METHODS[method]
    subtracts = record.of_class and record.against != "others"
    return layer if record.needs == "layer" else None, against if subtracts else None


def pixels_sha256(photo: NDArray[np.uint8]) -> str:
    """What identifies a photo, whatever its file: the SHA-256 of its pixels, row by row."""
    return hashlib.sha256(photo.tobytes()).hexdigest()


def build(
    answers: Sequence[ComparedAnswer],
    methods: Sequence[str],
    maps: Sequence[Sequence[Sequence[ClassActivationMap]]],
    *,
    layer: str | None = None,
    against: str | None = None,
    runs: int | None = None,
) -> Comparison:
    """Puts maps side by side, with common scales.

    Methods measure different things, so each has a scale of its own, up to the largest absolute
    value of its maps. Where the cells of a map add up to the score, more cells have smaller values:
    then only maps of as many cells share a scale.

    Args:
        answers: of each network for each photo.
        methods: keys of ``METHODS``.
        maps: for each answer and each method the maps of the classes, the same ones everywhere.
        layer: as in ``Comparison``.
        against: as in ``Comparison``.
        runs: as in ``Comparison``.
    """
    records = tuple(_described(METHODS[key]) for key in methods)
    classes = tuple(cam.target for cam in maps[0][0])
    limits = {
        scale: common_limit(cam for cam in _all(maps) if _scale(cam) == scale)
        for scale in {_scale(cam) for cam in _all(maps)}
    }
    cells = tuple(
        _cell(answers, maps, (answer, method, number), limits)
        for answer in range(len(answers))
        for number in range(len(classes))
        for method in range(len(methods))
    )
    return Comparison(classes, records, tuple(answers), cells, layer, against, runs)


def judged(comparison: Comparison, verdicts: Sequence[Verdict | None]) -> Comparison:
    """A comparison with the verdicts on its maps, cell by cell; None where there is none."""
    cells = tuple(
        dataclasses.replace(cell, verdict=verdict)
        for cell, verdict in zip(comparison.cells, verdicts, strict=True)
    )
    return dataclasses.replace(comparison, cells=cells)


def scored(comparison: Comparison, name: str, values: Sequence[float | str | None]) -> Comparison:
    """A comparison with one more score of its maps, cell by cell; None where there is none."""
    cells = tuple(
        cell if value is None else dataclasses.replace(cell, scores={**cell.scores, name: value})
        for cell, value in zip(comparison.cells, values, strict=True)
    )
    return dataclasses.replace(comparison, cells=cells)


def _described(method: Method) -> ComparedMethod:
    without = "" if method.of_class else ", any class"
    return ComparedMethod(method.key, method.title, method.unit + without)


def _all(maps: Sequence[Sequence[Sequence[ClassActivationMap]]]) -> Iterator[ClassActivationMap]:
    return (cam for of_answer in maps for of_method in of_answer for cam in of_method)


def _scale(cam: ClassActivationMap) -> tuple[str, int]:
    """What two maps have in common that share a scale: the method, and how many cells add up."""
    return cam.method, cam.values.size if cam.aggregate == "sum" else 0


def _cell(
    answers: Sequence[ComparedAnswer],
    maps: Sequence[Sequence[Sequence[ClassActivationMap]]],
    place: tuple[int, int, int],
    limits: Mapping[tuple[str, int], float | None],
) -> ComparedCell:
    """The cell of an answer, a method and a class, by their numbers."""
    at, method, number = place
    answer, cam = answers[at], maps[at][method][number]
    limit, note = limits[_scale(cam)], nothing_to_see(cam)
    if note:
        return ComparedCell(at, cam, limit, note, None, {})
    peak = int(cam.values.argmax())
    scores: dict[str, float | str] = {
        LARGEST: float(cam.values.flat[peak]),
        WHERE: position(cam.values, answer.size, answer.preprocessing),
    }
    others = {}
    if method:
        others[LIKE_METHOD] = answer, maps[at][0][number]
    # The first network's answer for this photo is another one if this network is not the first.
    first = next(i for i, one in enumerate(answers) if one.photo_sha256 == answer.photo_sha256)
    if first != at:
        others[LIKE_NETWORK] = answers[first], maps[first][method][number]
    for name, (other, reference) in others.items():
        alike = _likeness(cam, answer, reference, other)
        if alike is not None:
            scores[name] = alike
    box = find_box(cam, *answer.size, answer.preprocessing) if cam.of_class else None
    return ComparedCell(at, cam, limit, "", box, scores)


def _likeness(
    cam: ClassActivationMap,
    answer: ComparedAnswer,
    reference: ClassActivationMap,
    other: ComparedAnswer,
) -> float | None:
    """The rank correlation of two maps of one photo; None where one of them says nothing."""
    if nothing_to_see(reference):
        return None
    seen = [seen_region(*answer.size, one.preprocessing) for one in (answer, other)]
    if cam.values.shape == reference.values.shape and seen[0] == seen[1]:
        return rank_correlation(cam.values, reference.values)
    # Other cells, or another crop: both at the same places of the photo.
    scale = _GRID / max(answer.size)
    height, width = (max(1, round(side * scale)) for side in answer.size)
    placed = [
        place_on_photo(one.values, height, width, of.preprocessing)
        for one, of in ((cam, answer), (reference, other))
    ]
    return rank_correlation(*placed)


def rank_correlation(one: Floats, other: Floats) -> float | None:
    """Whether two maps of the same shape rank their cells alike: Spearman's rank correlation.

    Spearman 1904, "The proof and measurement of association between two things". Equal values share
    the mean of their ranks. Cells that are NaN in one of both are left out.

    Returns:
        -1 to 1: 1 for the same order, whatever the values, and -1 for the opposite order; None
        where a map is the same everywhere.

    Example:
        >>> rank_correlation(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 30.0, 200.0]]))
        1.0
    """
    both = ~(np.isnan(one) | np.isnan(other))
    ranks = np.stack([_ranks(one[both]), _ranks(other[both])])
    deviations = ranks - ranks.mean(axis=1, keepdims=True)
    scale = float(np.sqrt(np.prod(np.square(deviations).sum(axis=1))))
    return float((deviations[0] * deviations[1]).sum()) / scale if scale > 0 else None


def _ranks(values: Floats) -> Floats:
    """The rank of each of some values (N,), counted from 0; equal ones share their mean."""
    _, numbers, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[numbers]
