"""Exemplars among many photos: threads decode them while the network runs on those before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnviz.attribution.explanations import class_activation_map
from cnnviz.batch.pipeline import map_in_order, threads
from cnnviz.cards import Preprocessing, changed
from cnnviz.errors import LayerError, PhotoError
from cnnviz.features import exemplars
from cnnviz.features.class_exemplars import find_class_exemplars
from cnnviz.features.exemplars import Progress
from cnnviz.features.galleries import class_picture, make_gallery
from cnnviz.features.merging import COUNT
from cnnviz.networks.loading import with_card
from cnnviz.networks.network import Network
from cnnviz.photos.decoding import open_picture
from cnnviz.photos.preprocessing import NetworkView, picture_view
from cnnviz.photos.sources import PhotoSource, SeenPhoto
from cnnviz.results import ClassExemplars, ClassGallery, Gallery

# Photos that are decoded ahead, so that the network does not wait for them.
_AHEAD = 64


@dataclass(frozen=True)
class Found:
    """What a search among many photos gives: the exemplars, and why photos were left out."""

    gallery: Gallery
    failures: dict[str, str]


def find_gallery(
    network: Network,
    source: PhotoSource,
    layer: str,
    channels: Sequence[int] | None = None,
    *,
    count: int = COUNT,
    progress: Progress | None = None,
) -> Found:
    """``find_exemplars`` among the photos of a source, with small pictures of what was found.

    A photo that cannot be read does not stop the others.

    Args:
        network: the network.
        source: the photos.
        layer: the layer's path.
        channels: as in ``find_exemplars``.
        count: likewise.
        progress: is told how many photos are done; what it raises ends the search.

    Raises:
        LayerError: as ``find_exemplars``.
        DataError: there is no photo that can be read.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    network = as_source(network, source)
    failures: dict[str, str] = {}
    photos = see(source, network.card.preprocessing, failures)
    found = exemplars.find_exemplars(
        network, photos, layer, channels, count=count, progress=progress
    )
    with threads("pictures") as pool:
        gallery = make_gallery(
            source, found, lambda function, names: map_in_order(pool, function, names, _AHEAD)
        )
    return Found(gallery, failures)


@dataclass(frozen=True)
class FoundOfClasses:
    """The photos that a network takes for classes.

    Attributes:
        source: what they were chosen from, in words: "1,000 photos in cats_dogs".
        classes: the exemplars.
        truths: whether the true class of each photo is known, so that errors are found.
        failures: why photos were left out, by name.
    """

    source: str
    classes: tuple[ClassExemplars, ...]
    truths: bool
    failures: dict[str, str]


def find_for_classes(
    network: Network,
    source: PhotoSource,
    classes: Sequence[str | int] = (),
    *,
    count: int = COUNT,
    progress: Progress | None = None,
) -> FoundOfClasses:
    """``find_class_exemplars`` among the photos of a source, whose true classes may be known.

    Args:
        network: the network.
        source: the photos.
        classes: as in ``find_class_exemplars``.
        count: likewise.
        progress: likewise.

    Raises:
        TargetError: there is no such class.
        DataError: there is no photo that can be read.
        ModelError: the network's answer is not a number, or holds no probabilities.
    """
    network = as_source(network, source)
    failures: dict[str, str] = {}
    photos = see(source, network.card.preprocessing, failures)
    # Other names than the network's, such as those of another data set, are not its classes.
    known = set(source.classes) <= set(network.card.labels)
    truths = dict(zip(source.names, source.classes, strict=False)) if known else {}
    found = find_class_exemplars(network, photos, classes, truths, count=count, progress=progress)
    read = len(source.names) - len(failures)
    return FoundOfClasses(f"{read:,} {source.title}", found, bool(truths), failures)


def class_gallery(network: Network, source: PhotoSource, found: FoundOfClasses) -> ClassGallery:
    """The exemplars of classes with pictures of the photos, and of these under the class's map.

    Args:
        network: the network.
        source: where the photos are.
        found: the exemplars.

    Raises:
        PhotoError: a photo is not what it was.
    """
    network = as_source(network, source)
    steps = network.card.preprocessing
    pictures = []
    for of_class in found.classes:
        for name in of_class.photos:
            photo = source.open(name)
            seen = NetworkView(picture_view(photo, steps), steps)
            try:
                cam = class_activation_map(network, seen, of_class.label)
            except LayerError:
                # A network without maps.
                cam = None
            pictures.append(class_picture(of_class.label, name, photo, cam, steps))
    return ClassGallery(found.source, found.truths, found.classes, tuple(pictures))


def as_source(network: Network, source: PhotoSource) -> Network:
    """The network as it takes the photos of a source: without a crop where they have had theirs."""
    if not source.seen:
        return network
    steps = source.steps(network.card.preprocessing)
    return with_card(network, changed(network.card, preprocessing=steps))


def see(
    source: PhotoSource, preprocessing: Preprocessing, failures: dict[str, str]
) -> Iterator[SeenPhoto]:
    """The photos of a source as a network sees them, in order.

    Args:
        source: the photos.
        preprocessing: the network's.
        failures: is given the reason for each photo that cannot be read, and is left out.
    """

    def look(name: str) -> SeenPhoto | PhotoError:
        try:
            photo = source.open(name)
        except PhotoError as error:
            return error
        size = photo.height, photo.width
        return SeenPhoto(name, size, picture_view(photo, preprocessing))

    with threads("decode") as pool:
        seen = map_in_order(pool, look, source.names, _AHEAD)
        for name, photo in zip(source.names, seen, strict=True):
            if isinstance(photo, PhotoError):
                failures[name] = str(photo)
            else:
                yield photo


def see_photos(network: Network, paths: Iterable[str | Path]) -> Iterator[SeenPhoto]:
    """Photos as a network sees them, for ``find_exemplars``; threads decode them ahead.

    Args:
        network: the network.
        paths: files of photos, or pictures of data sets, as ``open_photo`` takes them.

    Raises:
        PhotoError: one cannot be read.
    """
    source = PhotoSource("photos", tuple(map(str, paths)), open_picture)
    failures: dict[str, str] = {}
    for photo in see(source, network.card.preprocessing, failures):
        _stop_at(failures)
        yield photo
    _stop_at(failures)


def _stop_at(failures: dict[str, str]) -> None:
    for name, reason in failures.items():
        raise PhotoError(f"{name}: {reason}", "unreadable")
