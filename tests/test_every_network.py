"""Every answer about every small network, against an independent oracle.

A network is built and traced once; all its checks then share what was compiled. The oracle is the
model as Keras runs it, operation by operation. The answers are checked once from each engine.
Files beside this one hold the cases that are worked out by hand.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from corpus import builders, compatibility, converted
from corpus.oracles import Snapshot, eager_outputs
from corpus.photos import random_photo

import cnnviz
from cnnviz.attribution.methods import AVERAGED_MAPS, MANY_PASSES, METHODS
from cnnviz.attribution.outlines import prepare
from cnnviz.errors import LayerError
from cnnviz.networks import linear_heads, passes
from cnnviz.networks.engines import tensorflow
from cnnviz.networks.engines.conversion import NotConvertedError
from cnnviz.networks.keras_models import describe_model, find, walk
from cnnviz.photos.preprocessing import network_input
from cnnviz.results import Filters

# Name of the network: activation, dense layer, averaged maps, last maps (as patterns).
HEADS = {
    "activation_layer": ("softmax", "scores", "conv2", "conv2"),
    "all_convolutional": ("softmax", None, "class_maps", "class_maps"),
    "attention": ("softmax", "scores", None, "patches"),
    "augmented": ("softmax", "scores", "conv2", "conv2"),
    "averaged_class_maps": ("linear", None, "class_maps", "class_maps"),
    "averaged_softmax_maps": ("combined", None, "class_maps", "class_maps"),
    "averaged_probabilities": ("combined", None, None, "(first|second)_conv"),
    "backbone_in_backbone": ("softmax", "scores", "outer/act", "outer/act"),
    "brain_floats": ("softmax", "scores", "act", "act"),
    "called_sequential": ("softmax", "scores", "act", "act"),
    "channels_first": ("softmax", "scores", "transpose", "transpose"),
    "channels_first_maps": ("linear", None, "class_maps", "class_maps"),
    "convolutions": ("softmax", "scores", "dilated", "dilated"),
    "dense_after_flatten": ("softmax", "scores", None, "conv2"),
    "dropouts_before_dense": ("softmax", "scores", "conv2", "conv2"),
    "ends_in_operations": ("softmax", "scores", None, r"relu(_\d+)?"),
    "flat": ("softmax", "scores", "conv2", "conv2"),
    "flattened_scores": ("softmax", "scores", "conv2", "conv2"),
    "float32_tail": ("softmax", "scores", "conv2", "conv2"),
    "four_channels": ("softmax", "scores", "conv2", "conv2"),
    "free_size": ("softmax", "scores", "conv2", "conv2"),
    "global_maximum": ("softmax", "scores", None, "conv2"),
    "grey": ("softmax", "scores", "conv2", "conv2"),
    "hidden_dense": ("softmax", "scores", None, "conv2"),
    "kept_axes": ("softmax", "scores", "conv2", "conv2"),
    "linear_logits": ("linear", "scores", "conv2", "conv2"),
    "logit_maps": ("linear", None, "class_maps", "class_maps"),
    "many_sigmoids": ("sigmoid", "scores", "conv2", "conv2"),
    "mean_operation": ("softmax", "scores", "conv2", "conv2"),
    "mixed_precision": ("softmax", "scores", "conv2", "conv2"),
    "named_output": ("softmax", "scores", "conv2", "conv2"),
    "nested_functional": ("softmax", "scores", "joined", "joined"),
    "nested_sequential": ("softmax", "scores", "backbone/conv_b", "backbone/conv_b"),
    "normalised": ("softmax", "scores", "conv2", "conv2"),
    "one_place": ("softmax", None, None, "conv2"),
    "one_sigmoid_map": ("combined", None, "class_maps", "class_maps"),
    "one_logit": ("linear", "scores", "conv2", "conv2"),
    "one_sigmoid": ("sigmoid", "scores", "conv2", "conv2"),
    "one_unit_after_flatten": ("sigmoid", "scores", None, "conv2"),
    "rectified_scores": ("softmax", None, None, "conv2"),
    "rescaled": ("softmax", "scores", "act", "act"),
    "reshaped_maps": ("softmax", ".*", "recut", "recut"),
    "several_outputs": ("softmax", "scores", "conv2", "conv2"),
    "shared_head": ("softmax", "end#1/scores", "dimmed", "dimmed"),
    "shared_layer": ("softmax", "scores", "difference", "difference"),
    "skip_connections": ("softmax", "scores", r"add(_\d+)?", r"add(_\d+)?"),
    "softmax_convolution": ("softmax", "scores", "conv2", "conv2"),
    "softmax_layer": ("softmax", "scores", "conv2", "conv2"),
    "softmax_maps": ("combined", None, "class_maps", r"softmax(_\d+)?"),
    "softmax_operation": ("softmax", "scores", "conv2", "conv2"),
    "turned_inside": ("softmax", "scores", "act", "act"),
    "two_classes": ("softmax", "scores", "conv2", "conv2"),
    "two_outputs_inside": ("softmax", "scores", None, "pyramid/coarse"),
    "whole_pooling": ("softmax", "scores", "conv2", "conv2"),
    "wide": ("softmax", "scores", "conv2", "conv2"),
}

# Networks that flatten their last maps into dense layers, and whether one of them is hidden.
FLATTENED = {
    "dense_after_flatten": True,
    "ends_in_operations": False,
    "one_unit_after_flatten": False,
}

# Networks whose scores are means of probabilities, so that no logits exist.
WITHOUT_LOGITS = {
    "averaged_probabilities",
    "averaged_softmax_maps",
    "one_sigmoid_map",
    "softmax_maps",
}


@dataclass(frozen=True)
class Case:
    """A network with a photo, and what the plain model computes from it.

    Attributes:
        output: the scores (1, classes).
        outputs: by the id of each layer its outputs, one for each call.
    """

    name: str
    network: Any
    photo: np.ndarray
    inputs: np.ndarray
    output: np.ndarray
    outputs: dict[int, list[np.ndarray]]

    @property
    def averages_maps(self) -> bool:
        return self.name in builders.AVERAGED

    def rounding(self, single: float, half: float, bfloat: float) -> float:
        """A tolerance for the network's least exact float type."""
        kinds = {layer.compute_dtype for layer in self.network.model.layers}
        return bfloat if "bfloat16" in kinds else half if "float16" in kinds else single

    def explain(self, target: Any = None, **choices: Any) -> Any:
        return cnnviz.class_activation_map(self.network, self.photo, target, **choices)


