"""A filter of system calls, which the kernel runs for every call of a process; for good."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

from cnnviz.sandbox.system_calls import (
    ALLOWED,
    ARCHITECTURES,
    CHECKED,
    FATAL,
    PROCESSORS,
    RECENT,
    SECCOMP,
    Numbers,
)

# The instructions of the kernel's packet filter that are used, and its possible results.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
_UNKNOWN = 0x00050000 | errno.ENOSYS
# The offsets of a call's number, architecture, and lower halves of its first two arguments.
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
# The numbers of the 32-bit calls of a 64-bit kernel start here.
_OTHER_INTERFACE = 0x40000000
_SET_FILTER = 1

# clone: the flag that makes a thread, which no process has.
_THREAD = 0x10000
# ioctl: close on execution or not, the settings of a terminal (is this one?), do not block. Not
# among them: typing into the terminal of the server.
_DEVICE_COMMANDS = (0x5450, 0x5451, 0x5401, 0x5421)
# fcntl: duplicates, flags and locks. Not among them: signals to a chosen process.
_FILE_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030)
# prctl: names of threads and of memory.
_PROCESS_COMMANDS = (15, 16, 0x53564D41)
# arch_prctl, which only x86_64 has: the processor's registers for matrices.
_REGISTER_COMMANDS = (0x1021, 0x1022, 0x1023)

# An instruction: its label, code and value, and for a comparison the labels of the instructions
# that follow when it is true, and when it is false.
_Step = tuple[str, int, int] | tuple[str, int, int, str, str]


def is_available() -> bool:
    """Whether there is a filter for this system and processor."""
    return sys.platform == "linux" and platform.machine() in PROCESSORS


def restrict() -> None:
    """Sets the filter for this thread and those that it starts; without one it has no effect.

    The process must have given up new privileges.

    Raises:
        OSError: the kernel refused the filter.
    """
    if not is_available():
        return
    processor = PROCESSORS[platform.machine()]
    program = filter_program(processor, os.getpid())
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(SECCOMP[processor], _SET_FILTER, 0, header) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")


def filter_program(processor: int, process: int) -> bytes:
    """The filter program: it returns allow, refuse, unknown or kill for a system call.

    Args:
        processor: a value of ``PROCESSORS``.
        process: the id of the process, which may signal only its own threads.
    """
    # For a call the argument that is compared, and the values that are allowed.
    compared = {
        "arch_prctl": (_FIRST, _REGISTER_COMMANDS),
        "fcntl": (_SECOND, _FILE_COMMANDS),
        "ioctl": (_SECOND, _DEVICE_COMMANDS),
        "prctl": (_FIRST, _PROCESS_COMMANDS),
        # 0 is the process itself.
        "prlimit64": (_FIRST, (0, process)),
        "tgkill": (_FIRST, (process,)),
    }
    checks: list[_Step] = []
    for name, (argument, values) in compared.items():
        checks.append((name, _LOAD, argument))
        checks += [("", _EQUAL, value, "allow", "") for value in values]
        checks.append(("", _ANSWER, _REFUSE))
    return _assembled(
        [
            ("", _LOAD, _ARCHITECTURE),
            ("", _EQUAL, ARCHITECTURES[processor], "", "kill"),
            ("", _LOAD, _NUMBER),
            ("", _AT_LEAST, _OTHER_INTERFACE, "kill", ""),
            *(("", _EQUAL, one, "allow", "") for one in _numbers(ALLOWED, processor).values()),
            *(("", _EQUAL, one, "kill", "") for one in _numbers(FATAL, processor).values()),
            *(
                ("", _EQUAL, number, name, "")
                for name, number in _numbers(CHECKED, processor).items()
            ),
            # Among them clone3, whose flags a filter cannot read: glibc then uses clone.
            ("", _AT_LEAST, RECENT, "unknown", "refuse"),
            ("clone", _LOAD, _FIRST),
            ("", _ANY_BIT, _THREAD, "allow", "refuse"),
            *checks,
            ("kill", _ANSWER, _KILL),
            ("refuse", _ANSWER, _REFUSE),
            ("unknown", _ANSWER, _UNKNOWN),
            ("allow", _ANSWER, _ALLOW),
        ]
    )


def _numbers(calls: Numbers, processor: int) -> dict[str, int]:
    """The calls that a processor has."""
    found = {name: numbers[processor] for name, numbers in calls.items()}
    return {name: number for name, number in found.items() if number is not None}


def _assembled(steps: list[_Step]) -> bytes:
    """The bytes of a program; a jump names a label, or is "" for the next instruction."""
    labels = {label: index for index, (label, *_) in enumerate(steps) if label}
    program = b""
    for index, (_, code, value, *jumps) in enumerate(steps):
        # A jump is the number of instructions to skip: forwards, and at most 255.
        skipped = [labels[label] - index - 1 if label else 0 for label in jumps] or [0, 0]
        program += struct.pack("=HBBI", code, *skipped, value)
    return program
