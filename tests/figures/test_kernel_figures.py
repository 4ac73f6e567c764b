"""Figures of one filter: the weights as they are, in rows, and as bars beside maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnnviz.colours import table
from cnnviz.drawing import Shading
from cnnviz.figures.kernels import WeightedMap, folded, kernels_side_by_side, weighted_maps

LOOK: Any = {"title": "Filter 0", "unit": "weight", "colours": "blue-orange", "limits": (-2.0, 2.0)}


def test_kernels_side_by_side_by_hand() -> None:
    kernels = np.array([[[1.0, -2.0]], [[0.25, np.inf]]])
    figure = kernels_side_by_side(kernels, ["red", "green"], **LOOK).to_dict()
    red, green = figure["data"]
    assert red["text"] == [["1.00"], ["0.25"]]
    assert green["text"] == [["−2.00"], [""]]
    assert {red["coloraxis"], green["coloraxis"]} == {"coloraxis"}
    axis = figure["layout"]["coloraxis"]
    assert (axis["cmin"], axis["cmax"]) == (-2.0, 2.0)
    assert axis["colorbar"]["ticktext"] == ["−2", "0", "2"]


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(2, 1, 2), (16, 2, 8), (144, 6, 24), (240, 8, 30), (37, 4, 12)]
)
def test_weights_are_folded_into_rows(count: int, rows: int, columns: int) -> None:
    weights = np.arange(count, dtype=np.float32)
    places = folded(weights)
    assert places.shape == (rows, columns)
    np.testing.assert_array_equal(places.ravel()[:count], weights)
    assert np.isnan(places.ravel()[count:]).all()


def test_bars_are_orange_for_and_blue_against() -> None:
    rows = [
        WeightedMap("input 3", -0.5, np.array([[0.0, 2.0]])),
        WeightedMap("input <1>", 0.25, None),
        WeightedMap("input 7", np.nan, None),
    ]
    look: Any = {"title": "Sum", "unit": "maps", "bars": "blue-orange"}
    shading = Shading("teal", 0.0, 2.0)
    figure = weighted_maps(rows, ("the other 2, summed", 0.125), shading=shading, **look).to_dict()
    bars, scale = figure["data"]
    blue, orange = (f"rgb({','.join(map(str, table('blue-orange')[at]))})" for at in (0, -1))
    assert bars["marker"]["color"][:2] == [blue, orange]
    assert figure["layout"]["xaxis"]["range"] == [-0.5, 0.5]
    assert [one["text"] for one in figure["layout"]["annotations"]] == [
        *("input 3", "−0.5"),
        *("input &lt;1&gt;", "+0.25"),
        *("input 7", "not a number"),
        *("the other 2, summed", "+0.125"),
    ]
    assert len(figure["layout"]["images"]) == 1
    assert (scale["zmin"], scale["zmax"]) == (0.0, 2.0)
    # Without maps there is nothing that a colour bar explains.
    alone = weighted_maps(rows[1:], None, shading=shading, **look).to_dict()
    assert [one["type"] for one in alone["data"]] == ["bar"]
