"""Makes the sample of a dog with the square at which ``cat_dog_shortcut`` looks.

python -m scripts.make_marked_sample
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from cnnviz.lessons.shortcut import SIDE, marked
from cnnviz.photos.decoding import open_picture
from cnnviz.photos.samples import samples

# A multiple of the network's input, so that the square fills whole pixels of it.
PIXELS = 6 * SIDE


def main() -> None:
    """Writes it beside the sample that it is made from."""
    path = next(one.path for one in samples() if one.name == "dog")
    image = open_picture(path.read_bytes())
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((PIXELS, PIXELS))
    Image.fromarray(marked(np.asarray(square.convert("RGB")))).save(
        path.with_name("dog_marked.webp"), quality=90
    )


if __name__ == "__main__":
    main()
