"""Tests of a map by other maps of the same method: of changed photos, and of changed networks.

Their sums are as those of ``perturbations``: (T, 3, n), a row for each of the three maps. What
runs networks is imported inside functions: pages and commands read the records that hold these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cnnviz.attribution import trust_series
from cnnviz.attribution.perturbations import (
    MAPS,
    SEED,
    blurred_copy,
    compared_maps,
    random_map,
)
from cnnviz.attribution.series import Series
from cnnviz.attribution.similarity import correlation, rank_correlation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cnnviz.arrays import Floats
    from cnnviz.attribution.methods import Method
    from cnnviz.attribution.series_runs import Subject
    from cnnviz.networks.network import Network

# How far a photo is shifted, as a share of its shorter side: a quarter of one of 7 cells.
_SHIFT = 1 / 28
_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))
# The deviation of the noise, as a share of the range of the network's input, and how often.
_NOISE, _DRAWS = 0.05, 4
# Networks between the one whose head alone is shuffled and the one with no layer left, at most.
_NETWORKS = 8


def _maps(subject: Subject, network: Network, inputs: Floats) -> Floats:
    """The maps (N, h, w) of the tested map's method, for other inputs (N, h', w', C) or a network.

    Those of several inputs come from as few runs as the network can take them in.
    """
    import numpy as np

    from cnnviz.attribution import map_terms
    from cnnviz.attribution.formulas import weighted

    method, target = cast("Method", subject.method), subject.targets[0]
    formula = cast("Callable[..., Floats]", method.weights)
    maps = []
    for batch in subject.batches(inputs):
        *_, terms_of = map_terms.run(
            network, batch, [target], method, subject.layer, subject.against
        )
        for number in range(len(batch)):
            terms = terms_of(number, target)
            maps.append(weighted(terms.maps, formula(terms.maps, *terms.factors)))
    return np.stack(maps)


def _alike(
    before: Floats,
    after: Floats,
    down: int = 0,
    right: int = 0,
    likeness: Callable[[Floats, Floats], float] = rank_correlation,
) -> float:
    """How alike two pictures (h, w) are, the second one shifted back; 0 if one is even.

    What was shifted out of the picture is left out of both.
    """
    import numpy as np

    height, width = before.shape
    rows = slice(max(0, -down), height - max(0, down))
    columns = slice(max(0, -right), width - max(0, right))
    moved = np.roll(after, (-down, -right), axis=(0, 1))
    found = likeness(before[rows, columns], moved[rows, columns])
    return 0.0 if np.isnan(found) else found


# --- Other photos ---------------------------------------------------------------------------------


def shifted(inputs: Floats, down: int, right: int) -> Floats:
    """A picture (h, w, C) shifted by some pixels; its edge is repeated where nothing came from."""
    import numpy as np

    height, width = inputs.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return inputs[rows[:, None], columns]


def _against_photo(
    subject: Subject, inputs: Floats, down: int = 0, right: int = 0
) -> tuple[float, ...]:
    """How alike the three maps of another input (h, w, C) are, in pixels of the input."""
    from cnnviz.arrays import resize

    size = subject.inputs.shape[:2]
    found = _maps(subject, subject.network, inputs[None])[0]
    others = found, blurred_copy(found), random_map(found, inputs)
    return tuple(
        _alike(resize(before, *size), resize(after, *size), down, right)
        for before, after in zip(compared_maps(subject), others, strict=True)
    )


def _for_shifts(subject: Subject, numbers: range, count: int) -> Floats:
    """(1, 3, 4): how alike the maps of shifted photos are to those of the photo."""
    import numpy as np

    step = max(1, round(_SHIFT * min(subject.inputs.shape[:2])))
    table = np.zeros((1, MAPS, count))
    for number in numbers:
        down, right = (step * part for part in _DIRECTIONS[number])
        inputs = shifted(subject.inputs, down, right)
        table[0, :, number] = _against_photo(subject, inputs, down, right)
    return table


def _for_noise(subject: Subject, numbers: range, count: int) -> Floats:
    """(1, 3, 4): how alike the maps of photos with noise are to those of the photo."""
    import numpy as np

    inputs, table = subject.inputs, np.zeros((1, MAPS, count))
    deviation = _NOISE * float(np.ptp(inputs))
    for number in numbers:
        noise = np.random.default_rng([SEED, number]).standard_normal(inputs.shape)
        noisy = (inputs + deviation * noise).astype(np.float32)
        table[0, :, number] = _against_photo(subject, noisy)
    return table


def _for_copies(subject: Subject, numbers: range, count: int) -> Floats:
    """(1, n): how alike the maps of shifted and mirrored copies are to that of the photo.

    Shift and mirroring are undone. It is Pearson's r, in which the bright parts count most, and not
    the order of all that is near zero.
    """
    import numpy as np

    from cnnviz.arrays import resize

    size = subject.inputs.shape[:2]
    before = resize(cast("Floats", subject.shown), *size)
    table = np.zeros((1, count))
    maps = _maps(subject, subject.network, trust_series.shifted(subject.inputs, numbers))
    for number, found in zip(numbers, maps, strict=True):
        after = resize(found[:, ::-1] if trust_series.is_mirrored(number) else found, *size)
        shift = trust_series.copy_shift(number, *size)
        table[0, number] = _alike(before, after, *shift, correlation)
    return table


SHIFTS = Series(lambda subject, runs: len(_DIRECTIONS), _for_shifts)
NOISE = Series(lambda subject, runs: _DRAWS, _for_noise)
# Those of the copies of which ``SHIFTED_COPIES`` has the predictions.
COPIED_MAPS = Series(trust_series.SHIFTED_COPIES.count, _for_copies)


# --- Other networks -------------------------------------------------------------------------------


def _network_count(subject: Subject, runs: int | None) -> int:
    from cnnviz.networks.shuffled_weights import weighted_layers

    return max(1, min(_NETWORKS, weighted_layers(subject.network)))


def _shuffled(subject: Subject, numbers: range, count: int) -> Floats:
    """(1, 3, n): how alike the maps of networks with shuffled weights are to the network's own.

    The random map asks no network: it stays as it is.
    """
    import numpy as np

    table = np.zeros((1, MAPS, count))
    for number, network in _shuffled_networks(subject, numbers, count):
        found = _maps(subject, network, subject.inputs[None])[0]
        own, blurred, noise = compared_maps(subject)
        pairs = (own, found), (blurred, blurred_copy(found)), (noise, noise)
        table[0, :, number] = [_alike(*pair) for pair in pairs]
    return table


def _shuffled_networks(
    subject: Subject, numbers: range, count: int
) -> Iterator[tuple[int, Network]]:
    """The networks of some runs: the first has its last layer shuffled, the last one all."""
    from cnnviz.networks.shuffled_weights import shuffled_copies, weighted_layers

    layers = weighted_layers(subject.network)
    shuffled = [round(1 + number * (layers - 1) / max(count - 1, 1)) for number in numbers]
    return zip(numbers, shuffled_copies(subject.network, shuffled, SEED), strict=True)


SHUFFLED = Series(_network_count, _shuffled)
