"""What a method's formula takes for photos and classes, and what is known of the scores."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.attribution.details import CELLS
from cnnviz.attribution.formulas import contrastive_weights, noise_map, weighted
from cnnviz.attribution.methods import ANY_LAYER, AVERAGED_MAPS, METHODS, Method
from cnnviz.errors import LayerError, TargetError
from cnnviz.networks import passes
from cnnviz.networks.gradients import layer_gradients
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_scores
from cnnviz.networks.values import Head
from cnnviz.networks.weights import class_weights
from cnnviz.results import CERTAIN, ClassActivationMap, LayerGradients


@dataclass(frozen=True)
class MapTerms:
    """What a formula takes for one photo and one class, and what is known of the score.

    Attributes:
        layer: path of the layer that gives the maps.
        maps: (h, w, K).
        factors: what the formula takes beside the maps: the weights (K,) of the class, the
            gradients (h, w, K) of its score, or nothing.
        bias: what the cells lack to the score, their mean for weights and their sum for
            gradients; None where they do not add up to it.
        score: the score; None where it is the mean of the map plus the bias.
        against: number of the class whose score is subtracted, if one is.
        gradient: the largest absolute gradient; None where the method needs none.
        saturated: as in ``ClassActivationMap``.
        logit: whether the score is a logit, and not the network's output.
    """

    layer: str
    maps: Floats
    factors: tuple[Floats, ...]
    bias: float | None = None
    score: float | None = None
    against: int | None = None
    gradient: float | None = None
    saturated: bool = False
    logit: bool = True


# Outputs (N, C) and logits (N, C) of a batch, and a function from the number of a photo in the
# batch and the number of a class to the terms of their map.
Answers = tuple[Floats, Floats | None, Callable[[int, int], MapTerms]]


def fitting(head: Head, layer: str | None = None) -> tuple[str, ...]:
    """The methods that fit how a network ends, and a layer if one is chosen: the best first."""
    reads_features = head.features and layer in {None, head.features}
    keys = [key for key in METHODS if reads_features or key not in AVERAGED_MAPS]
    if layer is not None:
        keys = [key for key in keys if METHODS[key].needs != "photo"]
    ending = "flattened maps" if head.flattened else ""
    best = [key for key in keys if ending and METHODS[key].default_for == ending]
    return tuple(dict.fromkeys([*best, *keys]))


def choose(
    head: Head,
    method: str | None = None,
    layer: str | None = None,
    against: str | int | None = None,
) -> Method:
    """The method of that key, or the first that fits.

    Args:
        head: how the network ends.
        method: a key of ``METHODS``, or None.
        layer: the chosen layer, if one is.
        against: the class whose score is to be subtracted, if one is.

    Raises:
        TargetError: there is no such method, it does not fit, or it compares with no class.
    """
    if method is None:
        return METHODS[fitting(head, layer)[0]]
    if method not in METHODS:
        raise TargetError(f"There is no method {method!r}. Choose from {', '.join(METHODS)}.")
    chosen = METHODS[method]
    if against is not None and not chosen.of_class:
        raise TargetError(
            f"The method {method!r} gives every class the same map, so there is nothing to set "
            f"against {against!r}."
        )
    if against is not None and chosen.against == "others":
        raise TargetError(
            f"The method {method!r} sets a class against all others at once. Use another method to "
            f"set it against {against!r} alone."
        )
    if chosen.needs == "layer":
        return chosen
    if chosen.needs == "photo":
        if layer is not None:
            raise TargetError(
                f"The method {method!r} changes the photo and reads no layer, so {layer!r} cannot "
                "be chosen for it."
            )
        return chosen
    alternatives = f"{', '.join(map(repr, ANY_LAYER[:-1]))} or {ANY_LAYER[-1]!r}"
    if not head.features:
        raise TargetError(
            f"The method {method!r} needs a network that averages its last maps straight into "
            f"one dense layer, or into its scores; this one ends otherwise. Use {alternatives}."
        )
    if layer is not None and layer != head.features:
        raise TargetError(
            f"The method {method!r} reads the layer {head.features!r}, the one before the "
            f"averaging; for {layer!r} use {alternatives}."
        )
    return chosen


def check_different(network: Network, targets: Sequence[int], against: int | None) -> None:
    """Checks that no class is set against itself.

    Raises:
        TargetError: one is.
    """
    if against is not None and against in targets:
        raise TargetError(
            f"The class {network.card.labels[against]!r} cannot be set against itself. Choose two "
            "classes that differ."
        )


def run(
    network: Network,
    inputs: NDArray[np.float32],
    classes: list[int],
    method: Method,
    layer: str | None = None,
    against: int | None = None,
) -> Answers:
    """Runs the network as a method needs it.

    Args:
        network: the network.
        inputs: (N, h, w, C).
        classes: the classes whose terms are wanted; the predicted one of each photo if empty.
        method: one that ``choose`` gave.
        layer: the chosen layer, for methods that let it be chosen.
        against: the class whose score is subtracted, if one is chosen.

    Raises:
        LayerError: there is no such layer, it has no maps, or the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    head = passes.facts(network).head
    if method.passes == "forward":
        return _run_forward(network, head, inputs, method, against)
    path = maps_path(head, layer)
    if method.passes == "backward":
        return _run_backward(network, head, inputs, classes, path, method, against)
    return _run_for_maps(network, inputs, path, method)


