"""Odd and bad model files, each harmless, each with the expected result of inspection.

`python -m tests.corpus.models FOLDER` writes them all. A case either loads, and then gives the
scores of the small network of `networks.py`, or is refused with a code. What the bad ones name
(a program, a file, an address) would do no harm if it were reached.
"""

from __future__ import annotations

import io
import json
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from . import networks as n

LOADS = "loads"


@dataclass(frozen=True)
class Case:
    """A file and the expected result.

    Attributes:
        name: also the name of the file, without its suffix.
        expected: a code, or `LOADS`.
        make: gives the bytes.
        suffix: what people would call it.
        tolerance: how far the scores may be from `networks.answer`.
    """

    name: str
    expected: str
    make: Callable[[], bytes]
    suffix: str = ".keras"
    tolerance: float = 1e-5

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.name}{self.suffix}"
        path.write_bytes(self.make())
        return path


CASES: list[Case] = []


def case(name: str, expected: str, make: Callable[[], bytes], **more: Any) -> None:
    CASES.append(Case(name, expected, make, **more))


def config_case(name: str, expected: str, config: Callable[[], n.Json | str | bytes]) -> None:
    """A `.keras` file whose description is bad."""
    case(name, expected, lambda: n.keras_file(config()))


def setting_case(name: str, expected: str, **settings: Any) -> None:
    """The small network with settings of its convolution changed."""
    config_case(
        name,
        expected,
        lambda: n.sequential(n.image_input(), n.convolution(**settings), n.average(), n.scores()),
    )


def layer_case(name: str, expected: str, described: Callable[[], Any]) -> None:
    """The small network with one more layer after its input."""
    config_case(
        name,
        expected,
        lambda: n.sequential(
            n.image_input(), described(), n.convolution(), n.average(), n.scores()
        ),
    )


def keras_2_case(name: str, expected: str, *layers: n.Json) -> None:
    """A `.keras` file of Keras 2 with the small network, which begins with these layers."""
    config = n.sequential(*layers, n.average(), n.scores())
    metadata = '{"keras_version": "2.15.0"}'
    case(name, expected, lambda: n.keras_file(config, metadata=metadata))


def graph_case(name: str, expected: str, middle: Callable[[], n.Json]) -> None:
    """The small network as a graph, with one more layer or operation after its input."""
    config_case(name, expected, lambda: n.functional_network(middle=middle()))


def weights_case(name: str, expected: str, fill: Callable[[h5py.File], None]) -> None:
    """The small network with something more among its weights."""

    def make() -> bytes:
        def write(file: h5py.File) -> None:
            for path, values in n.KERAS_WEIGHTS.items():
                file[path] = values
            fill(file)

        return n.keras_file(arrays=n.hdf5(write))

    case(name, expected, make)


def hdf5_case(name: str, expected: str, make: Callable[[], bytes], **more: Any) -> None:
    case(name, expected, make, suffix=".h5", **more)


# === Parts of the cases ==================================================================


def _with_config(described: n.Json, **settings: Any) -> n.Json:
    return described | {"config": {**described["config"], **settings}}


def _keras_2_graph() -> bytes:
    """A nested model, whose calls Keras 2 counts from 1."""
    body = n.keras_2_sequential([n.convolution(batch_input_shape=[None, 8, 8, 3]), n.average()])
    image = n.keras_2(n.image_input()) | {"name": "image", "inbound_nodes": []}
    image["config"]["batch_input_shape"] = image["config"].pop("batch_shape")
    layers = [
        image,
        body | {"name": "small", "inbound_nodes": [[["image", 0, 0, {}]]]},
        n.keras_2(n.scores()) | {"name": "scores", "inbound_nodes": [[["small", 1, 0, {}]]]},
    ]
    config = {
        "name": "outer",
        "layers": layers,
        "input_layers": [["image", 0, 0]],
        "output_layers": [["scores", 0, 0]],
    }
    listed = {
        "image": {},
        "small": n.LISTED_WEIGHTS["conv"],
        "scores": n.LISTED_WEIGHTS["scores"],
    }
    return n.hdf5_file({"class_name": "Model", "config": config}, listed)


def _pipeline() -> n.Json:
    config = {"name": "steps", "layers": [_identity()]}
    return n.layer("Pipeline", "steps") | {"config": config}


def _identity() -> n.Json:
    return n.layer("Identity", "same")


def _nested(levels: int) -> n.Json:
    inner = _identity()
    for level in range(levels):
        inner = n.sequential(inner, name=f"level{level}")
    return inner


def _shared() -> n.Json:
    """Two models inside, both with the same layer, which only the first one describes in full."""
    mark = {"shared_object_id": 140000000000001}
    first = n.sequential(_identity() | mark, name="first")
    second = n.sequential(_identity() | mark, name="second")
    return n.sequential(n.image_input(), first, second, n.convolution(), n.average(), n.scores())


def _pictures() -> n.Json:
    return n.tensor("image", [None, 8, 8, 3])


def _with_operation(described: n.Json, *args: Any, **kwargs: Any) -> n.Json:
    """The graph of the small network with an operation after the input."""
    network = n.functional_network(middle=described)
    network["config"]["layers"][1]["inbound_nodes"] = [{"args": list(args), "kwargs": kwargs}]
    return network


def _without_modules(network: n.Json) -> n.Json:
    """A graph as Keras 3 writes it into HDF5."""
    layers = [n.keras_2(layer) for layer in network["config"]["layers"]]
    return {"class_name": "Functional", "config": {**network["config"], "layers": layers}}


def _stored(**how: Any) -> bytes:
    def write(file: h5py.File) -> None:
        for path, values in n.KERAS_WEIGHTS.items():
            file.create_dataset(path, data=values, **how)

    return n.keras_file(arrays=n.hdf5(write))


def _brain_floats(_: Any, arrays: dict[str, n.Array]) -> bytes:
    """The upper halves of float32, which HDF5 keeps as two bytes each."""

    def write(file: h5py.File) -> None:
        for path, values in arrays.items():
            halves = (values.view("<u4") >> 16).astype("<u2").view("V2")
            file.create_dataset(path, data=halves).attrs["dtype"] = "bfloat16"

    return n.keras_file(arrays=n.hdf5(write))


def _in_parts(file: h5py.File) -> None:
    """Keras cuts a list of names that does not fit into one attribute."""
    group = file["model_weights"]
    names = group.attrs["layer_names"]
    del group.attrs["layer_names"]
    for index, part in enumerate(np.array_split(names, 2)):
        group.attrs[f"layer_names{index}"] = part


def _forget_config(file: h5py.File) -> None:
    del file.attrs["model_config"]


def _keras_1() -> n.Json:
    """Keras 1 had other names for layers and settings."""
    settings = {"name": "conv", "nb_filter": 4, "nb_row": 3, "nb_col": 3, "border_mode": "valid"}
    layers = [{"class_name": "Convolution2D", "config": settings}]
    return {"class_name": "Sequential", "config": {"name": "small", "layers": layers}}


