"""Views on the inside of a network: the only place that follows a model's graph.

Three ways lead to a layer's output inside a nested model: a rebuilt twin of the model
(``clone_model``, which adds nodes to the shared layers), a hook on every Keras operation
(global state while tracing), and running the model's own graph with each result noted
down. This module does the last: nothing is added to the model, a shared layer that is
called twice is met twice, and how the tensors flow tells how the network ends.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf

from cnnviz.errors import CnnvizError, LayerError, ModelError
from cnnviz.networks.layers import find, without_numbers
from cnnviz.networks.layouts import channels_first, free_name, graph_of, outputs
from cnnviz.networks.loading import Network

_log = logging.getLogger(__name__)

_lock = threading.RLock()

# Compiled passes kept for one network: each holds a graph of some megabytes.
_KEPT = 16

# Values that one operation, and all together, may give for one photo: VGG16 gives 15 million.
_MOST_VALUES = 60_000_000
_MOST_IN_ALL = 400_000_000

# Photos run at once: on two processors each took longer in batches of 32 than of 8 or 16.
_MOST_PHOTOS = 16

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

# Activations that turn logits into probabilities.
_SQUASHING = ("sigmoid", "softmax")

# Layers whose output before their activation can be computed.
_CAN_DO_WITHOUT_ACTIVATION = (keras.layers.Conv2D, keras.layers.Dense)

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
    """One operation's call while a network ran: its path, input and output tensors.

    Attributes:
        path: of the operation.
        operation: a layer, or another operation.
        inputs: the tensors that it was given.
        output: what it gave.
        first: whether maps that it gave are (N, C, h, w).
    """

    path: str
    operation: Any
    inputs: tuple[Any, ...]
    output: Any
    first: bool = False


@dataclass(frozen=True)
class Head:
    """How a network ends.

    Attributes:
        activation: of the output: ``softmax``, ``sigmoid``, ``linear`` or another name;
            ``combined`` where outputs of softmax or sigmoid are averaged or joined.
        dense: path of the dense layer that gives the scores, or of the 1×1 convolution that
            stands in for it; None where there is none.
        features: path of the maps that are averaged straight into that dense layer; without
            one, of the maps whose averages are the scores: one map a class. None where the
            network ends otherwise.
        last_spatial: path of the last layer whose output is a stack of maps, or None.
    """

    activation: str
    dense: str | None
    features: str | None
    last_spatial: str | None


def record(model: keras.Model, inputs: Any, output: str | None = None) -> tuple[Any, list[Call]]:
    """Runs a model in inference mode and notes down every operation, nested ones included.

    Args:
        model: a Sequential or functional model.
        inputs: its input tensor, (N, h, w, C), also where the model takes (N, C, h, w).
        output: name of the output, of a model with several.

    Returns:
        The output tensor (N, C), and the calls in order; a nested model follows its own layers.
        The second call of a shared layer has the path ``name#1``. Where the model gives maps
        of classes, its answer is their mean over all places: that is one more call.

    Raises:
        LayerError: the model, or one inside it, is subclassed: it has no graph to follow.
    """
    first = channels_first(model)
    if graph_of(model) and model.inputs[0]._keras_history.operation.name in first:
        inputs = keras.ops.transpose(inputs, (0, 3, 1, 2))
    calls: list[Call] = []
    results = keras.tree.flatten(_run(model, inputs, "", calls, set()))
    calls = [replace(call, first=without_numbers(call.path) in first) for call in calls]
    result = results[list(outputs(model)).index(output) if output else 0]
    if len(result.shape) == 4:
        calls.append(_mean_over_places(calls, result))
        result = calls[-1].output
    return result, calls


def head(calls: list[Call], output: Any) -> Head:
    """Reads from a recorded run how the network ends."""
    leaves = _leading_to(calls, output)
    last_spatial = _last_maps(leaves)
    place = _producer(leaves, output, _RESHAPED)
    activation = _output_activation(leaves, place)
    place = _score_maker(leaves, place)
    if place is None:
        return Head(activation, None, None, last_spatial)
    maker = leaves[place]
    if _averages_maps(leaves, place):
        maps = _class_maps(leaves, place, activation == "combined")
        if maps is None or _channels(leaves[maps]) != output.shape[-1]:
            return Head(activation, None, None, last_spatial)
        return Head(activation, None, leaves[maps].path, last_spatial)
    if not _gives_scores(maker, output):
        return Head(activation, None, None, last_spatial)
    place = _producer(leaves[:place], maker.inputs[0], _RESHAPED)
    if place is None or not _averages_maps(leaves, place):
        return Head(activation, maker.path, None, last_spatial)
    maps = _producer(leaves[:place], leaves[place].inputs[0])
    if maps is None or _channels(leaves[maps]) != maker.operation.kernel.shape[-2]:
        return Head(activation, maker.path, None, last_spatial)
    return Head(activation, maker.path, leaves[maps].path, last_spatial)


def logits(calls: list[Call], output: Any, end: Head) -> Any | None:
    """The scores (N, C) before softmax or sigmoid, None where they cannot be told."""
    if end.activation == "linear":
        return output
    leaves = _leaves(calls)
    place = _producer(leaves, output, _RESHAPED)
    if place is None or end.activation not in _SQUASHING:
        return None
    scores = _before_activation(leaves[place])
    return None if scores is None else keras.ops.reshape(scores, keras.ops.shape(output))


def features(calls: list[Call], end: Head) -> Any | None:
    """The maps (N, h, w, K) that the scores are made of, as ``Head.features`` names them.

    Where probabilities are averaged it is the logits under them: without the softmax or
    sigmoid of the convolution that gives them.
    """
    call = next((call for call in calls if call.path == end.features), None)
    if call is None:
        return None
    squashed = end.activation == "combined" and _activation(call.operation) in _SQUASHING
    return _channels_last(_before_activation(call) if squashed else call.output, call.first)


@dataclass(frozen=True)
class Pass:
    """A compiled run of a network.

    Attributes:
        run: the function; see ``forward`` and ``backward``.
        head: how the network ends.
        makers: for a layer with maps, the path of the convolution that made its channels.
        batch: how many photos may be run at once, so that all their values together are no
            more than one photo of the largest network may have; 16 at most.
    """

    run: Callable[..., dict[str, Any]]
    head: Head
    makers: dict[str, str]
    batch: int


def forward(network: Network, layers: Iterable[str] = ()) -> Pass:
    """A compiled forward pass that also gives the outputs of some layers.

    Args:
        network: the network.
        layers: layer paths.

    Returns:
        A pass whose ``run`` takes (N, h, w, C) and gives float32 tensors: ``output`` (N, C);
        ``logits`` (N, C) where there are any; ``features`` (N, h, w, K) where the scores are
        made of their averages; ``layers``: {path: (N, ...)}, maps as (N, h, w, K).

    Raises:
        LayerError: a path does not exist or is never run.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    return _compiled(network, "forward", frozenset(layers))


