"""A converted network that has its weights from one place alone, and traces to compare."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from cnnviz.networks.network import ModelSource


class KerasAskedError(Exception):
    """A converted network was asked for its Keras model."""


def without_keras(network: Any) -> Any:
    """The converted network, for whose Keras model to ask is an error."""

    def refuse() -> Any:
        raise KerasAskedError

    return dataclasses.replace(network, source=ModelSource(refuse), compiled={})


def with_weights_of_keras(network: Any) -> Any:
    """The converted network as if none of its weights were in its file as they are."""
    facts = network.converted.facts
    unknown = {layer: dict.fromkeys(weights) for layer, weights in facts.weights.items()}
    converted = dataclasses.replace(
        network.converted, facts=dataclasses.replace(facts, weights=unknown), kept={}
    )
    return dataclasses.replace(network, converted=converted)


def as_text(trace: Any) -> str:
    """All of a trace, every digit of it: two that are equal are the same to the last bit."""
    return json.dumps(dataclasses.asdict(trace), default=lambda array: array.tolist())
