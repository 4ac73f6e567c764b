"""Pictures in NumPy's array files, by number: ``mnist.npz#22`` is picture 22 of a data set.

One picture is read, not the whole array. Nothing in such a file is unpickled.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnviz.errors import PhotoError
from cnnviz.photos.checks import check_size

# Taken where a file has it and no name is given: the pictures that a network has not seen.
_PREFERRED = "x_test"
_REFERENCE = re.compile(r"(?P<path>.+\.np[yz])#(?:(?P<array>.+)/)?(?P<number>[^/]*)", re.IGNORECASE)
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    zipfile.BadZipFile,
)


class ArrayReference(NamedTuple):
    """A picture in an array file.

    Attributes:
        path: the file, ``.npy`` or ``.npz``.
        array: the name of the array, None for the first with pictures.
        number: its index, as text.
    """

    path: Path
    array: str | None
    number: str

    @property
    def stem(self) -> str:
        """A name for files about the picture: ``mnist-22``."""
        return "-".join(filter(None, (self.path.stem, self.array, self.number)))


def array_reference(name: str | Path) -> ArrayReference | None:
    """The picture that ``FILE.npz#NUMBER`` or ``FILE.npz#ARRAY/NUMBER`` names; else None."""
    match = _REFERENCE.fullmatch(str(name))
    if match is None or Path(name).exists():
        return None
    return ArrayReference(Path(match["path"]), match["array"], match["number"])


def read_array_picture(reference: ArrayReference) -> NDArray[np.uint8]:
    """Reads one picture of an array: (h, w) or (h, w, 3) uint8.

    Raises:
        PhotoError: the file is missing or damaged, it has no such array of pictures, or that has
            no such picture.
    """
    path, name, number = reference
    if not re.fullmatch(r"[0-9]{1,12}", number):
        raise PhotoError(
            f"{path.name}#{number}: after # comes the number of a picture, counted from 0, such "
            f"as {path.name}#22 or {path.name}#x_train/22.",
            "number",
        )
    # Reading a pipe would block forever.
    if not path.is_file():
        raise PhotoError(f"{path.name} cannot be opened: there is no such file.", "missing")
    try:
        with path.open("rb") as file:
            if path.suffix.lower() == ".npy":
                if name is not None:
                    raise PhotoError(f"{path.name} holds one array, without a name.", "array")
                return _read(file, path.name, int(number))
            with zipfile.ZipFile(file) as archive:
                chosen = name or _first_with_pictures(archive, path.name)
                with _open_member(archive, path.name, chosen) as member:
                    return _read(member, f"{chosen} of {path.name}", int(number))
    except _UNREADABLE as error:
        raise PhotoError(
            f"{path.name} cannot be read: it is damaged, or no file of NumPy's arrays.", "damaged"
        ) from error


def _read(file: IO[bytes], title: str, number: int) -> NDArray[np.uint8]:
    """One picture of the array in an open ``.npy`` file."""
    shape, by_columns, dtype = _header(file)
    if not _holds_pictures(shape, dtype):
        raise PhotoError(
            f"{title} holds no pictures: they are (N, height, width) or (N, height, width, 1 or "
            f"3) of type uint8. Received: {shape} of type {dtype}.",
            "array",
        )
    if number >= shape[0]:
        raise PhotoError(
            f"{title} has no picture {number:,}: it holds {shape[0]:,}, counted from 0.", "number"
        )
    # The values of one picture are all over such an array.
    if by_columns:
        raise PhotoError(
            f"{title} is in Fortran order: save numpy.ascontiguousarray of it, and name that file.",
            "array",
        )
    check_size(shape[2], shape[1])
    size = math.prod(shape[1:])
    file.seek(file.tell() + number * size)
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    picture = np.frombuffer(data, np.uint8).reshape(shape[1:])
    return picture[..., 0] if shape[3:] == (1,) else picture


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """The header of an open ``.npy`` file, which then is at the values.

    Returns:
        The shape, whether the first axis changes fastest (Fortran order), and the type.
    """
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(np.lib.format.read_magic(file))
    if read is None:
        raise ValueError
    return read(file)


def _holds_pictures(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    has_planes = len(shape) == 3 or (len(shape) == 4 and shape[3] in {1, 3})
    return has_planes and dtype == np.uint8 and min(shape[1:]) > 0


def _first_with_pictures(archive: zipfile.ZipFile, title: str) -> str:
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    held = []
    for name in sorted(names, key=lambda name: name != _PREFERRED):
        with _open_member(archive, title, name) as member:
            shape, _, dtype = _header(member)
        if _holds_pictures(shape, dtype):
            return name
        held.append(f"{name} {shape} of type {dtype}")
    raise PhotoError(
        f"{title} has no array of pictures: (N, height, width) or (N, height, width, 1 or 3) of "
        f"type uint8. It holds {', '.join(held) or 'nothing'}.",
        "array",
    )


@contextmanager
def _open_member(archive: zipfile.ZipFile, title: str, name: str) -> Iterator[IO[bytes]]:
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError as error:
        names = ", ".join(other.removesuffix(".npy") for other in archive.namelist())
        raise PhotoError(f"{title} has no array {name!r}. It holds {names}.", "array") from error
    # Python unpacks other compressions without a limit, however little is requested.
    if member.compress_type not in _COMPRESSIONS:
        raise NotImplementedError
    with archive.open(member) as file:
        yield file
