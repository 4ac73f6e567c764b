"""Kinds of planted networks that differ in how the head counts what the detectors found.

A kind is a function that draws networks and photos, and yields their cases; its docstring is their
note.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import planted_networks as n
from .planted_case import WEIGHT, PlantedCase, for_a, plant
from .planted_networks import Body
from .planted_patterns import glyphs


def two_classes(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """Two classes with a pattern each, and both patterns are in the photo."""
    for body, head in (
        (Body(), n.averaged),
        (Body(48), n.flattened),
        (Body(48, 4, depth=1), n.averaged),
    ):
        weights = WEIGHT * np.eye(2)
        steps = head(weights, body.cells(7))
        planted = plant(rng, body, glyphs(2, rng), steps, ("A", "B"))
        for scene in planted.scenes():
            a, b = scene.add(0), scene.add(1)
            yield planted.case(scene, "A", a)
            yield planted.case(scene, "B", b)


def raises_all(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """A distractor raises all logits by three quarters of what the pattern adds to one.

    The probabilities do not depend on it. A map of what adds to the logit has 57 % on the pattern.
    """
    for body, head in ((Body(), n.averaged), (Body(48), n.flattened), (Body(depth=1), n.averaged)):
        weights = np.array([[0.0, WEIGHT, 0.0], [0.75 * WEIGHT] * 3])
        steps = head(weights, body.cells(7))
        planted = plant(rng, body, glyphs(2, rng), steps, ("B", "A", "C"))
        for scene in planted.scenes():
            truth = scene.add(0)
            scene.add(1)
            yield planted.case(scene, "A", truth, alone=-0.75 * WEIGHT)


def against(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """One pattern speaks for the class, and another against it, almost as much."""
    for body, head in (
        (Body(), n.averaged),
        (Body(48, depth=1), n.averaged),
        (Body(), n.flattened),
    ):
        weights = np.array([[0.0, WEIGHT], [0.0, -3.0]])
        planted = plant(rng, body, glyphs(2, rng), head(weights, body.cells(7)))
        for scene in planted.scenes():
            truth, against = scene.add(0), scene.add(1)
            yield planted.case(scene, "A", truth, alone=3.0, against=against)


def sigmoid(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """One sigmoid unit: what speaks for either of its two sides speaks against the other."""
    for body, head in ((Body(), n.averaged), (Body(48), n.flattened)):
        weights = np.array([[WEIGHT], [-WEIGHT]])
        steps = head(weights, body.cells(7))
        planted = plant(rng, body, glyphs(2, rng), steps, ("B", "A"))
        for scene in planted.scenes():
            a, b = scene.add(0), scene.add(1)
            yield planted.case(scene, "A", a, alone=WEIGHT, against=b)
            yield planted.case(scene, "B", b, alone=WEIGHT, against=a)


def together(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """Two patterns that only count together; in some networks only side by side.

    There it is a cell of the first one's that counts for both.
    """
    from keras import layers

    both, bias = np.ones((2, 1)), -np.ones(1)
    for body, pooling, scale in (
        (Body(), layers.GlobalMaxPooling2D, 1),
        (Body(48, depth=1), layers.GlobalAveragePooling2D, 36),
    ):
        head = [(pooling(), ()), n.rectified(both * scale, bias), n.scores(for_a())]
        planted = plant(rng, body, glyphs(2, rng), head)
        for scene in planted.scenes():
            yield planted.case(scene, "A", scene.add(0) | scene.add(1))
    # The second at the right of the first, by three or four cells; each is there alone, too.
    kernel = np.zeros((9, 9, 2, 1))
    kernel[4, 4, 0] = kernel[4, 7:, 1] = 1
    for body in (Body(64, 4), Body(64, 4, nested=1)):
        head = [n.convolved(kernel, bias), *n.averaged(for_a(), body.cells(7))]
        planted = plant(rng, body, glyphs(2, rng), head)
        for scene in planted.scenes():
            a = scene.add(0, (0, 0, 32, 32))
            truth = a | scene.add(1, near=a)
            scene.add(0, (44, 0, 64, 22))
            scene.add(1, (44, 40, 64, 64))
            yield planted.case(scene, "A", truth)


def either(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """Either of two patterns suffices, and both are there: without one of them nothing changes.

    In one network no gradient is left, in another it is left to one of the two.
    """
    from keras import layers

    # One less what both lack to one; the larger as the first and what the second is above it.
    lacking = n.rectified(-np.ones((2, 1)), np.ones(1)), n.scores(for_a(weight=-WEIGHT))
    larger = (
        n.rectified(np.array([[1.0, -1.0], [0.0, 1.0]]), np.zeros(2)),
        n.scores(np.array([[0.0, WEIGHT]] * 2)),
    )
    for body, tail in ((Body(), lacking), (Body(48), larger), (Body(), None)):
        if tail is None:
            planted = plant(rng, body, glyphs(1, rng), n.strongest(for_a()))
        else:
            head = [(layers.GlobalMaxPooling2D(), ()), *tail]
            planted = plant(rng, body, glyphs(2, rng), head)
        for scene in planted.scenes():
            second = 0 if tail is None else 1
            yield planted.case(scene, "A", scene.add(0) | scene.add(second))


def nothing(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """The class stands for a pattern's absence: nothing speaks for it, the pattern against it."""
    for body, count in ((Body(), 1), (Body(48), 2)):
        weights, bias = np.array([[0.0, -WEIGHT]]), np.array([0.0, 2.0])
        head = n.averaged(weights, body.cells(7), bias)
        planted = plant(rng, body, glyphs(1, rng), head, ("something", "nothing"))
        for scene in planted.scenes():
            against = np.any([scene.add(0) for _ in range(count)], axis=0)
            yield planted.case(
                scene,
                "nothing",
                np.zeros_like(against),
                against=against,
                without=0,
                alone=WEIGHT * count,
            )


