"""The verdicts on maps, which share the runs that they rest on."""

from __future__ import annotations

from collections.abc import Callable

from cnnviz.arrays import Floats
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.attribution.trust import judge_drops, needs_halves
from cnnviz.results import ClassActivationMap, Prediction, Verdict

# The most probable classes, whose losses are found together: they cost no more runs than one.
_LIKELY = 5


def verdict(
    cam: ClassActivationMap, prediction: Prediction, ask: Callable[[SeriesQuestion], Floats | None]
) -> Verdict | None:
    """Whether a map can be believed.

    Args:
        cam: the map.
        prediction: for its photo.
        ask: gives the sum over all runs of a series, or None.

    Returns:
        None where ``ask`` gave none.
    """
    classes = shared_classes(prediction, cam.target, cam.against)
    number, halves = classes.index(cam.target), None
    drops = ask(SeriesQuestion("cell-drops", classes, against=cam.against))
    if drops is None:
        return None
    if needs_halves(drops[number]):
        halves = ask(SeriesQuestion("half-drops", classes, against=cam.against))
        if halves is None:
            return None
    return judge_drops(cam.values, drops[number], None if halves is None else halves[number])


def shared_classes(
    prediction: Prediction, target: str, against: str | None = None
) -> tuple[str, ...]:
    """The classes that share the runs of a series that costs no more for several ones."""
    likely = [score.label for score in prediction.top(_LIKELY)]
    classes = tuple(label for label in dict.fromkeys(likely) if label != against)
    return classes if target in classes else (target,)
