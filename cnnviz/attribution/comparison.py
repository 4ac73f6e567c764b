"""Compares networks, photos, classes and methods: a map for each, side by side."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cnnviz.attribution import compared, map_terms
from cnnviz.attribution.descriptions import nothing_to_see
from cnnviz.attribution.explanations import explain
from cnnviz.attribution.explanations import methods as methods_of
from cnnviz.attribution.judging import judge_all
from cnnviz.attribution.series_runs import Progress
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index, predict
from cnnviz.results import (
    ClassActivationMap,
    ComparedAnswer,
    Comparison,
    Explanation,
    Prediction,
    Verdict,
)


def compare(
    networks: Network | Sequence[Network],
    photos: NDArray[np.uint8] | Mapping[str, NDArray[np.uint8]],
    *,
    classes: Sequence[str | int] = (),
    methods: Sequence[str] = (),
    layer: str | None = None,
    against: str | None = None,
    runs: int | None = None,
    judge: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """A map for each network, photo, class and method, with what can be said of each.

    Each map is that of ``class_activation_map``. Methods measure different things, and each has a
    scale of its own, which its maps of all networks, photos and classes share; where the cells of a
    map add up to the score, those with as many cells.

    Args:
        networks: one network, or several. Their classes are matched by name.
        photos: one photo (H, W, 3) uint8, or several by name.
        classes: by name, or by number of the first network; the two that it finds most probable in
            the first photo, of those that all networks have, if none.
        methods: keys of ``METHODS``; four that fit all networks and differ in how they are computed
            if none.
        layer: the layer that is explained, for the methods that read any layer; the last one with
            maps if None.
        against: a class whose score is subtracted, for the methods for which one can be chosen.
        runs: as in ``class_activation_map``.
        judge: whether each map gets a verdict, as ``cnnviz.judge`` gives it: some 50 runs for each
            network and photo, and as many for each class that a method sets others against.
        progress: is told how many runs of a method that takes many are done, and of how many.

    Returns:
        The comparison; ``comparison_picture`` draws it and ``comparison_json`` writes it down.

    Raises:
        PhotoError: a photo is not (H, W, 3) uint8.
        TargetError: the networks share no class, one of them has not a chosen class, or a method
            does not exist or does not fit a network.
        LayerError: a network has no such layer, or is a subclassed model.
        ModelError: a network's answer is not a number, or TensorFlow cannot run it.
    """
    chosen = [networks] if isinstance(networks, Network) else list(networks)
    named = dict(photos) if isinstance(photos, Mapping) else {"photo": photos}
    if not chosen or not named:
        raise ValueError("Expected at least one network and one photo. Received: none")
    labels = compared.shared([(one.card.title, one.card.labels) for one in chosen])
    if classes:
        wanted = [chosen[0].card.labels[class_index(chosen[0], one)] for one in classes]
    else:
        wanted = compared.likeliest(predict(chosen[0], next(iter(named.values()))), labels)
    keys = list(methods) or compared.varied(compared.fitting_all([*map(methods_of, chosen)]))
    for network in chosen:
        _check(network, wanted, keys)

    def explained(network: Network, photo: NDArray[np.uint8], method: str) -> Explanation:
        of_layer, rival = compared.options(method, layer, against)
        return explain(
            network,
            photo,
            wanted,
            method=method,
            layer=of_layer,
            against=rival,
            runs=runs,
            progress=progress,
        )

    answers: list[ComparedAnswer] = []
    maps: list[list[tuple[ClassActivationMap, ...]]] = []
    verdicts: list[Verdict | None] = []
    for network, (name, photo) in itertools.product(chosen, named.items()):
        explanations = [explained(network, photo, key) for key in keys]
        answers.append(_answer(network, name, photo, explanations[0].prediction))
        maps.append([one.maps for one in explanations])
        if judge:
            verdicts += _verdicts(network, photo, maps[-1])
    found = compared.build(answers, keys, maps, layer=layer, against=against, runs=runs)
    return compared.judged(found, verdicts) if judge else found


def _verdicts(
    network: Network,
    photo: NDArray[np.uint8],
    maps: Sequence[Sequence[ClassActivationMap]],
) -> list[Verdict | None]:
    """A verdict for each class and method, in the order of a comparison's cells."""
    in_order = [of_method[number] for number in range(len(maps[0])) for of_method in maps]
    spoken = [cam for cam in in_order if not nothing_to_see(cam)]
    found = iter(judge_all(network, photo, spoken))
    return [None if nothing_to_see(cam) else next(found) for cam in in_order]


def _answer(
    network: Network, name: str, photo: NDArray[np.uint8], prediction: Prediction
) -> ComparedAnswer:
    return ComparedAnswer(
        network.card.title,
        network.fingerprint,
        name,
        compared.pixels_sha256(photo),
        photo.shape[:2],
        network.card.preprocessing,
        prediction,
    )


def _check(network: Network, classes: Sequence[str], methods: Sequence[str]) -> None:
    """Checks that a network has all classes, and all methods fit it, before any is run.

    Raises:
        TargetError: it has not, or one does not.
    """
    head = passes.facts(network).head
    for target in classes:
        class_index(network, target)
    for method in methods:
        map_terms.choose(head, method)
