"""The processes that run on this machine, for benchmarks and tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Process:
    """A running process.

    Attributes:
        pid: its id.
        parent: the id of the process that started it.
        session: the id of its session: that of the session's first process.
        command: its command line.
        megabytes: resident memory.
        seconds: processor time so far.
    """

    pid: int
    parent: int
    session: int
    command: str
    megabytes: float
    seconds: float


def running() -> Iterator[Process]:
    """All processes of this machine that have not ended."""
    for process in psutil.process_iter():
        # One that ends meanwhile is left out.
        with suppress(psutil.NoSuchProcess, ProcessLookupError), process.oneshot():
            if process.status() != psutil.STATUS_ZOMBIE:
                times = process.cpu_times()
                yield Process(
                    pid=process.pid,
                    parent=process.ppid(),
                    session=os.getsid(process.pid),
                    command=" ".join(process.cmdline()),
                    megabytes=process.memory_info().rss / 1e6,
                    seconds=times.user + times.system,
                )
