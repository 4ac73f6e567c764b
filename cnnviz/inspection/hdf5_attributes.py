"""Attributes of an HDF5 file: types, dimensions, and the heaps that hold their texts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from cnnviz.inspection.hdf5_bytes import UNDEFINED, Image
from cnnviz.inspection.limits import MAX_OBJECTS
from cnnviz.inspection.refusals import refusal

# Classes of types, as far as Keras and h5py write them.
_INTEGER, _FLOAT, _TEXT, _OPAQUE, _ENUMERATION, _VARIABLE_LENGTH = 0, 1, 3, 5, 8, 9
OF_ARRAYS: Final = frozenset({_INTEGER, _FLOAT, _OPAQUE, _ENUMERATION})
_OF_ATTRIBUTES: Final = OF_ARRAYS | {_TEXT, _VARIABLE_LENGTH}

_MAX_AXES: Final = 32

# A global heap is a header of 16 bytes with its length at 8, then objects with a header of 16
# bytes each, their number at 0 and their length at 8. Number 0 is free space, and its length
# includes its header. A text in an attribute is its length, its heap and its number there.
_HEAP_SIGNATURE: Final = b"GCOL\x01"
_HEADER: Final = 16
_LEAST_HEAP: Final = 4096
_REFERENCE: Final = "LQL"
_REFERENCE_LENGTH: Final = 16


def check_attribute(image: Image, start: int, end: int) -> None:
    """Checks one attribute: a message from ``start`` to ``end``.

    Raises:
        RefusedModelError: a part of it is not as Keras and h5py write it.
    """
    version, flags, *lengths = image.numbers("BBHHH", start)
    position = start + 8
    if version == 3:
        # It has a byte for the encoding of its name; names in ASCII have version 1.
        position += 1
    elif version == 1:
        lengths = [_padded(length) for length in lengths]
    # A flag says that a type is kept elsewhere.
    if version not in {1, 3} or flags:
        raise refusal("odd-hdf5")
    name, kind, shape = _starts(position, lengths)
    values = shape + lengths[2]
    if values > end or b"\0" not in image.data[name:kind]:
        raise refusal("damaged-weights")
    class_, size = check_type(image, kind, shape, _OF_ATTRIBUTES)
    count = math.prod(dimensions(image, shape, values))
    if count > MAX_OBJECTS:
        raise refusal("too-long")
    if values + count * size > end:
        raise refusal("damaged-weights")
    if class_ == _VARIABLE_LENGTH:
        for position in range(values, values + count * size, size):
            _check_text(image, position)


def _padded(length: int) -> int:
    return -(-length // 8) * 8


def _starts(position: int, lengths: list[int]) -> Iterator[int]:
    """The positions of parts that follow one another."""
    for length in lengths:
        yield position
        position += length


def check_type(image: Image, start: int, end: int, allowed: frozenset[int]) -> tuple[int, int]:
    """The class of a type and the bytes of one value.

    Raises:
        RefusedModelError: the class is not among ``allowed``.
    """
    head, bits, size = image.numbers("BBxxL", start)
    version, class_ = head >> 4, head & 15
    if class_ not in allowed:
        raise refusal("odd-type")
    if version != 1:
        raise refusal("odd-hdf5")
    if start + 8 > end or not size:
        raise refusal("damaged-weights")
    if class_ == _VARIABLE_LENGTH:
        # Of variable length are texts alone, which are stored as bytes.
        inner, _ = check_type(image, start + 8, end, frozenset({_INTEGER, _TEXT}))
        if bits & 15 != 1 or size != _REFERENCE_LENGTH or inner not in {_INTEGER, _TEXT}:
            raise refusal("odd-type")
    if class_ == _ENUMERATION:
        check_type(image, start + 8, end, frozenset({_INTEGER}))
    return class_, size


def dimensions(image: Image, start: int, end: int) -> tuple[int, ...]:
    """The dimensions of an array: () of a single value.

    Raises:
        RefusedModelError: there are too many, or they are stored in another way.
    """
    version, axes, flags = image.numbers("BBB", start)
    # What h5py calls "empty" has version 2: it has no value at all.
    if version == 2 and image.data[start + 3] == 2:
        return (0,)
    # The first flag says that largest dimensions follow; the second one is of no use today.
    if version != 1 or flags & ~1:
        raise refusal("odd-hdf5")
    if axes > _MAX_AXES or start + 8 + axes * 8 * (1 + flags) > end:
        raise refusal("damaged-weights")
    return image.numbers(f"{axes}Q", start + 8)


def _check_text(image: Image, position: int) -> None:
    """Checks that a text is as long as it says: HDF5 reserves memory for it before it reads it."""
    length, heap, number = image.numbers(_REFERENCE, position)
    if length == 0 or heap == UNDEFINED:
        return
    if heap not in image.heaps:
        image.heaps[heap] = dict(_objects_of(image, heap))
    if length > image.heaps[heap].get(number, 0):
        raise refusal("damaged-weights")


def _objects_of(image: Image, heap: int) -> Iterator[tuple[int, int]]:
    """Number and length of each object of a heap, followed to the heap's end.

    HDF5's own reader runs forever on a damaged heap.

    Raises:
        RefusedModelError: an object has no length, or goes beyond the heap.
    """
    image.enter(heap, _HEADER, _HEAP_SIGNATURE)
    (size,) = image.numbers("Q", heap + 8)
    if size < _LEAST_HEAP:
        raise refusal("damaged-weights")
    image.check_inside(heap, size)
    position, end = heap + _HEADER, heap + size
    while position + _HEADER <= end:
        image.spend(1)
        number, length = image.numbers("H6xQ", position)
        step = _HEADER + _padded(length) if number else length
        if step < _HEADER or step > end - position:
            raise refusal("damaged-weights")
        if number:
            yield number, length
        position += step
