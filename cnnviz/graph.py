"""Views on the inside of a network: the only place that follows a model's graph.

Three ways lead to a layer's output inside a nested model: a rebuilt twin of the model
(``clone_model``, which adds nodes to the shared layers), a hook on every Keras operation
(global state while tracing), and running the model's own graph with each result noted
down. This module does the last: nothing is added to the model, a shared layer that is
called twice is met twice, and how the tensors flow tells how the network ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from cnnviz.errors import LayerError
from cnnviz.layers import find
from cnnviz.loading import Network

_lock = threading.RLock()

# Compiled passes kept for one network: each holds a graph of some megabytes.
_KEPT = 16

# What leaves values as they are while a network is not trained.
_UNCHANGED = (
    "ActivityRegularization",
    "AlphaDropout",
    "Cast",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout2D",
)

# What only lays the same values out in another shape.
_RESHAPED = ("Flatten", "Reshape")

_CONVOLUTIONS = ("Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D")

# What treats every channel by itself and keeps their order.
_CHANNEL_BY_CHANNEL = (
    *_UNCHANGED,
    "Activation",
    "AveragePooling2D",
    "BatchNormalization",
    "Cropping2D",
    "ELU",
    "LeakyReLU",
    "MaxPooling2D",
    "PReLU",
    "ReLU",
    "UpSampling2D",
    "ZeroPadding2D",
)


@dataclass(frozen=True, eq=False)
class Call:
    """One operation's call while a network ran: its path, input and output tensors."""

    path: str
    operation: Any
    inputs: tuple[Any, ...]
    output: Any


@dataclass(frozen=True)
class Head:
    """How a network ends.

    Attributes:
        activation: of the output: ``softmax``, ``sigmoid``, ``linear`` or another name;
            ``combined`` where outputs of softmax or sigmoid are averaged or joined.
        dense: path of the dense layer that gives the scores, None where there is none.
        features: path of the maps that are averaged straight into that dense layer, None
            where the network ends otherwise.
        last_spatial: path of the last layer whose output is a stack of maps, or None.
    """

    activation: str
    dense: str | None
    features: str | None
    last_spatial: str | None


def record(model: keras.Model, inputs: Any) -> tuple[Any, list[Call]]:
    """Runs a model in inference mode and notes down every operation, nested ones included.

    Args:
        model: a Sequential or functional model.
        inputs: its input tensor, (N, H, W, C).

    Returns:
        The output tensor (N, C), and the calls in order; a nested model follows its own layers.
        The second call of a shared layer has the path ``name#1``.

    Raises:
        LayerError: the model, or one inside it, is subclassed: it has no graph to follow.
    """
    calls: list[Call] = []
    return _run(model, inputs, "", calls, set()), calls


def head(calls: list[Call], output: Any) -> Head:
    """Reads from a recorded run how the network ends."""
    leaves = _leaves(calls)
    last_spatial = _last_maps(leaves)
    place = _producer(leaves, output, _RESHAPED)
    activation = _output_activation(leaves, place)
    if place is not None and not hasattr(leaves[place].operation, "kernel"):
        place = _logit_maker(leaves, place)
    if place is None or not _gives_scores(leaves[place].operation, output):
        return Head(activation, None, None, last_spatial)
    dense = leaves[place]
    place = _producer(leaves[:place], dense.inputs[0], _RESHAPED)
    if place is None or not _averages_maps(leaves[place].operation):
        return Head(activation, dense.path, None, last_spatial)
    maps = leaves[place].inputs[0]
    place = _producer(leaves[:place], maps)
    if place is None or maps.shape[-1] != dense.operation.kernel.shape[0]:
        return Head(activation, dense.path, None, last_spatial)
    return Head(activation, dense.path, leaves[place].path, last_spatial)


def logits(calls: list[Call], output: Any, end: Head) -> Any | None:
    """The scores (N, C) before softmax or sigmoid, None where they cannot be told."""
    if end.activation == "linear":
        return output
    leaves = _leaves(calls)
    place = _producer(leaves, output, _RESHAPED)
    if place is None or end.activation not in {"softmax", "sigmoid"}:
        return None
    last = leaves[place]
    scores = last.inputs[0]
    if isinstance(last.operation, keras.layers.Dense):
        dense = last.operation
        scores = keras.ops.matmul(scores, keras.ops.cast(dense.kernel, dense.compute_dtype))
        if dense.bias is not None:
            scores = scores + keras.ops.cast(dense.bias, scores.dtype)
    elif hasattr(last.operation, "kernel"):
        return None
    return keras.ops.reshape(scores, keras.ops.shape(output))


@dataclass(frozen=True)
class Pass:
    """A compiled run of a network.

    Attributes:
        run: the function; see ``forward`` and ``backward``.
        head: how the network ends.
        makers: for a layer with maps, the path of the convolution that made its channels.
    """

    run: Callable[..., dict[str, Any]]
    head: Head
    makers: dict[str, str]


