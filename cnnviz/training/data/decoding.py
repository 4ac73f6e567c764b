"""Photos to rows of arrays: in parallel processes, with a journal to resume from."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loky import ProcessPoolExecutor
from loky.process_executor import BrokenProcessPool
from numpy.lib.format import open_memmap

from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError, PhotoError
from cnnviz.photos.decoding import open_picture
from cnnviz.photos.preprocessing import picture_view, scale_pixels
from cnnviz.processes import follow
from cnnviz.storage import replace_file
from cnnviz.training.data.manifest import Row, part_path
from cnnviz.training.data.sources import photo_reader

# Photos that a process decodes between two entries in the journal.
CHUNK = 32
_JOURNAL = ".preparing.jsonl"

Report = Callable[[int, int], None]
# For each photo of a chunk the fields of a ``Row``, or its "file" and the "reason" for none.
Entries = list[dict[str, Any]]


@dataclass(frozen=True)
class Chunk:
    """A few photos of one class, and the rows they are written to.

    Attributes:
        source: the folder or zip.
        names: the photos' paths in it.
        array: the file of the class's array.
        start: the row of the first photo.
        preprocessing: how a photo becomes a row.
    """

    source: Path
    names: tuple[str, ...]
    array: Path
    start: int
    preprocessing: Preprocessing

    @property
    def key(self) -> str:
        """Its name in the journal."""
        return f"{self.array.name} {self.start}"


def split_into_chunks(
    source: Path, out: Path, classes: dict[str, list[str]], preprocessing: Preprocessing
) -> list[Chunk]:
    """All photos as chunks, in order."""
    return [
        Chunk(
            source, tuple(names[start : start + CHUNK]), part_path(out, label), start, preprocessing
        )
        for label, names in classes.items()
        for start in range(0, len(names), CHUNK)
    ]


def decode_chunks(
    chunks: Sequence[Chunk],
    out: Path,
    done: dict[str, Entries],
    processes: int | None,
    report: Report | None,
) -> None:
    """Decodes the chunks that are missing in ``done``, and adds them to it and to the journal."""
    total = sum(len(chunk.names) for chunk in chunks)
    count = sum(map(len, done.values()))
    missing = [chunk for chunk in chunks if chunk.key not in done]
    if report:
        report(count, total)
    if not missing:
        return
    with (
        (out / _JOURNAL).open("a", encoding="utf-8") as journal,
        closing(_decoded(missing, processes)) as decoded,
    ):
        # The last line may be incomplete: the next entry starts on a line of its own.
        journal.write("\n")
        for chunk, entries in zip(missing, decoded, strict=True):
            done[chunk.key] = entries
            journal.write(json.dumps([chunk.key, entries]) + "\n")
            journal.flush()
            count += len(entries)
            if report:
                report(count, total)


def _decoded(missing: Sequence[Chunk], processes: int | None) -> Generator[Entries]:
    """Decodes chunks, in order: in this process where one is asked for, else in new ones."""
    if processes == 1:
        yield from map(decode_chunk, missing)
        return
    with ProcessPoolExecutor(
        processes or os.cpu_count(), initializer=_follow, initargs=(os.getpid(),)
    ) as executor:
        try:
            yield from executor.map(decode_chunk, missing)
        except BrokenProcessPool as error:
            raise DataError(
                "A process that decodes photos ended before it was done: it was killed, or the "
                "memory is full. Run the same command again: what is done is kept."
            ) from error
        # Also where the caller ends early.
        except BaseException:
            executor.shutdown(wait=False, kill_workers=True)
            raise


def _follow(parent: int) -> None:
    """Ends this process with its parent, and ignores Ctrl-C, which the parent handles."""
    # A terminal sends Ctrl-C to every process of a command.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    follow(parent)


def decode_chunk(chunk: Chunk) -> Entries:
    """Decodes photos into their rows of the array."""
    entries: Entries = []
    array = open_memmap(chunk.array, mode="r+")
    with photo_reader(chunk.source) as read:
        for index, name in enumerate(chunk.names, chunk.start):
            try:
                data = read(name)
                photo = open_picture(data)
            except PhotoError as error:
                entries.append({"file": name, "reason": str(error)})
                continue
            view = picture_view(photo, chunk.preprocessing)
            scaling = chunk.preprocessing.scaling
            array[index] = view if scaling == "none" else scale_pixels(view, scaling)
            sha256 = hashlib.sha256(data).hexdigest()
            entries.append(asdict(Row(name, sha256, photo.height, photo.width)))
    return entries


def begin_journal(out: Path, key: str) -> None:
    """Starts the journal of a preparation: its first line is the data's key."""
    replace_file(out / _JOURNAL, f"{key}\n".encode())


def read_journal(out: Path, key: str) -> dict[str, Entries] | None:
    """The chunks that an interrupted preparation has decoded; None where there was none.

    Raises:
        DataError: the journal belongs to other data.
    """
    journal = out / _JOURNAL
    if not journal.exists():
        return None
    head, *lines = journal.read_text(encoding="utf-8").splitlines() or [""]
    if head != key:
        raise DataError(
            f"{out} holds the unfinished preparation of other photos, or of the same ones in "
            "another way. Choose another folder, or delete it."
        )
    return dict(entry for line in lines if (entry := _parse(line)))


def _parse(line: str) -> tuple[str, Entries] | None:
    """A line of the journal; None for an incomplete one."""
    try:
        key, entries = json.loads(line)
    except ValueError:
        return None
    return key, entries


def delete_journal(out: Path) -> None:
    """Deletes the journal of a finished preparation."""
    (out / _JOURNAL).unlink()