@functools.cache
def make_case(name: str) -> Case:
    """The network as TensorFlow runs it."""
    network, photo = builders.network(name), random_photo()
    inputs = network_input(photo, network.card.preprocessing)
    output, outputs = eager_outputs(network.model, inputs)
    return Case(name, network, photo, inputs, output, outputs)


# --- Before anything is compiled ------------------------------------------------------------


def check_layers(case: Case) -> None:
    """Paths are unique, lead to their layer, and hold every weight once."""
    model = case.network.model
    paths = [path for path, _ in walk(model)]
    layers = dict(walk(model))
    assert len(layers) == len(paths)
    for path, layer in layers.items():
        assert find(model, path) is layer
    total = sum(info.parameters for info in describe_model(model).layers if not info.nested)
    assert total == model.count_params()


def check_shapes(case: Case) -> None:
    """Listed shapes are those of the real outputs."""
    layers = dict(walk(case.network.model))
    checked = 0
    for info in case.network.layers:
        if id(layers[info.path]) not in case.outputs or not info.output_shape:
            continue
        real = case.outputs[id(layers[info.path])][0].shape
        assert len(real) == len(info.output_shape)
        for listed, size in zip(info.output_shape[1:], real[1:], strict=True):
            assert listed in (None, size), info
        checked += 1
    assert checked >= 4


def check_filters(case: Case) -> None:
    """Every layer with a kernel shape has filters of that shape, and no other layer has any."""
    for info in case.network.layers:
        if info.kernel_shape is None:
            with pytest.raises(LayerError):
                cnnviz.filters(case.network, info.path)
            continue
        filters = cnnviz.filters(case.network, info.path)
        assert isinstance(filters, Filters)
        assert filters.kernels.shape == info.kernel_shape
        assert filters.per_filter.norm.shape == (info.kernel_shape[-1],)
        if filters.biases is not None:
            assert filters.biases.shape == (info.output_shape[-1],)


