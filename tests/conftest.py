"""Tiny networks and photos for every test; no file here needs more than the repository."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# The same examples in every run, and no limit on how long one may take.
settings.register_profile("cnnviz", derandomize=True, deadline=None)
settings.load_profile("cnnviz")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIZE = 12
LABELS = ("cat", "dog", "owl")


# --- Networks -------------------------------------------------------------------------------
# Each builder gives an untrained model; `_fill` then sets every weight from a fixed seed.
# Keras is imported late, so that tests of arrays and photos start without it.


def _body(x: Any) -> Any:
    """Two convolutions, 12×12×3 to 6×6×5."""
    from keras import layers

    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    return layers.Conv2D(5, 3, padding="same", activation="relu", name="conv2")(x)


def _model(tail: Callable[[Any], Any], shape: tuple[int | None, ...] = (SIZE, SIZE, 3)) -> Any:
    """The body and a tail, functional and flat."""
    import keras

    image = keras.Input(shape, name="image")
    return keras.Model(image, tail(_body(image)))


def _gap_dense(x: Any, units: int = 3, activation: str | None = "softmax") -> Any:
    from keras import layers

    x = layers.GlobalAveragePooling2D(name="average")(x)
    return layers.Dense(units, activation=activation, name="scores")(x)


def flat() -> Any:
    return _model(_gap_dense)


def linear_logits() -> Any:
    return _model(lambda x: _gap_dense(x, activation=None))


def one_sigmoid() -> Any:
    return _model(lambda x: _gap_dense(x, units=1, activation="sigmoid"))


def one_logit() -> Any:
    return _model(lambda x: _gap_dense(x, units=1, activation=None))


def many_sigmoids() -> Any:
    return _model(lambda x: _gap_dense(x, activation="sigmoid"))


def two_classes() -> Any:
    return _model(lambda x: _gap_dense(x, units=2))


def softmax_layer() -> Any:
    from keras import layers

    return _model(lambda x: layers.Softmax(name="softmax")(_gap_dense(x, activation=None)))


def activation_layer() -> Any:
    from keras import layers

    return _model(lambda x: layers.Activation("softmax")(_gap_dense(x, activation=None)))


def softmax_operation() -> Any:
    import keras

    return _model(lambda x: keras.ops.softmax(_gap_dense(x, activation=None)))


def float32_tail() -> Any:
    """As the mixed precision guide ends a network: a linear activation in float32."""
    from keras import layers

    return _model(lambda x: layers.Activation("linear", dtype="float32")(_gap_dense(x)))


def dropouts_before_dense() -> Any:
    from keras import layers

    def tail(x: Any) -> Any:
        x = layers.SpatialDropout2D(0.5)(x)
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dropout(0.5, name="drop")(x)
        return layers.Dense(3, "softmax", name="scores")(x)

    return _model(tail)


def kept_axes() -> Any:
    """The average keeps its axes and is flattened afterwards."""
    from keras import layers

    def tail(x: Any) -> Any:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        return layers.Dense(3, "softmax", name="scores")(layers.Flatten()(x))

    return _model(tail)


def flattened_scores() -> Any:
    """The last layer only changes the shape of what a softmax gave."""
    from keras import layers

    def tail(x: Any) -> Any:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        return layers.Flatten()(layers.Dense(3, "softmax", name="scores")(x))

    return _model(tail)


def dense_after_flatten() -> Any:
    from keras import layers

    def tail(x: Any) -> Any:
        x = layers.Dense(7, "relu", name="hidden")(layers.Flatten()(x))
        return layers.Dense(3, "softmax", name="scores")(layers.Dropout(0.5)(x))

    return _model(tail)


def hidden_dense() -> Any:
    """A hidden dense layer after the averaging: the weights of one class are not enough."""
    from keras import layers

    def tail(x: Any) -> Any:
        x = layers.GlobalAveragePooling2D()(x)
        return layers.Dense(3, "softmax", name="scores")(layers.Dense(6, "relu")(x))

    return _model(tail)


def rectified_scores() -> Any:
    """A rectified dense layer under a softmax: its weights give no logit."""
    from keras import layers

    return _model(lambda x: layers.Softmax()(_gap_dense(x, activation="relu")))


def all_convolutional() -> Any:
    from keras import layers

    def tail(x: Any) -> Any:
        x = layers.Conv2D(3, 1, name="class_maps")(x)
        return layers.Softmax()(layers.GlobalAveragePooling2D()(x))

    return _model(tail)


def softmax_convolution() -> Any:
    """A 1×1 convolution with a softmax of its own stands in for the dense layer."""
    from keras import layers

    def tail(x: Any) -> Any:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        return layers.Flatten()(layers.Conv2D(3, 1, activation="softmax", name="scores")(x))

    return _model(tail)


def averaged_probabilities() -> Any:
    """Two networks whose answers are averaged: the mean of two softmaxes is no logit."""
    import keras
    from keras import layers

    image = keras.Input((SIZE, SIZE, 3))
    members = []
    for name in ("first", "second"):
        x = layers.Conv2D(4, 3, strides=2, activation="relu", name=f"{name}_conv")(image)
        x = layers.GlobalAveragePooling2D()(x)
        members.append(layers.Dense(3, "softmax", name=f"{name}_scores")(x))
    return keras.Model(image, layers.Average()(members))


def reshaped_maps() -> Any:
    """Maps are cut up anew before the averaging: the convolution's channels are not averaged."""
    from keras import layers

    def tail(x: Any) -> Any:
        x = layers.Reshape((6, 5, 6), name="recut")(x)
        return layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(x))

    return _model(tail)


