"""What is said of the pictures that were found, in words."""

from __future__ import annotations

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.features import found
from cnnviz.features.objectives import OF_CLASSES, Maximised, Objective
from cnnviz.numerals import number, percent

_AFTER = "other crops of the picture, each saved as a JPEG file"


def verdict(one: Maximised, name: str, label: str, *, rectified: bool) -> str:
    """What the network says of the picture of one objective afterwards.

    Args:
        one: the result, of one objective.
        name: what was to be excited.
        label: of the class; "" for a channel.
        rectified: whether an activation function follows on what was excited.
    """
    values, objective = one.values[0], one.objectives[0]
    if found.stays_silent(values):
        return (
            f"{name.capitalize()} stayed silent: no picture changed its value, so what is drawn "
            "says nothing about it."
        )
    checked = one.check.values[0]
    if objective.layer is not None:
        return channel_verdict(values, checked, rectified=rectified)
    lowest, typical = float(checked.min()), float(np.median(checked))
    said = one.check.labels[0]
    count = len(checked)
    if said != label:
        return (
            f"After another crop and JPEG compression the network no longer says {label}: in "
            f"{count} {_AFTER}, {label} gets {percent(typical)} (the middle value), and {said} "
            "gets the most. The picture excites it by details that do not last."
        )
    text = (
        f"In {count} {_AFTER}, the network says {label} with {percent(lowest)} at least "
        f"(the middle value is {percent(typical)})."
    )
    if not found.lasts(checked):
        text += " A part of what excites it does not last."
    return text


def channel_verdict(values: Floats, checked: Floats, *, rectified: bool) -> str:
    """What became of a channel, from the first picture (steps,) to the last one's crops (K,)."""
    first, last, after = float(values[0]), float(values[-1]), float(checked.mean())
    where = ", before its activation function," if rectified else ""
    text = (
        f"The mean of the channel{where} went from {number(first)} at the start to {number(last)}; "
        f"in {len(checked)} {_AFTER}, it is {number(after)}."
    )
    if rectified and last <= 0:
        text += " That is not positive: the activation function may leave nothing of it."
    return text


def silent(one: Maximised) -> bool:
    """Whether nothing changed the value of the one objective."""
    return found.stays_silent(one.values[0])


def way(one: Maximised) -> str:
    """How the picture was searched for."""
    ascent, objective = one.ascents[0], one.objectives[0]
    how = f"{ascent.steps:,} steps, seed {ascent.seed}."
    if ascent.form == "phase":
        return f"Phases alone, in the mean magnitudes of the sample photos; {how}"
    if ascent.form == "digits":
        return (
            "Made of the mean and the 40 principal components of 5,000 handwritten digits: that "
            f"it looks like a digit is due to these, too; {how}"
        )
    if objective.layer is None and ascent.variation != OF_CLASSES.variation:
        return f"The second way, less smooth, since the first picture did not last; {how}"
    return f"The usual way; {how}"


def label_of(objective: Objective, labels: list[str] | tuple[str, ...]) -> str:
    """The name of the class; "" for a channel."""
    return labels[objective.index] if objective.layer is None else ""
