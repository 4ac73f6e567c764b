"""Exemplars of several parts of some photos, put together."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.results import ChannelExemplars, Exemplar, Exemplars

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
