"""Exemplars with small pictures of them, so that they can be shown without the photos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from cnnviz.photos.decoding import DecodedPhoto
from cnnviz.photos.encoding import encode_webp, shrink_picture
from cnnviz.photos.sources import PhotoSource
from cnnviz.results import Box, Exemplars, Gallery, GalleryPhoto, Part

# The longer side of the pictures, in pixels. A thousand photos of this size have 4 MB, as many
# parts 2 MB.
_PHOTO_SIDE = 160
_PART_SIDE = 96

# Applies a function to names, in their order: such as ``map``.
Map = Callable[
    [Callable[[str], tuple[GalleryPhoto, list[Part]]], Iterable[str]],
    Iterable[tuple[GalleryPhoto, list[Part]]],
]


def make_gallery(source: PhotoSource, found: Exemplars, each: Map = map) -> Gallery:
    """Opens the photos that were chosen once more, and makes the pictures.

    Args:
        source: where the photos are.
        found: the exemplars.
        each: applies a function to names: ``map``, or one that does so in threads.

    Raises:
        PhotoError: a photo is not what it was.
    """
    boxes: dict[str, set[Box]] = defaultdict(set)
    for one in found.listed:
        boxes[one.photo].update([] if one.box is None else [one.box])

    def pictures(name: str) -> tuple[GalleryPhoto, list[Part]]:
        photo = source.open(name)
        size = photo.height, photo.width
        whole = Box(0, 0, photo.width, photo.height)
        parts = [Part(name, box, _part(photo, box)) for box in boxes[name] if box != whole]
        return GalleryPhoto(size, encode_webp(shrink_picture(photo, _PHOTO_SIDE))), parts

    names = sorted(boxes)
    photos, parts = {}, []
    for name, (photo, of_photo) in zip(names, each(pictures, names), strict=True):
        photos[name] = photo
        parts += sorted(of_photo, key=lambda part: (part.box.top, part.box.left, part.box.bottom))
    return Gallery(f"{found.photos:,} {source.title}", found, photos, tuple(parts))


def _part(photo: DecodedPhoto, box: Box) -> bytes:
    cut = photo.crop((box.left, box.top, box.right, box.bottom))
    return encode_webp(shrink_picture(cut, _PART_SIDE))
