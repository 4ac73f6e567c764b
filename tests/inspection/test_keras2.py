"""Descriptions of Keras 2 models, rewritten as Keras 3 writes them.

`test_keras2_files.py` holds the result to the outputs that Keras 2 computes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import models
from corpus import networks as n

from cnnviz.errors import RefusedModelError
from cnnviz.inspection import configs, gate, hdf5_models, keras2, kinds

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ELLIPSIS = {"class_name": "__ellipsis__"}


def levelled(description: n.Json) -> n.Json:
    """The settings of the model, levelled and checked."""
    result, _ = keras2.level(description, "2.15.0", hdf5=True)
    config: n.Json = configs.clean_model(result, configs.Walk(legacy=True))["config"]
    return config


def settings_of(described: n.Json) -> tuple[str, n.Json]:
    """The class and the settings of one layer, levelled and checked."""
    _, layer = levelled(n.keras_2_sequential([n.image_input(), described]))["layers"]
    return layer["class_name"], layer["config"]


def tensor(name: str, call: int = 0, output: int = 0) -> n.Json:
    """A tensor among the arguments of a call, as Keras 3 writes it."""
    config = {"shape": [], "dtype": "float32", "keras_history": [name, call, output]}
    return {"class_name": "__keras_tensor__", "config": config}


def constant(value: Any, dtype: str = "float32") -> n.Json:
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype}}


def part(start: int | None = None, stop: int | None = None, step: int | None = None) -> n.Json:
    """A slice, as Keras 3 writes it."""
    return {"class_name": "__slice__", "config": {"start": start, "stop": stop, "step": step}}


# --- Layers -------------------------------------------------------------------------------------


def test_hard_sigmoid_keeps_the_formula_of_keras_2_wherever_it_is() -> None:
    function = {"class_name": "function", "config": "hard_sigmoid", "registered_name": None}
    lstm = n.layer("LSTM", "lstm", units=2, recurrent_activation="hard_sigmoid")
    both = n.layer("Bidirectional", "both", layer=lstm, backward_layer=lstm)
    inside = n.sequential(n.layer("TimeDistributed", "each", layer=both), name="inside")
    layers = levelled(
        n.keras_2_sequential(
            [
                n.image_input(),
                n.convolution(activation="hard_sigmoid"),
                inside,
                n.layer("Activation", "last", activation=function),
            ]
        )
    )["layers"]
    both = layers[2]["config"]["layers"][0]["config"]["layer"]["config"]
    assert [layers[1]["config"]["activation"], layers[3]["config"]["activation"]] == [
        kinds.HARD_SIGMOID
    ] * 2
    for direction in ("layer", "backward_layer"):
        assert both[direction]["config"]["recurrent_activation"] == kinds.HARD_SIGMOID


@pytest.mark.parametrize(("version", "module"), [("3.0.0", None), ("", "keras"), ("10.1", None)])
def test_a_description_of_keras_3_stays_as_it_is(version: str, module: str | None) -> None:
    description = n.keras_2_sequential([n.convolution(activation="hard_sigmoid", name="a/b")])
    if module:
        description["module"] = module
    result, done = keras2.level(description, version, hdf5=True)
    assert result is description
    assert done == ()


def test_a_file_without_a_version_is_levelled_if_its_layers_name_no_module() -> None:
    _, done = keras2.level(n.keras_2_sequential([n.convolution(name="a/b")]), "", hdf5=True)
    assert done == ("Each slash in the name of a layer became an underscore.",)


@pytest.mark.parametrize(
    ("kind", "settings", "new_kind", "new_settings"),
    [
        ("ThresholdedReLU", {"theta": 0.5}, "ReLU", {"threshold": 0.5}),
        ("LeakyReLU", {"alpha": 0.1}, "LeakyReLU", {"negative_slope": 0.1}),
        ("LeakyReLU", {"alpha": {"type": "ndarray", "value": 0.1}}, "LeakyReLU", None),
        ("ReLU", {"max_value": {"type": "ndarray", "value": 6.0}}, "ReLU", {"max_value": 6.0}),
        ("BatchNormalizationV1", {"axis": [3]}, "BatchNormalization", {"axis": 3}),
        ("SyncBatchNormalization", {"axis": 3}, "BatchNormalization", {"axis": 3}),
        ("RandomHeight", {"factor": 0.1, "seed": 3}, "Identity", {}),
        (
            "RandomCrop",
            {"height": 5, "width": 6, "seed": None},
            "Resizing",
            {"height": 5, "width": 6, "crop_to_aspect_ratio": True},
        ),
        # Before Keras 2 had the setting, it computed as with False.
        ("GRU", {"units": 2}, "GRU", {"units": 2, "reset_after": False}),
        ("GRU", {"units": 2, "reset_after": True}, "GRU", {"units": 2, "reset_after": True}),
        ("Conv2DTranspose", {"filters": 2, "groups": 1}, "Conv2DTranspose", {"filters": 2}),
        ("ConvLSTM2D", {"filters": 2, "time_major": False}, "ConvLSTM2D", {"filters": 2}),
        ("Embedding", {"input_dim": 3, "input_length": 5}, "Embedding", {"input_dim": 3}),
    ],
)
def test_layers_of_keras_2(
    kind: str, settings: n.Json, new_kind: str, new_settings: n.Json | None
) -> None:
    if new_settings is None:
        new_settings = {"negative_slope": 0.1}
    given_kind, given = settings_of(n.layer(kind, "x", **settings))
    for name in ("name", "trainable", "dtype"):
        del given[name]
    assert (given_kind, given) == (new_kind, new_settings)


def test_weights_of_synchronised_normalisation_are_found_by_order_alone() -> None:
    described = n.keras_2_sequential([n.layer("SyncBatchNormalization", "x")])
    result, _ = keras2.level(described, "2.15.0", hdf5=False)
    assert result["config"]["layers"][0]["class_name"] == "SyncBatchNormalization"


def test_what_was_changed_is_in_the_inspection(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(n.hdf5_file(n.keras_2_functions(), n.LISTED_WEIGHTS))
    assert gate.inspect_model(path).levelled == (
        "Each slash in the name of a layer became an underscore.",
        "tf.__operators__.getitem became the operation GetItem.",
        "tf.math.add became the operation Add.",
        "tf.math.truediv became the operation TrueDivide.",
        "hard_sigmoid is computed as Keras 2 does: clip(0.2 x + 0.5, 0, 1).",
    )
    path.write_bytes(n.keras_file())
    assert gate.inspect_model(path).levelled == ()


def test_the_input_layer_that_keras_2_left_out_gets_a_free_name() -> None:
    first = n.layer("Conv2D", "input_layer", filters=1, batch_input_shape=[None, 8, 8, 3])
    layers = levelled(n.keras_2_sequential([first]))["layers"]
    assert [layer["config"]["name"] for layer in layers] == ["input_layer_1", "input_layer"]
    assert layers[0]["config"]["batch_shape"] == [None, 8, 8, 3]


# --- Names --------------------------------------------------------------------------------------


def test_names_with_a_slash_stay_different() -> None:
    nodes = [n.layer("Identity", name) for name in ("a/b", "a_b", "a//b", "a_b_1", "a/b/", "/a/b")]
    layers = levelled(n.keras_2_sequential([n.image_input(), *nodes]))["layers"][1:]
    names = [layer["config"]["name"] for layer in layers]
    assert names == ["a_b_2", "a_b", "a__b", "a_b_1", "a_b_", "_a_b"]


def test_a_graph_is_connected_by_the_new_names() -> None:
    config = levelled(
        n.keras_2_functional(
            n.keras_2_node(n.layer("InputLayer", "in/put", batch_input_shape=[None, 8, 8, 3])),
            n.keras_2_node(n.layer("Identity", "in_put"), [["in/put", 0, 0, {}]]),
            n.keras_2_node(n.layer("Identity", "out/put"), [["in_put", 0, 0, {}]]),
        )
    )
    assert [layer["name"] for layer in config["layers"]] == ["in_put_1", "in_put", "out_put"]
    assert config["layers"][1]["inbound_nodes"][0]["args"] == [tensor("in_put_1")]
    assert (config["input_layers"], config["output_layers"]) == (
        ["in_put_1", 0, 0],
        ["out_put", 0, 0],
    )


def test_many_names_that_become_the_same_take_no_time() -> None:
    names = ["/".join(["x"] * 16)] + [
        "".join(f"x{'/_'[number >> bit & 1]}" for bit in range(15)) + "x"
        for number in range(1, 2**15)
    ]
    nodes = [n.layer("Identity", name) for name in names]
    before = time.perf_counter()
    result, _ = keras2.level(n.keras_2_sequential(nodes), "2.0", hdf5=True)
    assert time.perf_counter() - before < 2
    assert len({layer["config"]["name"] for layer in result["config"]["layers"]}) == 2**15


def test_weights_inside_a_multi_gpu_file_are_found_by_names_with_a_slash() -> None:
    inner = [n.layer("Dense", name) for name in ("a", "a/b", "b/c")]
    names = ["a/kernel:0", "a/b/kernel:0", "b/c/kernel:0"]
    paths = tuple(f"model_weights/small/{name}" for name in names)
    found = hdf5_models.inner_listing(n.keras_2_sequential(inner), {"small": paths})
    assert found == dict(zip(("a", "a/b", "b/c"), [(path,) for path in paths], strict=True))


def test_a_multi_gpu_file_with_slashes_gives_its_weights(tmp_path: Path) -> None:
    inner = n.keras_2_sequential(
        [n.convolution(name="conv/1", batch_input_shape=[None, 8, 8, 3]), n.average(), n.scores()]
    )
    arrays = {
        name.replace("conv/", "conv/1/"): values
        for name, values in models.multi_gpu_weights()["small"].items()
    }
    path = tmp_path / "model.h5"
    path.write_bytes(
        n.hdf5_file(n.multi_gpu(inner), models.multi_gpu_weights() | {"small": arrays})
    )
    inspection = gate.inspect_inner_model(path)
    assert [len(paths) for paths in inspection.arrays.values()] == [2, 0, 2]
    names = [layer["config"]["name"] for layer in inspection.config["config"]["layers"]]
    assert names == ["input_layer", "conv_1", "average", "scores"]


# --- Calls --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "args", "kwargs"),
    [
        ([["image", 0, 0, {}]], [tensor("image")], {}),
        ([["image", 0, 0]], [tensor("image")], {}),
        ([["image", 0, 0, {"training": False}]], [tensor("image")], {"training": False}),
        (
            [["image", 0, 0, {}], ["other", 0, 1, {}]],
            [[tensor("image"), tensor("other", 0, 1)]],
            {},
        ),
        (
            [["image", 0, 0, {"value": ["other", 0, 0], "more": {"k": [["image", 0, 0]]}}]],
            [tensor("image")],
            {"value": tensor("other"), "more": {"k": [tensor("image")]}},
        ),
        (["image", 0, 0, {}], [tensor("image")], {}),
        (
            ["_CONSTANT_VALUE", -1, [1.0, 2.0], {"y": ["image", 0, 0]}],
            [constant([1.0, 2.0])],
            {"y": tensor("image")},
        ),
        ({"args": [tensor("image")], "kwargs": {}}, [tensor("image")], {}),
    ],
)
def test_a_call_of_keras_2(call: Any, args: list[Any], kwargs: n.Json) -> None:
    config = levelled(
        n.keras_2_functional(
            n.keras_2_node(n.image_input()),
            n.keras_2_node(n.layer("LSTM", "other")),
            n.keras_2_node(n.layer("Identity", "same"), call),
        )
    )
    assert config["layers"][2]["inbound_nodes"] == [{"args": args, "kwargs": kwargs}]


def test_a_nested_model_of_keras_2_counts_its_calls_from_1() -> None:
    """Two calls of one nested model, in the middle and as the output of the whole."""
    image = n.keras_2_node(n.image_input())
    inner = n.functional([image], [["image", 0, 0]], [["image", 0, 0]], name="inner")
    outer = n.keras_2_functional(
        image,
        n.keras_2_node(inner, [["image", 0, 0, {}]], [["middle", 0, 0, {}]]),
        n.keras_2_node(n.layer("Identity", "middle"), [["inner", 1, 0, {}]]),
    )
    outer["config"]["output_layers"] = [["inner", 2, 0]]
    clean = levelled(outer)
    assert clean["layers"][2]["inbound_nodes"] == [{"args": [tensor("inner")], "kwargs": {}}]
    # Keras 3 itself takes one off for an output that is a functional model.
    assert clean["output_layers"] == ["inner", 2, 0]
    assert clean["input_layers"] == ["image", 0, 0]


# --- TensorFlow functions -----------------------------------------------------------------------


def function_model(function: str, source: Any, settings: n.Json) -> n.Json:
    """A model of one function of a picture."""
    call = ["image", 0, 0, settings] if source is None else source
    return n.keras_2_functional(
        n.keras_2_node(n.image_input()), n.keras_2_function("f", function, call)
    )


IMAGE = tensor("image")


@pytest.mark.parametrize(
    ("function", "settings", "kind", "args", "config"),
    [
        ("math.truediv", {"y": 255.0, "name": None}, "TrueDivide", [IMAGE, 255.0], {}),
        ("nn.bias_add", {"bias": [1.0, 2.0, 3.0]}, "Add", [IMAGE, constant([1.0, 2.0, 3.0])], {}),
        ("nn.gelu", {}, "Gelu", [IMAGE], {"approximate": False}),
        (
            "math.l2_normalize",
            {"epsilon": 0.25},
            "Normalize",
            [IMAGE],
            {"order": 2, "epsilon": 0.5},
        ),
        (
            "split",
            {"num_or_size_splits": [1, 2, 3]},
            "Split",
            [IMAGE],
            {"indices_or_sections": [1, 3]},
        ),
        ("linalg.matmul", {"b": ["image", 0, 0]}, "Matmul", [IMAGE, IMAGE], {}),
        (
            "linalg.matmul",
            {"b": ["image", 0, 0], "transpose_b": True},
            "Einsum",
            [IMAGE, IMAGE],
            {"subscripts": "...ij,...kj->...ik"},
        ),
        (
            "nn.max_pool2d",
            {"ksize": [1, 2, 3, 1], "strides": [2], "padding": "SAME"},
            "MaxPool",
            [IMAGE],
            {
                "data_format": "channels_last",
                "pool_size": [2, 3],
                "strides": 2,
                "padding": "same",
            },
        ),
        (
            "compat.v1.gather",
            {"indices": [2, 1, 0], "axis": -1, "batch_dims": 0},
            "Take",
            [IMAGE, constant([2, 1, 0], "int32")],
            {"axis": -1},
        ),
        ("concat", {"axis": 1}, "Concatenate", [[IMAGE]], {"axis": 1}),
        (
            "__operators__.getitem",
            {"slice_spec": [ELLIPSIS, {"start": 1, "stop": None, "step": None}, None, 0]},
            "GetItem",
            [IMAGE, [part(), part(), part(1), None, 0]],
            {},
        ),
        ("__operators__.getitem", {"slice_spec": [ELLIPSIS]}, "GetItem", [IMAGE, [part()]], {}),
        ("__operators__.getitem", {"slice_spec": [0, ELLIPSIS]}, "GetItem", [IMAGE, [0]], {}),
    ],
)
def test_a_function_becomes_an_operation(
    function: str, settings: n.Json, kind: str, args: list[Any], config: n.Json
) -> None:
    layer = levelled(function_model(function, None, settings))["layers"][1]
    assert (layer["class_name"], layer["config"]) == (kind, {"name": "f", **config})
    assert layer["module"] == kinds.OPERATIONS[kind]
    assert layer["inbound_nodes"] == [{"args": args, "kwargs": {}}]


@pytest.mark.parametrize(
    ("function", "settings", "named"),
    [
        ("math.squared_difference", {"y": 1.0}, True),
        ("io.read_file", {}, True),
        ("math.add", {}, True),
        ("math.add", {"y": "text"}, True),
        ("math.add", {"y": {"class_name": "Lambda", "config": {}}}, True),
        ("math.add", {"y": [["image", 0, 0], 1.0]}, True),
        ("nn.relu", {"other": 1}, True),
        (
            "nn.avg_pool2d",
            {"ksize": 2, "strides": 2, "padding": "SAME", "data_format": "NCHW"},
            True,
        ),
        ("nn.avg_pool2d", {"ksize": [2, 2, 2, 2], "strides": 2, "padding": "SAME"}, True),
        ("image.resize", {"size": [3, 4], "method": "gaussian"}, True),
        ("split", {"num_or_size_splits": [1, -1]}, True),
        ("compat.v1.pad", {"paddings": [[0, 0]], "constant_values": 3}, True),
        ("clip_by_value", {"clip_value_min": [0.0], "clip_value_max": 1.0}, True),
        ("__operators__.getitem", {"slice_spec": [ELLIPSIS, 0, ELLIPSIS]}, True),
        ("__operators__.getitem", {"slice_spec": [ELLIPSIS, 0, 0, 0, 0, 0]}, True),
        ("__operators__.getitem", {"slice_spec": [["image", 0, 0]]}, True),
        ("<b>tf</b>", {}, False),
        ("x" * 60, {}, False),
    ],
)
def test_another_function_is_refused_by_name(function: str, settings: n.Json, named: bool) -> None:
    with pytest.raises(RefusedModelError) as caught:
        levelled(function_model(function, None, settings))
    assert caught.value.code == "tf-operation"
    assert (f"tf.{function}" in str(caught.value)) is named
    assert (function in str(caught.value)) is named


@pytest.mark.parametrize(
    "nodes",
    [
        # A reduction takes axes away.
        [
            n.keras_2_node(n.image_input()),
            n.keras_2_function("before", "math.reduce_mean", ["image", 0, 0, {"axis": 1}]),
        ],
        # The second call may have an input of another rank.
        [
            n.keras_2_node(n.image_input()),
            n.keras_2_node(n.layer("Identity", "before"), *[[["image", 0, 0, {}]]] * 2),
        ],
        [n.keras_2_node(n.image_input(shape=(None, *[1] * 8))) | {"name": "before"}],
    ],
    ids=["reduction", "two calls", "nine axes"],
)
def test_an_ellipsis_needs_a_certain_number_of_axes(nodes: list[n.Json]) -> None:
    call = ["before", 0, 0, {"slice_spec": [ELLIPSIS, 0]}]
    cut = n.keras_2_function("cut", "__operators__.getitem", call)
    with pytest.raises(RefusedModelError, match="getitem"):
        levelled(n.keras_2_functional(*nodes, cut))


def test_the_output_of_the_functions_is_that_of_numpy(tmp_path: Path) -> None:
    import keras

    from cnnviz.networks import keras2_activations

    path, target = tmp_path / "model.h5", tmp_path / "copy.h5"
    path.write_bytes(n.hdf5_file(n.keras_2_functions(), n.LISTED_WEIGHTS))
    gate.write_sanitised(path, gate.inspect_model(path), target)
    model = keras.saving.load_model(target, compile=False, safe_mode=True)
    pictures = 255 * n.PICTURES
    scaled = (pictures[..., ::-1] + pictures) / 255
    expected = n.answer(scaled, lambda maps: np.clip(0.2 * maps + 0.5, 0, 1))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(pictures)), expected, atol=1e-5)
    assert model.get_layer("conv").activation is keras2_activations.keras2_hard_sigmoid
    # Saved by Keras 3, the model is accepted again.
    again = tmp_path / "again.keras"
    model.save(again)
    convolution = gate.inspect_model(again).config["config"]["layers"][4]
    assert convolution["config"]["activation"] == kinds.HARD_SIGMOID
