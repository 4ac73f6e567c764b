"""From a photo to the network input, as the card says, and back to the photo's pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnviz.arrays import Region, resize
from cnnviz.cards import Preprocessing

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


def seen_region(height: int, width: int, preprocessing: Preprocessing) -> Region:
    """The part of a photo (height, width) that the network looks at, in photo pixels.

    With ``pad`` it reaches beyond the photo, by the black borders.
    """
    if preprocessing.fit == "stretch":
        return Region(0, 0, width, height)
    scales = height / preprocessing.height, width / preprocessing.width
    if preprocessing.fit == "crop":
        scale = min(scales) * preprocessing.crop_fraction
    else:
        scale = max(scales)
    seen_height, seen_width = scale * preprocessing.height, scale * preprocessing.width
    return Region((width - seen_width) / 2, (height - seen_height) / 2, seen_width, seen_height)


def network_view(photo: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The photo as the network sees it: (h, w, C) uint8, before its values are scaled."""
    size = (preprocessing.width, preprocessing.height)
    resample = _FILTERS[preprocessing.interpolation]
    image = Image.fromarray(photo)
    if preprocessing.channels == 1:
        image = image.convert("L")
    region = seen_region(photo.shape[0], photo.shape[1], preprocessing)
    if preprocessing.fit == "pad":
        seen = _pad(image, region, size, resample)
    else:
        box = (
            region.left,
            region.top,
            region.left + region.width,
            region.top + region.height,
        )
        seen = image.resize(size, resample, box=box)
    view = np.asarray(seen)
    return view if view.ndim == 3 else view[..., None]


def network_input(photo: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """The photo as the network gets it: (1, h, w, C) float32, scaled as the card says."""
    return scale_pixels(network_view(photo, preprocessing), preprocessing.scaling)[None]


def scale_pixels(view: NDArray[np.uint8], scaling: str) -> NDArray[np.float32]:
    """Scales pixel values of 0 to 255, (..., C), to the range that a network was trained on.

    The names are those of ``Preprocessing.scaling``; float32, same shape.
    """
    pixels = view.astype(np.float32)
    if scaling == "unit":
        return pixels / 255
    if scaling == "tf":
        return pixels / 127.5 - 1
    if scaling == "torch":
        return (pixels / 255 - _TORCH_MEAN) / _TORCH_DEVIATION
    if scaling == "caffe":
        return pixels[..., ::-1] - _CAFFE_MEAN
    return pixels


def place_on_photo(
    values: NDArray[np.floating], height: int, width: int, preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """Lays a map (h, w) over a photo of (height, width), exactly where the network looked.

    Crop and scaling are undone; photo pixels that the network never saw are NaN.
    """
    return resize(values, height, width, seen_region(height, width, preprocessing))


def _pad(
    image: Image.Image, region: Region, size: tuple[int, int], resample: Image.Resampling
) -> Image.Image:
    width = max(1, round(size[0] * image.width / region.width))
    height = max(1, round(size[1] * image.height / region.height))
    canvas = Image.new(image.mode, size)
    corner = ((size[0] - width) // 2, (size[1] - height) // 2)
    canvas.paste(image.resize((width, height), resample), corner)
    return canvas
