"""Published attacks on Keras's model files: each is refused, and has no effect.

What the files name is harmless: they would make an empty file, change a setting of Keras, or read
a file beside them. Two of them still work on Keras 3.15.1 itself, which is tested as well.
"""

from __future__ import annotations

import base64
import json
import marshal
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
from corpus import networks as n

import cnnviz
from cnnviz.errors import RefusedModelError
from cnnviz.inspection import gate

# Makes the bytes of a file whose attack would make, or read, the file at a path.
Make = Callable[[Path], bytes]


def layer_file(described: Callable[[Path], n.Json]) -> Make:
    """A model with one more layer."""
    return lambda path: n.keras_file(
        n.sequential(n.image_input(), described(path), n.convolution(), n.average(), n.scores())
    )


def h5_layer_file(described: Callable[[Path], n.Json]) -> Make:
    return lambda path: n.hdf5_file(
        n.keras_2_sequential([n.keras_2(described(path)), n.convolution(), n.average(), n.scores()])
    )


def unused_node(node: Callable[[Path], n.Json], **inputs: Any) -> Make:
    """A model with a node that leads nowhere: Keras calls it while it loads the model."""

    def make(path: Path) -> bytes:
        described = n.functional_network(middle=n.layer("Identity", "same"))
        values = {name: value(path) for name, value in inputs.items()}
        calls = [{"args": [], "kwargs": values}]
        described["config"]["layers"].append(
            node(path) | {"name": "hidden", "inbound_nodes": calls}
        )
        return n.keras_file(described)

    return make


def function(module: str, name: str) -> n.Json:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def activation(module: str, name: str) -> Callable[[Path], n.Json]:
    return lambda _: n.layer("Activation", "hidden", activation=function(module, name))


def lambda_of(value: Any) -> n.Json:
    return n.layer("Lambda", "hidden", function=value, arguments={})


def bytecode(path: Path) -> n.Json:
    code = compile(f"lambda x: open({str(path)!r}, 'w') and x", "", "eval").co_consts[0]
    text = base64.b64encode(marshal.dumps(code)).decode()
    return {"class_name": "__lambda__", "config": {"code": text, "defaults": None, "closure": None}}


class _Toucher:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def torch_module(path: Path) -> n.Json:
    data = base64.b64encode(pickle.dumps(_Toucher(path))).decode()
    module = {"class_name": "__bytes__", "config": data}
    return n.layer("TorchModuleWrapper", "hidden", module=module)


def weights_file(fill: Callable[[h5py.File, Path], None]) -> Make:
    def make(path: Path) -> bytes:
        def write(file: h5py.File) -> None:
            for name, values in n.KERAS_WEIGHTS.items():
                file[name] = values
            del file["layers/dense/vars/0"]
            fill(file, path)

        return n.keras_file(arrays=n.hdf5(write))

    return make


def kernel(file: h5py.File, **how: Any) -> None:
    shape, dtype = n.KERAS_WEIGHTS["layers/dense/vars/0"].shape, "f4"
    file.create_dataset("layers/dense/vars/0", **{"shape": shape, "dtype": dtype} | how)


def with_member(name: Callable[[Path], str]) -> Make:
    return lambda path: n.keras_file(more={name(path): b"written"})


def npz_of_a_pickle(path: Path) -> bytes:
    return n.keras_file(more={"model.weights.npz": pickle.dumps({"x": _Toucher(path)})})


