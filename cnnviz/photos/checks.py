"""Checks of a photo's file before and while it is decoded: format, size, number of parts."""

from __future__ import annotations

import io
import re
import struct

from cnnviz.errors import PhotoError

MAX_BYTES = 15 * 1024 * 1024
MAX_PIXELS = 64_000_000
MAX_SIDE = 20_000
MAX_ASPECT = 20
MAX_SCANS = 64
# Pillow reads a file's parts one by one in Python: 3 MB of empty ones took it 7 s.
MAX_PARTS = 20_000
_MAX_READS = 10 * MAX_PARTS

# A file's first bytes, and the Pillow decoders that may open it. No other decoder is used:
# Pillow's own search would start a PostScript interpreter for a PostScript file.
_FORMATS = (
    (rb"\xff\xd8\xff", ("JPEG",)),
    (rb"\x89PNG\r\n\x1a\n", ("PNG",)),
    (rb"RIFF....WEBP", ("WEBP",)),
    (rb"GIF8[79]a", ("GIF",)),
    (rb"BM", ("BMP",)),
    (rb"II\*\0|MM\0\*", ("TIFF",)),
    # Both are one container, and one brand (mif1) is used for both.
    (rb"....ftyp", ("AVIF", "HEIF")),
)

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
# Every marker except those that occur inside a scan.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
# TIFF tags with the offsets and lengths of strips and tiles.
_PART_TAGS = {273, 279, 324, 325}


def formats_of(data: bytes) -> tuple[str, ...]:
    """The formats that a file may have by its first bytes; its name does not matter.

    Raises:
        PhotoError: it has no supported format.
    """
    for magic, formats in _FORMATS:
        if re.match(magic, data, re.DOTALL):
            return formats
    raise unknown_format()


def unknown_format() -> PhotoError:
    """The error for a file that is no photo."""
    return PhotoError(
        "This file cannot be read as a photo: it is damaged or of another kind. "
        "Supported are JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC.",
        "kind",
    )


class CountedReads(io.BytesIO):
    """A file in memory with a limit on the number of reads.

    Raises:
        PhotoError: (from ``read``) the file has far too many parts.
    """

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads like any file, and counts the reads."""
        self._reads += 1
        if self._reads > _MAX_READS:
            raise _too_many_parts()
        return super().read(size)


def check_bytes(count: int, name: str = "The photo") -> None:
    """Checks the size of a file in bytes.

    Raises:
        PhotoError: it is empty or too large.
    """
    if count == 0:
        raise PhotoError(f"{name} is empty: it has 0 bytes.", "empty")
    if count > MAX_BYTES:
        raise PhotoError(
            f"{name} has {count / 2**20:.1f} MB; at most {MAX_BYTES / 2**20:.0f} MB can be read. "
            "Save it smaller and try again.",
            "bytes",
        )


def check_size(width: int, height: int) -> None:
    """Checks a photo's width and height in pixels.

    Raises:
        PhotoError: it has too many pixels, or a side is too long.
    """
    if width * height > MAX_PIXELS:
        raise too_many_pixels(f"{width} × {height}")
    if max(width, height) > MAX_SIDE:
        raise PhotoError(
            f"The photo is {width} × {height} pixels; no side may have more than {MAX_SIDE}.",
            "side",
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PhotoError(
            f"The photo is {width} × {height} pixels: one side is more than {MAX_ASPECT} times "
            "the other, and a network would see nothing of it.",
            "aspect",
        )


def too_many_pixels(claimed: str = "far too many") -> PhotoError:
    """The error for a photo whose file claims this many pixels."""
    return PhotoError(
        f"The photo has {claimed} pixels; at most {MAX_PIXELS // 1_000_000} million can be read.",
        "pixels",
    )


def check_parts(data: bytes) -> None:
    """Counts the scans of a JPEG and the strips of a TIFF before they are decoded.

    In other formats the costly parts are read one by one, and `CountedReads` limits those.

    Raises:
        PhotoError: there are too many.
    """
    if data.startswith(b"\xff\xd8"):
        _check_jpeg(data)
    elif data.startswith((b"II*\0", b"MM\0*")):
        _check_tiff(data)


def _check_jpeg(data: bytes) -> None:
    """Follows the markers as the standard (ITU T.81, annex B) and libjpeg do."""
    scans = parts = 0
    position = 2
    while marker := _MARKER.search(data, position):
        kind = marker[0][1]
        parts += 1
        scans += kind == _SOS
        if scans > MAX_SCANS:
            raise PhotoError(
                f"The photo is a JPEG of more than {MAX_SCANS} scans, each of which is drawn over "
                "the whole picture. Save it again with ordinary settings.",
                "scans",
            )
        if parts > MAX_PARTS:
            raise _too_many_parts()
        if kind == _EOI and scans:
            return
        position = marker.end()
        if kind not in {_SOI, _EOI}:
            position += int.from_bytes(data[position : position + 2], "big")


def _check_tiff(data: bytes) -> None:
    """Checks only the first directory: the others are never read."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, start)
        for index in range(entries):
            tag, _, count = struct.unpack_from(f"{order}HHI", data, start + 2 + 12 * index)
            if tag in _PART_TAGS and count > MAX_PARTS:
                raise _too_many_parts()
    except struct.error:
        # A truncated directory is left to the decoder.
        return


def _too_many_parts() -> PhotoError:
    return PhotoError(
        f"The photo's file is cut into more than {MAX_PARTS} parts. Save it again with ordinary "
        "settings.",
        "parts",
    )
