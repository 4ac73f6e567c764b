"""The network map: blocks and bands worked out by hand, its colours, and what comes back."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnnviz.results import LayerCall, LayerInfo
from cnnviz.ui.components import network_map
from cnnviz.ui.components.diagrams import Diagram, diagram, neighbours
from cnnviz.ui.components.layer_families import FAMILIES, family_of
from cnnviz.ui.page_parts.network import layer_table, strongest_maps

WHITE, BLACK = "#ffffff", "#0e141a"


def call(path: str, kind: str, *inputs: str, shape: Any = (8, 8, 4), nested: bool = False) -> Any:
    return LayerCall(path, kind, inputs, shape, nested)


def outline_of(*calls: LayerCall) -> Any:
    layers = tuple(
        LayerInfo(
            one.path,
            one.kind,
            (None, *(one.shape or ())),
            7,
            (3, 3, 4, 4) if "Conv" in one.kind else None,
            one.nested,
        )
        for one in calls
        if "#" not in one.path
    )
    return SimpleNamespace(calls=calls, layers=layers)


# A residual block with a shortcut of its own, as a ResNet's first; the branches run in turns.
RESIDUAL = (
    call("image", "InputLayer", shape=(16, 16, 3)),
    call("conv", "Conv2D", "image"),
    call("bn", "BatchNormalization", "conv"),
    call("relu", "ReLU", "bn"),
    call("b1_0_conv", "Conv2D", "relu"),
    call("b1_1_conv", "Conv2D", "relu"),
    call("b1_0_bn", "BatchNormalization", "b1_0_conv"),
    call("b1_1_bn", "BatchNormalization", "b1_1_conv"),
    call("b1_add", "Add", "b1_0_bn", "b1_1_bn"),
    call("b1_out", "ReLU", "b1_add"),
    call("pool", "GlobalAveragePooling2D", "b1_out", shape=(4,)),
    call("dense", "Dense", "pool", shape=(2,)),
)


def shown(drawn: Diagram) -> list[tuple[str, list[tuple[str, list[list[str]]]]]]:
    """Each band's size, with the paths in its blocks."""
    return [
        (
            band.size,
            [
                (block.name, [[drawn.tiles[at].path for at in unit] for unit in block.units])
                for block in band.blocks
            ],
        )
        for section in drawn.sections
        for band in section.bands
    ]


def test_branches_that_meet_are_a_block_and_what_follows_a_layer_is_its_unit() -> None:
    drawn = diagram(outline_of(*RESIDUAL))
    block = [["b1_0_conv", "b1_0_bn"], ["b1_1_conv", "b1_1_bn"], ["b1_add", "b1_out"]]
    assert shown(drawn) == [
        ("16 × 16", [("image", [["image"]])]),
        ("8 × 8", [("conv", [["conv", "bn", "relu"]]), ("b1", block)]),
        ("Vectors", [("pool", [["pool"]]), ("dense", [["dense"]])]),
    ]
    assert [block.branches for band in drawn.sections[0].bands for block in band.blocks] == [
        *(False, False, True, False, False),
    ]
    assert [band.note for band in drawn.sections[0].bands] == [
        *("3 channels", "4 channels", "2–4 values"),
    ]
    reads = {one.path: [drawn.tiles[at].path for at in one.inputs] for one in drawn.tiles}
    assert reads == {one.path: list(one.inputs) for one in RESIDUAL}


def test_few_tiles_have_names_and_many_the_kernels_alone() -> None:
    drawn = diagram(outline_of(*RESIDUAL))
    texts = {tile.path: tile.text for tile in drawn.tiles}
    assert [texts[path] for path in ("image", "conv", "bn", "b1_add", "dense")] == [
        *("image", "conv 3×3", "bn", "b1_add", "dense 2"),
    ]
    many = [call(f"relu{at}", "ReLU", *([f"relu{at - 1}"] * (at > 0))) for at in range(30)]
    texts = {
        tile.path: tile.text
        for tile in diagram(outline_of(*many, call("conv", "Conv2D", "relu29"))).tiles
    }
    assert texts["relu3"] == ""
    assert texts["conv"] == "3×3"
    channels = [call(str(count), "Conv2D", shape=(2, 2, count)) for count in (1, 64, 1 << 20)]
    assert [tile.height for tile in diagram(outline_of(*channels)).tiles] == [20, 30, 44]


def test_a_squeeze_is_in_its_block_and_padding_stays_in_the_band_before() -> None:
    calls = (
        call("image", "InputLayer"),
        call("squeeze", "GlobalAveragePooling2D", "image", shape=(4,)),
        call("shape", "Reshape", "squeeze", shape=(1, 1, 4)),
        call("excite", "Multiply", "image", "shape"),
        call("pad", "ZeroPadding2D", "excite", shape=(9, 9, 4)),
        call("conv", "Conv2D", "pad", shape=(4, 4, 8)),
    )
    (first, blocks), (second, _) = shown(diagram(outline_of(*calls)))
    assert (first, second) == ("8 × 8", "4 × 4")
    assert [name for name, _ in blocks] == ["image", "squeeze", "pad"]


def test_branches_over_several_resolutions_are_no_block() -> None:
    calls = (
        call("image", "InputLayer"),
        call("down", "MaxPooling2D", "image", shape=(4, 4, 4)),
        call("up", "UpSampling2D", "down"),
        call("join", "Concatenate", "up", "image", shape=(8, 8, 8)),
    )
    drawn = diagram(outline_of(*calls))
    assert [size for size, _ in shown(drawn)] == ["8 × 8", "4 × 4", "8 × 8"]
    assert not any(b.branches for one in drawn.sections[0].bands for b in one.blocks)


