"""Small networks, one for each way to build a classifier in Keras.

Each builder returns an untrained model; `fill` sets every weight from a fixed seed. Keras is
imported inside the functions: tests that only need the names start without it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

SIZE = 12
LABELS = ("cat", "dog", "owl")


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
        return layers.Dense(3, "softmax", name="scores")(layers.Dropout(0.5, name="drop")(x))

    return _model(tail)


def one_unit_after_flatten() -> Any:
    from keras import layers

    return _model(lambda x: layers.Dense(1, "sigmoid", name="scores")(layers.Flatten()(x)))


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
    """A 1×1 convolution with a softmax takes the place of the dense layer."""
    from keras import layers

    def tail(x: Any) -> Any:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        return layers.Flatten()(layers.Conv2D(3, 1, activation="softmax", name="scores")(x))

    return _model(tail)


def averaged_class_maps() -> Any:
    """One map a class, whose averages are the logits."""
    from keras import layers

    return _model(
        lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1, name="class_maps")(x))
    )


def averaged_softmax_maps() -> Any:
    """Each cell has its own probabilities; the output is their mean."""
    from keras import layers

    def tail(x: Any) -> Any:
        maps = layers.Conv2D(3, 1, activation="softmax", name="class_maps")(x)
        return layers.GlobalAveragePooling2D()(maps)

    return _model(tail)


def logit_maps() -> Any:
    """Fully convolutional: the output is one map a class."""
    from keras import layers

    return _model(layers.Conv2D(3, 1, name="class_maps"))


def softmax_maps() -> Any:
    """Fully convolutional, with a softmax at each cell, as for segmentation."""
    from keras import layers

    return _model(lambda x: layers.Softmax()(layers.Conv2D(3, 1, name="class_maps")(x)))


def one_sigmoid_map() -> Any:
    """Fully convolutional, for one thing that is there or not."""
    from keras import layers

    return _model(layers.Conv2D(1, 1, activation="sigmoid", name="class_maps"))


def one_place() -> Any:
    """A fully convolutional network whose maps have one cell each."""
    from keras import layers

    return _model(layers.Conv2D(3, 6, activation="softmax", name="class_maps"))


def global_maximum() -> Any:
    from keras import layers

    return _model(
        lambda x: layers.Dense(3, "softmax", name="scores")(layers.GlobalMaxPooling2D()(x))
    )


def whole_pooling() -> Any:
    """As older residual networks end: a pooling as large as the maps."""
    from keras import layers

    def tail(x: Any) -> Any:
        x = layers.Flatten()(layers.AveragePooling2D(6)(x))
        return layers.Dense(3, "softmax", name="scores")(x)

    return _model(tail)


def mean_operation() -> Any:
    import keras
    from keras import layers

    def tail(x: Any) -> Any:
        return layers.Dense(3, "softmax", name="scores")(keras.ops.mean(x, axis=(1, 2)))

    return _model(tail)


def several_outputs() -> Any:
    """Maps, three classes of things, and two of moods from a branch of its own."""
    import keras
    from keras import layers

    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = _body(image)
    maps = layers.Conv2D(2, 1, name="maps")(x)
    branch = layers.Conv2D(4, 3, activation="relu", name="branch")(x)
    branch = layers.GlobalAveragePooling2D(name="pooled")(branch)
    mood = layers.Dense(2, "sigmoid", name="mood")(branch)
    return keras.Model(image, [maps, _gap_dense(x), mood])


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
    """The last maps are the output of an operation that is no layer."""
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
            layers.RandomFlip("horizontal", name="flip"),
            layers.RandomRotation(0.3, name="rotation"),
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


def brain_floats() -> Any:
    """In bfloat16, weights included, but for the scores."""
    import keras
    from keras import layers

    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, activation="relu", dtype="bfloat16", name="conv1")(image)
    x = layers.ReLU(1.5, dtype="bfloat16", name="act")(x)
    x = layers.GlobalAveragePooling2D(dtype="bfloat16")(x)
    return keras.Model(image, layers.Dense(3, "softmax", dtype="float32", name="scores")(x))


def attention() -> Any:
    """Patches of a photo that look at each other, as in a vision transformer."""
    import keras
    from keras import layers

    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(8, 4, strides=4, name="patches")(image)
    x = layers.Reshape((9, 8), name="row")(x)
    x = x + layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.Dense(8, "gelu", name="hidden")(layers.LayerNormalization(name="norm")(x))
    return keras.Model(
        image, layers.Dense(3, "softmax", name="scores")(layers.GlobalAveragePooling1D()(x))
    )


def normalised() -> Any:
    import keras
    from keras import layers

    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Normalization(mean=[120, 110, 100], variance=[900, 400, 100], name="norm")(image)
    return keras.Model(image, _gap_dense(_body(x)))


def called_sequential() -> Any:
    """Made without an input, and built by a first call on four photos."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            layers.Conv2D(4, 3, name="conv"),
            layers.ReLU(name="act"),
            layers.GlobalAveragePooling2D(name="average"),
            layers.Dense(3, "softmax", name="scores"),
        ]
    )
    model(np.zeros((4, SIZE, SIZE, 3), np.float32))
    return model


