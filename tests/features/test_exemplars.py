"""Exemplars against a slow search over all photos, and where their parts are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.errors import DataError, LayerError
from cnnviz.features.exemplars import SeenPhoto, find_exemplars
from cnnviz.networks.network import Network
from cnnviz.photos.preprocessing import network_view


def _photos(network: Network, count: int) -> list[tuple[str, Any]]:
    random = np.random.default_rng(5)
    steps = network.card.preprocessing
    size = (steps.height, steps.width + 6, 3)
    return [(f"photo {number}", random.integers(0, 256, size, np.uint8)) for number in range(count)]


def _seen(network: Network, photos: list[tuple[str, Any]]) -> Iterator[SeenPhoto]:
    for name, photo in photos:
        yield SeenPhoto(name, photo.shape[:2], network_view(photo, network.card.preprocessing))


@pytest.mark.engines
def test_the_same_as_a_slow_search(tiny: Callable[[str], Network]) -> None:
    network = tiny("flat")
    photos = _photos(network, 37)
    layer = network.layers[1].path
    maps = {name: cnnviz.activations(network, photo, [layer])[layer] for name, photo in photos}
    done: list[int] = []
    found = find_exemplars(network, _seen(network, photos), layer, count=4, progress=done.append)
    assert (found.layer, found.photos, done[-1]) == (layer, 37, 37)
    assert [one.channel for one in found.channels] == list(range(maps["photo 0"].shape[-1]))
    ordered = 0
    for one in found.channels:
        peaks = {name: float(output[..., one.channel].max()) for name, output in maps.items()}
        # Sorting keeps the order of equal ones: a channel that is never active has only such.
        most = sorted(peaks, key=lambda name: -peaks[name])[:4]
        least = sorted(peaks, key=lambda name: peaks[name])[:4]
        if len(set(peaks.values())) == len(peaks):
            ordered += 1
            assert [exemplar.photo for exemplar in one.most] == most
            assert [exemplar.photo for exemplar in one.least] == least
        assert [peaks[exemplar.photo] for exemplar in one.most] == [peaks[name] for name in most]
        assert [peaks[exemplar.photo] for exemplar in one.least] == [peaks[name] for name in least]
        for exemplar in (*one.most, *one.least):
            assert exemplar.value == pytest.approx(peaks[exemplar.photo], rel=1e-5)
    assert ordered > 1


def test_the_part_is_all_that_the_cell_depends_on(tiny: Callable[[str], Network]) -> None:
    network = tiny("flat")
    photos = dict(_photos(network, 3))
    layer = network.layers[1].path
    found = find_exemplars(network, _seen(network, list(photos.items())), layer, [2], count=1)
    (channel,) = found.channels
    (best,) = channel.most
    box = best.box
    assert channel.channel == 2
    assert box is not None
    kept = np.zeros_like(photos[best.photo])
    part = slice(box.top, box.bottom), slice(box.left, box.right)
    kept[part] = photos[best.photo][part]
    output = cnnviz.activations(network, kept, [layer])[layer][..., 2]
    # Nothing outside of the part has changed the cell; here that is most of the photo.
    assert np.isclose(output, best.value, rtol=1e-5).any()
    assert (box.right - box.left) * (box.bottom - box.top) < kept.size / 3 / 4


def test_equal_values_are_ordered_by_the_mean(tiny: Callable[[str], Network]) -> None:
    network = tiny("flat")
    steps = network.card.preprocessing
    even = [
        SeenPhoto(name, (8, 8), np.full((steps.height, steps.width, 3), 7, np.uint8))
        for name in ("first", "second")
    ]
    found = find_exemplars(network, even, network.layers[1].path, count=2)
    assert [one.photo for one in found.channels[0].most] == ["first", "second"]


def test_what_cannot_be_searched_is_said(tiny: Callable[[str], Network]) -> None:
    network = tiny("flat")
    layer = network.layers[1].path
    with pytest.raises(DataError, match="no photos"):
        find_exemplars(network, [], layer)
    photos = _photos(network, 1)
    with pytest.raises(LayerError, match="channels 0 to"):
        find_exemplars(network, _seen(network, photos), layer, [999])
    with pytest.raises(LayerError, match="no maps"):
        find_exemplars(network, _seen(network, photos), network.layers[-1].path)
