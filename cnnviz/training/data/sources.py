"""Photos in class folders, or in a zip of them: which there are, and their bytes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError, PhotoError
from cnnviz.photos.checks import MAX_BYTES, check_bytes
from cnnviz.photos.decoding import EXTENSIONS
from cnnviz.training.data.layouts import Listing, is_split_name, sort_photos
from cnnviz.training.data.zip_names import CodePage, read_names

# Bytes of a class's name: a file's name has at most 255, and an ending is added.
_LONGEST_NAME = 200
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# Names of other compressions, by their number in a zip.
_OTHER_COMPRESSIONS = {
    6: "Implode",
    9: "Deflate64",
    12: "BZip2",
    14: "LZMA",
    93: "Zstandard",
    95: "XZ",
    98: "PPMd",
}
# Of a member's flags: the password, strong encryption.
_ENCRYPTED = 0x41
_DRIVE = re.compile(r"[A-Za-z]:")


def list_photos(source: Path) -> Listing:
    """The photos of each class, and their split where the folders give one.

    A class is a folder, with everything below it; see ``layouts.sort_photos``. Hidden files are
    left out.

    Raises:
        DataError: there is no such folder or zip, it cannot be read, it cannot be decided
            which folders are the classes, or a class's name cannot be the name of a file.
    """
    if source.is_dir():
        try:
            listing = sort_photos(str(source), *_walk(source))
        except OSError as error:
            raise DataError(f"{source} cannot be read: {error.strerror}.") from error
    elif zipfile.is_zipfile(source):
        listing = _list_zip(source)
    else:
        raise DataError(f"{source} is neither a folder nor a zip file.")
    for label in listing.classes:
        _check_label(label)
    return listing


def _walk(source: Path) -> tuple[list[str], list[str]]:
    """The photos below a folder, and the folders, with slashes."""
    photos, folders = [], []
    for start in _starts(source):
        for folder, below, files in os.walk(start):
            place = Path(folder).relative_to(source)
            below[:] = [name for name in below if not _is_hidden(name)]
            folders.append(place.as_posix())
            photos += [(place / name).as_posix() for name in files if _is_photo(name)]
    return photos, folders


def _starts(source: Path) -> Iterator[Path]:
    """The folders of classes, for a walk.

    They may be links to folders elsewhere; links below them could form a circle.
    """
    for path in source.iterdir():
        if not path.is_dir() or _is_hidden(path.name):
            continue
        yield path
        if is_split_name(path.name):
            yield from (below for below in path.iterdir() if below.is_symlink() and below.is_dir())


def _list_zip(source: Path) -> Listing:
    with open_zip(source) as archive:
        members, page = read_members(archive)
    photos = {name for name in members if _is_photo(name)}
    outside = {name for name in photos if _leads_out(name)}
    listing = sort_photos(source.name, photos - outside, ())
    notes = list(listing.notes)
    guessed = sorted(name for name in photos if not name.isascii())
    if page is not None and guessed:
        notes.append(
            f"The names in {source.name} are not in Unicode; they were read as "
            f"{page.codec.upper()} ({page.title}), such as {guessed[0]}. If that is wrong, unpack "
            "the zip and use its folder, or make the zip again with names in UTF-8."
        )
    reason = "Its path leads out of the zip file."
    return replace(listing, notes=tuple(notes), left_out=dict.fromkeys(sorted(outside), reason))


def open_zip(source: Path) -> zipfile.ZipFile:
    """Opens a zip file.

    Raises:
        DataError: it is damaged.
    """
    try:
        return zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise DataError(f"{source} is a damaged zip file. Make or copy it again.") from error


def read_members(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], CodePage | None]:
    """The files in a zip by their names, and the code page that was guessed, if one was."""
    members = archive.infolist()
    try:
        names, page = read_names(members)
    except (ValueError, struct.error) as error:
        raise DataError(
            f"{archive.filename} is a damaged zip file. Make or copy it again."
        ) from error
    named = zip(names, members, strict=True)
    return {name: member for name, member in named if not name.endswith("/")}, page


def _check_label(label: str) -> None:
    """Raises ``DataError`` where neither a file nor a class of a card can have that name."""
    try:
        size = len(label.encode())
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= _LONGEST_NAME or not label.isprintable():
        raise DataError(
            f"The class {label[:80]!a} cannot have that name: take up to {_LONGEST_NAME} "
            "letters that can be read. Rename its folder."
        )


def _is_photo(name: str) -> bool:
    hidden = any(_is_hidden(part) for part in PurePosixPath(name).parts if part != "..")
    return not hidden and name.lower().endswith(tuple(f".{ending}" for ending in EXTENSIONS))


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))


def _leads_out(name: str) -> bool:
    """Whether a path in a zip is absolute, has a drive, or leads up."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or _DRIVE.match(name) is not None


def source_key(source: Path, listing: Listing, preprocessing: Preprocessing, seed: int) -> str:
    """SHA-256 that identifies these photos, prepared in this way."""
    stamps: dict[str, Any]
    if source.is_dir():
        names = (name for of_class in listing.classes.values() for name in of_class)
        stamps = {name: _stamp(source / name) for name in names}
    else:
        with open_zip(source) as archive:
            stamps = {name: member.CRC for name, member in read_members(archive)[0].items()}
    text = json.dumps([listing.classes, stamps, preprocessing.model_dump(), seed])
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    """Size and modification time of a file; zeros for a broken link."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


@contextmanager
def photo_reader(source: Path) -> Iterator[Callable[[str], bytes]]:
    """Opens a folder or zip: a function from a photo's path in it to the photo's bytes.

    The function returns at most one byte more than a photo may have, and raises ``PhotoError``
    where a photo cannot be read.
    """
    if source.is_dir():
        yield lambda name: _read_file(source / name)
        return
    with open_zip(source) as archive:
        members, _ = read_members(archive)
        yield lambda name: _read_member(archive, members[name])


def _read_file(path: Path) -> bytes:
    try:
        # Reading a pipe would block forever.
        if not path.is_file():
            raise FileNotFoundError
        check_bytes(path.stat().st_size)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PhotoError(
            "This file cannot be read: it is damaged, or not yours to open.", "unreadable"
        ) from error


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    _check_packing(member)
    try:
        with archive.open(member) as file:
            return file.read(MAX_BYTES + 1)
    except (
        OSError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        ValueError,
    ) as error:
        raise PhotoError(
            "This file cannot be read: it is damaged in the zip file.", "unreadable"
        ) from error


def _check_packing(member: zipfile.ZipInfo) -> None:
    """Raises ``PhotoError`` where a member is encrypted, or packed in a way that is not read."""
    if member.flag_bits & _ENCRYPTED:
        raise PhotoError(
            "This file is encrypted. Make the zip again without a password.", "encrypted"
        )
    # Python unpacks other compressions without a limit, however little is requested.
    if member.compress_type not in _COMPRESSIONS:
        number = member.compress_type
        name = _OTHER_COMPRESSIONS.get(number, f"method {number}")
        raise PhotoError(
            f"This file is packed with {name}, which cannot be unpacked within a limit on memory. "
            "Make the zip again with the compression Deflate, or unpack it and use its folder.",
            "packing",
        )
