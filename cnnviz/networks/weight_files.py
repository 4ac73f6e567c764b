"""The weights in a model's HDF5 file: which array is which, and how one of them is read."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

import h5py
import numpy as np

from cnnviz.arrays import Floats
from cnnviz.errors import ModelError
from cnnviz.storage import FileIdentity, identity_of

# The weights that cnnviz reads, by the names of Keras's attributes.
WeightName = Literal[
    "alpha",
    "beta",
    "bias",
    "depthwise_kernel",
    "gamma",
    "kernel",
    "mean",
    "moving_mean",
    "moving_variance",
    "pointwise_kernel",
    "variance",
]
WEIGHTS: tuple[WeightName, ...] = get_args(WeightName)

# The member of a .keras file with the weights.
_WEIGHTS = "model.weights.h5"
# A smaller array is read sooner as a whole than number by number.
_QUICK_BYTES = 16 << 20
# What is before a member: 26 bytes, then the lengths of its name and of what follows that.
_MEMBER = struct.Struct("<26xHH")


@dataclass(frozen=True)
class StoredWeight:
    """Where a weight is in a model's HDF5 file.

    Attributes:
        dataset: the name of the array there.
        shape: of the weight; that of the array may have fewer axes.
    """

    dataset: str
    shape: tuple[int, ...]


# The weights that a layer has; None for one that is not in the file as it is.
StoredWeights = dict[WeightName, StoredWeight | None]


def find_weights(
    path: Path, layers: Mapping[str, Mapping[WeightName, Any]]
) -> dict[str, StoredWeights]:
    """Finds the weights of layers in a model's file by their values.

    Args:
        path: the file.
        layers: of each layer, its weights: arrays or tensors. Those that have no values, such as
            the result of a graph, are none of the file's.

    Raises:
        LookupError: the file has no weights.
        OSError: as for ``open_weights``.
    """
    names: dict[bytes, str] = {}
    with open_weights(path) as file:

        def add(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
                # Of arrays with the same values any will do.
                names.setdefault(_digest(item), name)

        file.visititems(add)

    def find(weight: Any) -> StoredWeight | None:
        has_values = hasattr(weight, "numpy")
        dataset = names.get(_digest(weight)) if has_values else None
        return None if dataset is None else StoredWeight(dataset, tuple(weight.shape))

    return {
        layer: {name: find(weight) for name, weight in weights.items()}
        for layer, weights in layers.items()
    }


def _digest(values: Any) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(values, np.float32).data).digest()


def read_stored(
    path: Path, identity: FileIdentity | None, weight: StoredWeight, index: int | None = None
) -> Floats:
    """A weight from a model's file, float32.

    Args:
        path: the file.
        identity: as for ``open_weights``.
        weight: where it is.
        index: of the last axis, for that part, for which no large array is read as a whole.

    Raises:
        ModelError: the file cannot be read any more, or is another one now.
    """
    try:
        with open_weights(path, identity) as file:
            dataset = file[weight.dataset]
            in_place = dataset.shape == weight.shape and dataset.nbytes > _QUICK_BYTES
            if index is not None and in_place:
                return np.asarray(dataset[..., index], np.float32)
            values = np.asarray(dataset, np.float32).reshape(weight.shape)
    except (LookupError, OSError, ValueError, struct.error, zipfile.BadZipFile) as error:
        raise ModelError(f"The weights in {path.name} cannot be read.") from error
    return values if index is None else values[..., index]


@contextmanager
def open_weights(path: Path, identity: FileIdentity | None = None) -> Iterator[h5py.File]:
    """The weights in a model's file, ``.keras`` or ``.h5``, of somebody whom one trusts.

    Args:
        path: the file.
        identity: of the file that it must still be; None if that does not matter.

    Raises:
        ModelError: it is another file now, or was written to.
        LookupError: it is an archive without weights.
        OSError: the file is not there, or is none of these.
    """
    # Without a buffer, since HDF5 has its own.
    with path.open("rb", buffering=0) as opened:
        # What was opened is read to its end, whatever gets its name meanwhile.
        _check_identity(opened, path, identity)
        with h5py.File(_weights(opened)) as file:
            yield file
        _check_identity(opened, path, identity)


def _check_identity(file: IO[bytes], path: Path, identity: FileIdentity | None) -> None:
    if identity is not None and identity_of(os.fstat(file.fileno())) != identity:
        raise changed_in_use(path)


def changed_in_use(path: Path) -> ModelError:
    """The error for a model whose file is not the one any more that was loaded."""
    return ModelError(f"{path.name} was changed while it was in use. Load it again.")


def _weights(file: io.FileIO) -> io.RawIOBase | io.BytesIO:
    """The HDF5 file in a ``.keras`` file; a file of another kind itself."""
    if not zipfile.is_zipfile(file):
        return file
    with zipfile.ZipFile(file) as archive:
        member = archive.getinfo(_WEIGHTS)
        if member.compress_type != zipfile.ZIP_STORED:
            return io.BytesIO(archive.read(member))
    # As Keras writes it: HDF5 reads what it needs of it, however large all of it is.
    file.seek(member.header_offset)
    lengths = _MEMBER.unpack(file.read(_MEMBER.size))
    return _Part(file, member.header_offset + _MEMBER.size + sum(lengths), member.file_size)


class _Part(io.RawIOBase):
    """A part of a file, as a file for reading."""

    def __init__(self, file: io.FileIO, start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size = file, start, size
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        before = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        self._position = before[whence] + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._position)
        wanted = memoryview(buffer)[: max(self._size - self._position, 0)]
        count = self._file.readinto(wanted)
        self._position += count
        return count
