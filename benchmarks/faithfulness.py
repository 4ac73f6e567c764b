"""How well each score of a map tells true maps from false ones.

    python -m benchmarks.faithfulness > docs/tables/faithfulness.md

The true maps are the planted evidence itself, on the networks of `tests/corpus/planted.py`.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Callable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import cnnviz
from benchmarks.measuring import print_table
from cnnviz.arrays import Floats, blur
from cnnviz.attribution.faithfulness import MEASURES, TESTS
from cnnviz.attribution.formulas import noise_map
from cnnviz.attribution.ground_truth import covered_cells
from cnnviz.results import ClassActivationMap
from tests.corpus.planted import planted_cases
from tests.corpus.planted_case import PlantedCase

INTRODUCTION = """\
# Scores on networks whose evidence is known: the table

`python -m benchmarks.faithfulness > docs/tables/faithfulness.md` writes this file.

The true map of each planted photo (see [planted.md](planted.md)) is the share of each cell of a
7 × 7 grid that the evidence covers; where nothing speaks for the class, the share that speaks
against it, negative. So it belongs to no method. False maps of the same photo are made of it:

- *random*: noise on the same grid, *shuffled*: its cells in another order, *shifted*: moved by
  three cells down and three to the right, around the edges;
- *blurred*: by 0.7, 1.5 and 3 cells. These are true in the place and wrong in the detail.

Each number is the area under the ROC curve: the probability that the score ranks a true map before
a false one, over all pairs of maps of all photos; equal scores count half. 0.5 is a coin, below it
the false map wins. *Same photo* in the second table is the share of photos in which the true map
has the better score, which is how a person compares. A score that cannot be told, such as the
correlation of something even, counts as the worst.

Stability and shuffled weights need a method that makes the map again, and are no scores of a place:
they have no row here.
"""
REMARKS = """
## What stands out

- Agreement with occlusion and sensitivity-n tell true maps from false ones best, also from blurred
  ones. Both ask for the fall of the logit, with its sign. Here the evidence of most networks adds
  up, which suits them. Where either of two places suffices, the logit may not fall at all without
  one of them: then they have no value, and deletion does better.
- Deletion does not tell a map from its blurred copy; insertion does so only for strong blur.
- The drop in confidence prefers blurred maps: they leave more of the photo visible.
- The increase in confidence says next to nothing on one photo.
- Deletion and insertion do worse over all photos than on the same photo: the area depends on how
  much of a photo is evidence. Their values compare maps of one photo, not photos.
- Both replacements do the same here, since the planted photos are even around their patterns: this
  is no evidence that the choice does not matter on real photos.
"""
# Cells of the grid along each side.
_SIDE = 7
_SHIFT = 3
_BLURS = (0.7, 1.5, 3.0)
FALSE = ("random", "shuffled", "shifted", *(f"blurred {cells:g}" for cells in _BLURS))


def true_map(case: PlantedCase) -> Floats:
    """(7, 7): the share of each cell that is evidence, negative where it is against the class."""
    preprocessing = case.network.card.preprocessing
    truth, sign = case.truth, 1
    if case.against is not None and not truth.any():
        truth, sign = case.against, -1
    return sign * covered_cells(truth, _SIDE, _SIDE, preprocessing)


def false_maps(true: Floats, seed: int) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    maps = {
        "random": noise_map(_SIDE, _SIDE, seed),
        "shuffled": rng.permutation(true.ravel()).reshape(true.shape),
        "shifted": np.roll(true, (_SHIFT, _SHIFT), axis=(0, 1)),
    }
    return maps | {f"blurred {cells:g}": blur(true, cells) for cells in _BLURS}


def scores_of(case: PlantedCase, values: Floats) -> dict[str, float]:
    """The scores of one map, larger ones better; -inf where there is none."""
    cam = ClassActivationMap(values.astype(np.float32), "hires-cam", "", case.target, 0.0, None)
    keys = [key for key, one in MEASURES.items() if TESTS[one.test].needs == "scores"]
    found = cnnviz.measure(case.network, case.photo, cam, keys).scores
    return {
        one.measure: -np.inf
        if np.isnan(one.value)
        else one.value * (1 if one.better == "higher" else -1)
        for one in found
    }


def auc(true: list[float], false: list[float]) -> float:
    ours, theirs = np.array(true)[:, None], np.array(false)
    return float(np.mean((ours > theirs) + 0.5 * (ours == theirs)))


def one_a_network() -> Iterator[PlantedCase]:
    """The first case of each network."""
    last: object = None
    for case in planted_cases():
        if case.network is not last:
            yield case
        last = case.network


def planted_scores() -> dict[str, dict[str, list[float]]]:
    """By score and kind of map: one number for each network."""
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number, case in enumerate(one_a_network()):
        true = true_map(case)
        for name, values in {"true": true, **false_maps(true, number)}.items():
            for key, value in scores_of(case, values).items():
                scores[key][name].append(value)
    return scores


def rows(
    scores: dict[str, dict[str, list[float]]], number: Callable[[list[float], list[float]], float]
) -> Iterator[list[str]]:
    for key, by_map in scores.items():
        yield [
            f"`{key}`",
            *(f"{number(by_map['true'], by_map[name]):.2f}" for name in FALSE),
        ]


def same_photo(true: list[float], false: list[float]) -> float:
    ours, theirs = np.array(true), np.array(false)
    return float(np.mean((ours > theirs) + 0.5 * (ours == theirs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.parse_args()
    scores = planted_scores()
    photos = len(next(iter(scores.values()))["true"])
    print(f"{INTRODUCTION}\n## Area under the ROC curve, {photos} networks with a photo each")
    print_table(["score", *FALSE], rows(scores, auc))
    print("\n## Same photo")
    print_table(["score", *FALSE], rows(scores, same_photo))
    print(REMARKS, end="")


if __name__ == "__main__":
    main()