def _keras_1_version(file: h5py.File) -> None:
    file.attrs["keras_version"] = np.bytes_("1.2.2")


def _zip(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return memory.getvalue()


def _without(name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(n.keras_file())) as archive:
        return _zip({other: archive.read(other) for other in archive.namelist() if other != name})


def _many_members(count: int) -> bytes:
    """A list of `count` members which all are the same few bytes of the file."""
    start = _zip({"x": b""})
    end = start.index(b"PK\x01\x02")
    entry = start[end : start.index(b"PK\x05\x06")]
    tail = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, count * len(entry), end, 0
    )
    return start[:end] + entry * count + tail


def _twice() -> bytes:
    memory = io.BytesIO(n.keras_file())
    with warnings.catch_warnings(), zipfile.ZipFile(memory, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("config.json", json.dumps(n.sequential(n.layer("Lambda", "x"))))
    return memory.getvalue()


def _symlink() -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        link = zipfile.ZipInfo("config.json")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/hostname")
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", n.weights())
    return memory.getvalue()


def _flagged(flags: int) -> bytes:
    """Sets flags of the first member, in its own head and in the list."""
    data = bytearray(n.keras_file())
    struct.pack_into("<H", data, 6, flags)
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 8, flags)
    return bytes(data)


def _false_size() -> bytes:
    """The list declares short weights; the weights are long."""
    data = bytearray(n.keras_file(compression=zipfile.ZIP_DEFLATED))
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4) + 4)
    struct.pack_into("<L", data, entry + 24, 600)
    return bytes(data)


def _flip_a_byte_of_config() -> bytes:
    data = bytearray(n.keras_file())
    data[data.index(b'"filters"') + 2] ^= 1
    return bytes(data)


def _second_end() -> bytes:
    data = n.keras_file()
    return data[:-22] + b"PK\x06\x07" + bytes(16) + data[-22:]


def _commented(archive: bytes, comment: bytes) -> bytes:
    memory = io.BytesIO(archive)
    with zipfile.ZipFile(memory, "a") as written:
        written.comment = comment
    return memory.getvalue()


def _zip64(members: dict[str, bytes]) -> bytes:
    """As torch.save writes it: with the end records of ZIP64, which zipfile adds to large ones."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    data = memory.getvalue()
    *_, count, size, start, _ = struct.unpack("<4s4H2LH", data[-22:])
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(data) - 22, 1)
    return data[:-22] + end + locator + data[-22:]


def _replaced(old: str, new: str) -> str:
    return json.dumps(n.sequential()).replace(old, new)


def _number_for_config(file: h5py.File) -> None:
    file.attrs["model_config"] = np.arange(5)


def _two_configs(file: h5py.File) -> None:
    file.attrs["model_config"] = [json.dumps(n.keras_2_sequential())] * 2


def _bytecode() -> n.Json:
    """What Keras 3 writes for a program. These bytes are none."""
    content = {"code": "4wEAAAAA", "defaults": None, "closure": None}
    return {"class_name": "__lambda__", "config": {"value": content}}


def _lambda() -> n.Json:
    return n.layer("Lambda", "code", function=_bytecode(), arguments={})


def _function(module: str, name: str) -> n.Json:
    return {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": name,
    }


def _with_input(**settings: Any) -> n.Json:
    image = n.image_input()
    image["config"] |= settings
    return n.sequential(image, n.convolution(), n.average(), n.scores())


def _forget_weights(file: h5py.File) -> None:
    del file["model_weights"]


def _row(count: int) -> n.Json:
    layers = [n.layer("Identity", f"same{index}") for index in range(count - 1)]
    return n.sequential(n.image_input(), *layers)


def _long_graph(count: int) -> n.Json:
    layers = [n.called(n.image_input())]
    for index in range(count - 1):
        before = "image" if index == 0 else f"same{index - 1}"
        described = n.layer("Identity", f"same{index}")
        layers.append(n.called(described, n.tensor(before, [None, 8, 8, 3])))
    return n.functional(layers, ["image", 0, 0], [f"same{count - 2}", 0, 0])


def _loose(described: n.Json) -> n.Json:
    """A layer of a Keras 2 graph that takes no input."""
    return n.keras_2(described) | {"name": described["config"]["name"], "inbound_nodes": []}


def _counted_often(file: h5py.File) -> None:
    """One array of a million values, which the list names 151 times."""
    group = file["model_weights/conv"]
    group["large"] = np.zeros(10**6, "i1")
    group.attrs["weight_names"] = np.array(["large"] * 151, dtype="S")


def _one_mark_for_two_kinds() -> n.Json:
    mark = {"shared_object_id": 5}
    return n.sequential(
        n.image_input(), _identity() | mark, n.convolution() | mark, n.average(), n.scores()
    )


def _input_from(name: str, call: int = 0) -> n.Json:
    return _with_operation(_identity(), n.tensor(name, [None, 8, 8, 3], call))


def _two_of_one_name() -> n.Json:
    network = n.functional_network(middle=_identity())
    layers = network["config"]["layers"]
    layers.append(layers[1])
    return network


def _sliced(ends: n.Json) -> n.Json:
    """The pictures, cut by a slice."""
    cut = {"class_name": "__slice__", "config": ends}
    return _with_operation(n.operation("numpy", "GetItem", "get_item"), _pictures(), [cut])


def _keras_2_calls(calls: Any) -> bytes:
    """A graph of Keras 2 in which the second layer is called like this."""
    layers = [_loose(n.image_input()), _loose(_identity()) | {"inbound_nodes": calls}]
    config = {
        "name": "outer",
        "layers": layers,
        "input_layers": [["image", 0, 0]],
        "output_layers": [["same", 0, 0]],
    }
    return n.hdf5_file({"class_name": "Model", "config": config})


def _negative_call() -> bytes:
    """A model with one declared call, whose third and first call are used."""
    inner = n.keras_2_sequential([_identity()])
    layers = [
        _loose(n.image_input()),
        inner | {"name": "small", "inbound_nodes": [[["image", 0, 0, {}]]]},
        _loose(n.layer("Add", "add"))
        | {"inbound_nodes": [[["small", 2, 0, {}], ["small", 0, 0, {}]]]},
    ]
    config = {
        "name": "outer",
        "layers": layers,
        "input_layers": [["image", 0, 0]],
        "output_layers": [["add", 0, 0]],
    }
    return n.hdf5_file({"class_name": "Model", "config": config})


def _output_from(history: Any) -> n.Json:
    return _with_config(n.functional_network(), output_layers=history)


def _calls_are(calls: Any) -> n.Json:
    network = n.functional_network()
    network["config"]["layers"][1]["inbound_nodes"] = calls
    return network


def _link(file: h5py.File, target: Any) -> None:
    file["layers/conv2d/more"] = target


def _link_in_h5(file: h5py.File) -> None:
    file["model_weights/conv/far"] = h5py.ExternalLink("/etc/x", "y")


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/x", "y", shape=(4,))
    file.create_virtual_dataset("far", layout)


def _raw_filters(file: h5py.File, filters: list[int]) -> None:
    """An array with these filters in its plan and no data, so that nothing has to apply them."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((9,))
    for number in filters:
        plan.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (1,))
    space = h5py.h5s.create_simple((9,))
    h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_FLOAT, space, plan)


