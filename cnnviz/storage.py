"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import uuid
from pathlib import Path

from cnnviz.errors import StorageError

# How the names of the pictures of a photo end.
OVERLAY = ".overlay.png"
CONTRAST = ".contrast.png"

# While a file is written it has such a name.
UNFINISHED = ".*.part"

_FULL = {errno.ENOSPC, errno.EDQUOT}


def replace_file(path: Path, data: bytes | memoryview) -> None:
    """Writes a file; what was there stays until all of the new one is written.

    Raises:
        OSError: it cannot be written.
    """
    # Processes of several machines may write into one folder: a process id would not do.
    part = path.with_name(UNFINISHED.replace("*", uuid.uuid4().hex))
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file, in a folder that is made if missing; what was there is replaced.

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
