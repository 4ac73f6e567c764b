"""Runs a network's graph and records each call of an operation with its tensors.

Three ways lead to the output of a layer inside a nested model: a rebuilt copy of the model
(``clone_model``, which adds nodes to the shared layers), a hook on every Keras operation (global
state while tracing), and running the model's own graph with each result recorded. This module
does the last: nothing is added to the model, a shared layer that is called twice is recorded
twice, and the tensors show how the network ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from cnnviz.errors import LayerError
from cnnviz.networks.keras_models import graph_of, run_in_inference
from cnnviz.networks.network import Network
from cnnviz.networks.structure import free_name, without_call_numbers


@dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation while a network ran.

    Attributes:
        path: of the operation.
        operation: a layer, or another operation.
        inputs: the tensors that it was called with.
        output: its result: a tensor, or several.
        channels_first: whether maps in the output are (N, C, h, w).
        arguments: all that it was called with in order, constants among them.
    """

    path: str
    operation: Any
    inputs: tuple[Any, ...]
    output: Any
    channels_first: bool = False
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class _How:
    """How calls are run.

    Attributes:
        stand_ins: as in ``record``.
        replaced: from a call's path and output to what the others read.
    """

    stand_ins: Mapping[Any, Callable[[Any], Any]]
    replaced: Callable[[str, Any], Any]


def record(
    network: Network,
    inputs: Any,
    stand_ins: Mapping[Any, Callable[[Any], Any]] | None = None,
    given: Mapping[str, Any] | None = None,
) -> tuple[Any, list[Call]]:
    """Runs a network in inference mode and records every call, nested ones included.

    Args:
        network: the network; its model is Sequential or functional.
        inputs: its input tensor, (N, h, w, C), also where the model takes (N, C, h, w).
        stand_ins: for a layer that takes one tensor, a function that is run in its place.
        given: for paths of calls, maps (N, h, w, K) that take the place of their output.

    Returns:
        The selected output (N, C), and the calls in order; a nested model follows its own
        layers. The second call of a shared layer has the path ``name#1``. Where the model gives
        maps of classes, the output is their mean over all positions: that is one more call.

    Raises:
        LayerError: the model, or one inside it, is subclassed: it has no graph to follow.
    """
    model, structure = network.model, network.structure
    if structure.has_graph:
        source = model.inputs[0]._keras_history.operation.name
        if source in structure.channels_first:
            inputs = keras.ops.transpose(inputs, (0, 3, 1, 2))
    calls: list[Call] = []

    def replaced(path: str, output: Any) -> Any:
        if given is None or path not in given or len(getattr(output, "shape", ())) != 4:
            return output
        maps = keras.ops.cast(given[path], output.dtype)
        if without_call_numbers(path) in structure.channels_first:
            maps = keras.ops.transpose(maps, (0, 3, 1, 2))
        # The layers that follow are told the sides, which the maps alone leave open.
        return keras.ops.reshape(maps, output.shape)

    how = _How(stand_ins or {}, replaced)
    outputs = keras.tree.flatten(_run(model, inputs, "", calls, set(), how))
    calls = [
        replace(call, channels_first=without_call_numbers(call.path) in structure.channels_first)
        for call in calls
    ]
    output = outputs[list(structure.outputs).index(network.output) if network.output else 0]
    if len(output.shape) == 4:
        calls.append(_mean_over_positions(calls, output))
        output = calls[-1].output
    return output, calls


def innermost_calls(calls: list[Call]) -> list[Call]:
    """The calls of layers and operations, without those of nested models."""
    return [call for call in calls if not isinstance(call.operation, keras.Model)]


def channels_last(tensor: Any, channels_first: bool) -> Any:
    """Maps (N, h, w, C) of maps (N, C, h, w) if ``channels_first``; other tensors as they are."""
    if channels_first and len(tensor.shape) == 4:
        return keras.ops.transpose(tensor, (0, 2, 3, 1))
    return tensor


def _run(
    model: keras.Model,
    inputs: Any,
    prefix: str,
    calls: list[Call],
    taken: set[str],
    how: _How,
) -> Any:
    """Runs the graph of a model and appends to ``calls``; ``taken`` holds the paths in use."""
    graph = graph_of(model)
    if graph is None:
        raise LayerError(
            f"{model.name!r} is a subclassed model (a Python class of its own), so the way through "
            "its layers cannot be followed. Its layers and filters can be shown; predictions, "
            "activations and class activation maps need a Sequential or functional model."
        )

    def recording(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            path = _take_path(prefix + operation.name, taken)
            arguments = keras.tree.flatten((args, kwargs))
            tensors = tuple(item for item in arguments if hasattr(item, "shape"))
            if isinstance(operation, keras.Model):
                image = args[0] if args else kwargs["inputs"]
                output = _run(operation, image, path + "/", calls, taken, how)
            elif operation in how.stand_ins:
                output = how.stand_ins[operation](*tensors)
            else:
                output = run_in_inference(operation, args, kwargs)
            output = how.replaced(path, output)
            calls.append(Call(path, operation, tensors, output, arguments=tuple(arguments)))
            return output

        return call

    # A model may take its picture in a list or a dictionary.
    packed = keras.tree.pack_sequence_as(graph.input, keras.tree.flatten(inputs))
    standard = list(graph._standardize_inputs(packed))
    for index, symbol in enumerate(graph.inputs):
        source = symbol._keras_history.operation
        path = _take_path(prefix + source.name, taken)
        standard[index] = how.replaced(path, standard[index])
        calls.append(Call(path, source, (), standard[index]))
    outputs = graph._run_through_graph(standard, operation_fn=recording)
    flat = keras.tree.flatten(outputs)
    return flat[0] if len(flat) == 1 else outputs


def _take_path(path: str, taken: set[str]) -> str:
    free = free_name(path, taken)
    taken.add(free)
    return free


def _mean_over_positions(calls: list[Call], maps: Any) -> Call:
    """The step from a fully convolutional network's maps of classes to scores (N, C)."""
    producer = next(call for call in reversed(calls) if call.output is maps)
    data_format = "channels_first" if producer.channels_first else "channels_last"
    sides = tuple(maps.shape[2:] if producer.channels_first else maps.shape[1:3])
    kind = keras.layers.Flatten if sides == (1, 1) else keras.layers.GlobalAveragePooling2D
    step = kind(data_format=data_format, name="mean_over_positions")
    # No layer can have this path: a name is never empty.
    return Call("", step, (maps,), step(maps))
