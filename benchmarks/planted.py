"""How much of each method's maps lies on the evidence, on networks whose evidence is known.

    python -m benchmarks.planted [--seed NUMBER] > docs/tables/planted.md

The networks are those of `tests/corpus/planted.py`; before maps of one are scored, its evidence is
checked by running it.
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
from tests.corpus.planted import planted_cases
from tests.corpus.planted_case import PlantedCase, mistakes

INTRODUCTION = """\
# Methods on networks whose evidence is known: the tables

`python -m benchmarks.planted > docs/tables/planted.md` writes this file.

The networks are small, and their weights are set by hand: a convolution detects patterns, the rest
weighs what it found. So it is known which pixels are evidence for a class, and that is checked by
running each network: detectors answer at their patterns and nowhere else, and the class's logit
changes by what was planted where the evidence, or all else, is taken out of the photo.

Each method explains its default layer, and takes its usual number of runs. – stands for networks
that a method does not fit, and empty for maps that hold nothing positive, which do not count in the
means.
"""

TABLES = {
    "energy": (
        "## Energy inside",
        "The share of a map's positive values in cells that the evidence touches, mean in percent "
        "(the energy-based pointing game of Wang et al. 2020).",
    ),
    "pointing": (
        "## Pointing game",
        "Maps whose largest value is in a cell that the evidence touches, in percent; of cells "
        "that are equal each counts its share (Zhang et al. 2018).",
    ),
    "rank": (
        "## Rank",
        "The probability that a pixel of the evidence has a larger value than another pixel, in "
        "percent, on the map as it is laid over the photo (area under the ROC curve).",
    ),
}

REMARKS = """
## What stands out

- “Raises all logits”: maps of the logit show what raises it, the distractor included. Only a
  contrast of classes, such as contrastive CAM, leaves it out; Finer-CAM takes off 0.6 of it.
- “Weighed places”: Grad-CAM, and the methods that average its gradients, have one weight for all
  places of a map, so what does not count is as bright as what counts. “The strongest counts”: for
  the same reason they show the pale copy, half as bright as the pattern.
- “Small beside large”: the texture does add a tenth; 91 % is what a true map has.
- “Either of two”: with both there, the logit of one network is saturated: its gradients are zero,
  and so are maps made of them. In another the gradient goes to one of the two patterns, which
  lowers the rank.
- “Two together”: where the patterns count side by side, the last maps have one cell for both, at
  the first; the rank shows that the second is missing.
- “A gap” and “nothing there”: maps of the last layer show an absence where a channel stands for it,
  and by their negative values, which are the ones scored here, what speaks against a class.
  Grad-CAM++ and LayerCAM leave out negative gradients, and so have nothing to show there.
- “Light”: two parts of the head cancel it. Grad-CAM++ and LayerCAM leave out the part that is
  subtracted, and show the light instead.
- Score-CAM looks through maps that are bright in the middle of a cell alone, which makes patterns
  too pale for these detectors: many of its maps are empty. With “Light” and “Small beside large” it
  shows the light and the texture.
- Ablation-CAM counts a strong channel twice, by what it adds and by its activations: with “Small
  beside large” the texture takes nearly all, with “Light” the light a third.
- Occlusion shows nothing where either of two suffices, or where the blur that takes the place of a
  part cannot fill “a gap”. RISE ranks pixels best of all, but its maps are wide: no more than
  a third of the energy is inside where the evidence is not wide itself.
- SmoothGrad and Integrated Gradients have a value for each pixel. Only pixels that a detector reads
  have any, so the energy is inside; but within a pattern it has both signs, so that the rank of
  SmoothGrad is chance. It is empty where the same light of all colours changes nothing (“Colour
  alone”), and shows both sides of “One sigmoid” and of “For and against”: it is no evidence.
  Integrated Gradients begin with black: what a black photo has, too, such as “a gap”, is not shown.
- Eigen-CAM asks for no class: it shows what is strongest in the maps, which may be a distractor.
- Random maps are what every other method has to beat.
"""


@dataclass(frozen=True)
class Score:
    """How well one map agrees with the truth; NaN where the map holds nothing positive.

    Attributes:
        kind: of the network.
        method: a key of `METHODS`.
        energy: share of the positive values inside.
        pointing: 1 where the largest value is inside.
        rank: probability that a pixel inside has a larger value than one outside.
    """

    kind: str
    method: str
    energy: float
    pointing: float
    rank: float


def score_maps(case: PlantedCase) -> Iterator[Score]:
    """The scores of all methods that fit the case's network.

    Where nothing is evidence for the class, it is the negative values that are compared, with the
    evidence against it.
    """
    truth, sign = case.truth, 1
    if case.against is not None and not truth.any():
        truth, sign = case.against, -1
    height, width = truth.shape
    preprocessing = case.network.card.preprocessing
    for method in METHODS:
        try:
            cam = cnnviz.class_activation_map(case.network, case.photo, case.target, method=method)
        except cnnviz.TargetError:
            continue
        values = sign * cam.values
        rows, columns = values.shape
        inside = covered_cells(truth, rows, columns, preprocessing) > 0
        energy = energy_inside(values, inside)
        pointing = rank = np.nan
        # A map that says nothing does not point.
        if np.isfinite(energy):
            pointing = pointing_game(values, inside)
            rank = rank_inside(place_on_photo(values, height, width, preprocessing), truth)
        yield Score(case.kind, method, energy, pointing, rank)


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
    """A row for each kind: its name and a number for each method.

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
        yield [kind, *cells]


def kinds(cases: dict[str, list[PlantedCase]]) -> Iterator[list[str]]:
    """A row for each kind: its name, how many networks and cases it has, and its note."""
    for kind, of_kind in cases.items():
        networks = {id(case.network) for case in of_kind}
        yield [kind, str(len(networks)), str(len(of_kind)), of_kind[0].note]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    scores: list[Score] = []
    cases: dict[str, list[PlantedCase]] = defaultdict(list)
    for case in planted_cases(seed=arguments.seed):
        if wrong := mistakes(case):
            parser.exit(1, f"A network of the kind {case.kind!r} is not as planted: {wrong}\n")
        scores += score_maps(case)
        cases[case.kind].append(case)
    print(f"{INTRODUCTION}\n## Kinds")
    print_table(["kind", "networks", "maps a method", "what is known"], kinds(cases))
    for of, (title, meaning) in TABLES.items():
        print(f"\n{title}\n\n{meaning}")
        print_table(["kind", *METHODS], table(scores, of))
    print(REMARKS, end="")


if __name__ == "__main__":
    main()