# --- One view on all layers with maps -------------------------------------------------------


def check_prepared(case: Case) -> None:
    """A prepared network compiles no more for any of its maps."""
    network = case.network
    prepare(network)
    compiled = len(network.compiled)
    for info in network.layers:
        if info.spatial:
            maps = cnnviz.activations(network, case.photo, [info.path])[info.path]
            assert maps.ndim == 3
            assert len(network.compiled) == compiled


def check_head(case: Case) -> None:
    """How the network ends is read from its graph."""
    compare_head(case.name, case.network)


def compare_head(name: str, network: Any) -> None:
    head = passes.facts(network).head
    activation, *patterns = HEADS[name]
    assert head.activation == activation
    paths = (head.dense, head.features, head.last_spatial)
    for pattern, path in zip(patterns, paths, strict=True):
        if pattern is None:
            assert path is None
        else:
            assert re.fullmatch(pattern, str(path)), head
    flattens = name in FLATTENED
    assert head.flattened == (head.last_spatial if flattens else None)
    assert head.hidden == FLATTENED.get(name, False)


def check_output(case: Case) -> None:
    """The compiled output is the plain model's, and the activation of the logits."""
    values, head = passes.forward(case.network, case.inputs), passes.facts(case.network).head
    output = values.output
    tolerance = case.rounding(1e-5, 3e-3, 3e-2)
    np.testing.assert_allclose(output, case.output, rtol=0, atol=tolerance)
    if values.logits is None:
        assert case.name in WITHOUT_LOGITS
        return
    logits = values.logits[0].astype(np.float64)
    powers = np.exp(logits - logits.max())
    expected = {
        "softmax": powers / powers.sum(),
        "sigmoid": 1 / (1 + np.exp(-logits)),
        "linear": logits,
    }[head.activation]
    np.testing.assert_allclose(output[0], expected, rtol=0, atol=tolerance)


def check_features(case: Case) -> None:
    """The means of the maps named `features`, times the dense weights, are the logits."""
    if not case.averages_maps:
        return
    values, head = passes.forward(case.network, case.inputs), passes.facts(case.network).head
    logits = values.features[0].mean(axis=(0, 1))
    if head.dense:
        name = head.dense.rpartition("/")[2]
        kernel, bias = next(
            (np.asarray(weight) for weight in layer.weights)
            for layer in case.network.model._flatten_layers()
            if layer.name == name
        )
        # A 1×1 convolution takes the place of a dense layer: (1, 1, K, C).
        logits = logits @ kernel.reshape(-1, kernel.shape[-1]) + bias
    tolerance = case.rounding(1e-5, 3e-3, 3e-2)
    np.testing.assert_allclose(values.logits[0], logits, rtol=1e-4, atol=tolerance)


def check_prediction(case: Case) -> None:
    """Probabilities by label; the largest where the plain model's output is largest."""
    prediction = cnnviz.predict(case.network, case.photo)
    labels = case.network.card.labels
    assert prediction.labels == tuple(labels)
    assert prediction.probabilities.shape == (len(labels),)
    assert ((prediction.probabilities >= 0) & (prediction.probabilities <= 1)).all()
    if case.output.shape[1] > 1:
        assert prediction.index == case.output[0].argmax()


def check_document(case: Case) -> None:
    """The row in docs/tables/compatibility.md; probabilities are those of Keras's `predict`."""
    assert compatibility.small_row(case.name) in compatibility.documented(), compatibility.OUTDATED


# --- Class activation maps ------------------------------------------------------------------


