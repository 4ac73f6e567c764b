"""A loaded network: the Keras model with its card and its structure."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.cards import ModelCard
from cnnviz.networks.keras_start import start_keras
from cnnviz.networks.structure import ModelStructure
from cnnviz.networks.values import View
from cnnviz.results import LayerInfo
from cnnviz.traces import CellFields

if TYPE_CHECKING:
    import keras

    from cnnviz.networks.conversions import Converted
    from cnnviz.networks.engines.tensorflow import CompiledPass, PassKey


class ModelSource:
    """A Keras model in memory, or one that is loaded only when something needs it.

    It can be copied and pickled; of a model that is not in memory, the copy loads its own.
    """

    def __init__(
        self, load: Callable[[], keras.Model] | None = None, model: keras.Model | None = None
    ) -> None:
        """One of both: a function that can be pickled, or the model."""
        self._load = load
        self._model = model
        self._lock = threading.Lock()

    def __getstate__(self) -> tuple[Callable[[], keras.Model] | None, keras.Model | None]:
        return self._load, self._model

    def __setstate__(
        self, state: tuple[Callable[[], keras.Model] | None, keras.Model | None]
    ) -> None:
        self._load, self._model = state
        self._lock = threading.Lock()

    def get(self) -> keras.Model:
        """The model.

        Raises:
            CnnvizError: the model cannot be loaded, or this process refuses to import Keras.
        """
        with self._lock:
            if self._model is None:
                if self._load is None:
                    raise ValueError("Expected a model, or a function that loads one.")
                start_keras()
                self._model = self._load()
            return self._model


@dataclass(frozen=True)
class Network:
    """A Keras model with what is known about it; ``cnnviz.network`` makes one.

    Attributes:
        source: gives the model.
        card: labels, preprocessing and origin.
        structure: layers, shapes and outputs of the model.
        path: the file that it was loaded from, None for a model made in memory.
        fingerprint: SHA-256 of that file in hexadecimal, "" for a model made in memory.
        converted: the same network for LiteRT; None where TensorFlow runs it.
    """

    source: ModelSource = field(repr=False)
    card: ModelCard
    structure: ModelStructure = field(compare=False, repr=False)
    path: Path | None = None
    fingerprint: str = ""
    converted: Converted | None = field(default=None, compare=False, repr=False)
    # Compiled passes, see `engines.tensorflow`: kept here, so that they are freed with the network.
    compiled: dict[PassKey, CompiledPass] = field(default_factory=dict, compare=False, repr=False)

    # Compiled steps of `features.ascents`.
    ascents: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)
    # What `stages` has found out about layers, which does not depend on a photo.
    fields: dict[str, CellFields | None] = field(default_factory=dict, compare=False, repr=False)
    # What the last question to `series_runs` was about, by the question; freed with the network.
    subject: dict[bytes, object] = field(default_factory=dict, compare=False, repr=False)

    def __getstate__(self) -> dict[str, object]:
        # What is compiled belongs to this process; its last question is of no use elsewhere.
        return self.__dict__ | {"compiled": {}, "ascents": {}, "subject": {}}

    @property
    def model(self) -> keras.Model:
        """The Keras model, which cnnviz reads and never changes.

        That of a converted network is loaded when this is first read.
        """
        return self.source.get()

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer, nested ones included, in order."""
        return self.structure.layers

    @functools.cached_property
    def parameters(self) -> tuple[int, int]:
        """The number of parameters, and of those that a training would change."""
        if self.converted is not None:
            return self.converted.facts.parameters
        of_all, trainable = (
            sum(math.prod(weight.shape) for weight in weights)
            for weights in (self.model.weights, self.model.trainable_weights)
        )
        return of_all, trainable

    @functools.cached_property
    def damaged(self) -> tuple[str, ...]:
        """Paths of the layers that hold a weight that is NaN or infinite."""
        if self.converted is not None:
            return self.converted.facts.damaged
        from cnnviz.networks.keras_models import damaged_layers

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

    @property
    def view(self) -> View:
        """The part of the card that a run of the network depends on."""
        size = self.card.preprocessing
        return self.output, size.height, size.width, size.channels
