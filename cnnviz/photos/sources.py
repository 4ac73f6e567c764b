"""Where many photos come from: a folder, the digits, the samples; each photo has a name in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError
from cnnviz.photos.decoding import EXTENSIONS, DecodedPhoto, open_picture
from cnnviz.photos.encoding import as_picture
from cnnviz.photos.samples import Sample
from cnnviz.settings import PACKAGE
from cnnviz.storage import CONTRAST, OVERLAY

DIGITS = PACKAGE / "samples" / "digits.npz"


@dataclass(frozen=True)
class SeenPhoto:
    """A photo as a network sees it, with what is needed to find a part of it again.

    Attributes:
        name: of the photo, such as its file.
        size: (H, W) in pixels.
        pixels: (h, w, C) uint8, from ``preprocessing.network_view``.
    """

    name: str
    size: tuple[int, int]
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class PhotoSource:
    """Many photos, each of which can be opened again by its name.

    Attributes:
        title: what they are, after a number of them: "photos in cats_dogs".
        names: of the photos, each once.
        open: gives the photo of a name; raises ``PhotoError``.
        classes: the true class of each photo; empty where none is known.
        seen: whether they are already what a network sees: neither cropped nor scaled any more.
    """

    title: str
    names: tuple[str, ...]
    open: Callable[[str], DecodedPhoto]
    classes: tuple[str, ...] = ()
    seen: bool = False

    def steps(self, preprocessing: Preprocessing) -> Preprocessing:
        """How these photos become a network's input: without a crop where they have had theirs."""
        if not self.seen:
            return preprocessing
        return preprocessing.model_copy(update={"fit": "stretch", "crop_fraction": 1.0})


def folder_photos(folder: Path, labels: Sequence[str] = ()) -> PhotoSource:
    """The photos in a folder and below, in the order of their names.

    Args:
        folder: the folder.
        labels: names of classes: where each photo is in a sub-folder that has the name of one,
            in any case, that is its class.

    Raises:
        DataError: there is no photo.
    """
    names = [path.relative_to(folder).as_posix() for path in photos_in(folder)]
    if not names:
        raise DataError(f"There are no photos in {folder}.")
    by_name = {label.lower(): label for label in labels}
    classes = [by_name.get(name.partition("/")[0].lower(), "") for name in names]
    return PhotoSource(
        f"photos in {folder.resolve().name}",
        tuple(names),
        lambda name: open_picture(folder / name),
        tuple(classes) if all(classes) else (),
    )


def photos_in(folder: Path) -> Iterator[Path]:
    """The photos in a folder and below, in order.

    Hidden files and the pictures of an earlier run are left out.
    """
    endings = tuple(f".{extension}" for extension in EXTENSIONS)
    for place, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            is_photo = name.lower().endswith(endings)
            if is_photo and not name.startswith(".") and not name.endswith((OVERLAY, CONTRAST)):
                yield Path(place, name)


def digit_photos(step: int = 1) -> PhotoSource:
    """The 5,000 handwritten digits of the package, or every so many of them; sorted by digit.

    The name of each, after the folder of the package's samples, is one that ``open_photo`` takes.
    """
    with np.load(DIGITS, allow_pickle=False) as arrays:
        pictures, digits = arrays["x_train"], arrays["y_train"]
    numbers = range(0, len(pictures), step)
    prefix = f"{DIGITS.name}#x_train/"
    return PhotoSource(
        "handwritten digits",
        tuple(f"{prefix}{number}" for number in numbers),
        lambda name: as_picture(pictures[int(name.removeprefix(prefix))]).convert("RGB"),
        tuple(str(digits[number]) for number in numbers),
    )


def sample_photos(samples: Sequence[Sample]) -> PhotoSource:
    """Sample pictures of the package, by their titles."""
    by_title = {sample.title: sample.path for sample in samples}
    return PhotoSource(
        "sample pictures", tuple(by_title), lambda name: open_picture(by_title[name])
    )