def _many_links(file: h5py.File, count: int) -> None:
    group = file.create_group("many")
    for index in range(count):
        group[str(index)] = file["layers"]


def _wrong_layer(file: h5py.File) -> None:
    file["model_weights"].attrs["layer_names"] = np.array(["conv", "gone"], dtype="S")


def _wrong_array(file: h5py.File) -> None:
    file["model_weights/conv"].attrs["weight_names"] = np.array(["gone"], dtype="S")


def _many_names(file: h5py.File) -> None:
    file["model_weights"].attrs["layer_names"] = np.array(["a"] * 20_001, dtype="S")


def _far_array(file: h5py.File) -> None:
    names = np.array(["../scores/scores/kernel:0"], dtype="S")
    file["model_weights/conv"].attrs["weight_names"] = names


def _no_heap(file: h5py.File) -> None:
    numbers = np.frombuffer(b"GCOL\x01\0\0\0" + b"\xff" * 8 + b"GCOL\x01", "u1")
    file["model_weights"].create_dataset("noise", data=numbers)


def _damaged_heap(length: int) -> bytes:
    """The entry with the description, and the free space after it, claim another length."""
    data = bytearray(n.hdf5_file())
    heap = data.index(b"GCOL\x01")
    used = struct.unpack_from("<Q", data, heap + 24)[0]
    rest = heap + 32 + -(-used // 8) * 8
    struct.pack_into("<Q", data, rest + 8, length)
    return bytes(data)


def _text_of_4_gb() -> bytes:
    """The length of the description, beside its place in the heap, is changed to 4 GB."""
    data = n.hdf5_file()
    length, heap = len(json.dumps(n.keras_2_sequential())), data.index(b"GCOL")
    claim = struct.pack("<LQ", length, heap)
    assert data.count(claim) == 1
    return data.replace(claim, struct.pack("<LQ", 2**32 - 16, heap))


def _eager_call(args: list[Any]) -> n.Json:
    """A node that nobody uses: without a tensor Keras would run it while it loads the model."""
    described = n.functional_network(middle=n.layer("Identity", "same"))
    tile = {
        "module": "keras.src.ops.numpy",
        "class_name": "Tile",
        "config": {"repeats": [4_096, 4_096], "name": "tile"},
        "registered_name": None,
        "name": "tile",
        "inbound_nodes": [{"args": args, "kwargs": {}}],
    }
    described["config"]["layers"].append(tile)
    return described


def _changed(old: bytes, new: bytes) -> Callable[[], bytes]:
    """A file of Keras 2 with the last occurrence of some bytes replaced by others."""

    def make() -> bytes:
        before, found, after = n.hdf5_file().rpartition(old)
        assert found
        return before + new + after

    return make


def _newer_format(file: h5py.File) -> None:
    for path, values in n.KERAS_WEIGHTS.items():
        file[path] = values


def _two_arrays_in_one_place() -> bytes:
    """Two arrays of a megabyte share their bytes in a file of one megabyte."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file["first"], file["second"] = np.ones((2, 1 << 20), "i1")
        first, second = (file[name].id.get_offset() for name in ("first", "second"))
    data = memory.getvalue()[:second]
    data = data.replace(struct.pack("<Q", second), struct.pack("<Q", first))
    # The length of the file is in its header.
    return data[:40] + struct.pack("<Q", second) + data[48:]


def _layer_twice(file: h5py.File) -> None:
    file["model_weights"].attrs["layer_names"] = np.array(["conv", "conv"], dtype="S")


def multi_gpu_weights() -> dict[str, dict[str, n.Array]]:
    """All weights of the model inside are one list, under its own name."""
    own = n.LISTED_WEIGHTS
    return {"image": {}, "small": own["conv"] | own["scores"], "scores_all": {}}


# === Files that are as they should be ===========================================================

case("sequential", LOADS, n.keras_file)
case("packed", LOADS, lambda: n.keras_file(compression=zipfile.ZIP_DEFLATED))
config_case("functional", LOADS, n.functional_network)
graph_case("identity-in-a-graph", LOADS, lambda: n.layer("Identity", "same"))
case("keras-file-called-h5", LOADS, n.keras_file, suffix=".h5")
case("h5-file-called-keras", LOADS, n.hdf5_file)
hdf5_case("keras-2", LOADS, n.hdf5_file)
hdf5_case("keras-2-called-hdf5", LOADS, n.hdf5_file)
hdf5_case("keras-3-in-h5", LOADS, lambda: n.hdf5_file(n.sequential()))
config_case(
    "free-size",
    LOADS,
    lambda: n.sequential(
        n.image_input((None, None, None, 3)), n.convolution(), n.average(), n.scores()
    ),
)
config_case(
    "shape-at-the-end",
    LOADS,
    lambda: _with_config(
        n.sequential(n.convolution(), n.average(), n.scores()),
        build_input_shape=[None, 8, 8, 3],
    ),
)


# --- Keras 2 ---


hdf5_case("keras-2-nested", LOADS, _keras_2_graph)
hdf5_case(
    "keras-2-list-of-layers",
    LOADS,
    lambda: n.hdf5_file(
        {
            "class_name": "Sequential",
            "config": n.keras_2_sequential()["config"]["layers"],
        }
    ),
)
keras_2_case(
    "keras-2-in-a-keras-file",
    LOADS,
    n.layer("InputLayer", "image")
    | {
        "config": {
            "batch_input_shape": [None, 8, 8, 3],
            "dtype": "float32",
            "sparse": False,
            "ragged": False,
            "name": "image",
        }
    },
    n.convolution(batch_input_shape=[None, 8, 8, 3]),
)
keras_2_case(
    "keras-2-leftovers",
    LOADS,
    n.image_input(),
    n.layer("RandomFlip", "flip", rng_type="stateful", seed=7),
    n.convolution(),
)
keras_2_case("keras-2-slash", LOADS, n.image_input(), n.convolution(name="block/conv"))

# --- What is left out without a word: it is for training, or the file's weights replace it ---

config_case(
    "compiled-with-anything",
    LOADS,
    lambda: (
        n.sequential()
        | {
            "compile_config": {
                "optimizer": {
                    "module": "keras.config",
                    "class_name": "function",
                    "config": "set_floatx",
                    "registered_name": "set_floatx",
                },
                "loss": "float16",
            }
        }
    ),
)
layer_case(
    "nested-compiled-with-anything",
    LOADS,
    lambda: (
        n.sequential(n.layer("Identity", "same"), name="inner")
        | {"compile_config": {"optimizer": "keras.config.set_floatx", "loss": {"class_name": "x"}}}
    ),
)
config_case(
    "built-for-a-huge-input",
    LOADS,
    lambda: n.sequential(
        n.image_input(),
        n.convolution() | {"build_config": {"input_shape": [2**31, 2**31, 2**31, 3]}},
        n.average(),
        n.scores(),
    ),
)
setting_case(
    "initializer-of-its-own",
    LOADS,
    kernel_initializer={
        "module": "keras.config",
        "class_name": "function",
        "config": "set_floatx",
        "registered_name": "set_floatx",
    },
    bias_initializer={"module": None, "class_name": "Mine", "config": {}, "registered_name": "a>b"},
)
setting_case(
    "regularizer-of-its-own",
    LOADS,
    kernel_regularizer={"class_name": "Mine", "config": {"file": "/etc/hostname"}},
    activity_regularizer={"module": "os", "class_name": "function", "config": "getcwd"},
    kernel_constraint={"class_name": "Lambda", "config": {}},
)
layer_case("huge-seed", LOADS, lambda: n.layer("Dropout", "drop", rate=0.5, seed=2**60))
setting_case("lora-and-quantisation", LOADS, lora_rank=8, quantization_config={"class_name": "X"})
weights_case(
    "with-the-state-of-an-optimizer",
    LOADS,
    lambda file: file.create_dataset("optimizer/vars/0", data=np.zeros((40, 40))),
)

# --- Settings that are rare and right ---

setting_case(
    "policy-as-an-object",
    LOADS,
    dtype={
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": "float32"},
        "registered_name": None,
        "shared_object_id": 139889144563152,
    },
)
case(
    "mixed-precision",
    LOADS,
    lambda: n.keras_file(
        n.sequential(
            n.image_input(),
            n.convolution(
                dtype={"class_name": "Policy", "config": {"name": "mixed_float16", "loss": 1}}
            ),
            n.average(),
            n.scores(),
        )
    ),
    tolerance=1e-2,
)
setting_case(
    "activation-as-a-function",
    LOADS,
    activation={
        "module": "builtins",
        "class_name": "function",
        "config": "relu",
        "registered_name": "relu",
    },
)
setting_case(
    "activation-as-a-layer",
    LOADS,
    activation=n.layer("ReLU", "relu", max_value=None, negative_slope=0.0, threshold=0.0),
)
layer_case(
    "array-in-a-setting",
    LOADS,
    lambda: n.layer(
        "Rescaling",
        "scale",
        scale=1.0,
        offset={
            "class_name": "__numpy__",
            "config": {"value": [0.0, 0.0, 0.0], "dtype": "float64"},
        },
    ),
)
layer_case(
    "wrapped",
    LOADS,
    lambda: n.layer("TimeDistributed", "rows", layer=n.layer("Identity", "same")),
)
layer_case("pipeline", LOADS, lambda: _pipeline())
layer_case(
    "odd-but-printable-name", LOADS, lambda: n.layer("Identity", "<b>Kätzchen<b> 猫 %s {} [x](y)")
)
layer_case("nested-five-times", LOADS, lambda: _nested(5))
config_case("shared-by-two-models", LOADS, lambda: _shared())


# --- Operations between layers ---


config_case(
    "plus-nothing",
    LOADS,
    lambda: _with_operation(n.operation("numpy", "Add", "add"), _pictures(), 0.0),
)
config_case(
    "slice",
    LOADS,
    lambda: _with_operation(
        n.operation("numpy", "GetItem", "get_item"),
        _pictures(),
        [
            {"class_name": "__ellipsis__", "config": {}},
            {"class_name": "__slice__", "config": {"start": 0, "stop": 3, "step": None}},
        ],
    ),
)
config_case(
    "minus-an-array",
    LOADS,
    lambda: _with_operation(
        n.operation("numpy", "Subtract", "subtract"),
        _pictures(),
        {
            "class_name": "__numpy__",
            "config": {"value": [0.0, 0.0, 0.0], "dtype": "float32"},
        },
    ),
)
hdf5_case(
    "operation-in-h5",
    LOADS,
    lambda: n.hdf5_file(
        _without_modules(
            _with_operation(n.operation("numpy", "Multiply", "times"), _pictures(), 1.0)
        )
    ),
)


# --- Arrays stored in other ways ---


case("compressed-arrays", LOADS, lambda: _stored(compression="gzip", shuffle=True, chunks=True))
case(
    "float64-arrays",
    LOADS,
    lambda: n.keras_file(
        arrays=n.weights({path: values.astype("f8") for path, values in n.KERAS_WEIGHTS.items()})
    ),
)
case("bfloat16-arrays", LOADS, lambda: _brain_floats(n.keras_file, n.KERAS_WEIGHTS), tolerance=0.1)


hdf5_case("long-lists-in-parts", LOADS, lambda: n.hdf5_file(fill=_in_parts))


hdf5_case("numbers-that-look-like-a-heap", LOADS, lambda: n.hdf5_file(fill=_no_heap))

case(
    "keras-in-a-zip",
    LOADS,
    lambda: _zip({"mine/net.keras": n.keras_file(), "__MACOSX/mine/._net.keras": b"\0"}),
    suffix=".zip",
)
case(
    "keras-2-in-a-zip",
    LOADS,
    lambda: _zip({"keras_model.h5": n.hdf5_file(), "labels.txt": b"0 cats\n1 dogs\n2 owls\n"}, 8),
    suffix=".zip",
)
case(
    "zip-with-a-comment",
    LOADS,
    lambda: _commented(_zip({"net-main/net.h5": n.hdf5_file()}), b"4d7a214614ab2935c943f9e0ff69d2"),
    suffix=".zip",
)
case(
    "zip-with-the-longest-comment",
    LOADS,
    lambda: _commented(_zip({"net.keras": n.keras_file()}), bytes(65_535)),
    suffix=".zip",
)


# === Files that are refused =====================================================================

# --- Not a model at all ---

case("empty", "not-a-model", lambda: b"")
case("text", "not-a-model", lambda: b"a picture of a cat")
case("junk-before-the-archive", "not-a-model", lambda: b"MZ" + n.keras_file())
case("start-of-an-archive", "damaged-archive", lambda: b"PK\x03\x04" + bytes(200))
case("cut-archive", "damaged-archive", lambda: n.keras_file()[:-100])
case("remark-behind-the-archive", "damaged-archive", lambda: n.keras_file() + b"x")
case("comment-of-the-archive", "damaged-archive", lambda: _commented(n.keras_file(), b"x"))

# --- Another kind of file: by its content, or by its name ---

case(
    "torch-checkpoint",
    "pickle",
    lambda: _zip({"archive/data.pkl": b"", "archive/version": b"3"}),
    suffix=".pt",
)
case(
    "torch-checkpoint-of-zip64",
    "pickle",
    lambda: _zip64({"net/data.pkl": b"", "net/version": b"3"}),
    suffix=".pt",
)
case("torch-pickle", "pickle", lambda: b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", suffix=".h5")
case("torch-by-name", "pickle", lambda: b"weights", suffix=".pth")
case("saved-model-in-a-zip", "saved-model", lambda: _zip({"model/saved_model.pb": b"\x08\x01"}))
case(
    "saved-model",
    "saved-model",
    lambda: b"\x08\x01\x12\xc8\x92\x01\n\x93" + bytes(90),
    suffix=".bin",
)
case("saved-model-by-name", "saved-model", lambda: b"graph", suffix=".pb")
case(
    "lfs-pointer",
    "lfs-pointer",
    lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9406464\n",
    suffix=".h5",
)
case("tflite", "tflite", lambda: b"\x1c\0\0\0TFL3" + bytes(60))
case(
    "tflite-of-teachable-machine", "tflite", lambda: _zip({"model.tflite": b"", "labels.txt": b""})
)
case("onnx", "onnx", lambda: b"\x08\x07\x12\x07pytorch\x1a\x051.9.0:" + bytes(60))
case("onnx-by-name", "onnx", lambda: b"model", suffix=".onnx")
case(
    "safetensors", "safetensors", lambda: b'\x58\0\0\0\0\0\0\0{"weight":{"dtype":"F32"' + bytes(99)
)
case("tensorflow-js", "tensorflow-js", lambda: _zip({"model.json": b"{}", "weights.bin": b"0"}))
case("tensorflow-js-alone", "tensorflow-js", lambda: b'{"modelTopology": {"class_name": "Model"}}')
case("layers-as-json", "layers-only", lambda: json.dumps(n.sequential()).encode())
case("a-page-of-github", "web-page", lambda: b"\n\n<!DOCTYPE html>\n<html lang='en'>")
case("gzip", "other-archive", lambda: b"\x1f\x8b\x08" + bytes(40))
hdf5_case("keras-1", "keras-1", lambda: n.hdf5_file(_keras_1(), fill=_keras_1_version))
hdf5_case("keras-1-without-version", "keras-1", lambda: n.hdf5_file(_keras_1()))

# --- A model in an archive ---

case("photos-in-a-zip", "no-model-inside", lambda: _zip({"cats/1.jpg": b"\xff\xd8"}), suffix=".zip")
case(
    "two-models-in-a-zip",
    "several-models",
    lambda: _zip({"a.keras": n.keras_file(), "b/c.h5": n.hdf5_file()}),
    suffix=".zip",
)
case(
    "zip-that-leaves-its-folder",
    "path-traversal",
    lambda: _zip({"net.keras": n.keras_file(), "../../x.txt": b""}),
    suffix=".zip",
)
case(
    "zip-with-a-bad-model",
    "damaged-weights",
    lambda: _zip({"net.h5": n.hdf5_file()[:3000]}),
    suffix=".zip",
)
case("bomb-in-a-zip", "zip-bomb", lambda: _zip({"net.h5": bytes(8 << 20)}, 8), suffix=".zip")
case("model-in-a-zip64", "zip64", lambda: _zip64({"net.keras": n.keras_file()}), suffix=".zip")
case(
    "zip-with-bytes-behind-its-comment",
    "damaged-archive",
    lambda: _commented(_zip({"net.keras": n.keras_file()}), b"packed") + b"x",
    suffix=".zip",
)
case(
    "zip-with-a-comment-that-is-an-end-record",
    "no-model-inside",
    lambda: _commented(_zip({"net.keras": n.keras_file()}), _zip({})),
    suffix=".zip",
)
case("zip-in-a-zip", "no-model-inside", lambda: _zip({"a.zip": b"PK"}), suffix=".zip")
case("zip-as-a-model-in-a-zip", "not-a-model", lambda: _zip({"a.keras": _zip({"b.h5": b""})}))
hdf5_case("start-of-hdf5", "damaged-weights", lambda: b"\x89HDF\r\n\x1a\n" + bytes(500))
hdf5_case("cut-hdf5", "damaged-weights", lambda: n.hdf5_file()[:3000])
hdf5_case("empty-hdf5", "not-a-model", lambda: n.hdf5(lambda _: None))
hdf5_case("weights-alone", "weights-only", n.weights)
hdf5_case("weights-of-keras-2-alone", "weights-only", lambda: n.hdf5_file(fill=_forget_config))


# --- The archive ---

case("no-metadata", "missing-member", lambda: _without("metadata.json"))
case("no-weights-at-all", "missing-member", lambda: _without("model.weights.h5"))
case("with-assets", "extra-member", lambda: n.keras_file(more={"assets/words.txt": b"cat"}))
case("with-npz", "extra-member", lambda: n.keras_file(more={"model.weights.npz": b""}))
case("100000-members", "extra-member", lambda: _many_members(100_000))
case("twice", "duplicate-member", lambda: _twice())
case("two-levels-up", "path-traversal", lambda: n.keras_file(more={"../../app.py": b""}))
case("absolute", "path-traversal", lambda: n.keras_file(more={"/etc/cron.d/x": b""}))
case("drive", "path-traversal", lambda: n.keras_file(more={"C:\\x.dll": b""}))
case("backslashes-up", "path-traversal", lambda: n.keras_file(more={"..\\x": b""}))
case("symlink", "symlink", lambda: _symlink())
case("encrypted", "encrypted-member", lambda: _flagged(0x1))
case("strongly-encrypted", "encrypted-member", lambda: _flagged(0x41))
case("bzip2", "exotic-compression", lambda: n.keras_file(compression=zipfile.ZIP_BZIP2))
case("lzma", "exotic-compression", lambda: n.keras_file(compression=zipfile.ZIP_LZMA))
case(
    "bomb",
    "zip-bomb",
    lambda: n.keras_file(arrays=bytes(64 << 20), compression=zipfile.ZIP_DEFLATED),
)
case("bomb-of-a-false-size", "damaged-archive", lambda: _false_size())
case("wrong-checksum", "damaged-archive", lambda: _flip_a_byte_of_config())
case("second-end-record", "damaged-archive", lambda: _second_end())
case("weights-are-a-picture", "damaged-weights", lambda: n.keras_file(arrays=b"\x89PNG" * 50))
case("cut-weights", "damaged-weights", lambda: n.keras_file(arrays=n.weights()[:1500]))


# --- The description as text ---

config_case("not-json", "damaged-config", lambda: "{'class_name': 'Sequential'}")
config_case("utf-16", "damaged-config", lambda: json.dumps(n.sequential()).encode("utf-16"))
config_case("a-list", "damaged-config", lambda: "[]")
config_case("9-megabytes", "too-long", lambda: json.dumps({"x": "y" * (9 << 20)}))
config_case("a-million-values", "too-long", lambda: json.dumps({"x": [0] * 1_000_000}))
config_case("70-levels", "too-deep", lambda: '{"x":' * 70 + "0" + "}" * 70)
config_case("100000-levels", "too-deep", lambda: "[" * 100_000)
config_case(
    "key-twice", "duplicate-key", lambda: _replaced('"filters": 4', '"filters": 4, "filters": 5')
)
config_case("nan", "not-a-number", lambda: _replaced('"filters": 4', '"filters": NaN'))
config_case("infinity", "not-a-number", lambda: _replaced('"filters": 4', '"filters": -Infinity'))
config_case("float-overflow", "not-a-number", lambda: _replaced('"filters": 4', '"filters": 1e999'))
config_case(
    "5000-digits", "huge-number", lambda: _replaced('"filters": 4', '"filters": ' + "9" * 5000)
)
case("bad-metadata", "damaged-config", lambda: n.keras_file(metadata="3.15.1"))
hdf5_case("h5-9-megabytes", "too-long", lambda: n.hdf5_file(json.dumps({"x": "y" * (9 << 20)})))
hdf5_case("h5-not-json", "damaged-config", lambda: n.hdf5_file("layers: 3"))
hdf5_case("h5-config-is-a-number", "odd-type", lambda: n.hdf5_file(fill=_number_for_config))
hdf5_case("h5-two-configs", "damaged-config", lambda: n.hdf5_file(fill=_two_configs))


# --- Code ---

layer_case("lambda", "lambda-code", lambda: _lambda())
layer_case(
    "lambda-by-name",
    "lambda-code",
    lambda: n.layer("Lambda", "code", function={"class_name": "function", "config": "getcwd"}),
)
layer_case("lambda-in-a-model-inside", "lambda-code", lambda: n.sequential(_lambda(), name="inner"))
layer_case(
    "lambda-in-a-wrapper",
    "lambda-code",
    lambda: n.layer("TimeDistributed", "rows", layer=_lambda()),
)
setting_case("lambda-as-activation", "lambda-code", activation=_bytecode())
config_case(
    "lambda-among-arguments",
    "lambda-code",
    lambda: _with_operation(n.layer("Identity", "same"), _pictures(), extra=_bytecode()),
)
hdf5_case(
    "keras-2-lambda",
    "lambda-code",
    lambda: n.hdf5_file(
        n.keras_2_sequential(
            [
                n.layer(
                    "Lambda",
                    "code",
                    function=["4wEAAAAA", None, None],
                    batch_input_shape=[None, 8, 8, 3],
                ),
                n.convolution(),
                n.average(),
                n.scores(),
            ]
        )
    ),
)
layer_case("saved-model-layer", "foreign-code", lambda: n.layer("TFSMLayer", "x", filepath="/tmp"))
layer_case(
    "torch-module", "foreign-code", lambda: n.layer("TorchModuleWrapper", "x", module="AAAA")
)
layer_case("jax-function", "foreign-code", lambda: n.layer("JaxLayer", "x", call_fn="f"))
layer_case("flax-module", "foreign-code", lambda: n.layer("FlaxLayer", "x", module="f"))
layer_case(
    "own-class",
    "custom-object",
    lambda: n.layer("Mine", "x") | {"module": None, "registered_name": "Mine"},
)
layer_case(
    "own-class-called-conv2d",
    "custom-object",
    lambda: (
        n.layer("Conv2D", "x") | {"module": "school.layers", "registered_name": "school>Conv2D"}
    ),
)
layer_case(
    "own-class-that-claims-keras",
    "custom-object",
    lambda: n.layer("Conv2D", "x") | {"registered_name": "school>Conv2D"},
)
layer_case(
    "class-of-python", "custom-object", lambda: n.layer("Popen", "x") | {"module": "subprocess"}
)
config_case(
    "own-model-class",
    "custom-object",
    lambda: {"module": None, "class_name": "Net", "config": {}, "registered_name": "Net"},
)
config_case(
    "model-without-layers",
    "custom-object",
    lambda: {"module": "keras", "class_name": "Model", "config": {"name": "x", "trainable": True}},
)
layer_case("no-such-layer", "unknown-class", lambda: n.layer("Conv2DPlus", "x"))
layer_case(
    "function-instead-of-a-layer",
    "function-reference",
    lambda: n.layer("function", "x") | {"config": "getcwd", "module": "os"},
)
layer_case(
    "keras-function-as-a-layer",
    "unknown-class",
    lambda: n.layer("load_img", "x", path="/etc/hostname") | {"module": "keras.utils"},
)
layer_case(
    "loss-as-a-layer",
    "unknown-class",
    lambda: n.layer("MeanSquaredError", "x") | {"module": "keras.losses"},
)
graph_case("operation-with-a-function", "unknown-class", lambda: n.operation("core", "Map", "map"))
graph_case("no-such-operation", "unknown-class", lambda: n.operation("numpy", "Save", "save"))
layer_case(
    "tf-function", "tf-operation", lambda: n.layer("TFOpLambda", "x", function="io.read_file")
)
layer_case(
    "tf-slice", "tf-operation", lambda: n.layer("SlicingOpLambda", "x", function="__getitem__")
)
keras_2_case(
    "synchronised-normalisation",
    "sync-normalization",
    n.image_input(),
    n.layer("SyncBatchNormalization", "x"),
    n.convolution(),
)
layer_case(
    "interpolation-of-keras-2",
    "interpolation",
    lambda: n.layer("UpSampling2D", "x", size=[2, 2], interpolation="gaussian"),
)


# --- Functions ---


setting_case("function-of-python", "function-reference", activation=_function("os", "getcwd"))
setting_case(
    "function-that-changes-keras",
    "unknown-activation",
    activation=_function("keras.config", "set_floatx"),
)
setting_case(
    "function-that-reads-a-file",
    "unknown-activation",
    activation=_function("keras.utils", "load_img"),
)
setting_case(
    "function-that-downloads", "unknown-activation", activation=_function("keras.utils", "get_file")
)
setting_case(
    "function-that-fetches-weights",
    "unknown-activation",
    activation=_function("keras.applications", "VGG16"),
)
setting_case("own-function", "function-reference", activation=_function("school", "relu"))
setting_case(
    "own-registered-function",
    "function-reference",
    activation=_function("builtins", "relu") | {"registered_name": "school>relu"},
)
setting_case("builtin-function", "unknown-activation", activation=_function("builtins", "eval"))
setting_case("activation-by-an-odd-name", "unknown-activation", activation="set_floatx")
setting_case(
    "activation-with-weights", "weights-of-an-activation", activation=n.layer("PReLU", "x")
)
setting_case("activation-is-a-number", "function-reference", activation=3)
setting_case("activation-is-a-model", "function-reference", activation=n.sequential())
setting_case(
    "activation-is-an-optimizer",
    "function-reference",
    activation={"module": "keras.optimizers", "class_name": "Adam", "config": {}},
)
setting_case("function-elsewhere", "function-reference", padding=_function("os", "getcwd"))
config_case(
    "function-among-arguments",
    "function-reference",
    lambda: _with_operation(n.layer("Identity", "same"), _pictures(), f=_function("os", "getcwd")),
)

# --- Files, words, state ---

layer_case(
    "vocabulary",
    "text-layer",
    lambda: n.layer("StringLookup", "words", vocabulary="/etc/hostname"),
)
layer_case(
    "words-to-numbers",
    "text-layer",
    lambda: n.layer("TextVectorization", "words", standardize="lower"),
)
layer_case("hashing", "text-layer", lambda: n.layer("Hashing", "words", num_bins=3))
setting_case("policy-unknown", "dtype-policy", dtype="float8")
setting_case(
    "policy-is-a-map", "dtype-policy", dtype={"class_name": "DTypePolicyMap", "config": {}}
)
setting_case(
    "policy-quantised",
    "dtype-policy",
    dtype={
        "module": "keras",
        "class_name": "QuantizedDTypePolicy",
        "config": {"mode": "int8", "source_name": "float32"},
    },
)
config_case(
    "text-input",
    "dtype-policy",
    lambda: _with_input(dtype="string"),
)
setting_case(
    "type-of-tensorflow",
    "unknown-object",
    padding={"class_name": "__typespec__", "spec_name": "X", "module": "os", "config": []},
)
setting_case(
    "object-in-a-setting",
    "unknown-object",
    padding={"module": "keras.callbacks", "class_name": "CSVLogger", "config": {"filename": "x"}},
)
setting_case(
    "texts-in-an-array",
    "unknown-object",
    strides={"class_name": "__numpy__", "config": {"value": ["/etc"], "dtype": "float32"}},
)


# --- Sizes ---

setting_case("stride-of-2-to-31", "huge-number", strides=[2**31, 2**31])
setting_case("stride-of-5000", "huge-number", strides=[5000, 1])
setting_case("dilation-of-100000", "huge-number", dilation_rate=[100_000, 1])
setting_case("kernel-of-1000", "huge-number", kernel_size=[1000, 1000])
setting_case("negative-and-huge", "huge-number", groups=-(2**40))
setting_case("million-filters", "huge-number", filters=1_000_000)
setting_case("filters-as-a-float", "huge-number", filters=1e9)
layer_case(
    "pool-of-2-to-31", "huge-number", lambda: n.layer("MaxPooling2D", "p", pool_size=[2**31, 1])
)
layer_case(
    "transposed-stride-of-a-million",
    "huge-number",
    lambda: n.layer("Conv2DTranspose", "t", filters=1, kernel_size=[1, 1], strides=[1000, 1]),
)
layer_case(
    "enlarged-1000-times", "huge-number", lambda: n.layer("UpSampling2D", "u", size=[1000, 1])
)
layer_case("huge-float", "huge-number", lambda: n.layer("Rescaling", "r", scale=1e300, offset=0.0))
config_case(
    "repeated-a-million-times",
    "huge-number",
    lambda: _with_operation(
        n.operation("numpy", "Repeat", "r", repeats=10**6, axis=1), _pictures()
    ),
)
config_case(
    "picture-of-10-gigapixels",
    "huge-shape",
    lambda: _with_input(batch_shape=[None, 100_000, 100_000, 3]),
)
layer_case(
    "reshaped-to-a-trillion",
    "huge-shape",
    lambda: n.layer("Reshape", "r", target_shape=[10_000, 10_000, 10_000]),
)
config_case("201-layers-in-a-row", "too-many-layers", lambda: _row(201))
config_case("2001-layers-in-a-graph", "too-many-layers", lambda: _long_graph(2001))
layer_case("nested-12-times", "too-deep", lambda: _nested(12))
config_case(
    "declares-a-billion-weights",
    "weights-missing",
    lambda: n.sequential(
        n.image_input(),
        n.layer("Embedding", "e", input_dim=2**20, output_dim=1000),
        n.average(),
        n.scores(),
    ),
)
setting_case("declares-more-filters", "weights-missing", filters=16_384)
case("no-arrays", "no-weights", lambda: n.keras_file(arrays=n.weights({})))
hdf5_case("h5-no-arrays", "no-weights", lambda: n.hdf5_file(listed={}))
hdf5_case("h5-no-group", "no-weights", lambda: n.hdf5_file(fill=_forget_weights))
hdf5_case("151-million-parameters", "too-many-parameters", lambda: n.hdf5_file(fill=_counted_often))


# --- Descriptions that Keras did not write ---

layer_case(
    "layer-without-settings", "odd-config", lambda: n.layer("Flatten", "x") | {"config": None}
)
layer_case("layer-is-a-text", "odd-config", lambda: "Conv2D")
layer_case("class-is-a-list", "odd-config", lambda: n.layer("x", "x") | {"class_name": ["Conv2D"]})
layer_case("model-without-settings", "odd-config", lambda: n.sequential() | {"config": None})
layer_case("graph-is-a-list", "odd-config", lambda: n.functional_network() | {"config": []})
config_case(
    "graph-of-texts",
    "odd-config",
    lambda: _with_config(n.functional_network(), layers=["image", "conv"]),
)
layer_case("pipeline-of-nothing", "odd-config", lambda: _with_config(_pipeline(), layers=None))
layer_case(
    "settings-that-look-like-an-object",
    "odd-config",
    lambda: _with_config(_identity(), class_name="Lambda"),
)
config_case("slice-of-a-text", "odd-config", lambda: _sliced({"start": "a", "stop": 1, "step": 1}))
config_case("layers-are-a-text", "odd-config", lambda: _with_config(n.sequential(), layers="x"))
config_case("just-a-layer", "odd-config", n.convolution)
config_case("shape-of-texts", "odd-config", lambda: _with_input(batch_shape=["a", 8, 8, 3]))
layer_case("mark-is-a-text", "odd-config", lambda: _identity() | {"shared_object_id": "x"})
config_case("mark-of-two-kinds", "odd-config", lambda: _one_mark_for_two_kinds())
layer_case("no-name", "odd-name", lambda: n.layer("Identity", ""))
layer_case("name-with-a-slash", "odd-name", lambda: n.layer("Identity", "../../x"))
layer_case("name-with-a-null", "odd-name", lambda: n.layer("Identity", "a\x00b"))
layer_case("name-is-a-number", "odd-name", lambda: _with_config(_identity(), name=3))
setting_case("line-break-in-a-text", "odd-text", padding="same\nmore")
setting_case("1000-letters", "odd-text", padding="x" * 1000)
setting_case("half-a-character", "odd-text", padding="\ud800")
config_case("input-from-nowhere", "broken-graph", lambda: _input_from("nowhere"))
config_case("input-from-a-negative-call", "broken-graph", lambda: _input_from("image", -1))
config_case("two-layers-of-one-name", "broken-graph", lambda: _two_of_one_name())
config_case("output-from-nowhere", "broken-graph", lambda: _output_from(["nowhere", 0, 0]))
config_case("output-is-a-number", "broken-graph", lambda: _output_from(7))
config_case("calls-are-a-text", "broken-graph", lambda: _calls_are("x"))
config_case("calls-are-a-number", "broken-graph", lambda: _calls_are(3))
config_case("arguments-by-name", "broken-graph", lambda: _calls_are([{"args": {}, "kwargs": {}}]))
hdf5_case("keras-2-call-of-two", "broken-graph", lambda: _keras_2_calls([[["image", 0]]]))
hdf5_case(
    "keras-2-call-with-a-list", "broken-graph", lambda: _keras_2_calls([[["image", 0, 0, []]]])
)
config_case("call-without-a-tensor", "broken-graph", lambda: _eager_call([[1.0]]))
config_case("call-without-anything", "broken-graph", lambda: _eager_call([]))
hdf5_case("keras-2-call-before-the-first", "broken-graph", lambda: _negative_call())
config_case("call-without-arguments", "broken-graph", lambda: _calls_are([{"args": []}]))


# --- The weights ---

weights_case(
    "external-link", "external-link", lambda file: _link(file, h5py.ExternalLink("/etc/x", "y"))
)
weights_case("soft-link", "soft-link", lambda file: _link(file, h5py.SoftLink("/layers")))
weights_case("soft-link-to-nowhere", "soft-link", lambda file: _link(file, h5py.SoftLink("/x")))
weights_case(
    "external-storage",
    "external-storage",
    lambda file: file.create_dataset("far", (4,), "f4", external=[("/etc/hostname", 0, 16)]),
)
weights_case("virtual-data", "virtual-data", lambda file: _virtual(file))
weights_case("texts", "odd-type", lambda file: file.create_dataset("x", data=["a", "b"]))
weights_case("records", "odd-type", lambda file: file.create_dataset("x", (2,), "i4,f4"))
weights_case("complex", "odd-type", lambda file: file.create_dataset("x", data=[1j]))
weights_case("references", "odd-type", lambda file: file.create_dataset("x", (2,), h5py.ref_dtype))
weights_case("nothing", "odd-type", lambda file: file.create_dataset("x", data=h5py.Empty("f4")))
weights_case(
    "nine-axes", "odd-type", lambda file: file.create_dataset("x", data=np.zeros((1,) * 9))
)
weights_case(
    "lzf", "odd-filter", lambda file: file.create_dataset("x", data=np.ones(99), compression="lzf")
)
weights_case(
    "checksums",
    "odd-filter",
    lambda file: file.create_dataset("x", data=np.ones(99), fletcher32=True),
)
weights_case("filter-from-a-plugin", "odd-filter", lambda file: _raw_filters(file, [32_015]))
weights_case("packed-twice", "odd-filter", lambda file: _raw_filters(file, [1, 1]))
weights_case(
    "never-written", "weights-bomb", lambda file: file.create_dataset("x", (10**6, 10**6), "f8")
)
weights_case(
    "packed-zeros",
    "weights-bomb",
    lambda file: file.create_dataset("x", data=np.zeros(4 << 20), compression="gzip"),
)
weights_case(
    "one-huge-chunk",
    "weights-bomb",
    lambda file: file.create_dataset("x", (10,), "f8", maxshape=(None,), chunks=(10**8,)),
)
weights_case(
    "a-million-chunks",
    "weights-bomb",
    lambda file: file.create_dataset("x", (10**6,), "i1", chunks=(1,)),
)
weights_case(
    "one-array-twice", "shared-storage", lambda file: _link(file, file["layers/dense/vars/0"])
)
weights_case("a-loop", "shared-storage", lambda file: _link(file, file["layers"]))
weights_case("20001-links", "too-many-arrays", lambda file: _many_links(file, 20_001))
hdf5_case("two-arrays-in-one-place", "weights-bomb", _two_arrays_in_one_place)
weights_case("100-levels", "too-deep", lambda file: file.create_group("/".join("abcde" * 20)))
weights_case("unprintable-path", "odd-name", lambda file: file.create_group("a\nb"))
hdf5_case("layer-that-is-not-there", "damaged-weights", lambda: n.hdf5_file(fill=_wrong_layer))
hdf5_case("array-that-is-not-there", "damaged-weights", lambda: n.hdf5_file(fill=_wrong_array))
hdf5_case("20001-names", "too-long", lambda: n.hdf5_file(fill=_many_names))
hdf5_case("array-of-another-layer", "damaged-weights", lambda: n.hdf5_file(fill=_far_array))
hdf5_case("one-layer-twice", "shared-storage", lambda: n.hdf5_file(fill=_layer_twice))
hdf5_case("h5-external-link", "external-link", lambda: n.hdf5_file(fill=_link_in_h5))


hdf5_case("heap-without-an-end", "damaged-weights", lambda: _damaged_heap(0))
hdf5_case("heap-that-is-too-long", "damaged-weights", lambda: _damaged_heap(2**40))
hdf5_case("text-of-4-gb", "damaged-weights", _text_of_4_gb)
hdf5_case("newer-format", "odd-hdf5", lambda: n.hdf5_file(libver="latest"))
case(
    "newer-format-inside",
    "odd-hdf5",
    lambda: n.keras_file(arrays=n.hdf5(_newer_format, libver=("v110", "v110"))),
)
weights_case(
    "group-in-order",
    "odd-hdf5",
    lambda file: file.create_group("x", track_order=True),
)
weights_case("type-alone", "odd-hdf5", lambda file: file.update({"x": np.dtype("f4")}))
# A tree of a group and its nodes, changed by hand.
hdf5_case("tree-of-another-kind", "damaged-weights", _changed(b"TREE\0", b"TREE\1"))
hdf5_case("tree-with-a-level-more", "damaged-weights", _changed(b"TREE\0\0", b"TREE\0\1"))
hdf5_case("newer-heap", "damaged-weights", _changed(b"HEAP\0", b"FRHP\0"))
hdf5_case("node-of-too-many", "damaged-weights", _changed(b"SNOD\1\0", b"SNOD\1\0\xff"))

# --- Several graphics cards ---


hdf5_case("multi-gpu", "multi-gpu", lambda: n.hdf5_file(n.multi_gpu(cards=8), multi_gpu_weights()))
hdf5_case(
    "multi-gpu-lambda-inside",
    "lambda-code",
    lambda: n.hdf5_file(
        n.multi_gpu(n.keras_2_sequential([_lambda(), n.convolution(), n.average(), n.scores()])),
        multi_gpu_weights(),
    ),
)
hdf5_case(
    "multi-gpu-and-more",
    "lambda-code",
    lambda: n.hdf5_file(n.multi_gpu(extra=[_loose(n.scores())]), multi_gpu_weights()),
)
hdf5_case(
    "multi-gpu-foreign-weights",
    "damaged-weights",
    lambda: n.hdf5_file(n.multi_gpu(), multi_gpu_weights() | {"other": {"other/w": n.KERNEL}}),
)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for one in CASES:
        print(one.expected.ljust(20), one.write(folder).name)


if __name__ == "__main__":
    main()
