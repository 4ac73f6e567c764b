"""cnnviz: look inside a saved Keras network, and be sure that what you see is true.

    network = cnnviz.load_model("models/cat_dog.keras")
    photo = cnnviz.open_photo("cat.jpg")
    cnnviz.predict(network, photo).top(3)

Importing the package is quick: TensorFlow is imported when a function first needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnviz.arrays import scale_filters
    from cnnviz.cams import contrast_picture
    from cnnviz.channels import rank_channels
    from cnnviz.data import prepare_photos, prepare_pixels, read_prepared
    from cnnviz.explanations import class_activation_map, explain, methods
    from cnnviz.feature_maps import activations
    from cnnviz.images import encode_png, open_photo
    from cnnviz.kernels import filters
    from cnnviz.loading import extract_model, load_model, network
    from cnnviz.outlines import outline
    from cnnviz.overlays import overlay
    from cnnviz.predictions import predict
    from cnnviz.training import train

__version__ = "0.1.0"

_HOMES = {
    "activations": "feature_maps",
    "class_activation_map": "explanations",
    "contrast_picture": "cams",
    "encode_png": "images",
    "explain": "explanations",
    "extract_model": "loading",
    "filters": "kernels",
    "load_model": "loading",
    "methods": "explanations",
    "network": "loading",
    "open_photo": "images",
    "outline": "outlines",
    "overlay": "overlays",
    "predict": "predictions",
    "prepare_photos": "data",
    "prepare_pixels": "data",
    "rank_channels": "channels",
    "read_prepared": "data",
    "scale_filters": "arrays",
    "train": "training",
}

__all__ = [
    "activations",
    "class_activation_map",
    "contrast_picture",
    "encode_png",
    "explain",
    "extract_model",
    "filters",
    "load_model",
    "methods",
    "network",
    "open_photo",
    "outline",
    "overlay",
    "predict",
    "prepare_photos",
    "prepare_pixels",
    "rank_channels",
    "read_prepared",
    "scale_filters",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cnnviz' has no attribute {name!r}")
    return getattr(importlib.import_module(f"cnnviz.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
