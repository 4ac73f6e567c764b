"""What a training shows of its latest batches: their figures, and a few photos as it got them.

A file that the training writes now and then, and that pages read. Needs no TensorFlow.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnnviz.errors import TrainingError
from cnnviz.storage import replace_file
from cnnviz.training.runs import BatchFigures

# Batches of which figures are kept, and photos that are shown of the last one, with their largest
# side in pixels: the file has at most some 230 kB.
MOST_BATCHES = 500
MOST_PHOTOS = 8
LARGEST_SIDE = 96


@dataclass(frozen=True)
class LiveBatches:
    """The latest batches of a training.

    Attributes:
        epoch: of the last one, counted from 1.
        step: the last one, counted from 1 in its epoch.
        positions: (B,) the share of the training that was done after each, in epochs.
        losses: (B,) mean cross-entropy of each one's photos.
        accuracies: (B,) of each one's photos, 0 to 1.
        photos: (k, h, w, C) uint8, of the last one, as the network got them, but smaller if large.
        labels: k class names.
    """

    epoch: int
    step: int
    positions: NDArray[np.float32]
    losses: NDArray[np.float32]
    accuracies: NDArray[np.float32]
    photos: NDArray[np.uint8]
    labels: tuple[str, ...]


def write_batches(
    path: Path, batches: Sequence[BatchFigures], photos: NDArray[np.uint8], labels: Sequence[str]
) -> None:
    """Writes the last batches.

    Args:
        path: the file.
        batches: at least one; the last ``MOST_BATCHES`` of them are kept.
        photos: (N, h, w, C) of the last batch; the first ``MOST_PHOTOS`` of them are kept.
        labels: their classes.
    """
    kept = batches[-MOST_BATCHES:]
    size = max(1, -(-max(photos.shape[1:3]) // LARGEST_SIDE))
    file = io.BytesIO()
    np.savez(
        file,
        last=np.array([kept[-1].epoch, kept[-1].step]),
        positions=np.array([one.epoch - 1 + one.step / one.steps for one in kept], np.float32),
        losses=np.array([one.loss for one in kept], np.float32),
        accuracies=np.array([one.accuracy for one in kept], np.float32),
        photos=_smaller(photos[:MOST_PHOTOS], size),
        labels=np.array(labels[:MOST_PHOTOS], np.str_),
    )
    replace_file(path, file.getvalue())


def _smaller(photos: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Photos whose pixels are the means of blocks of (size, size); what is left over is cut off."""
    if size == 1:
        return photos
    count, height, width, channels = photos.shape
    rows, columns = height // size, width // size
    cut = photos[:, : rows * size, : columns * size]
    blocks = cut.reshape(count, rows, size, columns, size, channels)
    return np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)


def read_batches(path: Path) -> LiveBatches | None:
    """The latest batches of a training; None before the first.

    Raises:
        TrainingError: the file is damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            epoch, step = (int(number) for number in arrays["last"])
            return LiveBatches(
                epoch,
                step,
                arrays["positions"],
                arrays["losses"],
                arrays["accuracies"],
                arrays["photos"],
                tuple(map(str, arrays["labels"])),
            )
    except FileNotFoundError:
        return None
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path} is damaged.") from error
