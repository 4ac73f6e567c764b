"""Layers by path: complete, in order, and described as they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnnviz.errors import LayerError
from cnnviz.layers import describe, find, walk

Tiny = Callable[[str], Any]


def paths(network: Any) -> list[str]:
    return [path for path, _ in walk(network.model)]


def test_a_flat_model_s_layers_in_order(tiny: Tiny) -> None:
    assert paths(tiny("flat")) == ["image", "conv1", "pool", "conv2", "average", "scores"]


def test_nested_layers_follow_their_model(tiny: Tiny) -> None:
    found = paths(tiny("nested_sequential"))
    assert found[:3] == ["backbone", "backbone/conv", "backbone/conv_b"]
    assert found[-1] == "scores"


def test_equal_names_are_told_apart_by_their_path(tiny: Tiny) -> None:
    network = tiny("nested_functional")
    found = {"conv", "left/conv", "right/conv", "left/act", "right/act"} & set(paths(network))
    assert len(found) == 5
    layers = {find(network.model, path) for path in ("conv", "left/conv", "right/conv")}
    assert len(layers) == 3


def test_a_backbone_in_a_backbone(tiny: Tiny) -> None:
    found = [path for path in paths(tiny("backbone_in_backbone")) if path.endswith("conv")]
    assert found == ["outer/conv", "outer/inner/conv"]


def test_a_shared_layer_is_listed_once(tiny: Tiny) -> None:
    found = paths(tiny("shared_layer"))
    assert found.count("again") == 1
    assert found.count("twin/conv") == 1


def test_every_weight_belongs_to_one_listed_layer(any_network: Any) -> None:
    """Whatever the nesting, the parameters of the innermost layers add up to the model's."""
    total = sum(info.parameters for info in describe(any_network.model) if not info.nested)
    assert total == any_network.model.count_params()


def test_paths_are_unique_and_lead_back_to_their_layer(any_network: Any) -> None:
    found = dict(walk(any_network.model))
    assert len(found) == len(paths(any_network))
    for path, layer in found.items():
        assert find(any_network.model, path) is layer


def test_the_kinds_of_convolution_by_hand(tiny: Tiny) -> None:
    known = {info.path: info for info in tiny("convolutions").layers}
    described = {
        name: (info.kind, info.output_shape, info.parameters, info.kernel_shape)
        for name, info in known.items()
        if info.kernel_shape
    }
    assert described == {
        # Three channels with two filters each, 3×3, and a bias for each of the six.
        "depthwise": ("DepthwiseConv2D", (None, 10, 10, 6), 54 + 6, (3, 3, 1, 6)),
        # Six 3×3 filters, then 6 × 4 mixing weights and 4 biases.
        "separable": ("SeparableConv2D", (None, 10, 10, 4), 54 + 24 + 4, (3, 3, 1, 6)),
        "transpose": ("Conv2DTranspose", (None, 21, 21, 5), 180 + 5, (3, 3, 4, 5)),
        "dilated": ("Conv2D", (None, 17, 17, 6), 270, (3, 3, 5, 6)),
    }
    assert known["transpose"].spatial
    assert not known["scores"].spatial
    assert known["scores"].kernel_shape is None


def test_a_nested_model_says_so_and_counts_its_layers_parameters(tiny: Tiny) -> None:
    known = {info.path: info for info in tiny("nested_sequential").layers}
    assert known["backbone"].nested
    assert not known["backbone/conv"].nested
    assert known["backbone"].output_shape == (None, 4, 4, 5)
    assert known["backbone"].parameters == (27 * 4 + 4) + (36 * 5 + 5)


def test_free_sizes_stay_free(tiny: Tiny) -> None:
    known = {info.path: info for info in tiny("free_size").layers}
    assert known["conv1"].output_shape == (None, None, None, 4)
    assert known["conv1"].spatial


def test_several_outputs_have_no_one_shape(tiny: Tiny) -> None:
    known = {info.path: info for info in tiny("two_outputs_inside").layers}
    assert known["pyramid"].output_shape == ()
    assert not known["pyramid"].spatial
    assert known["pyramid/coarse"].output_shape == (None, 4, 4, 5)


def test_the_shapes_are_those_of_the_real_outputs(any_network: Any, eager_outputs: Any) -> None:
    size = any_network.card.preprocessing
    inputs = np.zeros((2, size.height, size.width, size.channels), np.float32)
    _, outputs = eager_outputs(any_network.model, inputs)
    layers = dict(walk(any_network.model))
    checked = 0
    for info in any_network.layers:
        if id(layers[info.path]) not in outputs or not info.output_shape:
            continue
        real = outputs[id(layers[info.path])][0].shape
        assert len(real) == len(info.output_shape)
        for told, true in zip(info.output_shape[1:], real[1:], strict=True):
            assert told in (None, true), info
        checked += 1
    assert checked >= 4


# --- Errors ---------------------------------------------------------------------------------


def test_an_unknown_layer_names_near_ones(tiny: Tiny) -> None:
    with pytest.raises(LayerError, match=r"no layer 'conv3'. Near it: conv2, conv1"):
        find(tiny("flat").model, "conv3")


def test_a_name_without_its_way_in_finds_the_nested_layers(tiny: Tiny) -> None:
    with pytest.raises(LayerError, match=re.escape("Near it: left/act, right/act.")):
        find(tiny("nested_functional").model, "act")


def test_a_name_like_no_other_lists_the_first_layers(tiny: Tiny) -> None:
    with pytest.raises(LayerError, match="Near it: image, conv1, pool"):
        find(tiny("flat").model, "zzzzzzzz")


def test_the_call_of_a_shared_layer_is_that_layer(tiny: Tiny) -> None:
    model = tiny("shared_layer").model
    assert find(model, "again#1") is find(model, "again")
    assert find(model, "twin#1/conv") is find(model, "twin/conv")
    with pytest.raises(LayerError, match="no layer 'again#x'"):
        find(model, "again#x")
