"""Photos that a person collects class by class, without a folder or zip of them.

Each is checked when it comes, and kept small; a training gets them as the zip that it always takes.
"""

from __future__ import annotations

import hashlib
import io
import unicodedata
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError
from cnnviz.photos.decoding import open_picture
from cnnviz.photos.encoding import as_picture, encode_png, encode_webp, shrink_picture
from cnnviz.photos.preprocessing import picture_view
from cnnviz.training.data.layouts import sort_photos
from cnnviz.training.recipes import RECIPES

# Of a photo that is kept: what the largest network of the recipes takes.
SIDE = max(recipe.size for recipe in RECIPES.values())
# Of one collection. A photo takes at most 0.15 MB, so that a collection takes at most 75 MB.
MOST = 500
MOST_CLASSES = 12
# Of each class: one to learn from and one to be measured with, and what a good answer needs.
LEAST, ENOUGH = 2, 10
_LONGEST_NAME = 40
_THUMBNAIL = 96


@dataclass(frozen=True)
class CollectedPhoto:
    """A photo as it is kept.

    Attributes:
        key: SHA-256 of its pixels' file, in hexadecimal.
        file: a PNG of its largest centred square, of at most ``SIDE`` pixels a side.
        thumbnail: a WebP of the same.
    """

    key: str
    file: bytes
    thumbnail: bytes


@dataclass(frozen=True)
class CollectedClass:
    """A class and its photos, in the order in which they came.

    Attributes:
        number: identifies it, whatever its name is.
        name: of the class.
        photos: its photos.
    """

    number: int
    name: str
    photos: tuple[CollectedPhoto, ...] = ()


@dataclass(frozen=True)
class Collection:
    """The classes that a person collects photos of; every change gives a new collection.

    Attributes:
        classes: in the order in which they were added.
    """

    classes: tuple[CollectedClass, ...] = (
        CollectedClass(1, "Class 1"),
        CollectedClass(2, "Class 2"),
    )

    @property
    def count(self) -> int:
        """The number of photos."""
        return sum(len(one.photos) for one in self.classes)

    @property
    def size(self) -> int:
        """The bytes that the photos take."""
        photos = (photo for one in self.classes for photo in one.photos)
        return sum(len(photo.file) + len(photo.thumbnail) for photo in photos)

    def add_class(self) -> Collection:
        """With another class, which has a name of its own.

        Raises:
            DataError: there are as many as there may be.
        """
        if len(self.classes) >= MOST_CLASSES:
            raise DataError(f"There can be at most {MOST_CLASSES} classes here.")
        number = 1 + max((one.number for one in self.classes), default=0)
        names = {one.name.casefold() for one in self.classes}
        index = next(n for n in range(number, number + MOST_CLASSES) if f"class {n}" not in names)
        return Collection((*self.classes, CollectedClass(number, f"Class {index}")))

    def remove_class(self, number: int) -> Collection:
        """Without a class and its photos."""
        return Collection(tuple(one for one in self.classes if one.number != number))

    def rename(self, number: int, name: str) -> Collection:
        """With another name of a class.

        Raises:
            DataError: a class cannot have that name, or another one has it.
        """
        name = unicodedata.normalize("NFC", name.strip())
        others = [one.name for one in self.classes if one.number != number]
        _check_name(name, others)
        return self._changed(number, lambda one: replace(one, name=name))

    def add_photo(self, number: int, photo: CollectedPhoto) -> Collection:
        """With another photo of a class.

        Raises:
            DataError: the photo is there already, or there are as many as there may be.
        """
        for one in self.classes:
            if photo.key in {other.key for other in one.photos}:
                raise DataError(
                    "This photo is in this class already."
                    if one.number == number
                    else f"This photo is in the class “{one.name}” already, and can show one alone."
                )
        if self.count >= MOST:
            raise DataError(
                f"There can be at most {MOST} photos here. Train on more with a zip of folders."
            )
        return self._changed(number, lambda one: replace(one, photos=(*one.photos, photo)))

    def remove_photo(self, number: int, key: str) -> Collection:
        """Without a photo of a class."""
        return self._changed(
            number,
            lambda one: replace(one, photos=tuple(p for p in one.photos if p.key != key)),
        )

    def missing(self) -> list[str]:
        """What has to be added before a network can be trained, in sentences; empty for nothing."""
        sentences = []
        if len(self.classes) < 2:
            sentences.append(
                "A network learns to tell classes apart: it needs at least two. Add a class."
            )
        for one in self.classes:
            count = len(one.photos)
            if count < LEAST:
                have = "no photos" if count == 0 else "1 photo"
                sentences.append(
                    f"“{one.name}” has {have}, and needs at least {LEAST}: one to learn from and "
                    f"one to be measured with. Add {LEAST - count} or more."
                )
        return sentences

    def as_zip(self) -> bytes:
        """A zip with a folder of PNG files for each class; their former names are not in it."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for one in self.classes:
                for index, photo in enumerate(one.photos, start=1):
                    # Without the time: the same photos are the same data.
                    info = zipfile.ZipInfo(f"{one.name}/{index:03}.png")
                    archive.writestr(info, photo.file)
        return buffer.getvalue()

    def _changed(
        self, number: int, change: Callable[[CollectedClass], CollectedClass]
    ) -> Collection:
        classes = (change(one) if one.number == number else one for one in self.classes)
        return Collection(tuple(classes))


def read_photo(data: bytes) -> CollectedPhoto:
    """Reads a photo's file, and keeps its largest centred square, as small as networks take it.

    Raises:
        PhotoError: the file is damaged, of an unknown kind, or too large.
    """
    picture = open_picture(data)
    side = min(SIDE, *picture.size)
    # As the preparation of a zip does it, so that a network gets the same pixels.
    steps = Preprocessing(height=side, width=side, fit="crop", interpolation="bicubic")
    pixels = picture_view(picture, steps)
    file = encode_png(pixels)
    thumbnail = encode_webp(shrink_picture(as_picture(pixels), _THUMBNAIL))
    return CollectedPhoto(hashlib.sha256(file).hexdigest(), file, thumbnail)


def _check_name(name: str, others: Iterable[str]) -> None:
    """Raises ``DataError`` where a folder of that name would not be a class beside the others."""
    if not name:
        raise DataError("A class needs a name, such as cat.")
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise DataError(
            f"The name of a class has at most {_LONGEST_NAME} characters, all of which can be read."
        )
    if name.startswith((".", "__MACOSX")) or any(sign in name for sign in "/\\:"):
        raise DataError(
            f"“{name}” cannot be the name of a class: it is also the name of a folder. Take one "
            "that does not begin with a full stop and has no / \\ or : in it."
        )
    others = list(others)
    if name.casefold() in {other.casefold() for other in others}:
        raise DataError(f"There is a class “{name}” already. Give each class a name of its own.")
    folders = [*others, name]
    try:
        classes = set(sort_photos("", [f"{folder}/1.png" for folder in folders], ()).classes)
    except DataError:
        classes = set()
    if len(folders) > 1 and classes != set(folders):
        raise DataError(
            f"“{name}” beside “{others[0]}” looks like a part of one data set, such as train and "
            "test, and not like a class. Take another name."
        )
