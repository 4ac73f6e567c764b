"""How much of each method's maps lies on the evidence, on networks whose evidence is known.

    python -m benchmarks.planted [--seed NUMBER] [--kind NAME]

Prints tables in Markdown, kinds of networks × methods. The networks are those of
`tests/corpus/planted.py`; before a map of one is scored, its evidence is checked by running it.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import cnnviz
from benchmarks.measuring import print_table
from cnnviz.attribution.ground_truth import (
    covered_cells,
    energy_inside,
    pointing_game,
    rank_inside,
)
from cnnviz.attribution.methods import METHODS
from cnnviz.geometry import place_on_photo
from tests.corpus.planted import KINDS, PlantedCase, planted_cases
from tests.corpus.planted_case import mistakes

TABLES = {
    "energy": "Share of the positive values in cells that the truth touches, mean in percent:",
    "pointing": "Maps whose largest value is in a cell that the truth touches, in percent:",
    "rank": "Pixels inside the truth that have a larger value than one outside, in percent:",
}


@dataclass(frozen=True)
class Score:
    """How well one map agrees with the truth; NaN where the map holds nothing positive.

    Attributes:
        kind: of the network.
        method: a key of `METHODS`.
        energy: share of the positive values inside.
        pointing: 1 where the largest value is inside.
        rank: probability that a pixel inside has a larger value than one outside.
        chance: what a map without a place has for each of these.
    """

    kind: str
    method: str
    energy: float
    pointing: float
    rank: float
    chance: dict[str, float]


def score_maps(case: PlantedCase) -> Iterator[Score]:
    """The scores of all methods that fit the case's network.

    Where nothing is evidence for the class, it is the negative values that are compared, with the
    evidence against it.
    """
    inverted = case.against is not None and not case.truth.any()
    truth = case.against if inverted else case.truth
    preprocessing = case.network.card.preprocessing
    for method in METHODS:
        try:
            cam = cnnviz.class_activation_map(case.network, case.photo, case.target, method=method)
        except cnnviz.TargetError:
            continue
        values = -cam.values if inverted else cam.values
        inside = covered_cells(truth, *values.shape, preprocessing) > 0
        energy = energy_inside(values, inside)
        pointing = rank = np.nan
        # A map that says nothing does not point.
        if np.isfinite(energy):
            pointing = pointing_game(values, inside)
            rank = rank_inside(place_on_photo(values, *truth.shape, preprocessing), truth)
        share = float(inside.mean())
        chance = {"energy": share, "pointing": share, "rank": 0.5}
        yield Score(case.kind, method, energy, pointing, rank, chance)


def summary(values: Iterable[float]) -> str:
    """The mean as a whole percentage, and how many values are none: those of maps without any."""
    numbers = np.array(list(values))
    said = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return "–"
    if not said.size:
        return "empty"
    empty = numbers.size - said.size
    mean = f"{100 * said.mean():.0f}"
    return f"{mean} ({empty} of {numbers.size} empty)" if empty else mean


def table(scores: Iterable[Score], of: str) -> Iterator[list[str]]:
    """A row for each kind: its name, a number for each method, and what chance gives.

    Args:
        scores: of all maps.
        of: the field of `Score` that is summarised.
    """
    by_kind: dict[str, list[Score]] = defaultdict(list)
    for score in scores:
        by_kind[score.kind].append(score)
    for kind, of_kind in by_kind.items():
        cells = (
            summary(getattr(score, of) for score in of_kind if score.method == method)
            for method in METHODS
        )
        yield [kind, *cells, summary(score.chance[of] for score in of_kind)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, help="this kind alone")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    kinds = [arguments.kind] if arguments.kind else None
    scores: list[Score] = []
    for case in planted_cases(kinds, arguments.seed):
        if wrong := mistakes(case):
            parser.exit(1, f"A network of the kind {case.kind!r} is not as planted: {wrong}\n")
        scores += score_maps(case)
    for of, title in TABLES.items():
        print(f"\n{title}")
        print_table(["kind", *METHODS, "chance"], table(scores, of))


if __name__ == "__main__":
    main()