def gap(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """A place of a regular grid where the pattern is missing is the evidence: nothing is there."""
    for side, gaps in ((64, 1), (48, 1), (64, 2)):
        body = Body(side, 16)
        missing = n.convolved(-np.ones((1, 1, 1, 1)), np.ones(1))
        head = [missing, *n.averaged(for_a(), body.cells(7))]
        planted = plant(rng, body, glyphs(1, rng), head, ("complete", "gap"))
        for scene in planted.scenes():
            places = [(top, left) for top in range(0, side, 16) for left in range(0, side, 16)]
            masks = [scene.add(0, (top, left, top + 9, left + 9)) for top, left in places]
            complete = scene.photo.copy()
            chosen = rng.choice(len(masks), gaps, replace=False)
            truth = np.any([masks[index] for index in chosen], axis=0)
            scene.photo[truth] = scene.background[truth]
            scene.placed[:] = [scene.placed[i] for i in range(len(masks)) if i not in chosen]
            yield planted.case(scene, "gap", truth, without=-WEIGHT * gaps, background=complete)


def places(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """The head weighs places: the pattern counts on one side, on the other not, or against."""
    for body, other, upright in (
        (Body(), 0.0, False),
        (Body(48), 0.0, True),
        (Body(), -0.5, False),
    ):
        cells = body.cells(7)
        weights = np.zeros((cells, cells, 1, 2))
        weights[:, : cells // 2, 0, 1] = WEIGHT
        weights[:, cells // 2 :, 0, 1] = other * WEIGHT
        if upright:
            weights = weights.swapaxes(0, 1)
        planted = plant(rng, body, glyphs(1, rng), n.flattened(weights, cells))
        half, whole = body.side // 2, body.side
        first, second = (0, 0, whole, half), (0, half, whole, whole)
        if upright:
            first, second = (0, 0, half, whole), (half, 0, whole, whole)
        for scene in planted.scenes():
            truth, elsewhere = scene.add(0, first), scene.add(0, second)
            against = elsewhere if other else None
            yield planted.case(scene, "A", truth, alone=-other * WEIGHT, against=against)


def strongest(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """The head takes the strongest answer: a paler copy of the pattern, half as strong, is idle."""
    for body in (Body(), Body(48), Body(48, 4, depth=1)):
        planted = plant(rng, body, glyphs(1, rng), n.strongest(for_a()))
        for scene in planted.scenes():
            truth = scene.add(0)
            scene.add(0, strength=0.8)
            yield planted.case(scene, "A", truth, without=-WEIGHT / 2)
