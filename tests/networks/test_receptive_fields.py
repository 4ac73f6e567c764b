"""Receptive fields: cases worked out by hand on graphs that are written down, and on networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.networks.receptive_fields import receptive_field
from cnnviz.networks.topology import Node, Topology
from cnnviz.results import Box

IMAGE = Node("image", "InputLayer", (), (12, 12, 3), False, {})


def conv(
    path: str, source: str, shape: tuple[int, ...], size: int = 3, kind: str = "Conv2D", **more: Any
) -> Node:
    settings = {
        "kernel_size": [size, size],
        "strides": [1, 1],
        "dilation_rate": [1, 1],
        "padding": "same",
        "groups": 1,
        "activation": {"kind": "relu"},
    }
    return Node(path, kind, (source,), shape, False, settings | more)


def plain(path: str, kind: str, sources: tuple[str, ...], shape: Any, **settings: Any) -> Node:
    return Node(path, kind, sources, shape, False, settings)


def field(*nodes: Node, at: tuple[int, int, int], source: Node = IMAGE) -> np.ndarray:
    """The pixels that a value of the last of some calls depends on."""
    topology = Topology({node.path: node for node in (source, *nodes)}, source.path)
    pixels, exact = receptive_field(topology, nodes[-1].path, *at)
    assert exact
    return pixels


def box(pixels: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of pixels that fill a box."""
    rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    assert pixels.sum() == len(rows) * len(columns)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def pixels_of(rows: list[int], columns: list[int], size: int = 12) -> np.ndarray:
    pixels = np.zeros((size, size), bool)
    pixels[np.ix_(rows, columns)] = True
    return pixels


def test_through_convolution_pooling_convolution() -> None:
    body = (
        conv("conv1", "image", (12, 12, 4)),
        plain("pool", "MaxPooling2D", ("conv1",), (6, 6, 4), pool_size=[2, 2], strides=[2, 2],
              padding="valid"),
        conv("conv2", "pool", (6, 6, 5)),
    )  # fmt: skip
    # Rows 1 to 3 of the pooling, 2 to 7 before it, 1 to 8 of the photo.
    assert box(field(*body, at=(2, 3, 0))) == (slice(1, 9), slice(3, 11))
    # At a corner the rest is padding.
    assert box(field(*body, at=(0, 5, 0))) == (slice(0, 5), slice(7, 12))


def test_dilation_leaves_gaps() -> None:
    dilated = conv("conv", "image", (12, 12, 4), dilation_rate=[3, 2])
    found = field(dilated, at=(5, 1, 0))
    np.testing.assert_array_equal(found, pixels_of([2, 5, 8], [1, 3]))


def test_a_stride_larger_than_the_kernel_leaves_gaps() -> None:
    skipping = conv("skipping", "image", (6, 6, 4), size=1, strides=[2, 2])
    found = field(skipping, conv("conv", "skipping", (6, 6, 4)), at=(2, 3, 0))
    np.testing.assert_array_equal(found, pixels_of([2, 4, 6], [4, 6, 8]))


def test_padding_of_a_stride_is_less_before_than_after() -> None:
    # 12 rows, stride 2, kernel 3: one row of padding, and that after the last.
    strided = conv("conv", "image", (6, 6, 4), strides=[2, 2])
    assert box(field(strided, at=(0, 5, 0))) == (slice(0, 3), slice(10, 12))


def test_a_skip_connection_joins_what_both_ways_need() -> None:
    added = (
        conv("wide", "image", (12, 12, 4), size=5),
        conv("narrow", "image", (12, 12, 4), size=1),
        plain("sum", "Add", ("wide", "narrow"), (12, 12, 4)),
    )
    assert box(field(*added, at=(6, 6, 0))) == (slice(4, 9), slice(4, 9))


@pytest.mark.parametrize(("channel", "side"), [(3, 5), (4, 1)])
def test_a_channel_of_a_concatenation_is_of_one_branch(channel: int, side: int) -> None:
    joined = (
        conv("wide", "image", (12, 12, 4), size=5),
        conv("narrow", "image", (12, 12, 2), size=1),
        plain("joined", "Concatenate", ("wide", "narrow"), (12, 12, 6), axis=-1),
    )
    after = plain("relu", "ReLU", ("joined",), (12, 12, 6))
    pooled = plain("pool", "MaxPooling2D", ("relu",), (6, 6, 6), pool_size=[2, 2], strides=[2, 2],
                   padding="valid")  # fmt: skip
    rows, columns = box(field(*joined, after, at=(6, 6, channel)))
    assert (rows.stop - rows.start, columns.stop - columns.start) == (side, side)
    # A depthwise convolution keeps them apart, and an ordinary one does not.
    depthwise = conv("next", "pool", (6, 6, 6), kind="DepthwiseConv2D", size=1)
    apart = field(*joined, after, pooled, depthwise, at=(3, 3, channel))
    assert apart.sum() == (side + 1) ** 2
    mixed = field(*joined, after, pooled, conv("next", "pool", (6, 6, 6), 1), at=(3, 3, channel))
    assert mixed.sum() == 36


def test_a_softmax_needs_all_channels_of_its_cell() -> None:
    joined = (
        conv("wide", "image", (12, 12, 4), size=5),
        conv("narrow", "image", (12, 12, 2), size=1),
        plain("joined", "Concatenate", ("wide", "narrow"), (12, 12, 6), axis=-1),
        plain("softmax", "Softmax", ("joined",), (12, 12, 6), axis=-1),
    )
    assert field(*joined, at=(6, 6, 5)).sum() == 25


