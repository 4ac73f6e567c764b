"""Exemplars of several parts of some photos, put together; needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from cnnviz.results import (
    ChannelExemplars,
    ClassExemplar,
    ClassExemplars,
    Exemplar,
    Exemplars,
)

# Photos that are kept of each channel, at either end.
COUNT = 9


def merged(parts: Sequence[Exemplars], count: int) -> Exemplars:
    """What ``find_exemplars`` finds in all photos, from what it found in parts of them.

    Args:
        parts: of the same layer and channels, in the order of the photos; each has ``count``
            exemplars at either end, or all of its photos.
        count: photos that are kept of each channel at either end.
    """
    first = parts[0]
    channels = []
    for column, one in enumerate(first.channels):
        of_parts = [part.channels[column] for part in parts]
        most = [exemplar for part in of_parts for exemplar in part.most]
        least = [exemplar for part in of_parts for exemplar in part.least]
        channels.append(
            ChannelExemplars(
                one.channel,
                tuple(sorted(most, key=_rank, reverse=True)[:count]),
                tuple(sorted(least, key=_rank)[:count]),
            )
        )
    return Exemplars(first.layer, sum(part.photos for part in parts), tuple(channels))


def _rank(exemplar: Exemplar) -> tuple[float, float]:
    # Sorting keeps the order of equal ones, also backwards.
    return exemplar.value, exemplar.mean


def merged_classes(
    parts: Sequence[tuple[ClassExemplars, ...]], count: int
) -> tuple[ClassExemplars, ...]:
    """What ``find_class_exemplars`` finds in all photos, from what it found in parts of them.

    Args:
        parts: of the same classes, in the order of the photos; each has ``count`` exemplars of
            each class and kind, or all of its photos.
        count: photos that are kept of each class and kind.
    """
    return tuple(
        ClassExemplars(
            of_class[0].label,
            sum(one.count for one in of_class),
            tuple(surest([each for one in of_class for each in one.confident], count)),
            tuple(unsure([each for one in of_class for each in one.doubtful], count)),
            tuple(surest([each for one in of_class for each in one.wrong], count)),
        )
        for of_class in zip(*parts, strict=True)
    )


def surest(exemplars: Iterable[ClassExemplar], count: int) -> list[ClassExemplar]:
    """The photos of which the network is surest, the surest one first."""
    # Sorting keeps the order of equal ones, also backwards: the photo that came first.
    return sorted(exemplars, key=attrgetter("certainty"), reverse=True)[:count]


def unsure(exemplars: Iterable[ClassExemplar], count: int) -> list[ClassExemplar]:
    """The photos of which the network is least sure, the most doubtful one first."""
    return sorted(exemplars, key=attrgetter("certainty"))[:count]
