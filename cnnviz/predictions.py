"""What a network says about a photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnnviz import graph
from cnnviz.errors import ModelError, TargetError
from cnnviz.loading import Network
from cnnviz.preprocessing import network_input
from cnnviz.results import Floats, Prediction


def predict(network: Network, photo: NDArray[np.uint8]) -> Prediction:
    """Classifies a photo (H, W, 3) uint8.

    Raises:
        ModelError: the network's output holds NaN or infinite values.
    """
    inputs = network_input(photo, network.card.preprocessing)
    run = graph.forward(network)
    values = run.run(inputs)
    return read_prediction(network, run.head, values["output"], values.get("logits"))


def read_prediction(
    network: Network, head: graph.Head, output: Floats, logits: Floats | None
) -> Prediction:
    """A ``Prediction`` of a network's output (1, C) and logits (1, C) for one photo.

    A single sigmoid unit speaks for two classes: the second has its probability and logit,
    the first what is left and the negated logit.

    Raises:
        ModelError: the output holds NaN or infinite values.
    """
    raw = np.asarray(output)[0].astype(np.float64)
    scores = None if logits is None else np.asarray(logits)[0].astype(np.float64)
    if not np.isfinite(raw).all():
        raise ModelError(
            "The network's answer is not a number (NaN or infinite), so it says nothing about "
            "this photo. Its weights may be damaged, or the preprocessing does not fit it."
        )
    if head.activation == "linear":
        # A single linear unit is the logit of a sigmoid, several are those of a softmax.
        raw = np.exp(-np.logaddexp(0, -raw)) if raw.size == 1 else _softmax(raw)
    if raw.size == 1:
        raw = np.array([1 - raw[0], raw[0]])
        scores = None if scores is None else np.array([-scores[0], scores[0]])
    return Prediction(tuple(network.card.labels), raw, scores)


def class_index(network: Network, target: str | int) -> int:
    """The place of a class, by name or by number.

    Raises:
        TargetError: there is no such class.
    """
    labels = network.card.labels
    if isinstance(target, int | np.integer) and 0 <= target < len(labels):
        return int(target)
    if isinstance(target, str) and target in labels:
        return labels.index(target)
    shown = ", ".join(labels[:5]) + (", …" if len(labels) > 5 else "")
    raise TargetError(f"This network has no class {target!r}. Its {len(labels)} are: {shown}.")


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()
