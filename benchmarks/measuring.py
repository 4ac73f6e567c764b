"""What several benchmarks share: the time of a call, tables in Markdown, and photos to upload."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image


def seconds(run: Callable[[], object]) -> float:
    """The time that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def timed_pair(reference: Callable[[], object], run: Callable[[], object]) -> tuple[float, float]:
    """The times of a reference and, right after it, of a call.

    The reference runs once before, uncounted: its first run after a pause, in which another
    process has used the cores, is slower.
    """
    reference()
    return seconds(reference), seconds(run)


def print_table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Prints a table in Markdown."""
    titles = list(titles)
    print(f"\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def phone_photo(seed: int) -> bytes:
    """A JPEG of 12 megapixels, as a telephone takes it: the cat, shifted and lit by the seed."""
    # Not above: benchmarks/torch_tools.py runs where cnnviz's packages are not installed.
    from cnnviz.photos.decoding import open_photo
    from cnnviz.photos.samples import samples

    cat = open_photo(next(sample.path for sample in samples() if sample.name == "chelsea"))
    random = np.random.default_rng(seed)
    shifted = np.roll(cat, random.integers(0, cat.shape[:2]), axis=(0, 1))
    lit = np.clip(shifted * random.uniform(0.6, 1.4, 3), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(lit).resize((4000, 3000)).save(file, "JPEG", quality=85)
    return file.getvalue()
