"""Whether a map, and a prediction, can be believed: the runs, and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.arrays import Floats
from cnnviz.attribution import series_runs
from cnnviz.attribution.series_runs import Subject
from cnnviz.attribution.trust import judge_drops, needs_halves, read_consistency
from cnnviz.attribution.trust_series import CELL_DROPS, HALF_DROPS, SHIFTED_COPIES
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index
from cnnviz.photos.preprocessing import PhotoInput, network_input
from cnnviz.results import ClassActivationMap, Consistency, Verdict


def judge(network: Network, photo: PhotoInput, cam: ClassActivationMap) -> Verdict:
    """Whether a map of a photo (H, W, 3) can be believed, by what covering parts of it costs.

    The photo is run 64 times with a square of 2 × 2 cells of a grid covered by a blurred copy, and
    40 times with half of the cells covered where that shows nothing. ``trust`` has the rule.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        cam: a map of this photo; of its class, and of the one that it is set against.

    Returns:
        ``.word``: ``holds``, ``weak``, ``says nothing`` or ``cannot tell``, with the numbers.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: the network has no such class.
        LayerError: the network is a subclassed model.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
    return judge_all(network, photo, [cam])[0]


def judge_all(
    network: Network, photo: PhotoInput, maps: Sequence[ClassActivationMap]
) -> list[Verdict]:
    """``judge`` for several maps of a photo: those set against the same class share the runs."""
    losses: dict[tuple[str, str | None], tuple[Floats, Floats | None]] = {}
    for against in dict.fromkeys(cam.against for cam in maps):
        targets = list(dict.fromkeys(cam.target for cam in maps if cam.against == against))
        about = _subject(network, photo, targets, against)
        drops = series_runs.run(CELL_DROPS, about)[0]
        halves: Sequence[Floats | None] = [None] * len(targets)
        if any(map(needs_halves, drops)):
            halves = list(series_runs.run(HALF_DROPS, about)[0])
        for target, of_cells, of_halves in zip(targets, drops, halves, strict=True):
            losses[target, against] = of_cells, of_halves
    return [judge_drops(cam.values, *losses[cam.target, cam.against]) for cam in maps]


def consistency(
    network: Network, photo: PhotoInput, target: str | int | None = None
) -> Consistency:
    """A class's probability in 8 shifted copies of a photo (H, W, 3), and in 8 mirrored ones.

    A prediction that falls with a shift by half a cell hangs on little. The runs are those of
    test-time augmentation (Krizhevsky et al. 2012), but nothing is averaged.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        target: a class, by name or number; the predicted one if None.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such class.
        LayerError: the network is a subclassed model.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
    about = _subject(network, photo, [] if target is None else [target])
    total, _ = series_runs.run(SHIFTED_COPIES, about)
    return read_consistency(network.card.labels[about.targets[0]], total[0])


def _subject(
    network: Network,
    photo: PhotoInput,
    targets: Sequence[str | int],
    against: str | None = None,
) -> Subject:
    inputs = network_input(photo, network.card.preprocessing)
    classes = [class_index(network, target) for target in targets]
    other = None if against is None else class_index(network, against)
    return series_runs.subject(network, inputs, classes, against=other)
