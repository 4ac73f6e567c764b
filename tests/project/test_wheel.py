"""The wheel: what it holds, and that the commands and the app run from it in any folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import cnnviz
from cnnviz.settings import PACKAGE, ROOT
from cnnviz.ui import __main__ as start
from scripts.browse import free_port, wait_for

APP = {"app.py", "pages", "models", ".streamlit"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", folder], cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed, without its dependencies."""
    folder = tmp_path_factory.mktemp("site-packages")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*command, "--quiet", "--target", folder, wheel], check=True)
    return folder


@pytest.fixture(scope="module")
def environment(installed: Path) -> dict[str, str]:
    """Variables with which a process imports the installed package, and no setting of cnnviz."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("CNNVIZ_")}
    return inherited | {"PYTHONPATH": str(installed)}


def test_the_wheel_holds_the_app_inside_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata_file,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(archive.read(metadata_file))
    top = {name.partition("/")[0] for name in names}
    assert top == {"cnnviz", f"cnnviz-{cnnviz.__version__}.dist-info"}
    inside = {name.split("/")[2] for name in names if name.startswith("cnnviz/_app/")}
    assert inside == APP
    assert "cnnviz/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or "secrets" in name]
    assert wheel.stat().st_size < 40e6
    licences = [ROOT / "LICENSE", *(ROOT / "models").glob("LICENSE*"), *PACKAGE.rglob("LICENSE*")]
    assert len(licences) == 5
    assert set(metadata.license_files or ()) == {str(path.relative_to(ROOT)) for path in licences}
    assert str(metadata.license_expression).startswith("MIT AND Apache-2.0 AND BSD-3-Clause AND ")
    assert str(metadata.version) == cnnviz.__version__
    assert set(metadata.provides_extra or ()) == {"cpu", "gpu", "ray"}
    # Ranges, so that other packages can be installed beside it.
    assert all("==" not in str(one.specifier) for one in metadata.requires_dist or ())


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("cnnviz/")}
    files = {
        str(path.relative_to(PACKAGE.parent))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if not name.startswith("cnnviz/_app/")} == files


def test_the_installed_command_classifies_a_photo(
    installed: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    model = installed / "cnnviz" / "_app" / "models" / "mnist_cnn.keras"
    photo = installed / "cnnviz" / "samples" / "digit_7.png"
    done = subprocess.run(
        [sys.executable, installed / "bin" / "cnnviz", "predict", model, photo, "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"class": "7"' in done.stdout


@pytest.fixture
def server(installed: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The address of the app, started by the installed command from a folder of its own."""
    port = free_port()
    log = tmp_path / "log"
    options = ["--server.port", str(port), "--server.headless", "true"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, installed / "bin" / "cnnviz", "app", *options],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        url = f"http://localhost:{port}"
        wait_for(f"{url}/_stcore/health", process, log)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_installed_app_is_healthy_and_has_its_own_configuration(server: str) -> None:
    with urllib.request.urlopen(f"{server}/_stcore/health") as answer:
        assert answer.read() == b"ok"
    # Streamlit's default is to accept every host.
    port = int(server.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port)) as connection,
        pytest.raises(InvalidStatus, match="403"),
    ):
        connect(f"ws://other.example:{port}/_stcore/stream", sock=connection)


@pytest.mark.parametrize(
    ("options", "variable", "raised"),
    [
        ([], None, True),
        (["--server.address", "127.0.0.1"], "0.0.0.0", True),
        (["--server.address=0.0.0.0"], None, False),
        ([], "0.0.0.0", False),
    ],
)
def test_the_upload_limit_is_raised_where_the_server_is_on_localhost(
    options: list[str],
    variable: str | None,
    raised: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where no configuration of Streamlit is
    for name in ("CNNVIZ_UPLOADS", "CNNVIZ_TRAINING", "STREAMLIT_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    if variable is not None:
        monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", variable)
    monkeypatch.setenv("CNNVIZ_UPLOAD_MB", "70")
    assert start.upload_limit(options) == (["--server.maxUploadSize", "70"] if raised else [])
