"""How far the answers of cnnviz and of other tools differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.cases import ALL, CAM, EARLY, KEPT, LAST, Case
from benchmarks.other_tools import TORCH_BARE, HookedMap
from cnnviz.arrays import rectify


def difference(ours: Any, theirs: Any) -> tuple[float, float]:
    """Pearson's r of two arrays, and their largest difference ÷ the largest value of theirs."""
    ours, theirs = np.asarray(ours, np.float64).ravel(), np.asarray(theirs, np.float64).ravel()
    r = np.corrcoef(ours, theirs)[0, 1]
    return float(r), float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def agreement(cases: list[Case], maps: list[HookedMap]) -> Iterator[tuple[str, float, float]]:
    """(what is compared: with which tool, r, largest difference) of what both define alike.

    The one exception is torchcam's CAM before ReLU6: cnnviz, as the paper, weighs what the network
    averages, which is after it.
    """
    answers = {(case.tool, case.name): case.run for case in cases}
    probabilities = answers["cnnviz", "predict"]().probabilities
    theirs = answers["Keras", "model.predict"]()[0]
    yield "probabilities: model.predict", *difference(probabilities, theirs)
    cam, last = answers["cnnviz", CAM]().values, answers["cnnviz", LAST]().values
    yield "Grad-CAM × number of cells: CAM", *difference(last * last.size, cam)
    for layer in (LAST, EARLY):
        if ("tf-keras-vis", f"{layer}, {KEPT}") in answers:
            ours = rectify(answers["cnnviz", layer]().values)
            theirs = answers["tf-keras-vis", f"{layer}, {KEPT}"]()[0]
            yield f"{layer}: tf-keras-vis", *difference(ours, theirs)
    if ("keract", ALL) in answers:
        ours, theirs = answers["cnnviz", ALL](), answers["keract", ALL]()
        pairs = [difference(ours[path], theirs[path][0]) for path in ours]
        yield f"{ALL}: keract", min(r for r, _ in pairs), max(gap for _, gap in pairs)
    if maps:
        theirs = answers[TORCH_BARE]()
        yield "probabilities: the PyTorch original", *difference(probabilities, theirs)
    for hooked in maps:
        theirs = answers[hooked.tool, f"{hooked.name}, {KEPT}"]()
        yield f"{hooked.name}: {hooked.tool}", *difference(hooked.ours(), theirs)
