"""Kinds of planted networks that differ in the evidence, what is beside it, or the way to it.

A kind is a function that draws networks and photos, and yields their cases; its docstring is their
note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from . import planted_networks as n
from .planted_case import WEIGHT, PlantedCase, for_a, plant
from .planted_networks import Body, Step
from .planted_patterns import Placed, coloured_square, glyphs, light_meter, stripes


def one_pattern(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """One pattern is the evidence; there is nothing else in the photo."""
    heads: tuple[Callable[[int], list[Step]], ...] = (
        lambda cells: n.averaged(for_a(), cells),
        lambda cells: n.flattened(for_a(), cells),
        lambda _: n.strongest(for_a()),
        lambda cells: n.averaged(for_a(), cells),
    )
    bodies = Body(), Body(48), Body(32, 4), Body(32, 4, depth=1)
    for body, head in zip(bodies, heads, strict=True):
        planted = plant(rng, body, glyphs(1, rng), head(body.cells(7)))
        for scene in planted.scenes():
            yield planted.case(scene, "A", scene.add(0))


def ignored(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """Distractors whose detectors answer five times as strongly, and which the head ignores."""
    for body, head in (
        (Body(), n.averaged),
        (Body(56, depth=1), n.flattened),
        (Body(), n.averaged),
    ):
        a, *others = glyphs(3, rng)
        detectors = [a, *(replace(other, gain=5.0) for other in others)]
        planted = plant(rng, body, detectors, head(for_a(3), body.cells(7)))
        for scene in planted.scenes():
            truth = scene.add(0)
            for channel in (1, 2, 1):
                scene.add(channel)
            yield planted.case(scene, "A", truth)


def wide(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """Stripes over a large area are the evidence; stripes across, in another one, are ignored."""
    for body, rows, columns in ((Body(), 6, 3), (Body(), 7, 4), (Body(48), 5, 3)):
        detectors = [stripes(upright=True), stripes(upright=False)]
        cells = body.cells(5)
        planted = plant(rng, body, detectors, n.averaged(for_a(2, weight=0.25), cells))
        for scene in planted.scenes():
            top = 8 * int(rng.integers(cells - rows + 1))
            others = cells - columns - 1
            left, left_of_others = (0, columns + 1) if rng.random() < 0.5 else (others + 1, 0)
            truth = scene.fill(0, (top, 8 * left, top + 8 * rows, 8 * (left + columns)))
            scene.fill(1, (8, 8 * left_of_others, 8 * cells - 8, 8 * (left_of_others + others)))
            yield planted.case(scene, "A", truth, without=-0.25 * rows * columns)


def parts(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """The evidence is in three or four parts, each of which adds as much."""
    for body, channels, parts, head in (
        (Body(), 3, (0, 1, 2), n.averaged),
        (Body(), 1, (0, 0, 0, 0), n.averaged),
        (Body(48), 3, (0, 1, 2), n.flattened),
    ):
        weights = np.tile([0.0, 1.5], (channels, 1))
        planted = plant(rng, body, glyphs(channels, rng), head(weights, body.cells(7)))
        for scene in planted.scenes():
            truth = np.any([scene.add(part) for part in parts], axis=0)
            yield planted.case(scene, "A", truth, without=-1.5 * len(parts))


def small(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """A small pattern with a large weight, beside a large texture that adds a tenth as much.

    A map of what adds to the logit has 91 % on the pattern. The texture's detector answers ten
    times as strongly, so its weight is smaller still.
    """
    for body, rows, columns in ((Body(), 4, 5), (Body(48), 3, 3)):
        texture = stripes(upright=True, gain=5.0)
        (pattern,) = glyphs(1, rng, 5, beside=[texture])
        detectors = [replace(pattern, gain=0.5), texture]
        cells, added = body.cells(5), 0.1 * WEIGHT
        weights = np.array([[0.0, WEIGHT / 0.5], [0.0, added / (5 * rows * columns)]])
        planted = plant(rng, body, detectors, n.averaged(weights, cells))
        for scene in planted.scenes():
            top, left = 8 * rng.integers((cells - rows + 1, cells - columns + 1))
            scene.fill(1, (top, left, top + 8 * rows, left + 8 * columns))
            yield planted.case(scene, "A", scene.add(0), alone=-added)


def colour(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """Four squares that differ in colour alone; each colour is a class."""
    labels = "red", "green", "blue", "yellow"
    colours = (1, -1, -1), (-1, 1, -1), (-1, -1, 1), (1, 1, -1)
    for body, head in ((Body(), n.averaged), (Body(56, nested=1), n.averaged)):
        weights = WEIGHT * np.eye(4)
        steps = head(weights, body.cells(7))
        planted = plant(rng, body, [coloured_square(*values) for values in colours], steps, labels)
        for scene in planted.scenes():
            masks = [scene.add(channel) for channel in range(4)]
            for channel in (0, 3):
                yield planted.case(scene, labels[channel], masks[channel])


def light(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """Light that rises across the photo must not matter: two parts of the head cancel it.

    Or the head ignores the channel that measures it.
    """
    leak = np.array([[1.0, 0.0], [1.0, 1.0]])[None, None]
    for body, cancelling in ((Body(), False), (Body(), True), (Body(48), True)):
        detectors = [*glyphs(1, rng, strength=0.55), light_meter()]
        weights = np.array([[0.0, WEIGHT], [0.0, -WEIGHT if cancelling else 0.0]])
        head = n.averaged(weights, body.cells(7))
        if cancelling:
            head = [n.convolved(leak, np.zeros(2)), *head]
        planted = plant(rng, body, detectors, head)
        angle = rng.uniform(0, 2 * np.pi)
        y, x = np.mgrid[-1 : 1 : body.side * 1j, -1 : 1 : body.side * 1j]
        for scene in planted.scenes(light=0.23 * (np.sin(angle) * y + np.cos(angle) * x)):
            truth = scene.add(0)
            scene.placed.append(Placed(1, np.ones_like(truth)))
            yield planted.case(scene, "A", truth)


def edge(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """The pattern touches an edge or a corner; a distractor lies in the middle."""
    for body in (Body(), Body(48, depth=1), Body(62, padding="valid")):
        planted = plant(rng, body, glyphs(2, rng), n.averaged(for_a(2), body.cells(7)))
        end, middle = body.side, body.side // 2
        places = (0, 0, 7, 7), (end - 7, 0, end, end), (0, end - 7, end, end)
        for scene, place in zip(planted.scenes(), places, strict=True):
            scene.add(1, (middle - 7, middle - 7, middle + 7, middle + 7))
            yield planted.case(scene, "A", scene.add(0, place))


def framed(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """The photo has another shape than the input; a pattern that the crop leaves out is unseen."""
    for body, height, width in (
        (Body(fit="crop"), 64, 104),
        (Body(fit="pad"), 40, 64),
        (Body(48, fit="crop"), 96, 48),
    ):
        planted = plant(rng, body, glyphs(1, rng), n.averaged(for_a(), body.cells(7)))
        top, left = max((height - body.side) // 2, 0), max((width - body.side) // 2, 0)
        for scene in planted.scenes(height, width):
            truth = scene.add(0, (top, left, height - top, width - left))
            if body.fit == "crop":
                unseen = (0, 0, height, left) if left else (0, 0, top, width)
                scene.add(0, unseen)
                # No detector can see it.
                scene.placed.pop()
            yield planted.case(scene, "A", truth)


def pyramid(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """Poolings and strides down to 4×4 cells lie between the pattern and the head."""
    for body in (Body(64, 4, strides=2), Body(64, 2, strides=3, depth=1), Body(32, 2, strides=2)):
        weights = for_a(2)
        planted = plant(rng, body, glyphs(2, rng, 5), n.averaged(weights, body.cells(5)))
        for scene in planted.scenes():
            truth = scene.add(0)
            scene.add(1)
            yield planted.case(scene, "A", truth)


def nested(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """The detectors lie in a nested model: functional, Sequential, or nested twice."""
    for body, head in (
        (Body(nested=1), n.averaged),
        (Body(48, nested=1, sequential=True), n.averaged),
        (Body(48, nested=2, depth=1), n.flattened),
    ):
        planted = plant(rng, body, glyphs(2, rng), head(for_a(2), body.cells(7)))
        for scene in planted.scenes():
            truth = scene.add(0)
            scene.add(1)
            yield planted.case(scene, "A", truth)


def normalised(rng: np.random.Generator) -> Iterator[PlantedCase]:
    """Batch normalisation and a ReLU6, which cuts off the answers of some detectors."""
    for body, gains in (
        (Body(normalised=True), (3.0, 9.0)),
        (Body(48, normalised=True, depth=1), (9.0, 3.0)),
        (Body(normalised=True, nested=1), (9.0, 9.0)),
    ):
        pairs = zip(glyphs(2, rng), gains, strict=True)
        detectors = [replace(detector, gain=gain) for detector, gain in pairs]
        weights = for_a(2, WEIGHT / min(gains[0], 6))
        planted = plant(rng, body, detectors, n.averaged(weights, body.cells(7)))
        for scene in planted.scenes():
            truth = scene.add(0)
            scene.add(1)
            yield planted.case(scene, "A", truth)