def forward(network: Network, layers: Iterable[str] = ()) -> Pass:
    """A compiled forward pass that also gives the outputs of some layers.

    Args:
        network: the network.
        layers: layer paths.

    Returns:
        A pass whose ``run`` takes (N, H, W, C) and gives float32 tensors: ``output`` (N, C);
        ``logits`` (N, C) where there are any; ``features`` (N, h, w, K) where these are
        averaged straight into the dense layer; ``layers``: {path: (N, ...)}.

    Raises:
        LayerError: a path does not exist or is never run.
    """
    return _compiled(network, "forward", frozenset(layers))


def backward(network: Network, layers: Iterable[str]) -> Pass:
    """A compiled pass that gives layers' outputs and the gradients of one class's score.

    Args:
        network: the network.
        layers: layer paths.

    Returns:
        A pass whose ``run`` takes (N, H, W, C) and a class number, -1 for the most probable
        class of each, and gives float32 tensors: what ``forward`` gives, and ``scores`` (N,),
        the class's logit, or its output where there is no logit; ``gradients``:
        {path: (N, ...)} of the score. A single unit speaks for two classes: class 1 has its
        score, class 0 the negated logit, or what is left of the probability.

    Raises:
        LayerError: a path does not exist or is never run.
    """
    return _compiled(network, "backward", frozenset(layers))


def any_pass(network: Network) -> Pass:
    """Any compiled pass, to ask how the network is built."""
    with _lock:
        return next(iter(network.compiled.values()), None) or forward(network)


def makers(calls: list[Call]) -> dict[str, str]:
    """For each layer whose channels one convolution made, that convolution's path.

    Normalisation, activation, pooling and the like treat every channel by itself, so the
    filter that made channel k of such a layer is the convolution's filter k. Where branches
    are added or joined there is no single filter.
    """
    made: dict[str, str] = {}
    maker_of: dict[int, str] = {}
    for call in _leaves(calls):
        if len(getattr(call.output, "shape", ())) != 4:
            continue
        kind = type(call.operation).__name__
        maker: str | None = None
        if kind in _CONVOLUTIONS:
            maker = call.path
        elif len(call.inputs) == 1 and kind in _CHANNEL_BY_CHANNEL:
            maker = maker_of.get(id(call.inputs[0]))
        if maker is not None:
            made[call.path] = maker_of[id(call.output)] = maker
    return made


def _compiled(network: Network, direction: str, wanted: frozenset[str]) -> Pass:
    """The pass for these layers: made once, then kept with the network.

    One that was made before and covers the layers is used again: to run it costs a few
    milliseconds more, to make another one about a second.
    """
    with _lock:
        made = network.compiled
        covering = [key for key in made if key[0] == direction and wanted <= key[1]]
        if covering:
            key = min(covering, key=lambda key: len(key[1]))
            # Last in the order of use: the first is the one that leaves when there are many.
            made[key] = made.pop(key)
            return made[key]
        trace = _forward if direction == "forward" else _backward
        if len(made) >= _KEPT:
            del made[next(iter(made))]
        made[direction, wanted] = _compile(network, trace, wanted)
        return made[direction, wanted]


def _compile(network: Network, trace: Callable[..., Any], wanted: frozenset[str]) -> Pass:
    found: list[tuple[Head, dict[str, str]]] = []

    @tf.function(autograph=False)
    def run(inputs: Any, *target: Any) -> dict[str, Any]:
        # Inside a scope of its own TensorFlow also takes names that begin with an underscore.
        with tf.name_scope("network"):
            values, calls = trace(network.model, inputs, wanted, *target)
        found.append((head(calls, values["output"]), makers(calls)))
        return keras.tree.map_structure(lambda tensor: tf.cast(tensor, tf.float32), values)

    size = network.card.preprocessing
    photo = tf.TensorSpec((1, size.height, size.width, size.channels), tf.float32)
    target = [tf.TensorSpec((), tf.int32)] if trace is _backward else []
    run.get_concrete_function(photo, *target)
    return Pass(run, *found[0])


def _forward(model: keras.Model, inputs: Any, wanted: frozenset[str]) -> tuple[Any, list[Call]]:
    output, calls = record(model, inputs)
    end = head(calls, output)
    outputs = {call.path: call.output for call in calls}
    for path in sorted(wanted):
        if not hasattr(outputs.get(path), "shape"):
            find(model, path)
            raise LayerError(
                f"The layer {path!r} gives no array of its own when the network runs: it is "
                "never run, or gives several. Choose another."
            )
    values = {"output": output, "layers": {path: outputs[path] for path in wanted}}
    scores = logits(calls, output, end)
    if scores is not None:
        values["logits"] = scores
    if end.features:
        values["features"] = outputs[end.features]
    return values, calls


