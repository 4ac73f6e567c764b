"""Write small Keras 2 model files together with what Keras 2 itself computes with them.

`tests/inspection/test_keras2_files.py` opens the files with Keras 3 and compares. Keras 2 is
`tf_keras`; its package asks for `tensorflow`, which must not be installed beside
`tensorflow-cpu`, so it goes into an environment of its own:

    python -m venv /tmp/venv-keras2
    /tmp/venv-keras2/bin/pip install tensorflow-cpu==2.21.0 h5py==3.14.0 numpy
    /tmp/venv-keras2/bin/pip install --no-deps tf_keras==2.21.0
    /tmp/venv-keras2/bin/python -m scripts.make_keras2_corpus

The result is three files in `tests/corpus/keras2`:

- `models.tar.xz`: each network as `NAME.h5` and as `NAME.keras`, where Keras 2 can save and load
  it. In one archive, because files of so few weights consist of the same text again and again.
- `arrays.npz`: the input arrays, and the outputs of the network that Keras 2 loaded again.
- `index.json`: the versions, and for each network its name, its group, its layers, its files, the
  names of its arrays, and whether it is a network that takes one picture and gives class scores.

Weights and inputs are random numbers with a seed made of the network's name.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import tempfile
import traceback
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# `tf.keras`, which a few layers of tf_keras use, is then Keras 2 as well.
os.environ["TF_USE_LEGACY_KERAS"] = "1"

import h5py
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras  # type: ignore[import-not-found]

from cnnviz.inspection import kinds

OUT = Path(__file__).resolve().parent.parent / "tests" / "corpus" / "keras2"
TOLERANCE = 1e-6
DATE = (2020, 1, 1, 0, 0, 0)

L = tf_keras.layers
Json = dict[str, Any]
Shape = tuple[int, ...]
Array = npt.NDArray[Any]
Model = Any
Tensor = Any

IMAGE = (6, 7, 4)
SEQUENCE = (7, 4)
VOLUME = (4, 5, 3, 2)


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


@dataclass(frozen=True)
class Case:
    """One network.

    Attributes:
        group: what the case is about.
        name: the name of its files.
        build: makes the network.
        values: the smallest and the largest value of the inputs.
        deviation: the standard deviation of the weights, so small that the scores for pictures of
            0 to 255 are not all 0 and 1.
        edit: changes the description of the saved network, to make it one of an older version.
        attributes: texts of the `.h5` file that are replaced, such as its version.
        formats: the formats to save.
        picture: whether the network takes one picture and gives class scores.
    """

    group: str
    name: str
    build: Callable[[], Model]
    values: tuple[float, float] = (-3, 3)
    deviation: float = 0.4
    edit: Callable[[Json], None] | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    formats: tuple[str, ...] = ("h5", "keras")
    picture: bool = False


def of_layer(layer: Callable[[], Any], *shapes: tuple[int | None, ...]) -> Model:
    """A network of one layer, with one input for each shape."""
    inputs = [tf_keras.Input(shape) for shape in shapes]
    return with_weights(inputs, layer()(inputs if len(inputs) > 1 else inputs[0]))


def with_weights(inputs: list[Tensor], outputs: Any) -> Model:
    """A network; one without weights, which is not opened, gets a second output that has some."""
    model = tf_keras.Model(inputs, outputs)
    if not model.weights:
        model = tf_keras.Model(inputs, [outputs, L.Dense(1, name="weights")(inputs[0])])
    return model


def built(model: Model, shape: tuple[int, ...] = (8, 8, 3)) -> Model:
    """A Sequential that begins with another model, with its weights."""
    model.build((None, *shape))
    return model


def of_function(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Model:
    """A network of TensorFlow functions, with one input for each shape."""
    inputs = [tf_keras.Input(shape) for shape in shapes]
    return with_weights(inputs, function(*inputs))


def picture_network(
    middle: Callable[[Tensor], Tensor], shape: tuple[int, ...] = (8, 8, 3)
) -> Model:
    """A small network for pictures with something in the middle."""
    image = tf_keras.Input(shape, name="image")
    maps = L.Conv2D(4, 3, activation="relu", name="conv")(image)
    maps = middle(maps)
    maps = L.GlobalAveragePooling2D(name="average")(maps)
    return tf_keras.Model(image, L.Dense(3, activation="softmax", name="scores")(maps))


def preprocessing_network(first: Callable[[Tensor], Tensor]) -> Model:
    """A small network for pictures of 0 to 255 that scales them itself."""
    image = tf_keras.Input((8, 8, 3), name="image")
    maps = first(image)
    maps = L.Conv2D(4, 3, activation="relu", name="conv")(maps)
    maps = L.GlobalAveragePooling2D(name="average")(maps)
    return tf_keras.Model(image, L.Dense(3, activation="softmax", name="scores")(maps))


# --- One layer --------------------------------------------------------------------------------

_CONVOLUTION: list[Json] = [
    {},
    {"padding": "same"},
    {"strides": 2},
    {"strides": 2, "padding": "same"},
    {"dilation_rate": 2, "kernel_size": 2},
    {"dilation_rate": 2, "padding": "same"},
    {"use_bias": False},
    {"activation": "relu"},
    {"data_format": "channels_first"},
]
_POOLING: list[Json] = [
    {},
    {"padding": "same"},
    {"pool_size": 3, "strides": 1},
    {"pool_size": 3, "strides": 2, "padding": "same"},
    {"data_format": "channels_first"},
]
_DROPOUT: list[Json] = [{"rate": 0.5}, {"rate": 0.5, "trainable": False}]
_LAST: list[Json] = [{}, {"data_format": "channels_first"}]
_RECURRENT: list[Json] = [
    {"units": 3},
    {"units": 3, "return_sequences": True},
    {"units": 3, "go_backwards": True, "return_sequences": True},
    {"units": 3, "use_bias": False},
    {"units": 3, "activation": "relu"},
    {"units": 3, "unroll": True},
    {"units": 3, "stateful": False, "dropout": 0.2, "recurrent_dropout": 0.2},
]
_CONV_LSTM: list[Json] = [
    {"filters": 2, "kernel_size": 2, "recurrent_activation": "sigmoid"},
    {
        "filters": 2,
        "kernel_size": 2,
        "recurrent_activation": "sigmoid",
        "padding": "same",
        "strides": 1,
        "return_sequences": True,
        "go_backwards": True,
    },
    {
        "filters": 2,
        "kernel_size": 2,
        "recurrent_activation": "sigmoid",
        "activation": "relu",
        "dilation_rate": 2,
        "use_bias": False,
    },
]


def _with(settings: list[Json], **more: Any) -> list[Json]:
    """Every entry with more settings, which the entry itself may change."""
    return [more | entry for entry in settings]


# The kind of a layer, its input, and the settings to try.
_TABLE: list[tuple[str, Shape, list[Any]]] = [
    (
        "Dense",
        (5,),
        [{"units": 3}, {"units": 3, "use_bias": False}, {"units": 3, "activation": "relu"}],
    ),
    ("EinsumDense", (5,), [{"equation": "ab,bc->ac", "output_shape": 3}]),
    (
        "EinsumDense",
        SEQUENCE,
        [
            {"equation": "abc,cde->abde", "output_shape": (None, 3, 2), "bias_axes": "de"},
            {"equation": "...x,xy->...y", "output_shape": 5, "activation": "relu"},
        ],
    ),
    ("Identity", IMAGE, [{}]),
    ("Masking", SEQUENCE, [{}, {"mask_value": 1.0}]),
    (
        "Conv1D",
        (9, 4),
        [
            *_with(_CONVOLUTION, filters=6, kernel_size=3),
            {"filters": 6, "kernel_size": 3, "groups": 2},
            {"filters": 6, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
        ],
    ),
    (
        "Conv2D",
        (7, 8, 4),
        [
            *_with(_CONVOLUTION, filters=6, kernel_size=3),
            {"filters": 6, "kernel_size": 3, "groups": 2},
            {"filters": 6, "kernel_size": (3, 2), "strides": (1, 2), "padding": "same"},
        ],
    ),
    ("Conv3D", (6, 5, 5, 2), _with(_CONVOLUTION, filters=2, kernel_size=2)),
    (
        "Conv1DTranspose",
        (5, 4),
        [
            *_with(_CONVOLUTION, filters=6, kernel_size=3),
            {"filters": 6, "kernel_size": 3, "strides": 2, "output_padding": 1},
            {"filters": 5, "kernel_size": 3, "data_format": "channels_first"},
        ],
    ),
    (
        "Conv2DTranspose",
        (4, 5, 4),
        [
            *_with(_CONVOLUTION, filters=6, kernel_size=3),
            {"filters": 6, "kernel_size": 3, "strides": 2, "output_padding": 1, "padding": "same"},
            {"filters": 6, "kernel_size": 4, "strides": 2, "padding": "same"},
            {"filters": 6, "kernel_size": 2, "strides": 3},
            {"filters": 5, "kernel_size": 3, "data_format": "channels_first"},
        ],
    ),
    (
        "Conv3DTranspose",
        (2, 3, 2, 2),
        [
            entry
            for entry in _with(_CONVOLUTION, filters=2, kernel_size=2)
            if "dilation_rate" not in entry
        ],
    ),
    (
        "DepthwiseConv1D",
        (9, 4),
        [*_with(_CONVOLUTION, kernel_size=3), {"kernel_size": 3, "depth_multiplier": 2}],
    ),
    (
        "DepthwiseConv2D",
        (7, 8, 4),
        [*_with(_CONVOLUTION, kernel_size=3), {"kernel_size": 3, "depth_multiplier": 2}],
    ),
    (
        "SeparableConv1D",
        (9, 4),
        [
            *_with(_CONVOLUTION, filters=6, kernel_size=3),
            {"filters": 6, "kernel_size": 3, "depth_multiplier": 2},
        ],
    ),
    (
        "SeparableConv2D",
        (7, 8, 4),
        [
            *_with(_CONVOLUTION, filters=6, kernel_size=3),
            {"filters": 6, "kernel_size": 3, "depth_multiplier": 2},
        ],
    ),
    *(
        (f"{kind}Pooling{rank}D", shape, _POOLING)
        for kind in ("Max", "Average")
        for rank, shape in ((1, SEQUENCE), (2, IMAGE), (3, (4, 5, 4, 2)))
    ),
    *(
        (f"Global{kind}Pooling{rank}D", shape, [*_LAST, {"keepdims": True}])
        for kind in ("Max", "Average")
        for rank, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME))
    ),
    ("Flatten", (3, 2, 4), _LAST),
    ("Reshape", (3, 2, 4), [{"target_shape": (6, 4)}, {"target_shape": (-1, 2)}]),
    ("Permute", (3, 2, 4), [{"dims": (3, 1, 2)}]),
    ("RepeatVector", (5,), [{"n": 3}]),
    ("Cropping1D", SEQUENCE, [{}, {"cropping": (1, 2)}]),
    ("Cropping2D", IMAGE, [{"cropping": 1}, {"cropping": ((1, 2), (0, 1))}]),
    ("Cropping2D", IMAGE, [{"cropping": 1, "data_format": "channels_first"}]),
    ("Cropping3D", VOLUME, [{}, {"cropping": ((1, 2), (0, 1), (1, 0))}]),
    ("ZeroPadding1D", SEQUENCE, [{}, {"padding": (1, 2)}]),
    (
        "ZeroPadding2D",
        IMAGE,
        [{}, {"padding": ((1, 2), (0, 1))}, {"data_format": "channels_first"}],
    ),
    ("ZeroPadding3D", VOLUME, [{}, {"padding": ((1, 2), (0, 1), (1, 0))}]),
    ("UpSampling1D", SEQUENCE, [{}, {"size": 3}]),
    (
        "UpSampling2D",
        (3, 4, 2),
        [{}, {"size": (2, 3)}, {"data_format": "channels_first"}]
        + [
            {"interpolation": kind}
            for kind in (
                "bilinear",
                "bicubic",
                "lanczos3",
                "lanczos5",
                "area",
                "gaussian",
                "mitchellcubic",
            )
        ],
    ),
    ("UpSampling3D", (2, 3, 2, 2), [{}, {"size": (1, 2, 3)}]),
    (
        "BatchNormalization",
        IMAGE,
        [
            {},
            {"epsilon": 0.1},
            {"scale": False},
            {"center": False},
            {"scale": False, "center": False},
            {"axis": 1},
            {"momentum": 0.5, "trainable": False},
            {"renorm": True},
            {"fused": False},
        ],
    ),
    ("BatchNormalization", (5,), [{}]),
    ("BatchNormalization", SEQUENCE, [{}]),
    ("BatchNormalization", VOLUME, [{}]),
    ("GroupNormalization", IMAGE, [{"groups": 2}, {"groups": 1}, {"groups": -1, "epsilon": 0.1}]),
    ("GroupNormalization", IMAGE, [{"groups": 2, "scale": False}, {"groups": 3, "axis": 1}]),
    (
        "LayerNormalization",
        IMAGE,
        [
            {},
            {"epsilon": 0.1},
            {"axis": [1, 2, 3]},
            {"axis": 2},
            {"scale": False},
            {"center": False},
        ],
    ),
    ("UnitNormalization", IMAGE, [{}, {"axis": 1}, {"axis": [1, 2]}]),
    (
        "ReLU",
        IMAGE,
        [
            {},
            {"max_value": 1.5},
            {"negative_slope": 0.1},
            {"threshold": 0.5},
            {"max_value": 2.0, "negative_slope": 0.2, "threshold": 1.0},
        ],
    ),
    ("LeakyReLU", IMAGE, [{}, {"alpha": 0.1}]),
    ("PReLU", IMAGE, [{}, {"shared_axes": [1, 2]}]),
    ("ELU", IMAGE, [{}, {"alpha": 0.5}]),
    ("Softmax", IMAGE, [{}, {"axis": 1}, {"axis": [1, 2]}]),
    ("ThresholdedReLU", IMAGE, [{}, {"theta": 0.5}]),
    ("Dropout", IMAGE, [*_DROPOUT, {"rate": 0.5, "noise_shape": (None, 1, 1, 4), "seed": 3}]),
    ("SpatialDropout1D", SEQUENCE, _DROPOUT),
    ("SpatialDropout2D", IMAGE, [*_DROPOUT, {"rate": 0.5, "data_format": "channels_first"}]),
    ("SpatialDropout3D", VOLUME, _DROPOUT),
    ("AlphaDropout", IMAGE, [*_DROPOUT, {"rate": 0.5, "noise_shape": (None, 1, 1, 4)}]),
    ("GaussianDropout", IMAGE, _DROPOUT),
    ("GaussianNoise", IMAGE, [{"stddev": 0.5}]),
    ("ActivityRegularization", IMAGE, [{"l1": 0.5, "l2": 0.1}]),
    ("SimpleRNN", SEQUENCE, _RECURRENT),
    ("LSTM", SEQUENCE, [*_RECURRENT, {"units": 3, "unit_forget_bias": False, "implementation": 1}]),
    ("GRU", SEQUENCE, [*_RECURRENT, {"units": 3, "reset_after": False}]),
    ("ConvLSTM1D", (3, 5, 2), _CONV_LSTM),
    ("ConvLSTM2D", (3, 5, 4, 2), _CONV_LSTM),
    ("ConvLSTM2D", (3, 2, 5, 4), _with(_CONV_LSTM[:1], data_format="channels_first")),
    ("ConvLSTM3D", (3, 4, 4, 3, 2), _CONV_LSTM[:2]),
    (
        "Rescaling",
        IMAGE,
        [
            {"scale": 1 / 255},
            {"scale": 1 / 127.5, "offset": -1},
            {"scale": [0.5, 1.0, 2.0, 3.0], "offset": [1.0, 2.0, 3.0, 4.0]},
        ],
    ),
    (
        "Normalization",
        IMAGE,
        [
            {"mean": [1.0, 2.0, 3.0, 4.0], "variance": [1.0, 2.0, 3.0, 4.0]},
            {"mean": 2.0, "variance": 4.0, "axis": None},
            {"mean": [1.0, 2.0, 3.0, 4.0], "variance": [1.0, 2.0, 3.0, 4.0], "invert": True},
            {"axis": -1},
            {"axis": None},
        ],
    ),
    (
        "Resizing",
        (6, 7, 2),
        [
            {"height": 4, "width": 9, "interpolation": kind}
            for kind in (
                "bilinear",
                "nearest",
                "bicubic",
                "area",
                "lanczos3",
                "lanczos5",
                "gaussian",
                "mitchellcubic",
            )
        ]
        + [{"height": 4, "width": 4, "crop_to_aspect_ratio": True}],
    ),
    (
        "CenterCrop",
        IMAGE,
        [{"height": 4, "width": 4}, {"height": 3, "width": 4}, {"height": 9, "width": 8}],
    ),
    (
        "RandomCrop",
        IMAGE,
        [{"height": 4, "width": 4}, {"height": 6, "width": 7}, {"height": 9, "width": 8}],
    ),
    ("RandomBrightness", IMAGE, [{"factor": 0.5}, {"factor": 0.5, "value_range": (0.0, 1.0)}]),
    ("RandomContrast", IMAGE, [{"factor": 0.5}, {"factor": (0.2, 0.4)}]),
    ("RandomFlip", IMAGE, [{}, {"mode": "horizontal", "seed": 4}]),
    ("RandomRotation", IMAGE, [{"factor": 0.5}, {"factor": (-0.2, 0.3), "fill_mode": "nearest"}]),
    ("RandomTranslation", IMAGE, [{"height_factor": 0.5, "width_factor": 0.5}]),
    (
        "RandomZoom",
        IMAGE,
        [{"height_factor": 0.5}, {"height_factor": 0.5, "width_factor": (-0.3, 0.3)}],
    ),
    ("RandomHeight", IMAGE, [{"factor": 0.5}]),
    ("RandomWidth", IMAGE, [{"factor": 0.5}]),
]

# Layers of several inputs.
_MERGING: list[tuple[str, Any, list[Any]]] = [
    *(
        (kind, [IMAGE, IMAGE, IMAGE], [{}])
        for kind in ("Add", "Average", "Maximum", "Minimum", "Multiply")
    ),
    *((kind, [IMAGE, (1, 1, 4)], [{}]) for kind in ("Add", "Average", "Maximum", "Multiply")),
    ("Subtract", [IMAGE, IMAGE], [{}]),
    ("Concatenate", [IMAGE, IMAGE], [{}, {"axis": 1}, {"axis": -2}]),
    ("Dot", [(5, 4), (3, 4)], [{"axes": 2}, {"axes": (2, 2), "normalize": True}]),
    ("Dot", [(4,), (4,)], [{"axes": 1}, {"axes": -1, "normalize": True}]),
    (
        "Attention",
        [(5, 4), (3, 4)],
        [{}, {"use_scale": True}, {"score_mode": "concat"}, {"dropout": 0.2}],
    ),
    ("AdditiveAttention", [(5, 4), (3, 4)], [{}, {"use_scale": False}]),
]


def _title(settings: Json) -> str:
    """Settings as a part of a name."""
    text = "_".join(f"{name}={value}" for name, value in settings.items())
    return "".join(sign if sign.isalnum() or sign in "=._-" else "" for sign in text)


def _layer_cases() -> Iterator[Case]:
    for kind, shape, entries in _TABLE:
        for settings in entries:
            name = "-".join(filter(None, [kind, "x".join(map(str, shape)), _title(settings)]))
            yield Case(
                "layer",
                name,
                lambda kind=kind, shape=shape, settings=settings: of_layer(  # type: ignore[misc]
                    lambda: getattr(L, kind)(**settings), shape
                ),
            )
    for kind, shapes, entries in _MERGING:
        for settings in entries:
            sizes = "-".join("x".join(map(str, shape)) for shape in shapes)
            name = "-".join(filter(None, [kind, sizes, _title(settings)]))
            yield Case(
                "layer",
                name,
                lambda kind=kind, shapes=shapes, settings=settings: of_layer(  # type: ignore[misc]
                    lambda: getattr(L, kind)(**settings), *shapes
                ),
            )
    yield from _single_layer_cases()


def _single_layer_cases() -> Iterator[Case]:
    """Layers that wrap another one, and those that are called in a way of their own."""

    def one(name: str, build: Callable[[], Model], **more: Any) -> Case:
        return Case("layer", name, build, **more)

    yield one("Embedding", lambda: of_layer(lambda: L.Embedding(6, 3), (5,)), values=(0, 5))
    yield one(
        "Embedding-input_length",
        lambda: of_layer(lambda: L.Embedding(6, 3, input_length=5, mask_zero=True), (5,)),
        values=(0, 5),
    )
    yield one(
        "SpectralNormalization-Conv2D",
        lambda: of_layer(
            lambda: L.SpectralNormalization(L.Conv2D(3, 3), power_iterations=2), IMAGE
        ),
    )
    yield one(
        "TimeDistributed-Dense", lambda: of_layer(lambda: L.TimeDistributed(L.Dense(3)), SEQUENCE)
    )
    yield one(
        "TimeDistributed-Conv2D",
        lambda: of_layer(lambda: L.TimeDistributed(L.Conv2D(3, 3, activation="relu")), (2, *IMAGE)),
    )
    for mode in ("concat", "sum", "ave", "mul"):
        yield one(
            f"Bidirectional-LSTM-{mode}",
            lambda mode=mode: of_layer(  # type: ignore[misc]
                lambda: L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=mode), SEQUENCE
            ),
        )
    yield one(
        "Bidirectional-GRU-backward_layer",
        lambda: of_layer(
            lambda: L.Bidirectional(
                L.GRU(3), backward_layer=L.GRU(3, activation="relu", go_backwards=True)
            ),
            SEQUENCE,
        ),
    )
    yield one(
        "Masking-LSTM", lambda: tf_keras.Sequential([L.Input(SEQUENCE), L.Masking(), L.LSTM(3)])
    )
    for title, settings in {
        "plain": {},
        "value_dim": {"value_dim": 3, "output_shape": 5, "use_bias": False},
        "dropout": {"dropout": 0.2},
    }.items():
        yield one(
            f"MultiHeadAttention-{title}",
            lambda settings=settings: of_function(  # type: ignore[misc]
                lambda x: L.MultiHeadAttention(num_heads=2, key_dim=3, **settings)(x, x), SEQUENCE
            ),
        )
    yield one(
        "MultiHeadAttention-keys",
        lambda: of_function(
            lambda x, y, z: L.MultiHeadAttention(num_heads=2, key_dim=3)(x, value=y, key=z),
            SEQUENCE,
            (5, 3),
            (5, 2),
        ),
    )
    yield one(
        "MultiHeadAttention-axes",
        lambda: of_function(
            lambda x: L.MultiHeadAttention(num_heads=2, key_dim=3, attention_axes=(1, 2))(x, x),
            (3, 4, 2),
        ),
    )
    # Keras 2 stores the number of groups of a transposed convolution, and computes with one.
    yield one(
        "Conv2DTranspose-groups=2",
        lambda: of_layer(lambda: L.Conv2DTranspose(6, 3, groups=2), (4, 5, 4)),
    )
    yield one(
        "SyncBatchNormalization",
        lambda: of_layer(lambda: tf_keras.layers.experimental.SyncBatchNormalization(), IMAGE),
    )
    yield one(
        "BatchNormalization-synchronized",
        lambda: of_layer(lambda: L.BatchNormalization(synchronized=True), IMAGE),
    )
    yield one("Permute-free-size", lambda: of_layer(lambda: L.Permute((2, 1, 3)), (None, None, 4)))


# --- Activations ------------------------------------------------------------------------------

ACTIVATIONS = words(
    "elu exponential gelu hard_sigmoid leaky_relu linear log_softmax mish relu relu6 selu sigmoid "
    "silu softmax softplus softsign swish tanh"
)
TF_ACTIVATIONS = words(
    "relu relu6 elu selu softmax softplus softsign sigmoid tanh swish leaky_relu gelu"
)


def _activation_cases() -> Iterator[Case]:
    for name in ACTIVATIONS:
        layers: dict[str, tuple[Callable[[str], Any], tuple[int, ...]]] = {
            "Conv2D": (lambda name: L.Conv2D(4, 3, activation=name), IMAGE),
            "Dense": (lambda name: L.Dense(4, activation=name), (5,)),
            "Activation": (lambda name: L.Activation(name), IMAGE),
        }
        for kind, (layer, shape) in layers.items():
            yield Case(
                "hard_sigmoid" if name == "hard_sigmoid" else "activation",
                f"{kind}-{name}",
                lambda layer=layer, shape=shape, name=name: of_layer(  # type: ignore[misc]
                    lambda: layer(name), shape
                ),
            )
    for name in TF_ACTIVATIONS:
        yield Case(
            "activation",
            f"Conv2D-tf.nn.{name}",
            lambda name=name: of_layer(  # type: ignore[misc]
                lambda: L.Conv2D(4, 3, activation=getattr(tf.nn, name)), IMAGE
            ),
        )
    for kind in ("LeakyReLU", "PReLU", "ELU", "ReLU", "Softmax", "ThresholdedReLU"):
        yield Case(
            "activation",
            f"Conv2D-layer-{kind}",
            lambda kind=kind: of_layer(  # type: ignore[misc]
                lambda: L.Conv2D(4, 3, activation=getattr(L, kind)()), IMAGE
            ),
        )


def _hard_sigmoid_cases() -> Iterator[Case]:
    name = "hard_sigmoid"
    layers: list[tuple[str, Callable[[], Any], tuple[int, ...]]] = [
        ("Conv1D", lambda: L.Conv1D(3, 3, activation=name), SEQUENCE),
        ("Conv3D", lambda: L.Conv3D(3, 2, activation=name), VOLUME),
        ("Conv2DTranspose", lambda: L.Conv2DTranspose(3, 3, activation=name), IMAGE),
        ("DepthwiseConv2D", lambda: L.DepthwiseConv2D(3, activation=name), IMAGE),
        ("SeparableConv2D", lambda: L.SeparableConv2D(3, 3, activation=name), IMAGE),
        (
            "EinsumDense",
            lambda: L.EinsumDense("ab,bc->ac", output_shape=3, activation=name),
            (5,),
        ),
        ("SimpleRNN", lambda: L.SimpleRNN(3, activation=name), SEQUENCE),
        ("LSTM", lambda: L.LSTM(3, recurrent_activation=name), SEQUENCE),
        ("LSTM-both", lambda: L.LSTM(3, activation=name, recurrent_activation=name), SEQUENCE),
        ("GRU", lambda: L.GRU(3, recurrent_activation=name), SEQUENCE),
        ("ConvLSTM1D", lambda: L.ConvLSTM1D(2, 2), (3, 5, 2)),
        ("ConvLSTM2D", lambda: L.ConvLSTM2D(2, 2), (3, 5, 4, 2)),
        ("ConvLSTM3D", lambda: L.ConvLSTM3D(2, 2), (3, 4, 4, 3, 2)),
        ("TimeDistributed", lambda: L.TimeDistributed(L.Dense(3, activation=name)), SEQUENCE),
        ("Bidirectional", lambda: L.Bidirectional(L.LSTM(3, recurrent_activation=name)), SEQUENCE),
        (
            "nested-Sequential",
            lambda: tf_keras.Sequential([L.Conv2D(3, 3, activation=name), L.Activation(name)]),
            IMAGE,
        ),
        (
            "nested-functional",
            lambda: of_layer(lambda: L.Conv2D(3, 3, activation=name), IMAGE),
            IMAGE,
        ),
    ]
    for title, layer, shape in layers:
        yield Case(
            name,
            f"{name}-{title}",
            lambda layer=layer, shape=shape: of_layer(layer, shape),  # type: ignore[misc]
        )
    yield Case(
        name,
        f"{name}-picture",
        lambda: picture_network(lambda x: L.Multiply()([x, L.Activation(name)(x)])),
        picture=True,
    )
    yield Case(
        name,
        f"{name}-picture-scores",
        lambda: tf_keras.Sequential(
            [
                L.Input((8, 8, 3)),
                L.Conv2D(4, 3, activation=name),
                L.Flatten(),
                L.Dense(3, activation=name),
            ]
        ),
        picture=True,
    )


# --- Operations between layers ----------------------------------------------------------------


def _operation_cases() -> Iterator[Case]:
    mean = np.array([1.0, 2.0, 3.0, 4.0], "float32")
    unary: dict[str, Callable[[Tensor], Any]] = {
        "divide-255": lambda x: x / 255.0,
        "multiply-constant": lambda x: x * (1 / 255.0),
        "constant-multiply": lambda x: (1 / 255.0) * x,
        "subtract-constant": lambda x: x - 127.5,
        "constant-subtract": lambda x: 1.0 - x,
        "constant-divide": lambda x: 2.0 / (x + 9.0),
        "add-constant": lambda x: x + 1,
        "subtract-array": lambda x: x - mean,
        "subtract-tensor": lambda x: x - tf.constant(mean),
        "divide-array": lambda x: x / mean,
        "multiply-array": lambda x: x * mean,
        "subtract-list": lambda x: x - [1.0, 2.0, 3.0, 4.0],
        "power": lambda x: x**2,
        "negative": lambda x: -x,
        "absolute": abs,
        "floor-divide": lambda x: x // 2,
        "modulo": lambda x: x % 2,
        "slice-reverse": lambda x: x[..., ::-1],
        "slice-crop": lambda x: x[:, 1:-1, 1:-1],
        "slice-stride": lambda x: x[:, ::2, ::2, :],
        "slice-channel": lambda x: x[..., 0],
        "slice-channels": lambda x: x[..., 0:2],
        "slice-first": lambda x: x[:, 0],
        "slice-newaxis": lambda x: x[..., tf.newaxis],
        "math.add": lambda x: tf.math.add(x, 2.0),
        "math.subtract": lambda x: tf.math.subtract(x, 2.0),
        "math.multiply": lambda x: tf.math.multiply(x, 2.0),
        "math.divide": lambda x: tf.math.divide(x, 2.0),
        "math.truediv": lambda x: tf.math.truediv(x, 2.0),
        "math.divide_no_nan": lambda x: tf.math.divide_no_nan(x, 2.0),
        "math.maximum": lambda x: tf.math.maximum(x, 0.5),
        "math.minimum": lambda x: tf.math.minimum(x, 0.5),
        "math.pow": lambda x: tf.math.pow(tf.math.abs(x), 1.5),
        "math.abs": tf.math.abs,
        "math.square": tf.math.square,
        "math.sqrt": lambda x: tf.math.sqrt(tf.math.abs(x)),
        "math.rsqrt": lambda x: tf.math.rsqrt(tf.math.abs(x) + 1.0),
        "math.exp": tf.math.exp,
        "math.log": lambda x: tf.math.log(tf.math.abs(x) + 1.0),
        "math.sin": tf.math.sin,
        "math.cos": tf.math.cos,
        "math.sign": tf.math.sign,
        "math.floor": tf.math.floor,
        "math.ceil": tf.math.ceil,
        "math.round": tf.math.round,
        "math.negative": tf.math.negative,
        "math.reciprocal": lambda x: tf.math.reciprocal(x + 9.0),
        "math.tanh": tf.math.tanh,
        "math.sigmoid": tf.math.sigmoid,
        "math.softplus": tf.math.softplus,
        "math.erf": tf.math.erf,
        "math.l2_normalize": lambda x: tf.math.l2_normalize(x, axis=-1),
        "math.reduce_mean": lambda x: tf.math.reduce_mean(x, axis=[1, 2]),
        "math.reduce_mean-keepdims": lambda x: tf.math.reduce_mean(x, axis=-1, keepdims=True),
        "math.reduce_sum": lambda x: tf.math.reduce_sum(x, axis=-1),
        "math.reduce_max": lambda x: tf.math.reduce_max(x, axis=[1, 2]),
        "math.reduce_min": lambda x: tf.math.reduce_min(x, axis=1),
        "math.reduce_std": lambda x: tf.math.reduce_std(x, axis=1),
        "math.reduce_variance": lambda x: tf.math.reduce_variance(x, axis=1),
        "math.argmax": lambda x: tf.math.argmax(x, axis=-1),
        "nn.relu": tf.nn.relu,
        "nn.relu6": tf.nn.relu6,
        "nn.leaky_relu": tf.nn.leaky_relu,
        "nn.leaky_relu-alpha": lambda x: tf.nn.leaky_relu(x, alpha=0.1),
        "nn.elu": tf.nn.elu,
        "nn.selu": tf.nn.selu,
        "nn.gelu": tf.nn.gelu,
        "nn.gelu-approximate": lambda x: tf.nn.gelu(x, approximate=True),
        "nn.silu": tf.nn.silu,
        "nn.swish": tf.nn.swish,
        "nn.softmax": tf.nn.softmax,
        "nn.softmax-axis": lambda x: tf.nn.softmax(x, axis=1),
        "nn.log_softmax": tf.nn.log_softmax,
        "nn.softsign": tf.nn.softsign,
        "nn.bias_add": lambda x: tf.nn.bias_add(x, mean),
        "nn.avg_pool2d": lambda x: tf.nn.avg_pool2d(x, 2, 2, "VALID"),
        "nn.max_pool2d": lambda x: tf.nn.max_pool2d(x, 2, 2, "SAME"),
        "nn.depth_to_space": lambda x: tf.nn.depth_to_space(x, 2),
        "nn.space_to_depth": lambda x: tf.nn.space_to_depth(x[:, :, :6], 2),
        "reshape": lambda x: tf.reshape(x, [-1, 42, 4]),
        "transpose": lambda x: tf.transpose(x, [0, 3, 1, 2]),
        "expand_dims": lambda x: tf.expand_dims(x, -1),
        "squeeze": lambda x: tf.squeeze(x[:, :1], axis=1),
        "cast": lambda x: tf.cast(x, "float32"),
        "cast-float16": lambda x: tf.cast(tf.cast(x, tf.float16), tf.float32),
        "clip_by_value": lambda x: tf.clip_by_value(x, -1.0, 1.0),
        "pad": lambda x: tf.pad(x, [[0, 0], [1, 1], [2, 0], [0, 0]]),
        "pad-reflect": lambda x: tf.pad(x, [[0, 0], [1, 1], [2, 0], [0, 0]], "REFLECT"),
        "reverse": lambda x: tf.reverse(x, [-1]),
        "identity": tf.identity,
        "stop_gradient": tf.stop_gradient,
        "zeros_like": tf.zeros_like,
        "tile": lambda x: tf.tile(x, [1, 2, 1, 1]),
        "image.resize": lambda x: tf.image.resize(x, [4, 9]),
        "image.resize-nearest": lambda x: tf.image.resize(x, [12, 14], method="nearest"),
        "split": lambda x: tf.split(x, 2, axis=-1),
        "unstack": lambda x: tf.unstack(x, axis=-1),
        "backend.bias_add": lambda x: tf_keras.backend.bias_add(x, tf.constant(mean)),
        "backend.mean": lambda x: tf_keras.backend.mean(x, axis=[1, 2]),
        "backend.relu": lambda x: tf_keras.backend.relu(x, max_value=1.5),
        "backend.clip": lambda x: tf_keras.backend.clip(x, 0.0, 1.0),
        "backend.concatenate": lambda x: tf_keras.backend.concatenate([x, x], axis=-1),
        "activations.hard_sigmoid": tf_keras.activations.hard_sigmoid,
        "activations.relu": lambda x: tf_keras.activations.relu(x, alpha=0.1),
        "activations.swish": tf_keras.activations.swish,
        "activations.softmax": tf_keras.activations.softmax,
        "relu6-plus-3": lambda x: L.ReLU(6.0)(x + 3.0) * (1.0 / 6.0),
        "same-operation-twice": lambda x: (x + 1.0) * (x + 2.0),
        "slice-middle": lambda x: x[:, ..., 1:],
        "slice-last-ellipsis": lambda x: x[:, 1, ...],
        "slice-of-slice": lambda x: x[..., ::-1][..., 0],
        "slice-of-sum": lambda x: (x + mean)[..., 1],
        "math.divide_no_nan-zero": lambda x: tf.math.divide_no_nan(x, tf.nn.relu(x)),
        "math.floordiv": lambda x: tf.math.floordiv(x, 0.7),
        "math.log1p": lambda x: tf.math.log1p(tf.math.abs(x)),
        "math.l2_normalize-epsilon": lambda x: tf.math.l2_normalize(x, axis=-1, epsilon=9.0),
        "math.reduce_prod": lambda x: tf.math.reduce_prod(x, axis=-1),
        "math.reduce_max-all": tf.math.reduce_max,
        "math.argmax-default": lambda x: x + tf.cast(tf.math.argmax(x), tf.float32),
        "math.greater": lambda x: tf.cast(x > 0.5, tf.float32),
        "math.greater_equal": lambda x: tf.cast(x >= 0.5, tf.float32),
        "math.less": lambda x: tf.cast(x < 0.5, tf.float32),
        "math.less_equal": lambda x: tf.cast(tf.math.less_equal(x, 0.5), tf.float32),
        "where": lambda x: tf.where(x > 0.0, x, 0.1 * x),
        "nn.avg_pool2d-same": lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME"),
        "nn.max_pool2d-lists": lambda x: tf.nn.max_pool2d(x, [1, 2, 3, 1], [1, 2, 1, 1], "VALID"),
        "squeeze-list": lambda x: tf.squeeze(x[:, :1], axis=[1]),
        "pad-symmetric": lambda x: tf.pad(x, [[0, 0], [1, 1], [2, 0], [0, 0]], "SYMMETRIC"),
        "ones_like": tf.ones_like,
        "gather": lambda x: tf.gather(x, [2, 1, 0], axis=-1),
        "image.resize-antialias": lambda x: tf.image.resize(x, [3, 4], "bicubic", antialias=True),
        "image.rgb_to_grayscale": lambda x: tf.image.rgb_to_grayscale(x[..., :3]),
        "split-sizes": lambda x: tf.split(x, [1, 3], axis=-1),
        "multiply-integers": lambda x: tf.cast(tf.cast(x, tf.int32) * 3, tf.float32),
    }
    for title, function in unary.items():
        yield Case(
            "operation",
            f"op-{title}",
            lambda function=function: of_function(function, IMAGE),  # type: ignore[misc]
        )
    binary: dict[str, Callable[[Tensor, Tensor], Any]] = {
        "add": lambda x, y: x + y,
        "subtract": lambda x, y: x - y,
        "multiply": lambda x, y: x * y,
        "divide": lambda x, y: x / (abs(y) + 1.0),
        "power": lambda x, y: abs(x) ** y,
        "math.add_n": lambda x, y: tf.math.add_n([x, y]),
        "math.maximum": tf.math.maximum,
        "math.multiply-keywords": lambda x, y: tf.math.multiply(x=x, y=y),
        "concat": lambda x, y: tf.concat([x, y], axis=-1),
        "stack": lambda x, y: tf.stack([x, y], axis=1),
        "matmul": lambda x, y: tf.matmul(x, y, transpose_b=True),
        "matmul-plain": lambda x, y: tf.matmul(x, tf.transpose(y, [0, 1, 3, 2])),
        "matmul-transpose-a": lambda x, y: tf.matmul(x, y, transpose_a=True),
        "squared_difference": tf.math.squared_difference,
        "tensordot": lambda x, y: tf.tensordot(x, y, axes=[[3], [3]]),
    }
    for title, function2 in binary.items():
        yield Case(
            "operation",
            f"op2-{title}",
            lambda function2=function2: of_function(function2, IMAGE, IMAGE),  # type: ignore[misc]
        )
    yield Case(
        "operation", "op2-broadcast", lambda: of_function(lambda x, y: x * y, IMAGE, (1, 1, 4))
    )
    pictures: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": tf.nn.relu,
        "swish": lambda x: x * tf.nn.sigmoid(x),
        "residual": lambda x: x + L.Conv2D(4, 3, padding="same", name="conv2")(x),
        "squeeze": lambda x: x * tf.math.reduce_mean(x, axis=[1, 2], keepdims=True),
        "slices": lambda x: tf.concat([x[..., :2] * 2.0, x[..., 2:]], axis=-1),
    }
    for title, middle in pictures.items():
        yield Case(
            "operation",
            f"op-picture-{title}",
            lambda middle=middle: picture_network(middle),  # type: ignore[misc]
            picture=True,
        )


def _preprocessing_cases() -> Iterator[Case]:
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        f"preprocess_input-{name}": getattr(tf_keras.applications, name).preprocess_input
        for name in words(
            "mobilenet mobilenet_v2 mobilenet_v3 inception_v3 inception_resnet_v2 xception resnet "
            "resnet50 resnet_v2 resnet_rs vgg16 vgg19 densenet nasnet efficientnet "
            "efficientnet_v2 convnext regnet imagenet_utils"
        )
    }
    functions |= {
        f"scaling-{title}": function
        for title, function in {
            "divide": lambda x: x / 255.0,
            "multiply": lambda x: x * (1 / 255.0),
            "minus-one-to-one": lambda x: x / 127.5 - 1.0,
            "minus-one-to-one-2": lambda x: (x - 127.5) / 127.5,
            "minus-one-to-one-3": lambda x: x * (2 / 255.0) - 1,
            "mean": lambda x: x - np.array([123.68, 116.78, 103.94], "float32"),
            "mean-and-deviation": lambda x: (
                (x / 255.0 - np.array([0.485, 0.456, 0.406], "float32"))
                / np.array([0.229, 0.224, 0.225], "float32")
            ),
            "cast": lambda x: tf.cast(x, tf.float32) / 255.0,
            "Rescaling": L.Rescaling(1 / 255),
        }.items()
    }
    for title, function in functions.items():
        yield Case(
            "preprocessing",
            title,
            lambda function=function: preprocessing_network(function),  # type: ignore[misc]
            values=(0, 255),
            deviation=0.05,
            picture=True,
        )


# --- Names and older versions -----------------------------------------------------------------


def _slash_names() -> Model:
    image = tf_keras.Input((8, 8, 3), name="image")
    maps = L.Conv2D(4, 3, use_bias=False, name="conv1/conv")(image)
    maps = L.BatchNormalization(name="conv1/bn")(maps)
    maps = L.Activation("relu", name="conv1/relu")(maps)
    maps = L.GlobalAveragePooling2D(name="average")(maps)
    return tf_keras.Model(image, L.Dense(3, activation="softmax", name="top/scores")(maps))


def _slash_collisions() -> Model:
    image = tf_keras.Input((8, 8, 3), name="in/put")
    left = L.Conv2D(4, 3, activation="relu", name="a/b")(image)
    right = L.Conv2D(4, 3, activation="relu", name="a_b")(image)
    other = L.Conv2D(4, 3, activation="relu", name="a_b_1")(image)
    maps = L.Add(name="a/b/c")([left, right, other])
    maps = L.Conv2D(4, 3, activation="relu", name="a_b_2")(maps)
    maps = L.GlobalAveragePooling2D(name="c")(maps)
    return tf_keras.Model(image, L.Dense(3, activation="softmax", name="out/put")(maps))


def _slash_prefix() -> Model:
    """Names that an `.h5` file of Keras 2 cannot hold at once."""
    image = tf_keras.Input((8, 8, 3), name="image")
    maps = L.Conv2D(4, 3, activation="relu", name="a/b")(image)
    maps = L.Conv2D(4, 3, activation="relu", name="a")(maps)
    maps = L.GlobalAveragePooling2D(name="a//b")(maps)
    return tf_keras.Model(image, L.Dense(3, activation="softmax", name="out/put/")(maps))


def _slash_nested() -> Model:
    inner = tf_keras.Sequential(
        [
            L.Input((8, 8, 3)),
            L.Conv2D(4, 3, name="block/conv"),
            L.BatchNormalization(name="block/bn"),
        ],
        name="back/bone",
    )
    return built(
        tf_keras.Sequential(
            [inner, L.GlobalAveragePooling2D(name="top/average"), L.Dense(3, name="top/scores")]
        )
    )


def _slash_functional_nested() -> Model:
    outer_image = tf_keras.Input((8, 8, 3), name="outer/image")
    maps = _slash_names()(outer_image)
    return tf_keras.Model(outer_image, L.Dense(3, activation="softmax", name="last/scores")(maps))


def _old_input(config: Json) -> None:
    """A Sequential as TF 1.13 to 2.1 wrote it: the first layer tells the shape."""
    first, second, *rest = config["config"]["layers"]
    second["config"] = {"batch_input_shape": first["config"]["batch_input_shape"]} | second[
        "config"
    ]
    config["config"]["layers"] = [second, *rest]


def _rename_kind(old: str, new: str) -> Callable[[Json], None]:
    """Gives the layers of one kind another class name, and an axis in a list, at every depth."""

    def edit(config: Json) -> None:
        for layer in _layers_of(config):
            if layer["class_name"] == old:
                layer["class_name"] = new
                if isinstance(layer["config"].get("axis"), int):
                    layer["config"]["axis"] = [layer["config"]["axis"]]

    return edit


def _layers_of(config: Json) -> Iterator[Json]:
    for layer in config["config"]["layers"]:
        yield layer
        if "layers" in layer["config"]:
            yield from _layers_of(layer)


def _both(*edits: Callable[[Json], None]) -> Callable[[Json], None]:
    def edit(config: Json) -> None:
        for one in edits:
            one(config)

    return edit


def _normalised() -> Model:
    return tf_keras.Sequential(
        [
            L.Input((8, 8, 3)),
            L.Conv2D(4, 3, name="conv"),
            L.BatchNormalization(name="bn"),
            L.ReLU(name="relu"),
            L.GlobalAveragePooling2D(name="average"),
            L.Dense(3, activation="softmax", name="scores"),
        ]
    )


def _version_cases() -> Iterator[Case]:
    for name, build in {
        "slash": _slash_names,
        "slash-collisions": _slash_collisions,
        "slash-nested": _slash_nested,
        "slash-functional-nested": _slash_functional_nested,
    }.items():
        yield Case("slash-name", name, build, picture=True)
    yield Case("slash-name", "slash-prefix", _slash_prefix, formats=("keras",), picture=True)
    for kind in ("BatchNormalizationV1", "BatchNormalizationV2"):
        rename = _rename_kind("BatchNormalization", kind)
        old = (("keras_version", "2.2.4-tf"),)
        yield Case(
            "class-name",
            kind,
            _normalised,
            edit=_both(rename, _old_input),
            attributes=old,
            formats=("h5",),
            picture=True,
        )
        yield Case(
            "class-name",
            f"{kind}-nested",
            lambda: built(tf_keras.Sequential([_normalised(), L.Dense(3, name="last")])),
            edit=rename,
            attributes=old,
            formats=("h5",),
            picture=True,
        )
    yield Case(
        "class-name",
        "hard_sigmoid-tf1",
        lambda: tf_keras.Sequential(
            [L.Input((8, 8, 3)), L.Conv2D(4, 3, activation="hard_sigmoid"), L.Flatten(), L.Dense(3)]
        ),
        edit=_old_input,
        attributes=(("keras_version", "2.2.4"),),
        formats=("h5",),
        picture=True,
    )


# --- Whole networks ---------------------------------------------------------------------------


def _teachable_machine() -> Model:
    """Nested as Teachable Machine exports it."""
    image = tf_keras.Input((12, 12, 3), name="input_1")
    maps = L.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="Conv1")(image)
    maps = L.BatchNormalization(name="bn_Conv1")(maps)
    maps = L.ReLU(6.0, name="Conv1_relu")(maps)
    more = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="block_1_depthwise")(maps)
    maps = L.Add(name="block_1_add")([maps, more])
    mobilenet = tf_keras.Model(image, maps, name="model1")
    features = tf_keras.Sequential(
        [
            mobilenet,
            L.GlobalAveragePooling2D(name="global_average_pooling2d_GlobalAveragePooling2D1"),
        ],
        name="sequential_1",
    )
    head = tf_keras.Sequential(
        [
            L.Dense(5, activation="relu", input_shape=(4,), name="dense_Dense1"),
            L.Dense(2, activation="softmax", use_bias=False, name="dense_Dense2"),
        ],
        name="sequential_3",
    )
    return built(tf_keras.Sequential([features, head], name="sequential_4"), (12, 12, 3))


def _transfer_learning() -> Model:
    """As TensorFlow's tutorial on transfer learning builds it, with a small base."""
    augmentation = tf_keras.Sequential([L.RandomFlip("horizontal"), L.RandomRotation(0.2)])
    base_image = tf_keras.Input((12, 12, 3))
    maps = L.Conv2D(4, 3, strides=2, use_bias=False)(base_image)
    maps = L.ReLU(6.0)(L.BatchNormalization()(maps))
    base = tf_keras.Model(base_image, maps, name="mobilenetv2_small")
    base.trainable = False
    inputs = tf_keras.Input(shape=(12, 12, 3))
    x = augmentation(inputs)
    x = tf_keras.applications.mobilenet_v2.preprocess_input(x)
    x = base(x, training=False)
    x = L.GlobalAveragePooling2D()(x)
    x = L.Dropout(0.2)(x)
    return tf_keras.Model(inputs, L.Dense(1, activation="sigmoid")(x))