def wide() -> Any:
    return _model(_gap_dense, shape=(8, 14, 3))


def four_channels() -> Any:
    return _model(_gap_dense, shape=(SIZE, SIZE, 4))


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


# --- Channels first, each beside a twin with the same weights and channels last -----------------


def _residual(channels: str, name: str) -> Any:
    """A nested model, inside of which the layout must be worked out, too."""
    import keras
    from keras import layers

    axis = 1 if channels == "channels_first" else -1
    image = keras.Input((4, 6, 7) if axis == 1 else (6, 7, 4), name="inside")
    x = layers.BatchNormalization(axis=axis, name="norm")(image)
    x = layers.Conv2D(4, 3, padding="same", data_format=channels, name="conv")(x)
    return keras.Model(image, layers.ReLU(name="act")(x) + image, name=name)


def _sided(channels: str) -> Any:
    """Everything that treats maps: a nested block, a sum, a concatenation, poolings."""
    import keras
    from keras import layers

    axis = 1 if channels == "channels_first" else -1
    how = {"data_format": channels}
    # No width equals a number of filters: called directly, Keras 3.15 then misplaces biases.
    image = keras.Input((3, SIZE, 14) if axis == 1 else (SIZE, 14, 3), name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1", **how)(x)
    x = layers.MaxPooling2D(name="pool", **how)(x)
    x = _residual(channels, "block")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise", **how)(x)
    z = layers.SeparableConv2D(5, 3, padding="same", name="separable", **how)(x)
    x = layers.Concatenate(axis=axis, name="joined")([x, y, z])
    x = layers.UpSampling2D(name="larger", **how)(layers.Dropout(0.5, name="drop")(x))
    x = layers.Conv2DTranspose(5, 3, strides=2, name="transpose", **how)(x)
    return keras.Model(image, x), how


def _with_dense(channels: str) -> Any:
    import keras
    from keras import layers

    body, how = _sided(channels)
    x = layers.GlobalAveragePooling2D(name="average", **how)(body.output)
    return keras.Model(body.input, layers.Dense(3, "softmax", name="scores")(x))


def _with_maps(channels: str) -> Any:
    import keras
    from keras import layers

    body, how = _sided(channels)
    maps = layers.Conv2D(3, 1, name="class_maps", **how)(body.output)
    return keras.Model(body.input, maps)


def channels_first() -> Any:
    return _with_dense("channels_first")


def channels_last_twin() -> Any:
    return _with_dense("channels_last")


def channels_first_maps() -> Any:
    return _with_maps("channels_first")


def channels_last_maps_twin() -> Any:
    return _with_maps("channels_last")


def turned_inside() -> Any:
    """As converters write it: a photo with channels last is turned for layers with them first."""
    import keras
    from keras import layers

    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = layers.Permute((3, 1, 2), name="turned")(image)
    x = layers.Conv2D(4, 3, activation="relu", data_format="channels_first", name="conv")(x)
    x = layers.Permute((2, 3, 1), name="back")(x)
    return keras.Model(image, _gap_dense(layers.ReLU(name="act")(x)))


_CHANNEL_ORDERS = (
    channels_first,
    channels_last_twin,
    channels_first_maps,
    channels_last_maps_twin,
    turned_inside,
)

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
    one_unit_after_flatten,
    hidden_dense,
    rectified_scores,
    all_convolutional,
    softmax_convolution,
    averaged_class_maps,
    averaged_softmax_maps,
    logit_maps,
    softmax_maps,
    one_sigmoid_map,
    one_place,
    global_maximum,
    whole_pooling,
    mean_operation,
    several_outputs,
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
    brain_floats,
    attention,
    normalised,
    called_sequential,
    wide,
    four_channels,
    free_size,
    grey,
    convolutions,
)
BUILDERS = {builder.__name__: builder for builder in _BUILDERS}
CHANNEL_ORDERS = {builder.__name__: builder for builder in _CHANNEL_ORDERS}
NAMES = sorted(BUILDERS) + sorted(CHANNEL_ORDERS)

