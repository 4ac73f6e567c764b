"""A planted case, and a network with photos for it in the making."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import cnnviz
from cnnviz.attribution.ground_truth import covered_cells

from . import planted_networks as n
from .planted_networks import Body, Step
from .planted_patterns import Array, Detector, Placed, Scene, as_bytes

# Photos for each network, and what one pattern adds to a logit where nothing else is said.
PHOTOS, WEIGHT = 3, 4.0


@dataclass(frozen=True)
class PlantedCase:
    """A photo, a class of a network, and where the evidence for it lies.

    Attributes:
        kind: a key of `KINDS`.
        network: a `cnnviz.Network`.
        photo: (H, W, 3) uint8.
        target: the class.
        truth: (H, W) the pixels that are evidence for the class; none where nothing is.
        against: (H, W) the pixels that are evidence against it; None where nothing is.
        note: what is known of the evidence.
        background: (H, W, 3) uint8, the photo with the evidence, or all, taken away.
        without: the change of the class's logit where the truth is replaced by the background.
        alone: the change of the logit where all but the truth is replaced by it.
        placed: what was placed in the photo; nothing else makes a detector answer.
        detectors: path of the layer whose channels are the detectors.
    """

    kind: str
    network: Any
    photo: Array
    target: str
    truth: Array
    against: Array | None
    note: str
    background: Array = field(repr=False)
    without: float
    alone: float
    placed: tuple[Placed, ...] = field(repr=False)
    detectors: str


@dataclass(frozen=True)
class Planted:
    """A network in the making, and the photos for it."""

    rng: np.random.Generator
    body: Body
    detectors: Sequence[Detector]
    network: Any

    def scenes(
        self, height: int = 0, width: int = 0, light: Array | float = 0.0
    ) -> Iterator[Scene]:
        for _ in range(PHOTOS):
            size = height or self.body.side, width or self.body.side
            yield Scene(self.detectors, self.rng, *size, light)

    def case(
        self,
        scene: Scene,
        target: str,
        truth: Array,
        *,
        without: float = -WEIGHT,
        alone: float = 0.0,
        against: Array | None = None,
        background: Array | None = None,
    ) -> PlantedCase:
        return PlantedCase(
            kind="",
            network=self.network,
            photo=as_bytes(scene.photo),
            target=target,
            truth=truth,
            against=against,
            note="",
            background=as_bytes(scene.background if background is None else background),
            without=without,
            alone=alone,
            placed=tuple(scene.placed),
            detectors=self.body.detectors,
        )


def plant(
    rng: np.random.Generator,
    body: Body,
    detectors: Sequence[Detector],
    head: Sequence[Step],
    labels: Sequence[str] = ("nothing", "A"),
) -> Planted:
    return Planted(rng, body, detectors, n.build(body, detectors, head, labels))


def for_a(channels: int = 1, weight: float = WEIGHT) -> Array:
    """Weights (K, 2) of a head for which the first channel alone counts, for the second class."""
    weights = np.zeros((channels, 2))
    weights[0, 1] = weight
    return weights


def mistakes(case: PlantedCase, tolerance: float = 0.06) -> list[str]:
    """What is not as the case says, by running its network; [] where all is.

    Each detector must answer at every place of its pattern, and nowhere else; and the class's logit
    must change by what the case says, up to a tolerance, which the rounding of pixels needs.
    """
    (maps,) = cnnviz.activations(case.network, case.photo, [case.detectors]).values()
    wrong = [
        f"detector {channel} {problem}"
        for channel in range(maps.shape[-1])
        for problem in _wrong_answers(case, channel, maps[..., channel] > 0)
    ]
    before, truth = _logit(case, case.photo), case.truth[..., None]
    for name, photo, expected in (
        ("without the truth", np.where(truth, case.background, case.photo), case.without),
        ("with the truth alone", np.where(truth, case.photo, case.background), case.alone),
    ):
        change = _logit(case, photo) - before
        if abs(change - expected) > tolerance:
            wrong.append(f"{name} the logit changes by {change:.2f}, not by {expected:.2f}")
    return wrong


def _wrong_answers(case: PlantedCase, channel: int, answers: Array) -> Iterator[str]:
    def cells(mask: Array) -> Array:
        return covered_cells(mask, *answers.shape, case.network.card.preprocessing) > 0

    masks = [placed.mask for placed in case.placed if placed.channel == channel]
    if any(not answers[cells(mask)].any() for mask in masks):
        yield "is silent where its pattern is"
    if (answers & ~cells(np.any([np.zeros_like(case.truth), *masks], axis=0))).any():
        yield "answers where its pattern is not"


def _logit(case: PlantedCase, photo: Array) -> float:
    cam = cnnviz.class_activation_map(case.network, photo, case.target, method="hires-cam")
    return cam.score
