"""Exemplars with small pictures of them, so that they can be shown without the photos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np

from cnnviz.cards import Preprocessing
from cnnviz.drawing import overlay
from cnnviz.photos.decoding import DecodedPhoto
from cnnviz.photos.encoding import FEW_PIXELS, as_picture, encode_webp, shrink_picture
from cnnviz.photos.sources import PhotoSource
from cnnviz.results import (
    Box,
    ClassActivationMap,
    ClassPicture,
    Exemplars,
    Gallery,
    GalleryPhoto,
    Part,
)

# The longer side of the pictures, in pixels. A thousand photos of this size have 4 MB, as many
# parts 2 MB.
_PHOTO_SIDE = 160
_PART_SIDE = 96
# How much a picture of few pixels is enlarged under a map.
_ENLARGED = 5

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


def class_picture(
    label: str,
    name: str,
    photo: DecodedPhoto,
    cam: ClassActivationMap | None,
    steps: Preprocessing,
) -> ClassPicture:
    """The pictures of a photo that a network takes for a class.

    Args:
        label: the class.
        name: of the photo.
        photo: all of it.
        cam: the map of the class; None where the network gives none.
        steps: how the photo became the network's input.
    """
    small = shrink_picture(photo, _PHOTO_SIDE)
    under_map = None
    if cam is not None:
        pixels = np.asarray(small)
        # A map is smoother than a picture of few pixels.
        if max(small.size) <= FEW_PIXELS:
            pixels = pixels.repeat(_ENLARGED, axis=0).repeat(_ENLARGED, axis=1)
        under_map = encode_webp(as_picture(overlay(pixels, cam, steps)))
    size = photo.height, photo.width
    return ClassPicture(label, name, size, encode_webp(small), under_map)


def _part(photo: DecodedPhoto, box: Box) -> bytes:
    cut = photo.crop((box.left, box.top, box.right, box.bottom))
    return encode_webp(shrink_picture(cut, _PART_SIDE))
