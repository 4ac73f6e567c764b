"""The filter program, run by a small interpreter, for every processor that it supports.

test_workers.py tests that the kernel accepts it, and what a confined process then may do.
"""

from __future__ import annotations

import errno
import struct

import pytest

from cnnviz.serving import sandbox

ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE, UNKNOWN = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
THREAD, PROCESS = 0x3D0F00, 0x1200011  # the flags with which glibc makes them
UNIX, INET, INET6, NETLINK = 1, 2, 10, 16

# A few calls by name, from the kernel's own tables.
CALLS = {
    "x86_64": {
        "read": 0, "mmap": 9, "clone": 56, "socket": 41, "socketpair": 53, "connect": 42,
        "fork": 57, "vfork": 58, "execve": 59, "ptrace": 101, "process_vm_readv": 310,
        "process_vm_writev": 311, "execveat": 322, "io_uring_setup": 425,
    },
    "aarch64": {
        "read": 63, "mmap": 222, "clone": 220, "socket": 198, "socketpair": 199, "connect": 203,
        "execve": 221, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271,
        "execveat": 281, "io_uring_setup": 425,
    },
}  # fmt: skip
HARMLESS = {"read", "mmap", "socketpair"}


def answer(program: bytes, architecture: int, number: int, first: int = 0) -> int:
    """The result of a program for a system call."""
    call = struct.pack("=IIQQ", number, architecture, 0, first)
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


@pytest.mark.parametrize("processor", CALLS)
def test_the_filter_allows_what_a_network_needs_and_no_more(processor: str) -> None:
    architecture, _, *rest = sandbox.PROCESSORS[processor]
    program = sandbox.filter_program(architecture, *rest)
    calls = CALLS[processor]
    for name in calls.keys() - {"clone", "socket"}:
        expected = ALLOW if name in HARMLESS else REFUSE
        # The first argument makes no difference.
        for first in (0, UNIX, THREAD):
            assert answer(program, architecture, calls[name], first) == expected, name
    assert answer(program, architecture, calls["clone"], THREAD) == ALLOW
    assert answer(program, architecture, calls["clone"], PROCESS) == REFUSE
    assert answer(program, architecture, calls["socket"], UNIX) == ALLOW
    for family in (INET, INET6, NETLINK):
        assert answer(program, architecture, calls["socket"], family) == REFUSE
    # clone3: glibc uses clone if there is no such call.
    assert answer(program, architecture, 435, THREAD) == UNKNOWN
    # The 32-bit calls.
    assert answer(program, architecture, 0x40000000 + calls["read"]) == REFUSE
    assert answer(program, architecture ^ 1, calls["read"]) == KILL
