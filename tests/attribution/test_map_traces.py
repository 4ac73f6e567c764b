"""Cells of class activation maps: each is the sum of its channels, each times its weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.attribution.methods import METHODS
from cnnviz.errors import LayerError, TargetError
from cnnviz.results import Box

# Noise, and what compares many runs, is no sum of channels.
UNTRACED = {"none", "many"}


@pytest.mark.parametrize(
    "name", ["flat", "logit_maps", "softmax_maps", "one_sigmoid", "dense_after_flatten"]
)
def test_a_cell_of_every_map_is_channel_times_weight(
    tiny: Callable[[str], Any], photo: np.ndarray, name: str
) -> None:
    net = tiny(name)
    for method in (key for key in cnnviz.methods(net) if METHODS[key].passes not in UNTRACED):
        for target, label in enumerate(net.card.labels):
            cam = cnnviz.class_activation_map(net, photo, label, method=method)
            trace = cnnviz.trace_class_map(net, photo, 2, 1, label, method=method)
            assert (trace.layer, trace.target, trace.channel) == (cam.layer, label, target)
            assert trace.largest == pytest.approx(np.abs(cam.values).max(), rel=1e-5)
            assert trace.value == pytest.approx(cam.values[2, 1], abs=1e-5 * trace.largest)
            assert trace.result == pytest.approx(trace.value, abs=1e-5 * trace.largest)
            total = sum(term.total for term in trace.terms) + trace.rest
            assert total == pytest.approx(trace.total)
            assert trace.note.startswith(METHODS[method].summary)


@pytest.mark.engines
def test_the_weights_are_those_of_the_class(tiny: Callable[[str], Any], photo: np.ndarray) -> None:
    net = tiny("flat")
    trace = cnnviz.trace_class_map(net, photo, 0, 0, "dog")
    maps = cnnviz.activations(net, photo, ["conv2"])["conv2"]
    kernel = np.asarray(net.model.get_layer("scores").kernel)
    assert [float(term.inputs[0, 0]) for term in trace.terms] == maps[0, 0].tolist()
    assert [float(term.weights[0, 0]) for term in trace.terms] == kernel[:, 1].tolist()
    # What all channels of the cell depend on.
    assert (trace.field.box, trace.inputs[0].box) == (Box(0, 0, 5, 5), Box(0, 0, 1, 1))
    predicted = cnnviz.trace_class_map(net, photo, 0, 0)
    assert predicted.target == cnnviz.predict(net, photo).label


@pytest.mark.engines
def test_a_map_of_another_layer(tiny: Callable[[str], Any], photo: np.ndarray) -> None:
    net = tiny("flat")
    cam = cnnviz.class_activation_map(net, photo, "cat", layer="conv1")
    trace = cnnviz.trace_class_map(net, photo, 7, 3, "cat", layer="conv1")
    assert (trace.layer, trace.shape) == ("conv1", (12, 12))
    assert trace.value == pytest.approx(cam.values[7, 3], abs=1e-5 * trace.largest)
    # Of the layer that is averaged all methods fit.
    averaged = cnnviz.class_activation_map(net, photo, "cat", layer="conv2")
    trace = cnnviz.trace_class_map(net, photo, 2, 3, "cat", layer="conv2")
    assert trace.value == pytest.approx(averaged.values[2, 3], abs=1e-5 * trace.largest)
    assert averaged.method == "cam"


def test_a_cell_of_a_difference(tiny: Callable[[str], Any], photo: np.ndarray) -> None:
    net = tiny("flat")
    kernel = np.asarray(net.model.get_layer("scores").kernel)
    trace = cnnviz.trace_class_map(net, photo, 0, 0, "dog", against="owl")
    weights = [float(term.weights[0, 0]) for term in trace.terms]
    assert weights == pytest.approx((kernel[:, 1] - kernel[:, 2]).tolist())
    assert trace.note.endswith("Here “dog” is set against “owl”.")


def test_what_cannot_be_traced(tiny: Callable[[str], Any], photo: np.ndarray) -> None:
    net = tiny("flat")
    with pytest.raises(TargetError, match="has 6 rows, counted from 0. Received: row 6"):
        cnnviz.trace_class_map(net, photo, 6, 0)
    with pytest.raises(TargetError, match="'cam' reads the layer 'conv2'.* use 'grad-cam'"):
        cnnviz.trace_class_map(net, photo, 0, 0, method="cam", layer="conv1")
    with pytest.raises(TargetError, match="'random' is drawn by chance"):
        cnnviz.trace_class_map(net, photo, 0, 0, method="random")
    with pytest.raises(TargetError, match="'cat' cannot be set against itself"):
        cnnviz.trace_class_map(net, photo, 0, 0, "cat", against=0)
    with pytest.raises(TargetError, match="no class 'horse'"):
        cnnviz.trace_class_map(net, photo, 0, 0, "horse")
    with pytest.raises(LayerError, match="one number a channel"):
        cnnviz.trace_class_map(net, photo, 0, 0, layer="average")
