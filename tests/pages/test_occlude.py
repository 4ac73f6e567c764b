"""The page Occlude: what the browser may send, and the answer to a painting."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import streamlit as st

import cnnviz
from cnnviz.photos.masking import enlarged
from cnnviz.photos.samples import samples
from cnnviz.results import PartSearch
from cnnviz.settings import ROOT
from cnnviz.ui.components import paint
from cnnviz.ui.components.paint import PaintEvent, parse
from cnnviz.ui.page_parts.occlude import answers, search

MASK = np.array([[True, False, True], [False, False, True], [True, True, True]])
TEXT = base64.b64encode(paint.pack(MASK)).decode()
PAINTED = {"scene": "a", "action": "paint", "stamp": "x 1", "mask": TEXT}


def test_a_mask_comes_as_bits_row_after_row() -> None:
    # 101 001 11|1 and seven bits more.
    assert paint.pack(MASK) == bytes([0b10100111, 0b10000000])
    event = parse(PAINTED, (3, 3))
    assert event is not None
    assert event.mask is not None
    assert (event.scene, event.action, event.stamp) == ("a", "paint", "x 1")
    np.testing.assert_array_equal(event.mask, MASK)


def test_a_tool_and_a_class_are_chosen() -> None:
    sent = {"scene": "a", "action": "tool", "name": "cells"}
    assert parse(sent, (3, 3)) == PaintEvent("a", "tool", name="cells")
    assert parse(sent | {"action": "class", "name": "dog"}, (3, 3)) == PaintEvent(
        "a", "class", name="dog"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"action": "run"},
        {"action": "tool", "name": "pen"},
        {"action": "class", "name": 7},
        {"action": "class", "name": "x" * 10_001},
        {"stamp": 1},
        {"stamp": "server 1"},
        {"stamp": "x" * 41},
        {"mask": "é" * 4},
        {"mask": "??=="},
        {"mask": TEXT * 2},
        {"scene": None},
    ],
)
def test_what_no_browser_sends_is_no_event(change: dict[str, Any]) -> None:
    assert parse(PAINTED | change, (3, 3)) is None
    assert parse("paint", (3, 3)) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (-0.224, "−22.4 points"),
        (0.0004, "0.0 points"),
        (-0.0004, "0.0 points"),
        (1, "+100.0 points"),
    ],
)
def test_a_change_in_points(change: float, says: str) -> None:
    assert answers.points(change) == says


def found(**changes: Any) -> PartSearch:
    cells = np.zeros((3, 3))
    cells[0, :2] = 1
    nothing = np.zeros((3, 3))
    search = PartSearch(
        "cat", True, "grey", 0.9, "done", cells, 1.0, 0.85, True, nothing, nothing,
        np.zeros((3, 3, 3)), 40,
    )  # fmt: skip
    return replace(search, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "These 2 of 9 cells are enough: cat 85.0 %, and 90.0 % for the whole photo. Found in"),
        ({"cells": np.eye(3) * [1, 0, 0]}, "This 1 of 9 cells is enough"),
        ({"cells": np.zeros((3, 3))}, "No cell is needed: with every cell replaced cat 85.0 %"),
        ({"keep": False, "probability": 0.3}, "Without these 2 of 9 cells the answer is no longer"),
        ({"keep": False, "reached": False}, "No part was found whose loss changes the answer"),
    ],
)  # fmt: skip
def test_what_a_search_found_in_words(changes: dict[str, Any], says: str) -> None:
    assert search.describe(found(**changes)).startswith(says)


def test_a_painting_is_answered_as_the_library_does_and_survives_another_page(visit: Any) -> None:
    seen = visit("occlude", model="cat_dog", filling="grey").fine()
    photo, told = seen.viewer("painted photo"), seen.viewer("selection of painted photo")
    network = cnnviz.load_model(ROOT / "models" / "cat_dog.keras")
    cat = cnnviz.open_photo(next(one.path for one in samples() if one.name == "chelsea"))
    whole = cnnviz.explain(network, cat, ["cat"])
    assert photo["size"] == [224, 224]
    assert photo["rows"] == list(range(0, 225, 32))
    assert not told["mask"].any()
    np.testing.assert_allclose(told["maps"][0], whole.maps[0].values, atol=2e-2)
    np.testing.assert_array_equal(told["maps"][0], told["maps"][1])
    assert told["sentence"].startswith("The network says cat, > 99.99 %.")

    cells = np.zeros((7, 7), bool)
    cells[1:6, 1:6] = True
    mask = enlarged(cells, 224, 224)
    kept = seen.app.session_state["paintings"]
    kept[photo["id"]] = replace(kept[photo["id"]], mask=mask, stamp="browser 1")
    seen.turn_to("network").turn_to("occlude").fine()
    # The choices of the address are kept, too.
    assert seen.chosen("Replaced by") == "grey"
    told = seen.viewer("selection of painted photo")
    np.testing.assert_array_equal(told["mask"], np.packbits(mask))
    view = cnnviz.occlude(cat, network.card.preprocessing, mask, "grey")
    changed = cnnviz.explain(network, view, ["cat"])
    after = {one["label"]: one["after"] for one in told["classes"]}
    for label, share in zip(network.card.labels, changed.prediction.probabilities, strict=True):
        assert after[label] == pytest.approx(share, abs=2e-3)
    np.testing.assert_allclose(told["maps"][1], changed.maps[0].values, atol=2e-2)

    # The other way round: all but the cells is replaced.
    seen.choose("What is replaced", "keep").fine()
    view = cnnviz.occlude(cat, network.card.preprocessing, ~mask, "grey")
    share = cnnviz.predict(network, view).probabilities[network.card.labels.index("cat")]
    (cat_now,) = [
        one["after"]
        for one in seen.viewer("selection of painted photo")["classes"]
        if one["label"] == "cat"
    ]
    assert cat_now == pytest.approx(share, abs=2e-3)


def test_a_result_is_told_until_something_is_painted() -> None:
    st.session_state["part that was found"] = "server 3", found()
    assert search.found("server 3", "grey", keep=True).startswith("These 2 of 9")
    assert search.found("x 1", "grey", keep=True) == ""
    assert search.found("server 3", "blur", keep=True) == ""
    assert search.found("server 3", "grey", keep=False) == ""
    del st.session_state["part that was found"]
