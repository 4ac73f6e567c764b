"""Verdicts on maps and predictions; the runs of the network on a photo serve all of its classes."""

from __future__ import annotations

from collections.abc import Callable

from cnnviz.arrays import Floats
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.attribution.trust import judge_runs, read_consistency, why_no_copies, with_maps
from cnnviz.results import ClassActivationMap, Consistency, Prediction, Verdict

# Gives the sum over all runs of a series, or None while it is not there.
Ask = Callable[[SeriesQuestion], Floats | None]

_SQUARES = SeriesQuestion("covered-squares")
_HALVES = SeriesQuestion("covered-halves")
_COPIES = SeriesQuestion("shifted-copies")


def verdict(cam: ClassActivationMap, prediction: Prediction, ask: Ask) -> Verdict | None:
    """Whether a map can be believed; None where ``ask`` gave None.

    Args:
        cam: the map.
        prediction: for its photo.
        ask: gives the runs.
    """
    target = prediction.labels.index(cam.target)
    against = None if cam.against is None else prediction.labels.index(cam.against)
    squares = ask(_SQUARES)
    if squares is None:
        return None
    return judge_runs(cam.values, prediction, target, against, squares, lambda: ask(_HALVES))


def consistency(prediction: Prediction, target: str, ask: Ask) -> Consistency | None:
    """How steady a prediction for a class is; as ``verdict``."""
    copies = ask(_COPIES)
    if copies is None:
        return None
    return read_consistency(prediction, prediction.labels.index(target), copies)


def with_map(found: Consistency, cam: ClassActivationMap, ask: Ask) -> Consistency | None:
    """What copies of a photo say of a class, and whether its map stays in place; as ``verdict``.

    Where ``trust.why_no_copies`` has a reason, the copies get no map.
    """
    if why_no_copies(cam):
        return found
    layer, shown, method = cam.layer or None, cam.values, cam.method
    maps = ask(
        SeriesQuestion("copied-maps", (cam.target,), layer, cam.against, shown=shown, method=method)
    )
    return None if maps is None else with_maps(found, maps[0])
