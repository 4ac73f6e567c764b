"""Attention in a small dense network: four measurements of an iris, and a weight for each.

The network is softmax(V (a ∘ x) + c) with the attention a = softmax(U x + b): for each flower the
measurements x share out a weight of 1, are multiplied by it, and go into one dense layer. Beside
it stands the same network without attention, softmax(V x + c). Both are trained with NumPy alone,
by Adam (Kingma and Ba 2015, arXiv 1412.6980) on the cross-entropy of all flowers at once.

The weights say what the network multiplied, and not what it would have needed: other weights may
give the same answers (Jain and Wallace 2019, "Attention is not explanation", arXiv 1902.10186).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import Floats

_DATA = Path(__file__).parent / "data" / "iris.csv"
# Flowers of each species that no training sees.
_HELD_OUT = 10
_RATE, _MOMENTUM, _SQUARES, _TINY = 0.05, 0.9, 0.999, 1e-8

Weights = dict[str, Floats]


@dataclass(frozen=True)
class Flowers:
    """N irises.

    Attributes:
        values: (N, 4) in centimetres.
        species: (N,) numbers of ``names``.
        features: the four measurements.
        names: the three species.
    """

    values: Floats
    species: NDArray[np.intp]
    features: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """What a network says of N flowers.

    Attributes:
        attention: (N, 4), each row adds up to 1; None for a network without attention.
        weighted: (N, 4) what goes into the dense layer.
        probabilities: (N, 3).
    """

    attention: Floats | None
    weighted: Floats
    probabilities: Floats


@dataclass(frozen=True)
class Epoch:
    """The state of a training after some steps.

    Attributes:
        number: of the step; 0 is the network before the first.
        weights: of the network.
        loss: mean cross-entropy of the flowers that it is trained on.
        accuracy: share of these that it names rightly.
        held_out: the same of the flowers that it never sees.
    """

    number: int
    weights: Weights
    loss: float
    accuracy: float
    held_out: float


def read_flowers() -> Flowers:
    """The 150 irises of Fisher 1936: see ``data/README.md``."""
    with _DATA.open(newline="") as file:
        header, *rows = csv.reader(file)
    names = tuple(dict.fromkeys(row[-1] for row in rows))
    return Flowers(
        np.array([[float(value) for value in row[:-1]] for row in rows]),
        np.array([names.index(row[-1]) for row in rows]),
        tuple(header[:-1]),
        names,
    )


def split(flowers: Flowers, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Numbers of the flowers to train on, and of ten of each species that are held out."""
    random = np.random.default_rng(seed)
    species = range(len(flowers.names))
    mixed = [random.permutation(np.flatnonzero(flowers.species == one)) for one in species]
    held_out = np.concatenate([numbers[:_HELD_OUT] for numbers in mixed])
    return np.concatenate([numbers[_HELD_OUT:] for numbers in mixed]), held_out


def standardise(values: Floats, reference: Floats) -> Floats:
    """Measurements (N, 4), scaled so that a reference (M, 4) has mean 0 and deviation 1."""
    return (values - reference.mean(axis=0)) / reference.std(axis=0)


def begin(features: int, classes: int, seed: int, *, attention: bool) -> Weights:
    """The weights of a network before its training: small and random, biases 0."""
    random = np.random.default_rng(seed)
    weights: Weights = {
        "dense": random.normal(0, 0.5, (features, classes)),
        "dense bias": np.zeros(classes),
    }
    if attention:
        weights["attention"] = random.normal(0, 0.5, (features, features))
        weights["attention bias"] = np.zeros(features)
    return weights


def answers(weights: Weights, values: Floats) -> Answers:
    """What a network says of flowers (N, 4), whose values are standardised."""
    shares = None
    weighted = values
    if "attention" in weights:
        shares = _softmax(values @ weights["attention"] + weights["attention bias"])
        weighted = shares * values
    scores = weighted @ weights["dense"] + weights["dense bias"]
    return Answers(shares, weighted, _softmax(scores))


def mean_shares(shares: Floats, species: NDArray[np.intp]) -> Floats:
    """The mean attention (S, 4) of each of S species, from that of all flowers (N, 4)."""
    return np.stack([shares[species == one].mean(axis=0) for one in np.unique(species)])


def changed_answers(weights: Weights, values: Floats, feature: int, seed: int = 0) -> int:
    """How many flowers (N, 4) are named otherwise once one measurement is shuffled among them.

    The permutation importance of Breiman 2001, "Random forests", as a count: what the network
    does not use, it does not miss.

    Args:
        weights: of the network.
        values: standardised.
        feature: number of the measurement.
        seed: of the order.
    """
    shuffled = values.copy()
    shuffled[:, feature] = np.random.default_rng(seed).permutation(values[:, feature])
    before, after = (
        answers(weights, one).probabilities.argmax(axis=1) for one in (values, shuffled)
    )
    return int((before != after).sum())


def loss(weights: Weights, values: Floats, species: NDArray[np.intp]) -> float:
    """The mean cross-entropy of flowers (N, 4) of some species (N,)."""
    right = answers(weights, values).probabilities[np.arange(len(species)), species]
    return float(-np.log(np.maximum(right, np.finfo(np.float64).tiny)).mean())


def gradients(weights: Weights, values: Floats, species: NDArray[np.intp]) -> Weights:
    """The derivative of ``loss`` with respect to each weight, by the chain rule."""
    said = answers(weights, values)
    of_scores = said.probabilities.copy()
    of_scores[np.arange(len(species)), species] -= 1
    of_scores /= len(species)
    result = {"dense": said.weighted.T @ of_scores, "dense bias": of_scores.sum(axis=0)}
    if said.attention is not None:
        of_shares = of_scores @ weights["dense"].T * values
        # The softmax's own derivative: what raises one share lowers the others.
        mean = (of_shares * said.attention).sum(axis=1, keepdims=True)
        of_inputs = said.attention * (of_shares - mean)
        result["attention"] = values.T @ of_inputs
        result["attention bias"] = of_inputs.sum(axis=0)
    return result


def train(flowers: Flowers, steps: int, seed: int, *, attention: bool) -> Iterator[Epoch]:
    """Trains a network, and gives its state before the first step and after each.

    Args:
        flowers: what it is to learn.
        steps: how many; each takes all flowers that are not held out.
        seed: of the first weights and of the choice of those flowers.
        attention: whether the network has attention.
    """
    seen, held_out = split(flowers, seed)
    values = standardise(flowers.values, flowers.values[seen])
    weights = begin(len(flowers.features), len(flowers.names), seed, attention=attention)
    mean = {name: np.zeros_like(weight) for name, weight in weights.items()}
    square = {name: np.zeros_like(weight) for name, weight in weights.items()}

    def state(number: int) -> Epoch:
        right = answers(weights, values).probabilities.argmax(axis=1) == flowers.species
        return Epoch(
            number,
            weights,
            loss(weights, values[seen], flowers.species[seen]),
            float(right[seen].mean()),
            float(right[held_out].mean()),
        )

    yield state(0)
    for number in range(1, steps + 1):
        slopes = gradients(weights, values[seen], flowers.species[seen])
        changed = {}
        for name, slope in slopes.items():
            mean[name] = _MOMENTUM * mean[name] + (1 - _MOMENTUM) * slope
            square[name] = _SQUARES * square[name] + (1 - _SQUARES) * slope**2
            step = mean[name] / (1 - _MOMENTUM**number)
            scale = np.sqrt(square[name] / (1 - _SQUARES**number)) + _TINY
            changed[name] = weights[name] - _RATE * step / scale
        weights = changed
        yield state(number)


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
