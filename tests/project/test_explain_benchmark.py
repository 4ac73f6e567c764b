"""What the benchmarks of explanations compute from their measurements."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from benchmarks.agreement import difference, summed_up
from benchmarks.cases import Case, Timing, before_activation, measure
from benchmarks.explain import goals
from benchmarks.measuring import timed_pair
from benchmarks.methods import goals as goals_of_methods


def test_a_call_is_timed_right_after_a_reference_that_is_warm() -> None:
    calls: list[str] = []
    pair = timed_pair(partial(calls.append, "bare"), partial(calls.append, "call"))
    assert calls == ["bare", "bare", "call"]
    assert min(pair) >= 0


def test_a_case_of_another_process_has_the_ratio_that_the_process_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Collecting takes most of a second where TensorFlow is loaded.
    monkeypatch.setattr("benchmarks.cases.gc.collect", int)
    pairs = iter([(9.0, 9.0)] * 2 + [(2.0, 3.0), (2.0, 5.0), (1.0, 4.0)])
    cases = [Case("a", "bare", int), Case("b", "map", int, lambda: next(pairs))]
    timing = measure(cases, rounds=3)[1]
    assert (timing.seconds, timing.ratio) == (4.0, 2.5)


def test_a_case_that_takes_long_is_measured_once_after_the_warm_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.cases.gc.collect", int)
    long = iter([(1.0, 9.0), (1.0, 8.0), (1.0, 7.0)])
    short = iter([(1.0, 0.5)] * 7)
    cases = [
        Case("a", "bare", int),
        Case("b", "long", int, lambda: next(long)),
        Case("b", "short", int, lambda: next(short)),
    ]
    timings = measure(cases, rounds=5, patience=20)
    assert [timing.seconds for timing in timings[1:]] == [7.0, 0.5]
    assert next(long, None) is None
    assert next(short, None) is None


def test_the_difference_of_two_maps() -> None:
    theirs = np.array([[0.0, 1.0], [2.0, -4.0]])
    assert difference(theirs * 2, theirs) == pytest.approx((1, 1))
    assert difference([[0, 1], [2, -3]], theirs)[1] == 0.25
    # Deviations (-1, 1, -1, 1) and (-1, 1, 1, -1).
    assert difference([0, 2, 0, 2], [1, 3, 3, 1])[0] == pytest.approx(0)


def test_maps_that_are_even_have_no_correlation_and_are_not_counted() -> None:
    even, other = np.ones((2, 2)), np.array([[0.0, 1.0], [2.0, 3.0]])
    assert summed_up([even, other, -other], [even, other, other]) == (
        "-1.000000",
        "0.000000",
        "2.0e+00",
        "1 of 2",
    )


def test_the_layer_before_an_activation() -> None:
    assert before_activation("block6a_expand_act") == "block6a_expand_bn"


def test_goals_are_reached_up_to_their_limits() -> None:
    ratios = {
        ("cnnviz", "predict"): 0.6,
        ("cnnviz", "CAM"): 0.61,
        ("cnnviz", "activations of all convolutions"): 0.8,
        ("cnnviz", "Grad-CAM, last maps"): 0.5,
        ("cnnviz", "Grad-CAM, 14×14 maps"): 1.2,
        ("cnnviz", "Grad-CAM, 56×56 maps"): 1.5,
        ("tf-keras-vis", "Grad-CAM, last maps, object kept"): 10.0,
    }
    memory = {"models": 4, "megabytes": 250.4, "tensorflow": False}
    assert [(value, reached) for _, _, value, reached in goals(ratios, memory)] == [
        ("0.60", True),
        ("0.61", False),
        ("0.80", True),
        ("1.20", False),
        ("1.50", True),
        ("20.0", True),
        ("250 MB, without TensorFlow", False),
    ]


def test_the_goals_of_methods_are_ratios_or_seconds() -> None:
    cases = [
        Case("cnnviz", key, int) for key in ("cam", "grad-cam", "finer-cam", "score-cam", "rise")
    ]
    cases.append(Case("another", "rise", int))
    timings = [Timing(*one) for one in ((1, 9), (1, 1.5), (1, 1.6), (1.0, 70), (6.2, 400), (9, 9))]
    assert list(goals_of_methods(cases, timings)) == [
        ("grad-cam", "at most 1.5 ×", "1.50", True),
        ("finer-cam", "at most 1.5 ×", "1.60", False),
        ("score-cam", "at most 1 s", "1.00 s", True),
        ("rise", "at most 6 s", "6.20 s", False),
    ]
