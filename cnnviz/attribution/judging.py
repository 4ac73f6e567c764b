"""Whether a map, and a prediction, can be believed: the runs, and what they say."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from cnnviz.attribution import series_runs
from cnnviz.attribution.map_changes import COPIED_MAPS
from cnnviz.attribution.series_runs import Subject
from cnnviz.attribution.trust import judge_runs, read_consistency, why_no_copies, with_maps
from cnnviz.attribution.trust_series import RANDOM_HALVES, SHIFTED_COPIES, SQUARES
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
    """``judge`` for several maps of a photo, which share the runs, whatever their classes are."""
    if not maps:
        return []
    about = _subject(network, photo)
    prediction = series_runs.with_prediction(about, ()).prediction
    squares = series_runs.run(SQUARES, about)[0]
    halves = functools.cache(lambda: series_runs.run(RANDOM_HALVES, about)[0])
    verdicts = []
    for cam in maps:
        of_class = class_index(network, cam.target)
        other = None if cam.against is None else class_index(network, cam.against)
        verdicts.append(judge_runs(cam.values, prediction, of_class, other, squares, halves))
    # Runs that are made here are always there.
    return [verdict for verdict in verdicts if verdict is not None]


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
    about = _subject(network, photo)
    prediction = series_runs.with_prediction(about, ()).prediction
    of_class = prediction.index if target is None else class_index(network, target)
    return read_consistency(prediction, of_class, series_runs.run(SHIFTED_COPIES, about)[0])


def map_consistency(network: Network, photo: PhotoInput, cam: ClassActivationMap) -> Consistency:
    """``consistency`` of a map's class, and whether the map stays in place in the same copies.

    Each copy of the photo gets a map of the same kind, which is put back into the photo's place and
    compared. A map of a method of many runs, or in a finer detail, would take 16 times as long: it
    is not compared, and ``trust.why_no_copies`` says so.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        cam: a map of this photo.

    Returns:
        ``.map_likeness``: the mean correlation of the maps of the copies with the map; None where
        they were not made. Beside it what ``consistency`` gives.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: the network has no such class.
        LayerError: the network is a subclassed model.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
    found = consistency(network, photo, cam.target)
    if why_no_copies(cam):
        return found
    inputs = network_input(photo, network.card.preprocessing)
    against = None if cam.against is None else class_index(network, cam.against)
    classes = [class_index(network, cam.target)]
    about = series_runs.subject(network, inputs, classes, against=against)
    about = series_runs.tested(about, "copied-maps", cam.values, cam.method, cam.layer)
    return with_maps(found, series_runs.run(COPIED_MAPS, about)[0][0])


def _subject(network: Network, photo: PhotoInput) -> Subject:
    inputs = network_input(photo, network.card.preprocessing)
    return series_runs.subject(network, inputs, ())
