"""What a picture is to excite, how it is searched for, and where the search is: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats

# What pictures are made of, see `forms`: a spectrum, phases alone, or shapes of digits.
FormName = Literal["spectrum", "phase", "digits"]

# Pictures of one batch; more are made batch by batch.
MOST_AT_ONCE = 8
# Limits on what a worker computes: the longest side, all steps, and copies of a picture.
MOST_SIDE, MOST_STEPS, MOST_COPIES = 512, 2000, 16
# Other crops of a picture on which the network is asked again.
CROPS = 8
# The side of pictures of handwritten digits.
DIGIT_SIDE = 28


@dataclass(frozen=True)
class Objective:
    """What a picture is to excite: a channel of a layer, or a class.

    Attributes:
        layer: path of the layer; None for a class.
        index: of the channel, or of the class.
        against: index of a class whose logit is subtracted; None where there is none.
    """

    layer: str | None
    index: int
    against: int | None = None


@dataclass(frozen=True)
class Ascent:
    """How a picture is searched for.

    Attributes:
        side: of the square picture, in pixels.
        steps: how many.
        rate: the learning rate.
        variation: the weight of the total variation: larger is smoother.
        zoom: the smallest and the largest factor of the random scaling.
        turn: the largest random rotation, in degrees.
        shift: the largest random shift, as a share of the side.
        noise: the deviation of the noise that is added, of pixels from 0 to 1.
        form: what the picture is made of.
        copies: how many copies of a picture, each moved at random, the network sees in a step.
        penalty: the weight of the sum of the squared parameters.
        seed: of all that is random.
    """

    side: int
    steps: int
    rate: float
    variation: float
    zoom: tuple[float, float]
    turn: float
    shift: float
    noise: float
    form: FormName = "spectrum"
    copies: int = 1
    penalty: float = 0.0
    seed: int = 0


# What gave legible pictures of EfficientNet-Lite0's channels, and of its classes.
OF_CHANNELS = Ascent(128, 80, 0.01, 0.05, (0.9, 1.2), 8, 0.04, 0.0)
OF_CLASSES = Ascent(224, 200, 0.005, 1.0, (0.85, 1.8), 8, 0.1, 0.05)
# Less smooth, for classes of which the first way finds no picture that lasts.
OF_CLASSES_ROUGH = Ascent(224, 200, 0.005, 0.2, (0.85, 1.8), 8, 0.1, 0.02)
# Phases alone, in the magnitudes of photos, which take the place of the total variation.
OF_CLASSES_PHASE = Ascent(224, 200, 0.1, 0.0, (0.85, 1.8), 8, 0.1, 0.05, "phase")
# For networks of handwritten digits.
OF_DIGITS = Ascent(DIGIT_SIDE, 120, 0.1, 0.0, (0.85, 1.15), 12, 0.04, 0.0, "digits", 8, 0.1)


@dataclass(frozen=True)
class AscentState:
    """Where an ascent of N pictures is: enough to go on from, in any process.

    Attributes:
        step: how many steps are done.
        parameters: (N, …) what the pictures are made of, float32.
        mean: the running mean of the gradients, as the parameters.
        square: that of their squares.
        values: (N, step) the objective at each step.
        pictures: (N, h, w, C) uint8, those that the last value is of.
    """

    step: int
    parameters: Floats
    mean: Floats
    square: Floats
    values: Floats
    pictures: NDArray[np.uint8]


@dataclass(frozen=True)
class AscentQuestion:
    """A search for some pictures at once.

    Attributes:
        objectives: all of one layer, or all classes; at most ``MOST_AT_ONCE``.
        ascent: how they are searched for.
        start: (side, side, C) uint8 to start from; random parameters if None.
    """

    objectives: tuple[Objective, ...]
    ascent: Ascent
    start: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class PictureCheck:
    """What a network says of N pictures after K other crops and JPEG compression.

    Attributes:
        values: (N, K) the probability of the class, or the mean activation of the channel.
        labels: the most probable class of each picture, over its crops; empty for channels.
    """

    values: Floats
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Maximised:
    """The pictures that excite N channels of a layer most, or N classes.

    Attributes:
        objectives: the N channels or classes.
        ascents: how each picture was searched for.
        pictures: (side, side, C) uint8 each.
        values: the objective at each step, (steps,) each.
        check: what the network says of them afterwards.
    """

    objectives: tuple[Objective, ...]
    ascents: tuple[Ascent, ...]
    pictures: tuple[NDArray[np.uint8], ...]
    values: tuple[Floats, ...]
    check: PictureCheck
