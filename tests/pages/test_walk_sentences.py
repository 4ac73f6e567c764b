"""The sentences of the walk: that they are true of odd networks and photos, too."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnnviz.cards import Preprocessing
from cnnviz.results import Box
from cnnviz.traces import CellFields, ReceptiveField, StagedExplanation, StageMaps
from cnnviz.ui.components.walk import Text
from cnnviz.ui.page_parts.explore import content, sentences, trace_sentences


def stage(side: int, channels: int, low: float = 0, bound: float | None = None) -> StageMaps:
    maps = np.zeros((side, side, 1), np.float32)
    return StageMaps("conv", "Conv2D", channels, (0,), maps, (low, 9), bound)


def said(text: Text) -> str:
    return "".join(part for part, _ in text)


@pytest.mark.parametrize(
    ("sides", "channels", "expected"),
    [
        ((8, 4), (3, 5), "Smaller maps, and more of them: 5 maps of 4 × 4 cells."),
        ((8, 4), (5, 5), "Smaller maps: 5 maps of 4 × 4 cells."),
        ((4, 4), (3, 5), "Deeper, at the same size: 5 maps of 4 × 4 cells."),
        ((4, 8), (3, 5), "Maps of another size: 5 maps of 8 × 8 cells."),
        ((8, 4), (5, 1), "Smaller maps: 1 map of 4 × 4 cells."),
    ],
)
def test_a_stage_is_compared_with_the_one_before(
    sides: tuple[int, int], channels: tuple[int, int], expected: str
) -> None:
    stages = [stage(*each) for each in zip(sides, channels, strict=True)]
    assert said(sentences.stage(stages, 1)) == expected
    grows = expected.startswith("Smaller maps, and")
    assert ("smaller maps, and more" in said(sentences.start(stages))) == grows


def test_what_a_cell_sees_is_in_pixels_of_the_input() -> None:
    one = replace(stage(4, 3), fields=CellFields((-1, -1), (2, 2), (3, 5), (8, 16)))
    assert said(sentences.stage([one], 0)).endswith("A cell sees 3 × 5 pixels.")
    field = ReceptiveField((8, 16), Box(0, 1, 5, 4), 15, exact=True, photo=None)
    trace: Any = SimpleNamespace(field=field, shape=(4, 8, 3), terms=(), note="")
    expected = "This cell sees 3 × 5 of 8 × 16 pixels."
    assert said(trace_sentences.sentence(trace)) == expected
    assert said(trace_sentences.caption(trace)) == "Receptive field: 3 × 5 of 8 × 16 pixels"


@pytest.mark.parametrize(
    ("fit", "whole", "borders", "expected"),
    [
        ("pad", True, True, "The network saw all of it, with black borders, as 8 × 16."),
        ("pad", True, False, "The network saw all of it, as 8 × 16."),
        ("stretch", True, False, "The network saw all of it, as 8 × 16."),
        ("crop", False, False, "The network saw the rectangle, as 8 × 16."),
    ],
)
def test_what_the_network_saw(fit: Any, whole: bool, borders: bool, expected: str) -> None:
    steps = Preprocessing(height=8, width=16, fit=fit)
    assert said(sentences.seen(steps, whole=whole, borders=borders)) == expected


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([stage(8, 3, bound=6.0), stage(4, 3, bound=6.0)], ("activation", "0", "6")),
        ([stage(8, 3, bound=6.0), stage(4, 3)], ("", "0", "layer's largest")),
        ([stage(8, 3, -2), stage(4, 3)], ("", "−layer's largest", "layer's largest")),
    ],
)
def test_the_legend_has_the_ends_of_the_colours(
    stages: list[StageMaps], expected: tuple[str, str, str]
) -> None:
    staged = StagedExplanation(tuple(stages), (), None, ())  # type: ignore[arg-type]
    assert content._legend(staged, content.common_limits(stages)) == expected
