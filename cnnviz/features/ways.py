"""The usual ways to search for pictures, by what is known of a network; needs no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from cnnviz.cards import ModelCard
from cnnviz.errors import ModelError
from cnnviz.features.objectives import (
    DIGIT_SIDE,
    MOST_SIDE,
    OF_CHANNELS,
    OF_CLASSES,
    OF_CLASSES_ROUGH,
    OF_DIGITS,
    Ascent,
)

# Layers after which a network may depend on the size of its input.
_DEPEND_ON_SIZE = {"Flatten", "Reshape"}
_ACTIVATIONS = {"Activation", "ELU", "LeakyReLU", "ReLU"}


class Call(Protocol):
    """A call of a layer, as ``LayerCall`` and ``topology.Node`` have it."""

    @property
    def kind(self) -> str: ...  # noqa: D102

    @property
    def inputs(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def shape(self) -> tuple[int, ...] | None: ...  # noqa: D102


def usual(
    card: ModelCard, calls: Mapping[str, Call], *, of_class: bool, seed: int = 0
) -> list[Ascent]:
    """The usual ways to search for a channel's picture, or for a class's, the first one first.

    A class's picture has the size of the network's input, a channel's is smaller where it may be.

    Args:
        card: the network's card.
        calls: the calls of its layers, by path.
        of_class: whether it is a class's; else a channel's.
        seed: of all that is random.

    Raises:
        ModelError: the network takes only pictures that are not square.
    """
    size = card.preprocessing
    side = min(size.height, size.width, MOST_SIDE)
    fixed = depends_on_size(calls)
    if fixed and size.height != size.width:
        raise ModelError(
            f"This network takes only pictures of {size.height} × {size.width} pixels, and the "
            "pictures that are made here are square."
        )
    if not of_class:
        ways = [OF_CHANNELS]
        side = side if fixed else min(side, OF_CHANNELS.side)
    elif knows_digits(card):
        ways = [OF_DIGITS]
    else:
        ways = [OF_CLASSES, OF_CLASSES_ROUGH]
    return [dataclasses.replace(way, side=side, seed=seed) for way in ways]


def depends_on_size(calls: Mapping[str, Call]) -> bool:
    """Whether maps are flattened or cut up anew, so that another size may not fit."""
    return any(
        call.kind in _DEPEND_ON_SIZE
        and any(_has_places(calls[path]) for path in call.inputs if path in calls)
        for call in calls.values()
    )


def _has_places(call: Call) -> bool:
    """Whether a call gives maps of more than one cell."""
    return call.shape is not None and len(call.shape) == 3 and call.shape[:2] != (1, 1)


def before_activation(calls: Mapping[str, Call], layer: str) -> str:
    """The path of what an activation such as ReLU takes; of another layer its own.

    Behind a ReLU a channel that is silent everywhere has no gradient that would wake it. That of
    a convolution with an activation of its own cannot be read without it: there, such a channel
    stays silent (``found.stays_silent``).

    Args:
        calls: the calls of the network's layers, by path.
        layer: the path of one of them.
    """
    call = calls[layer]
    return call.inputs[0] if call.kind in _ACTIVATIONS and len(call.inputs) == 1 else layer


def knows_digits(card: ModelCard) -> bool:
    """Whether the classes are the ten digits, on pictures of the size of handwritten ones."""
    size = card.preprocessing
    shape = size.height, size.width, size.channels
    digits = sorted(card.labels) == list("0123456789")
    return digits and shape == (DIGIT_SIDE, DIGIT_SIDE, 1)