@pytest.mark.parametrize(("channels_first", "axis"), [(False, 1), (True, 2)])
def test_below_each_other_each_row_is_of_one_map(channels_first: bool, axis: int) -> None:
    wide = conv("wide", "image", (12, 12, 3), size=5)
    settings = {"axis": axis}
    below = Node("below", "Concatenate", ("image", "wide"), (24, 12, 3), channels_first, settings)
    assert field(wide, below, at=(6, 6, 0)).sum() == 1
    assert box(field(wide, below, at=(18, 6, 0))) == (slice(4, 9), slice(4, 9))


def test_a_group_of_filters_sees_its_own_channels() -> None:
    joined = (
        conv("wide", "image", (12, 12, 2), size=5),
        conv("narrow", "image", (12, 12, 2), size=1),
        plain("joined", "Concatenate", ("wide", "narrow"), (12, 12, 4), axis=-1),
        conv("grouped", "joined", (12, 12, 6), size=1, groups=2),
    )
    assert [field(*joined, at=(6, 6, channel)).sum() for channel in (2, 3)] == [25, 1]


def test_a_gate_of_one_cell_needs_the_whole_picture() -> None:
    gated = (
        conv("conv", "image", (12, 12, 4), size=1),
        plain("average", "GlobalAveragePooling2D", ("conv",), (1, 1, 4)),
        plain("gated", "Multiply", ("conv", "average"), (12, 12, 4)),
    )
    assert field(*gated, at=(3, 4, 1)).all()


def test_a_flattened_cell_is_one_cell() -> None:
    flat = plain("flat", "Flatten", ("conv",), (12 * 12 * 4,))
    found = field(conv("conv", "image", (12, 12, 4), size=1), flat, at=(0, 0, (5 * 12 + 7) * 4 + 2))
    np.testing.assert_array_equal(found, pixels_of([5], [7]))


def test_channels_first_are_flattened_in_their_own_order() -> None:
    first = Node("conv", "ReLU", ("image",), (12, 12, 3), True, {})
    image = Node("image", "InputLayer", (), (12, 12, 3), True, {})
    flat = plain("flat", "Flatten", ("conv",), (12 * 12 * 3,), data_format="channels_last")
    found = field(first, flat, at=(0, 0, (2 * 12 + 5) * 12 + 7), source=image)
    np.testing.assert_array_equal(found, pixels_of([5], [7]))


def test_a_transposed_convolution_reads_fewer_cells() -> None:
    body = (
        conv("small", "image", (6, 6, 4), size=2, strides=[2, 2]),
        conv("large", "small", (12, 12, 4), kind="Conv2DTranspose", strides=[2, 2]),
    )
    # Row r of the output is met by taps of the rows (r + 0 − tap) / 2 that are whole.
    assert box(field(*body, at=(5, 4, 0))) == (slice(4, 6), slice(2, 6))


def test_what_is_not_understood_may_need_all_and_says_so() -> None:
    custom = Node("mystery", "Mystery", ("image",), (12, 12, 3), False, None)
    topology = Topology({"image": IMAGE, "mystery": custom}, "image")
    pixels, exact = receptive_field(topology, "mystery", 0, 0, 0)
    assert pixels.all()
    assert not exact


def test_a_constant_depends_on_no_pixel() -> None:
    padded = plain("padded", "ZeroPadding2D", ("image",), (14, 14, 3), padding=[[1, 1], [1, 1]])
    assert not field(padded, at=(0, 5, 0)).any()
    assert box(field(padded, at=(1, 5, 0))) == (slice(0, 1), slice(4, 5))


def test_the_field_is_on_the_photo(tiny: Callable[[str], Any], photo: np.ndarray) -> None:
    trace = cnnviz.trace_value(tiny("flat"), photo, "conv1", 4, 5, 0)
    # The photo, 60 × 40, is squeezed into 12 × 12: a pixel is 5 × 10/3 of the photo's, and the
    # filter of the scaling, a triangle, reaches to the centres of the next ones.
    assert trace.field.size == (12, 12)
    assert trace.field.box == Box(4, 3, 7, 6)
    assert (trace.field.pixels, trace.field.exact) == (9, True)
    view = cnnviz.NetworkView(np.zeros((12, 12, 3), np.uint8), tiny("flat").card.preprocessing)
    assert cnnviz.trace_value(tiny("flat"), view, "conv1", 4, 5, 0).field.photo is None


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_pixels_of_the_photo_outside_change_nothing(
    tiny: Callable[[str], Any], photo: np.ndarray, layer: str
) -> None:
    trace = cnnviz.trace_value(tiny("flat"), photo, layer, 2, 3, 1)
    seen = trace.field.photo
    assert seen is not None
    other = np.random.default_rng(1).integers(0, 256, photo.shape, np.uint8)
    rows, columns = slice(seen.top, seen.bottom), slice(seen.left, seen.right)
    other[rows, columns] = photo[rows, columns]
    again = cnnviz.trace_value(tiny("flat"), other, layer, 2, 3, 1)
    assert again.value == pytest.approx(trace.value, abs=1e-6 * trace.largest)
    assert again.terms[0].inputs == pytest.approx(trace.terms[0].inputs)
