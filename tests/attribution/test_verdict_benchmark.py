"""The benchmark of the verdict, on numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.verdict import CALIBRATING, Judged, Trial, area_under_curve, judged, threshold
from cnnviz.cards import Preprocessing
from cnnviz.results import Verdict

EVIDENCE = np.zeros((7, 7))
EVIDENCE[1:3, 1:3] = 1.0


def trial(kind: str = CALIBRATING[0]) -> Trial:
    """One in which the evidence is in four cells, and the class loses 4 in each."""
    return Trial(
        group="planted",
        kind=kind,
        network=0,
        calibrating=True,
        truth=EVIDENCE > 0,
        view=EVIDENCE,
        preprocessing=Preprocessing(height=7, width=7),
        drops=4 * EVIDENCE,
        halves=None,
        maps={"cam": EVIDENCE, "grad-cam": 1 - EVIDENCE, "random": np.flip(EVIDENCE)},
        rivals={"cam": 1 - EVIDENCE, "grad-cam": EVIDENCE, "random": EVIDENCE},
    )


def test_false_maps_are_made_of_the_true_one() -> None:
    found = {one.variant: one for one in judged([trial()])}
    assert found["true"].verdict.skill == pytest.approx(1)
    for place in ("random", "shifted", "wrong class"):
        assert found[place].verdict.word == "says nothing"
        assert found[place].own.word == "holds"
    skills = [found[f"blurred by {cells}"].verdict.skill for cells in ("0.7", "1.5", "3")]
    assert 1 > skills[0] > skills[1] > skills[2] > 0
    # Grad-CAM's map is not true, and there is no other photo.
    assert len([one for one in judged([trial()]) if one.variant == "true"]) == 1
    assert "another photo" not in found


def test_area_under_the_curve_by_hand() -> None:
    assert area_under_curve(np.array([0.5, 0.2]), np.array([0.2, 0.1])) == pytest.approx(3.5 / 4)


def test_a_threshold_is_the_smallest_that_few_wrong_maps_pass() -> None:
    def wrong(skill: float) -> Judged:
        verdict = Verdict("holds", None, skill, 0, 0, 0, EVIDENCE, EVIDENCE)
        return Judged(trial(), "random", verdict, verdict)

    of = [wrong(skill) for skill in (0.0, 0.0, 0.12, 0.31)]
    assert threshold(of, 0.5) == 0.05
    assert threshold(of, 0.25) == 0.15
    assert threshold(of, 0.0) == 0.35
