"""A class activation map of a photo: the method that fits the network, run and named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.attribution import map_terms, series_runs
from cnnviz.attribution.formulas import weighted
from cnnviz.attribution.map_terms import MapTerms
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

    Returns:
        The map: ``.values`` (h, w) raw and signed, ``.method``, ``.layer``, ``.target``,
        ``.against``.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such class or method, the method does not fit, or ``against`` is
            the target or does not fit the method.
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
) -> Explanation:
    """The prediction for a photo (H, W, 3), and a map (h, w) for each of some classes.

    The same as ``predict`` and ``class_activation_map`` together, with one run of the network
    for all classes, or one for each where gradients are needed. Without ``targets`` it explains the
    predicted class. The other arguments are as in ``class_activation_map``, for all targets.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such class or method, the method does not fit, or ``against`` is
            the target or does not fit the method.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
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
) -> list[Explanation | CnnvizError]:
    """``explain`` for several photos in one run, as network inputs (N, h, w, C).

    A method that needs many runs takes one photo after the other.

    Where the answer for a photo is not a number, or the predicted class is ``against``, there is an
    error instead of its explanation.

    Raises:
        TargetError: there is no such class or method, the method does not fit, or ``against`` is
            the target or does not fit the method.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    chosen, classes, other = choose(network, targets, method, layer, against)
    if chosen.series is not None:
        return [
            _explain_by_series(
                network, chosen.series, one[None], classes, chosen, layer, other, runs, progress
            )
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
            tuple(_make_map(network, chosen, one, terms(number, one)) for one in wanted),
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


def _explain_by_series(
    network: Network,
    series: Series,
    inputs: NDArray[np.float32],
    classes: list[int],
    method: Method,
    layer: str | None,
    against: int | None,
    runs: int | None,
    progress: Progress | None,
) -> Explanation | CnnvizError:
    try:
        about = series_runs.subject(network, inputs, classes, method, layer, against)
        map_terms.check_different(network, about.targets, against)
        total, count = series_runs.run(series, about, runs, progress)
        return series_runs.explanation(method, about, total, count)
    except (ModelError, TargetError) as error:
        return error


def _make_map(network: Network, method: Method, target: int, terms: MapTerms) -> ClassActivationMap:
    """The map of one photo and one class, by the method's formula."""
    formula = cast(Callable[..., Floats], method.weights)
    values = weighted(terms.maps, formula(terms.maps, *terms.factors))
    labels, score = network.card.labels, terms.score
    if score is None:
        score = float(values.mean(dtype=np.float64)) + (terms.bias or 0.0)
    return ClassActivationMap(
        values,
        method.key,
        terms.layer,
        labels[target],
        score,
        terms.bias,
        terms.gradient,
        saturated=terms.saturated,
        logit=terms.logit,
        aggregate=method.aggregate,
        against=None if terms.against is None else labels[terms.against],
        of_class=method.of_class,
    )
