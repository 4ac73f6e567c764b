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
    from cnnviz.attribution.explanations import class_activation_map, explain, methods
    from cnnviz.attribution.methods import contrast_picture
    from cnnviz.attribution.outlines import outline
    from cnnviz.drawing import overlay
    from cnnviz.networks.channels import rank_channels
    from cnnviz.networks.feature_maps import activations
    from cnnviz.networks.kernels import filters
    from cnnviz.networks.loading import extract_model, load_model, network
    from cnnviz.networks.predictions import predict
    from cnnviz.photos.decoding import open_photo
    from cnnviz.photos.encoding import encode_png
    from cnnviz.training.data.manifest import read_prepared
    from cnnviz.training.data.photos import prepare_photos
    from cnnviz.training.data.pixels import prepare_pixels
    from cnnviz.training.loop import train

__version__ = "0.2.0"

_HOMES = {
    "activations": "networks.feature_maps",
    "class_activation_map": "attribution.explanations",
    "contrast_picture": "attribution.methods",
    "encode_png": "photos.encoding",
    "explain": "attribution.explanations",
    "extract_model": "networks.loading",
    "filters": "networks.kernels",
    "load_model": "networks.loading",
    "methods": "attribution.explanations",
    "network": "networks.loading",
    "open_photo": "photos.decoding",
    "outline": "attribution.outlines",
    "overlay": "drawing",
    "predict": "networks.predictions",
    "prepare_photos": "training.data.photos",
    "prepare_pixels": "training.data.pixels",
    "rank_channels": "networks.channels",
    "read_prepared": "training.data.manifest",
    "scale_filters": "arrays",
    "train": "training.loop",
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
