"""One small network, written by hand as the files that Keras 3 and Keras 2 make of it.

No file here needs Keras: descriptions are dictionaries, weights are NumPy arrays, and
`answer` computes the network's output in NumPy. 8×8×3 pictures, a 3×3 convolution of 4 filters with
ReLU, the average over the picture, three classes with softmax.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Json = dict[str, Any]
Array = npt.NDArray[Any]

_random = np.random.default_rng(20)
KERNEL = _random.normal(size=(3, 3, 3, 4)).astype("float32")
BIAS = _random.normal(size=4).astype("float32")
DENSE = _random.normal(size=(4, 3)).astype("float32")
DENSE_BIAS = _random.normal(size=3).astype("float32")
PICTURES = _random.uniform(-1, 1, size=(2, 8, 8, 3)).astype("float32")

# The weights under the paths that each format has them at.
KERAS_WEIGHTS: dict[str, Array] = {
    "layers/conv2d/vars/0": KERNEL,
    "layers/conv2d/vars/1": BIAS,
    "layers/dense/vars/0": DENSE,
    "layers/dense/vars/1": DENSE_BIAS,
}
LISTED_WEIGHTS: dict[str, dict[str, Array]] = {
    "conv": {"conv/kernel:0": KERNEL, "conv/bias:0": BIAS},
    "average": {},
    "scores": {"scores/kernel:0": DENSE, "scores/bias:0": DENSE_BIAS},
}


def answer(pictures: Array = PICTURES, activation: Callable[[Array], Array] | None = None) -> Array:
    """What the network gives: (N, 8, 8, 3) to (N, 3) probabilities."""
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (3, 3), axis=(1, 2))
    maps = np.einsum("nyxcij,ijck->nyxk", windows, KERNEL) + BIAS
    maps = np.maximum(maps, 0) if activation is None else activation(maps)
    scores = maps.mean(axis=(1, 2)) @ DENSE + DENSE_BIAS
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


# --- Descriptions -----------------------------------------------------------------------------


def layer(kind: str, name: str, **settings: Any) -> Json:
    """A layer as Keras 3 describes it."""
    config = {"name": name, "trainable": True, "dtype": "float32", **settings}
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": config,
        "registered_name": None,
    }


def image_input(shape: tuple[int | None, ...] = (None, 8, 8, 3)) -> Json:
    described = layer("InputLayer", "image")
    described["config"] = {
        "batch_shape": list(shape),
        "dtype": "float32",
        "sparse": False,
        "name": "image",
    }
    return described


def convolution(name: str = "conv", **settings: Any) -> Json:
    return layer(
        "Conv2D",
        name,
        **{"filters": 4, "kernel_size": [3, 3], "activation": "relu", **settings},
    )


def scores(**settings: Any) -> Json:
    return layer("Dense", "scores", **{"units": 3, "activation": "softmax", **settings})


def average() -> Json:
    return layer("GlobalAveragePooling2D", "average")


def sequential(*layers: Json, name: str = "small") -> Json:
    """A Sequential; without layers, the whole small network."""
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {
            "name": name,
            "layers": list(layers or (image_input(), convolution(), average(), scores())),
        },
        "registered_name": None,
    }


def tensor(name: str, shape: list[int | None], call: int = 0) -> Json:
    """The output of a layer, as an argument of another one."""
    history = [name, call, 0]
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": shape, "dtype": "float32", "keras_history": history},
    }


def called(described: Json, *args: Any, **kwargs: Any) -> Json:
    """A layer of a functional model that is called once with these arguments."""
    calls = [{"args": list(args), "kwargs": kwargs}] if args else []
    return described | {"name": described["config"]["name"], "inbound_nodes": calls}


def functional(layers: list[Json], inputs: Any, outputs: Any, name: str = "small") -> Json:
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": name,
            "trainable": True,
            "layers": layers,
            "input_layers": inputs,
            "output_layers": outputs,
        },
        "registered_name": "Functional",
    }


def functional_network(*, middle: Json | None = None) -> Json:
    """The small network as a graph, with one more layer after the input if there is a `middle`."""
    pictures = tensor("image", [None, 8, 8, 3])
    layers = [called(image_input())]
    if middle is not None:
        layers.append(called(middle, pictures))
        pictures = tensor(middle["config"]["name"], [None, 8, 8, 3])
    layers += [
        called(convolution(), pictures),
        called(average(), tensor("conv", [None, 6, 6, 4])),
        called(scores(), tensor("average", [None, 4])),
    ]
    return functional(layers, ["image", 0, 0], ["scores", 0, 0])


def operation(module: str, kind: str, name: str, **settings: Any) -> Json:
    """An operation between layers, such as the one that ``x + 1`` adds to a graph."""
    return {
        "module": f"keras.src.ops.{module}",
        "class_name": kind,
        "config": {"name": name, **settings},
        "registered_name": kind,
    }


def keras_2(described: Json) -> Json:
    """The same layer as Keras 2 wrote it: without a module."""
    return {key: described[key] for key in described if key not in {"module", "registered_name"}}


def keras_2_sequential(layers: list[Json] | None = None) -> Json:
    """The small network as Keras 2 wrote it: the first layer has the shape."""
    if layers is None:
        first = convolution(batch_input_shape=[None, 8, 8, 3], data_format="channels_last")
        layers = [first, average(), scores()]
    config = {"name": "small", "layers": [keras_2(inner) for inner in layers]}
    return {"class_name": "Sequential", "config": config}


def keras_2_node(described: Json, *calls: Any) -> Json:
    """A layer of a functional model as Keras 2 wrote it."""
    return keras_2(described) | {"name": described["config"]["name"], "inbound_nodes": list(calls)}


def keras_2_function(name: str, function: str, *calls: Any) -> Json:
    """A TensorFlow function between the layers of a Keras 2 model."""
    return keras_2_node(layer("TFOpLambda", name, function=function), *calls)


def keras_2_functional(*nodes: Json, name: str = "small") -> Json:
    """A functional model as Keras 2 wrote it, from the first layer to the last."""
    first, last = nodes[0]["name"], nodes[-1]["name"]
    config = {
        "name": name,
        "layers": list(nodes),
        "input_layers": [[first, 0, 0]],
        "output_layers": [[last, 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def keras_2_functions() -> Json:
    """The small network after ``(x[..., ::-1] + x) / 255`` in terms of TensorFlow functions."""
    reverse = {
        "slice_spec": [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]
    }
    kind = {"class_name": "SlicingOpLambda"}
    return keras_2_functional(
        keras_2_node(image_input()),
        keras_2_function("cut", "__operators__.getitem", ["image", 0, 0, reverse]) | kind,
        keras_2_function("tf.add", "math.add", ["cut", 0, 0, {"y": ["image", 0, 0]}]),
        keras_2_function("tf/scale", "math.truediv", ["tf.add", 0, 0, {"y": 255.0}]),
        keras_2_node(convolution(activation="hard_sigmoid"), [["tf/scale", 0, 0, {}]]),
        keras_2_node(average(), [["conv", 0, 0, {}]]),
        keras_2_node(scores(), [["average", 0, 0, {}]]),
    )


def multi_gpu(inner: Json | None = None, cards: int = 2, extra: list[Json] | None = None) -> Json:
    """What Keras 2 saved for several cards: slices of the batch, the model, a layer that joins."""
    inner = inner or keras_2_sequential()
    image = keras_2(image_input()) | {"name": "image", "inbound_nodes": []}
    slices = [
        {
            "class_name": "Lambda",
            "name": f"lambda_{card}",
            "inbound_nodes": [[["image", 0, 0, {"i": card, "parts": cards}]]],
            "config": {
                "name": f"lambda_{card}",
                "trainable": True,
                # Where Keras 2 kept the program. These bytes are none.
                "function": ["4wEAAAAA", None, None],
                "function_type": "lambda",
                "arguments": {"i": card, "parts": cards},
            },
        }
        for card in range(cards)
    ]
    real = inner | {
        "name": "small",
        "inbound_nodes": [[[f"lambda_{card}", 0, 0, {}]] for card in range(cards)],
    }
    joined = {
        "class_name": "Concatenate",
        "name": "scores_all",
        "config": {"name": "scores_all", "trainable": True, "axis": 0},
        "inbound_nodes": [[["small", card + 1, 0, {}] for card in range(cards)]],
    }
    return {
        "class_name": "Model",
        "config": {
            "name": "model_1",
            "layers": [image, *slices, real, joined, *(extra or [])],
            "input_layers": [["image", 0, 0]],
            "output_layers": [["scores_all", 0, 0]],
        },
    }


# --- Files ------------------------------------------------------------------------------------


def hdf5(fill: Callable[[h5py.File], None], libver: Any = None) -> bytes:
    """The bytes of an HDF5 file that `fill` has written into."""
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=libver) as file:
        fill(file)
    return memory.getvalue()


def weights(arrays: Mapping[str, Array] = KERAS_WEIGHTS) -> bytes:
    """The weights of a ``.keras`` file."""

    def fill(file: h5py.File) -> None:
        for path, values in arrays.items():
            file[path] = values

    return hdf5(fill)


def keras_file(
    config: Json | str | bytes | None = None,
    arrays: bytes | None = None,
    *,
    compression: int = zipfile.ZIP_STORED,
    more: Mapping[str, bytes] | None = None,
    metadata: str = '{"keras_version": "3.15.1", "date_saved": "2025-01-01@00:00:00"}',
) -> bytes:
    """A ``.keras`` file; without arguments, of the small network."""
    config = sequential() if config is None else config
    text = json.dumps(config) if isinstance(config, dict) else config
    members = {
        "metadata.json": metadata,
        "config.json": text,
        "model.weights.h5": weights() if arrays is None else arrays,
        **(more or {}),
    }
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return memory.getvalue()


def hdf5_file(
    config: Json | str | None = None,
    listed: Mapping[str, Mapping[str, Array]] = LISTED_WEIGHTS,
    fill: Callable[[h5py.File], None] = lambda _: None,
    libver: Any = None,
) -> bytes:
    """A ``.h5`` file; without arguments, of the small network as Keras 2 wrote it."""
    config = keras_2_sequential() if config is None else config

    def write(file: h5py.File) -> None:
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        file.attrs["keras_version"] = np.bytes_("2.2.4")
        file.attrs["backend"] = np.bytes_("tensorflow")
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array(list(listed), dtype="S")
        for name, arrays in listed.items():
            inside = group.create_group(name)
            inside.attrs["weight_names"] = np.array(list(arrays), dtype="S") if arrays else []
            for path, values in arrays.items():
                inside[path] = values
        fill(file)

    return hdf5(write, libver)
