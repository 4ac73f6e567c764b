"""nginx with a configuration of deploy/, as an ordinary user, for the scripts that prove these."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The number of "nobody".
_NOBODY = 65534


class ProofError(Exception):
    """Something is not as a file of deploy/ describes."""


def check(claim: str, true: bool) -> None:
    """Prints a claim that is true.

    Raises:
        ProofError: it is not true.
    """
    if not true:
        raise ProofError(f"not so: {claim}")
    print(f"ok  {claim}", flush=True)


def find_nginx() -> str:
    """The path of nginx.

    Raises:
        ProofError: it is not installed.
    """
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise ProofError("nginx is not installed: sudo apt-get install nginx")
    return program


@contextmanager
def running_nginx(text: str, folder: Path) -> Iterator[None]:
    """Starts nginx, and ends it again.

    Args:
        text: the configuration, which writes to the folder alone.
        folder: an empty folder, or one with what the configuration names.
    """
    program = find_nginx()
    path = folder / "nginx.conf"
    path.write_text(text, encoding="utf-8")
    user = None
    if os.geteuid() == 0:
        user = _NOBODY
        for one in (folder, *folder.rglob("*")):
            os.chown(one, _NOBODY, _NOBODY)
    process = subprocess.Popen(
        [program, "-e", "stderr", "-c", path, "-g", "daemon off;"],
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()