def backward(network: Network, layers: Iterable[str]) -> Pass:
    """A compiled pass that gives layers' outputs and the gradients of one class's score.

    Args:
        network: the network.
        layers: layer paths.

    Returns:
        A pass whose ``run`` takes (N, h, w, C) and a class number, -1 for the most probable
        class of each, and gives float32 tensors: what ``forward`` gives, and ``scores`` (N,),
        the class's logit, or its output where there is no logit; ``gradients``:
        {path: (N, ...)} of the score. A single unit speaks for two classes: class 1 has its
        score, class 0 the negated logit, or what is left of the probability.

    Raises:
        LayerError: a path does not exist or is never run.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    return _compiled(network, "backward", frozenset(layers))


def any_pass(network: Network) -> Pass:
    """Any compiled pass, to ask how the network is built."""
    with _lock:
        view = _view(network)
        made = (made for key, made in network.compiled.items() if key[2] == view)
        return next(made, None) or forward(network)


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
        view = _view(network)
        covering = [
            key for key in made if (key[0], key[2]) == (direction, view) and wanted <= key[1]
        ]
        if covering:
            key = min(covering, key=lambda key: len(key[1]))
            # Last in the order of use: the first is the one that leaves when there are many.
            made[key] = made.pop(key)
            return made[key]
        trace = _forward if direction == "forward" else _backward
        if len(made) >= _KEPT:
            del made[next(iter(made))]
        made[direction, wanted, view] = _compile(network, trace, wanted)
        return made[direction, wanted, view]


def _check_size(calls: list[Call]) -> int:
    """Refuses what would need all of a machine's memory, before anything is computed.

    Returns:
        How many values all operations together give for one photo.

    Raises:
        ModelError: one operation, or all together, give too many values for one photo.
    """
    shapes = [getattr(call.output, "shape", None) for call in _leaves(calls)]
    sizes = [shape.num_elements() or 0 for shape in shapes if shape is not None]
    if max(sizes, default=0) > _MOST_VALUES or sum(sizes) > _MOST_IN_ALL:
        raise ModelError(
            f"The layers of this network give {sum(sizes) / 1e6:,.0f} million values, "
            f"one of them {max(sizes) / 1e6:,.0f} million; at most {_MOST_IN_ALL / 1e6:,.0f} and "
            f"{_MOST_VALUES / 1e6:,.0f} million can be shown. A smaller picture may help."
        )
    return sum(sizes)


def _photos_at_once(network: Network, values: int) -> int:
    """How many photos of so many values each make a batch."""
    # A model may have been built for batches of one size only.
    if network.model.inputs[0].shape[0] is not None:
        return 1
    return max(1, min(_MOST_PHOTOS, _MOST_IN_ALL // max(values, 1)))


def _view(network: Network) -> tuple[Any, ...]:
    """What of a card a compiled pass depends on: two cards of one model can share the rest."""
    size = network.card.preprocessing
    return network.output, size.height, size.width, size.channels


def _compile(network: Network, trace: Callable[..., Any], wanted: frozenset[str]) -> Pass:
    found: list[tuple[Head, dict[str, str], int]] = []

    @tf.function(autograph=False)
    def run(inputs: Any, *target: Any) -> dict[str, Any]:
        # Inside a scope of its own TensorFlow also takes names that begin with an underscore.
        with tf.name_scope("network"):
            values, calls = trace(network, inputs, wanted, *target)
        # The first trace is for one photo; another one for a batch of them.
        if not found:
            size = _check_size(calls)
            batch = _photos_at_once(network, size)
            found.append((head(calls, values["output"]), makers(calls), batch))
        first = {call.path: call.first for call in calls}
        for maps in (values["layers"], values.get("gradients", {})):
            maps.update({path: _channels_last(maps[path], first[path]) for path in maps})
        return keras.tree.map_structure(lambda tensor: tf.cast(tensor, tf.float32), values)

    photo = tf.TensorSpec((1, *_view(network)[1:]), tf.float32)
    target = [tf.TensorSpec((), tf.int32)] if trace is _backward else []
    try:
        run.get_concrete_function(photo, *target)
    except CnnvizError:
        raise
    # What TensorFlow cannot run it refuses in words of its own, with code and paths in them.
    except Exception as error:
        _log.warning("TensorFlow could not trace %s", network.card.title, exc_info=error)
        raise ModelError(
            f"TensorFlow cannot run this network on a picture of {tuple(photo.shape[1:])} (height, "
            "width, channels): the picture may be too small or too large for its layers."
        ) from error
    return Pass(run, *found[0])


def _forward(network: Network, inputs: Any, wanted: frozenset[str]) -> tuple[Any, list[Call]]:
    output, calls = record(network.model, inputs, network.output)
    end = head(calls, output)
    found = {call.path: call.output for call in calls}
    for path in sorted(wanted):
        if not hasattr(found.get(path), "shape"):
            find(network.model, path)
            raise LayerError(
                f"The layer {path!r} gives no array of its own when the network runs: it is "
                "never run, or gives several. Choose another."
            )
    values = {
        "output": output,
        "layers": {path: found[path] for path in wanted},
        "logits": logits(calls, output, end),
        "features": features(calls, end),
    }
    return {name: value for name, value in values.items() if value is not None}, calls


def _backward(
    network: Network, inputs: Any, wanted: frozenset[str], target: Any
) -> tuple[Any, list[Call]]:
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        values, calls = _forward(network, inputs, wanted)
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
    graph = graph_of(model)
    if graph is None:
        raise LayerError(
            f"The model {model.name!r} is written as a class of its own, so the way through its "
            "layers cannot be followed. Its layers and filters can be shown; predictions, "
            "activations and class activation maps need a Sequential or functional model."
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
    free = free_name(path, taken)
    taken.add(free)
    return free


def _channels_last(maps: Any, first: bool) -> Any:
    return keras.ops.transpose(maps, (0, 2, 3, 1)) if first and len(maps.shape) == 4 else maps


def _mean_over_places(calls: list[Call], maps: Any) -> Call:
    """The step from a fully convolutional network's maps of classes to one row of scores."""
    maker = next(call for call in reversed(calls) if call.output is maps)
    layout = "channels_first" if maker.first else "channels_last"
    one_place = tuple(maps.shape[2:] if maker.first else maps.shape[1:3]) == (1, 1)
    kind = keras.layers.Flatten if one_place else keras.layers.GlobalAveragePooling2D
    step = kind(data_format=layout, name="mean_over_places")
    # No layer can have this path: a name is never empty.
    return Call("", step, (maps,), step(maps))


