"""What a training shows of its latest batches: bounded, and read as it was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnnviz.errors import TrainingError
from cnnviz.training import live_batches
from cnnviz.training.live_batches import read_batches, write_batches
from cnnviz.training.runs import BatchFigures

PHOTOS = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4, 1)


def test_batches_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "batches.npz"
    assert read_batches(path) is None
    batches = [BatchFigures(1, 3, 4, 0.5, 0.25), BatchFigures(2, 1, 4, 0.125, 1.0)]
    write_batches(path, batches, PHOTOS, ["cat", "<dög>"])
    found = read_batches(path)
    assert found is not None
    assert (found.epoch, found.step) == (2, 1)
    assert found.positions.tolist() == [0.75, 1.25]
    assert found.losses.tolist() == [0.5, 0.125]
    assert found.accuracies.tolist() == [0.25, 1]
    np.testing.assert_array_equal(found.photos, PHOTOS)
    assert found.labels == ("cat", "<dög>")
    assert [one.name for one in tmp_path.iterdir()] == ["batches.npz"]


def test_the_record_is_bounded(tmp_path: Path) -> None:
    """Of a long training with large photos the newest batches, and a few small photos."""
    path = tmp_path / "batches.npz"
    batches = [BatchFigures(1, step, 9000, step, 0.5) for step in range(1, 701)]
    photos = np.zeros((32, 224, 224, 3), np.uint8)
    write_batches(path, batches, photos, ["a class"] * 32)
    found = read_batches(path)
    assert found is not None
    assert found.losses.tolist() == list(range(201, 701))
    assert found.photos.shape == (8, 74, 74, 3)
    assert len(found.labels) == 8
    assert path.stat().st_size < 240_000


def test_a_large_photo_is_shown_by_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pixel that is left is the mean of 2 × 2; a row that is left over is cut off."""
    monkeypatch.setattr(live_batches, "LARGEST_SIDE", 2)
    photo = np.array([[0, 4, 8, 8], [4, 8, 8, 8], [99, 99, 99, 99]], np.uint8)[None, ..., None]
    write_batches(tmp_path / "a", [BatchFigures(1, 1, 1, 0, 0)], photo, ["cat"])
    found = read_batches(tmp_path / "a")
    assert found is not None
    assert found.photos[0, ..., 0].tolist() == [[4, 8]]


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"PK damaged")
    with pytest.raises(TrainingError, match="damaged"):
        read_batches(tmp_path / "a")