ATTACKS: dict[str, tuple[Make, str]] = {
    "CVE-2024-3660, code of a Lambda": (
        layer_file(lambda p: lambda_of(bytecode(p))),
        "lambda-code",
    ),
    "CVE-2025-9905, code of a Lambda in HDF5": (
        h5_layer_file(lambda p: lambda_of(bytecode(p))),
        "lambda-code",
    ),
    "CVE-2025-1550, function of any module": (
        unused_node(
            lambda _: function("os", "mkdir") | {"class_name": "function"},
            path=lambda p: str(p),
        ),
        "function-reference",
    ),
    "CVE-2025-8747, function of Keras in a Lambda": (
        layer_file(lambda _: lambda_of(function("keras.utils", "get_file"))),
        "lambda-code",
    ),
    "CVE-2025-9906, safe mode turned off": (
        unused_node(
            activation("keras.config", "enable_unsafe_deserialization"), inputs=lambda _: None
        ),
        "unknown-activation",
    ),
    "CVE-2025-9906, another file loaded": (
        unused_node(activation("keras.saving", "load_model"), inputs=lambda p: str(p)),
        "unknown-activation",
    ),
    "CVE-2025-12060 and 12638, archive downloaded and unpacked": (
        unused_node(
            activation("keras.utils", "get_file"),
            inputs=lambda p: str(p),
            origin=lambda _: "http://127.0.0.1:9/x.tar",
        ),
        "unknown-activation",
    ),
    "CVE-2025-12058, vocabulary from a file": (
        layer_file(lambda p: n.layer("StringLookup", "hidden", vocabulary=str(p))),
        "text-layer",
    ),
    "CVE-2025-49655, pickle in a module of Torch": (layer_file(torch_module), "foreign-code"),
    "CVE-2026-1462, SavedModel in a layer": (
        layer_file(lambda p: n.layer("TFSMLayer", "hidden", filepath=str(p))),
        "foreign-code",
    ),
    "CVE-2026-1669, weights of another file": (
        weights_file(lambda f, p: kernel(f, external=[(str(p), 0, 1 << 16)])),
        "external-storage",
    ),
    "weights of another HDF5 file": (
        weights_file(
            lambda f, p: f.update({"layers/dense/vars/0": h5py.ExternalLink(str(p), "secret")})
        ),
        "external-link",
    ),
    "CVE-2026-0897 and 12570, huge arrays without values": (
        weights_file(
            lambda f, _: kernel(f, shape=(1 << 20, 1 << 20), chunks=(64, 64), compression="gzip")
        ),
        "weights-bomb",
    ),
    "archive that unpacks to far more": (
        lambda _: n.keras_file("{" + " " * (8 << 20), compression=zipfile.ZIP_DEFLATED),
        "zip-bomb",
    ),
    "CVE-2026-12479, path in a layer's name": (
        layer_file(lambda p: n.layer("Identity", f"../../../../..{p}")),
        "odd-name",
    ),
    "path in a member's name": (with_member(lambda p: f"assets/../../..{p}"), "path-traversal"),
    "absolute path in a member's name": (with_member(str), "path-traversal"),
    "pickle beside the weights": (npz_of_a_pickle, "extra-member"),
    "function in a node that nobody uses": (
        unused_node(activation("keras.config", "set_floatx"), inputs=lambda _: "float16"),
        "unknown-activation",
    ),
    "operation on constants in a node that nobody uses": (
        unused_node(
            lambda _: n.operation("numpy", "Tile", "hidden", repeats=[4_096, 4_096]),
            x=lambda _: {"class_name": "__numpy__", "config": {"value": [[1]], "dtype": "int8"}},
        ),
        "broken-graph",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_published_attack_is_refused_and_has_no_effect(name: str, tmp_path: Path) -> None:
    make, code = ATTACKS[name]
    effect = tmp_path / "effect"
    path = tmp_path / "model"
    path.write_bytes(make(effect))
    settings = keras_settings()
    with pytest.raises(RefusedModelError) as caught:
        gate.inspect_model(path)
    assert caught.value.code == code
    assert not effect.exists()
    assert keras_settings() == settings


def test_a_compile_config_is_not_in_what_keras_loads(tmp_path: Path) -> None:
    """The outer one is ignored with `compile=False`; Keras 3.15.1 deserialises the inner one."""
    inner = n.sequential(n.layer("Identity", "same"), name="inner")
    compiled = {"optimizer": "adam", "loss": function("keras.config", "set_floatx")}
    described = n.functional_network(middle=inner | {"compile_config": compiled})
    path = tmp_path / "model.keras"
    path.write_bytes(n.keras_file(described | {"compile_config": compiled}))
    inspection = gate.inspect_model(path)
    assert "compile" not in json.dumps(inspection.config)
    settings = keras_settings()
    network = cnnviz.load_model(path)
    assert not any(getattr(layer, "compiled", False) for layer in network.model.layers)
    assert keras_settings() == settings


@pytest.mark.parametrize("trusted", [False, True])
def test_a_folder_with_a_checkpoint_is_no_model(tmp_path: Path, trusted: bool) -> None:
    """Keras loads an Orbax checkpoint from a folder, and writes where its paths lead."""
    folder = tmp_path / "model.keras"
    (folder / "pytree").mkdir(parents=True)
    (folder / "orbax.checkpoint").touch()
    (folder / "pytree.orbax-checkpoint").touch()
    with pytest.raises(RefusedModelError, match="This is a folder"):
        cnnviz.load_model(folder, trusted=trusted)
    with pytest.raises(RefusedModelError) as caught:
        gate.inspect_model(folder)
    assert caught.value.code == "folder"


def test_keras_itself_runs_a_function_that_nobody_uses(tmp_path: Path) -> None:
    """Without the gate the file does what it is refused for: the attack above is a real one."""
    import keras

    make, _ = ATTACKS["function in a node that nobody uses"]
    path = tmp_path / "model.keras"
    path.write_bytes(make(tmp_path))
    assert keras.config.floatx() == "float32"
    try:
        keras.saving.load_model(path, compile=False, safe_mode=True)
        assert keras.config.floatx() == "float16"
    finally:
        keras.config.set_floatx("float32")
    with pytest.raises(RefusedModelError, match="uses an activation that is not one"):
        cnnviz.load_model(path)
    assert keras.config.floatx() == "float32"


def keras_settings() -> tuple[Any, ...]:
    import keras

    config = keras.config
    return config.floatx(), config.epsilon(), config.dtype_policy().name
