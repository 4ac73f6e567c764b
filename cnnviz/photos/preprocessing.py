"""From a photo to the network input, as the card defines it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnviz.cards import PRESETS, Preprocessing
from cnnviz.errors import CardError, PhotoError
from cnnviz.geometry import padded_position, seen_region

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# ImageNet's mean and deviation: RGB for values of 0 to 1, and BGR for values of 0 to 255.
_TORCH_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_TORCH_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
_CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)


@dataclass(frozen=True)
class NetworkView:
    """A photo reduced to the pixels that a network sees; far smaller than the photo.

    It can be given to a network with the same preprocessing in place of the photo.

    Attributes:
        pixels: (h, w, C) uint8, the result of ``network_view``.
        preprocessing: the preprocessing that was applied.
    """

    pixels: NDArray[np.uint8]
    preprocessing: Preprocessing


# What a network accepts as a photo: (H, W, 3) pixels, or its own view of them.
PhotoInput = NDArray[np.uint8] | NetworkView


def network_view(photo: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The photo as the network sees it: (h, w, C) uint8, before its values are scaled.

    A fourth channel is an alpha that is opaque everywhere.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
    """
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
        raise PhotoError(
            "Expected a photo as (height, width, 3) of type uint8, as open_photo gives it. "
            f"Received: {photo.shape} of type {photo.dtype}."
        )
    return picture_view(Image.fromarray(photo), preprocessing)


def picture_view(image: Image.Image, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """``network_view`` of an RGB image of Pillow's: (h, w, C) uint8."""
    size = (preprocessing.width, preprocessing.height)
    resample = _FILTERS[preprocessing.interpolation]
    if preprocessing.channels == 1:
        image = image.convert("L")
    if preprocessing.fit == "pad":
        seen = _pad(image, preprocessing, resample)
    else:
        region = seen_region(image.height, image.width, preprocessing)
        box = (
            region.left,
            region.top,
            region.left + region.width,
            region.top + region.height,
        )
        seen = image.resize(size, resample, box=box)
    view = np.asarray(seen)
    if preprocessing.channels == 4:
        return np.dstack([view, np.full(view.shape[:2], 255, np.uint8)])
    return view if view.ndim == 3 else view[..., None]


def network_input(photo: PhotoInput, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """The network input: (1, h, w, C) float32, scaled as the card defines it.

    Raises:
        PhotoError: the photo is not (H, W, 3) uint8.
        CardError: the scaling is ``unknown``.
        ValueError: it is a view with another preprocessing.
    """
    if not isinstance(photo, NetworkView):
        view = network_view(photo, preprocessing)
    elif photo.preprocessing == preprocessing:
        view = photo.pixels
    else:
        raise ValueError(
            f"Expected a view made by {preprocessing!r}. Received: {photo.preprocessing!r}"
        )
    return scale_pixels(view, preprocessing.scaling)[None]


def scale_pixels(view: NDArray[np.uint8], scaling: str) -> NDArray[np.float32]:
    """Scales pixel values of 0 to 255, (..., C), to the range that a network was trained on.

    Args:
        view: the pixels.
        scaling: a value of ``Preprocessing.scaling``.

    Returns:
        float32 of the same shape.

    Raises:
        CardError: the scaling is ``unknown``.
    """
    if scaling == "unknown":
        raise CardError(
            "The model's file does not show which values of the pixels the network takes, so there "
            'is no answer yet. Name a preset (in Python load_model(path, preset="unit")), or put '
            f"a card beside the model. The presets are {', '.join(PRESETS)}."
        )
    pixels = view.astype(np.float32)
    if scaling == "unit":
        return pixels / np.float32(255)
    if scaling == "tf":
        return pixels / np.float32(127.5) - np.float32(1)
    if scaling == "torch":
        pixels = (pixels / np.float32(255) - _TORCH_MEAN) / _TORCH_DEVIATION
    if scaling == "caffe":
        pixels = pixels[..., ::-1] - _CAFFE_MEAN
    return pixels


def _pad(
    image: Image.Image, preprocessing: Preprocessing, resample: Image.Resampling
) -> Image.Image:
    left, top, width, height = padded_position(image.height, image.width, preprocessing)
    canvas = Image.new(image.mode, (preprocessing.width, preprocessing.height))
    canvas.paste(image.resize((width, height), resample), (left, top))
    return canvas