def _leading_to(calls: list[Call], output: Any) -> list[Call]:
    """The innermost calls that an output depends on, in order."""
    needed = {id(output)}
    leading = []
    for call in reversed(_leaves(calls)):
        if any(id(result) in needed for result in keras.tree.flatten(call.output)):
            leading.append(call)
            needed.update(id(tensor) for tensor in call.inputs)
    return leading[::-1]


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


def _score_maker(leaves: list[Call], place: int | None) -> int | None:
    """The place of what makes the scores before the last activation."""
    if place is None or not _only_activates(leaves[place].operation):
        return place
    if _activation(leaves[place].operation) not in _SQUASHING:
        return None
    maker = _producer(leaves[:place], leaves[place].inputs[0], _RESHAPED)
    if maker is None or _activation(leaves[maker].operation) != "linear":
        return None
    return maker


def _before_activation(call: Call) -> Any | None:
    """What an operation gives without its activation; None where that cannot be told."""
    operation, given = call.operation, call.inputs[0]
    if _only_activates(operation):
        return given
    if not isinstance(operation, _CAN_DO_WITHOUT_ACTIVATION):
        return None
    kernel = keras.ops.cast(operation.kernel, operation.compute_dtype)
    if isinstance(operation, keras.layers.Dense):
        scores = keras.ops.matmul(given, kernel)
    else:
        scores = operation.convolution_op(given, kernel)
    if operation.bias is None:
        return scores
    bias = keras.ops.cast(operation.bias, scores.dtype)
    return scores + (keras.ops.reshape(bias, (1, -1, 1, 1)) if call.first else bias)


