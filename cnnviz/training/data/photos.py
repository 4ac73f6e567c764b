"""Photos in class folders, or in a zip of them, to arrays: in parallel, and bounded in memory."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from loky import ProcessPoolExecutor
from loky.process_executor import BrokenProcessPool
from numpy.lib.format import open_memmap

from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError, PhotoError
from cnnviz.photos.checks import MAX_BYTES
from cnnviz.photos.decoding import EXTENSIONS, open_picture
from cnnviz.photos.preprocessing import picture_view, scale_pixels
from cnnviz.processes import follow
from cnnviz.storage import replace_file
from cnnviz.training.data.manifest import (
    Prepared,
    Row,
    array_path,
    check_classes,
    check_free,
    check_rows,
    new_array,
    part_path,
    prepared_before,
    split_rows,
    write_manifest,
)

# Photos that a process decodes between two entries in the journal.
_CHUNK = 32
# Bytes of a class's name: a file's name ends at 255, and an ending is added.
_LONGEST_NAME = 200
_JOURNAL = ".preparing.jsonl"
_PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class _Chunk:
    """A few photos of one class, and where they go.

    Attributes:
        source: the folder or zip.
        names: their paths in it.
        array: the file of the class's array.
        start: the row of the first one.
        preprocessing: how a photo becomes a row.
    """

    source: Path
    names: tuple[str, ...]
    array: Path
    start: int
    preprocessing: Preprocessing

    @property
    def key(self) -> str:
        """What the journal knows it by."""
        return f"{self.array.name} {self.start}"


def prepare_photos(
    source: str | Path,
    out: str | Path,
    *,
    size: int = 224,
    scale: bool = False,
    seed: int = 0,
    most: int | None = None,
    processes: int | None = None,
    report: Report | None = None,
) -> Prepared:
    """Turns photos, sorted into a sub-folder for each class, into one array for each class.

    Of each photo the largest centred square is kept and scaled to ``size``. Photos that cannot
    be read are left out and named. When it is interrupted, the same call goes on where it was.

    Args:
        source: a folder, or a zip of one.
        out: the folder for the arrays (N, size, size, 3) and the manifest; made if missing.
        size: pixels a side.
        scale: writes float32 of 0 to 1 in place of uint8 of 0 to 255.
        seed: of the split: 20 % of each class are for validation.
        most: the most photos that are taken.
        processes: that decode at once; one for each core if None.
        report: is told how many photos are done, and of how many.

    Raises:
        DataError: the source has no two classes, the folder holds something else, or the disk
            is full.
    """
    source, out = Path(source), Path(out)
    if out.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{out} is inside the photos' own folder. Choose a folder outside of it.")
    preprocessing = Preprocessing(
        height=size,
        width=size,
        fit="crop",
        interpolation="bicubic",
        scaling="unit" if scale else "none",
    )
    listing = list_photos(source)
    count = sum(map(len, listing.values()))
    if most is not None and count > most:
        raise DataError(f"{source.name} holds {count:,} photos; at most {most:,} are taken here.")
    check_classes({label: len(names) for label, names in listing.items()}, source.name)
    key = _key(source, listing, preprocessing, seed)
    if (known := prepared_before(out, key)) is not None:
        return known
    try:
        out.mkdir(parents=True, exist_ok=True)
        done = _begin(out, key, listing, preprocessing)
        chunks = _chunks(source, out, listing, preprocessing)
        _decode(chunks, out, done, processes, report)
        return _finish(source.name, out, listing, chunks, done, preprocessing, seed, key)
    except OSError as error:
        raise DataError(
            f"{out} cannot be written: {error.strerror}. What is done is kept: make room, then "
            "run the same command again."
        ) from error


def list_photos(source: Path) -> dict[str, list[str]]:
    """The photos of each class, in order: paths inside the folder or zip, with slashes.

    A class is a folder at the top, with everything below it. Hidden files are left out. Above
    the classes a zip may hold folders of its own.

    Raises:
        DataError: there is no such folder or zip, it cannot be read, or a class's name cannot
            be the name of a file.
    """
    if source.is_dir():
        try:
            folders = [path.name for path in source.iterdir() if path.is_dir()]
        except OSError as error:
            raise DataError(f"{source} cannot be read: {error.strerror}.") from error
        names = [
            Path(folder, name).relative_to(source).as_posix()
            # A class may be a link to a folder elsewhere; links below it might go in circles.
            for top in folders
            for folder, _, files in os.walk(source / top)
            for name in files
        ]
    elif zipfile.is_zipfile(source):
        names = [entry.filename for entry in _members(source) if not entry.is_dir()]
        folders = []
    else:
        raise DataError(f"{source} is neither a folder nor a zip file.")
    photos = {name: PurePosixPath(name) for name in sorted(set(names)) if _is_photo(name)}
    above = 0 if source.is_dir() else _folders_above(photos.values())
    listing: dict[str, list[str]] = {
        name: [] for name in sorted(folders) if not name.startswith((".", "__MACOSX"))
    }
    for name, path in photos.items():
        if len(path.parts) > above + 1:
            listing.setdefault(path.parts[above], []).append(name)
    for label in listing:
        _check_label(label)
    return dict(sorted(listing.items()))


def _members(source: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(source) as archive:
            return archive.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise DataError(f"{source} is a damaged zip file. Make or copy it again.") from error


def _check_label(label: str) -> None:
    """Raises ``DataError`` where a class cannot have a file of its name, or a card the name."""
    try:
        size = len(label.encode())
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= _LONGEST_NAME or not label.isprintable():
        raise DataError(
            f"The class {label[:80]!a} cannot have that name: take up to {_LONGEST_NAME} "
            "letters that can be read. Rename its folder."
        )


def _is_photo(name: str) -> bool:
    parts = PurePosixPath(name).parts
    # A zip may hold a path from the root, which is nobody's class.
    hidden = any(part.startswith((".", "/", "__MACOSX")) for part in parts)
    return not hidden and name.lower().endswith(tuple(f".{ending}" for ending in EXTENSIONS))


def _folders_above(photos: Iterable[PurePosixPath]) -> int:
    """How many folders all photos of a zip share, and so are no class; the last one may be."""
    parents = [photo.parent for photo in photos]
    if not parents:
        return 0
    shared = len(PurePosixPath(os.path.commonpath(parents)).parts)
    deepest = max(len(parent.parts) for parent in parents)
    return max(0, min(shared, deepest - 1))


def _key(
    source: Path, listing: dict[str, list[str]], preprocessing: Preprocessing, seed: int
) -> str:
    """What tells these photos, prepared in this way, from all others."""
    sizes: dict[str, Any]
    if source.is_dir():
        sizes = {name: _stamp(source / name) for names in listing.values() for name in names}
    else:
        sizes = {entry.filename: entry.CRC for entry in _members(source)}
    told = json.dumps([listing, sizes, preprocessing.model_dump(), seed])
    return hashlib.sha256(told.encode()).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file; of a link that leads nowhere, zeros."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _begin(
    out: Path, key: str, listing: dict[str, list[str]], preprocessing: Preprocessing
) -> dict[str, list[dict[str, Any]]]:
    """Takes the room on the disk; gives what an earlier, interrupted run has done."""
    journal = out / _JOURNAL
    if journal.exists():
        head, *lines = journal.read_text(encoding="utf-8").splitlines() or [""]
        if head != key:
            raise DataError(
                f"{out} holds the unfinished preparation of other photos, or of the same ones in "
                "another way. Choose another folder, or delete it."
            )
        return dict(entry for line in lines if (entry := _entry(line)))
    check_free(out, listing)
    sizes = (preprocessing.height, preprocessing.width, preprocessing.channels)
    try:
        for label, names in listing.items():
            new_array(part_path(out, label), (len(names), *sizes), _dtype(preprocessing))
    except OSError:
        for label in listing:
            part_path(out, label).unlink(missing_ok=True)
        raise
    replace_file(journal, f"{key}\n".encode())
    return {}


def _entry(line: str) -> tuple[str, list[dict[str, Any]]] | None:
    """A line of the journal; None for one that was cut off."""
    try:
        chunk, rows = json.loads(line)
    except ValueError:
        return None
    return chunk, rows


def _dtype(preprocessing: Preprocessing) -> Any:
    return np.uint8 if preprocessing.scaling == "none" else np.float32


def _chunks(
    source: Path, out: Path, listing: dict[str, list[str]], preprocessing: Preprocessing
) -> list[_Chunk]:
    return [
        _Chunk(source, tuple(names[at : at + _CHUNK]), part_path(out, label), at, preprocessing)
        for label, names in listing.items()
        for at in range(0, len(names), _CHUNK)
    ]


def _decode(
    chunks: list[_Chunk],
    out: Path,
    done: dict[str, list[dict[str, Any]]],
    processes: int | None,
    report: Report | None,
) -> None:
    """Decodes what is not done yet; ``done`` and the journal grow with every chunk."""
    total = sum(len(chunk.names) for chunk in chunks)
    ready = sum(map(len, done.values()))
    left = [chunk for chunk in chunks if chunk.key not in done]
    if report:
        report(ready, total)
    if not left:
        return
    with (
        (out / _JOURNAL).open("a", encoding="utf-8") as journal,
        ProcessPoolExecutor(
            processes or os.cpu_count(), initializer=_follow, initargs=(os.getpid(),)
        ) as executor,
    ):
        # A line that was cut off must not swallow the next one.
        journal.write("\n")
        try:
            for chunk, rows in zip(left, executor.map(_fill, left), strict=True):
                done[chunk.key] = rows
                journal.write(json.dumps([chunk.key, rows]) + "\n")
                journal.flush()
                ready += len(rows)
                if report:
                    report(ready, total)
        except BrokenProcessPool as error:
            raise DataError(
                "A process that decodes photos ended before it was done: it was killed, or the "
                "memory is full. Run the same command again: what is done is kept."
            ) from error
        except BaseException:
            executor.shutdown(wait=False, kill_workers=True)
            raise


def _follow(parent: int) -> None:
    """Leaves it to the first process to stop this one, and ends with it however it went."""
    # A terminal tells every process of a command of Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    follow(parent)


def _fill(chunk: _Chunk) -> list[dict[str, Any]]:
    """Decodes photos into their rows: for each what a ``Row`` holds, or the reason it has none."""
    found: list[dict[str, Any]] = []
    array = open_memmap(chunk.array, mode="r+")
    with ExitStack() as stack:
        archive = None
        if not chunk.source.is_dir():
            archive = stack.enter_context(zipfile.ZipFile(chunk.source))
        for place, name in enumerate(chunk.names, chunk.start):
            try:
                data = _read(chunk.source, archive, name)
                photo = open_picture(data)
            except PhotoError as error:
                found.append({"file": name, "reason": str(error)})
                continue
            view = picture_view(photo, chunk.preprocessing)
            scaling = chunk.preprocessing.scaling
            array[place] = view if scaling == "none" else scale_pixels(view, scaling)
            sha256 = hashlib.sha256(data).hexdigest()
            found.append(asdict(Row(name, sha256, photo.height, photo.width)))
    return found


def _read(source: Path, archive: zipfile.ZipFile | None, name: str) -> bytes:
    """A photo's bytes, and never more than one too many.

    Raises:
        PhotoError: it cannot be read.
    """
    try:
        if archive is None:
            return _read_file(source / name)
        # Python unpacks other kinds without end, however little is asked for.
        if archive.getinfo(name).compress_type not in _PACKINGS:
            raise NotImplementedError
        with archive.open(name) as file:
            return file.read(MAX_BYTES + 1)
    except (
        OSError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        ValueError,
    ) as error:
        raise PhotoError(
            "This file cannot be read: it is damaged, encrypted, packed in an uncommon way, or not "
            "yours to open.",
            "unreadable",
        ) from error


def _read_file(path: Path) -> bytes:
    # A pipe would keep its reader waiting for ever.
    if not path.is_file():
        raise FileNotFoundError
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _finish(
    source: str,
    out: Path,
    listing: dict[str, list[str]],
    chunks: list[_Chunk],
    done: dict[str, list[dict[str, Any]]],
    preprocessing: Preprocessing,
    seed: int,
    key: str,
) -> Prepared:
    """Closes the gaps that damaged photos left, and writes the manifest."""
    found: dict[str, list[dict[str, Any]]] = {label: [] for label in listing}
    for chunk in chunks:
        found[chunk.array.stem] += done[chunk.key]
    readable = {
        label: [place for place, row in enumerate(rows) if "reason" not in row]
        for label, rows in found.items()
    }
    rows = {
        label: tuple(split_rows((Row(**found[label][place]) for place in places), seed))
        for label, places in readable.items()
    }
    check_rows(rows, source)
    for label, places in readable.items():
        _close_gaps(part_path(out, label), array_path(out, label), places)
    left_out = {row["file"]: row["reason"] for row in _flat(found) if "reason" in row}
    prepared = Prepared(out, source, preprocessing, seed, rows, left_out, key)
    write_manifest(prepared)
    (out / _JOURNAL).unlink()
    return prepared


def _flat(found: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    for rows in found.values():
        yield from rows


def _close_gaps(part: Path, array: Path, places: list[int]) -> None:
    """Makes the array of its rows in these places; done already where the part is gone."""
    if not part.exists():
        return
    rows = np.load(part, mmap_mode="r")
    if len(places) == len(rows):
        del rows
        part.replace(array)
        return
    whole = array.with_suffix(".whole")
    new_array(whole, (len(places), *rows.shape[1:]), rows.dtype)
    kept = open_memmap(whole, mode="r+")
    for at in range(0, len(places), _CHUNK):
        kept[at : at + _CHUNK] = rows[places[at : at + _CHUNK]]
    del kept, rows
    whole.replace(array)
    part.unlink()
