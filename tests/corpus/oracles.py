"""What a model holds, and what it computes when Keras runs it plainly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Snapshot:
    """Everything about a model that no view on it may change."""

    config: str
    weights: tuple[bytes, ...]
    nodes: tuple[tuple[str, int, int], ...]
    trainable: int

    @classmethod
    def of(cls, model: Any) -> Snapshot:
        operations = list(_operations(model))
        return cls(
            str(model.get_config()),
            tuple(np.asarray(weight).tobytes() for weight in model.weights),
            tuple((o.name, len(o._inbound_nodes), len(o._outbound_nodes)) for o in operations),
            len(model.trainable_weights),
        )


def _operations(model: Any) -> Iterator[Any]:
    graph = getattr(model, "_functional", None) or model
    for operation in graph.operations:
        yield operation
        if hasattr(operation, "layers"):
            yield from _operations(operation)


@contextmanager
def _recorded_calls() -> Iterator[list[tuple[Any, Any]]]:
    import keras

    calls: list[tuple[Any, Any]] = []
    original = keras.Operation.__call__

    def recording(operation: Any, *args: Any, **kwargs: Any) -> Any:
        output = original(operation, *args, **kwargs)
        calls.append((operation, output))
        return output

    keras.Operation.__call__ = recording
    try:
        yield calls
    finally:
        keras.Operation.__call__ = original


def eager_outputs(model: Any, inputs: Any) -> tuple[np.ndarray, dict[int, list[np.ndarray]]]:
    """Runs a model without compiling it.

    Returns:
        The scores (N, classes) of the model, and by the id of each operation its outputs, one
        for each call. Of several outputs of a model the one in the middle is taken: the first
        that gives a row of scores. Of a model that gives maps, their means are taken.
    """
    import keras

    with _recorded_calls() as calls:
        graph = getattr(model, "_functional", None) or model
        packed = keras.tree.pack_sequence_as(graph.input, [inputs])
        results = keras.tree.flatten(model(packed, training=False))
    output = np.asarray(results[len(results) // 2])
    output = output.mean(axis=(1, 2)) if output.ndim == 4 else output
    outputs: dict[int, list[np.ndarray]] = {}
    for operation, result in calls:
        if hasattr(result, "shape"):
            outputs.setdefault(id(operation), []).append(np.asarray(result))
    return output, outputs
