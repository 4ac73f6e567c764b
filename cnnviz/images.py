"""Photos in and pictures out: bytes or a path to an RGB array, and every check on the way."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cnnviz.errors import PhotoError

# Named one by one: without a list Pillow would also start a PostScript interpreter.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
EXTENSIONS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif")
MAX_BYTES = 15 * 1024 * 1024
MAX_PIXELS = 64_000_000
MAX_ASPECT = 20
# Above this a photo is decoded at reduced size: no network looks at more.
KEPT_PIXELS = 4_000_000

_log = logging.getLogger(__name__)

_SAMPLES = Path(__file__).parent / "samples"


@dataclass(frozen=True)
class Sample:
    """A picture that comes with cnnviz, with its origin.

    Attributes:
        name: what the address bar shows.
        title: what a person reads.
        source: where the picture comes from.
        licence: what it may be used for.
        models: names of the shipped models that it suits.
        path: the file.
    """

    name: str
    title: str
    source: str
    licence: str
    models: tuple[str, ...]
    path: Path


def open_photo(source: str | Path | bytes) -> NDArray[np.uint8]:
    """Reads a photo: (H, W, 3) uint8, RGB, upright, transparent parts on white.

    Of an animation it takes the first frame. A photo of more than 4 megapixels is
    decoded at reduced size. Metadata is left behind.

    Args:
        source: a path, or the bytes of a file.

    Raises:
        PhotoError: the file is missing, damaged, of an unknown kind, or too large.
    """
    data = source if isinstance(source, bytes) else _read(Path(source))
    if not data:
        raise PhotoError("The photo is empty: it has 0 bytes.")
    if len(data) > MAX_BYTES:
        raise PhotoError(
            f"The photo has {len(data) / 2**20:.1f} MB; at most {MAX_BYTES / 2**20:.0f} MB "
            "can be read. Save it smaller and try again."
        )
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image)
            return np.asarray(_upright_rgb(image))
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise PhotoError(
            f"The photo has far too many pixels; at most {MAX_PIXELS // 1_000_000} million can "
            "be read."
        ) from error
    # Pillow's decoders raise nearly anything on damaged files; none of their texts is for people.
    except Exception as error:
        _log.info("A photo could not be decoded", exc_info=error)
        raise PhotoError(
            "This file cannot be read as a photo: it is damaged or of another kind. "
            "Supported are JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF."
        ) from error


def samples() -> tuple[Sample, ...]:
    """The pictures that come with cnnviz."""
    entries = json.loads((_SAMPLES / "samples.json").read_text(encoding="utf-8"))
    return tuple(
        Sample(
            entry["name"],
            entry["title"],
            entry["source"],
            entry["licence"],
            tuple(entry["models"]),
            _SAMPLES / entry["file"],
        )
        for entry in entries
    )


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) pixels."""
    return _encode(pixels, "PNG", compress_level=1)


def encode_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """A JPEG file of (H, W, 3) pixels, for the screen."""
    return _encode(pixels, "JPEG", quality=88)


def shrink(pixels: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """Reduces (H, W, 3) pixels so that no side is over ``longest``; smaller ones stay."""
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PhotoError(
                f"{path.name} has {path.stat().st_size / 2**20:.1f} MB; at most "
                f"{MAX_BYTES / 2**20:.0f} MB can be read."
            )
        return path.read_bytes()
    except OSError as error:
        raise PhotoError(f"The photo {path.name} cannot be opened: {error.strerror}.") from error


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PhotoError(
            f"The photo has {width} × {height} pixels; at most "
            f"{MAX_PIXELS // 1_000_000} million can be read."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PhotoError(
            f"The photo is {width} × {height} pixels: one side is more than {MAX_ASPECT} times "
            "the other, and a network would see nothing of it."
        )


def _upright_rgb(image: Image.Image) -> Image.Image:
    if image.width * image.height > KEPT_PIXELS:
        image.draft("RGB", (1024, 1024))
    image.load()
    upright = _turned(image)
    # Pillow's own conversion clips 16-bit grey to white.
    if upright.mode in {"I;16", "I;16B", "I;16L", "I"}:
        wide = np.asarray(upright).astype(np.int64)
        upright = Image.fromarray(np.clip(wide >> 8, 0, 255).astype(np.uint8))
    if upright.width * upright.height > KEPT_PIXELS:
        scale = (KEPT_PIXELS / (upright.width * upright.height)) ** 0.5
        upright.thumbnail((upright.width * scale, upright.height * scale))
    if upright.has_transparency_data:
        layered = upright.convert("RGBA")
        upright = Image.new("RGBA", layered.size, "white")
        upright.alpha_composite(layered)
    return upright.convert("RGB")


def _turned(image: Image.Image) -> Image.Image:
    """The image as its metadata says it was held; metadata that is damaged says nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except SyntaxError:
        return image


def _encode(pixels: NDArray[np.uint8], kind: str, **options: int) -> bytes:
    squeezed = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    buffer = io.BytesIO()
    Image.fromarray(squeezed).save(buffer, kind, **options)
    return buffer.getvalue()