NESTED = (
    call("image", "InputLayer"),
    call("back/input", "InputLayer", "image"),
    call("back/conv", "Conv2D", "back/input"),
    call("back", "Functional", "back/conv", nested=True),
    call("twin", "Dense", "back/conv", shape=(4,)),
    call("twin#1", "Dense", "twin", shape=(4,)),
)


def test_a_nested_model_has_a_section_and_neighbours_outside_of_it() -> None:
    drawn = diagram(outline_of(*NESTED))
    assert [(one.path, one.title) for one in drawn.sections] == [
        *(("", ""), ("back", "back · Functional"), ("", "")),
    ]
    assert neighbours(NESTED, "back") == (["image"], ["twin"])
    assert neighbours(NESTED, "back/conv") == (["back/input"], ["twin"])
    assert neighbours(NESTED, "twin") == (["back/conv"], ["twin#1"])
    assert neighbours(NESTED, "nowhere") == ([], [])


def test_the_table_has_shapes_and_connections() -> None:
    rows = layer_table(outline_of(*NESTED)).set_index("Layer")
    assert list(rows.loc["back"]) == ["Functional", "8 × 8 × 4", "8 × 8 × 4", 7, "", "image"]
    assert list(rows.loc["twin"]) == ["Dense", "8 × 8 × 4", "4", 7, "", "back/conv"]
    assert rows.loc["back/conv", "Kernel"] == "3 × 3 × 4 × 4"
    assert rows.loc["twin#1", "Reads"] == "twin"
    assert len(rows) == len(NESTED)


def test_without_a_graph_layers_have_no_connections() -> None:
    known = outline_of(*RESIDUAL)
    drawn = diagram(SimpleNamespace(calls=(), layers=known.layers))
    assert sorted(tile.path for tile in drawn.tiles) == sorted(one.path for one in RESIDUAL)
    assert not any(tile.inputs for tile in drawn.tiles)


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("Conv2DTranspose", "convolution"),
        ("SeparableConv2D", "convolution"),
        ("DepthwiseConv2D", "depthwise"),
        ("AveragePooling2D", "pooling"),
        ("Average", "merge"),
        ("AdditiveAttention", "attention"),
        ("LayerNormalization", "normalisation"),
        ("LeakyReLU", "activation"),
        ("ActivityRegularization", "other"),
        ("Mystery", "other"),
    ],
)
def test_a_class_of_layers_has_a_family(kind: str, family: str) -> None:
    assert family_of(kind) == family


def test_colours_are_told_apart_and_their_texts_read_in_both_themes() -> None:
    for colours, text in (
        ([one.light for one in FAMILIES], WHITE),
        ([one.dark for one in FAMILIES], BLACK),
    ):
        assert min(contrast(colour, text) for colour in colours) >= 4.5
        # In OKLab 0.02 can just be noticed.
        assert min(distance(*pair) for pair in combinations(colours, 2)) > 0.09


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG's ratio."""
    low, high = sorted(float(linear(each) @ [0.2126, 0.7152, 0.0722]) for each in (one, other))
    return (high + 0.05) / (low + 0.05)


def distance(one: str, other: str) -> float:
    """In OKLab."""
    from cnnviz.colours import _CONES, _LAB

    first, second = (_LAB @ np.cbrt(_CONES @ linear(each)) for each in (one, other))
    return float(np.linalg.norm(first - second))


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"name": "net", "path": "conv"}, "conv"),
        ({"name": "other", "path": "conv"}, None),
        ({"name": "net", "path": "nowhere"}, None),
        ({"name": "net", "path": ["conv"]}, None),
        ({"name": "net", "path": ""}, None),
        ("conv", None),
        (None, None),
    ],
)
def test_a_click_is_on_a_layer_of_this_network(payload: Any, path: str | None) -> None:
    assert network_map.clicked(payload, diagram(outline_of(*RESIDUAL)), "net") == path


def test_a_nested_model_can_be_clicked() -> None:
    payload = {"name": "net", "path": "back"}
    assert network_map.clicked(payload, diagram(outline_of(*NESTED)), "net") == "back"


def test_the_strongest_maps_are_those_that_vary_most() -> None:
    maps = np.zeros((2, 2, 10), np.float32)
    maps[..., 2] = 9  # the highest, and flat
    maps[0, 0, 7] = 4
    maps[0, 0, 3] = 6
    drawn = strongest_maps(maps, "a layer")
    ((tiles,),) = [region.items for region in drawn.regions]
    np.testing.assert_array_equal(tiles.values[:2], np.moveaxis(maps[..., [3, 7]], -1, 0))
    assert tiles.sentences[0].startswith("Channel 3\n")
    assert drawn.title == "8 strongest of 10 maps"
    assert tiles.at == (0, 0, 328, 160)
    assert drawn.legend is not None
    assert (drawn.legend.colours, drawn.legend.low) == ("teal", 0)
    # Without half of the maps there is one row, and signed maps have zero in the middle.
    ((tiles,),) = [region.items for region in strongest_maps(-maps[..., :3], "other").regions]
    assert tiles.at == (0, 0, 244, 76)
    assert tiles.limits == (-9, 9)
