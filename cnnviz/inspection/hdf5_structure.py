"""The structure of an HDF5 file, checked over its bytes before HDF5's own library opens it.

Keras and h5py write the oldest of HDF5's formats: superblock 0, object headers 1, groups as
symbol tables. The library's readers of the newer ones crash on damaged files, so everything else
is refused. Every structure is read once, and has to lie inside the file.

Source: HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

import mmap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from cnnviz.inspection.hdf5_attributes import OF_ARRAYS, check_attribute, check_type, dimensions
from cnnviz.inspection.hdf5_bytes import UNDEFINED, Image
from cnnviz.inspection.limits import MAX_CHUNKS, MAX_HDF5_DEPTH, MAX_OBJECTS, MAX_RANK
from cnnviz.inspection.refusals import refusal, refusing
from cnnviz.storage import HDF5_SIGNATURE

# Versions of superblock, free space, root entry and shared headers; bytes of an offset and of a
# length; half of the entries in a node of symbols, and in a node of a tree.
_SUPERBLOCK: Final = (0, 0, 0, 0, 0, 8, 8, 0, 4, 16)
_MAX_SYMBOLS, _MAX_GROUP_CHILDREN, _MAX_CHUNK_CHILDREN = 8, 32, 64

# Messages of an object header.
_NOTHING, _DATASPACE, _DATATYPE, _OLD_FILL, _FILL = 0, 1, 3, 4, 5
_LINK, _EXTERNAL, _LAYOUT, _FILTERS = 6, 7, 8, 11
_ATTRIBUTE, _CONTINUATION, _SYMBOLS, _MODIFIED = 12, 16, 17, 18
_OF_ARRAYS: Final = frozenset({_DATASPACE, _DATATYPE, _OLD_FILL, _FILL, _LAYOUT, _FILTERS})
_ALLOWED: Final = _OF_ARRAYS | {_NOTHING, _ATTRIBUTE, _CONTINUATION, _SYMBOLS, _MODIFIED}
_VIRTUAL: Final = 3  # a layout
# Those that say what kind of object it is occur once.
_ONCE: Final = frozenset({_DATASPACE, _DATATYPE, _FILL, _LAYOUT, _FILTERS, _SYMBOLS})

# The start and the end of each message of one kind.
_Messages = dict[int, list[tuple[int, int]]]


@dataclass(frozen=True)
class _Entry:
    """What a symbol table has of an object: its header, and of a group what is in there, too."""

    header: int
    depth: int
    cached: tuple[int, int] | None


def check_structure(file: IO[bytes]) -> None:
    """Checks the structures of a file without HDF5's library, and without reading its arrays.

    Args:
        file: the file, at any position; it has a descriptor.

    Raises:
        RefusedModelError: it has structures that Keras and h5py do not write, or damaged ones.
    """
    with (
        refusing("damaged-weights"),
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        image = Image(data)
        waiting = [_root(image)]
        objects = 0
        while waiting:
            inside = list(_inside(image, waiting.pop()))
            objects += len(inside)
            if objects > MAX_OBJECTS:
                raise refusal("too-many-arrays")
            waiting += inside


def _root(image: Image) -> _Entry:
    if image.data[: len(HDF5_SIGNATURE)] != HDF5_SIGNATURE:
        raise refusal("damaged-weights")
    (version,) = image.numbers("B", 8)
    if version != 0:
        raise refusal("odd-hdf5")
    if image.numbers("8B2H", 8) != _SUPERBLOCK:
        raise refusal("damaged-weights")
    base, free, end, driver = image.numbers("4Q", 24)
    if base != 0 or free != UNDEFINED or driver != UNDEFINED:
        raise refusal("odd-hdf5")
    image.check_inside(0, end)
    return _entry(image, 56, depth=0)


def _entry(image: Image, position: int, depth: int) -> _Entry:
    """The entry of a symbol table at a position."""
    header, kind, tree, heap = image.numbers("8xQL4x2Q", position)
    match kind:
        case 0:
            return _Entry(header, depth, None)
        case 1:
            return _Entry(header, depth, (tree, heap))
        case 2:
            raise refusal("soft-link")
    raise refusal("damaged-weights")


def _inside(image: Image, entry: _Entry) -> Iterator[_Entry]:
    """Checks an object; the entries of a group follow."""
    if entry.depth > MAX_HDF5_DEPTH:
        raise refusal("too-deep")
    if entry.header in image.visited:
        raise refusal("shared-storage")
    messages = _messages(image, entry.header)
    for start, end in messages[_ATTRIBUTE]:
        check_attribute(image, start, end)
    if messages[_SYMBOLS]:
        if not _OF_ARRAYS.isdisjoint(kind for kind in messages if messages[kind]):
            raise refusal("damaged-weights")
        tree, heap = image.numbers("2Q", messages[_SYMBOLS][0][0])
        if entry.cached not in {None, (tree, heap)}:
            raise refusal("damaged-weights")
        yield from _group(image, tree, heap, entry.depth + 1)
    elif entry.cached:
        raise refusal("damaged-weights")
    else:
        _check_array(image, messages)


def _messages(image: Image, header: int) -> _Messages:
    """All messages of an object header, after their kinds and places were checked."""
    image.enter(header, 16)
    version, count, length = image.numbers("BxH4xL", header)
    if version != 1:
        raise refusal("odd-hdf5")
    result: _Messages = defaultdict(list)
    blocks = [(header + 16, length)]
    # The list grows in the loop: a block may say where the next one is.
    for start, length in blocks:
        image.enter(start, length)
        position, end = start, start + length
        while position + 8 <= end:
            kind, size, flags = image.numbers("HHB", position)
            position += 8
            image.spend(1)
            # The first flag says that a message never changes, the second that it is elsewhere.
            if flags & ~1:
                raise refusal("odd-hdf5")
            if size > end - position:
                raise refusal("damaged-weights")
            if kind == _CONTINUATION:
                blocks.append(image.numbers("2Q", position))
            result[kind].append((position, position + size))
            position += size
    _check_kinds(image, result)
    if sum(map(len, result.values())) != count or any(len(result[kind]) > 1 for kind in _ONCE):
        raise refusal("damaged-weights")
    return result


def _check_kinds(image: Image, messages: _Messages) -> None:
    if messages[_EXTERNAL]:
        raise refusal("external-storage")
    for start, _ in messages[_LINK]:
        # Links that lead elsewhere turn a group into one of the newer format.
        version, flags, kind = image.numbers("3B", start)
        if version == 1 and flags & 8:
            raise refusal({1: "soft-link", 64: "external-link"}.get(kind, "odd-hdf5"))
    if not _ALLOWED.issuperset(kind for kind in messages if messages[kind]):
        raise refusal("odd-hdf5")


# --- Groups -----------------------------------------------------------------------------------


def _group(image: Image, tree: int, heap: int, depth: int) -> Iterator[_Entry]:
    """The entries of a group: a tree leads to nodes of symbols, a heap holds their names."""
    names, size = _names(image, heap)
    for key in _leaves(image, tree, 0, 8, _MAX_GROUP_CHILDREN):
        (node,) = image.numbers("Q", key + 8)
        image.enter(node, 8, b"SNOD\x01")
        (count,) = image.numbers("H", node + 6)
        if count > _MAX_SYMBOLS:
            raise refusal("damaged-weights")
        image.check_inside(node + 8, 40 * count)
        image.spend(count)
        for position in range(node + 8, node + 8 + 40 * count, 40):
            (offset,) = image.numbers("Q", position)
            if offset >= size or image.data.find(b"\0", names + offset, names + size) < 0:
                raise refusal("damaged-weights")
            yield _entry(image, position, depth)


def _names(image: Image, heap: int) -> tuple[int, int]:
    """Where a heap has its names, and how many bytes; its list of free places is followed."""
    image.enter(heap, 32, b"HEAP\0")
    size, free, names = image.numbers("8x3Q", heap)
    image.enter(names, size)
    seen = set()
    # The offset 1 ends the list.
    while free not in {1, UNDEFINED}:
        image.spend(1)
        following, length = image.numbers("2Q", names + free)
        if free in seen or length < 16 or free + length > size:
            raise refusal("damaged-weights")
        seen.add(free)
        free = following
    return names, size


def _leaves(
    image: Image, tree: int, kind: int, key: int, most: int, level: int | None = None
) -> Iterator[int]:
    """The positions of the keys in the lowest nodes of a tree; the child's address follows a key.

    Args:
        image: the file.
        tree: the address of a node.
        kind: 0 for a group, 1 for the chunks of an array.
        key: the bytes of a key.
        most: how many children a node may have.
        level: of the node; None for the first one.
    """
    image.enter(tree, 24, b"TREE")
    found, own_level, count = image.numbers("BBH", tree + 4)
    if found != kind or count > most or level not in {None, own_level}:
        raise refusal("damaged-weights")
    image.check_inside(tree + 24, count * (key + 8))
    for position in range(tree + 24, tree + 24 + count * (key + 8), key + 8):
        if own_level == 0:
            yield position
        else:
            (child,) = image.numbers("Q", position + key)
            yield from _leaves(image, child, kind, key, most, own_level - 1)


# --- Arrays -----------------------------------------------------------------------------------


def _check_array(image: Image, messages: _Messages) -> None:
    if not messages[_LAYOUT] or not messages[_DATASPACE]:
        raise refusal("damaged-weights")
    for start, end in messages[_DATATYPE]:
        check_type(image, start, end, OF_ARRAYS)
    axes = len(dimensions(image, *messages[_DATASPACE][0]))
    if axes > MAX_RANK:
        raise refusal("odd-type")
    start, end = messages[_LAYOUT][0]
    version, layout = image.numbers("2B", start)
    if layout == _VIRTUAL:
        raise refusal("virtual-data")
    if version != 3:
        raise refusal("odd-hdf5")
    match layout:
        case 0:  # in the header itself
            (size,) = image.numbers("H", start + 2)
            if start + 4 + size > end:
                raise refusal("damaged-weights")
        case 1:  # in one piece
            _check_data(image, *image.numbers("2Q", start + 2))
        case 2:  # in chunks
            sides, tree = image.numbers("BQ", start + 2)
            # The bytes of a value count as one more axis.
            if sides != axes + 1 or start + 11 + 4 * sides > end:
                raise refusal("damaged-weights")
            if tree != UNDEFINED:
                _check_chunks(image, tree, 8 + 8 * sides)
        case _:
            raise refusal("damaged-weights")


def _check_chunks(image: Image, tree: int, key: int) -> None:
    """A key begins with the bytes of its chunk."""
    for count, position in enumerate(_leaves(image, tree, 1, key, _MAX_CHUNK_CHILDREN)):
        if count >= MAX_CHUNKS:
            raise refusal("weights-bomb")
        (size,) = image.numbers("L", position)
        (address,) = image.numbers("Q", position + key)
        _check_data(image, address, size)


def _check_data(image: Image, address: int, size: int) -> None:
    # An array that nothing was written to has no place yet.
    if address != UNDEFINED:
        image.check_inside(address, size)
