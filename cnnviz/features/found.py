"""What searches for pictures have found, put together; needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.features.objectives import (
    AscentQuestion,
    AscentState,
    Maximised,
    PictureCheck,
)

# What the network must say of a class's picture after other crops and JPEG compression.
LASTING = 0.99


def result(question: AscentQuestion, state: AscentState, check: PictureCheck) -> Maximised:
    """What a search has found."""
    count = len(question.objectives)
    return Maximised(
        question.objectives,
        (question.ascent,) * count,
        tuple(state.pictures),
        tuple(state.values),
        check,
    )


def joined(parts: Sequence[Maximised]) -> Maximised:
    """The results of several searches, one after the other."""
    return Maximised(
        tuple(one for part in parts for one in part.objectives),
        tuple(one for part in parts for one in part.ascents),
        tuple(one for part in parts for one in part.pictures),
        tuple(one for part in parts for one in part.values),
        joined_checks([part.check for part in parts]),
    )


def joined_checks(checks: Sequence[PictureCheck]) -> PictureCheck:
    """The checks of several pictures, one after the other."""
    return PictureCheck(
        np.concatenate([check.values for check in checks]),
        tuple(label for check in checks for label in check.labels),
    )


def better(first: Maximised, second: Maximised) -> Maximised:
    """The first search, with those pictures of the second that last better."""
    chosen = []
    for number, objective in enumerate(first.objectives):
        place = first, number
        if objective in second.objectives:
            other = second.objectives.index(objective)
            if second.check.values[other].min() > first.check.values[number].min():
                place = second, other
        chosen.append(only(*place))
    return joined(chosen)


def only(found: Maximised, number: int) -> Maximised:
    """One of the pictures that were found."""
    one = slice(number, number + 1)
    check = PictureCheck(found.check.values[one], found.check.labels[one])
    parts = found.objectives[one], found.ascents[one], found.pictures[one], found.values[one]
    return Maximised(*parts, check)


def lasts(probabilities: Floats) -> bool:
    """Whether a class's probabilities (K,) after other crops and JPEG are all high."""
    return bool(probabilities.min() > LASTING)


def stays_silent(values: Floats) -> bool:
    """Whether no picture changed an objective (steps,): such as that of a channel that is dead."""
    return len(values) > 1 and bool(np.ptp(values) == 0)
