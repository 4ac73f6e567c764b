"""Makes the pictures of docs/methods.md: one strip of maps for each method.

    python -m scripts.method_pictures

A strip has the photo of a cat and a dog, explained for both classes on one scale, and a photo that
is explained for ImageNet's most probable class; for methods that read any layer also by a layer in
the middle of that network. A first strip has both photos as they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import cnnviz

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "images" / "methods"
SAMPLES = ROOT / "cnnviz" / "samples"
HEIGHT, GAP = 170, 6
QUALITY = 80
# Bytes of all strips together.
LARGEST = 600_000

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """A network, a photo in ``SAMPLES``, its classes, and a layer that is explained, too.

    Attributes:
        classes: the most probable one if empty.
    """

    model: str
    file: str
    classes: tuple[str, ...] = ()
    layer: str | None = None


CASES = (
    Case("cat_dog", "cat_and_dog.webp", ("cat", "dog")),
    Case("imagenet_efficientnet_lite0", "chickens.webp", layer="block6a_expand_act"),
)


def strip(pictures: Sequence[Picture]) -> Image.Image:
    """Pictures (h, w, 3) side by side, all as high, with white between them."""
    small = [
        Image.fromarray(one).resize(
            (round(one.shape[1] * HEIGHT / one.shape[0]), HEIGHT), Image.Resampling.LANCZOS
        )
        for one in pictures
    ]
    width = sum(one.width for one in small) + GAP * (len(small) - 1)
    whole, left = Image.new("RGB", (width, HEIGHT), "white"), 0
    for one in small:
        whole.paste(one, (left, 0))
        left += one.width + GAP
    return whole


def maps(network: cnnviz.Network, photo: Picture, case: Case, method: str) -> Iterator[Picture]:
    """The photo with the map of each class over it, on one scale; and with those of the layer."""
    classes = case.classes or (cnnviz.predict(network, photo).label,)

    def compared(layer: str | None) -> tuple[cnnviz.ComparedCell, ...]:
        return cnnviz.compare(network, photo, classes=classes, methods=[method], layer=layer).cells

    cells = compared(None)
    # A method that reads no layer has the same map again, and one that reads a certain layer, too.
    if case.layer and cells[0].cam.layer:
        cells += tuple(cell for cell in compared(case.layer) if cell.cam.layer == case.layer)
    for cell in cells:
        yield cnnviz.overlay(photo, cell.cam, network.card.preprocessing, limit=cell.limit)


def save(picture: Image.Image, name: str) -> int:
    """Writes a picture as a WebP; returns its bytes."""
    path = FOLDER / f"{name}.webp"
    picture.save(path, quality=QUALITY, method=6)
    return path.stat().st_size


def main() -> None:
    """Makes all strips.

    Raises:
        RuntimeError: they have too many bytes.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    networks = [cnnviz.load_model(ROOT / "models" / f"{case.model}.keras") for case in CASES]
    photos = [cnnviz.open_photo(SAMPLES / case.file) for case in CASES]
    explained = list(zip(networks, photos, CASES, strict=True))
    total = save(strip(photos), "photos")
    for method in cnnviz.methods(networks[0]):
        total += save(strip([one for about in explained for one in maps(*about, method)]), method)
        print(method, flush=True)
    print(f"{total / 1000:.0f} kB in {FOLDER}")
    if total > LARGEST:
        raise RuntimeError(f"The strips have more than {LARGEST} bytes.")


if __name__ == "__main__":
    main()
