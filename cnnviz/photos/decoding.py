"""Decodes photos: from bytes or a path to an RGB array, with all checks."""

from __future__ import annotations

import functools
import logging
import stat
import threading
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFile, UnidentifiedImageError

from cnnviz.errors import PhotoError
from cnnviz.photos.array_files import array_reference, read_array_picture
from cnnviz.photos.checks import (
    MAX_BYTES,
    CountedReads,
    check_bytes,
    check_parts,
    check_size,
    formats_of,
    too_many_pixels,
    unknown_format,
)

EXTENSIONS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "heif")
# Photos with more pixels are decoded at reduced size: no network takes more.
KEPT_PIXELS = 4_000_000

_ORIENTATION = 0x0112
# The transposition that turns a photo upright, by its EXIF orientation.
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_GREY_16 = {"I;16", "I;16L", "I;16B"}
_READABLE = {"1", "L", "LA", "P", "PA", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr", *_GREY_16}
# Pillow gives the transparent grey or colour of a PNG in the file's own numbers.
_TO_8_BITS = {"L;2": 85, "L;4": 17, "I;16B": 1 / 256, "RGB;16B": 1 / 256}
# JPEG or fax inside a TIFF would start decoders to which no limit here applies.
_TIFF_COMPRESSIONS = {"raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"}
# Decoding 64 megapixels takes about a gigabyte: one such photo is decoded at a time.
_large_photo_lock = threading.Lock()

_log = logging.getLogger(__name__)

# A photo as an RGB image of Pillow's, which must not be changed; named here for modules that do
# not import Pillow.
DecodedPhoto = Image.Image


def open_photo(source: str | Path | bytes) -> NDArray[np.uint8]:
    """Reads a photo: (H, W, 3) uint8, RGB, upright, transparent parts on white.

    Of an animation it takes the first frame. A photo of more than 4 megapixels is
    decoded at reduced size. Metadata is dropped.

    Args:
        source: a path, or the bytes of a file. The path ``digits.npz#22`` names picture 22 of
            the test pictures in a data set, and ``digits.npz#x_train/22`` one of another array.

    Raises:
        PhotoError: the file is missing, damaged, of an unknown kind, or too large.
    """
    return np.asarray(open_picture(source))


def open_picture(source: str | Path | bytes) -> DecodedPhoto:
    """The same as ``open_photo``, as a Pillow image and without a further copy.

    Raises:
        PhotoError: the file is missing, damaged, of an unknown kind, or too large.
    """
    if not isinstance(source, bytes) and (reference := array_reference(source)):
        return Image.fromarray(read_array_picture(reference)).convert("RGB")
    data = source if isinstance(source, bytes) else _read(Path(source))
    check_bytes(len(data))
    formats = formats_of(data)
    check_parts(data)
    if "HEIF" in formats:
        _register_heif()
    try:
        with Image.open(CountedReads(data), formats=formats) as image:
            check_size(*image.size)
            # Decode in one block: between blocks other threads of a busy server would run.
            image.decodermaxblock = len(data)
            with _large_photo_lock if _is_large(image) else nullcontext():
                upright = _upright_rgb(image)
                upright.load()
                return upright
    except PhotoError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_many_pixels() from error
    except UnidentifiedImageError as error:
        raise unknown_format() from error
    except MemoryError as error:
        raise PhotoError(
            "There is not enough memory to read this photo now. Try a smaller one.", "memory"
        ) from error
    # Pillow's decoders raise almost any error on damaged files, with messages for programmers.
    except Exception as error:
        _log.info("A photo could not be decoded", exc_info=error)
        raise PhotoError(
            "This photo is damaged: its pixels cannot be decoded. Save or copy it again.",
            "damaged",
        ) from error


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        # Reading a pipe would block, and a device may have no end.
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError(f"The photo {path.name} cannot be opened: it is no file.", "missing")
        if path.suffix.lower() in {".npy", ".npz"}:
            raise PhotoError(
                f"{path.name} holds arrays. Name one of its pictures by number, counted from 0: "
                f"{path.name}#22.",
                "kind",
            )
        check_bytes(status.st_size, path.name)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PhotoError(
            f"The photo {path.name} cannot be opened: {error.strerror}.", "missing"
        ) from error


@functools.cache
def _register_heif() -> None:
    """Registers the HEIC decoder with Pillow, at the first file that may need it."""
    import pillow_heif

    pillow_heif.register_heif_opener()


def _is_large(image: Image.Image) -> bool:
    """Whether a photo may take much memory; an AVIF can have more pixels than it claims."""
    return image.width * image.height > KEPT_PIXELS or image.format == "AVIF"


def _upright_rgb(image: ImageFile.ImageFile) -> Image.Image:
    if image.format == "TIFF" and image.info.get("compression") not in _TIFF_COMPRESSIONS:
        raise _unsupported(image, str(image.info.get("compression")))
    if image.format == "JPEG" and image.width * image.height > KEPT_PIXELS:
        image.draft("RGB", (1024, 1024))
    _scale_transparency(image)
    image.load()
    # A HEIC may be larger than it claims.
    check_size(*image.size)
    plain = _reduced(_eight_bits(image))
    if plain.has_transparency_data:
        layered = plain.convert("RGBA")
        plain = Image.new("RGBA", layered.size, "white")
        plain.alpha_composite(layered)
    rgb = plain if plain.mode == "RGB" else plain.convert("RGB")
    transposition = _TRANSPOSITIONS.get(_orientation(image))
    return rgb if transposition is None else rgb.transpose(transposition)


def _scale_transparency(image: ImageFile.ImageFile) -> None:
    """Scales the transparent grey or colour of a PNG to 8 bits, like its pixels."""
    key = image.info.get("transparency")
    if image.format != "PNG" or key is None or not image.tile:
        return
    scale = _TO_8_BITS.get(str(image.tile[0].args), 1)
    if isinstance(key, int):
        image.info["transparency"] = int(key * scale)
    elif isinstance(key, tuple):
        image.info["transparency"] = tuple(int(value * scale) for value in key)


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode not in _READABLE:
        raise _unsupported(image, image.mode)
    if image.mode not in _GREY_16:
        return image
    # Pillow's own conversion clips 16-bit grey to white.
    tags = getattr(image, "tag_v2", {})
    (bits,) = tags.get(_BITS_PER_SAMPLE, (16,))
    wide = np.asarray(image)
    grey = Image.fromarray((wide >> (bits - 8)).astype(np.uint8))
    if "transparency" in image.info:
        grey.info["transparency"] = image.info["transparency"]
    # In such a TIFF 0 is white, and Pillow does not invert it.
    return ImageChops.invert(grey) if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else grey


def _reduced(image: Image.Image) -> Image.Image:
    """Reduces an image to at most ``KEPT_PIXELS`` pixels, each the mean of those it covers."""
    if image.width * image.height <= KEPT_PIXELS:
        return image
    # Palette indices cannot be averaged.
    if image.mode in {"1", "P", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    scale = (KEPT_PIXELS / (image.width * image.height)) ** 0.5
    image.thumbnail((image.width * scale, image.height * scale))
    return image


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) where it is missing or damaged."""
    # The HEIC decoder already turns the image upright.
    if image.format == "HEIF":
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception as error:  # noqa: BLE001 - decoders raise almost any error
        _log.info("A photo's metadata could not be read", exc_info=error)
        return 1


def _unsupported(image: Image.Image, what: str) -> PhotoError:
    return PhotoError(
        f"This {image.format} stores its pixels in a form that is not supported ({what}). "
        "Save it as an ordinary picture of 8 or 16 bits a channel, such as a PNG.",
        "pixel-form",
    )
