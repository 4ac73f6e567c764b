"""Whether finer class activation maps place the evidence better than the layer's own cells.

    python -m benchmarks.finer_maps [--seed NUMBER] > docs/tables/finer.md

All maps are laid over the photo as pages lay them, and compared with the truth pixel by pixel: on
the planted networks, whose evidence is known exactly, and on trained networks with an animal
pasted into another photo, where it is somewhere in the pasted rectangle.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

import cnnviz
from benchmarks.measuring import print_table
from cnnviz.attribution.details import CELLS, DETAILS, DOUBLE, FUSED, fusing
from cnnviz.attribution.ground_truth import energy_inside, overlap, rank_inside
from cnnviz.geometry import place_on_photo
from cnnviz.settings import PACKAGE, ROOT
from tests.corpus.planted import planted_cases

INTRODUCTION = """\
# Finer maps, scored: the tables

`python -m benchmarks.finer_maps > docs/tables/finer.md` writes this file.

Each map is laid over the photo as on the pages, interpolated from its cells, and compared with the
truth pixel by pixel. Energy: the share of the positive values that lies on the evidence. IoU: of
the evidence and the pixels above 15 % of the largest value. Rank: the probability that a pixel of
the evidence has a larger value than another one. Each number is a mean in percent: first that of
the layer's own cells, then that of the detail, over the same photos: those for which both maps say
something. In brackets is the share of the photos for which the detail is the better one.
"""
PLANTED = "Planted networks"
SCORES = {"energy": energy_inside, "IoU": overlap, "rank": rank_inside}
BACKGROUNDS = ("china.jpg", "coffee.jpg")
ANIMALS = ("cat", "chickens", "cow", "dog", "duck", "horses", "owl", "pig", "sheep")
# Sides of the pasted animal, as shares of the photo's: about three cells of seven, and two.
SIZES = (0.45, 0.25)
# Squares of so many pixels: larger than the networks' inputs, for which the size is doubled.
SIDE = 448
# Scores that differ by less are the same.
_EQUAL = 1e-6


@dataclass(frozen=True)
class Sample:
    """A photo, a class, and a mask (H, W) of where the evidence for it lies."""

    network: Any
    photo: Any
    target: str
    truth: Any


def planted_samples(seed: int) -> Iterator[tuple[str, Sample]]:
    """A photo of each planted network that has evidence for its class, all of one name."""
    seen = set()
    for case in planted_cases(seed=seed):
        if case.truth.any() and id(case.network) not in seen:
            seen.add(id(case.network))
            yield PLANTED, Sample(case.network, case.photo, case.target, case.truth)


def pasted_samples(seed: int) -> Iterator[tuple[str, Sample]]:
    """Animals pasted into photos without any; the class is what the network says to them alone."""
    rng = np.random.default_rng(seed)
    for title, name, animals in (
        ("EfficientNet-Lite0, animals pasted", "imagenet_efficientnet_lite0", ANIMALS),
        ("Cat or dog, cats and dogs pasted", "cat_dog", ("cat", "dog")),
        ("The lesson's network, cats and dogs pasted", "cat_dog_lesson", ("cat", "dog")),
    ):
        network = cnnviz.load_model(ROOT / "models" / f"{name}.keras")
        repeats = len(ANIMALS) // len(animals)
        for animal in animals * repeats:
            picture = cnnviz.open_photo(PACKAGE / "samples" / f"{animal}.webp")
            target = animal if animal in network.card.labels else None
            target = target or cnnviz.predict(network, picture).label
            for background in BACKGROUNDS:
                for size in SIZES:
                    photo, truth = pasted(picture, background, size, rng)
                    yield (
                        f"{title}, {size:.0%}".replace("%", " % wide"),
                        Sample(network, photo, target, truth),
                    )


def pasted(picture: Any, background: str, size: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """A square photo with a picture at a random place, and the mask of that place."""
    scene = Image.fromarray(cnnviz.open_photo(PACKAGE / "samples" / background))
    short = min(scene.size)
    photo = scene.crop((0, 0, short, short)).resize((SIDE, SIDE))
    side = round(size * SIDE)
    # Off the border, which a network's crop leaves out.
    left, top = (int(rng.integers(SIDE // 16, SIDE - SIDE // 16 - side)) for _ in range(2))
    shorter = min(picture.shape[:2])
    photo.paste(Image.fromarray(picture[:shorter, :shorter]).resize((side, side)), (left, top))
    truth = np.zeros((SIDE, SIDE), bool)
    truth[top : top + side, left : left + side] = True
    return np.asarray(photo), truth


def scores(sample: Sample, method: str, detail: str) -> dict[str, float] | None:
    """The scores of one map; None where the detail does not fit, or the map says nothing."""
    try:
        cam = cnnviz.class_activation_map(
            sample.network, sample.photo, sample.target, method=method, detail=detail
        )
    except cnnviz.TargetError:
        return None
    if not (cam.values > 0).any():
        return None
    steps = sample.network.card.preprocessing
    height, width = sample.truth.shape
    placed = place_on_photo(cam.values, height, width, steps)
    return {name: score(placed, sample.truth) for name, score in SCORES.items()}


def rows(samples: list[Sample], method: str | None, details: list[str]) -> Iterator[list[str]]:
    """A row for each detail: its mean scores beside those of the layer's own cells."""
    chosen = [method or cnnviz.methods(sample.network)[0] for sample in samples]
    pairs = list(zip(samples, chosen, strict=True))
    plain = [scores(sample, method, CELLS) for sample, method in pairs]
    for detail in details:
        finer = [scores(sample, method, detail) for sample, method in pairs]
        both = [(own, new) for own, new in zip(plain, finer, strict=True) if own and new]
        cells = [compared([(own[name], new[name]) for own, new in both]) for name in SCORES]
        yield [detail, *cells, f"{len(both)} of {len(samples)}"]


def compared(pairs: list[tuple[float, float]]) -> str:
    """The mean of both of some pairs, and in how many of them the second is larger."""
    if not pairs:
        return "–"
    before, after = np.transpose(pairs)
    better = np.mean(after > before + _EQUAL)
    return f"{100 * before.mean():.0f} → {100 * after.mean():.0f} ({100 * better:.0f})"


def table(groups: dict[str, list[Sample]], method: str | None, details: list[str]) -> None:
    for title, samples in groups.items():
        # The detectors of planted networks are silent for patterns of twice their size.
        fit = [key for key in details if title != PLANTED or key != DOUBLE]
        print(f"\n### {title}")
        print_table(["detail", *SCORES, "photos"], rows(samples, method, fit))


def grouped(pairs: Iterable[tuple[str, Sample]]) -> dict[str, list[Sample]]:
    groups = defaultdict(list)
    for title, sample in pairs:
        groups[title].append(sample)
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    groups = grouped(planted_samples(seed)) | grouped(pasted_samples(seed))
    print(INTRODUCTION)
    print("## The best method of each network")
    table(groups, None, [key for key in DETAILS if key not in {CELLS, FUSED}])
    print(f"\n## `{fusing()}`")
    table(groups, fusing(), [key for key in DETAILS if key != CELLS])


if __name__ == "__main__":
    main()
