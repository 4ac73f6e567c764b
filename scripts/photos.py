"""Photos of cats and dogs in two folders: listing, splitting and preparing them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnviz.cards import Preprocessing
from cnnviz.images import open_photo
from cnnviz.preprocessing import network_input

CAT_DOG = ("cat", "dog")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def list_photos(folder: Path) -> list[tuple[Path, int]]:
    """Lists ``folder/cat`` and ``folder/dog`` in the order of their names.

    Returns:
        Pairs of (photo, class), class 0 for cat and 1 for dog.

    Raises:
        ValueError: one of the two folders has no photo.
    """
    photos = []
    for index, name in enumerate(CAT_DOG):
        found = sorted(p for p in (folder / name).glob("*") if p.suffix.lower() in SUFFIXES)
        if not found:
            raise ValueError(f"Expected photos in {folder / name}. Found none.")
        photos += [(path, index) for path in found]
    return photos


def read_batch(paths: list[Path], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Reads photos and prepares them as the app does, ``(N, h, w, C)``."""
    return np.concatenate([network_input(open_photo(path), preprocessing) for path in paths])


def split_photos(
    photos: list[tuple[Path, int]], share: float = 0.2
) -> tuple[list[tuple[Path, int]], list[tuple[Path, int]]]:
    """Splits photos into (training, validation), the same share of each class.

    The order is that of the SHA-256 of ``class/name``, so that the split depends on
    neither the machine nor the order of the folder.
    """
    training, validation = [], []
    for index, name in enumerate(CAT_DOG):
        shuffled = sorted(
            (photo for photo in photos if photo[1] == index),
            key=lambda photo: hashlib.sha256(f"{name}/{photo[0].name}".encode()).hexdigest(),
        )
        count = round(share * len(shuffled))
        validation += shuffled[:count]
        training += shuffled[count:]
    return training, validation
