"""What code that took over a confined process might try; it runs inside such a process."""

# The calls themselves are what is tried.
# ruff: noqa: PTH101, PTH123, PTH208, PTH211

from __future__ import annotations

import ctypes
import os
import platform
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnnviz.sandbox.system_calls import CHECKED, PROCESSORS
from cnnviz.settings import PACKAGE, ROOT

REFUSED = "PermissionError"
MEMORY = 4 << 30
MACHINE = PROCESSORS.get(platform.machine(), 0)


def _results(actions: dict[str, Callable[[], Any]]) -> dict[str, str]:
    """What each action returns, or the kind of its error."""
    results = {}
    for name, action in actions.items():
        try:
            results[name] = str(action())
        except (OSError, MemoryError) as error:
            results[name] = type(error).__name__
    return results


def files(home: str, real_home: str, server: int, folder: str) -> dict[str, str]:
    """Tries to reach files.

    Args:
        home: a folder of a person's files, of which a model may be readable.
        real_home: that of the server's user.
        server: the server's process.
        folder: the process's own.
    """
    temporary = Path(os.environ["TMPDIR"])
    own = temporary / "own"

    def write_own() -> str:
        own.mkdir()
        (own / "a").write_text("text")
        (own / "a").rename(temporary / "b")
        own.rmdir()
        return (temporary / "b").read_text()

    return _results(
        {
            "write own folder": write_own,
            "read model": Path(home, "model.keras").read_text,
            "read card": Path(home, "model.json").read_text,
            "read code": lambda: len(Path(PACKAGE, "errors.py").read_text()) > 0,
            "change model": lambda: Path(home, "model.keras").write_text("x"),
            "delete model": lambda: Path(home, "model.keras").unlink(),
            "truncate model": lambda: os.truncate(Path(home, "model.keras"), 0),
            "read another's model": Path(home, "other.keras").read_text,
            "read secret": Path(home, "secret").read_text,
            "list home": lambda: os.listdir(home),
            "list the real home": lambda: os.listdir(real_home),
            "list /": lambda: os.listdir("/"),
            "list /tmp": lambda: os.listdir(Path(folder).parent),
            "read passwords": Path("/etc/passwd").read_text,
            "write home": lambda: Path(home, "new").write_text("x"),
            "write beside own folder": lambda: Path(f"{folder}.new").write_text("x"),
            "write code": lambda: Path(PACKAGE, "new.py").write_text("x"),
            "append to code": lambda: Path(PACKAGE, "errors.py").open("a").close(),
            "write project": lambda: Path(ROOT, "new.py").write_text("x"),
            "write packages": lambda: Path(platform.__file__).open("a").close(),
            "write /dev/shm": lambda: Path("/dev/shm/cnnviz-new").write_text("x"),
            "link": lambda: os.link(Path(home, "model.keras"), temporary / "link"),
            "symbolic link": lambda: os.symlink("/etc/passwd", temporary / "link"),
            "fifo": lambda: os.mkfifo(temporary / "fifo"),
            "permissions": lambda: os.chmod(Path(home, "secret"), 0o777),
            "owner": lambda: os.chown(Path(home, "secret"), 1, 1),
            "times": lambda: os.utime(Path(home, "secret"), (0, 0)),
            "server's memory": lambda: open(f"/proc/{server}/mem", "r+b"),
            "server's environment": Path(f"/proc/{server}/environ").read_bytes,
            "server's files": lambda: os.listdir(f"/proc/{server}/fd"),
            "own files": lambda: os.listdir("/proc/self/fd"),
        }
    )


def calls(server: int) -> dict[str, str]:
    """Tries system calls that need no file."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *arguments: Any) -> int:
        result = libc.syscall(number, *arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), "")
        return result

    def thread() -> str:
        done: list[str] = []
        one = threading.Thread(target=done.append, args=("ran",))
        one.start()
        one.join()
        return done[0]

    return _results(
        {
            "thread": thread,
            "local socket": lambda: socket.socket(socket.AF_UNIX),
            "local datagrams": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
            "pair of sockets": socket.socketpair,
            "TCP": lambda: socket.create_connection(("127.0.0.1", 9), 1),
            "UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
            "memory without a limit": lambda: os.memfd_create("x"),
            "memory": lambda: bytearray(4 * MEMORY),
            "fork": os.fork,
            "program": lambda: subprocess.run(["true"], check=True),
            "exec": lambda: os.execv(sys.executable, ["python"]),
            "signal": lambda: os.kill(server, 0),
            "signal to all": lambda: os.kill(-1, 0),
            "server's descriptor": lambda: os.pidfd_open(server),
            "server's priority": lambda: os.setpriority(os.PRIO_PROCESS, server, 19),
            "server's limits": lambda: resource.prlimit(server, 7),
            "user": lambda: os.setuid(1234),
            "shared memory": lambda: call(29 if platform.machine() == "x86_64" else 194, 0, 9, 0),
            "dumpable again": lambda: call(CHECKED["prctl"][MACHINE], 4, 1, 0, 0, 0),
            "type into the terminal": lambda: call(CHECKED["ioctl"][MACHINE], 2, 0x5412, b"x"),
            "another's signals": lambda: call(CHECKED["fcntl"][MACHINE], 2, 8, server),
        }
    )
