"""Measures a map: the scores of ``faithfulness``, worked out here."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.attribution import series_runs
from cnnviz.attribution.faithfulness import TESTS, chosen_measures, map_score, tests_of
from cnnviz.attribution.series_runs import Progress
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index
from cnnviz.photos.preprocessing import PhotoInput, network_input
from cnnviz.results import ClassActivationMap, Faithfulness


def measure(
    network: Network,
    photo: PhotoInput,
    cam: ClassActivationMap,
    scores: Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
) -> Faithfulness:
    """How far a map says what the network does: scores beside those of two other maps.

    Each score is given for the map, for a blurred copy of it, which fools some scores, and for a
    random map. The scores disagree with each other, and none of them is a proof:
    ``docs/methods.md`` says how well each tells a true map from a false one.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        cam: the photo's map; where it has a class ``against``, the probability of its class is that
            out of the two.
        scores: keys of ``faithfulness.MEASURES``; all that the map's method can have if None.
        progress: is told how many runs are done, and of how many; an error that it raises ends
            the measurement.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such score or class, a score does not fit the map's method, or the
            map is not of finite numbers.
        ModelError: the network's answer is not a number, TensorFlow cannot run it, or it cannot be
            copied.
    """
    measures = chosen_measures(cam.method, scores)
    tests = tests_of(measures)
    inputs = network_input(photo, network.card.preprocessing)
    against = None if cam.against is None else class_index(network, cam.against)
    target = class_index(network, cam.target)
    about = series_runs.subject(network, inputs, [target], against=against)
    subjects = {
        test: series_runs.tested(about, test, cam.values, cam.method, cam.layer) for test in tests
    }
    counts = {test: TESTS[test].series.count(subjects[test], None) for test in tests}
    sums, before = {}, 0

    def tell(done: int, _count: int) -> None:
        if progress is not None:
            progress(before + done, sum(counts.values()))

    for test in tests:
        sums[test], count = series_runs.run(TESTS[test].series, subjects[test], progress=tell)
        before += count
    found = tuple(map_score(one, sums[one.test]) for one in measures)
    return Faithfulness(cam.method, cam.layer, cam.target, cam.against, found)
