"""The parts of series: whatever is asked in between, they add up to the method's map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnviz.attribution.explanations import class_activation_map
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.attribution.series_runs import explain_sum, run_part
from cnnviz.networks import passes
from cnnviz.networks.loading import with_card


def test_parts_of_several_series_in_turns(tiny: Callable[[str], Any], photo: np.ndarray) -> None:
    network = tiny("flat")
    steps = network.card.preprocessing.model_copy(update={"fit": "crop"})
    cropped = with_card(network, network.card.model_copy(update={"preprocessing": steps}))
    first, second = (SeriesQuestion("occlusion", (label,)) for label in network.card.labels[:2])
    asked = [
        (network, photo, first),
        (network, photo, second),
        (network, photo[:, ::-1], first),
        (cropped, photo, first),
    ]
    totals: list[Any] = [0.0] * len(asked)
    for start in range(0, 49, 10):
        for at, (of, shown, question) in enumerate(asked):
            part = run_part(of, shown, question, start, start + 10)
            assert part.count == 49
            totals[at] = totals[at] + part.values
    maps = []
    for (of, shown, question), total in zip(asked, totals, strict=True):
        cam = explain_sum(of, shown, question, total, 49).maps[0]
        alone = class_activation_map(of, shown, question.targets[0], method="occlusion")
        np.testing.assert_allclose(cam.values, alone.values, rtol=1e-5, atol=1e-6)
        maps.append(cam.values)
    for at, one in enumerate(maps):
        assert not any(np.allclose(one, other, atol=1e-6) for other in maps[:at])


def test_the_parts_of_a_series_share_the_run_on_the_photo(
    tiny: Callable[[str], Any], photo: np.ndarray, monkeypatch: Any
) -> None:
    network, runs = tiny("flat"), []
    forward = passes.forward

    def counted(network: Any, inputs: np.ndarray, layers: Any = ()) -> Any:
        runs.append(len(inputs))
        return forward(network, inputs, layers)

    monkeypatch.setattr(passes, "forward", counted)
    question = SeriesQuestion("occlusion", (), runs=9)
    for start in (0, 3, 6):
        run_part(network, photo, question, start, start + 3)
    assert sum(runs) == 1 + 9
