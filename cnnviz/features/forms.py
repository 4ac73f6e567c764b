"""What pictures are made of while they are searched for: the parameters that a step changes.

``ascents`` has the other half: from parameters to pictures, for TensorFlow.

- ``spectrum``: each frequency scaled by its inverse, as natural photos have it, in colours that
  are not correlated (Olah et al. 2017, "Feature visualization").
- ``phase``: the magnitudes of the frequencies are those of photos, and only the phases change
  (MACO: Fel et al. 2023, "Unlocking feature visualization for deeper networks with magnitude
  constrained optimization", arXiv 2306.06805). Here the magnitude is the same in all directions.
- ``digits``: shares of the principal components of handwritten digits. What such a picture looks
  like is due to the components, too: ``maximization.control`` shows what they draw alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnviz.arrays import Floats
from cnnviz.features import fourier
from cnnviz.features.objectives import DIGIT_SIDE, FormName
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.samples import samples
from cnnviz.settings import PACKAGE

# Of 784 components, those that draw strokes and no noise; and the slope of the sigmoid that makes
# ink and paper of their sum.
COMPONENTS, SLOPE = 40, 6.0
# Magnitudes of photos as they are give hatched pictures.
_MAGNITUDE_SHARE = 0.6


@dataclass(frozen=True)
class Form:
    """One way to make a picture of parameters.

    Attributes:
        draw: random parameters of one picture, from a generator, its side and its channels.
        of_picture: the parameters of a picture (side, side, C) uint8, or of the nearest one.
    """

    draw: Callable[[np.random.Generator, int, int], Floats]
    of_picture: Callable[[NDArray[np.uint8]], Floats]


@functools.lru_cache(maxsize=4)
def magnitudes(side: int, channels: int) -> Floats:
    """(C, side, side // 2 + 1): the mean magnitude of the sample photos, by frequency alone.

    Of the picture before it is squeezed to 0–1; 0 for the mean brightness.
    """
    photos = [open_photo(one.path) for one in samples() if not one.name.startswith("digit")]
    of_each = []
    for photo in photos:
        height, width, _ = photo.shape
        edge = min(height, width)
        top, left = (height - edge) // 2, (width - edge) // 2
        image = Image.fromarray(photo[top : top + edge, left : left + edge])
        image = image.convert("L" if channels == 1 else "RGB").resize((side, side))
        pixels = np.asarray(image).reshape(side, side, channels)
        of_each.append(np.abs(np.fft.rfft2(fourier.unsqueezed(pixels), axes=(0, 1))))
    mean = np.mean(of_each, axis=0).transpose(2, 0, 1)
    down, across = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    rings = np.rint(side * np.sqrt(down**2 + across**2)).astype(int)
    count = np.bincount(rings.ravel())
    smooth = [np.bincount(rings.ravel(), plane.ravel()) / np.maximum(count, 1) for plane in mean]
    spread = _MAGNITUDE_SHARE * np.stack(smooth)[:, rings]
    spread[:, 0, 0] = 0
    return spread.astype(np.float32)


@functools.lru_cache(maxsize=1)
def digit_components() -> tuple[Floats, Floats]:
    """The mean (784,) of the digits that cnnviz ships, and their components (40, 784).

    Of pixels from 0 to 1; each component has the deviation that the digits have along it.
    """
    with np.load(PACKAGE / "samples" / "digits.npz") as digits:
        pixels = digits["x_train"].reshape(-1, DIGIT_SIDE**2).astype(np.float64) / 255
    mean = pixels.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(pixels, rowvar=False))
    largest = slice(-1, -COMPONENTS - 1, -1)
    components = directions[:, largest].T * np.sqrt(variances[largest])[:, None]
    # The sign of an eigenvector is arbitrary.
    components *= np.where(components.sum(axis=1, keepdims=True) < 0, -1, 1)
    return mean.astype(np.float32), components.astype(np.float32)


def _draw_spectrum(generator: np.random.Generator, side: int, channels: int) -> Floats:
    return fourier.noise(generator, 1, side, channels)[0]


def _draw_phase(generator: np.random.Generator, side: int, channels: int) -> Floats:
    shape = channels, side, side // 2 + 1
    return generator.uniform(-np.pi, np.pi, shape).astype(np.float32)


def _phase_of(picture: NDArray[np.uint8]) -> Floats:
    spectrum = np.fft.rfft2(fourier.unsqueezed(picture), axes=(0, 1))
    return np.angle(spectrum).transpose(2, 0, 1).astype(np.float32)


def _draw_digit(generator: np.random.Generator, _side: int, _channels: int) -> Floats:
    return generator.standard_normal(COMPONENTS).astype(np.float32)


def _digit_of(picture: NDArray[np.uint8]) -> Floats:
    mean, components = digit_components()
    shares = np.clip(picture.reshape(-1) / 255, 0.02, 0.98)
    apart = np.log(shares / (1 - shares)) / SLOPE + 0.5 - mean
    return (components @ apart / (components**2).sum(axis=1)).astype(np.float32)


FORMS: dict[FormName, Form] = {
    "spectrum": Form(_draw_spectrum, fourier.spectrum_of),
    "phase": Form(_draw_phase, _phase_of),
    "digits": Form(_draw_digit, _digit_of),
}
