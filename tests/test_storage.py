"""Files that are written completely or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cnnviz.errors import StorageError
from cnnviz.storage import UNFINISHED, write_whole


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.bin"
    write_whole(path, b"first")
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]


def test_a_file_with_the_longest_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_whole(path, b"data")
    assert path.read_bytes() == b"data"


@pytest.mark.parametrize(
    ("number", "full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False)]
)
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, full: bool
) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def write_half(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:2])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(StorageError, match=os.strerror(number)) as caught:
        write_whole(path, b"new data")
    assert caught.value.full is full
    assert path.read_bytes() == b"old"
    assert not list(tmp_path.glob(UNFINISHED))


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be written"):
        write_whole(tmp_path / "taken" / "file.bin", b"data")