# Those that LiteRT cannot run, and the type of their convolutions.
HALF_PRECISION = {"brain_floats": "bfloat16", "mixed_precision": "float16"}

# Those that average maps straight into their logits: the class activation map exists.
AVERAGED = (
    "activation_layer",
    "all_convolutional",
    "augmented",
    "averaged_class_maps",
    "backbone_in_backbone",
    "brain_floats",
    "called_sequential",
    "convolutions",
    "dropouts_before_dense",
    "flat",
    "flattened_scores",
    "float32_tail",
    "four_channels",
    "free_size",
    "grey",
    "kept_axes",
    "linear_logits",
    "logit_maps",
    "many_sigmoids",
    "mean_operation",
    "mixed_precision",
    "named_output",
    "nested_functional",
    "nested_sequential",
    "normalised",
    "one_logit",
    "one_sigmoid",
    "rescaled",
    "reshaped_maps",
    "several_outputs",
    "shared_head",
    "shared_layer",
    "skip_connections",
    "softmax_convolution",
    "softmax_operation",
    "softmax_layer",
    "two_classes",
    "whole_pooling",
    "wide",
)

# Those that average the probabilities of cells: the map shows the logits before them.
AVERAGED_PROBABILITIES = ("averaged_softmax_maps", "one_sigmoid_map", "softmax_maps")


def fill(model: Any) -> Any:
    """Sets every weight from a fixed seed, large enough that no class and no map is constant."""
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
    units = [output.shape[-1] for output in model.outputs]
    if channels not in (1, 3, 4):
        height, width, channels = width, channels, height
        units = [output.shape[1] for output in model.outputs]
    # Of several outputs the second is the first that gives a row of scores.
    classes = max(units[len(units) // 2], 2)
    fields = {
        "title": "A tiny network",
        "description": "A network for tests.",
        "labels": list(LABELS[:classes]),
        "preprocessing": {
            "height": height or SIZE,
            "width": width or SIZE,
            "channels": channels,
            "scaling": (
                "none"
                if any(kind in str(model.get_config()) for kind in ("Rescaling", "'Normalization'"))
                else "unit"
            ),
        },
        "training": {"data": "none", "split": "none"},
        "licence": "MIT",
        "source": "built for tests",
    }
    return ModelCard.model_validate(fields | changes)


@functools.cache
def network(name: str) -> Any:
    """The filled network of a builder, built once in a process and shared: do not change it."""
    return fresh(name)


def fresh(name: str, **changes: Any) -> Any:
    """A filled network of a builder, with changes to its card."""
    import cnnviz

    model = fill({**BUILDERS, **CHANNEL_ORDERS}[name]())
    return cnnviz.network(model, make_card(model, **changes))