def _shared_backbone() -> Model:
    backbone = tf_keras.Sequential([L.Input((8, 8, 3)), L.Conv2D(4, 3), L.ReLU()], name="backbone")
    image = tf_keras.Input((8, 8, 3))
    pair = [backbone(image), backbone(L.Permute((2, 1, 3))(image))]
    maps = L.GlobalAveragePooling2D()(L.Average()(pair))
    return tf_keras.Model(image, L.Dense(3)(maps))


def _operations_nested() -> Model:
    inner_image = tf_keras.Input((8, 8, 3))
    inner = tf_keras.Model(inner_image, L.Conv2D(4, 3)(inner_image / 127.5 - 1.0), name="inner")
    image = tf_keras.Input((8, 8, 3))
    maps = tf.nn.relu(inner(image)) * 2.0
    return tf_keras.Model(image, L.Dense(3)(tf.math.reduce_mean(maps, axis=[1, 2])))


def _operations_nested_twice() -> Model:
    """A model with TensorFlow functions that is called twice, in the middle and at the end."""
    inner_image = tf_keras.Input((8, 8, 3))
    maps = L.Conv2D(3, 3, padding="same")(inner_image[..., ::-1] / 127.5 - 1.0)
    inner = tf_keras.Model(inner_image, maps, name="inner")
    image = tf_keras.Input((8, 8, 3))
    return tf_keras.Model(image, L.Dense(3)(L.Flatten()(inner(tf.nn.relu(inner(image))))))


