"""Limits that a process sets on itself, for good, before it opens an untrusted file.

The code that reads models and photos is native and large. A file that exploits a bug in it
controls a process with little memory, without a network, without a way to start programs, and
with no files but those that it needs.
"""

from __future__ import annotations

import ctypes
import logging
import os
import struct
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from cnnviz.sandbox import landlock, seccomp
from cnnviz.settings import PACKAGE

_log = logging.getLogger(__name__)

# More than a copy of any model that passes the inspection takes: see `inspection.limits`.
_MOST_FILE_BYTES = 3 << 30

# The options of prctl that are used, and the version of the structure of capset.
_SET_DUMPABLE, _DROP_FROM_BOUNDING_SET, _SET_NO_NEW_PRIVILEGES = 4, 24, 38
_CAPABILITY_VERSION = 0x20080522
_MOST_CAPABILITIES = 64

# What Python and TensorFlow read besides their own folders: libraries, time zones, processors.
_SYSTEM_FILES = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/self/cmdline",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/dev/urandom",
)


# The variables of the parent that a confined process gets: languages, libraries, threads.
_VARIABLES = (
    "KERAS_BACKEND",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "PYTHONHOME",
    "PYTHONPATH",
    "TF_ENABLE_ONEDNN_OPTS",
    "TZ",
)


def environment(folder: str | Path) -> dict[str, str]:
    """The whole environment with which to start a process that is to be confined.

    Args:
        folder: of its temporary files; it takes the place of the home folder, too.
    """
    named = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    return named | {
        # Graphics cards need devices and calls that are refused.
        "CUDA_VISIBLE_DEVICES": "-1",
        "HOME": str(folder),
        # Each of glibc's heaps takes address space, which is what is limited.
        "MALLOC_ARENA_MAX": "4",
        # Otherwise NumPy starts threads when it is imported.
        "OPENBLAS_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TMPDIR": str(folder),
    }


def confine(memory: int, read: Iterable[Path] = (), write: Iterable[Path] = ()) -> None:
    """Sets the limits on this process, and on all that it starts; they cannot be lifted.

    Afterwards the process can read Python, its libraries, cnnviz's own code and ``read``, change
    ``write``, and use the files that are open. It has no network, no sockets, no capabilities,
    starts no process and no program, and reaches no other process. A refused call fails with
    ``PermissionError``, or as if the kernel did not know it. ``missing_protections`` names what
    this system cannot enforce.

    It must be called before the process has a second thread: the kernel binds only the thread
    that asks, and those that it starts. NumPy starts threads when it is imported.

    Args:
        memory: bytes of address space.
        read: files, and folders with all that is in them, that may be read; they exist already.
        write: the same, that may also be changed. ``TMPDIR`` and ``HOME`` should name one.

    Raises:
        RuntimeError: the process has several threads.
        OSError: the kernel has a protection and refused to set it.
    """
    tasks = Path("/proc/self/task")
    if tasks.is_dir() and len(list(tasks.iterdir())) > 1:
        raise RuntimeError("A process must be confined before it starts a thread.")
    limit_resources(RLIMIT_CORE=0, RLIMIT_AS=memory, RLIMIT_FSIZE=_MOST_FILE_BYTES)
    protect_memory()
    if sys.platform != "linux":
        return
    _drop_capabilities()
    # Without this a process that is not root may set no further limits.
    _prctl(_SET_NO_NEW_PRIVILEGES, 1)
    null = Path("/dev/null")
    landlock.restrict(read=[*_python_files(), *read], write=[null, *write])
    seccomp.restrict()


def limit_resources(**most: int) -> None:
    """Limits what this process may use, for good; where there are stricter limits, these stay.

    Args:
        most: the limits by their names in the module ``resource``, such as ``RLIMIT_AS=1 << 32``.
    """
    # Windows has no such module.
    import resource

    for name, value in most.items():
        kind = getattr(resource, name)
        _, ceiling = resource.getrlimit(kind)
        allowed = value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)
        try:
            resource.setrlimit(kind, (allowed, allowed))
        except (ValueError, OSError):
            _log.warning("This system does not limit a process: %s.", name)


def protect_memory() -> None:
    """Keeps this user's other processes from this one's memory and open files, and core dumps."""
    if sys.platform == "linux":
        _prctl(_SET_DUMPABLE, 0)


def missing_protections() -> list[str]:
    """What ``confine`` cannot enforce on this system, in words; empty where nothing is missing."""
    if sys.platform != "linux":
        return ["all limits but those on processor time: they need Linux"]
    lacks = [] if seccomp.is_available() else ["a filter of system calls for this processor"]
    return [*landlock.missing(landlock.version()), *lacks]


def _python_files() -> list[Path]:
    """The folders and files from which Python, its packages and system libraries are read."""
    # Standard library and packages of this environment, and of the one that it was made from.
    folders = {Path(path) for name, path in sysconfig.get_paths().items() if name.endswith("lib")}
    folders |= {Path(prefix, "lib") for prefix in (sys.base_prefix, sys.base_exec_prefix)}
    # Also those of the user, and of systems that have more of them.
    searched = map(Path, sys.path)
    folders |= {path for path in searched if path.name in {"site-packages", "dist-packages"}}
    return [*sorted(folders), *map(Path, _SYSTEM_FILES), Path(sys.prefix, "pyvenv.cfg"), PACKAGE]


def _drop_capabilities() -> None:
    """Gives up all privileges of root; other users have none."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_MOST_CAPABILITIES):
        # Fails for numbers that the kernel does not have, and for processes without privileges.
        libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    if libc.capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "The capabilities cannot be dropped.")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed.")
