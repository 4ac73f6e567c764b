"""How a network ends, read from its recorded calls: scores, logits, and the maps behind them."""

from __future__ import annotations

from typing import Any

import keras

from cnnviz.networks.tracing import Call, channels_last, innermost_calls
from cnnviz.networks.values import DenseStep, Head

# Operations that leave values as they are in inference mode.
_IDENTITY_KINDS = (
    "ActivityRegularization",
    "AlphaDropout",
    "Cast",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout2D",
)

# Operations that only give the same values another shape.
_RESHAPING_KINDS = ("Flatten", "Reshape")

# Layers between a flatten and the scores that keep a number for each unit.
_HIDDEN_KINDS = (
    "Activation",
    "BatchNormalization",
    "Dense",
    "ELU",
    "LayerNormalization",
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "Relu",
)

_CONVOLUTION_KINDS = ("Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D")

# Operations that treat every channel by itself and keep the order of channels.
_CHANNELWISE_KINDS = (
    *_IDENTITY_KINDS,
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

_ACTIVATION_KINDS = ("Activation", "Sigmoid", "Softmax")

# Activations that turn logits into probabilities.
_PROBABILITY_ACTIVATIONS = ("sigmoid", "softmax")

# Layers whose output before their activation can be computed.
_LAYERS_WITH_KERNEL = (keras.layers.Conv2D, keras.layers.Dense)


def read_head(calls: list[Call], output: Any) -> Head:
    """Reads from the calls that led to an output (N, C) how the network ends."""
    calls = _leading_to(calls, output)
    last_spatial = _last_maps(calls)
    index = _producer(calls, output, _RESHAPING_KINDS)
    activation = _output_activation(calls, index)
    index = _score_producer(calls, index)
    if index is None:
        return Head(activation, None, None, last_spatial)
    scores = calls[index]
    if _averages_maps(calls, index):
        maps = _class_maps(calls, index, activation == "combined")
        if maps is None or _channels(calls[maps]) != output.shape[-1]:
            return Head(activation, None, None, last_spatial)
        return Head(activation, None, calls[maps].path, last_spatial)
    if not _gives_scores(scores, output):
        return Head(activation, None, None, last_spatial)
    flattened, hidden, steps = _flattened_maps(calls[:index], scores.inputs[0])
    index = _producer(calls[:index], scores.inputs[0], _RESHAPING_KINDS)
    if index is None or not _averages_maps(calls, index):
        return Head(activation, scores.path, None, last_spatial, flattened, hidden, steps)
    maps = _producer(calls[:index], calls[index].inputs[0])
    if maps is None or _channels(calls[maps]) != scores.operation.kernel.shape[-2]:
        return Head(activation, scores.path, None, last_spatial)
    return Head(activation, scores.path, calls[maps].path, last_spatial)


def logits(calls: list[Call], output: Any, head: Head) -> Any | None:
    """The scores (N, C) before softmax or sigmoid, None where they cannot be determined."""
    if head.activation == "linear":
        return output
    calls = innermost_calls(calls)
    index = _producer(calls, output, _RESHAPING_KINDS)
    if index is None or head.activation not in _PROBABILITY_ACTIVATIONS:
        return None
    scores = _before_activation(calls[index])
    return None if scores is None else keras.ops.reshape(scores, keras.ops.shape(output))


def features(calls: list[Call], head: Head) -> Any | None:
    """The maps (N, h, w, K) at ``Head.features``, whose averages the scores are made of.

    Where probabilities are averaged it is the logits under them: without the softmax or
    sigmoid of the convolution that gives them.
    """
    call = next((call for call in calls if call.path == head.features), None)
    if call is None:
        return None
    of_probabilities = (
        head.activation == "combined" and _activation(call.operation) in _PROBABILITY_ACTIVATIONS
    )
    maps = _before_activation(call) if of_probabilities else call.output
    return channels_last(maps, call.channels_first)


def makers(calls: list[Call]) -> dict[str, str]:
    """For each layer whose channels one convolution made, that convolution's path.

    Normalisation, activation, pooling and the like treat every channel by itself, so the
    filter that made channel k of such a layer is the convolution's filter k. Where branches
    are added or joined there is no single filter.
    """
    maker_of_path: dict[str, str] = {}
    maker_of_tensor: dict[int, str] = {}
    for call in innermost_calls(calls):
        if len(getattr(call.output, "shape", ())) != 4:
            continue
        kind = type(call.operation).__name__
        maker: str | None = None
        if kind in _CONVOLUTION_KINDS:
            maker = call.path
        elif len(call.inputs) == 1 and kind in _CHANNELWISE_KINDS:
            maker = maker_of_tensor.get(id(call.inputs[0]))
        if maker is not None:
            maker_of_path[call.path] = maker_of_tensor[id(call.output)] = maker
    return maker_of_path


# --- Following tensors back -------------------------------------------------------------------


def _leading_to(calls: list[Call], output: Any) -> list[Call]:
    """The calls that an output depends on, in order, without those of nested models."""
    needed = {id(output)}
    leading = []
    for call in reversed(innermost_calls(calls)):
        if any(id(result) in needed for result in keras.tree.flatten(call.output)):
            leading.append(call)
            needed.update(id(tensor) for tensor in call.inputs)
    return leading[::-1]


def _producer(calls: list[Call], tensor: Any, skipped_kinds: tuple[str, ...] = ()) -> int | None:
    """The index in ``calls`` of the operation that computed a tensor.

    Operations that leave values unchanged are skipped, and so are those of ``skipped_kinds``. In
    inference mode a dropout returns its input itself, so the last producer is met first.
    """
    for index in reversed(range(len(calls))):
        call = calls[index]
        kind = type(call.operation).__name__
        # The input of a nested model is the tensor that another operation computed.
        if call.output is not tensor or kind == "InputLayer":
            continue
        is_linear = kind == "Activation" and _activation(call.operation) == "linear"
        if not is_linear and kind not in _IDENTITY_KINDS + skipped_kinds:
            return index
        tensor = call.inputs[0]
    return None


def _last_maps(calls: list[Call]) -> str | None:
    """The path of the last operation that gives maps of more than one cell."""
    for call in reversed(calls):
        shape = tuple(getattr(call.output, "shape", ()))
        kind = type(call.operation).__name__
        if (
            len(shape) == 4
            and _sides(call) != (1, 1)
            and kind not in (*_IDENTITY_KINDS, "InputLayer")
        ):
            return call.path
    return None


def _sides(call: Call) -> tuple[int | None, int | None]:
    """Height and width of the maps that a call gives."""
    _, *sizes = call.output.shape
    height, width = sizes[1:] if call.channels_first else sizes[:2]
    return height, width


def _channels(call: Call) -> int | None:
    return call.output.shape[1 if call.channels_first else -1]


# --- Activations ------------------------------------------------------------------------------


def _activation(operation: Any) -> str:
    """The name of an operation's activation; ``linear`` where it has none."""
    kind = type(operation).__name__.lower()
    if kind in {"softmax", "sigmoid"}:
        return kind
    activation = getattr(operation, "activation", None)
    if activation is None:
        return "linear"
    name = getattr(activation, "__name__", type(activation).__name__.lower())
    return str(name).removeprefix("keras2_")


def _only_activates(operation: Any) -> bool:
    """Whether an operation does nothing but apply its activation."""
    return type(operation).__name__ in _ACTIVATION_KINDS


def _output_activation(calls: list[Call], index: int | None) -> str:
    """The activation of the output, which the call at ``index`` computed."""
    if index is None:
        return "linear"
    last = calls[index]
    activation = _activation(last.operation)
    if activation != "linear" or hasattr(last.operation, "kernel") or not last.inputs:
        return activation
    # A mean of probabilities is itself a probability, not a logit.
    producers = [_producer(calls[:index], tensor, _RESHAPING_KINDS) for tensor in last.inputs]
    activations = {_activation(calls[i].operation) for i in producers if i is not None}
    of_probabilities = None not in producers and activations <= set(_PROBABILITY_ACTIVATIONS)
    return "combined" if of_probabilities else activation


def _before_activation(call: Call) -> Any | None:
    """The result of a call without its activation; None where that cannot be determined."""
    operation, tensor = call.operation, call.inputs[0]
    if _only_activates(operation):
        return tensor
    if not isinstance(operation, _LAYERS_WITH_KERNEL):
        return None
    kernel = keras.ops.cast(operation.kernel, operation.compute_dtype)
    if isinstance(operation, keras.layers.Dense):
        scores = keras.ops.matmul(tensor, kernel)
    else:
        scores = operation.convolution_op(tensor, kernel)
    if operation.bias is None:
        return scores
    bias = keras.ops.cast(operation.bias, scores.dtype)
    return scores + (keras.ops.reshape(bias, (1, -1, 1, 1)) if call.channels_first else bias)


# --- Scores and the maps behind them ----------------------------------------------------------


def _score_producer(calls: list[Call], index: int | None) -> int | None:
    """The index of the call that computes the scores before the last activation."""
    if index is None or not _only_activates(calls[index].operation):
        return index
    if _activation(calls[index].operation) not in _PROBABILITY_ACTIVATIONS:
        return None
    producer = _producer(calls[:index], calls[index].inputs[0], _RESHAPING_KINDS)
    if producer is None or _activation(calls[producer].operation) != "linear":
        return None
    return producer


def _gives_scores(call: Call, output: Any) -> bool:
    """Whether a call is of a dense layer, or its equivalent, with a unit for each class."""
    operation = call.operation
    if _activation(operation) not in (*_PROBABILITY_ACTIVATIONS, "linear"):
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


def _averages_maps(calls: list[Call], index: int) -> bool:
    """Whether a call takes the mean of each map over all its positions."""
    call = calls[index]
    operation = call.operation
    if isinstance(operation, keras.layers.GlobalAveragePooling2D):
        return True
    maps = tuple(call.inputs[0].shape) if call.inputs else ()
    producer = _producer(calls[:index], call.inputs[0]) if len(maps) == 4 else None
    if producer is None:
        return False
    sides = (2, 3) if calls[producer].channels_first else (1, 2)
    if isinstance(operation, keras.layers.AveragePooling2D):
        covers_maps = operation.pool_size == tuple(maps[side] for side in sides)
        return covers_maps and operation.padding == "valid"
    axis = getattr(operation, "axis", None)
    return type(operation).__name__ == "Mean" and axis in (sides, list(sides))


def _flattened_maps(
    calls: list[Call], tensor: Any
) -> tuple[str | None, bool, tuple[DenseStep, ...]]:
    """The maps that are flattened into dense layers, of which the last takes a tensor.

    Returns:
        Their path, None where there are none; whether other layers lie between; and these
        layers, as in ``Head``.
    """
    hidden: list[Call] = []
    while (index := _producer(calls, tensor)) is not None:
        call = calls[index]
        kind = type(call.operation).__name__
        if kind not in _RESHAPING_KINDS + _HIDDEN_KINDS or len(call.inputs) != 1:
            break
        (tensor,) = call.inputs
        if len(tensor.shape) == 4:
            maps = _producer(calls[:index], tensor)
            if maps is None or _sides(calls[maps]) == (1, 1):
                break
            return calls[maps].path, bool(hidden), _dense_steps(hidden[::-1])
        if kind in _HIDDEN_KINDS:
            hidden.append(call)
        calls = calls[:index]
    return None, False, ()


def _dense_steps(calls: list[Call]) -> tuple[DenseStep, ...]:
    """The calls as steps; () if one is neither a dense layer nor a ReLU right after one."""
    steps: list[DenseStep] = []
    for call in calls:
        operation = call.operation
        is_relu = _is_relu(operation)
        # Of a tensor of more axes it takes each row by itself.
        if type(operation) is keras.layers.Dense and len(call.inputs[0].shape) == 2:
            if not is_relu and operation.activation is not keras.activations.linear:
                return ()
            steps.append(DenseStep(call.path, call.path, is_relu))
        elif is_relu and steps and type(operation) is not keras.layers.Dense:
            steps[-1] = DenseStep(steps[-1].dense, call.path, relu=True)
        else:
            return ()
    return tuple(steps)


def _is_relu(operation: Any) -> bool:
    """Whether an operation ends in max(0, x), without a slope, a limit or a threshold."""
    if type(operation) in {keras.layers.Dense, keras.layers.Activation}:
        activation = operation.activation
        return activation is keras.activations.relu or _is_relu(activation)
    if type(operation) is keras.layers.ReLU:
        limits = (operation.max_value, operation.negative_slope, operation.threshold)
        return limits == (None, 0, 0)
    kind = type(operation)
    return kind.__name__ == "Relu" and kind.__module__.startswith("keras.")


def _class_maps(calls: list[Call], index: int, of_probabilities: bool) -> int | None:
    """The index of the call with the maps that the call at ``index`` averages.

    Of maps of probabilities, it is the call that has their logits.
    """
    maps = _producer(calls[:index], calls[index].inputs[0])
    if maps is None or not of_probabilities:
        return maps
    if _only_activates(calls[maps].operation):
        return _producer(calls[:maps], calls[maps].inputs[0])
    return maps if isinstance(calls[maps].operation, _LAYERS_WITH_KERNEL) else None