def nested_sequential() -> Any:
    import keras
    from keras import layers

    backbone = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.Conv2D(5, 3, strides=2, activation="relu", name="conv_b"),
        ],
        name="backbone",
    )
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            backbone,
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, "softmax", name="scores"),
        ]
    )


def nested_functional() -> Any:
    """Two backbones side by side whose layers have the same names as one outside."""
    import keras
    from keras import layers

    def branch(name: str) -> Any:
        image = keras.Input((SIZE, SIZE, 4))
        x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
        x = layers.BatchNormalization(name="norm")(x)
        return keras.Model(image, layers.ReLU(name="act")(x), name=name)

    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    x = layers.Concatenate(name="joined")([branch("left")(x), branch("right")(x), x])
    return keras.Model(image, _gap_dense(x))


def backbone_in_backbone() -> Any:
    import keras
    from keras import layers

    image = keras.Input((6, 6, 4))
    inner = keras.Model(image, layers.Conv2D(5, 3, name="conv")(image), name="inner")
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv")(image)
    outer = keras.Model(image, layers.ReLU(name="act")(inner(x)), name="outer")
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, _gap_dense(outer(image, training=False)))


def two_outputs_inside() -> Any:
    """A backbone that gives maps of two sizes, called by keyword."""
    import keras
    from keras import layers

    image = keras.Input((SIZE, SIZE, 3))
    fine = layers.Conv2D(4, 3, activation="relu", name="fine")(image)
    coarse = layers.Conv2D(5, 3, strides=2, activation="relu", name="coarse")(fine)
    pyramid = keras.Model(image, [fine, coarse], name="pyramid")
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x) for x in pyramid(inputs=image)])
    return keras.Model(image, layers.Dense(3, "softmax", name="scores")(x))


def shared_head() -> Any:
    """A head called twice, the second time on maps that its first answer dimmed."""
    import keras
    from keras import layers

    maps = keras.Input((6, 6, 5))
    end = keras.Model(maps, _gap_dense(maps), name="end")

    def tail(x: Any) -> Any:
        dim = layers.Reshape((1, 1, 1))(layers.Dense(1, "sigmoid")(end(x)))
        return end(layers.Multiply(name="dimmed")([x, dim]))

    return _model(tail)


def named_output() -> Any:
    """The input and the output are dictionaries."""
    import keras

    image = keras.Input((SIZE, SIZE, 3), name="image")
    return keras.Model({"image": image}, {"scores": _gap_dense(_body(image))})


