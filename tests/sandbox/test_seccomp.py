"""The filter program, run by a small interpreter, for every processor that it supports.

test_confinement.py tests that the kernel accepts it, and what a confined process then may do.
"""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from cnnviz.sandbox import seccomp
from cnnviz.sandbox.system_calls import ALLOWED, ARCHITECTURES, CHECKED, FATAL, PROCESSORS, SECCOMP

ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE, UNKNOWN = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
THREAD, PROCESS = 0x3D0F00, 0x1200011  # the flags with which glibc makes them
OWN_ID, OTHER_ID = 4321, 1234

# The kernel's own tables, where its headers are installed.
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}

# Calls that are refused, by number on each processor, from the kernel's tables.
REFUSED = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "sendto": (44, 206),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "kill": (62, 129), "tkill": (200, 130), "memfd_create": (319, 279), "shmget": (29, 194),
    "setpriority": (141, 140), "chmod": (90, None), "fchmodat": (268, 53), "link": (86, None),
    "symlinkat": (266, 36), "mknodat": (259, 33), "setuid": (105, 146), "keyctl": (250, 219),
}  # fmt: skip
# The same numbers on every processor, from Linux 5.1 on.
RECENT = {"clone3": 435, "pidfd_open": 434, "io_uring_setup": 425, "openat2": 437}


def answer(program: bytes, architecture: int, number: int, first: int = 0, second: int = 0) -> int:
    """The result of a program for a system call."""
    call = struct.pack("=IIQQQ", number, architecture, 0, first, second)
    value, index = 0, 0
    while True:
        code, yes, no, operand = struct.unpack_from("=HBBI", program, 8 * index)
        index += 1
        if code == 0x20:
            value = struct.unpack_from("=I", call, operand)[0]
        elif code == 0x06:
            return operand
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: value & operand != 0}
            index += yes if holds[code] else no


@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_filter_allows_what_a_network_needs_and_no_more(processor: str) -> None:
    index = PROCESSORS[processor]
    architecture = ARCHITECTURES[index]
    program = seccomp.filter_program(index, OWN_ID)

    def result(number: int, first: int = 0, second: int = 0) -> int:
        return answer(program, architecture, number, first, second)

    for calls, expected in ((ALLOWED, ALLOW), (FATAL, KILL), (REFUSED, REFUSE)):
        for name, numbers in calls.items():
            # The arguments make no difference.
            for first in (0, 1, THREAD, OWN_ID):
                if (number := numbers[index]) is not None:
                    assert result(number, first) == expected, name
    assert {result(number) for number in RECENT.values()} == {UNKNOWN}
    call = {name: numbers[index] for name, numbers in CHECKED.items()}
    assert result(call["clone"], THREAD) == ALLOW
    assert result(call["clone"], PROCESS) == REFUSE
    assert [result(call["tgkill"], pid) for pid in (OWN_ID, OTHER_ID)] == [ALLOW, REFUSE]
    assert [result(call["prlimit64"], pid) for pid in (0, OTHER_ID)] == [ALLOW, REFUSE]
    # TCGETS and TIOCSTI; F_GETFD and F_SETOWN; PR_SET_NAME and PR_SET_DUMPABLE.
    assert [result(call["ioctl"], 3, one) for one in (0x5401, 0x5412)] == [ALLOW, REFUSE]
    assert [result(call["fcntl"], 3, one) for one in (1, 8)] == [ALLOW, REFUSE]
    assert [result(call["prctl"], one) for one in (15, 4)] == [ALLOW, REFUSE]
    # Calls of other interfaces: 32 bits, or another processor.
    assert result(0x40000000) == KILL
    read = ALLOWED["read"][index]
    assert read is not None
    assert answer(program, architecture ^ 1, read) == KILL


@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_numbers_are_those_of_the_kernel(processor: str) -> None:
    header = HEADERS[processor]
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    found = re.findall(r"#define __NR(?:3264)?_(?:3264_)?(\w+)\s+(\d+)", header.read_text())
    numbers = {{"fstatat": "newfstatat"}.get(name, name): int(number) for name, number in found}
    index = PROCESSORS[processor]
    tables = ALLOWED | CHECKED | FATAL | REFUSED | {"seccomp": SECCOMP}
    assert {name: one[index] for name, one in tables.items()} == {
        name: numbers.get(name) for name in tables
    }
    assert {name: numbers.get(name) for name in RECENT} == RECENT
