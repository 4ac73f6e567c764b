"""The scores of a map: a record of each, with the test that it comes from.

A test runs the network, and is a series; a score is worked out from the test's sum alone. Each is
given for the map, for a blurred copy of it and for a random map: a score that says something puts
the map before both. A new score is a record here, and a test if none has what it needs. NumPy is
imported inside functions, as in ``formulas``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cnnviz.attribution import map_changes, perturbations
from cnnviz.attribution.methods import METHODS
from cnnviz.attribution.series import Series
from cnnviz.attribution.similarity import correlation, rank_correlation
from cnnviz.errors import ModelError, TargetError

if TYPE_CHECKING:
    from cnnviz.arrays import Floats
    from cnnviz.results import MapScore


# Probabilities that differ by less are the same: networks compute with float32.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class MapTest:
    """What is done with a network to test a map.

    Attributes:
        series: its runs; the sum is (T, rows, n).
        rows: of the sum: the map, its blurred copy and the random map are the last three.
        needs: what else than the map: ``scores`` of changed photos; other ``maps`` of the same
            method, which must be cheap; or maps of copies of the network, which have other
            ``weights`` and need TensorFlow.
        not_for: key of the method whose maps this test would compare with themselves.
        curve: what the columns are, where the rows are curves to be drawn; empty where not.
    """

    series: Series
    rows: int = 3
    needs: Literal["scores", "maps", "weights"] = "scores"
    not_for: str = ""
    curve: str = ""


@dataclass(frozen=True)
class Measure:
    """A score of a map and all that differs from one score to another: no other module names one.

    Attributes:
        key: its name in the API and on the command line.
        title: its name on pages.
        paper: who published it, and where.
        summary: how it is computed, in a sentence that a student understands.
        caution: what it rewards that is no merit; a sentence.
        better: whether ``higher`` or ``lower`` values speak for a map.
        test: a key of ``TESTS``.
        finish: the scores of the three maps from the sum of the test for one class, (rows, n).
        share: whether it is a share of something, which is shown in percent.
    """

    key: str
    title: str
    paper: str
    summary: str
    caution: str
    better: Literal["higher", "lower"]
    test: str
    finish: Callable[[Floats], Sequence[float]]
    share: bool = False


def area(curves: Floats) -> list[float]:
    """The areas under curves (3, n) over an axis of length 1, by trapezoids.

    Example:
        >>> import numpy as np
        >>> area(np.array([[1.0, 0.5, 0.0]]))
        [0.5]
    """
    return [float((one[:-1] + one[1:]).mean() / 2) for one in curves]


def drop(pairs: Floats) -> list[float]:
    """By which share the second of two probabilities (3, 2) is below the first; 0 where above.

    Example:
        >>> import numpy as np
        >>> drop(np.array([[0.5, 0.125], [0.5, 0.6]]))
        [0.75, 0.0]
    """
    return [float(max(before - after, 0) / before) if before else 0.0 for before, after in pairs]


def increase(pairs: Floats) -> list[float]:
    """1 where the second of two probabilities (3, 2) is above the first, else 0."""
    return [float(after - before > _ROUNDING) for before, after in pairs]


def rank_with_first(table: Floats) -> list[float]:
    """The rank correlations of all rows (4, n) but the first with the first."""
    return [rank_correlation(table[0], row) for row in table[1:]]


def mean_within_sizes(table: Floats) -> list[float]:
    """The correlations of rows (4, n) with the first, within sets of one size; their means.

    NaN where one cannot be told.
    """
    import numpy as np

    sizes = perturbations.SIZES
    return [
        float(np.mean([correlation(table[0, size], row[size]) for size in sizes]))
        for row in table[1:]
    ]


def mean(table: Floats) -> list[float]:
    """The means of rows (3, n)."""
    return [float(row.mean()) for row in table]


_RISE = "Petsiuk et al. 2018, RISE: randomized input sampling for explanation, arXiv 1806.07421"
_ADEBAYO = "Adebayo et al. 2018, Sanity checks for saliency maps, arXiv 1810.03292"
_GRAD_CAM_PLUS_PLUS = "Chattopadhay et al. 2018, Grad-CAM++, arXiv 1710.11063"
_BLURRED, _MEAN = "a blurred copy of the photo", "the photo’s mean colour"


def _deletion(filling: str) -> str:
    return (
        f"The map’s cells are replaced by {filling}, the largest first, and the class’s "
        "probability is drawn over the share that is replaced: the area under that curve."
    )


def _insertion(filling: str) -> str:
    return (
        f"The map’s cells are put back, the largest first, into {filling}, and the class’s "
        "probability is drawn over the share that is back: the area under that curve."
    )


_FILL_COUNTS = "The replacement counts, too: part of the fall may be what it looks like."
_BLUR_WINS = "Connected parts do well at once, so a blurred map often scores better."

TESTS = {
    "deletion-blur": MapTest(perturbations.DELETION_BLUR, curve="replaced by the blurred photo"),
    "deletion-mean": MapTest(perturbations.DELETION_MEAN, curve="replaced by the mean colour"),
    "insertion-blur": MapTest(perturbations.INSERTION_BLUR, curve="put into the blurred photo"),
    "insertion-mean": MapTest(perturbations.INSERTION_MEAN, curve="put into the mean colour"),
    "masked-photo": MapTest(perturbations.MASKED),
    "one-by-one": MapTest(perturbations.ONE_BY_ONE, rows=4, not_for="occlusion"),
    "together": MapTest(perturbations.TOGETHER, rows=4),
    "shifts": MapTest(map_changes.SHIFTS, needs="maps"),
    "noise": MapTest(map_changes.NOISE, needs="maps"),
    "shuffled-weights": MapTest(map_changes.SHUFFLED, needs="weights"),
}

MEASURES = {
    measure.key: measure
    for measure in (
        Measure(
            key="deletion-blur",
            title="Deletion, blurred",
            paper=_RISE,
            summary=_deletion(_BLURRED),
            caution=_FILL_COUNTS,
            better="lower",
            test="deletion-blur",
            finish=area,
        ),
        Measure(
            key="deletion-mean",
            title="Deletion, mean colour",
            paper=_RISE,
            summary=_deletion(_MEAN),
            caution=_FILL_COUNTS,
            better="lower",
            test="deletion-mean",
            finish=area,
        ),
        Measure(
            key="insertion-blur",
            title="Insertion, blurred",
            paper=_RISE,
            summary=_insertion(_BLURRED),
            caution=_BLUR_WINS,
            better="higher",
            test="insertion-blur",
            finish=area,
        ),
        Measure(
            key="insertion-mean",
            title="Insertion, mean colour",
            paper=_RISE,
            summary=_insertion(_MEAN),
            caution=_BLUR_WINS,
            better="higher",
            test="insertion-mean",
            finish=area,
        ),
        Measure(
            key="average-drop",
            title="Drop in confidence",
            paper=_GRAD_CAM_PLUS_PLUS,
            summary=(
                "The photo is multiplied by the map, so that only what is bright in it can be "
                "seen: by which share the class’s probability falls."
            ),
            caution="The more a map leaves visible, the better: one that is bright everywhere "
            "loses nothing.",
            better="lower",
            test="masked-photo",
            finish=drop,
            share=True,
        ),
        Measure(
            key="increase",
            title="Increase in confidence",
            paper=_GRAD_CAM_PLUS_PLUS,
            summary=(
                "Whether the photo times the map is more probable than the photo: 1 if it is, 0 "
                "if not."
            ),
            caution="Yes or no on one photo; it is made to be averaged over many.",
            better="higher",
            test="masked-photo",
            finish=increase,
        ),
        Measure(
            key="occlusion-rank",
            title="Agreement with occlusion",
            paper=(
                "Spearman’s rank correlation with the map of Zeiler and Fergus 2014, Visualizing "
                "and understanding convolutional networks, arXiv 1311.2901"
            ),
            summary=(
                "Each cell of a grid is replaced by a blurred copy of the photo: whether the class "
                "loses most where the map is largest, as a correlation of ranks."
            ),
            caution="One cell at a time misses what is there twice, and what only counts together.",
            better="higher",
            test="one-by-one",
            finish=rank_with_first,
        ),
        Measure(
            key="sensitivity-n",
            title="Sensitivity-n",
            paper=(
                "Ancona et al. 2018, Towards better understanding of gradient-based attribution "
                "methods for deep neural networks, arXiv 1711.06104"
            ),
            summary=(
                "Many cells at once, drawn at random, are replaced by a blurred copy of the photo: "
                "whether the class loses as much as the map has in them, as a correlation."
            ),
            caution="It asks for the right sums, so that a map of the right places in other "
            "proportions does worse.",
            better="higher",
            test="together",
            finish=mean_within_sizes,
        ),
        Measure(
            key="shift-stability",
            title="Stability under shifts",
            paper="Compare Alvarez-Melis and Jaakkola 2018, On the robustness of interpretability "
            "methods, arXiv 1806.08049",
            summary=(
                "The photo is shifted a little in four directions: whether its map is shifted with "
                "it, as a correlation of ranks."
            ),
            caution="A map can be stable and wrong: one that always shows the centre hardly "
            "changes.",
            better="higher",
            test="shifts",
            finish=mean,
        ),
        Measure(
            key="noise-stability",
            title="Stability under noise",
            paper="Compare Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations, "
            "arXiv 1901.09392",
            summary=(
                "A little noise is added to the photo, four times: whether its map stays the same, "
                "as a correlation of ranks."
            ),
            caution="A map can be stable and wrong, and the network’s own answer may change with "
            "the noise.",
            better="higher",
            test="noise",
            finish=mean,
        ),
        Measure(
            key="weight-randomisation",
            title="Likeness with shuffled weights",
            paper=_ADEBAYO,
            summary=(
                "The weights of a copy of the network are shuffled, layer by layer from the last "
                "one on: how alike the maps then still are, as a correlation of ranks. What the "
                "network has learned should matter."
            ),
            caution="A map that ignores the network stays the same; noise that changes each time "
            "would do well.",
            better="lower",
            test="shuffled-weights",
            finish=mean,
        ),
    )
}


def applies(test: str, method: str) -> bool:
    """Whether a test, by its key, can be made with the maps of a method."""
    one = TESTS[test]
    return one.not_for != method and (one.needs == "scores" or METHODS[method].series is None)


def check_applies(test: str, method: str) -> None:
    """Checks that a test can be made with the maps of a method.

    Raises:
        TargetError: it cannot.
    """
    if applies(test, method):
        return
    fitting = ", ".join(key for key, one in MEASURES.items() if applies(one.test, method))
    scores = " and ".join(repr(key) for key, one in MEASURES.items() if one.test == test)
    why = (
        "compares a map with one of that method"
        if TESTS[test].not_for == method
        else "needs many maps, and one of that method takes many runs"
    )
    raise TargetError(
        f"There is no {scores} of a map of the method {method!r}: the score {why}. Its scores are "
        f"{fitting}."
    )


def chosen_measures(method: str, keys: Sequence[str] | None = None) -> tuple[Measure, ...]:
    """The scores of those keys, or all that a method's maps can have if None.

    Raises:
        TargetError: there is no such score, or the method's maps cannot have it.
    """
    if keys is None:
        return tuple(one for one in MEASURES.values() if applies(one.test, method))
    for key in keys:
        if key not in MEASURES:
            raise TargetError(f"There is no score {key!r}. Choose from {', '.join(MEASURES)}.")
        check_applies(MEASURES[key].test, method)
    return tuple(MEASURES[key] for key in keys)


def tests_of(measures: Sequence[Measure]) -> tuple[str, ...]:
    """The keys of the tests that some scores come from, each once."""
    return tuple(dict.fromkeys(one.test for one in measures))


def map_score(measure: Measure, total: Floats) -> MapScore:
    """A score of the three maps, from the sum of its test for one class (1, rows, n).

    Raises:
        ModelError: the sum is of another shape, or not of numbers.
    """
    import numpy as np

    from cnnviz.results import MapScore

    test = TESTS[measure.test]
    if total.ndim != 3 or total.shape[:2] != (1, test.rows) or total.shape[2] < 2:
        raise ModelError(f"The network's answers do not fit the score {measure.key!r}.")
    if not np.isfinite(total).all():
        raise ModelError(
            "The network's answer to a changed photo is not a number (NaN or infinite), so there "
            f"is no score {measure.key!r}."
        )
    value, blurred, random = measure.finish(total[0].astype(np.float64))
    curves = total[0].astype(np.float32) if test.curve else None
    return MapScore(measure.key, measure.better, value, blurred, random, curves)
