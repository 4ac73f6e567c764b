"""Small photos in a folder for each class: mostly red, green or blue, and so easy to classify."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from cnnviz.training.recipes import RECIPES, Augmentation, Recipe

NAMES = ("red", "green", "blue")


def picture(colour: int, number: int, side: int = 16) -> np.ndarray:
    """A picture (side, side, 3) uint8 of noise, with more of one colour; no two are the same."""
    pixels = np.random.default_rng([colour, number]).integers(0, 100, (side, side, 3))
    pixels[..., colour] += 130
    return pixels.astype(np.uint8)


def write_photos(folder: Path, counts: dict[str, int], side: int = 16) -> Path:
    """Writes PNGs such as ``red/000.png``; the classes get the colours in turn."""
    for colour, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(picture(colour % 3, number, side))
            image.save(folder / name / f"{number:03}.png")
    return folder


def write_pixels(path: Path, counts: list[int], side: int = 16, tests: int = 0) -> Path:
    """Writes an .npz as Keras keeps MNIST; class 0 is mostly red, 1 green, 2 blue."""
    arrays = {}
    for ending, start, numbers in (("train", 0, counts), ("test", 1000, [tests] * len(counts))):
        y = np.repeat(np.arange(len(counts)), numbers)
        pictures = [picture(colour, start + index, side) for index, colour in enumerate(y)]
        if pictures:
            arrays |= {f"x_{ending}": np.stack(pictures), f"y_{ending}": y.astype(np.uint8)}
    np.savez(path, **arrays)
    return path


def flipped_vgg() -> Recipe:
    """Tiny VGG with the one change of photos that compiles sooner than all of them."""
    return replace(RECIPES["tiny-vgg"], augmentation=Augmentation(flip=True))