def _mobilenet_v3() -> Model:
    return tf_keras.applications.MobileNetV3Small(
        (32, 32, 3), alpha=0.1, weights=None, classes=3, dropout_rate=0
    )


def _network_cases() -> Iterator[Case]:
    whole: dict[str, tuple[Callable[[], Model], tuple[float, float]]] = {
        "teachable-machine": (_teachable_machine, (-1, 1)),
        "transfer-learning": (_transfer_learning, (0, 255)),
        "shared-backbone": (_shared_backbone, (0, 1)),
        "operations-nested": (_operations_nested, (0, 255)),
        "operations-nested-twice": (_operations_nested_twice, (0, 255)),
        "MobileNetV3Small": (_mobilenet_v3, (0, 255)),
        "vision-transformer": (_attention, (0, 1)),
    }
    for title, (build, values) in whole.items():
        yield Case("network", title, build, values=values, picture=True)


def _attention() -> Model:
    image = tf_keras.Input((8, 8, 3))
    tokens = L.Reshape((16, 5))(L.Conv2D(5, 2, strides=2)(image))
    tokens = L.LayerNormalization(epsilon=1e-6)(tokens)
    tokens = L.Add()([tokens, L.MultiHeadAttention(2, 3)(tokens, tokens)])
    scores = L.Dense(3, activation="softmax")(L.GlobalAveragePooling1D()(tokens))
    return tf_keras.Model(image, scores)


