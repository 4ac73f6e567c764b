"""Preparing data: the rows are the photos, nothing is lost, and bad input gets a clear message."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tracemalloc
import types
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import classes
from helpers import running_in
from PIL import Image

from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError, PhotoError
from cnnviz.photos.checks import MAX_BYTES
from cnnviz.training.data import decoding, manifest, photos, sources
from cnnviz.training.data.manifest import Prepared, Row, in_several_classes, read_prepared
from cnnviz.training.data.photos import prepare_photos
from cnnviz.training.data.pixels import prepare_pixels

SIDE = 8


def prepare(source: Path, out: Path, **options: Any) -> Prepared:
    return prepare_photos(source, out, **({"size": SIDE, "processes": 1} | options))


def by_pillow(path: Path) -> np.ndarray:
    """An oracle: the largest centred square of a photo, at the data's size."""
    image = Image.open(path).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box))


def zip_of(path: Path, members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", packing) as archive:
        warnings.simplefilter("ignore")
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes: photos of several shapes, some damaged, others in sub-folders."""
    folder = classes.write_photos(tmp_path_factory.mktemp("photos"), {"cat": 40, "dog": 9}, 12)
    rng = np.random.default_rng(1)
    for number, size in enumerate(((20, 31, 3), (25, 14, 3), (9, 9, 3))):
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(
            folder / "dog" / f"odd{number}.bmp"
        )
    (folder / "cat" / "000.png").write_bytes(b"no photo")
    good = (folder / "cat" / "017.png").read_bytes()
    (folder / "cat" / "017.png").write_bytes(good[: len(good) // 2])
    (folder / "cat" / "036.png").write_bytes(b"")
    below = folder / "dog" / "more" / "of them"
    below.mkdir(parents=True)
    shutil.move(folder / "dog" / "003.png", below / "UPPER.PNG")
    (folder / "dog" / "read me.txt").write_text("no photo")
    (folder / "dog" / ".hidden.png").write_bytes(good)
    (folder / ".thumbnails").mkdir()
    (folder / ".thumbnails" / "1.png").write_bytes(good)
    (folder / "at the top.png").write_bytes(good)
    return folder


@pytest.fixture(scope="module")
def prepared(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(folder, tmp_path_factory.mktemp("out") / "data", processes=2)


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Two classes of three photos each."""
    return classes.write_photos(tmp_path / "photos", {"cat": 3, "dog": 3})


# --- What is written ------------------------------------------------------------------------


def test_each_row_is_its_photo(folder: Path, prepared: Prepared) -> None:
    assert prepared.labels == ("cat", "dog")
    assert [len(rows) for rows in prepared.rows.values()] == [37, 12]
    for array, rows in zip(prepared.arrays(), prepared.rows.values(), strict=True):
        assert array.dtype == np.uint8
        for pixels, row in zip(array, rows, strict=True):
            np.testing.assert_array_equal(pixels, by_pillow(folder / row.file), row.file)


def test_the_manifest_describes_each_row(folder: Path, prepared: Prepared) -> None:
    files = [row.file for row in prepared.rows["dog"]]
    assert files == sorted(files)
    assert "dog/more/of them/UPPER.PNG" in files
    odd = next(row for row in prepared.rows["dog"] if row.file == "dog/odd0.bmp")
    assert (odd.height, odd.width) == (20, 31)
    assert odd.sha256 == hashlib.sha256((folder / odd.file).read_bytes()).hexdigest()
    assert prepared.source == folder.name
    assert read_prepared(prepared.folder) == prepared
    content = json.loads((prepared.folder / "manifest.json").read_text())
    assert content["photos"] == {"training": 40, "validation": 9}


def test_damaged_photos_are_left_out_and_named(prepared: Prepared) -> None:
    assert set(prepared.left_out) == {"cat/000.png", "cat/017.png", "cat/036.png"}
    assert "0 bytes" in prepared.left_out["cat/036.png"]
    # No temporary file is left.
    names = sorted(path.name for path in prepared.folder.iterdir())
    assert names == ["cat.npy", "dog.npy", "manifest.json"]


def test_scaled_values_are_a_255th(folder: Path, prepared: Prepared, tmp_path: Path) -> None:
    scaled = prepare(folder, tmp_path / "data", scale=True)
    assert scaled.preprocessing.scaling == "unit"
    for floats, integers in zip(scaled.arrays(), prepared.arrays(), strict=True):
        assert floats.dtype == np.float32
        np.testing.assert_array_equal(floats, integers / np.float32(255))


def test_progress_counts_all_photos(pair: Path, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    prepare(pair, tmp_path / "data", report=lambda *now: reports.append(now))
    assert reports == [(0, 6), (3, 6), (6, 6)]


def test_a_second_preparation_does_nothing(
    folder: Path, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "decode_chunks", None)
    assert prepare(folder, prepared.folder) == prepared


def test_photos_are_not_held_at_once(tmp_path: Path) -> None:
    data = (classes.write_photos(tmp_path / "one", {"a": 1}, 64) / "a" / "000.png").read_bytes()
    (tmp_path / "cat").mkdir()
    names = tuple(f"cat/{number}.png" for number in range(400))
    for name in names:
        (tmp_path / name).write_bytes(data)
    array = tmp_path / "cat.part"
    manifest.new_array(array, (400, 64, 64, 3), np.uint8)
    preprocessing = Preprocessing(height=64, width=64, fit="crop", interpolation="bicubic")
    chunk = decoding.Chunk(tmp_path, names, array, 0, preprocessing)
    tracemalloc.start()
    try:
        rows = decoding.decode_chunk(chunk)
        photos.close_gaps(array, tmp_path / "cat.npy", list(range(1, 400)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rows) == 400
    assert np.load(tmp_path / "cat.npy").shape == (399, 64, 64, 3)
    # Reading allocates memory for the largest photo; all photos at once would be 4.9 MB more.
    assert most < MAX_BYTES + 1.5e6


# --- The split ------------------------------------------------------------------------------


def rows_of(contents: list[str]) -> list[Row]:
    return [Row(f"{index}.png", content, 8, 8) for index, content in enumerate(contents)]


def validation(rows: list[Row]) -> set[str]:
    return {row.sha256 for row in rows if row.split == "validation"}


def test_a_fifth_of_each_class_is_for_validation() -> None:
    for count, expected in ((2, 1), (3, 1), (5, 1), (10, 2), (100, 20), (1003, 201)):
        split = manifest.split_rows(rows_of([str(n) for n in range(count)]), 0)
        assert sum(row.split == "validation" for row in split) == expected
        assert [row.file for row in split] == [f"{index}.png" for index in range(count)]


def test_content_and_seed_alone_decide_the_split() -> None:
    contents = [f"content {number}" for number in range(50)]
    split = manifest.split_rows(rows_of(contents), 3)
    assert validation(manifest.split_rows(rows_of(contents[::-1]), 3)) == validation(split)
    assert validation(manifest.split_rows(rows_of(contents), 4)) != validation(split)


def test_the_split_is_the_same_on_every_machine() -> None:
    # The smallest hashes that `printf 0:a | sha256sum` and so on print.
    assert validation(manifest.split_rows(rows_of(list("abcdefghij")), 0)) == {"h", "f"}


def test_copies_are_in_one_split() -> None:
    split = manifest.split_rows(rows_of([str(number % 25) for number in range(100)]), 0)
    training = {row.sha256 for row in split if row.split == "training"}
    assert not training & validation(split)
    assert len(validation(split)) == 5


def test_a_file_in_two_classes_is_found() -> None:
    rows = {"cat": rows_of(["a", "b", "b"]), "dog": rows_of(["c", "a"])}
    assert in_several_classes(rows) == ["0.png", "1.png"]


# --- Interrupted ----------------------------------------------------------------------------

_SLOWLY = """
import sys, time
from cnnviz.training.data.photos import prepare_photos
def report(done, total):
    print(done, flush=True)
    # Long enough to be killed here.
    time.sleep(30 if done >= 64 else 0)
prepare_photos(sys.argv[1], sys.argv[2], size=8, processes=1, report=report)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_killed_preparation_resumes(tmp_path: Path) -> None:
    source = classes.write_photos(tmp_path / "photos", {"cat": 100, "dog": 70}, 9)
    (source / "cat" / "005.png").write_bytes(b"damaged")
    out = tmp_path / "out"
    command = [sys.executable, "-c", _SLOWLY, str(source), str(out)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        while (line := process.stdout.readline().strip()) != "64":
            assert line
        process.kill()
    for _ in range(100):
        if not running_in(process.pid):
            break
        time.sleep(0.1)
    assert not running_in(process.pid)
    assert not (out / "manifest.json").exists()
    with (out / ".preparing.jsonl").open("a") as journal:
        journal.write('["cat.part 64", [{"file": "]]')

    reports: list[tuple[int, int]] = []
    again = prepare(source, out, report=lambda *now: reports.append(now))
    assert reports == [(64, 170), (96, 170), (100, 170), (132, 170), (164, 170), (170, 170)]

    uninterrupted = prepare(source, tmp_path / "whole")
    assert dataclasses.replace(again, folder=uninterrupted.folder) == uninterrupted
    for label in ("cat", "dog"):
        written = [(folder / f"{label}.npy").read_bytes() for folder in (out, uninterrupted.folder)]
        assert written[0] == written[1]


@pytest.mark.parametrize("call", ["close_gaps", "write_manifest"])
def test_a_preparation_interrupted_at_the_end_resumes(
    folder: Path,
    prepared: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    original, calls = getattr(photos, call), []

    def interrupted(*args: Any) -> None:
        calls.append(args)
        if len(calls) == (2 if call == "close_gaps" else 1):
            raise KeyboardInterrupt
        original(*args)

    monkeypatch.setattr(photos, call, interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(folder, tmp_path / "data")
    monkeypatch.undo()
    monkeypatch.setattr(decoding, "decode_chunk", None)
    again = prepare(folder, tmp_path / "data")
    assert dataclasses.replace(again, folder=prepared.folder) == prepared
    for one, other in zip(again.arrays(), prepared.arrays(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_journal_without_an_entry_is_no_obstacle(
    pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(pair, tmp_path / "data")
    monkeypatch.undo()
    assert prepare(pair, tmp_path / "data").count("training") == 4


def test_ctrl_c_keeps_what_is_done(pair: Path, tmp_path: Path) -> None:
    def report(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(pair, tmp_path / "data", report=report)
    reports: list[int] = []
    prepare(pair, tmp_path / "data", report=lambda done, total: reports.append(done))
    assert reports == [3, 6]


def _size(source: Path) -> dict[str, Any]:
    return {"size": SIDE + 1}


def _scale(source: Path) -> dict[str, Any]:
    return {"scale": True}


def _seed(source: Path) -> dict[str, Any]:
    return {"seed": 1}


def _one_more(source: Path) -> dict[str, Any]:
    shutil.copy(source / "cat" / "000.png", source / "cat" / "999.png")
    return {}


def _edited(source: Path) -> dict[str, Any]:
    """Another photo of the same name and the same number of bytes."""
    path = source / "cat" / "001.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    status = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    return {}


@pytest.mark.parametrize("change", [_size, _scale, _seed, _one_more, _edited])
def test_other_photos_or_settings_need_another_folder(
    pair: Path, tmp_path: Path, change: Callable[[Path], dict[str, Any]]
) -> None:
    done = prepare(pair, tmp_path / "done")
    before = {path.name: path.read_bytes() for path in done.folder.iterdir()}
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / ".preparing.jsonl").write_text(f"{done.key}\n")
    options = change(pair)
    with pytest.raises(DataError, match="already holds other prepared data. Choose another"):
        prepare(pair, done.folder, **options)
    assert {path.name: path.read_bytes() for path in done.folder.iterdir()} == before
    with pytest.raises(DataError, match="unfinished preparation of other photos"):
        prepare(pair, unfinished, **options)


def test_an_array_of_another_program_is_not_overwritten(pair: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    existing = tmp_path / "data" / "dog.npy"
    existing.write_bytes(b"other")
    with pytest.raises(DataError, match="dog.npy is already there, and no manifest"):
        prepare(pair, tmp_path / "data")
    assert existing.read_bytes() == b"other"


def test_an_array_is_not_overwritten_by_an_npz_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    existing = tmp_path / "data" / "3.npy"
    existing.write_bytes(b"other")
    with pytest.raises(DataError, match=r"3\.npy is already there, and no manifest"):
        prepare_pixels(digits(tmp_path / "a.npz"), tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["3.npy"]
    assert existing.read_bytes() == b"other"


# --- A full disk ----------------------------------------------------------------------------


def test_a_disk_without_space_for_the_arrays(
    pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def full(*_: int) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match="No space left on device.*free disk space"):
        prepare(pair, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
    monkeypatch.undo()
    assert prepare(pair, tmp_path / "data").count("training") == 4


_LITTLE_SPACE = """
import resource, sys
from cnnviz.training.data.photos import prepare_photos
from cnnviz.errors import DataError, PhotoError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    prepare_photos(sys.argv[1], sys.argv[2], size=8, processes=1)
except DataError as error:
    print(error)
"""


def test_a_disk_that_fills_up_during_the_preparation(tmp_path: Path) -> None:
    source = classes.write_photos(tmp_path / "photos", {"cat": 40, "dog": 40}, 9)
    out = tmp_path / "data"
    # The arrays of 40 × 192 bytes fit; the journal of 80 photos does not.
    command = [sys.executable, "-c", _LITTLE_SPACE, str(source), str(out), "9000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "File too large. What is done is kept: free disk space" in done.stdout, done.stderr
    reports: list[int] = []
    again = prepare(source, out, report=lambda ready, total: reports.append(ready))
    assert reports[0] == 40
    uninterrupted = prepare(source, tmp_path / "whole")
    assert dataclasses.replace(again, folder=uninterrupted.folder) == uninterrupted
    for one, other in zip(again.arrays(), uninterrupted.arrays(), strict=True):
        np.testing.assert_array_equal(one, other)


# --- Zips -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, bytes]:
    """Three good photos for each of two classes."""
    return {
        f"{label}/{number}.png": (folder / label / f"00{number}.png").read_bytes()
        for label in ("cat", "dog")
        for number in (1, 2, 4)
    }


def test_a_zip_is_read_as_its_folder(tmp_path: Path, files: dict[str, bytes]) -> None:
    members = {f"my photos/all/{name}": data for name, data in files.items()}
    mac = {f"__MACOSX/my photos/all/cat/._{n}.png": b"resource fork" for n in (1, 2)}
    hidden = {"my photos/all/.DS_Store": b"", "my photos/all/cat/.4.png": b""}
    odd = {"/cat/root.png": b"", "../cat/up.png": b"", "my photos/all/dog/notes.txt": b""}
    data = prepare(
        zip_of(tmp_path / "a.zip", members | mac | hidden | odd, zipfile.ZIP_DEFLATED),
        tmp_path / "data",
    )
    assert {label: len(rows) for label, rows in data.rows.items()} == {"cat": 3, "dog": 3}
    assert data.rows["cat"][0].file == "my photos/all/cat/1.png"
    reason = "Its path leads out of the zip file."
    assert data.left_out == {"../cat/up.png": reason, "/cat/root.png": reason}
    (tmp_path / "one.png").write_bytes(files["dog/2.png"])
    np.testing.assert_array_equal(data.arrays()[1][1], by_pillow(tmp_path / "one.png"))


def test_members_may_start_with_a_dot(tmp_path: Path, files: dict[str, bytes]) -> None:
    members = {f"./{name}": data for name, data in files.items()}
    assert prepare(zip_of(tmp_path / "a.zip", members), tmp_path / "data").count("training") == 4


def _claims_little(path: Path, name: str) -> None:
    """Changes the unpacked size of a member in all headers."""
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(name).file_size
    data = path.read_bytes().replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(data)


def test_bad_members_are_left_out(tmp_path: Path, files: dict[str, bytes]) -> None:
    bomb = bytes(40 * 2**20)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr("cat/bomb.png", bomb, zipfile.ZIP_DEFLATED)
        archive.writestr("cat/liar.png", bytes(5_000_001), zipfile.ZIP_DEFLATED)
        archive.writestr("cat/bz2.png", bomb, zipfile.ZIP_BZIP2)
        archive.writestr("cat/lzma.png", bomb, zipfile.ZIP_LZMA)
        archive.writestr("cat/flipped.png", b"0123456789 THE CONTENT " * 9)
        archive.writestr("cat/stream.png", bytes(range(256)) * 40, zipfile.ZIP_DEFLATED)
        archive.writestr("cat/locked.png", files["cat/1.png"])
        streams = archive.getinfo("cat/stream.png").header_offset
        locked = archive.getinfo("cat/locked.png")
        directory = archive.fp.tell() if archive.fp else 0
    _claims_little(path, "cat/liar.png")
    data = bytearray(path.read_bytes())
    data[data.index(b"THE CONTENT")] ^= 1
    start = streams + 30 + len("cat/stream.png")
    data[start : start + 8] = b"\xff" * 8
    # The flag of an encrypted member, in both of its headers.
    data[locked.header_offset + 6] |= 1
    data[data.index(b"cat/locked.png", directory) - 46 + 8] |= 1
    path.write_bytes(data)

    data = prepare(path, tmp_path / "data")
    bad = {"bomb", "liar", "bz2", "lzma", "flipped", "stream", "locked"}
    assert set(data.left_out) == {f"cat/{name}.png" for name in bad}
    assert "at most 15 MB" in data.left_out["cat/bomb.png"]
    for name in ("liar", "flipped", "stream"):
        assert "damaged in the zip" in data.left_out[f"cat/{name}.png"], name
    assert "encrypted" in data.left_out["cat/locked.png"]
    assert "packed with BZip2, which" in data.left_out["cat/bz2.png"]
    assert "packed with LZMA, which" in data.left_out["cat/lzma.png"]
    assert [row.file for row in data.rows["cat"]] == ["cat/1.png", "cat/2.png", "cat/4.png"]


def test_a_member_of_another_compression_is_never_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_of(tmp_path / "a.zip", {"cat/1.png": bytes(10)}, zipfile.ZIP_BZIP2)
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with sources.photo_reader(path) as read, pytest.raises(PhotoError, match="BZip2.*Deflate"):
        read("cat/1.png")


def test_no_more_is_unpacked_than_a_photo_may_have(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", {"a.png": bytes(40 * 2**20)}, zipfile.ZIP_DEFLATED)
    with sources.photo_reader(path) as read:
        assert len(read("a.png")) == 15 * 2**20 + 1


@pytest.mark.parametrize("damage", ["cut", "directory", "no zip"])
def test_a_damaged_zip_is_refused(tmp_path: Path, files: dict[str, bytes], damage: str) -> None:
    path = zip_of(tmp_path / "a.zip", files)
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:-30])
    elif damage == "directory":
        path.write_bytes(data.replace(b"PK\x01\x02", b"PK\x09\x09"))
    else:
        path.write_text("no zip")
    with pytest.raises(DataError, match="damaged zip file|neither a folder nor a zip"):
        prepare(path, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_more_photos_than_are_taken(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(DataError, match="a.zip holds 6 photos; at most 5 are taken here"):
        prepare(zip_of(tmp_path / "a.zip", files), tmp_path / "data", most=5)


# --- Bad folders ----------------------------------------------------------------------------


def test_a_class_without_photos(pair: Path, tmp_path: Path) -> None:
    (pair / "owl").mkdir()
    (pair / "owl" / "notes.txt").write_text("none yet")
    with pytest.raises(DataError, match="The class 'owl' has no photos.*at least 2"):
        prepare(pair, tmp_path / "data")


def test_one_class(pair: Path, tmp_path: Path) -> None:
    shutil.rmtree(pair / "dog")
    with pytest.raises(DataError, match="photos has one class: cat. A network learns.*cat/ and do"):
        prepare(pair, tmp_path / "data")


def test_one_photo(pair: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (pair / "dog" / f"00{number}.png").unlink()
    with pytest.raises(DataError, match="The class 'dog' has 1 photo that can be read"):
        prepare(pair, tmp_path / "data")


def test_one_photo_and_its_copies(pair: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        shutil.copy(pair / "dog" / "000.png", pair / "dog" / f"00{number}.png")
    with pytest.raises(DataError, match="'dog' has 1 photo that can be read; copies count once"):
        prepare(pair, tmp_path / "data")


def test_a_class_of_damaged_photos(pair: Path, tmp_path: Path) -> None:
    for path in (pair / "dog").iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(DataError, match="The class 'dog' has no photos that can be read"):
        prepare(pair, tmp_path / "data")


def test_no_photos(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="photos has no classes"):
        prepare(tmp_path / "photos", tmp_path / "data")
    with pytest.raises(DataError, match="nowhere is neither a folder nor a zip file"):
        prepare(tmp_path / "nowhere", tmp_path / "data")


def test_the_data_cannot_go_among_the_photos(pair: Path) -> None:
    with pytest.raises(DataError, match="inside the photos' own folder"):
        prepare(pair, pair / "data")
    assert not (pair / "data").exists()


def test_the_data_cannot_go_where_a_file_is(pair: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DataError, match="data cannot be written: File exists"):
        prepare(pair, tmp_path / "data")


def test_files_that_cannot_be_opened_are_left_out(pair: Path, tmp_path: Path) -> None:
    (pair / "cat" / "broken link.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(pair / "cat" / "pipe.png")
    locked = pair / "cat" / "locked.png"
    shutil.copy(pair / "cat" / "000.png", locked)
    locked.chmod(0)
    data = prepare(pair, tmp_path / "data")
    expected = {"cat/broken link.png", "cat/pipe.png"}
    # Nothing is locked for root.
    assert set(data.left_out) - {"cat/locked.png"} == expected
    if os.geteuid() != 0:
        assert "not yours to open" in data.left_out["cat/locked.png"]


def test_a_folder_that_cannot_be_listed(
    pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(DataError, match="photos cannot be read: Permission denied"):
        prepare(pair, tmp_path / "data")


def test_a_class_may_be_a_link_to_a_folder(pair: Path, tmp_path: Path) -> None:
    shutil.move(pair / "dog", tmp_path / "elsewhere")
    (pair / "dog").symlink_to(tmp_path / "elsewhere")
    # A circular link is not followed.
    (tmp_path / "elsewhere" / "around").symlink_to(tmp_path / "elsewhere")
    data = prepare(pair, tmp_path / "data")
    assert [row.file for row in data.rows["dog"]] == [f"dog/00{n}.png" for n in range(3)]


def test_names_of_classes_may_be_odd(pair: Path, tmp_path: Path) -> None:
    names = [
        "v1.2",
        "v1.3",
        " spaced ",
        "größe 猫",
        "CON",
        "a.part",
        "manifest.json",
        "back\\slash",
    ]
    for name in names:
        shutil.copytree(pair / "cat", pair / name)
    data = prepare(pair, tmp_path / "data")
    assert data.labels == tuple(sorted([*names, "cat", "dog"]))
    expected = [by_pillow(path) for path in sorted((pair / "cat").iterdir())]
    for label, array in zip(data.labels, read_prepared(data.folder).arrays(), strict=True):
        if label != "dog":
            np.testing.assert_array_equal(array, expected, label)


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", "ä".encode() * 101])
def test_names_that_no_class_can_have(pair: Path, tmp_path: Path, name: bytes) -> None:
    os.rename(pair / "dog", os.path.join(os.fsencode(pair), name))  # noqa: PTH104, PTH118
    with pytest.raises(DataError, match="cannot have that name.*Rename its folder"):
        prepare(pair, tmp_path / "data")


def test_a_photos_name_that_is_no_text(pair: Path, tmp_path: Path) -> None:
    os.rename(  # noqa: PTH104
        pair / "dog" / "002.png",
        os.path.join(os.fsencode(pair), b"dog", b"caf\xe9.png"),  # noqa: PTH118
    )
    data = prepare(pair, tmp_path / "data")
    assert data.rows["dog"][-1].file == "dog/caf\udce9.png"
    assert read_prepared(data.folder) == data


# --- Damaged data ---------------------------------------------------------------------------


def test_a_folder_without_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prepared data in .*cnnviz prepare PHOTOS"):
        read_prepared(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', "\udcff"])
def test_a_damaged_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match="manifest.json is damaged or of another version"):
        read_prepared(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "cut", "rows", "type", "pickled"])
def test_a_damaged_array(prepared: Prepared, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(prepared.folder, tmp_path / "data")
    path = folder / "dog.npy"
    array = np.load(path)
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "rows":
        np.save(path, array[1:])
    elif damage == "type":
        np.save(path, array.astype(np.float32))
    else:
        np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match="dog.npy .*Prepare the data again"):
        read_prepared(folder).arrays()


# --- Arrays ---------------------------------------------------------------------------------


def digits(path: Path, **changes: Any) -> Path:
    """An .npz in MNIST's form: 20 pictures of 0, 15 of 3, and 6 for the test."""
    rng = np.random.default_rng(2)
    y = rng.permutation(np.repeat([0, 3], [20, 15])).astype(np.uint8)
    arrays = {
        "x_train": rng.integers(0, 256, (35, 12, 10), dtype=np.uint8),
        "y_train": y,
        "x_test": rng.integers(0, 256, (6, 12, 10), dtype=np.uint8),
        "y_test": np.array([0, 3, 3, 0, 0, 3], np.uint8),
    }
    kept = {name: array for name, array in (arrays | changes).items() if array is not None}
    np.savez(path, **kept)
    return path


@pytest.mark.parametrize("scale", [False, True])
def test_arrays_in_the_form_of_mnist(tmp_path: Path, scale: bool) -> None:
    path = digits(tmp_path / "digits.npz")
    data = prepare_pixels(path, tmp_path / "data", scale=scale)
    assert data.labels == ("0", "3")
    counts = [data.count(split) for split in ("training", "validation", "test")]
    assert counts == [16 + 12, 4 + 3, 6]
    assert (data.preprocessing.height, data.preprocessing.width) == (12, 10)
    assert data.preprocessing.channels == 1
    source = np.load(path)
    for label, array in zip(data.labels, data.arrays(), strict=True):
        expected = np.concatenate(
            [source[f"x_{end}"][source[f"y_{end}"] == int(label)] for end in ("train", "test")]
        )[..., None]
        np.testing.assert_array_equal(array, expected / np.float32(255) if scale else expected)
    first = int(np.flatnonzero(source["y_train"] == 3)[0])
    assert data.rows["3"][0].file == f"training[{first}]"
    assert data.rows["3"][-1].file == "test[5]"
    assert prepare_pixels(path, tmp_path / "data", scale=scale) == data
    with pytest.raises(DataError, match="already holds other prepared data"):
        prepare_pixels(path, tmp_path / "data", scale=scale, seed=5)


def test_colours_and_labels_in_a_column_as_of_cifar(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (8, 9, 9, 3), dtype=np.uint8)
    path = digits(
        tmp_path / "a.npz",
        x_train=x,
        y_train=np.arange(8)[:, None] % 2,
        x_test=None,
        y_test=None,
    )
    data = prepare_pixels(path, tmp_path / "data")
    np.testing.assert_array_equal(data.arrays()[1], x[1::2])
    assert data.count("test") == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.zeros(35)}, "whole number for each of the 35.*float64"),
        ({"y_train": np.zeros(34, int)}, "each of the 35 pictures. Received: .34,."),
        ({"y_train": np.array(3)}, "whole number for each"),
        ({"y_train": -np.ones(35, int)}, "from 0 on.*Received: -1 to -1"),
        ({"y_train": np.full(35, 2**63, np.uint64)}, "below 10,000"),
        ({"y_train": None}, "x_train, and no labels y_train"),
        ({"x_train": None}, "no arrays x_train and y_train"),
        ({"x_train": np.zeros((35, 12, 10))}, "type uint8.*float64"),
        ({"x_train": np.zeros((35, 12), np.uint8)}, "must be .N, height, width"),
        ({"x_train": np.zeros((35, 12, 10, 4), np.uint8)}, "1 or 3"),
        ({"x_train": np.zeros((35, 0, 10), np.uint8)}, "Received: .35, 0, 10, 1."),
        ({"x_train": np.array(3, np.uint8)}, "must be .N, height, width"),
        ({"x_test": np.zeros((6, 12, 11), np.uint8)}, "different sizes"),
        ({"y_train": np.zeros(35, int), "y_test": np.zeros(6, int)}, "one class: 0"),
        ({"y_train": np.arange(35) // 34}, "The class '1' has 1 photo that can be read"),
        ({"x_train": np.zeros((35, 12, 10), np.uint8)}, "has 1 photo.*copies count once"),
        ({"x_train": np.zeros((0, 9, 9), np.uint8), "y_train": np.zeros(0, int), "x_test": None},
         "has no classes"),
    ],
)  # fmt: skip
def test_arrays_of_another_form(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepare_pixels(digits(tmp_path / "a.npz", **changes), tmp_path / "data")
    assert not (tmp_path / "data" / "manifest.json").exists()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04", None])
def test_no_file_of_arrays(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="missing, damaged, or no .npz file"):
        prepare_pixels(path, tmp_path / "data")


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=np.array([{}]), y_train=np.array([0]))
    with pytest.raises(DataError, match="no .npz file of numbers"):
        prepare_pixels(tmp_path / "a.npz", tmp_path / "data")


def test_without_a_network_there_is_no_data_of_keras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline() -> None:
        raise OSError("URL fetch failure")

    fake = types.SimpleNamespace(load_data=offline)
    monkeypatch.setitem(sys.modules, "keras.datasets.mnist", fake)
    with pytest.raises(DataError, match="could not fetch mnist.*Give its .npz file"):
        prepare_pixels("mnist", tmp_path / "data")


def test_data_of_keras_has_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).integers(0, 256, (8, 9, 9, 3), dtype=np.uint8)
    y = np.repeat([3, 5], 4)[:, None]
    fake = types.SimpleNamespace(load_data=lambda: ((x, y), (x[:2], y[:2])))
    monkeypatch.setitem(sys.modules, "keras.datasets.cifar10", fake)
    data = prepare_pixels("cifar10", tmp_path / "data")
    assert (data.labels, data.source) == (("cat", "dog"), "cifar10")


def test_a_full_disk_for_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match="cannot be written: No space left"):
        prepare_pixels(digits(tmp_path / "a.npz"), tmp_path / "data")
