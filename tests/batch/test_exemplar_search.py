"""Exemplars among the photos of a source: folders, prepared data, digits; failures, and names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnviz
from cnnviz.batch import exemplar_search
from cnnviz.errors import DataError, PhotoError
from cnnviz.photos.sources import DIGITS, digit_photos, folder_photos
from cnnviz.training.data.prepared_photos import prepared_photos

Tiny = Callable[[str], Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of two classes in sub-folders of their names, and a damaged one."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(8)
    for number in range(8):
        path = folder / ("Cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = random.integers(0, 256, (14 + number, 30 - number, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    (folder / "dog" / "9.png").write_bytes(b"no photo")
    return folder


def test_a_damaged_photo_does_not_stop_the_others(tiny: Tiny, folder: Path) -> None:
    network = tiny("flat")
    layer = network.layers[1].path
    source = folder_photos(folder, ["cat", "dog"])
    assert source.classes == ("cat",) * 4 + ("dog",) * 5
    done: list[int] = []
    found = exemplar_search.find_gallery(network, source, layer, [1], count=3, progress=done.append)
    assert list(found.failures) == ["dog/9.png"]
    assert found.gallery.source == f"8 photos in {folder.name}"
    assert done[-1] == 8
    (channel,) = found.gallery.found.channels
    peaks = {
        name: cnnviz.activations(network, cnnviz.open_photo(folder / name), [layer])[layer][
            ..., 1
        ].max()
        for name in source.names
        if name not in found.failures
    }
    assert [one.value for one in channel.most] == pytest.approx(sorted(peaks.values())[:-4:-1])
    assert [one.photo for one in channel.most] == sorted(peaks, key=peaks.__getitem__)[:-4:-1]
    # A name opens its photo again.
    opened = source.open(channel.most[0].photo)
    assert found.gallery.photos[channel.most[0].photo].size == (opened.height, opened.width)
    assert folder_photos(folder, ["cat"]).classes == ()


def test_photos_by_their_paths(tiny: Tiny, folder: Path) -> None:
    network = tiny("flat")
    paths = sorted((folder / "Cat").iterdir())
    seen = exemplar_search.see_photos(network, paths)
    found = cnnviz.find_exemplars(network, seen, network.layers[1].path, [0], count=1)
    assert found.photos == 4
    assert Path(found.channels[0].most[0].photo) in paths
    with pytest.raises(PhotoError, match=r"9\.png"):
        list(exemplar_search.see_photos(network, [*paths, folder / "dog" / "9.png"]))


def test_prepared_photos_are_neither_cropped_nor_scaled_again(
    tiny: Tiny, folder: Path, tmp_path: Path
) -> None:
    network = tiny("flat")
    steps = network.card.preprocessing
    size = (steps.height, steps.width)
    assert steps.height == steps.width
    prepared = cnnviz.prepare_photos(folder, tmp_path / "data", size=steps.height)
    source = prepared_photos(prepared, steps)
    assert set(source.classes) == set(prepared.labels)
    as_prepared = exemplar_search.as_source(network, source)
    seen = list(exemplar_search.see(source, as_prepared.card.preprocessing, {}))
    rows = np.concatenate(prepared.arrays())
    np.testing.assert_array_equal(np.stack([one.pixels for one in seen]), rows)
    assert {one.size for one in seen} == {size}
    larger = cnnviz.prepare_photos(folder, tmp_path / "larger", size=steps.height + 1)
    with pytest.raises(DataError, match="Name the folder of the photos"):
        prepared_photos(larger, steps)


def test_digits_by_their_names() -> None:
    every, some = digit_photos(), digit_photos(10)
    assert (len(every.names), len(some.names)) == (5000, 500)
    assert {digit: some.classes.count(digit) for digit in map(str, range(10))} == {
        str(digit): 50 for digit in range(10)
    }
    name = some.names[7]
    assert name == "digits.npz#x_train/70"
    np.testing.assert_array_equal(
        np.asarray(some.open(name)), cnnviz.open_photo(DIGITS.parent / name)
    )
