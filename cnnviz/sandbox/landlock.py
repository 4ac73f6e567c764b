"""Landlock: Linux's rules for what a process, and all that it starts, may reach; for good.

The rules bind the calling thread and those that it starts afterwards. The kernel's documentation
is userspace-api/landlock.rst; each version of its interface adds kinds of access that it checks.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

# The same numbers on every processor.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_GET_VERSION, _PATH_BENEATH = 1, 1

# Rights on files, a bit each.
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_MOVE, _TRUNCATE = 1 << 13, 1 << 14
_READ = _READ_FILE | _READ_DIR
_WRITE = (
    _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_FILE | _MOVE | _TRUNCATE
)
# A rule for a file that is no folder may contain no right of folders.
_OF_FILES = _WRITE_FILE | _READ_FILE | _TRUNCATE

# The number of rights on files by version: the last are moves to other folders, truncation, and
# control of devices.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
# From these versions on the kernel checks TCP sockets, and signals and abstract sockets.
_NETWORK, _SCOPES = 4, 6
_ALL_NETWORK, _ALL_SCOPES = 0b11, 0b11


def version() -> int:
    """The version of Landlock's interface in this kernel; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, _libc().syscall(_CREATE_RULESET, None, 0, _GET_VERSION))


def missing(found: int) -> list[str]:
    """What a kernel with this version of the interface does not enforce, in words."""
    if found == 0:
        return ["Landlock, rules for files and processes (Linux 5.13)"]
    later = {
        3: "Landlock's rule for truncating files (Linux 6.2)",
        _NETWORK: "Landlock's rules for TCP (Linux 6.7)",
        _SCOPES: "Landlock's scopes for signals and abstract sockets (Linux 6.12)",
    }
    return [name for needed, name in later.items() if found < needed]


def restrict(read: Iterable[Path], write: Iterable[Path]) -> None:
    """Leaves this thread, and those that it starts, only these files, and none to execute.

    Where the kernel can, it also refuses TCP sockets, and signals and abstract sockets of
    processes outside. Without Landlock it has no effect. The process must have given up new
    privileges.

    Args:
        read: files, and folders with all that is in them, that may be read. Paths that do not
            exist, or that the user cannot reach, are passed over.
        write: the same, that may also be written, and with folders, changed.

    Raises:
        OSError: the kernel has Landlock and refused the rules.
    """
    found = version()
    if found == 0:
        return
    files = (1 << _FILE_RIGHTS[min(found, max(_FILE_RIGHTS))]) - 1
    network = _ALL_NETWORK if found >= _NETWORK else 0
    scopes = _ALL_SCOPES if found >= _SCOPES else 0
    attributes = struct.pack("=QQQ", files, network, scopes)
    # An older kernel accepts a longer structure whose unknown part is 0.
    rules = _called(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for rights, paths in ((_READ, read), (_WRITE, write)):
            for path in paths:
                _allow(rules, path, rights & files)
        _called(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    # What the user cannot reach needs no rule.
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not path.is_dir():
            rights &= _OF_FILES
        _called(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, file), 0)
    finally:
        # The kernel may forget a file of /proc that is not open, and make another one of that
        # name, which no rule is for.
        if not path.is_relative_to("/proc"):
            os.close(file)


def _called(number: int, *arguments: int | bytes) -> int:
    result = int(_libc().syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
