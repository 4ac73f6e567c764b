"""Photos in class folders, or in a zip of them: which there are, and their bytes."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError, PhotoError
from cnnviz.photos.checks import MAX_BYTES
from cnnviz.photos.decoding import EXTENSIONS

# Bytes of a class's name: a file's name has at most 255, and an ending is added.
_LONGEST_NAME = 200
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def list_photos(source: Path) -> dict[str, list[str]]:
    """The photos of each class, in order: paths inside the folder or zip, with slashes.

    A class is a folder at the top, with everything below it. Hidden files are left out. In a zip
    the class folders may be inside other folders.

    Raises:
        DataError: there is no such folder or zip, it cannot be read, or a class's name cannot
            be the name of a file.
    """
    if source.is_dir():
        try:
            folders = [path.name for path in source.iterdir() if path.is_dir()]
        except OSError as error:
            raise DataError(f"{source} cannot be read: {error.strerror}.") from error
        names = [
            Path(folder, name).relative_to(source).as_posix()
            # A class may be a link to a folder elsewhere; links below it could form a circle.
            for top in folders
            for folder, _, files in os.walk(source / top)
            for name in files
        ]
    elif zipfile.is_zipfile(source):
        names = [entry.filename for entry in _members(source) if not entry.is_dir()]
        folders = []
    else:
        raise DataError(f"{source} is neither a folder nor a zip file.")
    photos = {name: PurePosixPath(name) for name in sorted(set(names)) if _is_photo(name)}
    above = 0 if source.is_dir() else _folders_above(photos.values())
    listing: dict[str, list[str]] = {
        name: [] for name in sorted(folders) if not name.startswith((".", "__MACOSX"))
    }
    for name, path in photos.items():
        if len(path.parts) > above + 1:
            listing.setdefault(path.parts[above], []).append(name)
    for label in listing:
        _check_label(label)
    return dict(sorted(listing.items()))


def _members(source: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(source) as archive:
            return archive.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise DataError(f"{source} is a damaged zip file. Make or copy it again.") from error


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
    parts = PurePosixPath(name).parts
    # A zip may contain an absolute path, which belongs to no class.
    hidden = any(part.startswith((".", "/", "__MACOSX")) for part in parts)
    return not hidden and name.lower().endswith(tuple(f".{ending}" for ending in EXTENSIONS))


def _folders_above(photos: Iterable[PurePosixPath]) -> int:
    """How many folders at the top of a zip contain all photos, and so are no classes.

    The folder that directly contains photos is a class, even if it is the only one.
    """
    parents = [photo.parent for photo in photos]
    if not parents:
        return 0
    shared = len(PurePosixPath(os.path.commonpath(parents)).parts)
    deepest = max(len(parent.parts) for parent in parents)
    return max(0, min(shared, deepest - 1))


def source_key(
    source: Path, listing: dict[str, list[str]], preprocessing: Preprocessing, seed: int
) -> str:
    """SHA-256 that identifies these photos, prepared in this way."""
    stamps: dict[str, Any]
    if source.is_dir():
        stamps = {name: _stamp(source / name) for names in listing.values() for name in names}
    else:
        stamps = {entry.filename: entry.CRC for entry in _members(source)}
    text = json.dumps([listing, stamps, preprocessing.model_dump(), seed])
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    """Size and modification time of a file; zeros for a broken link."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def read_photo(source: Path, archive: zipfile.ZipFile | None, name: str) -> bytes:
    """A photo's bytes, at most one more than a photo may have.

    Args:
        source: the folder or zip.
        archive: the open zip; None for a folder.
        name: the photo's path in it.

    Raises:
        PhotoError: it cannot be read.
    """
    try:
        if archive is None:
            return _read_file(source / name)
        # Python unpacks other compressions without a limit, however little is requested.
        if archive.getinfo(name).compress_type not in _COMPRESSIONS:
            raise NotImplementedError
        with archive.open(name) as file:
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
            "This file cannot be read: it is damaged, encrypted, packed in an uncommon way, or not "
            "yours to open.",
            "unreadable",
        ) from error


def _read_file(path: Path) -> bytes:
    # Reading a pipe would block forever.
    if not path.is_file():
        raise FileNotFoundError
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
