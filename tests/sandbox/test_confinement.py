"""What a confined process can do, tried from inside: real processes, and no TensorFlow."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attempts
import pytest
from attempts import MACHINE, MEMORY, REFUSED
from helpers import ByValue

from cnnviz.errors import ModelError
from cnnviz.sandbox import landlock
from cnnviz.sandbox.confinement import missing_protections
from cnnviz.sandbox.system_calls import FATAL
from cnnviz.serving import worker_process
from cnnviz.serving.model_files import model_file
from cnnviz.serving.untrusted_processes import UntrustedProcess
from cnnviz.settings import PACKAGE, read_settings

pytestmark = [
    pytest.mark.skipif(bool(missing_protections()), reason="this system cannot enforce all of it"),
    # A fork, which is what is tried.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's files: a model with its card, another model, and a secret."""
    home = tmp_path_factory.mktemp("home")
    for name in ("model.keras", "model.json", "other.keras", "secret"):
        (home / name).write_text(name)
    return home


@pytest.fixture(scope="module")
def process(home: Path) -> Iterator[UntrustedProcess]:
    """The process of a model, started and confined by the server's own code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_OF_THE_SERVER", "1")
        process = UntrustedProcess(read_settings(), model_file(home / "model.keras"))
    arguments = (MEMORY, os.getpid(), process.folder.name, process.model)
    process.ask(type(None), worker_process.initialise_untrusted, *arguments, seconds=60)
    yield process
    process.close()


def inside(process: UntrustedProcess, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in the confined process: texts by texts."""
    return process.ask(dict[str, str], ByValue(function), *arguments, seconds=60)


def test_it_reaches_its_own_files_and_no_others(process: UntrustedProcess, home: Path) -> None:
    before = {path: path.stat() for path in home.iterdir()}
    results = inside(
        process, attempts.files, str(home), str(Path.home()), os.getpid(), process.folder.name
    )
    assert {name: one for name, one in results.items() if one != REFUSED} == {
        "write own folder": "text",
        "read model": "model.keras",
        "read card": "model.json",
        "read code": "True",
    }
    assert len(results) == 31
    after = {path: path.stat() for path in home.iterdir()}
    assert [(path, one.st_size, one.st_mtime) for path, one in before.items()] == [
        (path, one.st_size, one.st_mtime) for path, one in after.items()
    ]
    assert not (PACKAGE / "new.py").exists()


def test_it_has_threads_and_no_network_processes_or_privileges(process: UntrustedProcess) -> None:
    results = inside(process, attempts.calls, os.getpid())
    assert {name: one for name, one in results.items() if one != REFUSED} == {
        "thread": "ran",
        "memory": "MemoryError",
        # No such call, ENOSYS, so that libraries use another one.
        "server's descriptor": "OSError",
    }
    assert len(results) == 22


def test_every_thread_is_bound_and_has_no_privileges(process: UntrustedProcess) -> None:
    tasks = list(Path(f"/proc/{process.pid}/task").iterdir())
    # One watches the server.
    assert len(tasks) > 1
    for task in tasks:
        status = dict(
            line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if line
        )
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        # Of one filter: none could be added.
        assert status["Seccomp_filters"] == "1"
        for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
            if kind != "Bnd" or os.geteuid() == 0:
                assert int(status[f"Cap{kind}"], 16) == 0, kind


def _environment() -> dict[str, str]:
    """Runs inside."""
    return dict(os.environ)


def test_its_environment_is_of_named_variables(process: UntrustedProcess) -> None:
    found = inside(process, _environment)
    folder = process.folder.name
    assert found.keys() >= {"HOME", "TMPDIR", "MALLOC_ARENA_MAX"}
    assert found["HOME"] == found["TMPDIR"] == folder
    assert not {"SECRET_OF_THE_SERVER", "PATH", "USER"} & found.keys()
    assert {path.name for path in Path(folder).iterdir()} <= {"b"}


_CONFINED = (
    "import ctypes, sys\n"
    "from cnnviz.sandbox.confinement import confine\n"
    f"confine({MEMORY})\n"
    "print('confined', flush=True)\n"
)


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(
        command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", ["ptrace", "process_vm_readv", "pidfd_getfd"])
def test_what_only_an_attack_uses_ends_the_process(name: str) -> None:
    ended = _run(f"{_CONFINED}ctypes.CDLL(None).syscall({FATAL[name][MACHINE]}, 0, 0, 0)")
    assert (ended.stdout, ended.returncode) == ("confined\n", -signal.SIGSYS)


def test_a_process_with_threads_is_not_confined() -> None:
    ended = _run(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n" + _CONFINED
    )
    assert "RuntimeError: A process must be confined before it starts a thread" in ended.stderr
    assert ended.stdout == ""


def test_a_process_that_cannot_be_confined_opens_no_model(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(1, "Landlock: Operation not permitted")

    monkeypatch.setattr(worker_process, "confine", refused)
    with pytest.raises(ModelError, match="This system refuses to confine"):
        worker_process.initialise_untrusted(MEMORY, 1, str(home), model_file(home / "model.keras"))


# --- Landlock alone ------------------------------------------------------------------------------

_UNDER_LANDLOCK = """
import ctypes, os, socket, sys
from pathlib import Path
from cnnviz.sandbox import landlock
from cnnviz.sandbox.confinement import _python_files
server, port, name, secret = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
landlock.restrict(_python_files(), [])
for action in (
    lambda: open(f"/proc/{server}/mem", "rb"),
    lambda: open(secret),
    lambda: os.kill(server, 0),
    lambda: socket.create_connection(("127.0.0.1", port), 5),
    lambda: socket.create_server(("127.0.0.1", 0)),
    lambda: socket.socket(socket.AF_UNIX).connect("\\0" + name),
    lambda: os.execv("/bin/true", ["true"]),
):
    try:
        print(action())
    except OSError as error:
        print(type(error).__name__)
"""


def test_landlock_by_itself_keeps_it_from_files_sockets_and_signals(home: Path) -> None:
    name = f"cnnviz-test-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(f"\0{name}")
        local.listen()
        port = server.getsockname()[1]
        ended = _run(_UNDER_LANDLOCK, str(os.getpid()), str(port), name, str(home / "secret"))
    assert ended.stdout.split() == [REFUSED] * 7, ended


# --- Kernels that cannot enforce it ---------------------------------------------------------------


def test_what_a_kernel_lacks_is_named() -> None:
    assert landlock.missing(0) == ["Landlock, rules for files and processes (Linux 5.13)"]
    assert [one.rpartition("(")[2] for one in landlock.missing(1)] == [
        "Linux 6.2)",
        "Linux 6.7)",
        "Linux 6.12)",
    ]
    assert landlock.missing(6) == []