def maps_path(head: Head, layer: str | None) -> str:
    """The path of the chosen layer, or of the last one with maps.

    Raises:
        LayerError: none is chosen, and the network has no layer with maps.
    """
    path = layer or head.last_spatial
    if path is None:
        raise LayerError("This network has no layer with maps, so there is nothing to draw.")
    return path


def _run_forward(
    network: Network,
    head: Head,
    inputs: NDArray[np.float32],
    method: Method,
    against: int | None,
) -> Answers:
    """The averaged maps and the weights of the dense layer: one run for all classes."""
    values = passes.forward(network, inputs)
    # The method was chosen because the head has them.
    features = cast(Floats, values.features)
    path = str(head.features)
    kernel, biases = class_weights(network, head, features.shape[-1])

    @functools.cache
    def of_class(target: int) -> tuple[Floats, float]:
        if method.against == "others":
            return contrastive_weights(kernel, target), float(contrastive_weights(biases, target))
        weights = kernel[:, target]
        if against is not None:
            weights = weights - method.strength * kernel[:, against]
        return weights, _difference(biases, target, against, method)

    def terms(number: int, target: int) -> MapTerms:
        weights, bias = of_class(target)
        return MapTerms(path, features[number], (weights,), bias, against=against)

    return values.output, values.logits, terms


def _run_backward(
    network: Network,
    head: Head,
    inputs: NDArray[np.float32],
    classes: list[int],
    path: str,
    method: Method,
    against: int | None,
) -> Answers:
    """A layer's output and the gradients of scores: a run for each class, and for its rivals.

    The gradient of a difference is the difference of the gradients.
    """
    # None is the predicted class: so no run is needed to predict it before.
    targets: list[int | None] = [*dict.fromkeys(classes)] or [None]
    runs = {target: layer_gradients(network, inputs, path, target) for target in targets}
    rivals = {target: _rivals(runs[target], target, method, against) for target in targets}
    rival_runs = {
        numbers: layer_gradients(network, inputs, path, np.array(numbers))
        for numbers in {numbers for numbers in rivals.values() if numbers}
    }
    any_run = runs[targets[0]]
    check_maps(path, any_run.activations)
    logit = any_run.logits is not None
    adds_up = method.exact_sum and head.weighs(path) and logit
    channels = any_run.activations.shape[-1]
    biases = class_weights(network, head, channels)[1] if adds_up else None

    def terms(number: int, target: int) -> MapTerms:
        chosen = target if classes else None
        own, numbers = runs[chosen], rivals[chosen]
        gradients, scores = own.gradients[number], [float(own.scores[number])]
        rival = numbers[number] if numbers else None
        if rival is not None:
            gradients = gradients - method.strength * rival_runs[numbers].gradients[number]
            scores.append(float(rival_runs[numbers].scores[number]))
        return MapTerms(
            path,
            any_run.activations[number],
            (gradients,),
            None if biases is None else _difference(biases, target, rival, method),
            scores[0] - method.strength * sum(scores[1:]),
            rival,
            float(np.abs(gradients).max()),
            # Of two probabilities, one that is not rounded leaves a gradient that means something.
            saturated=not logit and not any(0 < score < CERTAIN for score in scores),
            logit=logit,
        )

    return any_run.output, any_run.logits, terms


def _difference(biases: Floats, target: int, against: int | None, method: Method) -> float:
    """The bias (C,) of a class, less that of the class that it is set against, if it is."""
    less = 0.0 if against is None else method.strength * float(biases[against])
    return float(biases[target]) - less


def _rivals(
    own: LayerGradients, target: int | None, method: Method, against: int | None
) -> tuple[int, ...]:
    """The number of the class whose score is subtracted, for each photo; () where none is."""
    count = len(own.output)
    if against is not None:
        return (against,) * count
    if method.against != "nearest":
        return ()
    scores = class_scores(own.output, own.logits)
    return tuple(nearest(one, int(one.argmax()) if target is None else target) for one in scores)


def nearest(scores: Floats, target: int) -> int:
    """The number of the class whose score is nearest to that of another one.

    Args:
        scores: (C,) of all classes.
        target: the class.
    """
    gaps = np.abs(scores - scores[target])
    gaps[target] = np.inf
    return int(gaps.argmin())


def _run_for_maps(
    network: Network, inputs: NDArray[np.float32], path: str, method: Method
) -> Answers:
    """A layer's output, or noise of its size, for whatever class: one run."""
    values = passes.forward(network, inputs, [path])
    maps = values.layers[path]
    check_maps(path, maps)
    scores = class_scores(values.output, values.logits)

    def terms(number: int, target: int) -> MapTerms:
        if method.passes == "none":
            height, width = maps.shape[1:3]
            own = noise_map(height, width, zlib.crc32(inputs[number].tobytes()))[..., None]
        else:
            own = maps[number]
        score = float(scores[number, target])
        return MapTerms(path, own, (), score=score, logit=values.logits is not None)

    return values.output, values.logits, terms


def make_map(
    network: Network, method: Method, target: int, terms: MapTerms, detail: str = CELLS
) -> ClassActivationMap:
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
        detail=detail,
    )


def check_maps(path: str, output: Floats) -> None:
    """Checks that a layer's output for a batch is a stack of maps.

    Raises:
        LayerError: it is not.
    """
    if output.ndim != 4:
        raise LayerError(
            f"The layer {path!r} gives one number a channel and no maps, so it cannot show "
            "where. Choose a layer before it."
        )