def shared_layer() -> Any:
    """One convolution called twice in a row, and one model called twice side by side."""
    import keras
    from keras import layers

    again = layers.Conv2D(4, 3, padding="same", activation="relu", name="again")
    image = keras.Input((SIZE, SIZE, 4))
    twin = keras.Model(image, layers.Conv2D(3, 3, name="conv")(image), name="twin")
    image = keras.Input((SIZE, SIZE, 3))
    x = again(again(layers.Conv2D(4, 1, name="widen")(image)))
    x = layers.Subtract(name="difference")([twin(x), twin(layers.ReLU(1.0)(x))])
    return keras.Model(image, _gap_dense(x))


def skip_connections() -> Any:
    """A sum by a layer and a sum by an operator, as in a residual network."""
    import keras
    from keras import layers

    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="block1")(x)
    x = layers.Add(name="sum")([x, y])
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="block2")(x)
    return keras.Model(image, _gap_dense(x + y))


def ends_in_operations() -> Any:
    """The last maps come from an operation that is no layer."""
    import keras
    from keras import layers

    def tail(x: Any) -> Any:
        x = keras.ops.relu(x * 2)
        return layers.Dense(3, "softmax", name="scores")(layers.Flatten()(x))

    return _model(tail)


def augmented() -> Any:
    """Augmentation and scaling inside the model, as the transfer learning guide has it."""
    import keras
    from keras import layers

    augment = keras.Sequential(
        [
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.3),
            layers.RandomContrast(0.5),
            layers.GaussianNoise(1.0),
        ],
        name="augment",
    )
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(augment(image))
    return keras.Model(image, _gap_dense(_body(x)))


def rescaled() -> Any:
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 255, name="scale"),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(6.0, name="act"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, "softmax", name="scores"),
        ]
    )


def mixed_precision() -> Any:
    import keras
    from keras import layers

    half = "mixed_float16"
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, activation="relu", dtype=half, name="conv1")(image)
    x = layers.Conv2D(5, 3, activation="relu", dtype=half, name="conv2")(x)
    x = layers.GlobalAveragePooling2D(dtype=half)(x)
    return keras.Model(image, layers.Dense(3, "softmax", dtype="float32", name="scores")(x))


def free_size() -> Any:
    return _model(_gap_dense, shape=(None, None, 3))


def grey() -> Any:
    return _model(_gap_dense, shape=(SIZE, SIZE, 1))


def convolutions() -> Any:
    """Every kind of convolution that has filters."""
    import keras
    from keras import layers

    image = keras.Input((SIZE, SIZE, 3))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise")(image)
    x = layers.SeparableConv2D(4, 3, padding="same", name="separable")(x)
    x = layers.Conv2DTranspose(5, 3, strides=2, activation="relu", name="transpose")(x)
    x = layers.Conv2D(6, 3, groups=1, use_bias=False, dilation_rate=2, name="dilated")(x)
    return keras.Model(image, _gap_dense(x))


_BUILDERS = (
    flat,
    linear_logits,
    one_sigmoid,
    one_logit,
    many_sigmoids,
    two_classes,
    softmax_layer,
    activation_layer,
    softmax_operation,
    float32_tail,
    dropouts_before_dense,
    kept_axes,
    flattened_scores,
    dense_after_flatten,
    hidden_dense,
    rectified_scores,
    all_convolutional,
    softmax_convolution,
    averaged_probabilities,
    reshaped_maps,
    nested_sequential,
    nested_functional,
    backbone_in_backbone,
    two_outputs_inside,
    shared_head,
    named_output,
    shared_layer,
    skip_connections,
    ends_in_operations,
    augmented,
    rescaled,
    mixed_precision,
    free_size,
    grey,
    convolutions,
)
BUILDERS = {builder.__name__: builder for builder in _BUILDERS}

# Those that average maps straight into one dense layer: the class activation map applies.
AVERAGED = (
    "activation_layer",
    "augmented",
    "backbone_in_backbone",
    "convolutions",
    "dropouts_before_dense",
    "flat",
    "flattened_scores",
    "float32_tail",
    "free_size",
    "grey",
    "kept_axes",
    "linear_logits",
    "many_sigmoids",
    "mixed_precision",
    "named_output",
    "nested_functional",
    "nested_sequential",
    "one_logit",
    "one_sigmoid",
    "rescaled",
    "reshaped_maps",
    "shared_head",
    "shared_layer",
    "skip_connections",
    "softmax_operation",
    "softmax_layer",
    "two_classes",
)


