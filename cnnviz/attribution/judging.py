"""Whether a map, and a prediction, can be believed: the runs, and what they say."""

from __future__ import annotations

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
    about = _subject(network, photo, cam.target, cam.against)
    drops = series_runs.run(CELL_DROPS, about)[0][0]
    halves = series_runs.run(HALF_DROPS, about)[0][0] if needs_halves(drops) else None
    return judge_drops(cam.values, drops, halves)


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
    about = _subject(network, photo, target)
    total, _ = series_runs.run(SHIFTED_COPIES, about)
    return read_consistency(network.card.labels[about.targets[0]], total[0])


def _subject(
    network: Network,
    photo: PhotoInput,
    target: str | int | None,
    against: str | int | None = None,
) -> Subject:
    inputs = network_input(photo, network.card.preprocessing)
    classes = [] if target is None else [class_index(network, target)]
    other = None if against is None else class_index(network, against)
    return series_runs.subject(network, inputs, classes, against=other)
