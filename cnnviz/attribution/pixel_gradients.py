"""Methods that average the gradients of a score with respect to a photo's pixels over many inputs.

SmoothGrad averages over copies with noise, Integrated Gradients over the way from a black photo to
the photo. The map has a cell for each pixel of the network's input: the sum over its colour
channels, signed. NumPy is imported inside functions, as in ``formulas``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.attribution.series import Series

if TYPE_CHECKING:
    from cnnviz.arrays import Floats
    from cnnviz.attribution.series_runs import Subject

# Copies of the photo with noise, and steps from black to the photo, unless another number is asked
# for. Smilkov et al. see little change beyond 50; Sundararajan et al. need 20 to 300.
COPIES = 50
STEPS = 50
# The noise's standard deviation as a share of the input's range: Smilkov et al. take .1 to .2.
NOISE = 0.15
_SEED = 0


def noisy(inputs: Floats, numbers: range) -> Floats:
    """Copies (n, h, w, C) of a network's input (h, w, C), each with the noise of its number."""
    import numpy as np

    deviation = NOISE * float(np.ptp(inputs))
    draws = [np.random.default_rng((_SEED, number)) for number in numbers]
    return inputs + deviation * np.stack([draw.standard_normal(inputs.shape) for draw in draws])


def path_points(numbers: range, count: int) -> tuple[Floats, Floats]:
    """Where on the way from black to the photo, 0 to 1, some of ``count`` runs are: (n,).

    And the share of the way that each stands for, (n,): ∫ f(a) da with a = u³ is ∫ f(u³) 3u² du,
    whose midpoints are taken. Most changes near black: the maps of three photos and two networks
    that come with cnnviz add up to what the logit gains but for 0.6 at most, with 50 even steps
    but for 3.6.

    Example:
        >>> path_points(range(2), 2)
        (array([0.015625, 0.421875]), array([0.09375, 0.84375]))
    """
    import numpy as np

    middles = (np.arange(numbers.start, numbers.stop) + 0.5) / count
    return middles**3, 3 * middles**2 / count


def _smooth_part(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, h, w): the gradients of the scores, summed over copies with noise and over colours."""
    return subject.gradients(subject.source, noisy(subject.inputs, numbers)).sum(axis=(0, -1))


def _path_part(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, h, w): what the pixels add to the scores on a part of the way, all colours together."""
    import numpy as np

    points, shares = path_points(numbers, count)
    change = subject.inputs - subject.black
    inputs = subject.black + points[:, None, None, None] * change
    gradients = np.tensordot(shares, subject.gradients(subject.source, inputs), 1)
    return (gradients * change).sum(axis=-1)


SMOOTHGRAD = Series(
    lambda subject, wanted: wanted or COPIES,
    _smooth_part,
    lambda subject, total, count: total / count,
)
INTEGRATED_GRADIENTS = Series(
    lambda subject, wanted: wanted or STEPS, _path_part, lambda subject, total, count: total
)