def _fill(model: Any) -> Any:
    """Sets every weight from a fixed seed, large enough that no class and no map is trivial."""
    rng = np.random.default_rng(7)
    for weight in model.weights:
        values = rng.normal(0, 0.4, weight.shape)
        if "seed" in weight.path:
            continue
        if "variance" in weight.path or "gamma" in weight.path:
            values = 1 + np.abs(values)
        weight.assign(values)
    return model


def make_card(model: Any, **changes: Any) -> Any:
    """A complete card for one of the tiny models."""
    from cnnviz.cards import ModelCard

    _, height, width, channels = model.inputs[0].shape
    fields = {
        "title": "A tiny network",
        "description": "A network for tests.",
        "labels": list(LABELS[: max(model.outputs[0].shape[-1], 2)]),
        "preprocessing": {
            "height": height or SIZE,
            "width": width or SIZE,
            "channels": channels,
            "scaling": "none" if "Rescaling" in str(model.get_config()) else "unit",
        },
        "training": {"data": "none", "split": "none"},
        "licence": "MIT",
        "source": "made for tests",
    }
    return ModelCard.model_validate(fields | changes)


@functools.cache
def _network(name: str) -> Any:
    import cnnviz

    model = _fill(BUILDERS[name]())
    return cnnviz.network(model, make_card(model))


@pytest.fixture(scope="session")
def tiny() -> Callable[[str], Any]:
    """Gives the network of a builder above by its name; built once in a session."""
    return _network


@pytest.fixture(params=sorted(BUILDERS), scope="session")
def any_network(request: pytest.FixtureRequest) -> Any:
    """Each of the tiny networks in turn."""
    return _network(request.param)


@pytest.fixture(params=AVERAGED, scope="session")
def averaged_network(request: pytest.FixtureRequest) -> Any:
    """Each of the tiny networks whose class activation map comes from the dense weights."""
    return _network(request.param)


@pytest.fixture(scope="session")
def averaged_names() -> tuple[str, ...]:
    """The names of those networks."""
    return AVERAGED


@pytest.fixture
def fresh() -> Callable[[str], Any]:
    """Gives a network of its own, with nothing compiled yet."""

    def build(name: str, **changes: Any) -> Any:
        import cnnviz

        model = _fill(BUILDERS[name]())
        return cnnviz.network(model, make_card(model, **changes))

    return build


# --- What a model holds ---------------------------------------------------------------------


@dataclass(frozen=True)
class Snapshot:
    """Everything about a model that looking inside must leave alone."""

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


@pytest.fixture(scope="session")
def snapshot() -> Callable[[Any], Snapshot]:
    """Takes down a model's configuration, weights and graph nodes."""
    return Snapshot.of


@contextmanager
def _noting_every_call() -> Iterator[list[tuple[Any, Any]]]:
    import keras

    calls: list[tuple[Any, Any]] = []
    original = keras.Operation.__call__

    def noting(operation: Any, *args: Any, **kwargs: Any) -> Any:
        output = original(operation, *args, **kwargs)
        calls.append((operation, output))
        return output

    keras.Operation.__call__ = noting
    try:
        yield calls
    finally:
        keras.Operation.__call__ = original


@pytest.fixture(scope="session")
def eager_outputs() -> Callable[[Any, Any], tuple[Any, dict[Any, list[Any]]]]:
    """An oracle: runs a model plainly, uncompiled, and notes each operation's outputs by id."""

    import keras

    def run(model: Any, inputs: Any) -> tuple[Any, dict[Any, list[Any]]]:
        with _noting_every_call() as calls:
            graph = getattr(model, "_functional", None) or model
            packed = keras.tree.pack_sequence_as(graph.input, [inputs])
            output = np.asarray(keras.tree.flatten(model(packed, training=False))[0])
        noted: dict[Any, list[Any]] = {}
        for operation, result in calls:
            if hasattr(result, "shape"):
                noted.setdefault(id(operation), []).append(np.asarray(result))
        return output, noted

    return run


# --- Photos ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A photo (40, 60, 3) with some of every colour; read-only, as one that was opened is."""
    pixels = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    pixels.setflags(write=False)
    return pixels
