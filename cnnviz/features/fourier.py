"""Pictures as spectra: the coordinates in which a picture is searched for.

A picture is the inverse Fourier transform of its spectrum, in which each frequency is scaled by its
inverse, as natural photos have it, and in colours that are not correlated (Olah et al. 2017,
"Feature visualization", appendix on preconditioning).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.errors import PhotoError

# Deviation of the picture before it is squeezed to 0–1, and that of the spectrum at the start.
CONTRAST = 0.8
_START = 0.01
# Beyond this the sigmoid's slope is 0 in float32.
_FLAT = 16

# The square root of the covariance of the colours of natural photos, as Lucid has it (Olah et al.
# 2017), divided by its largest norm.
_COVARIANCE_ROOT = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
COLOURS = (_COVARIANCE_ROOT / np.linalg.norm(_COVARIANCE_ROOT, axis=0).max()).T.astype(np.float32)


def frequency_scale(side: int) -> Floats:
    """(side, side // 2 + 1): the factor of each frequency of a square picture."""
    down = np.fft.fftfreq(side)[:, None]
    across = np.fft.rfftfreq(side)[None]
    frequency = np.sqrt(down**2 + across**2)
    return (side / np.maximum(frequency, 1 / side)).astype(np.float32)


def noise(generator: np.random.Generator, count: int, side: int, channels: int) -> Floats:
    """Spectra of grey noise: (count, channels, side, side // 2 + 1, 2) float32."""
    shape = count, channels, side, side // 2 + 1, 2
    return (_START * generator.standard_normal(shape)).astype(np.float32)


def spectrum_of(picture: NDArray[np.uint8]) -> Floats:
    """The spectrum (C, side, side // 2 + 1, 2) of a square picture (side, side, C).

    Raises:
        PhotoError: the picture has one colour, or nearly: at ``CONTRAST`` it would be all black,
            white or pure colours, which no small step changes.
    """
    values = _logits(picture)
    if np.mean(np.abs(values) * CONTRAST > _FLAT * values.std()) > 1 / 2:
        raise PhotoError(
            "This photo has nearly the same colour everywhere, so no search can start from it. "
            "Start from noise, or choose another photo.",
            "flat",
        )
    planes = np.fft.rfft2(_decorrelated(values), axes=(0, 1)).transpose(2, 0, 1)
    spectrum = planes / frequency_scale(picture.shape[0])
    return np.stack([spectrum.real, spectrum.imag], axis=-1).astype(np.float32)


def unsqueezed(picture: NDArray[np.uint8]) -> Floats:
    """A picture (h, w, C) before the sigmoid, in colours that are not correlated."""
    return _decorrelated(_logits(picture))


def _decorrelated(values: Floats) -> Floats:
    if values.shape[-1] == 3:
        values = values @ np.linalg.inv(COLOURS.astype(np.float64))
    return values


def _logits(picture: NDArray[np.uint8]) -> Floats:
    # Black and white have no logarithm.
    shares = np.clip(picture.astype(np.float64) / 255, 0.02, 0.98)
    values: Floats = np.log(shares / (1 - shares))
    return values
