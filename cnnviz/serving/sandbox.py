"""Limits that a process sets on itself, for good, before it opens an untrusted model.

The code that reads models is native and large. A file that exploits a bug in it controls a
process with little memory, without a network, and without a way to start programs.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import platform
import resource
import struct
import sys

_log = logging.getLogger(__name__)

# More than a copy of any model that passes the inspection takes: see `inspection.limits`.
_MOST_FILE_BYTES = 3 << 30

# Numbers of Linux's system calls, by processor.
PROCESSORS: dict[str, tuple[int, int, int, int, tuple[int, ...]]] = {
    # architecture, seccomp, socket, clone, and what is refused whatever its arguments are:
    # connect, execve, execveat, ptrace, process_vm_readv, process_vm_writev, io_uring_setup, and,
    # where they exist, fork and vfork.
    "x86_64": (0xC000003E, 317, 41, 56, (42, 59, 322, 101, 310, 311, 425, 57, 58)),
    "aarch64": (0xC00000B7, 277, 198, 220, (203, 221, 281, 117, 270, 271, 425)),
}
# It starts threads and processes alike, and a filter cannot read which: glibc then uses clone.
_CLONE3 = 435

# The instructions of the kernel's packet filter that are used, and its possible results.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
_UNKNOWN = 0x00050000 | errno.ENOSYS
# The offsets of a call's number, architecture and first argument.
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
# The numbers of the 32-bit calls of a 64-bit kernel start here.
_OTHER_INTERFACE = 0x40000000
_LOCAL_SOCKET = 1
_A_THREAD = 0x10000
_NO_NEW_PRIVILEGES, _SET_FILTER, _ALL_THREADS = 38, 1, 1


# An instruction: its label, code and value, and for a comparison the labels of the instructions
# that follow when it is true, and when it is false.
_Step = tuple[str, int, int] | tuple[str, int, int, str, str]


def confine(memory: int) -> None:
    """Sets the limits on this process, and on all that it starts; they cannot be lifted.

    Args:
        memory: bytes of address space. Where the system has no such limit, as on macOS, it has
            no effect; neither have those on network and programs outside Linux.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, _MOST_FILE_BYTES),
    ):
        _, ceiling = resource.getrlimit(kind)
        allowed = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        try:
            resource.setrlimit(kind, (allowed, allowed))
        except (ValueError, OSError):
            _log.warning("This system does not limit the memory of a process.")
    if not _forbid_network_and_programs():
        _log.warning("This system does not keep a process from the network (no seccomp).")


def _forbid_network_and_programs() -> bool:
    """Has the kernel refuse network sockets and other programs; False where it cannot."""
    numbers = PROCESSORS.get(platform.machine())
    if sys.platform != "linux" or numbers is None:
        return False
    architecture, seccomp, socket, clone, refused = numbers
    program = filter_program(architecture, socket, clone, refused)
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    # Without this a process that is not root may not set a filter.
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return int(libc.syscall(seccomp, _SET_FILTER, _ALL_THREADS, header)) == 0


def filter_program(architecture: int, socket: int, clone: int, refused: tuple[int, ...]) -> bytes:
    """The filter program: run for every system call, it returns allow, refuse or kill."""
    return _assembled(
        [
            ("", _LOAD, _ARCHITECTURE),
            ("", _EQUAL, architecture, "", "kill"),
            ("", _LOAD, _NUMBER),
            *(("", _EQUAL, number, "refuse", "") for number in refused),
            ("", _AT_LEAST, _OTHER_INTERFACE, "refuse", ""),
            ("", _EQUAL, _CLONE3, "unknown", ""),
            ("", _EQUAL, clone, "clone", ""),
            ("", _EQUAL, socket, "socket", "allow"),
            ("clone", _LOAD, _FIRST_ARGUMENT),
            ("", _ANY_BIT, _A_THREAD, "allow", "refuse"),
            ("socket", _LOAD, _FIRST_ARGUMENT),
            ("", _EQUAL, _LOCAL_SOCKET, "allow", "refuse"),
            ("kill", _ANSWER, _KILL),
            ("refuse", _ANSWER, _REFUSE),
            ("unknown", _ANSWER, _UNKNOWN),
            ("allow", _ANSWER, _ALLOW),
        ]
    )


def _assembled(steps: list[_Step]) -> bytes:
    """The bytes of a program; a jump names a label, or is "" for the next instruction."""
    labels = {label: index for index, (label, *_) in enumerate(steps) if label}
    program = b""
    for index, (_, code, value, *jumps) in enumerate(steps):
        # A jump is the number of instructions to skip, and only goes forwards.
        skipped = [labels[label] - index - 1 if label else 0 for label in jumps] or [0, 0]
        program += struct.pack("=HBBI", code, *skipped, value)
    return program
