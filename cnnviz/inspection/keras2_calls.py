"""The connections of a functional model of Keras 2, as Keras 3 writes them.

Keras 2 wrote a call as a list of ``[layer, call, output, settings]``, one for each tensor of the
first argument; the settings hold the other arguments. Keras 3 writes the arguments as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cnnviz.inspection.kinds import MODELS
from cnnviz.inspection.plain_data import Json, is_whole
from cnnviz.inspection.refusals import refusal

_CONSTANT = "_CONSTANT_VALUE"


def constant(value: Any, dtype: str = "float32") -> Any:
    """An operand that is a number or, as a list, an array of numbers."""
    if isinstance(value, list):
        return {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype}}
    return value


@dataclass(frozen=True)
class Graph:
    """The layers of one functional model and how they are connected.

    Attributes:
        names: the new name of each layer, by its name in the file.
        shifted: models inside whose calls count from 1 rather than from 0.
        shifted_ends: those of them that also count from 1 where they are an output of the model.
        ranks: the number of axes of each layer's output, None where it is not known.
    """

    names: dict[str, str]
    shifted: frozenset[str]
    shifted_ends: frozenset[str]
    ranks: dict[str, int | None] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: list[Json], outputs: Any, names: dict[str, str]) -> Graph:
        """The graph of a model with these layers.

        Keras 2 counted a nested model's own input as its call 0. Keras 3 does not, except that an
        output of the whole model which is a functional model still counts from 1.

        Args:
            nodes: the layers; each has a ``class_name``, a ``name`` and a list ``inbound_nodes``.
            outputs: the description's ``output_layers``.
            names: the new name of each layer.
        """
        last: dict[str, int] = {}
        for node in nodes:
            for name, call, _ in _references(node["inbound_nodes"], names):
                last[name] = max(call, last.get(name, 0))
        for name, call, _ in _references(outputs, names):
            last[name] = max(call, last.get(name, 0))
        shifted = {
            node["name"]: node["class_name"]
            for node in nodes
            if node["class_name"] in {"Model", *MODELS}
            and last.get(node["name"], 0) >= len(node["inbound_nodes"])
        }
        sequentials = (name for name, kind in shifted.items() if kind == "Sequential")
        return cls(names, frozenset(shifted), frozenset(sequentials))

    def call(self, call: Any) -> Any:
        """A call in the style of Keras 3: ``{"args": [...], "kwargs": {...}}``.

        Raises:
            RefusedModelError: it is not as Keras writes it.
        """
        if isinstance(call, dict):  # the style of Keras 3
            return call
        match call:
            case [str(), *_]:
                first, settings = self._source(call)
            case [_, *_]:
                sources = [self._source(source) for source in call]
                tensors = [tensor for tensor, _ in sources]
                first, settings = tensors[0] if len(tensors) == 1 else tensors, sources[0][1]
            case _:
                raise refusal("broken-graph")
        return {"args": [first], "kwargs": settings}

    def _source(self, source: Any) -> tuple[Any, Json]:
        """A tensor or constant of the first argument, and the other arguments."""
        match source:
            case [str() as name, int() as index, value, *rest] if len(rest) <= 1:
                pass
            case _:
                raise refusal("broken-graph")
        settings = rest[0] if rest else {}
        if not isinstance(settings, dict):
            raise refusal("broken-graph")
        settings = {key: self._argument(inner) for key, inner in settings.items()}
        if (name, index) == (_CONSTANT, -1):
            return constant(value), settings
        if not _is_reference(source, self.names):
            raise refusal("broken-graph")
        return self._tensor(source), settings

    def _argument(self, value: Any) -> Any:
        """An argument of a call, in which references become tensors."""
        if _is_reference(value, self.names):
            return self._tensor(value)
        if isinstance(value, list):
            return [self._argument(inner) for inner in value]
        if isinstance(value, dict):
            return {key: self._argument(inner) for key, inner in value.items()}
        return value

    def _tensor(self, reference: list[Any]) -> Json:
        history = self._renamed(reference, self.shifted)
        # Keras looks up the tensor; its shape here is not used.
        config = {"shape": [], "dtype": "float32", "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}

    def _renamed(self, reference: list[Any], shifted: frozenset[str]) -> list[Any]:
        name, call, output = reference[:3]
        call -= name in shifted
        if call < 0:
            raise refusal("broken-graph")
        return [self.names[name], call, output]

    def inputs(self, ends: Any) -> Any:
        """The description's ``input_layers``, of which a single one is not in a list.

        Raises:
            RefusedModelError: a layer is called before its first call.
        """
        return self._ends(_single(ends), frozenset())

    def outputs(self, ends: Any) -> Any:
        """The description's ``output_layers``, of which a single one is not in a list.

        Raises:
            RefusedModelError: a layer is called before its first call.
        """
        return self._ends(_single(ends), self.shifted_ends)

    def _ends(self, ends: Any, shifted: frozenset[str]) -> Any:
        if _is_reference(ends, self.names):
            return self._renamed(ends, shifted)
        if isinstance(ends, list):
            return [self._ends(end, shifted) for end in ends]
        if isinstance(ends, dict):
            return {key: self._ends(end, shifted) for key, end in ends.items()}
        return ends

    def ranks_before(self, calls: list[Any]) -> list[int | None]:
        """The ranks of the tensors that a layer is called with."""
        return [self.ranks.get(name) for name, _, _ in _references(calls, self.names)]

    def rank_of(self, ends: Any) -> int | None:
        """The rank of the model's first output."""
        return next((self.ranks.get(end[0]) for end in _references(ends, self.names)), None)


def _is_reference(value: Any, names: dict[str, str]) -> bool:
    match value:
        case [str() as name, call, output] | [str() as name, call, output, _]:
            return name in names and is_whole(call) and is_whole(output)
    return False


def _references(value: Any, names: dict[str, str]) -> Iterator[list[Any]]:
    """All ``[layer, call, output]`` in a part of the description."""
    if _is_reference(value, names):
        yield value[:3]
        value = value[3:]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _references(inner, names)


def _single(ends: Any) -> Any:
    """Takes the one input or output of a model out of its list, where Keras 2 put it."""
    match ends:
        case [[str(), _, _]]:
            return ends[0]
    return ends
