"""Files that are written completely or not at all, and what tells one file from another."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from cnnviz.errors import StorageError

# The endings of the names of the pictures that are written for a photo.
OVERLAY = ".overlay.png"
CONTRAST = ".contrast.png"
BOXES = ".boxes.png"

# The first bytes of an HDF5 file.
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

# The pattern of a file's name while it is being written.
UNFINISHED = ".*.part"

_FULL = {errno.ENOSPC, errno.EDQUOT}

# Device and number of a file, its size, and when it was written, in nanoseconds since 1970.
FileIdentity = tuple[int, int, int, int]


@dataclass(frozen=True)
class HashedFile:
    """What a file held, and which file that was.

    Attributes:
        sha256: of its content, in hexadecimal.
        identity: another one is another file, or has another content.
    """

    sha256: str
    identity: FileIdentity


def card_path(model_path: str | Path) -> Path:
    """The path of the card that belongs to a model file."""
    return Path(model_path).with_suffix(".json")


def labels_path(model_path: str | Path) -> Path:
    """The path of the file with the class names of a model that has no card."""
    return Path(model_path).with_name("labels.txt")


def hash_file(path: Path) -> HashedFile:
    """Reads a whole file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        # First: who writes into the file while it is read changes its identity.
        identity = identity_of(os.fstat(file.fileno()))
        return HashedFile(hashlib.file_digest(file, "sha256").hexdigest(), identity)


def identity_of(status: os.stat_result) -> FileIdentity:
    """The identity of the file that a status was read of."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def replace_file(path: Path, data: bytes | memoryview) -> None:
    """Writes a file; the old one is kept until all of the new one is written.

    Raises:
        OSError: it cannot be written.
    """
    # Processes of several machines may write into one folder: their process ids may be equal.
    part = path.with_name(UNFINISHED.replace("*", uuid.uuid4().hex))
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file, in a folder that is made if missing; an old file is replaced.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}.", full=error.errno in _FULL
        ) from error


def make_private(folder: Path) -> None:
    """Makes a folder for this user alone; one that is there is checked as ``check_private`` does.

    Raises:
        StorageError: it cannot be made, or other users may write in it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(folder)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror}.", full=error.errno in _FULL
        ) from error


def check_private(folder: Path) -> None:
    """Checks that other users cannot replace what this user has put into a folder.

    Raises:
        StorageError: they can, or it belongs to one of them.
        OSError: it is not there.
    """
    check_owner(folder)
    # With the sticky bit others may only add files, which have another owner.
    mode = folder.stat().st_mode
    if sys.platform != "win32" and mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
        raise StorageError(
            f"Other users may write in {folder}: take that permission away, or choose another "
            "folder."
        )


def check_owner(path: Path) -> None:
    """Checks that a file or folder belongs to this user or to root; a link to it, too.

    Raises:
        StorageError: it belongs to somebody else.
        OSError: it is not there.
    """
    # Windows has neither such numbers nor such modes.
    if sys.platform == "win32":
        return
    if not {path.lstat().st_uid, path.stat().st_uid} <= {0, os.geteuid()}:
        raise StorageError(f"{path} belongs to another user.")


def read_small_file(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most so many.

    Raises:
        OSError: it cannot be read, is larger, or is no regular file: to read a pipe would block
            for ever, and a device has no end.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is no file")
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MB")
    return data
