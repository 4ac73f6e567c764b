"""The smallest part that keeps an answer, or changes it, against a trial of all parts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from corpus.planted import planted_cases
from corpus.planted_case import PlantedCase

import cnnviz
from cnnviz.attribution.smallest_parts import KEPT, search_part
from cnnviz.errors import TargetError
from cnnviz.photos.masking import enlarged
from cnnviz.results import PartSearch

# The number of cells of 3 × 3 along each side, and all 512 parts that can be made of them.
SIDE = 3
PARTS = np.array(list(itertools.product([False, True], repeat=SIDE**2))).reshape(-1, SIDE, SIDE)


def first_case(kind: str) -> PlantedCase:
    return next(planted_cases([kind]))


def without_ties(case: PlantedCase) -> PlantedCase:
    """Without its patterns the answer is "nothing" by half a logit, and not what rounding says."""
    case.network.source.get().get_layer("scores").bias.assign([0.5, 0.0])
    return case


def does_it(case: PlantedCase, cells: np.ndarray, keep: bool) -> bool:
    """Whether a part does what it is to do: asked of the public functions, run by run."""
    steps = case.network.card.preprocessing
    mask = enlarged(cells, steps.height, steps.width)
    view = cnnviz.occlude(case.photo, steps, ~mask if keep else mask)
    whole, changed = (cnnviz.predict(case.network, one) for one in (case.photo, view))
    if not keep:
        return changed.label != whole.label
    least = KEPT * whole.probabilities[whole.index]
    return bool(changed.label == whole.label and changed.probabilities[whole.index] >= least)


def is_smallest(case: PlantedCase, count: int, keep: bool) -> bool:
    """Whether no part of fewer cells does what the part is to do."""
    sizes = PARTS.sum((1, 2))
    smaller = [part for part, size in zip(PARTS, sizes, strict=True) if size < count]
    return not any(does_it(case, part, keep) for part in smaller)


# Patterns that count together, of which either suffices, whose sizes differ, and that are wide.
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("kind", ["two together", "small beside large", "wide"])
def test_no_smaller_part_of_the_grid_does_the_same(kind: str, keep: bool) -> None:
    case = without_ties(first_case(kind))
    found = cnnviz.smallest_part(case.network, case.photo, keep=keep, side=SIDE)
    assert found.reached
    assert found.cells.any()
    assert does_it(case, found.cells, keep)
    assert is_smallest(case, int(found.cells.sum()), keep)
    # What the result says is what the network says.
    view = cnnviz.occlude(case.photo, case.network.card.preprocessing, found.hidden)
    changed, whole = (cnnviz.predict(case.network, one) for one in (view, case.photo))
    index = changed.labels.index(found.target)
    assert found.target == whole.label
    assert found.probability == pytest.approx(changed.probabilities[index], abs=1e-6)
    assert found.before == pytest.approx(whole.probabilities[index], abs=1e-6)


def test_two_of_which_either_suffices_must_both_go() -> None:
    # The second network: in the first one the answer does not depend on the patterns.
    case = next(itertools.islice(planted_cases(["either of two"]), 3, None))
    kept, lost = (
        cnnviz.smallest_part(case.network, case.photo, keep=keep, side=SIDE)
        for keep in (True, False)
    )
    assert (kept.cells.sum(), lost.cells.sum()) == (1, 2)
    assert is_smallest(case, 2, keep=False)


def test_the_steps_lead_to_the_same_and_can_be_stopped() -> None:
    case = first_case("wide")
    states: list[PartSearch] = []
    found = cnnviz.smallest_part(case.network, case.photo, progress=states.append)
    assert states[-1].stage == "done"
    assert states[-1].runs == found.runs
    assert [one.runs for one in states] == sorted(one.runs for one in states)
    assert found.cells.shape == (7, 7)
    # A state goes on anywhere: nothing else is kept.
    step = search_part(case.network, case.photo)
    while step.stage != "done":
        step = search_part(case.network, case.photo, step)
    np.testing.assert_array_equal(step.cells > 0, found.cells)

    def stop(_: PartSearch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cnnviz.smallest_part(case.network, case.photo, progress=stop)


def test_where_nothing_changes_the_answer_the_result_says_so() -> None:
    # A class whose evidence is an absence: what is hidden is no less absent.
    case = first_case("a gap")
    kept = cnnviz.smallest_part(case.network, case.photo, side=2)
    assert (kept.reached, kept.cells.any(), kept.hidden.all()) == (True, False, True)
    lost = cnnviz.smallest_part(case.network, case.photo, keep=False, side=2)
    assert (lost.reached, lost.cells.all(), lost.hidden.all()) == (False, True, True)


def test_a_class_that_is_not_the_answer_is_refused() -> None:
    case = first_case("one pattern")
    prediction = cnnviz.predict(case.network, case.photo)
    other = next(label for label in prediction.labels if label != prediction.label)
    with pytest.raises(TargetError, match="is not the network's answer"):
        cnnviz.smallest_part(case.network, case.photo, other)
