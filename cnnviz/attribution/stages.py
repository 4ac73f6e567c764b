"""A photo's way through a network: its strongest maps at a few layers, and what they add up to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.attribution.explanations import explain
from cnnviz.networks import passes
from cnnviz.networks.activations import highest_value
from cnnviz.networks.network import Network
from cnnviz.networks.predictions import read_prediction
from cnnviz.networks.receptive_fields import cell_fields
from cnnviz.networks.stages import choose_stages
from cnnviz.networks.topology import Topology
from cnnviz.networks.values import Head, PassValues
from cnnviz.networks.weights import class_weights
from cnnviz.photos.preprocessing import PhotoInput, network_input
from cnnviz.traces import ClassTerms, ListedChannels, StagedExplanation, StageMaps, Units

# Maps that are shown of each stage, by the number of stages: they get smaller and more numerous,
# and together fill one screen.
MAPS = {
    0: (),
    1: (35,),
    2: (6, 24),
    3: (4, 18, 36),
    4: (3, 5, 27, 56),
    5: (4, 6, 18, 42, 72),
}
# The same beside the outputs of a dense layer, which need a place too.
MAPS_BESIDE_UNITS = {
    0: (),
    1: (25,),
    2: (3, 24),
    3: (4, 12, 27),
    4: (3, 5, 18, 28),
    5: (3, 5, 9, 14, 36),
}
# Classes whose maps come along, so that another one can be shown at once.
CLASSES = 5
# Terms of a class's score that are listed by themselves, and those that speak most for it.
TERMS = 12
DECIDING = 5


def explain_stages(
    network: Network, photo: PhotoInput, targets: Sequence[str | int] = ()
) -> StagedExplanation:
    """The strongest maps of a few layers for a photo (H, W, 3), and the maps of some classes.

    The layers are those of ``choose_stages``. The strongest maps are those with the largest
    standard deviation over the photo: by peak, a limited activation such as ReLU6 gives ties, and
    flat maps come first.

    Args:
        network: the network.
        photo: (H, W, 3) uint8.
        targets: classes to explain; the five most probable ones if empty.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        TargetError: there is no such class.
        LayerError: the network is a subclassed model, or has no layer with maps.
        ModelError: the network's answer is not a number, or TensorFlow cannot run it.
    """
    facts = passes.facts(network)
    head = facts.head
    paths = choose_stages(network.layers, facts.makers, head)
    units = [step.output for step in head.steps]
    inputs = network_input(photo, network.card.preprocessing)
    values = passes.forward(network, inputs, [*paths, *units])
    kinds = {layer.path: layer.kind for layer in network.layers}
    counts = (MAPS_BESIDE_UNITS if units else MAPS)[len(paths)]
    stages = tuple(
        _strongest(network, facts.topology, path, kinds[path], values.layers[path][0], count)
        for path, count in zip(paths, counts, strict=True)
    )
    logits = None if values.logits is None else values.logits[0]
    prediction = read_prediction(network, head, values.output[0], logits)
    likely = [score.label for score in prediction.top(CLASSES)]
    explanation = explain(network, photo, targets or likely)
    classes = [cam.target for cam in explanation.maps]
    terms, listed = _terms(
        network, head, values, [network.card.labels.index(one) for one in classes]
    )
    return StagedExplanation(
        stages,
        tuple(Units(path, values.layers[path][0]) for path in units),
        explanation,
        terms,
        listed,
    )


def _strongest(
    network: Network, topology: Topology, path: str, kind: str, maps: Floats, count: int
) -> StageMaps:
    """The ``count`` maps (h, w, k) of a layer (h, w, K) that vary most."""
    deviations = maps.std(axis=(0, 1))
    order = np.argsort(-deviations, kind="stable")[:count]
    node = topology.nodes[path]
    if path not in network.fields:
        network.fields[path] = cell_fields(topology, path)
    return StageMaps(
        path,
        kind,
        maps.shape[-1],
        tuple(map(int, order)),
        np.ascontiguousarray(maps[..., order]),
        (float(maps.min()), float(maps.max())),
        highest_value(node.kind, node.settings),
        network.fields[path],
    )


def _terms(
    network: Network, head: Head, values: PassValues, targets: list[int]
) -> tuple[tuple[ClassTerms, ...], ListedChannels | None]:
    """What each channel or unit before the last dense layer adds to the scores of classes.

    Returns:
        Nothing where the scores are no such sums, or no logits.
    """
    if head.dense is None or values.logits is None:
        return (), None
    maps = None
    if head.features is not None and values.features is not None:
        path, maps = head.features, values.features[0]
        inputs = maps.mean(axis=(0, 1), dtype=np.float64)
    elif head.steps:
        path = head.steps[-1].output
        inputs = values.layers[path][0].astype(np.float64)
    else:
        return (), None
    kernel, biases = class_weights(network, head, len(inputs))
    products = inputs[:, None] * kernel[:, targets]
    terms = tuple(
        _class_terms(network.card.labels[target], products[:, number], float(biases[target]))
        for number, target in enumerate(targets)
    )
    shown = [channel for one in terms for channel in one.order]
    shown += [
        int(k) for column in products.T for k in np.argsort(-column, kind="stable")[:DECIDING]
    ]
    channels = tuple(dict.fromkeys(shown))
    raw = inputs if maps is None else maps
    listed = ListedChannels(
        channels,
        products[list(channels)].T.astype(np.float32),
        None if maps is None else np.ascontiguousarray(maps[..., list(channels)]),
        (float(raw.min()), float(raw.max())),
        path,
        len(inputs),
    )
    return terms, listed


def _class_terms(label: str, products: Floats, bias: float) -> ClassTerms:
    order = np.argsort(-np.abs(products), kind="stable")[:TERMS]
    rest = float(np.delete(products, order).sum())
    return ClassTerms(
        label,
        tuple(map(int, order)),
        tuple(map(float, products[order])),
        rest,
        bias,
        float(products.sum()) + bias,
    )
