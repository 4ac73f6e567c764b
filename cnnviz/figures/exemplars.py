"""Exemplars as one picture, a contact sheet: a row a channel, the photos that excite it most."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from cnnviz.arrays import Bytes
from cnnviz.figures.lettering import BOLD, GROUND, LARGE, NORMAL, QUIET, TEXT, write
from cnnviz.numerals import number as in_digits
from cnnviz.numerals import percent
from cnnviz.photos.encoding import FEW_PIXELS
from cnnviz.results import Box, ChannelExemplars, ClassGallery, Exemplar, Gallery

# Pixels: a side of a picture, distances, a line of text, and the column of headings.
_SIDE, _MARGIN, _GAP, _LINE, _HEADINGS = 96, 24, 8, 20, 130
# The column of headings of classes.
_CLASS_HEADINGS = 200
# Between those that excite a channel most and least.
_BREAK = 32
# A cell is marked where the part is larger than it by this.
_MARKED = 2
_MARK = "#e8640a"


def contact_sheet(gallery: Gallery, title: str) -> Bytes:
    """The exemplars of all channels of a gallery: (H, W, 3) uint8.

    Args:
        gallery: the exemplars with their pictures.
        title: of the network.
    """
    channels = gallery.found.channels
    most, least = (
        max(len(ends) for ends in lists)
        for lists in (
            [one.most for one in channels],
            [one.least for one in channels],
        )
    )
    step, row = _SIDE + _GAP, _SIDE + 2 * _LINE + _GAP
    second = _MARGIN + _HEADINGS + most * step + _BREAK
    width = second + least * step + _MARGIN
    top = _MARGIN + 4 * _LINE
    canvas = Image.new("RGB", (width, top + len(channels) * row + _MARGIN), GROUND)
    draw = ImageDraw.Draw(canvas)
    heading = f"{title}: {gallery.found.layer}"
    write(draw, (_MARGIN, _MARGIN - 6), heading, width - 2 * _MARGIN, LARGE, BOLD)
    write(
        draw,
        (_MARGIN, _MARGIN + _LINE + 8),
        f"Chosen from {gallery.source}: of each photo the part that its strongest cell depends on; "
        "that cell is outlined.",
        width - 2 * _MARGIN,
        colour=QUIET,
    )
    under = _MARGIN + 2 * _LINE + 10
    write(draw, (_MARGIN + _HEADINGS, under), "excite it most", most * step, NORMAL, BOLD)
    write(draw, (second, under), "excite it least", least * step, NORMAL, BOLD)
    for number, channel in enumerate(channels):
        height = top + number * row
        write(draw, (_MARGIN, height), f"channel {channel.channel:,}", _HEADINGS, NORMAL, BOLD)
        for left, ends in ((_MARGIN + _HEADINGS, channel.most), (second, channel.least)):
            _draw_row(canvas, gallery, channel, ends, (left, height))
    return np.asarray(canvas)


def class_sheet(gallery: ClassGallery, title: str) -> Bytes:
    """The photos that a network takes for classes, under the maps of these: (H, W, 3) uint8.

    Args:
        gallery: the exemplars with their pictures.
        title: of the network.
    """
    pictures = {
        (one.label, one.photo): _opened(one.under_map or one.picture) for one in gallery.pictures
    }
    rows = [
        (one.label, kind, exemplars)
        for one in gallery.classes
        for kind, exemplars in (
            ("surest", one.confident),
            ("least sure", one.doubtful),
            ("surest, but wrong", one.wrong),
        )
        if exemplars
    ]
    side = max((max(picture.size) for picture in pictures.values()), default=_SIDE)
    most = max((len(exemplars) for _, _, exemplars in rows), default=1)
    row, top = side + 2 * _LINE + _GAP, _MARGIN + 3 * _LINE
    width = max(2 * _MARGIN + _CLASS_HEADINGS + most * (side + _GAP), 900)
    canvas = Image.new("RGB", (width, top + len(rows) * row + _MARGIN), GROUND)
    draw = ImageDraw.Draw(canvas)
    write(draw, (_MARGIN, _MARGIN - 6), title, width - 2 * _MARGIN, LARGE, BOLD)
    text = (
        f"Chosen from {gallery.source}. Orange speaks for the class, blue against it; each map has "
        "its own scale."
    )
    write(draw, (_MARGIN, _MARGIN + _LINE + 8), text, width - 2 * _MARGIN, colour=QUIET)
    for number, (label, kind, exemplars) in enumerate(rows):
        height = top + number * row
        write(draw, (_MARGIN, height), f"taken for {label}", _CLASS_HEADINGS, NORMAL, BOLD)
        write(draw, (_MARGIN, height + _LINE + 4), kind, _CLASS_HEADINGS, colour=QUIET)
        for place, exemplar in enumerate(exemplars):
            picture = pictures[label, exemplar.photo]
            left = _MARGIN + _CLASS_HEADINGS + place * (side + _GAP)
            below = height + side + 2
            canvas.paste(picture, (left, height + side - picture.height))
            truth = f"; is {exemplar.truth}" if exemplar.truth not in {"", label} else ""
            write(draw, (left, below), f"{percent(exemplar.probability)}{truth}", side, colour=TEXT)
            name = exemplar.photo.rpartition("/")[2]
            write(draw, (left, below + _LINE), name, side, colour=QUIET)
    return np.asarray(canvas)


def _draw_row(
    canvas: Image.Image,
    gallery: Gallery,
    channel: ChannelExemplars,
    ends: tuple[Exemplar, ...],
    place: tuple[int, int],
) -> None:
    """Some exemplars side by side, each with its value and the end of its photo's name."""
    pictures = gallery.pictures(channel)
    draw = ImageDraw.Draw(canvas)
    for number, one in enumerate(ends):
        left, top = place[0] + number * (_SIDE + _GAP), place[1]
        _draw_part(canvas, _opened(pictures[one.photo, one.box]), gallery, one, (left, top))
        value = in_digits(one.value)
        write(draw, (left, top + _SIDE + 2), value, _SIDE, colour=TEXT)
        name = one.photo.rpartition("/")[2]
        write(draw, (left, top + _SIDE + 2 + _LINE), name, _SIDE, colour=QUIET)


