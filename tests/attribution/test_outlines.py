"""Outlines of networks, and the pass on all maps at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cnnviz
from cnnviz.attribution.methods import AVERAGED_MAPS, METHODS

Tiny = Callable[[str], Any]


def test_an_outline_by_hand(tiny: Tiny) -> None:
    network = tiny("nested_sequential")
    outline = cnnviz.outline(network)
    assert outline.card == network.card
    assert outline.layers == network.layers
    calls = {call.path: call for call in outline.calls}
    inner = calls["backbone/conv"].inputs[0]
    assert calls[inner].inputs == (outline.calls[0].path,)
    assert calls["backbone/conv_b"].inputs == ("backbone/conv",)
    assert (calls["backbone"].inputs, calls["backbone"].nested) == (("backbone/conv_b",), True)
    assert calls["backbone/conv_b"].shape == (4, 4, 5)
    assert calls[outline.layers[-1].path].shape == (3,)
    assert outline.input_shape == (None, 12, 12, 3)
    # 3×3×3×4 + 4, 3×3×4×5 + 5, 5×3 + 3.
    assert outline.parameters == 112 + 185 + 18
    assert outline.methods == tuple(METHODS)
    assert outline.features == outline.last_spatial == "backbone/conv_b"
    assert outline.makers == {
        "backbone/conv": "backbone/conv",
        "backbone/conv_b": "backbone/conv_b",
    }
    assert outline.inputs["backbone/conv_b"] == "backbone/conv"


def test_an_outline_names_what_a_convolution_reads(tiny: Tiny) -> None:
    """A pooling layer, another layer's second call, and an operation that is no layer."""
    assert cnnviz.outline(tiny("flat")).inputs == {"conv1": "image", "conv2": "pool"}
    assert cnnviz.outline(tiny("shared_layer")).inputs["twin/conv"] == "again#1"
    assert cnnviz.outline(tiny("skip_connections")).inputs["block2"] == "sum"


def test_a_network_without_averaged_maps_has_the_methods_of_any_layer(tiny: Tiny) -> None:
    outline = cnnviz.outline(tiny("dense_after_flatten"))
    assert outline.methods[:2] == ("hires-cam", "grad-cam")
    expected = [key for key in METHODS if key not in AVERAGED_MAPS]
    assert sorted(outline.methods) == sorted(expected)
    # Averaged before its hidden layer: nothing tells the places of a map apart.
    assert cnnviz.outline(tiny("hidden_dense")).methods == tuple(expected)
    assert outline.features is None
    assert outline.last_spatial == "conv2"