def check_maps(case: Case) -> None:
    """Each method that fits: shape, type, finite values and the names it gives."""
    network = case.network
    methods = cnnviz.methods(network)
    averages = case.name in builders.AVERAGED + builders.AVERAGED_PROBABILITIES
    expected = [key for key in METHODS if averages or key not in AVERAGED_MAPS]
    assert sorted(methods) == sorted(expected)
    assert methods[0] == ("hires-cam" if case.name in FLATTENED else expected[0])
    labels = network.card.labels
    assert case.explain().target == cnnviz.predict(network, case.photo).label
    shapes: dict[str, tuple[int, ...]] = {}
    for method in (key for key in methods if key not in MANY_PASSES):
        maps = cnnviz.explain(network, case.photo, [0, labels[-1]], method=method).maps
        assert [cam.target for cam in maps] == [labels[0], labels[-1]]
        for cam in maps:
            if cam.layer not in shapes:
                output = cnnviz.activations(network, case.photo, [cam.layer])[cam.layer]
                shapes[cam.layer] = output.shape[:2]
            assert cam.values.shape == shapes[cam.layer]
            assert cam.values.dtype == np.float32
            assert np.isfinite(cam.values).all()
            assert np.isfinite(cam.score)
            assert cam.method == method
            assert cam.of_class == METHODS[method].of_class
            assert (cam.against is not None) == (METHODS[method].against == "nearest")
            assert cam.aggregate == METHODS[method].aggregate
            check_sum(case, cam)


def check_sum(case: Case, cam: cnnviz.ClassActivationMap) -> None:
    """Where a map has a bias, its cells and the bias make up the score."""
    if cam.bias is None:
        assert METHODS[cam.method].aggregate == "sum"
        assert case.name not in FLATTENED or cam.method != "hires-cam" or FLATTENED[case.name]
        return
    combine = np.mean if cam.aggregate == "mean" else np.sum
    total = float(combine(cam.values, dtype=np.float64)) + cam.bias
    slack = case.rounding(2e-5, 5e-3, 5e-2) * max(1, abs(cam.score))
    assert total == pytest.approx(cam.score, abs=slack)


def check_identities(case: Case) -> None:
    """Mean of the map + bias = logit; Grad-CAM × cells = the map of the dense weights.

    At the averaged maps the gradient of the logit is the dense weight over the number of cells.
    """
    if not case.averages_maps:
        return
    slack = case.rounding(2e-5, 5e-3, 5e-2)
    logits = cnnviz.predict(case.network, case.photo).logits
    assert logits is not None
    for index, label in enumerate(case.network.card.labels):
        cam = case.explain(label)
        assert cam.bias is not None
        total = cam.values.mean(dtype=np.float64) + cam.bias
        assert total == pytest.approx(logits[index], abs=slack * max(1, abs(logits[index])))
        assert cam.score == pytest.approx(total, abs=1e-6)

        gradients = case.explain(label, method="grad-cam")
        if gradients.layer != cam.layer:
            gradients = case.explain(label, method="grad-cam", layer=cam.layer)
        scale = max(1, np.abs(cam.values).max())
        product = gradients.values * cam.values.size
        np.testing.assert_allclose(product, cam.values, rtol=0, atol=slack * scale)


def check_gradients(case: Case) -> None:
    """Those that the weights at the end give are TensorFlow's; ``case`` is a converted network."""
    network, head = case.network, passes.facts(case.network).head
    ends = {path for path in (head.features, head.flattened) if path}
    known = [path for path in ends if linear_heads.weighs(head, frozenset({path}))]
    assert bool(known) == (case.averages_maps or case.name in FLATTENED)
    rng = np.random.default_rng(3)
    noise = rng.random(case.inputs.shape, np.float32) * case.inputs.max()
    targets = (None, 0, len(network.card.labels) - 1)
    for path, inputs, target in itertools.product(known, (case.inputs, noise), targets):
        actual = passes.backward(network, inputs, [path], target)
        expected = tensorflow.backward(
            builders.network(case.name), inputs, frozenset({path}), target
        )
        pairs = [(actual.scores, expected.scores), (actual.layers[path], expected.layers[path])]
        for ours, theirs in [*pairs, (actual.gradients[path], expected.gradients[path])]:
            assert ours.shape == theirs.shape
            slack = 1e-5 * max(1, np.abs(theirs).max())
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=slack, err_msg=path)
        assert np.abs(expected.gradients[path]).max() > 1e-4


