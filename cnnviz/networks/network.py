"""A loaded network: the Keras model with its card and its structure."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from cnnviz.cards import ModelCard
from cnnviz.networks.structure import ModelStructure, damaged_layers
from cnnviz.results import LayerInfo

if TYPE_CHECKING:
    from cnnviz.networks.engines.tensorflow import CompiledPass, PassKey


@dataclass(frozen=True)
class Network:
    """A Keras model with what is known about it; ``cnnviz.network`` makes one.

    Attributes:
        model: the model, which cnnviz reads and never changes.
        card: labels, preprocessing and origin.
        structure: layers, shapes and outputs of the model.
        path: the file that it was loaded from, None for a model made in memory.
        fingerprint: SHA-256 of that file in hexadecimal, "" for a model made in memory.
    """

    model: keras.Model
    card: ModelCard
    structure: ModelStructure = field(compare=False, repr=False)
    path: Path | None = None
    fingerprint: str = ""
    # Compiled passes, see `engines.tensorflow`: kept here, so that they are freed with the network.
    compiled: dict[PassKey, CompiledPass] = field(default_factory=dict, compare=False, repr=False)

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer, nested ones included, in order."""
        return self.structure.layers

    @functools.cached_property
    def parameters(self) -> tuple[int, int]:
        """The number of parameters, and of those that a training would change."""
        of_all, trainable = (
            sum(math.prod(weight.shape) for weight in weights)
            for weights in (self.model.weights, self.model.trainable_weights)
        )
        return of_all, trainable

    @functools.cached_property
    def damaged(self) -> tuple[str, ...]:
        """Paths of the layers that hold a weight that is NaN or infinite."""
        return damaged_layers(self.model)

    @property
    def outputs(self) -> dict[str, int]:
        """Number of classes of each output with class scores; ``card.output`` selects one."""
        return self.structure.class_counts

    @functools.cached_property
    def output(self) -> str | None:
        """Name of the selected output; None for a subclassed model.

        Raises:
            CardError: the card names one that gives no class scores.
        """
        if self.outputs:
            self.structure.class_count(self.card.output)
        return self.card.output or next(iter(self.outputs), None)