def _backward(
    model: keras.Model, inputs: Any, wanted: frozenset[str], target: Any
) -> tuple[Any, list[Call]]:
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        values, calls = _forward(model, inputs, wanted)
        answers = values.get("logits", values["output"])
        likely = tf.argmax(values["output"], axis=1, output_type=tf.int32)
        if answers.shape[1] == 1:
            linear = values.get("logits") is values["output"]
            likely = tf.cast(values["output"][:, 0] > (0.0 if linear else 0.5), tf.int32)
            opposite = -answers if "logits" in values else 1 - answers
            answers = tf.concat([opposite, answers], axis=1)
        scores = tf.gather(answers, tf.where(target < 0, likely, target), axis=1, batch_dims=1)
    gradients = tape.gradient(
        scores, values["layers"], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return {**values, "scores": scores, "gradients": gradients}, calls


def _run(model: keras.Model, inputs: Any, prefix: str, calls: list[Call], taken: set[str]) -> Any:
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_run_through_graph"):
        raise LayerError(
            f"The model {model.name!r} is written as a class of its own, so the way through its "
            "layers cannot be followed. Its layers and filters can be shown, its activations "
            "cannot."
        )

    def noted(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            path = _free_path(prefix + operation.name, taken)
            if isinstance(operation, keras.Model):
                image = args[0] if args else kwargs["inputs"]
                output = _run(operation, image, path + "/", calls, taken)
            else:
                if "training" in getattr(operation, "_call_context_args", ()):
                    kwargs["training"] = False
                output = operation(*args, **kwargs)
            given = (item for item in keras.tree.flatten((args, kwargs)) if hasattr(item, "shape"))
            calls.append(Call(path, operation, tuple(given), output))
            return output

        return call

    # A model may want its picture in a list or under a name.
    packed = keras.tree.pack_sequence_as(graph.input, keras.tree.flatten(inputs))
    standard = graph._standardize_inputs(packed)
    for symbol, tensor in zip(graph.inputs, standard, strict=True):
        source = symbol._keras_history.operation
        calls.append(Call(_free_path(prefix + source.name, taken), source, (), tensor))
    outputs = graph._run_through_graph(standard, operation_fn=noted)
    flat = keras.tree.flatten(outputs)
    return flat[0] if len(flat) == 1 else outputs


def _free_path(path: str, taken: set[str]) -> str:
    free, count = path, 0
    while free in taken:
        count += 1
        free = f"{path}#{count}"
    taken.add(free)
    return free


def _leaves(calls: list[Call]) -> list[Call]:
    return [call for call in calls if not isinstance(call.operation, keras.Model)]


def _producer(calls: list[Call], tensor: Any, skip: tuple[str, ...] = ()) -> int | None:
    """The place in ``calls`` of the operation that made a tensor.

    What leaves values unchanged is left out, and so are the kinds in ``skip``. In inference
    a dropout hands its input on as it is, so the last maker is met first.
    """
    for place in reversed(range(len(calls))):
        call = calls[place]
        kind = type(call.operation).__name__
        # The input of a nested model is the tensor that another operation made.
        if call.output is not tensor or kind == "InputLayer":
            continue
        idle = kind == "Activation" and _activation(call.operation) == "linear"
        if not idle and kind not in _UNCHANGED + skip:
            return place
        tensor = call.inputs[0]
    return None


def _activation(operation: Any) -> str:
    """The name of an operation's activation; ``linear`` where it has none."""
    kind = type(operation).__name__.lower()
    if kind in {"softmax", "sigmoid"}:
        return kind
    activation = getattr(operation, "activation", None)
    if activation is None:
        return "linear"
    return getattr(activation, "__name__", type(activation).__name__.lower())


def _output_activation(leaves: list[Call], place: int | None) -> str:
    if place is None:
        return "linear"
    last = leaves[place]
    own = _activation(last.operation)
    if own != "linear" or hasattr(last.operation, "kernel") or not last.inputs:
        return own
    # A mean of probabilities is itself a probability, not a logit.
    makers = [_producer(leaves[:place], tensor, _RESHAPED) for tensor in last.inputs]
    given = {_activation(leaves[maker].operation) for maker in makers if maker is not None}
    return "combined" if None not in makers and given <= {"softmax", "sigmoid"} else own


def _logit_maker(leaves: list[Call], place: int) -> int | None:
    """The place of what feeds an operation that does nothing but apply its activation."""
    if _activation(leaves[place].operation) not in {"softmax", "sigmoid"}:
        return None
    maker = _producer(leaves[:place], leaves[place].inputs[0], _RESHAPED)
    if maker is None or _activation(leaves[maker].operation) != "linear":
        return None
    return maker


def _gives_scores(operation: Any, output: Any) -> bool:
    """Whether an operation is a dense layer with one unit for each class."""
    return (
        isinstance(operation, keras.layers.Dense)
        and _activation(operation) in {"softmax", "sigmoid", "linear"}
        and operation.units == output.shape[-1]
    )


def _averages_maps(operation: Any) -> bool:
    return (
        isinstance(operation, keras.layers.GlobalAveragePooling2D)
        and operation.data_format == "channels_last"
    )


def _last_maps(calls: list[Call]) -> str | None:
    """The last operation that gives maps of more than one cell."""
    for call in reversed(calls):
        shape = tuple(getattr(call.output, "shape", ()))
        kind = type(call.operation).__name__
        if len(shape) == 4 and shape[1:3] != (1, 1) and kind not in (*_UNCHANGED, "InputLayer"):
            return call.path
    return None
