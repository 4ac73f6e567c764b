"""What makes a class: the table of terms, worked out by hand."""

from __future__ import annotations

import base64
import html
import re

import numpy as np

from cnnviz.colours import table
from cnnviz.photos.decoding import open_photo
from cnnviz.traces import ClassTerms
from cnnviz.ui.page_parts.class_terms import class_sum, markup

# Two channels with means of 1 and 2, and a dead one, on 1 × 2 cells.
MAPS = np.array([[[0.0, 4.0, 0.0], [2.0, 0.0, 0.0]]], np.float32)
# Weights of 3 and −0.25; of the dead one nothing is known.
TERMS = ClassTerms("<b>cat</b>", (0, 1, 2), (3.0, -0.5, 0.0), 0.0, 0.25, 2.75)


def test_terms_of_channels_by_hand() -> None:
    shown = class_sum(TERMS, MAPS, range(MAPS.shape[-1]), MAPS.shape[-1])
    assert (shown.of, shown.numbers, shown.others) == ("channel", (0, 1), 1)
    np.testing.assert_allclose(shown.inputs, [1, 2])
    np.testing.assert_allclose(shown.weights, [3, -0.25])
    np.testing.assert_array_equal(shown.maps, MAPS[..., :2])


def test_terms_of_units_by_hand() -> None:
    shown = class_sum(TERMS, np.array([1.5, 0.25, 0.0]), range(3), 3)
    assert (shown.of, shown.maps) == ("unit", None)
    np.testing.assert_allclose(shown.weights, [2, -2])
    assert "<img" not in markup(shown, dark=False)


def test_rows_have_tile_mean_weight_bar_and_product() -> None:
    text = markup(class_sum(TERMS, MAPS, range(MAPS.shape[-1]), MAPS.shape[-1]), dark=False)
    cells = [
        [html.unescape(re.sub("<.*?>", "", cell)) for cell in re.findall("<td.*?</td>", row)]
        for row in re.findall("<tr.*?</tr>", text)[1:]
    ]
    assert cells == [
        ["channel 0", "1", "× +3.000", "", "+3.00"],
        ["channel 1", "2", "× −0.250", "", "−0.50"],
        ["1 other channel", "+0.00"],
        ["bias", "+0.25"],
        ["score (logit)", "+2.75"],
    ]
    # The bars share an axis, a seventh of the width from the left.
    bars = re.findall(r"left:([\d.]+)%;width:([\d.]+)%;background:(#\w+)", text)
    assert bars == [("14.3", "85.7", "#c2520a"), ("0.0", "14.3", "#2a5fc4")]
    tiles = [open_photo(base64.b64decode(data)) for data in re.findall(r"base64,([\w+/=]+)", text)]
    teal = table("teal").tolist()
    assert [tile.tolist() for tile in tiles] == [[[teal[0], teal[128]]], [[teal[255], teal[0]]]]


def test_a_dark_page_has_colours_of_its_own() -> None:
    text = markup(class_sum(TERMS, MAPS, range(MAPS.shape[-1]), MAPS.shape[-1]), dark=True)
    assert re.findall(r"background:(#\w+)", text) == ["#ff9a4d", "#7fb0ff"]
    start = ",".join(map(str, table("teal on dark")[0]))
    assert f"linear-gradient(90deg, rgb({start})" in text
