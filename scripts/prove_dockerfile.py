"""Runs a Dockerfile's steps in an empty folder, without a container engine, and its command.

python -m scripts.prove_dockerfile [COMMAND ...]

The folder is the image's root: an absolute path of a COPY, a WORKDIR or an ENV is below it,
and the base image ``python:X.Y`` is a new virtual environment of Python X.Y. After the steps
the folder is made read-only except for ``/tmp``, and the CMD is started (by root: as the
Dockerfile's USER and, on Linux, without a network) until its HEALTHCHECK passes. COMMAND then
runs beside it, as ``docker exec`` would. What an engine adds, such as the base image's own
libraries, is not tested.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

CONTEXT = Path(__file__).resolve().parent.parent
HEALTH_SECONDS = 60.0
STOP_SECONDS = 10.0  # an engine's time limit before it kills


class ProofError(Exception):
    """A step fails, or the command does not become healthy."""


@dataclass
class Image:
    """The result of the steps so far: a folder, and how a process is started in it."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: int = 0
    health: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def locate(self, path: str) -> Path:
        """The path on this machine of a path of the image; relative ones start at WORKDIR."""
        inside = PurePosixPath(self.workdir) / path
        return self.root / inside.relative_to("/")

    def moved(self, value: str) -> str:
        """The value, moved below the root if it is an absolute path."""
        return str(self.locate(value)) if value.startswith("/") else value


def parse(text: str) -> list[tuple[str, str]]:
    """The steps of a Dockerfile as (INSTRUCTION, rest), without comments and line breaks."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", " ", "\n".join(lines))
    steps = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, _, rest = line.partition(" ")
        steps.append((instruction.upper(), " ".join(rest.split())))
    return steps


def is_ignored(path: str, patterns: list[str]) -> bool:
    """Whether .dockerignore excludes a path (relative, with slashes) from the build.

    The last pattern that matches the path, or a folder above it, decides.
    """
    above = [path, *map(str, PurePosixPath(path).parents)]
    ignored = False
    for line in patterns:
        pattern = line.strip().removeprefix("!").strip("/")
        if not pattern or line.startswith("#"):
            continue
        if any(re.fullmatch(_regex(pattern), part) for part in above):
            ignored = not line.strip().startswith("!")
    return ignored


def _regex(pattern: str) -> str:
    rules = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return "".join(rules.get(part, re.escape(part)) for part in parts)


def copy(image: Image, context: Path, rest: str, patterns: list[str]) -> None:
    """COPY: each source, without what .dockerignore excludes, to the last argument."""
    *sources, target = shlex.split(rest)
    to_folder = target.endswith("/") or len(sources) > 1
    for source in sources:
        start = context / source
        files = [start] if start.is_file() else [f for f in start.rglob("*") if f.is_file()]
        kept = [f for f in files if not is_ignored(f.relative_to(context).as_posix(), patterns)]
        if not kept:
            raise ProofError(f"COPY {source}: nothing there to copy")
        for file in kept:
            copied = image.locate(target)
            if start.is_dir():
                copied /= file.relative_to(start)
            elif to_folder:
                copied /= file.name
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copied)


def run_step(image: Image, context: Path, step: tuple[str, str], patterns: list[str]) -> None:
    """Runs one step.

    Raises:
        ProofError: the step fails, or is not supported.
    """
    match step:
        case "FROM", base:
            _make_python(image, base)
        case "ENV", rest:
            for name, _, value in (word.partition("=") for word in shlex.split(rest)):
                image.environment[name] = image.moved(value)
        case "WORKDIR", path:
            image.workdir = str(PurePosixPath(image.workdir) / path)
            image.locate(".").mkdir(parents=True, exist_ok=True)
        case "COPY", rest:
            copy(image, context, rest, patterns)
        case "RUN", rest:
            _run(image, rest)
        case "USER", name:
            image.user = int(name.partition(":")[0])
        case "HEALTHCHECK", rest:
            image.health = json.loads(rest[rest.index("CMD") + 3 :])
        case "CMD", rest:
            image.command = json.loads(rest)
        case "EXPOSE", _:
            pass  # documentation only
        case instruction, _:
            raise ProofError(f"the instruction {instruction} is not supported")


def _run(image: Image, script: str) -> None:
    """RUN, with this machine's variables for pip and proxies, as an engine passes them."""
    names = [n for n in os.environ if n.startswith("PIP_") or n.lower().endswith("_proxy")]
    environment = {name: os.environ[name] for name in names} | image.environment
    shell = ["/bin/sh", "-c", script]
    done = subprocess.run(shell, cwd=image.locate("."), env=environment, check=False)
    if done.returncode != 0:
        raise ProofError(f"RUN ended with {done.returncode}")


