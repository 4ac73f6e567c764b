"""What a picture is to excite, how it is searched for, and where the search is: plain data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats


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
    seed: int = 0


# What gave legible pictures of EfficientNet-Lite0's channels, and of its classes.
OF_CHANNELS = Ascent(128, 80, 0.01, 0.05, (0.9, 1.2), 8, 0.04, 0.0)
OF_CLASSES = Ascent(224, 200, 0.005, 1.0, (0.85, 1.8), 8, 0.1, 0.05)


@dataclass(frozen=True)
class AscentState:
    """Where an ascent of N pictures is: enough to go on from, in any process.

    Attributes:
        step: how many steps are done.
        spectrum: (N, C, h, w // 2 + 1, 2) what the pictures are made of, float32.
        mean: the running mean of the gradients, as the spectrum.
        square: that of their squares.
        values: (N, step) the objective at each step.
        pictures: (N, h, w, C) uint8.
    """

    step: int
    spectrum: Floats
    mean: Floats
    square: Floats
    values: Floats
    pictures: NDArray[np.uint8]
