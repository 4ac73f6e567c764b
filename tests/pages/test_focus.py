"""What is in place of the wall: contents against the traces and against NumPy."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import streamlit as st
from corpus import traces

from cnnviz import numerals
from cnnviz.cards import Preprocessing
from cnnviz.drawing import Shading
from cnnviz.errors import WorkerError
from cnnviz.results import ClassActivationMap, Filters, weight_statistics
from cnnviz.traces import ReceptiveField, StagedExplanation, StageMaps, TraceStep, ValueTrace
from cnnviz.ui.components.focus import Arithmetic, Asked, CellMap, Failure, Frame
from cnnviz.ui.components.walk import WalkEvent, parse
from cnnviz.ui.page_parts.explore import (
    arithmetic,
    filter_of,
    focus,
    strips,
    trace_sentences,
    wording,
)
from tests.pages.conftest import unpacked

FRAME = Frame(Asked("cell", "block/act", 1, 3, 2), "act 1 (3, 2)", "Where from?", "", ())
TEAL = Shading("teal", 0.0, 6.0)


def built(trace: ValueTrace, **maps: np.ndarray) -> Arithmetic:
    values = {"block/before": traces.INPUT, "block/act": traces.MAPS, **maps}
    return arithmetic.build(trace, FRAME, None, values.get, None)


def told(parts: Any) -> str:
    return "".join(text for text, _ in parts)


def numbers(content: Arithmetic) -> list[tuple[str, str, str]]:
    return [(one.name, one.value, one.formula) for one in content.results]


# --- Arithmetic ---------------------------------------------------------------------------------


def test_a_convolution_a_normalization_and_a_relu() -> None:
    trace = traces.convolution()
    content = built(trace)
    (term,) = content.terms
    assert (content.form, term.rows, term.columns, term.size) == (
        "patch",
        (6, 7, 8),
        (4, 5, 6),
        (8, 8),
    )
    np.testing.assert_allclose(term.inputs[:2], traces.INPUT[6:8, 4:7, 1], rtol=1e-6)
    np.testing.assert_array_equal(term.inputs[2], 0)
    np.testing.assert_allclose(term.weights, traces.KERNEL, rtol=1e-6)
    np.testing.assert_allclose(term.map[0], traces.INPUT[..., 1], rtol=1e-6)
    total = float((traces.INPUT[6:8, 4:7, 1] * traces.KERNEL[:2]).sum())
    normalized = (total + 0.2) * 0.9 + 0.4
    assert 0 < normalized < 6
    assert numbers(content) == [
        ("Sum", wording.result(total), "of the nine products"),
        (
            "Batch normalization",
            wording.result(normalized),
            f"({wording.result(total)} + 0.200) · 0.900 + 0.400",
        ),
        ("ReLU, at most 6", wording.result(normalized), "between 0 and 6: unchanged"),
    ]
    assert told(content.sentence) == (
        "This cell sees 16 × 16 of 32 × 32 pixels. Nine inputs times "
        f"nine weights, added up, normalized, cut off at 0 and 6: {normalized:.3g}."
    )
    assert told(content.caption) == "Receptive field: 16 × 16 of 32 × 32 pixels"
    assert trace_sentences.subtitle(trace) == (
        "act, channel 1, row 3, column 2. Depthwise convolution, 3 × 3, stride 2."
    )


def test_a_bias_is_a_result_of_its_own_beside_one_patch() -> None:
    trace = traces.convolution()
    biased = dataclasses.replace(trace, bias=-0.5, total=trace.total - 0.5, steps=())
    total = wording.result(trace.total)
    assert numbers(built(biased)) == [
        ("Sum", total, "of the nine products"),
        ("With bias", wording.result(trace.total - 0.5), f"{total} − 0.500"),
    ]
    assert "added up with a bias: " in told(built(biased).sentence)


def test_a_pooling_marks_the_cell_that_won() -> None:
    content = built(traces.pooling())
    patch = traces.INPUT[6:8, 4:6, 1]
    assert content.form == "pool"
    assert patch[content.winner] == patch.max()
    assert numbers(content) == [("Maximum", wording.result(patch.max()), "the largest of the four")]
    assert told(content.sentence).endswith(f"The largest of four values: {patch.max():.3g}.")


def test_a_class_map_s_parts_add_up_to_the_evidence() -> None:
    content = built(traces.class_map())
    products = traces.MAPS[1, 2] * traces.WEIGHTS
    assert (content.form, len(content.terms), content.more) == ("list", 10, ["4 others"])
    assert content.totals.sum() == pytest.approx(products.sum(), abs=1e-6)
    strongest = int(np.abs(products).argmax())
    assert (content.terms[0].name, content.totals[0]) == (
        f"#{strongest}",
        pytest.approx(products[strongest]),
    )
    assert content.heading == "Largest 10 of 14 channels, 4 × 4"
    sentence = told(content.sentence)
    assert "14 channels, each times its weight, added up: " in sentence
    assert sentence.endswith(
        f"{numerals.signed(products.sum())}. That is the evidence for cat here."
    )


def test_a_unit_lists_its_inputs_and_its_bias() -> None:
    content = built(traces.dense(), units=np.array([2.0, 1.0]))
    assert (content.form, content.heading, content.more) == ("list", "2 units", ["bias"])
    np.testing.assert_allclose(content.totals, [1.0, -3.0, 0.25])
    assert numbers(content) == [
        ("Sum", "−1.750", "of all listed"),
        ("ReLU", "0", "below 0: becomes 0"),
    ]
    assert content.terms[0].map is None
    # Colours of a layer's inputs: from zero to the largest of them.
    assert content.terms[0].limits == (0.0, 2.0)


def test_what_is_not_spelled_out_says_so_and_leads_to_the_inputs() -> None:
    content = built(traces.unknown())
    assert (content.form, content.terms) == ("none", [])
    assert told(content.sentence).endswith("How it computes is not spelled out here.")
    assert content.links == [("Its input before, 8 × 8 × 3", Asked("stage", "block/before"))]


NORMALIZE = "(x − mean) · scale + shift"


@pytest.mark.parametrize(
    ("formula", "numbers", "before", "text"),
    [
        (NORMALIZE, (0.173, 1.872, 0.402), 1.695, "(1.695 − 0.173) · 1.872 + 0.402"),
        (NORMALIZE, (-2.0, -1.0, -3.0), -1.0, "(−1.000 + 2.000) · (−1.000) − 3.000"),
        ("x above 0, else a · x", {"a": 0.2}, -1.5, "−1.500 above 0, else 0.200 · (−1.500)"),
        ("x / (1 + e^(−x))", {}, 2.0, "2.000 / (1 + e^(−2.000))"),
        ("max(x, low) + lowest", {"low": 1.0, "lowest": 2.0}, 0.5, "max(0.500, 1.000) + 2.000"),
    ],
)
def test_a_formula_with_its_numbers(formula: str, numbers: Any, before: float, text: str) -> None:
    if isinstance(numbers, tuple):
        numbers = dict(zip(("mean", "scale", "shift"), numbers, strict=True))
    assert wording.filled(TraceStep("a", "B", formula, numbers, 0.0), before) == text


def test_numbers_have_as_many_digits_as_are_read() -> None:
    assert [numerals.number(value) for value in (3.2508, 0.0, -0.01234, 12345.6)] == [
        "3.25",
        "0",
        "−0.0123",
        "12,346",
    ]
    assert [wording.result(value) for value in (1.69472, -10.0954, 123.45, 1e-5, 0.0)] == [
        "1.695",
        "−10.10",
        "123.5",
        "1.00e−05",
        "0",
    ]


def test_a_stride_is_named_where_only_one_fits() -> None:
    trace = traces.convolution()
    assert trace_sentences.stride(trace) == 2
    # In the first row the columns tell, and in the first column any stride fits.
    assert trace_sentences.stride(dataclasses.replace(trace, row=0)) == 2
    assert trace_sentences.stride(dataclasses.replace(trace, row=0, column=0)) is None


def test_the_field_on_the_photo_in_shares_of_it() -> None:
    steps = Preprocessing(width=32, height=32, scaling="none", fit="crop", interpolation="nearest")
    # Of a photo of 128×64 the middle is seen, two pixels for one of the network's.
    box = arithmetic.field_on_photo(traces.convolution(), 64, 128, steps)
    assert box == pytest.approx(((32 + 8 + 1) / 128, 17 / 64, 31 / 128, 31 / 64), abs=0.01)
    nothing = ReceptiveField((32, 32), None, 0, exact=True, photo=None)
    trace = dataclasses.replace(traces.convolution(), field=nothing)
    assert arithmetic.field_on_photo(trace, 64, 128, steps) is None


# --- Maps and tiles -----------------------------------------------------------------------------


def test_units_are_arranged_in_rows_and_a_click_is_a_unit() -> None:
    drawn = arithmetic.layer_map("dense", np.arange(7.0), 4, (0, 0), TEAL)
    expected = [[0, 1, 2], [3, 4, 5], [6, np.nan, np.nan]]
    np.testing.assert_array_equal(drawn.values[0], expected)
    assert (drawn.units, drawn.selected, drawn.title) == (True, (1, 1), "Unit 4 of 7")


def test_a_thumbnail_is_the_mean_of_blocks() -> None:
    cells = np.arange(15.0).reshape(3, 5)
    np.testing.assert_allclose(arithmetic.thumbnail(cells, 5)[0], cells)
    np.testing.assert_allclose(arithmetic.thumbnail(cells, 3)[0], [[3, 5, 6.5], [10.5, 12.5, 14]])


def test_a_layer_between_two_stages_has_its_place_in_the_strip() -> None:
    maps = np.ones((2, 2, 1), np.float32)
    stages = tuple(StageMaps(path, "ReLU", 4, (0,), maps, (0.0, 1.0)) for path in ("a", "c"))
    staged = StagedExplanation(stages, (), None, ())  # type: ignore[arg-type]
    order = ["image", "a", "b", "c", "d"]

    def paths(path: str) -> list[tuple[str, bool]]:
        here = strips.layer_tile(path, maps, 0, TEAL)
        return [(tile.path, tile.here) for tile in strips.strip(staged, here, order)]

    assert paths("b") == [("a", False), ("b", True), ("c", False)]
    assert paths("b#1") == [("a", False), ("b#1", True), ("c", False)]
    assert paths("c") == [("a", False), ("c", True)]
    assert paths("image")[0] == ("image", True)
    cam = ClassActivationMap(maps[..., 0], "cam", "c", "cat", 1.0, None)
    at_end = strips.strip(staged, strips.class_tile(cam, 1.0), order)[-1]
    assert (at_end.name, at_end.limits, at_end.opens) == ("cat", (-1.0, 1.0), False)


def test_the_channels_of_a_stage_begin_with_the_one_that_varies_most() -> None:
    maps = np.stack([np.full((2, 2), 9.0), [[0, 4], [0, 4.0]], [[0, 1], [0, 1.0]]], axis=-1)
    content = focus.channels(maps, FRAME, "block/act", TEAL)
    assert content.order == [1, 2, 0]
    tiles = unpacked(content.grid)["regions"][0]["items"][0]
    np.testing.assert_array_equal(tiles["values"][0], maps[..., 1])
    assert tiles["sentences"][0] == "Channel 1\nlargest 4, mean 2, standard deviation 2"
    assert (
        told(content.sentence) == "1 of them flat in this photo. Click a channel to see it large."
    )


def a_filter(kernels: np.ndarray, biases: np.ndarray | None = None) -> Filters:
    statistics = weight_statistics(kernels, (0, 1, 2)), weight_statistics(kernels)
    return Filters("block/conv", "Conv2D", kernels, biases, None, *statistics)


def a_channel(weights: Filters | None, colours: tuple[str, ...] = ()) -> Any:
    maps = np.array([[[0, 1], [4, 1]]], np.float32)
    drawn = arithmetic.layer_map("block/act", maps, 0, None, TEAL)
    assert isinstance(drawn, CellMap)
    return filter_of.channel(FRAME, drawn, maps, 0, weights, [], colours)


def test_a_channel_beside_the_filter_that_made_it() -> None:
    kernels = np.zeros((1, 1, 12, 2), np.float32)
    kernels[0, 0, :, 0] = [0, 1, -5, 3, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    content = a_channel(a_filter(kernels, np.array([0.5, 9], np.float32)))
    assert content.names[:3] == ["channel 2", "channel 3", "channel 1"]
    np.testing.assert_array_equal(content.kernels[:3, 0, 0], [-5, 3, 1])
    assert content.note == "The strongest 10 of 12 inputs. Bias +0.5."
    assert told(content.sentence).startswith(
        "In this photo it reaches from 0 to 4, 2 on average; 1 of 2 cells are not zero. "
        "Of 2 channels it is the strongest."
    )
    assert a_channel(None).note.startswith("Branches meet before this layer")


def test_a_kernel_of_the_photo_s_colours_is_a_picture_too() -> None:
    kernels = np.zeros((2, 2, 3, 1), np.float32)
    kernels[0, 0, :, 0] = [1, -1, 0.5]
    content = a_channel(a_filter(kernels), ("blue", "green", "red"))
    assert content.names == ["blue", "green", "red"]
    np.testing.assert_array_equal(content.colour[0, 0], [191, 0, 255])
    np.testing.assert_array_equal(content.colour[1, 1], [128, 128, 128])


# --- Events -------------------------------------------------------------------------------------


def test_links_to_other_pages_are_events() -> None:
    sent = {"scene": "a", "action": "filters", "name": "conv", "channel": 3}
    assert parse(sent) == WalkEvent("a", "filters", "conv", 3)


def test_what_was_asked_for_in_another_walk_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise WorkerError("The process ran out of memory.")

    monkeypatch.setattr(focus, "build", fails)
    monkeypatch.setattr(st, "session_state", {})
    focus.keep(WalkEvent("a walk", "cell", "block/act", 1, 3, 2))
    assert focus.shown(None, "another") is None  # type: ignore[arg-type]
    first = focus.shown(None, "a walk")  # type: ignore[arg-type]
    assert isinstance(first, Failure)
    assert first.text == "The process ran out of memory."
    assert first.frame.asked == Asked("cell", "block/act", 1, 3, 2)
    # The same failure once more is another message: the browser waits for one.
    focus.keep(WalkEvent("a walk", "cell", "block/act", 1, 3, 2))
    assert focus.shown(None, "a walk") != first  # type: ignore[arg-type]
    focus.keep(WalkEvent("a walk", "home"))
    assert focus.shown(None, "a walk") is None  # type: ignore[arg-type]


def test_the_page_shows_the_arithmetic_of_a_cell(visit: Any) -> None:
    seen = visit(model="mnist_cnn").fine()
    walk = seen.walk["id"]
    seen.app.session_state["focus of the walk"] = (WalkEvent(walk, "cell", "pool", 54, 5, 5), 1)
    content = seen.run().fine().viewer("selection of walk")["content"]
    patch = content["terms"][0]["inputs"]
    assert (content["kind"], content["form"], patch.shape) == ("Arithmetic", "pool", (2, 2))
    assert content["map"]["values"][0][5, 5] == pytest.approx(patch.max(), abs=1e-3)
    assert content["results"][0]["value"] == wording.result(patch.max())
    assert content["box"] is not None
    seen.app.session_state["focus of the walk"] = (WalkEvent(walk, "cell", "pool", 54, 50, 5), 2)
    failed = seen.run().fine().viewer("selection of walk")["content"]
    assert (failed["kind"], "12 rows" in failed["text"]) == ("Failure", True)