def cases() -> list[Case]:
    """Every case; no two of one name."""
    listed = [
        *_layer_cases(),
        *_activation_cases(),
        *_hard_sigmoid_cases(),
        *_operation_cases(),
        *_preprocessing_cases(),
        *_version_cases(),
        *_network_cases(),
    ]
    if len({case.name for case in listed}) < len(listed):
        raise ValueError("Two cases have the same name.")
    return listed


# --- Weights, inputs and outputs --------------------------------------------------------------


def _random(text: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(text.encode()))


def fill_weights(model: Model, name: str, deviation: float) -> None:
    """Gives the model random weights; variances are positive, whole numbers stay."""
    random = _random(name)
    for variable in model.weights:
        if "float" not in variable.dtype.name:
            continue
        if "variance" in variable.name or "stddev" in variable.name:
            values = random.uniform(0.5, 1.5, variable.shape)
        else:
            values = random.normal(0, deviation, variable.shape)
        variable.assign(values.astype(variable.dtype.name))
    for layer in model._flatten_layers():
        # A normalisation computes with a copy of its mean and its variance.
        if isinstance(layer, L.Normalization) and layer.input_mean is None:
            layer.finalize_state()


def input_arrays(case: Case, model: Model) -> list[Array]:
    """Two samples for each input of the model."""
    arrays: list[Array] = []
    for tensor in model.inputs:
        shape = [size or 5 for size in tensor.shape[1:]]
        random = _random(f"{shape}{case.values}{len(arrays)}")
        low, high = case.values
        if case.values == (0, 5):
            arrays.append(random.integers(0, 6, (2, *shape)).astype("float32"))
        else:
            arrays.append(random.uniform(low, high, (2, *shape)).astype("float32"))
    return arrays


