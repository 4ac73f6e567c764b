"""What takes many runs of a network, cut into parts.

A series is a list of numbered runs. What any of them gives is an array, and the arrays of all of
them are added up. So nothing has to be kept between two parts: they can be asked for one by one,
of any process that has the network, in between other questions, and be stopped after each. The
methods that need many runs are such series, and so are the tests of a map. Like ``methods``, this
module does without NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnviz.arrays import Floats
    from cnnviz.attribution.series_runs import Subject


def in_place(values: Floats, numbers: range, count: int) -> Floats:
    """(T, count, ...): the values (T, n, ...) of some runs, and zero for all others."""
    import numpy as np

    whole = np.zeros((len(values), count, *values.shape[2:]))
    whole[:, numbers.start : numbers.stop] = values
    return whole


@dataclass(frozen=True)
class Series:
    """A series of runs of a network on one photo, for T classes.

    Attributes:
        count: the number of runs, from the subject and the number that was asked for; None is the
            usual one. A series may take fewer than were asked for, or a few more.
        part: what some runs, by their numbers, give: an array that is added to those of the others;
            its first axis are the T classes; it has length 1 where the runs serve all classes. It
            also takes ``count``.
        maps: the maps (T, h, w) from the sum over all runs; also takes ``count``. None for a
            series that is no method.
        all_classes: whether more classes cost no more runs, since it reads scores alone.
    """

    count: Callable[[Subject, int | None], int]
    part: Callable[[Subject, range, int], Floats]
    maps: Callable[[Subject, Floats, int], Floats] | None = None
    all_classes: bool = False


@dataclass(frozen=True)
class SeriesQuestion:
    """Which series, and what it is about beside a network and a photo.

    Attributes:
        series: a key of ``series_runs.SERIES``.
        targets: classes, by name or number; the predicted one if empty.
        layer: the layer that is explained, for methods that read any layer; None for the last one
            with maps.
        against: the class whose score is subtracted, if one is chosen.
        runs: how many runs are wanted; None for the usual number.
        shown: (h, w) raw and signed: the map that is tested, for a test that needs it.
        method: the key of the method of that map; or, for a series of finer maps, of the method
            whose maps are made, None for the best.
    """

    series: str
    targets: tuple[str | int, ...] = ()
    layer: str | None = None
    against: str | int | None = None
    runs: int | None = None
    shown: Floats | None = None
    method: str | None = None
