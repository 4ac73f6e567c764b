"""The bytes of an HDF5 file, and the numbers in them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from mmap import mmap
from typing import Any, Final

from cnnviz.inspection.limits import MAX_PARTS
from cnnviz.inspection.refusals import refusal

# What HDF5 writes where there is no address.
UNDEFINED: Final = 2**64 - 1


@dataclass
class Image:
    """The bytes of a file, and which of its structures were read.

    Attributes:
        data: all bytes.
        visited: the addresses of the structures that were read: none is read twice.
        left: how many parts of structures may still be read.
        heaps: of each global heap that was read, the lengths of its objects by their number.
    """

    data: mmap
    visited: set[int] = field(default_factory=set)
    left: int = MAX_PARTS
    heaps: dict[int, dict[int, int]] = field(default_factory=dict)

    def numbers(self, pattern: str, position: int) -> tuple[Any, ...]:
        """The little-endian numbers at a position.

        Raises:
            struct.error: they would be outside the file.
        """
        return struct.unpack_from(f"<{pattern}", self.data, position)

    def enter(self, address: int, length: int, signature: bytes = b"") -> None:
        """Begins to read a structure.

        Raises:
            RefusedModelError: it is outside the file, begins otherwise, or was read before.
        """
        self.check_inside(address, length)
        if address in self.visited or self.data[address : address + len(signature)] != signature:
            raise refusal("damaged-weights")
        self.visited.add(address)
        self.spend(1)

    def check_inside(self, address: int, length: int) -> None:
        """Refuses a range that is not inside the file."""
        if not 0 <= address <= len(self.data) - length:
            raise refusal("damaged-weights")

    def spend(self, parts: int) -> None:
        """Counts parts that are read, so that every file is read in bounded time."""
        self.left -= parts
        if self.left < 0:
            raise refusal("too-many-arrays")
