"""Data to train on: photos in folders become arrays on disk, with a manifest of what is in them.

    DATA/cat.npy        (N, h, w, C) uint8, or float32 of 0 to 1
    DATA/dog.npy
    DATA/manifest.json  for each row its file, split, size and hash

What is here needs no TensorFlow; ``keras.datasets`` is imported where one of them is named.
"""

from cnnviz.data.manifest import Prepared, Row, Split, in_several_classes, read_prepared
from cnnviz.data.photos import prepare_photos
from cnnviz.data.pixels import KERAS_DATASETS, prepare_pixels

__all__ = [
    "KERAS_DATASETS",
    "Prepared",
    "Row",
    "Split",
    "in_several_classes",
    "prepare_photos",
    "prepare_pixels",
    "read_prepared",
]
