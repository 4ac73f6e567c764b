"""The ZIP archive of a ``.keras`` file: exactly three members, each of bounded size."""

from __future__ import annotations

import stat
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final, NamedTuple

from cnnviz.inspection.limits import MAX_EXPANSION, MAX_FILE_BYTES, MAX_JSON_BYTES, SMALL
from cnnviz.inspection.refusals import refusal, refusing

CONFIG: Final = "config.json"
METADATA: Final = "metadata.json"
WEIGHTS: Final = "model.weights.h5"
MEMBERS: Final = frozenset({CONFIG, METADATA, WEIGHTS})

# The end record of an archive: signature, disks, entries, directory's size and offset, comment.
_END: Final = struct.Struct("<4s4H2LH")
_END_SIGNATURE: Final = b"PK\x05\x06"
# Of ZIP64, before it: where a second end record is, which overrules the first.
_LOCATOR_BYTES: Final = 20
_LOCATOR_SIGNATURE: Final = b"PK\x06\x07"
_MAX_ENTRIES: Final = 64
_MAX_DIRECTORY_BYTES: Final = 1 << 16
_BLOCK: Final = 1 << 20


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, after its list of members has been checked.

    Raises:
        RefusedModelError: it is no archive, or not one as Keras writes it.
    """
    with refusing("damaged-archive"):
        end = read_end(path)
        if end.zip64:
            raise refusal("damaged-archive")
        check_directory(end, _MAX_ENTRIES, _MAX_DIRECTORY_BYTES)
        archive = zipfile.ZipFile(path)
    with archive:
        _check_members(archive.infolist())
        yield archive


class End(NamedTuple):
    """What the end record of an archive says of its list of members.

    Attributes:
        entries: how many members there are.
        size: of the list, in bytes.
        zip64: whether a second end record, of the format ZIP64, overrules this one.
    """

    entries: int
    size: int
    zip64: bool


def read_end(path: Path, most_comment: int = 0) -> End:
    """Reads the end record, which `zipfile` finds in the same place.

    Args:
        path: the archive.
        most_comment: the longest comment behind the record that is allowed, in bytes.

    Raises:
        RefusedModelError: the file does not end with the record and its comment.
    """
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(-min(length, _LOCATOR_BYTES + _END.size + most_comment), 2)
        tail = file.read()
    start = tail.rfind(_END_SIGNATURE, 0, max(0, len(tail) - _END.size + len(_END_SIGNATURE)))
    if start < 0:
        raise refusal("damaged-archive")
    *_, entries, size, _, comment = _END.unpack_from(tail, start)
    if start + _END.size + comment != len(tail) or comment > most_comment:
        raise refusal("damaged-archive")
    zip64 = tail.startswith(_LOCATOR_SIGNATURE, max(0, start - _LOCATOR_BYTES))
    return End(entries, size, zip64)


def check_directory(end: End, most_entries: int, most_bytes: int) -> None:
    """Refuses long lists of members before `zipfile` reads them into memory.

    Raises:
        RefusedModelError: the list is too long.
    """
    if end.entries > most_entries or end.size > most_bytes:
        raise refusal("extra-member")


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    for member in members:
        check_member(member)
    if len(set(names)) < len(names):
        raise refusal("duplicate-member")
    if set(names) - MEMBERS:
        raise refusal("extra-member" if CONFIG in names else "not-a-model")
    if MEMBERS - set(names):
        raise refusal("missing-member")


def check_member(member: zipfile.ZipInfo) -> None:
    """Refuses a member that is an attack, or packed as Keras never does it.

    Raises:
        RefusedModelError: it is.
    """
    check_name(member)
    # Bit 0 is the password, bit 6 strong encryption, bit 13 a masked directory.
    if member.flag_bits & 0x2041:
        raise refusal("encrypted-member")
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise refusal("exotic-compression")
    if member.file_size > MAX_FILE_BYTES or (
        member.file_size > max(SMALL, MAX_EXPANSION * member.compress_size)
    ):
        raise refusal("zip-bomb")


def check_name(member: zipfile.ZipInfo) -> None:
    """Refuses a member that reaches out of its folder.

    Raises:
        RefusedModelError: it does.
    """
    path = PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in member.filename:
        raise refusal("path-traversal")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise refusal("symlink")


def read_text(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of a JSON member.

    Raises:
        RefusedModelError: it is too long or damaged.
    """
    if archive.getinfo(name).file_size > MAX_JSON_BYTES:
        raise refusal("too-long")
    with refusing("damaged-archive"):
        return archive.read(name)


@contextmanager
def unpacked(archive: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    """A member as a temporary file without a name, which can be read at any offset.

    Raises:
        RefusedModelError: the member is damaged.
    """
    with tempfile.TemporaryFile() as file:
        copy_member(archive, name, file)
        file.seek(0)
        yield file


def copy_member(archive: zipfile.ZipFile, name: str, target: IO[bytes]) -> None:
    """Unpacks a member into a file.

    Raises:
        RefusedModelError: the member is damaged.
    """
    with refusing("damaged-archive"), archive.open(name) as member:
        while block := member.read(_BLOCK):
            target.write(block)
