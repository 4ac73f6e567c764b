"""The manifest of prepared data: the photo of each row, and its split."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from pydantic import ValidationError

from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError
from cnnviz.storage import replace_file

Split = Literal["training", "validation", "test"]

MANIFEST = "manifest.json"
VALIDATION_SHARE = 0.2
_FORMAT = 1


@dataclass(frozen=True)
class Row:
    """One row of a class's array.

    Attributes:
        file: the photo's path inside the folder, with slashes, or its index in an array file.
        sha256: of the file's bytes, or of the array's row, in hexadecimal.
        height: of the photo in pixels, before it was scaled to the data's size.
        width: likewise.
        split: whether the photo is for training, validation or the test.
    """

    file: str
    sha256: str
    height: int
    width: int
    split: Split = "training"


@dataclass(frozen=True)
class Prepared:
    """Data to train on.

    Attributes:
        folder: its folder.
        source: name of the folder or file of the photos.
        preprocessing: how a photo became a row; ``scaling`` is the range of the values: ``none``
            for 0 to 255, ``unit`` for 0 to 1.
        seed: of the split.
        rows: for each class its rows, in the order of its array.
        left_out: for each file that could not be read the reason.
        key: SHA-256 of the photos and of the way they were prepared.
        given_split: whether the validation photos are those that the source has as such; else
            they were chosen by a hash of their content.
        notes: what a person should know about the data, in sentences.
    """

    folder: Path
    source: str
    preprocessing: Preprocessing
    seed: int
    rows: dict[str, tuple[Row, ...]]
    left_out: dict[str, str]
    key: str
    given_split: bool = False
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in order."""
        return tuple(self.rows)

    def count(self, split: Split) -> int:
        """The number of photos of a split."""
        return sum(row.split == split for rows in self.rows.values() for row in rows)

    def indices(self, split: Split) -> NDArray[np.int64]:
        """The photos of a split: (N, 2), the class and the row in its array."""
        pairs = [
            (label, index)
            for label, rows in enumerate(self.rows.values())
            for index, row in enumerate(rows)
            if row.split == split
        ]
        return np.array(pairs, np.int64).reshape(-1, 2)

    def arrays(self) -> list[NDArray[Any]]:
        """The classes' arrays (N, h, w, C), mapped into memory and not read.

        Raises:
            DataError: one is missing, damaged, or not of the shape and type in the manifest.
        """
        sizes = self.preprocessing
        arrays: list[NDArray[Any]] = []
        dtype = np.float32 if sizes.scaling == "unit" else np.uint8
        for label, rows in self.rows.items():
            path = array_path(self.folder, label)
            try:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise DataError(f"{path} is missing or damaged. Prepare the data again.") from error
            shape = (len(rows), sizes.height, sizes.width, sizes.channels)
            if array.shape != shape or array.dtype != dtype:
                raise DataError(
                    f"{path} holds {array.shape} of type {array.dtype}; its manifest requires "
                    f"{shape} of type {np.dtype(dtype)}. Prepare the data again."
                )
            arrays.append(array)
        return arrays


def array_path(folder: Path, label: str) -> Path:
    """The array file of a class."""
    return folder / f"{label}.npy"


def part_path(folder: Path, label: str) -> Path:
    """The file of a class's array while it is incomplete."""
    return array_path(folder, label).with_suffix(".part")


def check_free(folder: Path, labels: Iterable[str]) -> None:
    """Checks that no array would be overwritten.

    Raises:
        DataError: the folder contains an array of one of the classes.
    """
    for label in labels:
        if array_path(folder, label).exists():
            raise DataError(
                f"{array_path(folder, label)} is already there, and no manifest with it. Choose "
                "another folder, or delete it."
            )


def new_array(path: Path, shape: Sequence[int], dtype: Any) -> None:
    """Creates an array file of zeros, with all its disk space allocated at once.

    Writing to a memory-mapped file without disk space would kill the process.

    Raises:
        OSError: the disk is full or cannot be written to.
    """
    array = open_memmap(path, mode="w+", dtype=dtype, shape=tuple(shape))
    del array
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)


def split_rows(rows: Iterable[Row], seed: int, share: float = VALIDATION_SHARE) -> list[Row]:
    """The rows of one class, split into training and validation; test rows stay test rows.

    The order of the hashes of seed and content decides, so that the split is the same on every
    machine, and copies of a photo are in the same split.
    """
    rows = list(rows)
    groups: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        if row.split != "test":
            groups[hashlib.sha256(f"{seed}:{row.sha256}".encode()).hexdigest()].append(index)
    count = max(1, round(share * sum(map(len, groups.values()))))
    chosen: set[int] = set()
    for key in sorted(groups)[: len(groups) - 1]:
        if len(chosen) >= count:
            break
        chosen.update(groups[key])
    return [
        replace(row, split="validation") if index in chosen else row
        for index, row in enumerate(rows)
    ]


