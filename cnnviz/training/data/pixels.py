"""Labelled pictures in arrays, in the format of Keras's MNIST, to the same form as photos."""

from __future__ import annotations

import hashlib
import importlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from cnnviz.cards import MAX_SIDE, Preprocessing
from cnnviz.errors import DataError
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

_FASHION_MNIST = "T-shirt Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle-boot"
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
# Data sets that keras.datasets downloads, with the names of their classes.
KERAS_DATASETS = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": tuple(_FASHION_MNIST.split()),
    "cifar10": tuple(_CIFAR10.split()),
}
_MOST_CLASSES = 10_000
_SPLITS: tuple[tuple[str, Split], ...] = (("train", "training"), ("test", "test"))


def is_array_file(source: str | Path) -> bool:
    """Whether a path names an ``.npz`` file, as ``prepare_pixels`` takes it."""
    return Path(source).suffix.lower() == ".npz" and not Path(source).is_dir()


def prepare_pixels(
    source: str | Path, out: str | Path, *, scale: bool = False, seed: int = 0
) -> Prepared:
    """Turns labelled pictures into one array (N, h, w, C) for each class.

    Args:
        source: an ``.npz`` file with x_train, y_train and, where there are any, x_test and
            y_test: (N, h, w) or (N, h, w, C) uint8, and whole numbers. Or a name of
            ``KERAS_DATASETS``, which Keras downloads.
        out: the folder for the arrays and the manifest; made if missing.
        scale: writes float32 of 0 to 1 in place of uint8 of 0 to 255.
        seed: of the split: 20 % of the training pictures of each class are for validation; the
            test pictures stay for the test.

    Raises:
        DataError: the file is not of that form, has fewer than two classes, or cannot be
            downloaded.
    """
    out = Path(out)
    name = str(source)
    pixels, names = _download(name) if name in KERAS_DATASETS else (_load(Path(source)), None)
    name = Path(name).name
    pictures = {
        split: _pictures(pixels, ending, name)
        for ending, split in _SPLITS
        if f"x_{ending}" in pixels
    }
    if "training" not in pictures:
        raise DataError(f"{name} has no arrays x_train and y_train.")
    numbers = sorted({int(number) for _, y in pictures.values() for number in np.unique(y)})
    labels = {number: names[number] if names else str(number) for number in numbers}
    shapes = {x.shape[1:] for x, _ in pictures.values()}
    if len(shapes) > 1:
        raise DataError(f"{name} holds pictures of different sizes: {shapes}.")
    height, width, channels = shapes.pop()
    preprocessing = Preprocessing(
        height=height,
        width=width,
        channels=channels,
        fit="crop",
        scaling="unit" if scale else "none",
    )
    key = _key(pictures, preprocessing, seed)
    if (finished := prepared_before(out, key)) is not None:
        return finished
    training = pictures["training"][1]
    check_classes({label: int((training == n).sum()) for n, label in labels.items()}, name)
    try:
        out.mkdir(parents=True, exist_ok=True)
        check_free(out, labels.values())
        rows = {
            label: tuple(split_rows(_write(out, label, number, pictures, preprocessing), seed))
            for number, label in labels.items()
        }
        check_rows(rows, name)
        for label in rows:
            part_path(out, label).replace(array_path(out, label))
        notes = notes_on_rows(rows)
        prepared = Prepared(out, name, preprocessing, seed, rows, {}, key, notes=notes)
        write_manifest(prepared)
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror}.") from error
    return prepared


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        # NumPy does not close a damaged file that it opened itself.
        with path.open("rb") as data, np.load(data, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        MemoryError,
        NotImplementedError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise DataError(f"{path} is missing, damaged, or no .npz file of numbers.") from error


def _download(name: str) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    dataset = importlib.import_module(f"keras.datasets.{name}")
    try:
        (x_train, y_train), (x_test, y_test) = dataset.load_data()
    # Without a network connection many kinds of errors can occur.
    except Exception as error:
        raise DataError(
            f"Keras could not fetch {name} from the internet. Give its .npz file instead."
        ) from error
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    return arrays, KERAS_DATASETS[name]


def _pictures(
    pixels: Mapping[str, NDArray[Any]], ending: str, name: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Checked pictures (N, h, w, C) and their classes (N,)."""
    x, y = pixels[f"x_{ending}"], pixels.get(f"y_{ending}")
    if y is None:
        raise DataError(f"{name} has x_{ending}, and no labels y_{ending} for it.")
    x = x[..., None] if x.ndim == 3 else x
    sides = x.shape[1:3] if x.ndim == 4 and x.shape[3] in {1, 3} else (0,)
    if x.dtype != np.uint8 or not 0 < min(sides) <= max(sides) <= MAX_SIDE:
        raise DataError(
            f"x_{ending} of {name} must be (N, height, width) or (N, height, width, 1 or 3) of "
            f"type uint8, and no side above {MAX_SIDE}. Received: {x.shape} of type {x.dtype}."
        )
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.shape != (len(x),) or not np.issubdtype(y.dtype, np.integer):
        raise DataError(
            f"y_{ending} of {name} must hold a whole number for each of the {len(x):,} pictures. "
            f"Received: {y.shape} of type {y.dtype}."
        )
    if y.size and not 0 <= int(y.min()) <= int(y.max()) < _MOST_CLASSES:
        raise DataError(
            f"y_{ending} of {name} must hold numbers of classes, from 0 on and below "
            f"{_MOST_CLASSES:,}. Received: {y.min()} to {y.max()}."
        )
    return x, y.astype(np.int64)


def _key(pictures: Mapping[Split, Any], preprocessing: Preprocessing, seed: int) -> str:
    digest = hashlib.sha256(f"{preprocessing} {seed}".encode())
    for x, y in pictures.values():
        digest.update(x.tobytes())
        digest.update(y.tobytes())
    return digest.hexdigest()


def _write(
    out: Path,
    label: str,
    number: int,
    pictures: Mapping[Split, tuple[NDArray[np.uint8], NDArray[np.int64]]],
    preprocessing: Preprocessing,
) -> list[Row]:
    """Writes the incomplete array file of one class, and returns its rows."""
    path = part_path(out, label)
    size = (preprocessing.height, preprocessing.width)
    by_split = {split: np.flatnonzero(y == number) for split, (_, y) in pictures.items()}
    scaled = preprocessing.scaling == "unit"
    count = sum(map(len, by_split.values()))
    new_array(path, (count, *size, preprocessing.channels), np.float32 if scaled else np.uint8)
    array = open_memmap(path, mode="r+")
    rows: list[Row] = []
    for split, indices in by_split.items():
        x = pictures[split][0][indices]
        array[len(rows) : len(rows) + len(x)] = x / np.float32(255) if scaled else x
        rows += [
            Row(f"{split}[{index}]", hashlib.sha256(picture.tobytes()).hexdigest(), *size, split)
            for index, picture in zip(indices, x, strict=True)
        ]
    return rows
