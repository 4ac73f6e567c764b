"""Temporary folders that name their process: real processes, some of which are killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnviz.serving import temporary_folders
from cnnviz.settings import ROOT

_OWNER = """
import time
from cnnviz.serving import temporary_folders
folders = [temporary_folders.make("first"), temporary_folders.make("second")]
for folder in folders:
    open(folder.name + "/file", "w").close()
print(*(folder.name for folder in folders), sep="\\n", flush=True)
time.sleep(600)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files, for this test alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


@pytest.fixture
def owner(temporary: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which has made two folders."""
    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
    )
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_folder_is_deleted_after_its_owner_has_ended_and_no_sooner(
    temporary: Path, owner: subprocess.Popen[bytes]
) -> None:
    assert owner.stdout is not None
    folders = {Path(owner.stdout.readline().decode().strip()) for _ in range(2)}
    temporary_folders.delete_leftovers()
    assert set(temporary.iterdir()) == folders
    owner.kill()
    owner.wait()
    own = temporary_folders.make("own")
    assert set(temporary.iterdir()) == {Path(own.name)}
    own.cleanup()
    assert list(temporary.iterdir()) == []


def test_what_only_resembles_a_leftover_is_kept(temporary: Path, gone: int) -> None:
    folder = temporary / "elsewhere"
    folder.mkdir()
    (folder / "file").touch()
    # Other names: copies of models, no number, a link into another folder.
    for name in (
        "cnnviz-abcdefgh",
        f"cnnviz-untrusted-{gone}",
        "cnnviz-untrusted-x-y",
        f"other-a-{gone}-b",
    ):
        (temporary / name).mkdir()
    (temporary / f"cnnviz-untrusted-{gone}-link").symlink_to(folder)
    before = set(temporary.iterdir())
    (temporary / f"cnnviz-untrusted-{gone}-x").mkdir()
    (temporary / f"cnnviz-untrusted-{10**30}-x").mkdir()
    temporary_folders.delete_leftovers()
    assert set(temporary.iterdir()) == before
    assert (folder / "file").exists()


def test_what_an_earlier_process_of_the_same_number_left_is_deleted(temporary: Path) -> None:
    (temporary / f"cnnviz-models-{os.getpid()}-x").mkdir()
    own = temporary_folders.make("models")
    assert set(temporary.iterdir()) == {Path(own.name)}
    own.cleanup()


def test_the_folder_of_another_user_is_kept(
    temporary: Path, gone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (temporary / f"cnnviz-untrusted-{gone}-x").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getuid", lambda: 12345678)
        temporary_folders.delete_leftovers()
    assert len(list(temporary.iterdir())) == 1
    temporary_folders.delete_leftovers()
    assert list(temporary.iterdir()) == []
