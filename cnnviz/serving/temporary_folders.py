"""Temporary folders whose names hold their process's id, so that none outlives a server for long.

A process that is killed deletes nothing. The next one that makes a folder, or starts, sees from
the id in the name that the owner has ended, and deletes the folder.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

# cnnviz-KIND-PROCESS-RANDOM; Python's random part contains no "-".
_NAME = re.compile(r"cnnviz-[a-z]+-(\d+)-[^-]+")

# The folders of this process. In a container each server has the process id of the last one.
_own_names: set[str] = set()
_lock = threading.Lock()


def make(kind: str) -> TemporaryDirectory[str]:
    """Makes a folder of this process, and deletes those whose process has ended.

    Args:
        kind: what it is for, in small letters; part of the folder's name.
    """
    delete_leftovers()
    prefix = f"cnnviz-{kind}-{os.getpid()}-"
    with _lock:
        folder = TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
        _own_names.add(Path(folder.name).name)
    return folder


def delete_leftovers() -> None:
    """Deletes the folders, of whatever kind, of this user's processes that have ended."""
    with _lock:
        for folder in Path(tempfile.gettempdir()).glob("cnnviz-*"):
            name = _NAME.fullmatch(folder.name)
            if name and not _in_use(folder.name, int(name[1])) and _is_ours(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _in_use(name: str, owner: int) -> bool:
    return name in _own_names if owner == os.getpid() else _runs(owner)


def _is_ours(folder: Path) -> bool:
    try:
        # Any user may put a link into a shared folder; another process may just have deleted it.
        return folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
    except FileNotFoundError:
        return False


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    # A name may hold a number that is too large for a process id.
    except (ProcessLookupError, OverflowError):
        return False
    return True