def _opened(picture: bytes) -> Image.Image:
    """The picture in a WebP file, in colour."""
    return Image.open(io.BytesIO(picture), formats=["WEBP"]).convert("RGB")


def _draw_part(
    canvas: Image.Image,
    picture: Image.Image,
    gallery: Gallery,
    one: Exemplar,
    place: tuple[int, int],
) -> None:
    """A picture in its square, with its cell outlined."""
    scale = _SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    resample = (
        Image.Resampling.NEAREST if max(picture.size) <= FEW_PIXELS else Image.Resampling.BILINEAR
    )
    drawn = picture.resize(size, resample)
    left, top = place[0] + (_SIDE - size[0]) // 2, place[1] + (_SIDE - size[1]) // 2
    canvas.paste(drawn, (left, top))
    height, width = gallery.photos[one.photo].size
    mark = mark_in(one, one.box or Box(0, 0, width, height))
    if mark is not None:
        x, y, right, bottom = (
            round(share * side) for share, side in zip(mark, (*size, *size), strict=True)
        )
        ImageDraw.Draw(canvas).rectangle(
            (left + x, top + y, left + right - 1, top + bottom - 1), outline=_MARK, width=2
        )


def mark_in(one: Exemplar, box: Box) -> tuple[float, float, float, float] | None:
    """Where the strongest cell is in a part of its photo, as shares of the part's sides.

    Returns:
        left, top, right and bottom, 0 to 1; None where the cell is not in it, or is most of it.
    """
    cell = one.cell
    if cell is None:
        return None
    width, height = box.right - box.left, box.bottom - box.top
    left, right = (min(max(x - box.left, 0), width) for x in (cell.left, cell.right))
    top, bottom = (min(max(y - box.top, 0), height) for y in (cell.top, cell.bottom))
    if left >= right or top >= bottom:
        return None
    if width < _MARKED * (right - left) and height < _MARKED * (bottom - top):
        return None
    return left / width, top / height, right / width, bottom / height
