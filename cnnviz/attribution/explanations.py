"""A class activation map of a photo: the right method for the network, run and named."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cnnviz.attribution import methods as cams
from cnnviz.attribution.methods import METHODS
from cnnviz.errors import LayerError, ModelError, TargetError
from cnnviz.networks import passes
from cnnviz.networks.gradients import layer_gradients
from cnnviz.networks.heads import Head
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import class_index, read_prediction
from cnnviz.networks.structure import find
from cnnviz.photos.preprocessing import PhotoInput, network_input
from cnnviz.results import ClassActivationMap, Explanation, Floats, LayerGradients

# From here on the part that a probability lacks to 1 is lost in float32, and its gradient too.
_CERTAIN = 1 - float(np.finfo(np.float32).eps)


def methods(network: Network) -> tuple[str, ...]:
    """The methods that fit how the network ends, the best first: keys of ``METHODS``."""
    return tuple(METHODS) if passes.any_pass(network).head.features else ("grad-cam",)


def class_activation_map(
    network: Network,
    photo: PhotoInput,
    target: str | int | None = None,
    *,
    method: str | None = None,
    layer: str | None = None,
) -> ClassActivationMap:
    """Where in a photo the network finds evidence for a class.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        target: a class, by name or number; the predicted one if None.
        method: a key of ``METHODS``; if None, ``cam`` where the network averages its last
            maps straight into its dense layer, or into its scores, else ``grad-cam``.
        layer: the layer to explain, for Grad-CAM only; the last one with maps if None.

    Returns:
        The map: ``.values`` (h, w) raw and signed, ``.method``, ``.layer``, ``.target``.

    Raises:
        TargetError: there is no such class or method, or the method does not fit.
        LayerError: there is no such layer, or it has no maps.
        ModelError: the network's answer is not a number.
    """
    targets = [] if target is None else [target]
    return explain(network, photo, targets, method=method, layer=layer).maps[0]


def explain(
    network: Network,
    photo: PhotoInput,
    targets: Sequence[str | int] = (),
    *,
    method: str | None = None,
    layer: str | None = None,
) -> Explanation:
    """The prediction for a photo and a class activation map for each of some classes.

    The same as ``predict`` and ``class_activation_map`` together, with one run of the network
    for all classes, or one for each with Grad-CAM. Without ``targets`` it explains the
    predicted class.

    Raises:
        TargetError: there is no such class or method, or the method does not fit.
        LayerError: there is no such layer, or it has no maps.
        ModelError: the network's answer is not a number.
    """
    inputs = network_input(photo, network.card.preprocessing)
    (found,) = explain_inputs(network, inputs, targets, method=method, layer=layer)
    if isinstance(found, ModelError):
        raise found
    return found


def explain_inputs(
    network: Network,
    inputs: NDArray[np.float32],
    targets: Sequence[str | int] = (),
    *,
    method: str | None = None,
    layer: str | None = None,
) -> list[Explanation | ModelError]:
    """``explain`` for several photos in one run, as network inputs (N, h, w, C).

    A photo whose answer is not a number gets the error in its place.

    Raises:
        TargetError: there is no such class or method, or the method does not fit.
        LayerError: there is no such layer, or it has no maps.
    """
    wanted = [class_index(network, target) for target in targets]
    head = passes.any_pass(network).head
    chosen = _method(head, method, layer)
    if chosen == "grad-cam":
        return _explain_by_gradients(network, head, inputs, wanted, layer)
    return _explain_by_dense_weights(network, head, inputs, wanted, chosen)


def _method(head: Head, method: str | None, layer: str | None) -> str:
    if method is None:
        other_layer = layer is not None and layer != head.features
        return "cam" if head.features and not other_layer else "grad-cam"
    if method not in METHODS:
        raise TargetError(f"There is no method {method!r}. Choose from {', '.join(METHODS)}.")
    if method == "grad-cam":
        return method
    if not head.features:
        raise TargetError(
            f"The method {method!r} needs a network that averages its last maps straight into "
            "one dense layer, or into its scores; this one ends otherwise. Use 'grad-cam'."
        )
    if layer is not None and layer != head.features:
        raise TargetError(
            f"The method {method!r} reads the layer {head.features!r}, the one before the "
            f"averaging; for {layer!r} use 'grad-cam'."
        )
    return method


def _class_weights(
    network: Network, head: Head, index: int, method: str, channels: int
) -> tuple[Floats, float]:
    """The weights (K,) of the features and the bias for a class, as the method reads them."""
    if head.dense is None:
        # Each of the maps belongs to one class.
        units = channels
        kernel, biases = np.eye(units, dtype=np.float32), np.zeros(units, np.float32)
    else:
        dense = find(network.model, head.dense)
        units = dense.kernel.shape[-1]
        biases = np.zeros(units, np.float32)
        if dense.bias is not None:
            biases = np.asarray(dense.bias, dtype=np.float32)
        if method == "cam" and units > 1:
            # To copy one column costs nothing, to copy a thousand takes 3% of a forward pass.
            column = np.asarray(dense.kernel[..., index], dtype=np.float32)
            return column.reshape(channels), float(biases[index])
        kernel = np.asarray(dense.kernel, dtype=np.float32).reshape(channels, units)
    if units == 1:
        kernel, biases = np.hstack([-kernel, kernel]), np.hstack([-biases, biases])
    if method == "cam":
        return kernel[:, index], float(biases[index])
    weights, bias = (cams.contrastive_weights(part, index) for part in (kernel, biases))
    return weights, float(bias)


def _explain_by_dense_weights(
    network: Network,
    head: Head,
    inputs: NDArray[np.float32],
    wanted: list[int],
    method: str,
) -> list[Explanation | ModelError]:
    values = passes.forward(network).run(inputs)
    features = values["features"].numpy()
    weights_of = functools.cache(
        lambda index: _class_weights(network, head, index, method, features.shape[-1])
    )

    def make_map(place: int, index: int) -> ClassActivationMap:
        weights, bias = weights_of(index)
        evidence = cams.class_activation_map(features[place], weights)
        score = float(evidence.mean(dtype=np.float64) + bias)
        target = network.card.labels[index]
        return ClassActivationMap(evidence, method, str(head.features), target, score, bias)

    logits = values["logits"].numpy() if "logits" in values else None
    return _explain_each(
        network,
        head,
        (values["output"].numpy(), logits),
        lambda place, likely: [make_map(place, index) for index in wanted or [likely]],
    )


def _explain_by_gradients(
    network: Network,
    head: Head,
    inputs: NDArray[np.float32],
    wanted: list[int],
    layer: str | None,
) -> list[Explanation | ModelError]:
    path = layer or head.last_spatial
    if path is None:
        raise LayerError("This network has no layer with maps, so there is nothing to draw.")
    # None stands for the predicted class, so that no run is needed to find it first.
    targets: Sequence[int | None] = wanted or [None]
    runs = [layer_gradients(network, inputs, path, target) for target in targets]
    if runs[0].activations.ndim != 4:
        raise LayerError(
            f"The layer {path!r} gives one number a channel and no maps, so it cannot say "
            "where. Choose a layer before it."
        )

    def make_map(run: LayerGradients, place: int, index: int) -> ClassActivationMap:
        score = float(run.scores[place])
        return ClassActivationMap(
            cams.grad_cam(run.activations[place], run.gradients[place]),
            "grad-cam",
            path,
            network.card.labels[index],
            score,
            None,
            float(np.abs(run.gradients[place]).max()),
            run.logits is None and not 0 < score < _CERTAIN,
            run.logits is not None,
        )

    return _explain_each(
        network,
        head,
        (runs[0].output, runs[0].logits),
        lambda place, likely: [
            make_map(run, place, index) for run, index in zip(runs, wanted or [likely], strict=True)
        ],
    )


def _explain_each(
    network: Network,
    head: Head,
    answers: tuple[Floats, Floats | None],
    maps: Callable[[int, int], list[ClassActivationMap]],
) -> list[Explanation | ModelError]:
    """The explanation of each photo of a batch, from outputs and logits, each (N, C).

    ``maps`` makes the maps of the photo at a place, given its most probable class.
    """
    outputs, logits = answers
    found: list[Explanation | ModelError] = []
    for place, output in enumerate(outputs):
        scores = None if logits is None else logits[place]
        try:
            prediction = read_prediction(network, head, output, scores)
        except ModelError as error:
            found.append(error)
            continue
        found.append(Explanation(prediction, tuple(maps(place, prediction.index))))
    return found