def predict(model: Model, inputs: list[Any]) -> list[Array]:
    """The outputs of a model as a flat list of float32 arrays."""
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    return [np.asarray(output, "float32") for output in tf.nest.flatten(outputs)]


# --- Files ------------------------------------------------------------------------------------


def save(case: Case, model: Model, suffix: str, folder: Path) -> Path:
    """Saves a model with Keras 2 and edits the description."""
    path = folder / f"model.{suffix}"
    model.save(path)
    if suffix == "h5":
        _edit_hdf5(case, path)
    else:
        _edit_archive(case, path)
    return path


def _edit_hdf5(case: Case, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        if case.edit:
            config = json.loads(file.attrs["model_config"])
            case.edit(config)
            file.attrs["model_config"] = json.dumps(config).encode()
        for name, text in case.attributes:
            file.attrs[name] = text.encode()


def _edit_archive(case: Case, path: Path) -> None:
    """Edits the description, and replaces the dates, so that each run writes the same bytes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config, metadata = (json.loads(members[name]) for name in ("config.json", "metadata.json"))
    if case.edit:
        case.edit(config)
    _renumber_shared(config, {})
    metadata["date_saved"] = "2020-01-01@00:00:00"
    members |= {
        "config.json": json.dumps(config).encode(),
        "metadata.json": json.dumps(metadata).encode(),
    }
    _write_zip(path, members, zipfile.ZIP_STORED)


def _renumber_shared(value: Any, numbers: dict[int, int]) -> None:
    """Replaces the numbers of shared objects, which are addresses in memory, by 1, 2, …"""
    if isinstance(value, dict):
        if "shared_object_id" in value:
            number = value["shared_object_id"]
            value["shared_object_id"] = numbers.setdefault(number, len(numbers) + 1)
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            _renumber_shared(inner, numbers)


def _write_zip(path: Path, members: dict[str, bytes], compression: int) -> None:
    with zipfile.ZipFile(path, "w", compression, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), content, compression)


def make(case: Case, folder: Path) -> tuple[Json, dict[str, bytes], list[Any], list[Any]]:
    """The case's entry in the index, its files, its inputs and its outputs."""
    tf_keras.backend.clear_session()
    model = case.build()
    fill_weights(model, case.name, case.deviation)
    inputs = input_arrays(case, model)
    outputs = predict(model, inputs)
    files: dict[str, bytes] = {}
    unsaved = {}
    for suffix in case.formats:
        try:
            path = save(case, model, suffix, folder)
            tf_keras.backend.clear_session()
            # Keras 2 left this layer out of the list of those that it finds by name.
            own = {"SpectralNormalization": L.SpectralNormalization}
            again = tf_keras.models.load_model(path, own, compile=False)
            loaded = predict(again, inputs)
            for expected, output in zip(outputs, loaded, strict=True):
                np.testing.assert_allclose(output, expected, rtol=TOLERANCE, atol=TOLERANCE)
            files[f"{case.name}.{suffix}"] = path.read_bytes()
        except Exception as error:  # noqa: BLE001 - Keras 2 raises anything
            unsaved[suffix] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:150]}"
    layers = sorted(
        {type(layer).__name__ for layer in model._flatten_layers(include_self=False)}
        - {"InputLayer"}
    )
    entry = {
        "name": case.name,
        "group": case.group,
        "picture": case.picture,
        "layers": layers,
        "files": list(files),
    }
    if unsaved:
        entry["unsaved"] = unsaved
    return entry, files, inputs, outputs


