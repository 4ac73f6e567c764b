"""The viewer: its buffer byte by byte, the tiles of a grid, and what comes back from a browser."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

from cnnviz.colours import table
from cnnviz.ui.components import scenes, viewer
from cnnviz.ui.components.scenes import (
    Legend,
    Region,
    Scene,
    Tiles,
    averaged,
    buffer,
    pack,
)
from cnnviz.ui.components.viewer import Event, opened, parse_event
from cnnviz.ui.page_parts import activations, channel_grids, filters
from tests.pages.conftest import unpacked

_SIGNED = "blue-orange"
LEGEND = Legend("activation", "teal", 0.0, 6.0, ("0", "6"))


def a_grid(maps: Any, **options: Any) -> Scene:
    count = np.shape(maps)[-1]
    options = {"limits": (0.0, 6.0), "sentences": [f"channel {k}" for k in range(count)]} | options
    return scenes.grid(
        np.asarray(maps, np.float32),
        scene="a layer",
        title="Maps",
        legend=LEGEND,
        unit="activation",
        **options,
    )


# --- The buffer ---------------------------------------------------------------------------------


def test_a_buffer_byte_by_byte() -> None:
    numbers, pixels = np.array([[1.5, -2.0]], np.float64), np.array([7, 8, 9], np.uint8)
    text = (
        b'{"a":1,"arrays":[{"dtype":"float32","shape":[1,2],"scale":1.0},'
        b'{"dtype":"uint8","shape":[3],"scale":1.0}]}'
    )
    padded = text + b" " * (-len(text) % 4)
    floats = bytes.fromhex("0000c03f 000000c0")
    expected = len(padded).to_bytes(4, "little") + padded + floats + b"\x07\x08\x09\x00"
    assert buffer({"a": 1}, [numbers, pixels]) == expected


def test_many_maps_are_sent_in_16_bits_of_their_largest_value() -> None:
    maps = np.zeros((5, 30, 30), np.float32)
    maps[0, 0, :4] = [8.0, -4.0, 2.5, np.nan]
    data = buffer({}, [maps])
    (length,) = struct.unpack_from("<I", data)
    (one,) = json.loads(data[4 : 4 + length])["arrays"]
    assert one == {"dtype": "float16", "shape": [5, 30, 30], "scale": 8.0}
    # 1, -0.5 and 0.3125, by the definition of the format.
    halves = data[4 + length :]
    assert halves[:6] == struct.pack("<3H", 15 << 10, 0x8000 | 14 << 10, 13 << 10 | 256)
    assert halves[6:8] == struct.pack("<e", np.nan)
    assert halves[8:] == bytes(2 * maps.size - 8)


def test_sixteen_bits_keep_three_digits_down_to_a_ten_thousandth() -> None:
    values = np.geomspace(1e-2, 100, 5000, dtype=np.float32).reshape(5, 10, 100)
    data = buffer({"x": {"array": 0}}, [values])
    np.testing.assert_allclose(unpacked(data)["x"], values, rtol=5e-4)


def test_zeros_and_no_numbers_can_be_sent() -> None:
    for value in (0.0, np.nan):
        maps = np.full((2, 60, 60), value, np.float32)
        np.testing.assert_array_equal(unpacked(buffer({"x": {"array": 0}}, [maps]))["x"], maps)


def test_a_scene_arrives_whole() -> None:
    maps = np.linspace(-1, 1, 18, dtype=np.float32).reshape(2, 3, 3)
    limits = np.array([[0, 1], [0, 2.0]])
    tiles = Tiles("stage", maps, limits, "teal", "Two", "activation", ["a", "b"])
    legend = Legend("activation", "blue-orange", -1.0, 1.0, ("−1", "1"))
    seen = unpacked(pack(Scene("walk", [Region([tiles], (10, 10))], legend=legend), "a key"))
    assert (seen["kind"], seen["key"], seen["id"]) == ("scene", "a key", "walk")
    (region,) = seen["regions"]
    assert region["size"] == [10, 10]
    (drawn,) = region["items"]
    np.testing.assert_array_equal(drawn["values"], maps)
    np.testing.assert_array_equal(drawn["limits"], [[0, 1], [0, 2]])
    # The colours for light and for dark pages.
    assert seen["tables"].keys() == {"teal", "blue-orange"}
    for name, (light, dark) in seen["tables"].items():
        np.testing.assert_array_equal(light, table(name))
        np.testing.assert_array_equal(dark, table(f"{name} on dark"))


# --- Grids --------------------------------------------------------------------------------------


def test_a_grid_has_a_tile_for_each_channel() -> None:
    maps = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    maps[1, 0, 2] = np.inf
    seen = unpacked(pack(a_grid(maps, names=["#0", "#1", "#2"]), "key"))
    ((tiles,),) = [region["items"] for region in seen["regions"]]
    np.testing.assert_array_equal(tiles["values"][1], [[1, 4], [7, 10]])
    np.testing.assert_array_equal(tiles["values"][2], [[2, 5], [np.nan, 11]])
    assert (tiles["label"], tiles["limits"], tiles["cell"], tiles["opens"]) == (
        "Maps",
        [0, 6],
        1,
        True,
    )
    assert seen["regions"][0]["size"] is None
    assert seen["legend"]["ticks"] == ["0", "6"]


def test_maps_too_large_to_send_are_averaged_by_hand() -> None:
    maps = np.zeros((65, 100, 101), np.float32)
    maps[3, :2, :2] = [[1, 2], [3, 6]]
    maps[3, 98:, 100] = [5, 7]
    maps[4, 0, 0] = np.nan
    drawn, cell = averaged(maps)
    assert (cell, drawn.shape) == (2, (65, 50, 51))
    assert drawn[3, 0, 0] == 3.0
    # At the edge a block is one cell wide.
    assert drawn[3, 49, 50] == 6.0
    assert np.isnan(drawn[4, 0, 0])
    assert np.count_nonzero(drawn) == 3


@pytest.mark.parametrize(
    ("scale", "values", "limits", "ticks", "colours"),
    [
        ("layer", [[0, 2], [1, 4]], [0, 4], ["0", "4"], "teal"),
        ("layer", [[0, -2], [1, 1]], [-2, 2], ["−2", "2"], _SIGNED),
        ("channel", [[0, 0], [1, 4]], [[0, 1], [0, 4]], ["0", "peak of each"], "teal"),
        (
            "channel",
            [[0, -2], [1, 1]],
            [[-1, 1], [-2, 2]],
            ["−peak", "peak of each"],
            "blue-orange",
        ),
        ("channel", [[0, 0], [1, 0]], [[0, 1], [0, 1]], ["0", "peak of each"], "teal"),
    ],
)
def test_the_limits_of_channels(
    scale: str, values: list[list[float]], limits: Any, ticks: list[str], colours: str
) -> None:
    """Two cells of two channels."""
    maps = np.array(values, np.float32).reshape(2, 1, 2)
    look = channel_grids.Look("number", scale, "teal")
    scene = channel_grids.channel_grid(maps, [0, 1], look, "name", "title", ["#0", "#1"])
    seen = unpacked(pack(scene, "key"))
    np.testing.assert_array_equal(seen["regions"][0]["items"][0]["limits"], limits)
    assert (seen["legend"]["ticks"], seen["legend"]["colours"]) == (ticks, colours)


@pytest.mark.parametrize(
    ("scaling", "limits", "ends", "ticks"),
    [
        ("raw", [-1, 3], (-1, 3), ("−1", "3")),
        ("layer", [-1, 3], (-1, 3), ("0", "1")),
        ("symmetric", [-3, 3], (-3, 3), ("−3", "3")),
        ("own", [[-1, 1], [-3, 3]], (-1, 1), ("−largest", "largest of each")),
        ("filter", [[-1, 1], [0.5, 3]], (0, 1), ("0", "1")),
    ],
)
def test_the_limits_of_filters(scaling: str, limits: Any, ends: Any, ticks: Any) -> None:
    """Two weights of two filters."""
    kernels = np.array([[-1, 0.5], [1, 3]], np.float32).reshape(2, 1, 1, 2)
    found, legend = filters.look(kernels, scaling, "gray")
    np.testing.assert_array_equal(found, limits)
    assert ((legend.low, legend.high), legend.ticks) == (ends, ticks)


@pytest.mark.parametrize(
    ("paths", "chosen"),
    [("a", "a"), ("abcd", "abcd"), ("abcdef", "acdf"), ("abcdefghij", "adgj")],
)
def test_layers_are_spread_over_the_depth(paths: str, chosen: str) -> None:
    assert activations.spread(paths) == list(chosen)


# --- Events -------------------------------------------------------------------------------------


def test_a_click_and_a_key_by_hand() -> None:
    click = {"scene": "a layer", "item": "tiles", "index": 3, "row": 0, "column": 6}
    assert parse_event(click, "a layer") == Event("a layer", "tiles", 3, 0, 6)
    key = {"scene": "a layer", "key": "Escape"}
    assert parse_event(key, "a layer") == Event("a layer", key="Escape")


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "text",
        {},
        {"scene": "another layer", "index": 1},
        {"scene": "a layer", "index": -1},
        {"scene": "a layer", "index": 1.5},
        {"scene": "a layer", "index": True},
        {"scene": "a layer", "item": 7},
        {"scene": "a layer", "row": "1"},
    ],
)
def test_what_is_late_or_no_event_does_nothing(payload: Any) -> None:
    assert parse_event(payload, "a layer") is None


@pytest.mark.parametrize(
    ("event", "tile"),
    [
        (None, None),
        (Event("s", "tiles", 2), 2),
        (Event("s", "tiles", 3), None),
        (Event("s", key="Escape"), None),
    ],
)
def test_the_tile_that_was_opened(event: Event | None, tile: int | None) -> None:
    assert opened(event, 3) == tile


def test_a_click_chooses_a_filter_and_a_channel(visit: Any, monkeypatch: Any) -> None:
    """In place of the browser, which these tests have not."""
    clicks = {"all filters": 5, "activations 1": 2}

    def click(packed: bytes, scene: str, key: str) -> Event | None:
        return Event(scene, "tiles", clicks.pop(key)) if key in clicks else None

    monkeypatch.setattr(viewer, "show_packed", click)
    seen = visit("filters", model="mnist_cnn").fine()
    assert seen.chosen("Filter") == 5
    assert seen.outlined("all filters") == 5
    assert seen.title("one filter").startswith("Filter 5")
    seen.turn_to("activations").fine()
    # Of the second layer's column; the outline of the first layer's channel goes.
    assert f"#{seen.chosen('Channel')}" == seen.widget("Channel").options[2]
    assert seen.app.query_params["of"] == "conv2"
    assert [seen.outlined(f"activations {column}") for column in range(3)] == [-1, 2, -1]
    assert clicks == {}
