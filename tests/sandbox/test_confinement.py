"""What a confined process can do, tried from inside: real processes, and no TensorFlow."""

# The calls themselves are what is tried.
# ruff: noqa: PTH101, PTH123, PTH208, PTH211

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ByValue

from cnnviz.errors import ModelError
from cnnviz.sandbox import landlock
from cnnviz.sandbox.confinement import missing_protections
from cnnviz.sandbox.system_calls import CHECKED, FATAL, PROCESSORS
from cnnviz.serving import worker_process
from cnnviz.serving.model_files import model_file
from cnnviz.serving.untrusted_processes import UntrustedProcess
from cnnviz.settings import PACKAGE, ROOT, read_settings

pytestmark = [
    pytest.mark.skipif(bool(missing_protections()), reason="this system cannot enforce all of it"),
    # A fork, which is what is tried.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
MEMORY = 4 << 30


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


def _results(actions: dict[str, Callable[[], Any]]) -> dict[str, str]:
    results = {}
    for name, action in actions.items():
        try:
            results[name] = str(action())
        except (OSError, MemoryError) as error:
            results[name] = type(error).__name__
    return results


def _tried_files(home: str, real_home: str, server: int) -> dict[str, str]:
    """Runs inside."""
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
            "list /tmp": lambda: os.listdir(temporary.parent),
            "read passwords": Path("/etc/passwd").read_text,
            "write home": lambda: Path(home, "new").write_text("x"),
            "write beside own folder": lambda: Path(f"{temporary}.new").write_text("x"),
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


REFUSED = "PermissionError"


def test_it_reaches_its_own_files_and_no_others(process: UntrustedProcess, home: Path) -> None:
    before = {path: path.stat() for path in home.iterdir()}
    results = inside(process, _tried_files, str(home), str(Path.home()), os.getpid())
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


def _tried_calls(server: int) -> dict[str, str]:
    """Runs inside."""
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
            "memory": lambda: bytearray(2 * MEMORY),
            "fork": os.fork,
            "program": lambda: subprocess.run(["true"], check=True),
            "exec": lambda: os.execv(sys.executable, ["python"]),
            "signal": lambda: os.kill(server, 0),
            "signal to all": lambda: os.kill(-1, 0),
            "server's descriptor": lambda: os.pidfd_open(server),
            "server's priority": lambda: os.setpriority(os.PRIO_PROCESS, server, 19),
            "server's limits": lambda: __import__("resource").prlimit(server, 7),
            "user": lambda: os.setuid(1234),
            "shared memory": lambda: call(29 if platform.machine() == "x86_64" else 194, 0, 9, 0),
            "dumpable again": lambda: call(CHECKED["prctl"][machine], 4, 1, 0, 0, 0),
            "type into the terminal": lambda: call(CHECKED["ioctl"][machine], 2, 0x5412, b"x"),
            "another's signals": lambda: call(CHECKED["fcntl"][machine], 2, 8, server),
        }
    )


machine = PROCESSORS.get(platform.machine(), 0)


def test_it_has_threads_and_no_network_processes_or_privileges(process: UntrustedProcess) -> None:
    results = inside(process, _tried_calls, os.getpid())
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
    assert set(os.listdir(folder)) <= {"b"}


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
    ended = _run(f"{_CONFINED}ctypes.CDLL(None).syscall({FATAL[name][machine]}, 0, 0, 0)")
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
