"""The processes that run on this machine, for benchmarks and tests of what they leave behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process, as Linux tells of it.

    Attributes:
        number: its own.
        parent: that of the process that started it.
        session: that of the first process of its session.
        command: what it was started by.
        megabytes: of memory that it holds.
        seconds: of processor time so far.
    """

    number: int
    parent: int
    session: int
    command: str
    megabytes: float
    seconds: float


def running() -> Iterator[Process]:
    """All processes of this machine that have not ended; Linux alone lists them so."""
    for folder in Path("/proc").glob("[0-9]*"):
        # One that ends meanwhile is left out.
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if fields[0] != "Z":
                yield Process(
                    number=int(folder.name),
                    parent=int(fields[1]),
                    session=int(fields[3]),
                    command=command,
                    megabytes=int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6,
                    seconds=(int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
                )


def running_in(session: int) -> set[int]:
    """The numbers of a session's processes that have not ended."""
    return {process.number for process in running() if process.session == session}
