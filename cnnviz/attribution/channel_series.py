"""Methods that weigh a layer's channels by what the network answers without or through them.

Each run is about one channel. What a part gives are the weights (T, K) of its channels, zero for
the others; the map is the sum of the layer's maps, each times its weight. NumPy is imported inside
functions, as in ``formulas``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnviz.attribution.formulas import weighted
from cnnviz.attribution.series import Series

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnviz.arrays import Floats
    from cnnviz.attribution.series_runs import Subject

# Channels of Score-CAM unless another number is asked for, those that differ most over the photo:
# all of them, which Wang et al. take, are hundreds of runs.
SCORED = 64


def by_deviation(maps: Floats, live: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The numbers of the ``live`` (K,) channels of maps (h, w, K), the largest deviation first.

    Example:
        >>> import numpy as np
        >>> maps = np.array([[[1.0, 0.0, 5.0], [2.0, 9.0, 5.0]]])
        >>> by_deviation(maps, np.array([True, True, False])).tolist()
        [1, 0]
    """
    import numpy as np

    order = np.argsort(-maps.std(axis=(0, 1)), kind="stable")
    return order[live[order]]


# --- Score-CAM ------------------------------------------------------------------------------


def scored_channels(maps: Floats) -> NDArray[np.intp]:
    """The channels of maps (h, w, K) that differ from place to place: the others mask nothing."""
    import numpy as np

    return by_deviation(maps, np.ptp(maps, axis=(0, 1)) > 0)


def masked(inputs: Floats, black: Floats, maps: Floats) -> Floats:
    """A network's input (h, w, C) seen through each of some maps: (n, h, w, C).

    A map is interpolated to the size of the input and scaled to 0 to 1: where it is 1 the photo is
    as it was, where it is 0 black.

    Args:
        inputs: (h, w, C).
        black: (h, w, C), the input for a black photo.
        maps: (rows, columns, n).
    """
    import numpy as np

    from cnnviz.arrays import normalise, resize

    height, width = inputs.shape[:2]
    masks = [normalise(resize(one, height, width)) for one in np.moveaxis(maps, -1, 0)]
    return black + np.stack(masks)[..., None] * (inputs - black)


def _score_count(subject: Subject, wanted: int | None) -> int:
    return max(1, min(wanted or SCORED, len(scored_channels(subject.maps))))


def _score_part(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, K): the scores for the photo seen through these channels."""
    import numpy as np

    scores = np.zeros((len(subject.targets), subject.maps.shape[-1]))
    channels = scored_channels(subject.maps)[numbers.start : numbers.stop]
    if len(channels):
        seen = masked(subject.inputs, subject.black, subject.maps[..., channels])
        scores[:, channels] = subject.scores(seen).T
    return scores


def _score_maps(subject: Subject, total: Floats, count: int) -> Floats:
    """(T, h, w): the maps, each times how far the score rises from a black photo's."""
    import numpy as np

    channels = scored_channels(subject.maps)[:count]
    weights = np.zeros_like(total)
    weights[:, channels] = total[:, channels] - subject.scores(subject.black[None]).T
    return weighted(subject.maps, weights[:, None, None])


# --- Ablation-CAM ---------------------------------------------------------------------------


def ablated_channels(maps: Floats) -> NDArray[np.intp]:
    """The channels of maps (h, w, K) that are not zero everywhere: nothing misses the others."""
    return by_deviation(maps, (maps != 0).any(axis=(0, 1)))


def _ablation_count(subject: Subject, wanted: int | None) -> int:
    if subject.is_linear:
        return 1
    channels = len(ablated_channels(subject.maps))
    return max(1, min(wanted or channels, channels))


def _ablation_part(subject: Subject, numbers: range, count: int) -> Floats:
    """(T, K): how far the scores fall when a channel is set to zero."""
    import numpy as np

    maps = subject.maps
    if subject.is_linear:
        # The score is a sum over cells and channels, so a channel is missed by what it adds.
        gradients = subject.gradients(str(subject.layer), subject.inputs[None])[0]
        return (gradients * maps).sum(axis=(1, 2))
    falls = np.zeros((len(subject.targets), maps.shape[-1]))
    channels = ablated_channels(maps)[numbers.start : numbers.stop]
    if len(channels):
        without = np.repeat(maps[None], len(channels), axis=0)
        without[np.arange(len(channels)), ..., channels] = 0
        falls[:, channels] = (subject.base - subject.scores_from(without)).T
    return falls


def _ablation_maps(subject: Subject, total: Floats, count: int) -> Floats:
    return weighted(subject.maps, total[:, None, None])


SCORE_CAM = Series(_score_count, _score_part, _score_maps)
ABLATION_CAM = Series(_ablation_count, _ablation_part, _ablation_maps)
