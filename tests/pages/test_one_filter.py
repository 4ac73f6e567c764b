"""What a filter of single cells adds up: the inputs that are listed, and when there are no maps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnnviz.errors import ModelError
from cnnviz.ui.page_parts import one_filter


def test_the_strongest_inputs_and_the_sum_of_the_rest() -> None:
    weights = np.array([0.1, -5, 2, np.nan, 3, -2, 1, 0.5, 0.25, -4, np.inf, 0.2], np.float32)
    shown = one_filter.strongest_inputs(weights)
    assert shown == [10, 1, 9, 4, 2, 5, 6, 7]
    name, rest = one_filter.rest_of(np.delete(weights, 3), [9, 1, 8, 3, 2, 4, 5, 6])
    assert (name, rest) == ("the other 3, summed", pytest.approx(0.55))
    assert one_filter.rest_of(weights[:2], [1, 0]) is None


def refused(layer: str) -> Any:
    raise ModelError("It does not run.")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"needs_preset": True}, "the page Explore asks for them"),
        ({"outline": SimpleNamespace(inputs={})}, "not known which maps"),
        ({"activations": refused}, "cannot be shown. It does not run."),
        ({"activations": lambda layer: np.zeros(4)}, "are no maps"),
        ({"activations": lambda layer: np.zeros((3, 3, 5))}, "are no maps"),
    ],
)
def test_the_maps_of_the_inputs_or_why_there_are_none(changes: Any, problem: str) -> None:
    maps = np.ones((3, 3, 4), np.float32)
    scene: Any = SimpleNamespace(
        **{
            "needs_preset": False,
            "outline": SimpleNamespace(inputs={"conv": "pool"}),
            "activations": {"pool": maps}.__getitem__,
        }
        | changes
    )
    weights: Any = SimpleNamespace(layer="conv", kernels=np.zeros((1, 1, 4, 2)))
    found, text = one_filter._input_maps(scene, weights)
    assert problem in text
    if problem:
        assert found is None
    else:
        assert (found is maps, text) == (True, "")
