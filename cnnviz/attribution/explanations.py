"""A class activation map of a photo: the method that fits the network, run and named."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.attribution.methods import ANY_LAYER, METHODS, Method
from cnnviz.errors import LayerError, ModelError, TargetError
from cnnviz.networks import passes
from cnnviz.networks.gradients import layer_gradients
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index, read_prediction
from cnnviz.networks.values import Head
from cnnviz.networks.weights import class_weights
from cnnviz.photos.preprocessing import PhotoInput, network_input
from cnnviz.results import CERTAIN, ClassActivationMap, Explanation


@dataclass(frozen=True)
class _Terms:
    """What a formula takes for one photo and one class, and what is known of the score.

    Attributes:
        layer: path of the layer that gives the maps.
        maps: (h, w, K).
        factors: (K,) weights of the class, or (h, w, K) gradients of its score.
        bias: what the cells lack to the score, their mean for weights and their sum for
            gradients; None where they do not add up to it.
        score: for gradients, the score; None for weights.
        logit: whether the score is a logit, and not the network's output.
    """

    layer: str
    maps: Floats
    factors: Floats
    bias: float | None = None
    score: float | None = None
    logit: bool = True


# Outputs (N, C) and logits (N, C) of a batch, and a function from the number of a photo in the
# batch and the number of a class to the terms of their map.
_Answers = tuple[Floats, Floats | None, Callable[[int, int], _Terms]]


def methods(network: Network) -> tuple[str, ...]:
    """The methods that fit how the network ends, the best first: keys of ``METHODS``.

    Raises:
        LayerError: the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    return _fitting(passes.facts(network).head)