def check_classes(counts: dict[str, int], source: str) -> None:
    """Raises ``DataError`` where there are fewer than two classes, or two photos of a class."""
    if len(counts) < 2:
        raise DataError(
            f"{source} has {'one class' if counts else 'no classes'}: {', '.join(counts) or '–'}. "
            "A network learns to distinguish at least two: make a sub-folder with photos for each "
            "class, such as cat/ and dog/."
        )
    for label, count in counts.items():
        if count < 2:
            raise DataError(
                f"The class {label!r} has {count or 'no'} photo{'s' if count != 1 else ''} that "
                "can be read; copies count once. Each class needs at least 2: one to learn from, "
                "one to be measured with."
            )


def check_rows(rows: Mapping[str, Sequence[Row]], source: str) -> None:
    """Raises ``DataError`` where a class has no two different photos, one in each split."""
    check_classes(
        {
            label: len({row.sha256 for row in of_class if row.split != "test"})
            for label, of_class in rows.items()
        },
        source,
    )
    for label, of_class in rows.items():
        for split in ("training", "validation"):
            if not any(row.split == split for row in of_class):
                raise DataError(f"The class {label!r} has no photos for {split} that can be read.")


def in_several_classes(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """Files whose content occurs in more than one class."""
    classes: dict[str, set[str]] = defaultdict(set)
    for label, of_class in rows.items():
        for row in of_class:
            classes[row.sha256].add(label)
    shared = {sha for sha, labels in classes.items() if len(labels) > 1}
    return [row.file for of_class in rows.values() for row in of_class if row.sha256 in shared]


def in_several_splits(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """Files for validation or the test whose content is also among the training photos."""
    all_rows = [row for of_class in rows.values() for row in of_class]
    training = {row.sha256 for row in all_rows if row.split == "training"}
    return [row.file for row in all_rows if row.split != "training" and row.sha256 in training]


def notes_on_rows(rows: Mapping[str, Sequence[Row]]) -> tuple[str, ...]:
    """Warnings about photos that are there twice, in sentences."""
    classes, splits = in_several_classes(rows), in_several_splits(rows)
    notes = []
    if classes:
        notes.append(
            f"Warning: {len(classes):,} files are in more than one class, such as {classes[0]}."
        )
    if splits:
        notes.append(
            f"Warning: {len(splits):,} files for validation or the test are among the training "
            f"photos too, such as {splits[0]}: the measured accuracy will be too high."
        )
    return tuple(notes)


def write_manifest(prepared: Prepared) -> None:
    """Writes the manifest: the last step of a preparation."""
    content = {
        "format": _FORMAT,
        "source": prepared.source,
        "preprocessing": prepared.preprocessing.model_dump(),
        "seed": prepared.seed,
        "given_split": prepared.given_split,
        "notes": prepared.notes,
        "photos": Counter(row.split for rows in prepared.rows.values() for row in rows),
        "classes": {label: [asdict(row) for row in rows] for label, rows in prepared.rows.items()},
        "left_out": prepared.left_out,
        "key": prepared.key,
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    # Bytes of a file's name that are no UTF-8 become JSON escapes.
    replace_file(prepared.folder / MANIFEST, text.encode(errors="backslashreplace"))


def prepared_before(folder: Path, key: str) -> Prepared | None:
    """The same data, prepared earlier; None where the folder contains none.

    Raises:
        DataError: the folder contains other data, or its manifest is damaged.
    """
    if not (folder / MANIFEST).exists():
        return None
    prepared = read_prepared(folder)
    if prepared.key != key:
        raise DataError(
            f"{folder} already holds other prepared data. Choose another folder, or delete it."
        )
    return prepared


def read_prepared(folder: str | Path) -> Prepared:
    """Reads the manifest of prepared data.

    Raises:
        DataError: there is none, or it is damaged.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(
            f"There is no prepared data in {folder}: no {MANIFEST}. Make it with "
            "'python -m cnnviz prepare PHOTOS --out DATA'."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']}")
        rows = {
            label: tuple(Row(**row) for row in of_class)
            for label, of_class in content["classes"].items()
        }
        return Prepared(
            folder,
            content["source"],
            Preprocessing.model_validate(content["preprocessing"]),
            content["seed"],
            rows,
            content["left_out"],
            content["key"],
            # Not in the manifests of version 0.2.
            content.get("given_split", False),
            tuple(content.get("notes", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise DataError(
            f"{path} is damaged or of another version. Prepare the data again."
        ) from error
