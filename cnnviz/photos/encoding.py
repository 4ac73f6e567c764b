"""Encodes arrays as PNG, JPEG and WebP files, and makes smaller copies for the screen."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnviz.photos.decoding import DecodedPhoto

# The side of a picture that is magnified, so that every pixel counts.
FEW_PIXELS = 32


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) pixels."""
    return _encode(pixels, "PNG", compress_level=1)


def encode_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """A JPEG file of (H, W, 3) pixels, for the screen."""
    return _encode(pixels, "JPEG", quality=88)


def encode_webp(image: DecodedPhoto) -> bytes:
    """A small WebP file of a Pillow image; without loss where there are few pixels."""
    buffer = io.BytesIO()
    lossless = max(image.size) <= FEW_PIXELS
    image.save(buffer, "WEBP", lossless=lossless, quality=75, method=2)
    return buffer.getvalue()


def as_picture(pixels: NDArray[np.uint8]) -> DecodedPhoto:
    """A Pillow image with a copy of pixels (H, W, 3)."""
    return Image.fromarray(pixels)


def shrink(pixels: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """Reduces (H, W, 3) pixels so that no side is over ``longest``; smaller ones are unchanged."""
    if max(pixels.shape[:2]) <= longest:
        return pixels
    return np.asarray(shrink_picture(as_picture(pixels), longest))


def shrink_picture(image: DecodedPhoto, longest: int) -> DecodedPhoto:
    """``shrink`` of a Pillow image."""
    scale = longest / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # For the screen: averages whole blocks of pixels, then resizes with a quick filter. The
    # sharpest filter on all pixels would take ten times as long.
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)


def _encode(pixels: NDArray[np.uint8], kind: str, **options: int) -> bytes:
    squeezed = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    buffer = io.BytesIO()
    Image.fromarray(squeezed).save(buffer, kind, **options)
    return buffer.getvalue()