def class_activation_map(
    network: Network,
    photo: PhotoInput,
    target: str | int | None = None,
    *,
    method: str | None = None,
    layer: str | None = None,
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
        layer: the layer to explain, for methods with gradients only; the last one with maps
            if None.

    Returns:
        The map: ``.values`` (h, w) raw and signed, ``.method``, ``.layer``, ``.target``.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such class or method, or the method does not fit.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
    inputs = network_input(photo, network.card.preprocessing)
    targets = [] if target is None else [target]
    return _only(explain_inputs(network, inputs, targets, method=method, layer=layer)).maps[0]


def explain(
    network: Network,
    photo: PhotoInput,
    targets: Sequence[str | int] = (),
    *,
    method: str | None = None,
    layer: str | None = None,
) -> Explanation:
    """The prediction for a photo (H, W, 3), and a map (h, w) for each of some classes.

    The same as ``predict`` and ``class_activation_map`` together, with one run of the network
    for all classes, or one for each where gradients are needed. Without ``targets`` it explains the
    predicted class.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such class or method, or the method does not fit.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
    inputs = network_input(photo, network.card.preprocessing)
    return _only(explain_inputs(network, inputs, targets, method=method, layer=layer))


def explain_inputs(
    network: Network,
    inputs: NDArray[np.float32],
    targets: Sequence[str | int] = (),
    *,
    method: str | None = None,
    layer: str | None = None,
) -> list[Explanation | ModelError]:
    """``explain`` for several photos in one run, as network inputs (N, h, w, C).

    Where the answer for a photo is not a number, there is an error instead of its explanation.

    Raises:
        TargetError: there is no such class or method, or the method does not fit.
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    classes = [class_index(network, target) for target in targets]
    head = passes.facts(network).head
    chosen = _choose(head, method, layer)
    if chosen.passes == "forward":
        outputs, logits, terms = _run_forward(network, head, inputs, chosen)
    else:
        outputs, logits, terms = _run_backward(network, head, inputs, classes, layer, chosen)
    explanations: list[Explanation | ModelError] = []
    for number, output in enumerate(outputs):
        scores = None if logits is None else logits[number]
        try:
            prediction = read_prediction(network, head, output, scores)
        except ModelError as error:
            explanations.append(error)
            continue
        maps = tuple(
            _make_map(chosen, network.card.labels[target], terms(number, target))
            for target in classes or [prediction.index]
        )
        explanations.append(Explanation(prediction, maps))
    return explanations


def _fitting(head: Head, layer: str | None = None) -> tuple[str, ...]:
    """The methods that fit how a network ends, and a layer if one is chosen: the best first."""
    reads_features = head.features and layer in {None, head.features}
    keys = tuple(METHODS) if reads_features else ANY_LAYER
    ending = "flattened maps" if head.flattened else ""
    best = [key for key in keys if ending and METHODS[key].default_for == ending]
    return tuple(dict.fromkeys([*best, *keys]))


def _choose(head: Head, method: str | None, layer: str | None) -> Method:
    """The method of that key, or the first that fits."""
    other_layer = layer is not None and layer != head.features
    if method is None:
        return METHODS[_fitting(head, layer)[0]]
    if method not in METHODS:
        raise TargetError(f"There is no method {method!r}. Choose from {', '.join(METHODS)}.")
    if METHODS[method].needs == "layer":
        return METHODS[method]
    alternatives = " or ".join(map(repr, ANY_LAYER))
    if not head.features:
        raise TargetError(
            f"The method {method!r} needs a network that averages its last maps straight into "
            f"one dense layer, or into its scores; this one ends otherwise. Use {alternatives}."
        )
    if other_layer:
        raise TargetError(
            f"The method {method!r} reads the layer {head.features!r}, the one before the "
            f"averaging; for {layer!r} use {alternatives}."
        )
    return METHODS[method]


def _make_map(method: Method, label: str, terms: _Terms) -> ClassActivationMap:
    """The map of one photo and one class, by the method's formula."""
    values = method.function(terms.maps, terms.factors)
    if terms.score is None:
        score, gradient = float(values.mean(dtype=np.float64) + terms.bias), None
    else:
        score, gradient = terms.score, float(np.abs(terms.factors).max())
    return ClassActivationMap(
        values,
        method.key,
        terms.layer,
        label,
        score,
        terms.bias,
        gradient,
        saturated=not terms.logit and not 0 < score < CERTAIN,
        logit=terms.logit,
        aggregate=method.aggregate,
    )


def _run_forward(
    network: Network, head: Head, inputs: NDArray[np.float32], method: Method
) -> _Answers:
    """The averaged maps and the weights of the dense layer: one run for all classes."""
    values = passes.forward(network, inputs)
    # The method was chosen because the head has them.
    features = cast(Floats, values.features)
    weights_of = functools.cache(
        functools.partial(class_factors, network, head, method, features.shape[-1])
    )

    def terms(number: int, target: int) -> _Terms:
        weights, bias = weights_of(target)
        return _Terms(str(head.features), features[number], weights, bias=bias)

    return values.output, values.logits, terms


def class_factors(
    network: Network, head: Head, method: Method, channels: int, target: int
) -> tuple[Floats, float]:
    """The weights (K,) of the averaged maps and the bias for a class, as the method takes them."""
    kernel, biases = class_weights(network, head, channels)
    if method.weights is None:
        return kernel[:, target], float(biases[target])
    return method.weights(kernel, target), float(method.weights(biases, target))


def _run_backward(
    network: Network,
    head: Head,
    inputs: NDArray[np.float32],
    classes: list[int],
    layer: str | None,
    method: Method,
) -> _Answers:
    """A layer's output and the gradients of a class's score: a run for each class."""
    path = layer or head.last_spatial
    if path is None:
        raise LayerError("This network has no layer with maps, so there is nothing to draw.")
    # None is the predicted class: so no run is needed to predict it before.
    targets: list[int | None] = [*dict.fromkeys(classes)] or [None]
    runs = {target: layer_gradients(network, inputs, path, target) for target in targets}
    any_run = next(iter(runs.values()))
    if any_run.activations.ndim != 4:
        raise LayerError(
            f"The layer {path!r} gives one number a channel and no maps, so it cannot show "
            "where. Choose a layer before it."
        )

    adds_up = method.exact_sum and head.weighs(path) and any_run.logits is not None
    channels = any_run.activations.shape[-1]
    biases = class_weights(network, head, channels)[1] if adds_up else None

    def terms(number: int, target: int) -> _Terms:
        run = runs[target if classes else None]
        return _Terms(
            path,
            run.activations[number],
            run.gradients[number],
            bias=None if biases is None else float(biases[target]),
            score=float(run.scores[number]),
            logit=run.logits is not None,
        )

    return any_run.output, any_run.logits, terms


def _only(explanations: list[Explanation | ModelError]) -> Explanation:
    """The explanation of a batch of one photo.

    Raises:
        ModelError: the network's answer is not a number.
    """
    (explanation,) = explanations
    if isinstance(explanation, ModelError):
        raise explanation
    return explanation
