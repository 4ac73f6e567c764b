"""A comparison as one picture: methods side by side, networks, photos and classes below another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from cnnviz.arrays import Bytes
from cnnviz.colours import table
from cnnviz.drawing import SIGNED, overlay
from cnnviz.figures.lettering import (
    BOLD,
    GROUND,
    LARGE,
    NORMAL,
    QUIET,
    REGULAR,
    SMALL,
    TEXT,
    font,
    write,
)
from cnnviz.figures.shading import magnify
from cnnviz.numerals import percent, written
from cnnviz.photos.encoding import shrink
from cnnviz.results import ComparedAnswer, ComparedCell, ComparedMethod, Comparison

# Pixels: the longer side of a photo, the column of headings, the distances, and a line of text.
_SIDE, _HEADINGS, _MARGIN, _GAP, _LINE = 300, 220, 24, 20, 20
# The bar of colours below a method's name.
_BAR, _BAR_HEIGHT = 120, 10
_EXPLANATION = (
    "Orange is above zero, blue below: where a map is evidence, for the class and against it.",
    "Each method has a scale of its own: methods measure different things. Rank correlation: with "
    "the map of the first method, across networks with that of the first network.",
)


def comparison_picture(comparison: Comparison, photos: Sequence[Bytes]) -> Bytes:
    """All maps of a comparison over their photos, with headings and scales: (H, W, 3) uint8.

    The methods are side by side, each with its scale; below them is a row for each network, photo
    and class. The maps are drawn by ``overlay``.

    Args:
        comparison: the comparison.
        photos: (H, W, 3) uint8, the original of each of its answers.
    """
    shown = [_sized(photo) for photo in photos]
    across = max(photo.shape[1] for photo in shown)
    rows = comparison.rows
    most_lines = max(len(score_lines(cell, several=True)) for cell in comparison.cells)
    heights = [
        max(shown[row[0].answer].shape[0], 5 * _LINE) + _LINE * most_lines + _GAP for row in rows
    ]
    head = _MARGIN + 3 * _LINE + _GAP
    columns = len(comparison.methods)
    width = max(_MARGIN + _HEADINGS + columns * (across + _GAP) + _MARGIN - _GAP, 900)
    height = head + sum(heights) + 3 * _LINE + _MARGIN
    canvas = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(canvas)
    for number, method in enumerate(comparison.methods):
        left = _MARGIN + _HEADINGS + number * (across + _GAP)
        _draw_method(canvas, method, comparison.limits(number), left, across)
    top = head
    for row, row_height in zip(rows, heights, strict=True):
        answer = comparison.answers[row[0].answer]
        _draw_heading(draw, answer, row[0].cam.target, top)
        photo = shown[row[0].answer]
        for number, cell in enumerate(row):
            left = _MARGIN + _HEADINGS + number * (across + _GAP)
            drawn = overlay(photo, cell.cam, answer.preprocessing, limit=cell.limit)
            canvas.paste(Image.fromarray(drawn), (left, top))
            below = top + photo.shape[0] + 4
            several = len(comparison.limits(number)) > 1
            for line, text in enumerate(score_lines(cell, several=several)):
                write(draw, (left, below + line * _LINE), text, across, colour=QUIET)
        top += row_height
    for line, text in enumerate((*_EXPLANATION, _settings(comparison))):
        write(draw, (_MARGIN, top + line * _LINE), text, width - 2 * _MARGIN, colour=QUIET)
    return np.asarray(canvas)


def score_lines(cell: ComparedCell, *, several: bool = False) -> list[str]:
    """What is known about a map, a line each: verdict and scores, or that it says nothing.

    Args:
        cell: of the comparison.
        several: whether its method has several scales, so that it must name its own.
    """
    if cell.note:
        return ["This map says nothing."]
    scores = dict(cell.scores)
    largest, where = scores.pop("largest", None), scores.pop("where", "")
    first = [] if largest is None else [f"Largest {_text(largest, '+.3g')}, {where}"]
    scale = [f"Colours to ±{cell.limit:.3g}"] if several else []
    named = {name.removesuffix(" with the first method"): one for name, one in scores.items()}
    others = [f"{name[:1].upper()}{name[1:]}: {_text(value)}" for name, value in named.items()]
    verdict = [] if cell.verdict is None else [f"Verdict: {cell.verdict.word}"]
    return verdict + first + scale + others


def _text(value: float | str, digits: str = "+.2f") -> str:
    """A score: a word as it is, a number with its sign."""
    return value if isinstance(value, str) else written(value, digits)


def _sized(photo: Bytes) -> Bytes:
    """A photo whose longer side is about as long as all others'; pixels of tiny ones stay sharp."""
    longest = max(photo.shape[:2])
    return magnify(photo, max(1, _SIDE // longest)) if longest < _SIDE else shrink(photo, _SIDE)


def _settings(comparison: Comparison) -> str:
    """What was chosen beside classes and methods."""
    chosen = {
        "Layer": comparison.layer or "the last with maps",
        "Against": comparison.against or "no other class was chosen",
    }
    return "   ".join(f"{name}: {value}." for name, value in chosen.items())


def _draw_method(
    canvas: Image.Image, method: ComparedMethod, limits: Sequence[float], left: int, width: int
) -> None:
    """A method's name, and its scale: what its first and its last colour mean."""
    draw = ImageDraw.Draw(canvas)
    write(draw, (left, _MARGIN), method.title, width, NORMAL, BOLD)
    top = _MARGIN + _LINE + 4
    if not limits:
        write(draw, (left, top), "No map of it says anything.", width, colour=QUIET)
        return
    low, high = scale_ends(limits)
    start = left + round(font(SMALL, REGULAR).getlength(low)) + 6
    colours = table(SIGNED)[np.linspace(0, 255, _BAR).round().astype(int)]
    bar = Image.fromarray(np.repeat(colours[None], _BAR_HEIGHT, axis=0))
    canvas.paste(bar, (start, top + 5))
    middle = start + _BAR // 2
    draw.line((middle, top + 2, middle, top + _BAR_HEIGHT + 7), TEXT)
    write(draw, (left, top), low, width, colour=QUIET)
    write(draw, (start + _BAR + 6, top), high, width, colour=QUIET)
    write(draw, (left, top + _LINE), method.unit, width, colour=QUIET)


def scale_ends(limits: Sequence[float]) -> tuple[str, str]:
    """What the first and the last colour of a method mean, whose maps have these limits."""
    if len(limits) > 1:
        return "−largest", "+largest"
    return f"−{limits[0]:.3g}", f"+{limits[0]:.3g}"


def _draw_heading(draw: ImageDraw.ImageDraw, answer: ComparedAnswer, target: str, top: int) -> None:
    """The class of a row with its probability, the network and the photo."""
    width = _HEADINGS - _GAP
    prediction = answer.prediction
    probability = float(prediction.probabilities[prediction.labels.index(target)])
    write(draw, (_MARGIN, top - 6), target, width, LARGE, BOLD)
    write(draw, (_MARGIN, top + _LINE + 6), percent(probability), width, NORMAL)
    for line, text in enumerate((answer.network, answer.photo), 2):
        write(draw, (_MARGIN, top + line * _LINE + 10), text, width, colour=QUIET)
