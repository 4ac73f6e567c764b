"""Galleries of exemplars in files: one for each model, layer and source of photos.

They are beside the model, or in the user's cache. Whatever such a file holds, it is read as data:
what does not fit is refused with a sentence.
"""

from __future__ import annotations

import functools
import hashlib
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from cnnviz.errors import DataError, StorageError
from cnnviz.photos.checks import MAX_SIDE
from cnnviz.results import Box, Gallery
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


@dataclass(frozen=True)
class _File:
    """What is in a file.

    Attributes:
        format: that of this version.
        fingerprint: SHA-256 of the model's file, in hexadecimal.
        gallery: the exemplars with their pictures.
    """

    format: Literal[1]
    fingerprint: str
    gallery: Gallery


@dataclass(frozen=True)
class KeptGalleries:
    """The galleries of a layer that could be read, and a sentence for each file that could not."""

    galleries: tuple[Gallery, ...]
    problems: tuple[str, ...]


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
    data = _files().dump_json(_File(_FORMAT, fingerprint, gallery))
    if len(data) > _MAX_BYTES:
        raise DataError(
            f"The exemplars of {len(gallery.found.channels):,} channels with their pictures take "
            f"{len(data) >> 20} MB, and at most {_MAX_BYTES >> 20} MB are kept. Choose fewer "
            "channels at a time."
        )
    ending = f"{_of_layer(gallery.found.layer)}{_hash(gallery.source)}.json"
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


def find(model: Path, fingerprint: str, layer: str) -> KeptGalleries:
    """The galleries of a layer that are kept, in the order of what they were chosen from."""
    galleries, problems = {}, []
    for path, in_cache in _files_of(model, fingerprint, layer):
        try:
            if in_cache:
                check_private(path.parent)
                check_owner(path)
            gallery = _read(path, fingerprint, layer)
        except (OSError, StorageError, DataError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problems.append(f"The exemplars in {path.name} are not shown: {reason}")
        else:
            galleries[gallery.source] = gallery
    return KeptGalleries(tuple(galleries[source] for source in sorted(galleries)), tuple(problems))


def identities(model: Path, fingerprint: str, layer: str) -> tuple[tuple[str, FileIdentity], ...]:
    """Which files ``find`` would read: others, or others' content, differ in it."""
    found = []
    for path, _ in _files_of(model, fingerprint, layer):
        with suppress(OSError):
            found.append((str(path), identity_of(path.stat())))
    return tuple(found)


def _files_of(model: Path, fingerprint: str, layer: str) -> list[tuple[Path, bool]]:
    """The files of a layer's galleries, and whether each is in the cache."""
    places = [(model.parent, f"{model.name}{_of_layer(layer)}", False)]
    with suppress(StorageError):
        places.insert(0, (cache_folder(), f"{fingerprint[:40]}{_of_layer(layer)}", True))
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


def _read(path: Path, fingerprint: str, layer: str) -> Gallery:
    """The gallery in a file.

    Raises:
        DataError: it is damaged, of another version of cnnviz, or of another model or layer.
        OSError: it cannot be read.
    """
    again = "Run “cnnviz exemplars” again."
    try:
        file = _files().validate_json(read_small_file(path, _MAX_BYTES))
    except ValueError as error:
        raise DataError(f"the file is damaged, or of another version of cnnviz. {again}") from error
    if file.fingerprint != fingerprint:
        raise DataError(f"the model has changed since. {again}")
    if file.gallery.found.layer != layer or not _fits(file.gallery):
        raise DataError(f"the file is damaged. {again}")
    return file.gallery


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
    pictures += [part.picture for part in gallery.parts]
    return all(one[:4] == b"RIFF" and one[8:12] == b"WEBP" for one in pictures)


def _is_in(box: Box, whole: Box) -> bool:
    return 0 <= box.left < box.right <= whole.right and 0 <= box.top < box.bottom <= whole.bottom


@functools.cache
def _files() -> TypeAdapter[_File]:
    return TypeAdapter(_File)


def _of_layer(layer: str) -> str:
    """What follows the model in the name of a file; a layer's path may hold any character."""
    return f".exemplars-{_hash(layer)}-"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]
