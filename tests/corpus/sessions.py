"""The processes that a server under test has started."""

from __future__ import annotations

from pathlib import Path


def running_in(leader: int) -> set[int]:
    """The running processes of a session."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state != "Z":
            found.add(int(path.parent.name))
    return found
