"""A class activation map of a photo: the method that fits the network, run and named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cnnviz.attribution import details, finer_maps, map_terms, series_runs
from cnnviz.attribution.details import CELLS, DOUBLE, FUSED
from cnnviz.attribution.methods import Method
from cnnviz.attribution.series import Series
from cnnviz.attribution.series_runs import Progress
from cnnviz.errors import CnnvizError, ModelError, TargetError
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index, read_prediction
from cnnviz.photos.preprocessing import PhotoInput, network_input
from cnnviz.results import ClassActivationMap, Explanation


def methods(network: Network) -> tuple[str, ...]:
    """The methods that fit how the network ends, the best first: keys of ``METHODS``.

    Raises:
        LayerError: the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    return map_terms.fitting(passes.facts(network).head)


def class_activation_map(
    network: Network,
    photo: PhotoInput,
    target: str | int | None = None,
    *,
    method: str | None = None,
    layer: str | None = None,
    against: str | int | None = None,
    runs: int | None = None,
    progress: Progress | None = None,
    detail: str = CELLS,
) -> ClassActivationMap:
    """A map (h, w) of where in a photo the network finds evidence for a class.

    ``METHODS`` has the formulas and papers.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        target: a class, by name or number; the predicted one if None.
        method: a key of ``METHODS``; if None, ``cam`` where the network averages its last
            maps straight into its dense layer, or into its scores; ``hires-cam`` where it
            flattens them into dense layers; else ``grad-cam``.
        layer: the layer to explain, for methods that read any layer; the last one with maps
            if None.
        against: a class whose score is subtracted from the target's, by name or number: the map
            shows what speaks for the one and not for the other. ``finer-cam`` takes the class
            with the nearest score if None; for the other methods None means none.
        runs: how many runs of the network a method takes that needs many; its usual number if
            None. Methods that need one or two take no notice.
        progress: is told how many of them are done, and of how many; an error that it raises ends
            the method.
        detail: a key of ``DETAILS``: how fine the map is. ``cells`` has a value for each cell of
            the layer; ``shifts-2`` and ``shifts-4`` are two and four times as fine, of 4 and 16
            shifted copies of the photo; ``double`` gives the network a photo of twice the size,
            which is another question to it; ``fused`` takes the maps of earlier layers too, for
            ``layer-cam``, which is then the method if None is chosen.

    Returns:
        The map: ``.values`` (h, w) raw and signed, ``.method``, ``.layer``, ``.target``,
        ``.against``, ``.detail``.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such class, method or detail, the method or the detail does not
            fit, or ``against`` is the target or does not fit the method.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
    return explain(
        network,
        photo,
        [] if target is None else [target],
        method=method,
        layer=layer,
        against=against,
        runs=runs,
        progress=progress,
        detail=detail,
    ).maps[0]


def explain(
    network: Network,
    photo: PhotoInput,
    targets: Sequence[str | int] = (),
    *,
    method: str | None = None,
    layer: str | None = None,
    against: str | int | None = None,
    runs: int | None = None,
    progress: Progress | None = None,
    detail: str = CELLS,
) -> Explanation:
    """The prediction for a photo (H, W, 3), and a map (h, w) for each of some classes.

    The same as ``predict`` and ``class_activation_map`` together, with one run of the network
    for all classes, or one for each where gradients are needed. Without ``targets`` it explains the
    predicted class. The other arguments are as in ``class_activation_map``, for all targets.

    In the detail ``double`` the prediction is that for the photo at twice the size. The photo may
    then be a view for ``card.preprocessing.doubled()``.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such class, method or detail, the method or the detail does not
            fit, or ``against`` is the target or does not fit the method.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
    network = sized(network, detail, layer)
    inputs = network_input(photo, network.card.preprocessing)
    (answer,) = explain_inputs(
        network,
        inputs,
        targets,
        method=method,
        layer=layer,
        against=against,
        runs=runs,
        progress=progress,
        detail=detail,
    )
    if isinstance(answer, CnnvizError):
        raise answer
    return answer


def explain_inputs(
    network: Network,
    inputs: NDArray[np.float32],
    targets: Sequence[str | int] = (),
    *,
    method: str | None = None,
    layer: str | None = None,
    against: str | int | None = None,
    runs: int | None = None,
    progress: Progress | None = None,
    detail: str = CELLS,
) -> list[Explanation | CnnvizError]:
    """``explain`` for several photos in one run, as network inputs (N, h, w, C).

    What needs many runs takes one photo after the other. In the detail ``double`` the network is
    the one that ``sized`` gives.

    Where the answer for a photo is not a number, or the predicted class is ``against``, there is an
    error instead of its explanation.

    Raises:
        TargetError: there is no such class, method or detail, the method or the detail does not
            fit, or ``against`` is the target or does not fit the method.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    if method is None and detail == FUSED:
        method = details.fusing()
    chosen, classes, other = choose(network, targets, method, layer, against)
    finer_maps.check(network, chosen, detail, layer)
    if chosen.series is not None or detail in finer_maps.BY_PHOTO:
        return [
            _explain_one(network, one[None], classes, chosen, layer, other, runs, progress, detail)
            for one in inputs
        ]
    head = passes.facts(network).head
    outputs, logits, terms = map_terms.run(network, inputs, classes, chosen, layer, other)

    def explanation(number: int) -> Explanation:
        scores = None if logits is None else logits[number]
        prediction = read_prediction(network, head, outputs[number], scores)
        wanted = classes or [prediction.index]
        map_terms.check_different(network, wanted, other)
        return Explanation(
            prediction,
            tuple(
                map_terms.make_map(network, chosen, one, terms(number, one), detail)
                for one in wanted
            ),
        )

    explanations: list[Explanation | CnnvizError] = []
    for number in range(len(outputs)):
        try:
            explanations.append(explanation(number))
        except (ModelError, TargetError) as error:
            explanations.append(error)
    return explanations


def choose(
    network: Network,
    targets: Sequence[str | int],
    method: str | None = None,
    layer: str | None = None,
    against: str | int | None = None,
) -> tuple[Method, list[int], int | None]:
    """The record of a method, and the numbers of the classes and of the one set against them.

    Raises:
        TargetError: there is no such class or method, the method does not fit, or ``against`` is
            the target or does not fit the method.
        LayerError: the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    classes = [class_index(network, target) for target in targets]
    other = None if against is None else class_index(network, against)
    map_terms.check_different(network, classes, other)
    head = passes.facts(network).head
    return map_terms.choose(head, method, layer, against), classes, other


def sized(network: Network, detail: str, layer: str | None = None) -> Network:
    """The network for photos of the size that a detail takes: itself, but for ``double``.

    Raises:
        as ``finer_maps.doubled``.
    """
    return finer_maps.doubled(network, layer) if detail == DOUBLE else network


def _explain_one(
    network: Network,
    inputs: NDArray[np.float32],
    classes: list[int],
    method: Method,
    layer: str | None,
    against: int | None,
    runs: int | None,
    progress: Progress | None,
    detail: str,
) -> Explanation | CnnvizError:
    """The explanation of one photo (1, h, w, C) by a method or a detail that takes many runs."""
    try:
        about = series_runs.subject(network, inputs, classes, method, layer, against)
        map_terms.check_different(network, about.targets, against)
        if detail == FUSED:
            return series_runs.with_prediction(about, finer_maps.fused(about))
        series = finer_maps.SHIFTS.get(detail) or cast(Series, method.series)
        total, count = series_runs.run(series, about, runs, progress)
        return series_runs.explanation(method, about, total, count, detail)
    except (ModelError, TargetError) as error:
        return error
