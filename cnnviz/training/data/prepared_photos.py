"""The photos of prepared data, to be looked at one by one."""

from __future__ import annotations

import numpy as np

from cnnviz.cards import Preprocessing
from cnnviz.errors import DataError
from cnnviz.photos.decoding import DecodedPhoto
from cnnviz.photos.encoding import as_picture
from cnnviz.photos.sources import PhotoSource
from cnnviz.training.data.manifest import Prepared


def prepared_photos(
    prepared: Prepared, wanted: Preprocessing, split: str | None = None
) -> PhotoSource:
    """The photos of prepared data, as a network that was trained on them sees them.

    Args:
        prepared: the data.
        wanted: the network's preprocessing.
        split: the part of the data; all of it if None.

    Raises:
        DataError: they were prepared for another size of input, or an array is missing or damaged.
    """
    steps = prepared.preprocessing
    size = steps.height, steps.width, steps.channels
    if size != (wanted.height, wanted.width, wanted.channels):
        raise DataError(
            f"The data in {prepared.folder} was prepared with {_size(steps)}, and this network "
            f"takes {_size(wanted)}. Name the folder of the photos themselves."
        )
    arrays = dict(zip(prepared.labels, prepared.arrays(), strict=True))
    rows = {
        row.file: (label, at)
        for label, of_class in prepared.rows.items()
        for at, row in enumerate(of_class)
        if split in (None, row.split)
    }

    def open_row(name: str) -> DecodedPhoto:
        label, at = rows[name]
        pixels = np.asarray(arrays[label][at])
        if pixels.dtype != np.uint8:
            # The range 0 to 1.
            pixels = np.rint(pixels * 255).astype(np.uint8)
        return as_picture(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")

    kept = "" if split is None else f" for {split}"
    return PhotoSource(
        f"prepared photos{kept} of {prepared.source}",
        tuple(rows),
        open_row,
        tuple(label for label, _ in rows.values()),
        seen=True,
    )


def _size(steps: Preprocessing) -> str:
    return f"{steps.height} × {steps.width} pixels of {steps.channels} channels"
