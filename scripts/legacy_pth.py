"""Reads the tensors of a PyTorch file in the legacy format, without PyTorch.

The format (``torch.save`` before PyTorch 1.6): four pickles (a magic number, the
protocol version, facts about the machine, the object), a pickled list of storage
keys, and then, for each key in that order, an 8-byte count and the raw values.

A pickle may name any importable function and have it called. This reader accepts four
names, which only describe tensors, and refuses all others.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class _Storage(NamedTuple):
    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class TensorUnpickler(pickle.Unpickler):
    """An unpickler that builds descriptions of tensors and ordered dicts of them, only."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Maps the four permitted names to harmless replacements.

        Raises:
            pickle.UnpicklingError: the file names anything else.
        """
        if module == "torch" and name in STORAGES:
            return name
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _describe_tensor()
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(
            f"Expected a file that holds nothing but tensors. It asks for {module}.{name}."
        )

    def persistent_load(self, pid: Any) -> _Storage:
        """Registers a block of values that follows after the pickles."""
        if not (isinstance(pid, tuple) and len(pid) == 6 and pid[0] == "storage"):
            raise pickle.UnpicklingError(f"Expected a reference to a storage. Received: {pid!r}.")
        _, kind, key, _, count, view = pid
        if kind not in STORAGES or view is not None or not isinstance(count, int):
            raise pickle.UnpicklingError(f"Expected a plain storage. Received: {pid!r}.")
        storage = _Storage(str(key), STORAGES[kind], count)
        if self.storages.setdefault(storage.key, storage) != storage:
            raise pickle.UnpicklingError(f"The storage {key} is described in two ways.")
        return storage


def _describe_tensor() -> Callable[..., _Tensor]:
    # A new function for each file: a pickle may set attributes on what it was given.
    def describe(
        storage: _Storage,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        requires_grad: bool,
        hooks: object,
    ) -> _Tensor:
        return _Tensor(storage, offset, shape, strides)

    return describe


def read_tensors(stream: BinaryIO) -> dict[str, NDArray[Any]]:
    """Reads a legacy ``.pth`` file that holds a dict of tensors.

    Args:
        stream: the file, opened for reading bytes, at its beginning.

    Returns:
        The tensors by name, in the order of the file, as float32 or int64 arrays.

    Raises:
        pickle.UnpicklingError: the file names anything but tensors, or is not a
            legacy file.
        ValueError: a block of values is missing, or a tensor reaches beyond its block.
    """
    if _plain(stream) != MAGIC or _plain(stream) != PROTOCOL:
        raise pickle.UnpicklingError("Expected a PyTorch file in the legacy format.")
    machine = _plain(stream)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise pickle.UnpicklingError("Expected little-endian values.")
    unpickler = TensorUnpickler(stream)
    described = unpickler.load()
    if not isinstance(described, dict):
        raise pickle.UnpicklingError(f"Expected a dict of tensors. Received: {type(described)}.")
    keys = _plain(stream)
    if not isinstance(keys, list) or set(keys) != set(unpickler.storages):
        raise pickle.UnpicklingError("The list of storages does not fit the tensors.")
    blocks = {key: _read_block(stream, unpickler.storages[key]) for key in keys}
    return {str(name): _view(str(name), item, blocks) for name, item in described.items()}


def read_tensor_file(path: str | Path) -> dict[str, NDArray[Any]]:
    """Reads a legacy ``.pth`` file, or the only one inside a wheel or another ZIP file.

    Raises:
        ValueError: the archive does not hold exactly one ``.pth`` file, or its values
            are incomplete.
        pickle.UnpicklingError: see `read_tensors`.
    """
    if not zipfile.is_zipfile(path):
        with Path(path).open("rb") as stream:
            return read_tensors(stream)
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".pth")]
        if len(names) != 1:
            raise ValueError(f"Expected one .pth file in {Path(path).name}. Found: {names}.")
        return read_tensors(io.BytesIO(archive.read(names[0])))


def _plain(stream: BinaryIO) -> Any:
    return _NothingUnpickler(stream).load()


class _NothingUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"Expected plain values. The file asks for {module}.{name}.")


def _read_block(stream: BinaryIO, storage: _Storage) -> NDArray[Any]:
    count = int.from_bytes(stream.read(8), "little")
    if count != storage.length:
        raise ValueError(f"Expected {storage.length} values for {storage.key}. Received: {count}.")
    data = stream.read(count * np.dtype(storage.dtype).itemsize)
    return np.frombuffer(data, dtype=storage.dtype, count=count)


def _view(name: str, tensor: Any, blocks: dict[str, NDArray[Any]]) -> NDArray[Any]:
    if not isinstance(tensor, _Tensor) or not isinstance(tensor.storage, _Storage):
        raise pickle.UnpicklingError(f"Expected a tensor as {name}. Received: {tensor!r}.")
    block = blocks[tensor.storage.key]
    numbers = (tensor.offset, *tensor.shape, *tensor.strides)
    if any(not isinstance(number, int) or number < 0 for number in numbers):
        raise ValueError(f"The tensor {name} has an impossible shape, offset or stride.")
    reach = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.strides, strict=True))
    # The product too: with a stride of zero a small block could fill all memory.
    if tensor.offset + reach >= block.size or math.prod(tensor.shape) > block.size:
        raise ValueError(f"The tensor {name} reaches beyond its {block.size} values.")
    strides = [step * block.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(block[tensor.offset :], tensor.shape, strides).copy()
