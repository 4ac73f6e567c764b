"""The prediction of a network for a photo."""

from __future__ import annotations

import difflib

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.errors import ModelError, TargetError
from cnnviz.networks import passes
from cnnviz.networks.network import Network
from cnnviz.networks.values import Head
from cnnviz.photos.preprocessing import PhotoInput, network_input
from cnnviz.results import Prediction

# The rounding error that half precision may leave in a probability.
_ROUNDING = 0.01
# Classes that an error message lists at most.
_MAX_LISTED = 5


def predict(network: Network, photo: PhotoInput) -> Prediction:
    """The probabilities (C,) and logits (C,) of a photo (H, W, 3) uint8, with the class names.

    Where the network gives maps of classes, its output is their mean over all positions.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        LayerError: the network is a subclassed model.
        ModelError: the network's weights or output hold NaN or infinite values, its output holds
            no probabilities, or TensorFlow cannot run it on a picture of the card's size.
    """
    inputs = network_input(photo, network.card.preprocessing)
    values = passes.forward(network, inputs)
    logits = None if values.logits is None else values.logits[0]
    return read_prediction(network, passes.facts(network).head, values.output[0], logits)


def read_prediction(
    network: Network, head: Head, output: Floats, logits: Floats | None
) -> Prediction:
    """A ``Prediction`` of a network's output (C,) and logits (C,) for one photo.

    A single sigmoid unit represents two classes: the second has its probability and logit,
    the first 1 minus the probability and the negated logit.

    Raises:
        ModelError: the network's weights or output hold NaN or infinite values, or its output
            holds no probabilities.
    """
    # A ReLU may turn NaN into 0, so a damaged network can give an output that looks valid.
    if network.damaged:
        raise ModelError(_damage_message(network.damaged))
    raw: Floats = np.asarray(output).astype(np.float64)
    scores = None if logits is None else np.asarray(logits).astype(np.float64)
    if not np.isfinite(raw).all() or (scores is not None and not np.isfinite(scores).all()):
        raise ModelError(
            "The network's answer is not a number (NaN or infinite), so there is no prediction "
            "for this photo. Its weights are numbers, so values grew too large between the layers: "
            "the preprocessing may not fit it."
        )
    probabilities = class_probabilities(head, raw[None])[0]
    raw = probabilities[-raw.size :]
    if raw.min() < -_ROUNDING or raw.max() > 1 + _ROUNDING:
        raise ModelError(
            f"The network's outputs are not probabilities: they end in {head.activation!r} and "
            f"reach from {raw.min():.3g} to {raw.max():.3g}. cnnviz shows networks that end in "
            "a softmax, in sigmoids, or in logits."
        )
    if raw.size == 1:
        scores = None if scores is None else np.array([-scores[0], scores[0]])
    exclusive = head.activation != "sigmoid" or raw.size == 1
    exclusive = exclusive and abs(probabilities.sum() - 1) < _ROUNDING
    return Prediction(tuple(network.card.labels), probabilities, scores, bool(exclusive))


def class_probabilities(head: Head, outputs: Floats) -> Floats:
    """The probabilities (N, C) of all classes, from a network's outputs (N, C).

    A single unit represents two classes: the second has its probability, the first 1 minus it.
    Outputs that are logits become probabilities; whether others are some is not checked.
    """
    raw: Floats = outputs.astype(np.float64)
    if head.activation in {"linear", "log_softmax"}:
        # A single linear unit is the logit of a sigmoid, several are those of a softmax.
        raw = np.exp(-np.logaddexp(0, -raw)) if raw.shape[1] == 1 else _softmax(raw)
    return raw if raw.shape[1] > 1 else np.hstack([1 - raw, raw])


def class_scores(outputs: Floats, logits: Floats | None) -> Floats:
    """The scores (N, C) of all classes: the logits (N, C) where they are known, else the outputs.

    A single unit represents two classes: the second has its score, the first the negated logit, or
    1 minus the output.
    """
    scores = outputs if logits is None else logits
    if scores.shape[1] > 1:
        return scores
    return np.hstack([1 - scores if logits is None else -scores, scores])


def _damage_message(layers: tuple[str, ...]) -> str:
    more = ", …" if len(layers) > _MAX_LISTED else ""
    shown = ", ".join(map(repr, layers[:_MAX_LISTED])) + more
    return (
        "This network is damaged, so its answer would be meaningless: weights that are not a "
        f"number (NaN or infinite) are in {shown}."
    )


def class_index(network: Network, target: str | int) -> int:
    """The index of a class, from its name or its index.

    Raises:
        TargetError: there is no such class.
    """
    labels = network.card.labels
    if isinstance(target, int | np.integer) and 0 <= target < len(labels):
        return int(target)
    if isinstance(target, str) and target in labels:
        return labels.index(target)
    near = difflib.get_close_matches(str(target), labels, n=_MAX_LISTED, cutoff=0.5)
    near += [label for label in labels if str(target).lower() in label.lower()][:_MAX_LISTED]
    if near and len(labels) > _MAX_LISTED:
        hint = f"Near it: {', '.join(dict.fromkeys(near))}"
    else:
        more = ", …" if len(labels) > _MAX_LISTED else ""
        hint = f"Its {len(labels)} are: {', '.join(labels[:_MAX_LISTED])}{more}"
    raise TargetError(f"This network has no class {target!r}. {hint}.")


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