def main(only: str = "") -> None:
    """Writes the corpus; with a text, only tries the cases that have it in their name."""
    entries, failed = [], 0
    files: dict[str, bytes] = {}
    arrays: dict[str, Array] = {}
    names: dict[bytes, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in cases():
            if only not in case.name:
                continue
            try:
                entry, written, inputs, outputs = make(case, Path(folder))
            except Exception:  # noqa: BLE001 - a case that Keras 2 cannot run is left out
                failed += 1
                print(
                    case.name,
                    "CANNOT BE MADE:",
                    traceback.format_exc().strip().splitlines()[-1][:200],
                )
                continue
            if not written:
                failed += 1
                print(case.name, "NO FILE:", entry["unsaved"])
                continue
            if "unsaved" in entry:
                print(case.name, entry["unsaved"])
            for array in inputs:
                names.setdefault(array.tobytes() + str(array.shape).encode(), f"input{len(names)}")
            keys = [names[array.tobytes() + str(array.shape).encode()] for array in inputs]
            entry["inputs"], entry["outputs"] = (
                keys,
                [f"{case.name}/{i}" for i in range(len(outputs))],
            )
            arrays |= dict(zip(keys, inputs, strict=True))
            arrays |= dict(zip(entry["outputs"], outputs, strict=True))
            files |= written
            entries.append(entry)
    covered = {kind for entry in entries for kind in entry["layers"]}
    missing = [
        kind for kind in kinds.LAYERS if hasattr(L, kind) and kind not in covered | {"InputLayer"}
    ]
    print(f"{len(entries)} networks, {len(files)} files, {failed} left out; not covered: {missing}")
    if only:
        return
    OUT.mkdir(exist_ok=True)
    versions = {
        "tf_keras": tf_keras.__version__,
        "tensorflow": tf.__version__,
        "h5py": h5py.__version__,
    }
    with tarfile.open(OUT / "models.tar.xz", "w:xz", preset=9) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    members = {}
    for name, array in arrays.items():
        memory = io.BytesIO()
        np.save(memory, array)
        members[f"{name}.npy"] = memory.getvalue()
    _write_zip(OUT / "arrays.npz", members, zipfile.ZIP_DEFLATED)
    lines = ",\n  ".join(json.dumps(entry) for entry in entries)
    index = f'{{"versions": {json.dumps(versions)},\n "networks": [\n  {lines}\n]}}\n'
    (OUT / "index.json").write_text(index)


if __name__ == "__main__":
    main(*sys.argv[1:])
