"""Galleries of exemplars in files: one for each model, layer (or its classes) and source of photos.

They are beside the model, or in the user's cache. Whatever such a file holds, it is read as data:
what does not fit is refused with a sentence.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar, cast

from pydantic import TypeAdapter

from cnnviz.errors import DataError, StorageError
from cnnviz.photos.checks import MAX_SIDE
from cnnviz.results import Box, ClassGallery, Gallery
from cnnviz.settings import cache_folder
from cnnviz.shipped_models import shipped
from cnnviz.storage import (
    FileIdentity,
    check_owner,
    check_private,
    identity_of,
    make_private,
    read_small_file,
    write_whole,
)

# To be raised with each change of what is in a file, or of how exemplars are found.
_FORMAT: Literal[1] = 1
# 1,280 channels with the most photos that there can be of each have less.
_MAX_BYTES = 64 << 20


# What a gallery of a layer's channels is called in the name of its file; that of classes.
_CHANNELS, _CLASSES = "exemplars", "class-exemplars"

_AGAIN = "Run “cnnviz exemplars” again."
_Gallery = TypeVar("_Gallery")
_AnyFile = TypeVar("_AnyFile", "_File", "_ClassFile")


@dataclass(frozen=True)
class _File:
    """What is in a file of a layer's channels.

    Attributes:
        format: that of this version.
        fingerprint: SHA-256 of the model's file, in hexadecimal.
        gallery: the exemplars with their pictures.
    """

    format: Literal[1]
    fingerprint: str
    gallery: Gallery


@dataclass(frozen=True)
class _ClassFile:
    """What is in a file of classes; as ``_File``."""

    format: Literal[1]
    fingerprint: str
    gallery: ClassGallery


@dataclass(frozen=True)
class Kept(Generic[_Gallery]):
    """The galleries that could be read, and a sentence for each file that could not."""

    galleries: tuple[_Gallery, ...]
    problems: tuple[str, ...]


KeptGalleries = Kept[Gallery]
KeptClassGalleries = Kept[ClassGallery]


def keep(model: Path, fingerprint: str, gallery: Gallery) -> Path:
    """Writes a gallery; one of the same layer and source is replaced.

    Args:
        model: the model's file. A model that cnnviz ships has no files beside it, and where its
            folder cannot be written there are none either: the cache has them then.
        fingerprint: its SHA-256.
        gallery: the exemplars with their pictures.

    Returns:
        The file.

    Raises:
        DataError: the gallery is too large for a file.
        StorageError: neither folder can be written, or the disk is full.
    """
    data = _adapter(_File).dump_json(_File(_FORMAT, fingerprint, gallery))
    what = f"{len(gallery.found.channels):,} channels"
    return _write(model, fingerprint, _of_layer(gallery.found.layer), gallery.source, data, what)


def keep_classes(model: Path, fingerprint: str, gallery: ClassGallery) -> Path:
    """Writes a gallery of classes; one of the same source is replaced. As ``keep``.

    Raises:
        DataError: the gallery is too large for a file.
        StorageError: neither folder can be written, or the disk is full.
    """
    data = _adapter(_ClassFile).dump_json(_ClassFile(_FORMAT, fingerprint, gallery))
    what = f"{len(gallery.classes):,} classes"
    return _write(model, fingerprint, f".{_CLASSES}-", gallery.source, data, what)


def find(model: Path, fingerprint: str, layer: str) -> KeptGalleries:
    """The galleries of a layer that are kept, in the order of what they were chosen from."""

    def read(path: Path) -> Gallery:
        gallery = _read(path, _adapter(_File), fingerprint).gallery
        if gallery.found.layer != layer or not _fits(gallery):
            raise DataError(f"the file is damaged. {_AGAIN}")
        return gallery

    return _found(model, fingerprint, _of_layer(layer), read)


def find_classes(model: Path, fingerprint: str) -> KeptClassGalleries:
    """The galleries of classes that are kept, in the order of what they were chosen from."""

    def read(path: Path) -> ClassGallery:
        gallery = _read(path, _adapter(_ClassFile), fingerprint).gallery
        if not _classes_fit(gallery):
            raise DataError(f"the file is damaged. {_AGAIN}")
        return gallery

    return _found(model, fingerprint, f".{_CLASSES}-", read)


def identities(
    model: Path, fingerprint: str, layer: str | None
) -> tuple[tuple[str, FileIdentity], ...]:
    """Which files would be read: others, or others' content, differ in it.

    Args:
        model: the model's file.
        fingerprint: its SHA-256.
        layer: as for ``find``; None for ``find_classes``.
    """
    infix = f".{_CLASSES}-" if layer is None else _of_layer(layer)
    found = []
    for path, _ in _files_of(model, fingerprint, infix):
        with suppress(OSError):
            found.append((str(path), identity_of(path.stat())))
    return tuple(found)


def _write(model: Path, fingerprint: str, infix: str, source: str, data: bytes, what: str) -> Path:
    """Writes the file of a gallery, beside the model where that may be."""
    if len(data) > _MAX_BYTES:
        raise DataError(
            f"The exemplars of {what} with their pictures take {len(data) >> 20} MB, and at most "
            f"{_MAX_BYTES >> 20} MB are kept. Choose fewer of them at a time."
        )
    ending = f"{infix}{_hash(source)}.json"
    if fingerprint not in shipped().values():
        beside = model.parent / f"{model.name}{ending}"
        try:
            write_whole(beside, data)
        except StorageError as error:
            if error.full:
                raise
        else:
            return beside
    folder = cache_folder()
    make_private(folder)
    path = folder / f"{fingerprint[:40]}{ending}"
    write_whole(path, data)
    return path


def _found(
    model: Path, fingerprint: str, infix: str, read: Callable[[Path], _Gallery]
) -> Kept[_Gallery]:
    galleries: dict[str, _Gallery] = {}
    problems = []
    for path, in_cache in _files_of(model, fingerprint, infix):
        try:
            if in_cache:
                check_private(path.parent)
                check_owner(path)
            gallery = read(path)
        except (OSError, StorageError, DataError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(f"The exemplars in {path.name} are not shown: {reason}")
        else:
            galleries[cast(Gallery | ClassGallery, gallery).source] = gallery
    return Kept(tuple(galleries[source] for source in sorted(galleries)), tuple(problems))


def _files_of(model: Path, fingerprint: str, infix: str) -> list[tuple[Path, bool]]:
    """The files of galleries with that in their names, and whether each is in the cache."""
    places = [(model.parent, f"{model.name}{infix}", False)]
    with suppress(StorageError):
        places.insert(0, (cache_folder(), f"{fingerprint[:40]}{infix}", True))
    found = []
    for folder, start, in_cache in places:
        # A folder that is not there, or that must not be listed, has none.
        with suppress(OSError):
            found += [
                (path, in_cache)
                for path in sorted(folder.iterdir())
                if path.name.startswith(start) and path.suffix == ".json"
            ]
    return found


def _read(path: Path, adapter: TypeAdapter[_AnyFile], fingerprint: str) -> _AnyFile:
    """What is in a file.

    Raises:
        DataError: it is damaged, of another version of cnnviz, or of another model.
        OSError: it cannot be read.
    """
    try:
        file = adapter.validate_json(read_small_file(path, _MAX_BYTES))
    except ValueError as error:
        raise DataError(
            f"the file is damaged, or of another version of cnnviz. {_AGAIN}"
        ) from error
    if file.fingerprint != fingerprint:
        raise DataError(f"the model has changed since. {_AGAIN}")
    return file


def _fits(gallery: Gallery) -> bool:
    """Whether numbers are ones, parts are in their photos, and all pictures are there."""
    photos = gallery.photos
    for photo in photos.values():
        if not all(0 < side <= MAX_SIDE for side in photo.size):
            return False
    parts = {(part.photo, part.box) for part in gallery.parts}
    for one in gallery.found.listed:
        if one.photo not in photos or not math.isfinite(one.value + one.mean):
            return False
        height, width = photos[one.photo].size
        whole = Box(0, 0, width, height)
        if not all(_is_in(box, whole) for box in (one.box, one.cell) if box is not None):
            return False
        if one.box not in {None, whole} and (one.photo, one.box) not in parts:
            return False
    pictures = [photo.picture for photo in photos.values()]
    return all(map(_is_picture, pictures + [part.picture for part in gallery.parts]))


def _classes_fit(gallery: ClassGallery) -> bool:
    """Whether numbers are ones, and the pictures of all photos are there."""
    pictures = {(one.label, one.photo): one for one in gallery.pictures}
    for one in gallery.classes:
        if any((one.label, photo) not in pictures for photo in one.photos):
            return False
        listed = (*one.confident, *one.doubtful, *one.wrong)
        if not all(0 <= each.probability <= 1 for each in listed):
            return False
    maps = [one.under_map for one in gallery.pictures if one.under_map is not None]
    return all(map(_is_picture, [one.picture for one in gallery.pictures] + maps))


def _is_picture(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _is_in(box: Box, whole: Box) -> bool:
    return 0 <= box.left < box.right <= whole.right and 0 <= box.top < box.bottom <= whole.bottom


@functools.cache
def _adapter(kind: type[_AnyFile]) -> TypeAdapter[_AnyFile]:
    return TypeAdapter(kind)


def _of_layer(layer: str) -> str:
    """What follows the model in the name of a file; a layer's path may hold any character."""
    return f".{_CHANNELS}-{_hash(layer)}-"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
