"""Exemplars against a slow search over all photos, and where their parts are."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.cards import changed
from cnnviz.errors import DataError, LayerError
from cnnviz.features.exemplars import find_exemplars
from cnnviz.features.merging import merged
from cnnviz.networks import passes
from cnnviz.networks.loading import with_card
from cnnviz.networks.network import Network
from cnnviz.photos.preprocessing import network_view
from cnnviz.photos.sources import SeenPhoto
from cnnviz.results import ChannelExemplars, Exemplar, Exemplars


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


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(31, 20, 3), (9, 14, 3)])
def test_the_part_is_right_however_the_photo_is_fitted(
    tiny: Callable[[str], Network], fit: str, size: tuple[int, int, int]
) -> None:
    """Other pixels outside of the part, in a photo of any size, do not change the cell."""
    network = tiny("flat")
    steps = network.card.preprocessing.model_copy(update={"fit": fit, "crop_fraction": 0.9})
    network = with_card(network, changed(network.card, preprocessing=steps))
    layer = network.layers[1].path
    photo = np.random.default_rng(8).integers(0, 256, size, np.uint8)
    found = find_exemplars(network, _seen(network, [("photo", photo)]), layer)
    checked = 0
    for one in found.channels:
        (best,) = one.most
        if best.value == 0 or best.box is None:
            continue
        box, cell = best.box, best.cell
        kept = 255 - photo
        part = slice(box.top, box.bottom), slice(box.left, box.right)
        kept[part] = photo[part]
        output = cnnviz.activations(network, kept, [layer])[layer][..., one.channel]
        assert np.isclose(output, best.value, rtol=1e-5).any()
        checked += 1
        if cell is None:
            # It is in the border, and only what it depends on reaches into the photo.
            assert fit == "pad"
            continue
        # The middle of the cell is in what it depends on.
        assert box.left <= (cell.left + cell.right) / 2 <= box.right
        assert box.top <= (cell.top + cell.bottom) / 2 <= box.bottom
    assert checked > 1


def test_no_more_than_a_few_batches_of_photos_are_alive(tiny: Callable[[str], Network]) -> None:
    network = tiny("flat")
    steps = network.card.preprocessing
    size = passes.facts(network).batch_size
    alive: list[weakref.ref[Any]] = []
    most = 0

    def photos() -> Iterator[SeenPhoto]:
        nonlocal most
        for number in range(6 * size):
            pixels = np.full((steps.height, steps.width, 3), number % 256, np.uint8)
            alive.append(weakref.ref(pixels))
            most = max(most, sum(one() is not None for one in alive))
            yield SeenPhoto(str(number), (8, 8), pixels)

    find_exemplars(network, photos(), network.layers[1].path, [0], count=2)
    assert size <= most <= 2 * size + 1


def _exemplar(photo: str, value: float, mean: float = 0) -> Exemplar:
    return Exemplar(photo, value, mean, None, None)


def _part(photos: int, most: list[Exemplar], least: list[Exemplar]) -> Exemplars:
    return Exemplars("conv", photos, (ChannelExemplars(5, tuple(most), tuple(least)),))


def test_parts_are_put_together_as_if_they_had_been_one() -> None:
    a, b, c = _exemplar("a", 6, 1), _exemplar("b", 6, 2), _exemplar("c", 0)
    d, e, f = _exemplar("d", 6, 2), _exemplar("e", 6, 3), _exemplar("f", 0)
    both = merged([_part(3, [b, a], [c, a]), _part(4, [e, d], [f, d])], 2)
    (channel,) = both.channels
    assert (both.layer, both.photos, channel.channel) == ("conv", 7, 5)
    # Equal values by the mean, and then the photo that came first.
    assert channel.most == (e, b)
    assert channel.least == (c, f)
    assert merged([_part(3, [b, a], [c, a]), _part(1, [f], [f])], 3).channels[0].most == (b, a, f)


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