def _only_activates(operation: Any) -> bool:
    """Whether an operation does nothing but apply its activation."""
    return type(operation).__name__ in {"Activation", "Sigmoid", "Softmax"}


def _gives_scores(call: Call, output: Any) -> bool:
    """Whether a call is of a dense layer, or what stands in for it, with a unit for each class."""
    operation = call.operation
    if _activation(operation) not in (*_SQUASHING, "linear"):
        return False
    if isinstance(operation, keras.layers.Dense):
        return operation.units == output.shape[-1]
    return (
        type(operation) is keras.layers.Conv2D
        and operation.kernel_size == (1, 1)
        and operation.groups == 1
        and operation.filters == output.shape[-1]
        and sorted(call.inputs[0].shape[1:]) == sorted((1, 1, operation.kernel.shape[-2]))
    )


def _averages_maps(leaves: list[Call], place: int) -> bool:
    """Whether a call takes the mean of each map over all its places."""
    call = leaves[place]
    operation = call.operation
    if isinstance(operation, keras.layers.GlobalAveragePooling2D):
        return True
    maps = tuple(call.inputs[0].shape) if call.inputs else ()
    maker = _producer(leaves[:place], call.inputs[0]) if len(maps) == 4 else None
    if maker is None:
        return False
    sides = (2, 3) if leaves[maker].first else (1, 2)
    if isinstance(operation, keras.layers.AveragePooling2D):
        whole = operation.pool_size == tuple(maps[side] for side in sides)
        return whole and operation.padding == "valid"
    axis = getattr(operation, "axis", None)
    return type(operation).__name__ == "Mean" and axis in (sides, list(sides))


def _class_maps(leaves: list[Call], place: int, of_probabilities: bool) -> int | None:
    """The place of what makes the maps that a call averages; of probabilities, the logits."""
    maps = _producer(leaves[:place], leaves[place].inputs[0])
    if maps is None or not of_probabilities:
        return maps
    if _only_activates(leaves[maps].operation):
        return _producer(leaves[:maps], leaves[maps].inputs[0])
    return maps if isinstance(leaves[maps].operation, _CAN_DO_WITHOUT_ACTIVATION) else None


def _channels(call: Call) -> int | None:
    return call.output.shape[1 if call.first else -1]


def _last_maps(calls: list[Call]) -> str | None:
    """The last operation that gives maps of more than one cell."""
    for call in reversed(calls):
        shape = tuple(getattr(call.output, "shape", ()))
        kind = type(call.operation).__name__
        places = shape[2:4] if call.first else shape[1:3]
        if len(shape) == 4 and places != (1, 1) and kind not in (*_UNCHANGED, "InputLayer"):
            return call.path
    return None