def _make_python(image: Image, base: str) -> None:
    match = re.match(r"python:(\d+\.\d+)", base)
    if not match:
        raise ProofError(f"FROM {base}: expected an image python:X.Y")
    python = _find_python(f"python{match[1]}")
    subprocess.run([python, "-m", "venv", image.root / "venv"], check=True)
    image.locate("/tmp").mkdir()
    image.locate("/tmp").chmod(0o1777)
    system = "/usr/local/bin:/usr/bin:/bin"
    image.environment["PATH"] = f"{image.root / 'venv' / 'bin'}:{system}"


def _find_python(name: str) -> str:
    """The first such Python on the PATH that works, preferably one that every user may start."""
    paths = [shutil.which(name, path=folder) for folder in os.get_exec_path()]
    working = [python for python in paths if python and _starts(python)]
    if not working:
        raise ProofError(f"{name} is not on the PATH")
    return next((python for python in working if _starts(python, user=65534)), working[0])


def _starts(python: str, user: int | None = None) -> bool:
    if user is not None and os.geteuid() != 0:
        return True
    check = [python, "-c", "import ensurepip, venv"]
    try:
        done = subprocess.run(check, user=user, capture_output=True, check=False)
    except PermissionError:
        return False
    return done.returncode == 0


def seal(image: Image) -> set[Path]:
    """Makes everything except /tmp read-only; returns the present paths."""
    paths = {path for path in image.root.rglob("*") if not path.is_symlink()}
    for path in paths - {image.locate("/tmp")}:
        path.chmod(path.stat().st_mode & ~0o222)
    return {path for path in paths if image.locate("/tmp") not in path.parents}


def _unseal(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)


def prove(image: Image, extra: list[str]) -> None:
    """Starts the command, waits until it is healthy, runs `extra` beside it, and stops it.

    Raises:
        ProofError: it is not healthy in time, `extra` fails, or the command does not stop.
    """
    isolated = os.geteuid() == 0 and all(map(shutil.which, ("unshare", "nsenter", "ip", "setpriv")))
    if not isolated and _start(image, image.health, subprocess.DEVNULL).wait() == 0:
        raise ProofError("another server answers at the health address: stop it first")
    with (image.root / "tmp" / "log").open("w+", encoding="utf-8") as log:
        start = [*_without_network(), *_as_user(image)] if isolated else []
        process = _start(image, [*start, *image.command], log)
        beside = (
            ["nsenter", f"--target={process.pid}", "--net", *_as_user(image)] if isolated else []
        )
        try:
            seconds = _wait_for_health(image, process, beside)
            how = f"as user {image.user}, without a network" if isolated else "as the present user"
            print(f"healthy after {seconds:.1f} s, {how}", flush=True)
            if extra and _start(image, [*beside, *map(image.moved, extra)]).wait() != 0:
                raise ProofError(f"{shlex.join(extra)} failed")
            _stop(process)
        except ProofError:
            log.seek(0)
            print(log.read())
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ProofError(f"still running {STOP_SECONDS:.0f} s after SIGTERM") from error


def _without_network() -> list[str]:
    return ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def _as_user(image: Image) -> list[str]:
    return ["setpriv", f"--reuid={image.user}", f"--regid={image.user}", "--clear-groups"]


def _start(
    image: Image, command: list[str], output: IO[str] | int | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=image.locate("."),
        env=image.environment,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def _wait_for_health(image: Image, process: subprocess.Popen[bytes], beside: list[str]) -> float:
    start = time.monotonic()
    while time.monotonic() - start < HEALTH_SECONDS:
        if process.poll() is not None:
            raise ProofError(f"CMD ended with {process.returncode}")
        check = _start(image, [*beside, *image.health], subprocess.DEVNULL)
        if check.wait() == 0:
            return time.monotonic() - start
        time.sleep(0.5)
    raise ProofError(f"not healthy after {HEALTH_SECONDS:.0f} s")


def main(extra: list[str]) -> int:
    """Proves this project's Dockerfile; the exit code is 0 if it works."""
    steps = parse((CONTEXT / "Dockerfile").read_text(encoding="utf-8"))
    patterns = (CONTEXT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    root = Path(tempfile.mkdtemp(prefix="image-"))
    root.chmod(0o755)
    image = Image(root)
    try:
        for step in steps:
            start = time.monotonic()
            run_step(image, CONTEXT, step, patterns)
            print(f"{time.monotonic() - start:7.1f} s  {' '.join(step)[:90]}", flush=True)
        before = seal(image)
        size = sum(path.stat().st_size for path in before if path.is_file())
        print(f"{size / 1e6:.0f} MB above the base image")
        prove(image, extra)
        written = seal(image) - before
        if written:
            raise ProofError(f"written outside /tmp: {sorted(map(str, written))[:5]}")
    except ProofError as error:
        print(f"not proven: {error}", file=sys.stderr)
        return 1
    finally:
        _unseal(root)
        shutil.rmtree(root)
    print("proven: every step, the health, the stop, and nothing written outside /tmp")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