def check_traces(case: Case) -> None:
    """To the last bit those with Keras's weights; ``case`` is a converted network.

    Of the last layer, of one in the middle, and of the map of a class.
    """
    alone = converted.without_keras(case.network)
    keras_s = converted.with_weights_of_keras(case.network)
    nodes = list(passes.facts(alone).topology.nodes.values())
    # The mean of a fully convolutional network's scores is no layer.
    nodes = [node for node in nodes if node.grid and node.path]
    for node in (nodes[len(nodes) // 2], nodes[-1]):
        cell = [side // 2 for side in node.grid]
        trace, expected = (
            cnnviz.trace_value(network, case.photo, node.path, *cell)
            for network in (alone, keras_s)
        )
        assert converted.as_text(trace) == converted.as_text(expected)
        assert trace.result == pytest.approx(trace.value, abs=1e-5 * trace.largest)
    if case.averages_maps or case.name in FLATTENED:
        trace, expected = (
            cnnviz.trace_class_map(network, case.photo, 0, 0, case.network.card.labels[0])
            for network in (alone, keras_s)
        )
        assert converted.as_text(trace) == converted.as_text(expected)


# --- One view on all layers -----------------------------------------------------------------


def check_activations(case: Case) -> None:
    """All layers with one output, nested ones included, from one call."""
    layers = {
        path: layer
        for path, layer in walk(case.network.model)
        if id(layer) in case.outputs and path != "pyramid"
    }
    assert len(layers) >= 4
    activations = cnnviz.activations(case.network, case.photo, layers)
    assert list(activations) == list(layers)
    for path, layer in layers.items():
        expected = case.outputs[id(layer)][0][0]
        assert activations[path].dtype == np.float32
        assert activations[path].shape == expected.shape
        slack = {"float16": 5e-3, "bfloat16": 3e-2}.get(expected.dtype.name, 1e-5)
        expected = expected.astype(np.float32)
        slack *= max(1, np.abs(expected).max())
        np.testing.assert_allclose(activations[path], expected, rtol=0, atol=slack, err_msg=path)


Check = Callable[[Case], None]
# What does not depend on the engine.
ABOUT_THE_MODEL: tuple[Check, ...] = (check_layers, check_shapes, check_prepared, check_document)
ANSWERS: tuple[Check, ...] = (
    check_filters,
    check_head,
    check_output,
    check_features,
    check_prediction,
    check_activations,
    check_identities,
    check_maps,
)


@pytest.mark.parametrize("name", sorted(builders.BUILDERS))
def test_every_answer_about_a_network(name: str) -> None:
    """Every check of one network; afterwards neither the photo nor the model has changed."""
    case = make_case(name)
    before, pixels = Snapshot.of(case.network.model), case.photo.copy()
    for check in (*ABOUT_THE_MODEL, *ANSWERS):
        check(case)
    np.testing.assert_array_equal(case.photo, pixels)
    assert Snapshot.of(case.network.model) == before


@pytest.mark.parametrize("name", sorted(set(builders.BUILDERS) - set(builders.HALF_PRECISION)))
def test_every_answer_of_litert(name: str, lite: Callable[[str], Any]) -> None:
    """The same checks; TensorFlow gives gradients alone, where the weights do not show them."""
    # Nothing is compiled for it yet.
    case = replace(make_case(name), network=replace(lite(name), compiled={}))
    for check in (check_gradients, check_traces, *ANSWERS):
        check(case)
        assert check is check_maps or not case.network.compiled, check
    assert all(gradients for gradients, *_ in case.network.compiled)


@pytest.mark.parametrize("name", sorted(builders.HALF_PRECISION))
def test_half_precision_is_left_to_tensorflow(name: str, lite: Callable[[str], Any]) -> None:
    kind = builders.HALF_PRECISION[name]
    with pytest.raises(NotConvertedError, match=f"^it computes in {kind}$"):
        lite(name)


@pytest.mark.parametrize("name", sorted(builders.CHANNEL_ORDERS))
def test_a_network_with_channels_first_and_its_twin(name: str) -> None:
    """`test_channels_first.py` compares all else of these."""
    if name in HEADS:
        compare_head(name, builders.network(name))
    assert compatibility.small_row(name) in compatibility.documented(), compatibility.OUTDATED
