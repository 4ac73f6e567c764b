"""Photos in class folders, or in a zip of them, to arrays: in parallel, and bounded in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError
from cnnviz.training.data import decoding
from cnnviz.training.data.decoding import Chunk, Entries, Report
from cnnviz.training.data.layouts import Listing
from cnnviz.training.data.manifest import (
    Prepared,
    Row,
    Split,
    array_path,
    check_classes,
    check_free,
    check_rows,
    new_array,
    notes_on_rows,
    part_path,
    prepared_before,
    split_rows,
    write_manifest,
)
from cnnviz.training.data.sources import list_photos, source_key


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

    The largest centred square of each photo is scaled to ``size``. Photos that cannot be read are
    left out and listed with the reason. Where the folders are named train, validation and test,
    the photos keep that split. After an interruption the same call resumes.

    Args:
        source: a folder, or a zip of one.
        out: the folder for the arrays (N, size, size, 3) and the manifest; made if missing.
        size: pixels a side.
        scale: writes float32 of 0 to 1 in place of uint8 of 0 to 255.
        seed: of the split: 20 % of each class are for validation, where the folders give none.
        most: the maximum number of photos.
        processes: that decode in parallel; one for each core if None, this process itself if 1.
        report: is called with the number of decoded photos and the number of all.

    Raises:
        DataError: the source has fewer than two classes, the folder contains something else, or
            the disk is full.
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
    count = sum(map(len, listing.classes.values()))
    if most is not None and count > most:
        raise DataError(f"{source.name} holds {count:,} photos; at most {most:,} are taken here.")
    check_classes({label: len(names) for label, names in listing.classes.items()}, source.name)
    key = source_key(source, listing, preprocessing, seed)
    if (finished := prepared_before(out, key)) is not None:
        return finished
    try:
        out.mkdir(parents=True, exist_ok=True)
        done = decoding.read_journal(out, key)
        if done is None:
            _allocate(out, listing.classes, preprocessing)
            decoding.begin_journal(out, key)
            done = {}
        chunks = decoding.split_into_chunks(source, out, listing.classes, preprocessing)
        decoding.decode_chunks(chunks, out, done, processes, report)
        rows, left_out = _finish_arrays(source.name, out, chunks, done, listing, seed)
        prepared = Prepared(
            out,
            source.name,
            preprocessing,
            seed,
            rows,
            left_out,
            key,
            given_split="validation" in listing.splits.values(),
            notes=listing.notes + notes_on_rows(rows),
        )
        write_manifest(prepared)
        decoding.delete_journal(out)
    except OSError as error:
        raise DataError(
            f"{out} cannot be written: {error.strerror}. What is done is kept: free disk "
            "space, then run the same command again."
        ) from error
    return prepared


def _allocate(out: Path, classes: dict[str, list[str]], preprocessing: Preprocessing) -> None:
    """Creates the arrays with all their disk space, or none of them."""
    check_free(out, classes)
    sizes = (preprocessing.height, preprocessing.width, preprocessing.channels)
    dtype: Any = np.uint8 if preprocessing.scaling == "none" else np.float32
    try:
        for label, names in classes.items():
            new_array(part_path(out, label), (len(names), *sizes), dtype)
    except OSError:
        for label in classes:
            part_path(out, label).unlink(missing_ok=True)
        raise


def _finish_arrays(
    source: str,
    out: Path,
    chunks: list[Chunk],
    done: dict[str, Entries],
    listing: Listing,
    seed: int,
) -> tuple[dict[str, tuple[Row, ...]], dict[str, str]]:
    """Removes the rows of unreadable photos from the arrays.

    Returns:
        For each class its rows, with their split, and for each unreadable file the reason.
    """
    by_class: dict[str, Entries] = {}
    for chunk in chunks:
        by_class.setdefault(chunk.array.stem, []).extend(done[chunk.key])
    readable = {
        label: [index for index, entry in enumerate(entries) if "reason" not in entry]
        for label, entries in by_class.items()
    }
    given = listing.splits
    rows = {
        label: tuple(_split([Row(**by_class[label][index]) for index in indices], given, seed))
        for label, indices in readable.items()
    }
    entries = list(chain.from_iterable(by_class.values()))
    left_out = listing.left_out | {
        entry["file"]: entry["reason"] for entry in entries if "reason" in entry
    }
    try:
        check_rows(rows, source)
    except DataError as error:
        if not left_out:
            raise
        file, reason = next(iter(left_out.items()))
        raise DataError(f"{error} Left out: {len(left_out):,}, such as {file}: {reason}") from error
    for label, indices in readable.items():
        close_gaps(part_path(out, label), array_path(out, label), indices)
    return rows, left_out


def _split(rows: list[Row], given: Mapping[str, Split], seed: int) -> list[Row]:
    """The rows of one class with their split: the given one, and the validation photos else."""
    rows = [replace(row, split=given.get(row.file, "training")) for row in rows]
    return rows if "validation" in given.values() else split_rows(rows, seed)


def close_gaps(part: Path, array: Path, indices: list[int]) -> None:
    """Writes the array of these rows of the part file; finished already where that is missing."""
    if not part.exists():
        return
    rows = np.load(part, mmap_mode="r")
    if len(indices) == len(rows):
        del rows
        part.replace(array)
        return
    complete = array.with_suffix(".whole")
    new_array(complete, (len(indices), *rows.shape[1:]), rows.dtype)
    kept = open_memmap(complete, mode="r+")
    for start in range(0, len(indices), decoding.CHUNK):
        kept[start : start + decoding.CHUNK] = rows[indices[start : start + decoding.CHUNK]]
    del kept, rows
    complete.replace(array)
    part.unlink()
