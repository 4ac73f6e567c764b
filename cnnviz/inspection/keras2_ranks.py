"""How many axes the output of a layer has, as far as its description shows it.

An index with an ellipsis (``x[..., 0]``) depends on it: Keras 3 cannot read an ellipsis from an
HDF5 file. A rank that is not certain is None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from cnnviz.inspection.kinds import words
from cnnviz.inspection.plain_data import Json

# Their output has the rank of their input; of several inputs, the highest one.
_SAME: Final = words(
    """
    Activation Identity ReLU LeakyReLU PReLU ELU Softmax Dense Dropout GaussianNoise
    GaussianDropout AlphaDropout ActivityRegularization
    BatchNormalization LayerNormalization GroupNormalization UnitNormalization
    Rescaling Normalization Resizing CenterCrop RandomFlip RandomRotation RandomZoom
    RandomTranslation RandomContrast RandomBrightness
    Add Subtract Multiply Average Maximum Minimum Concatenate
    """
)
_SPATIAL: Final = re.compile(
    r"(Conv|DepthwiseConv|SeparableConv|MaxPooling|AveragePooling|Cropping|ZeroPadding|UpSampling"
    r"|SpatialDropout)([123])D(Transpose)?"
)


def highest(ranks: Sequence[int | None]) -> int | None:
    """The highest rank; None where one is not known."""
    known = [rank for rank in ranks if rank is not None]
    return max(known) if known and len(known) == len(ranks) else None


def of_layer(kind: str, config: Json, ranks: Sequence[int | None]) -> int | None:
    """The rank of a layer's output.

    Args:
        kind: the layer's class in Keras 3.
        config: its settings.
        ranks: of its inputs.
    """
    shape = config.get("batch_shape")
    if kind == "InputLayer" and isinstance(shape, list):
        return len(shape)
    if kind in _SAME:
        return highest(ranks)
    spatial = _SPATIAL.fullmatch(kind)
    return int(spatial[2]) + 2 if spatial else None
