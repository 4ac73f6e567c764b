"""The HDF5 file with the weights: checked before it is read, and copied array by array."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from cnnviz.inspection.limits import (
    BLOCK_BYTES,
    MAX_CHUNK_BYTES,
    MAX_CHUNKS,
    MAX_EXPANSION,
    MAX_HDF5_DEPTH,
    MAX_JSON_BYTES,
    MAX_OBJECTS,
    MAX_RANK,
    MAX_TEXT,
    SMALL,
)
from cnnviz.inspection.refusals import refusal, refusing

# Keras writes bfloat16, which HDF5 does not know, as two opaque bytes.
_BFLOAT16: Final = np.dtype("V2")
_FILTERS: Final = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE})


@dataclass(frozen=True)
class Survey:
    """What an HDF5 file holds, as paths without a leading slash.

    Attributes:
        groups: every group but the root.
        arrays: the shape of every array.
    """

    groups: tuple[str, ...]
    arrays: dict[str, tuple[int, ...]]

    def count(self, paths: Iterable[str]) -> int:
        """The number of values of these arrays."""
        return sum(math.prod(self.arrays[path]) for path in paths)


def survey(file: h5py.File, size: int) -> Survey:
    """Lists every object of a file without reading its data.

    Args:
        file: the open file.
        size: its length in bytes.

    Raises:
        RefusedModelError: it holds links, types or storage that Keras does not write, or claims
            more data than it has.
    """
    with refusing("damaged-weights"):
        groups: list[str] = []
        arrays: dict[str, tuple[int, ...]] = {}
        stored, seen = 0, {_address(file)}
        for path, item in _objects(file):
            if _address(item) in seen:
                raise refusal("shared-storage")
            seen.add(_address(item))
            if len(seen) > MAX_OBJECTS:
                raise refusal("too-many-arrays")
            if isinstance(item, h5py.Group):
                groups.append(path)
                continue
            stored += _stored_bytes(item)
            # Overlapping arrays would count the same bytes many times.
            if stored > size:
                raise refusal("weights-bomb")
            arrays[path] = item.shape
        return Survey(tuple(groups), arrays)


def _objects(file: h5py.File) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Every group and array below the root, reached through hard links alone."""
    waiting: list[tuple[str, h5py.Group, int]] = [("", file, 1)]
    while waiting:
        prefix, group, depth = waiting.pop()
        if depth > MAX_HDF5_DEPTH:
            raise refusal("too-deep")
        if len(group) > MAX_OBJECTS:
            raise refusal("too-many-arrays")
        for name in group:
            _check_link(group, name)
            item = group[name]
            path = f"{prefix}{name}"
            if isinstance(item, h5py.Group):
                waiting.append((f"{path}/", item, depth + 1))
            elif not isinstance(item, h5py.Dataset):
                raise refusal("odd-type")
            yield path, item


def _check_link(group: h5py.Group, name: Any) -> None:
    if not isinstance(name, str) or len(name) > MAX_TEXT or not name.isprintable():
        raise refusal("odd-name")
    match group.get(name, getlink=True):
        case h5py.HardLink():
            return
        case h5py.ExternalLink():
            raise refusal("external-link")
    raise refusal("soft-link")


def _address(item: h5py.Group | h5py.Dataset) -> int:
    return h5py.h5o.get_info(item.id).addr


def _stored_bytes(array: h5py.Dataset) -> int:
    """The bytes that an array takes in the file, after everything about it was checked."""
    layout = array.id.get_create_plist()
    if layout.get_external_count():
        raise refusal("external-storage")
    if layout.get_layout() == h5py.h5d.VIRTUAL:
        raise refusal("virtual-data")
    filters = [layout.get_filter(index)[0] for index in range(layout.get_nfilters())]
    if not _FILTERS.issuperset(filters) or len(set(filters)) < len(filters):
        raise refusal("odd-filter")
    with refusing("odd-type"):
        dtype, shape = array.dtype, array.shape
    numeric = (dtype.kind in "iufb" and dtype.itemsize <= 8) or dtype == _BFLOAT16
    if not numeric or shape is None or len(shape) > MAX_RANK:
        raise refusal("odd-type")
    stored = array.id.get_storage_size()
    declared = math.prod(shape) * dtype.itemsize
    if declared > max(SMALL, MAX_EXPANSION * stored):
        raise refusal("weights-bomb")
    if array.chunks is not None:
        _check_chunks(shape, array.chunks, dtype.itemsize)
    return stored


def _check_chunks(shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int) -> None:
    """A chunk is unpacked as a whole, however little of it belongs to the array."""
    count = math.prod(-(-side // chunk) for side, chunk in zip(shape, chunks, strict=True))
    if math.prod(chunks) * itemsize > MAX_CHUNK_BYTES or count > MAX_CHUNKS:
        raise refusal("weights-bomb")


# --- Texts that Keras stores beside the weights -----------------------------------------------


def read_text(group: h5py.Group, name: str) -> str:
    """One text, "" where there is none.

    Raises:
        RefusedModelError: there is something else.
    """
    with refusing("damaged-config"):
        if name not in group.attrs:
            return ""
        texts = _texts(group, name)
        if len(texts) != 1:
            raise refusal("damaged-config")
        return texts[0]


def read_texts(group: h5py.Group, name: str) -> list[str]:
    """A list of texts, which Keras splits into `name0`, `name1`, … when it is long.

    Raises:
        RefusedModelError: there is something else.
    """
    with refusing("damaged-weights"):
        if name in group.attrs:
            return _texts(group, name)
        texts: list[str] = []
        for index in range(MAX_OBJECTS):
            part = f"{name}{index}"
            if part not in group.attrs:
                break
            texts += _texts(group, part)
        return texts


def _texts(group: h5py.Group, name: str) -> list[str]:
    attribute = h5py.h5a.open(group.id, name.encode())
    count = attribute.get_space().get_simple_extent_npoints()
    # Keras writes an empty list as numbers.
    if count == 0:
        return []
    if attribute.get_storage_size() > MAX_JSON_BYTES or count > MAX_OBJECTS:
        raise refusal("too-long")
    if not isinstance(attribute.get_type(), h5py.h5t.TypeStringID):
        raise refusal("odd-type")
    texts = np.asarray(group.attrs[name]).reshape(-1).tolist()
    return [text.decode("utf-8") if isinstance(text, bytes) else str(text) for text in texts]


# --- Copying ----------------------------------------------------------------------------------


def copy_array(source: h5py.Dataset, target: h5py.Group, name: str) -> None:
    """Copies one array, block by block, as plain numbers without chunks or compression.

    bfloat16 becomes float32, which holds the same values and is known to HDF5.

    Raises:
        RefusedModelError: the array cannot be read.
    """
    dtype = np.dtype("float32") if source.dtype == _BFLOAT16 else source.dtype
    copy = target.create_dataset(name, source.shape, dtype)
    if not source.shape:
        copy[()] = _numbers(_read(source, ()))
        return
    row = math.prod(source.shape[1:]) * dtype.itemsize
    rows = max(1, BLOCK_BYTES // max(row, 1))
    for start in range(0, source.shape[0], rows):
        block = slice(start, start + rows)
        copy[block] = _numbers(_read(source, block))


def _read(source: h5py.Dataset, block: Any) -> npt.NDArray[Any]:
    with refusing("damaged-weights"):
        return np.asarray(source[block])


def _numbers(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """float32 of bfloat16, which is the upper half of a float32; other types as they are."""
    if values.dtype != _BFLOAT16:
        return values
    halves = np.ascontiguousarray(values).view("<u2").astype("<u4")
    return (halves << 16).view("<f4")
