"""Makes the small pictures of the samples, so that a server need not decode ten photos to start.

python -m scripts.make_small_samples
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnnviz.photos.decoding import open_picture
from cnnviz.photos.encoding import encode_jpeg, shrink_picture
from cnnviz.photos.samples import samples

# Pixels of a side.
SIDE = 120


def small_picture(path: Path) -> bytes:
    """The middle of a picture as a small JPEG file."""
    image = open_picture(path.read_bytes())
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return encode_jpeg(np.asarray(shrink_picture(square, SIDE)))


def main() -> None:
    """Writes them beside the samples; those that are tiny themselves need none."""
    for sample in samples():
        if max(open_picture(sample.path.read_bytes()).size) > SIDE:
            path = sample.path.parent / "small" / f"{sample.path.stem}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(small_picture(sample.path))


if __name__ == "__main__":
    main()
