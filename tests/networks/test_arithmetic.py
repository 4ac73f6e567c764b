"""The arithmetic of single values: worked out by hand, and the identity on whole networks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.errors import LayerError, TargetError
from cnnviz.networks import passes
from cnnviz.networks.activations import activate
from cnnviz.results import Box
from cnnviz.traces import TraceTerm

SIDE = 6


def network(*layers: Any, side: int = SIDE) -> Any:
    """A network of layers and an average, with all weights set."""
    import keras
    from corpus import builders

    body = [keras.Input((side, side, 3), name="image"), *layers]
    tail = [keras.layers.GlobalAveragePooling2D(name="average"), keras.layers.Dense(3, name="end")]
    model = builders.fill(keras.Sequential([*body, *tail]))
    return cnnviz.network(model, builders.make_card(model))


def total(trace: cnnviz.ValueTrace) -> float:
    """The terms, the rest and the bias."""
    return sum(term.total for term in trace.terms) + trace.rest + (trace.bias or 0.0)


def check_sum(trace: cnnviz.ValueTrace) -> None:
    """The parts give the total, and the total and the steps the value."""
    assert total(trace) == pytest.approx(trace.total, abs=1e-9)
    assert trace.result == pytest.approx(trace.value, abs=1e-5 * trace.largest)
    for term in trace.terms:
        assert term.total == pytest.approx(float((term.inputs * term.weights).sum()))


def test_convolution_normalization_and_activation(photo: np.ndarray) -> None:
    from keras import layers

    net = network(
        layers.Conv2D(4, 3, strides=2, padding="same", name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(6.0, name="act"),
    )
    maps = cnnviz.activations(net, photo, ["image", "conv", "norm", "act"])
    kernel, bias = (np.asarray(weight) for weight in net.model.get_layer("conv").weights)
    trace = cnnviz.trace_value(net, photo, "act", 2, 1, 3)
    # Stride 2, one row of padding after the last: rows 4 to 6, of which the last is padding.
    assert (trace.source, trace.source_kind, trace.combine) == ("conv", "Conv2D", "sum")
    assert [term.channel for term in trace.terms] == [0, 1, 2]
    for term in trace.terms:
        assert (term.layer, term.rows, term.columns) == ("image", (4, 5, 6), (2, 3, 4))
        np.testing.assert_array_equal(term.inputs[2], 0)
        np.testing.assert_array_equal(term.inputs[:2], maps["image"][4:, 2:5, term.channel])
        np.testing.assert_array_equal(term.weights, kernel[:, :, term.channel, 3])
    assert trace.inputs[0].box == Box(2, 4, 5, 6)
    assert trace.bias == pytest.approx(float(bias[3]))
    assert trace.total == pytest.approx(float(maps["conv"][2, 1, 3]), rel=1e-5)
    gamma, beta, mean, variance = (
        float(np.asarray(weight)[3]) for weight in net.model.get_layer("norm").weights
    )
    norm, act = trace.steps
    scale = gamma / np.sqrt(variance + 1e-3)
    assert norm.numbers == pytest.approx({"mean": mean, "scale": scale, "shift": beta})
    assert norm.value == pytest.approx(float(maps["norm"][2, 1, 3]), rel=1e-5)
    assert (act.layer, act.kind, act.numbers) == ("act", "ReLU", {"highest": 6.0})
    assert (trace.others, trace.rest, trace.note) == (0, 0, "")
    check_sum(trace)


@pytest.mark.engines
def test_an_input_cell_leads_one_layer_back(tiny: Callable[[str], Any], photo: np.ndarray) -> None:
    net = tiny("flat")
    trace = cnnviz.trace_value(net, photo, "conv2", 3, 3, 2)
    term = max(trace.terms, key=lambda term: abs(term.total))
    back = cnnviz.trace_value(net, photo, term.layer, term.rows[0], term.columns[1], term.channel)
    assert back.value == term.inputs[0, 1]
    # A maximum: the largest of four cells.
    assert (back.source_kind, back.combine) == ("MaxPooling2D", "maximum")
    assert back.total == back.terms[0].inputs.max() == back.value
    further = back.terms[0]
    first = cnnviz.trace_value(
        net, photo, further.layer, further.rows[0], further.columns[0], further.channel
    )
    assert (first.source, first.terms[0].layer) == ("conv1", "image")
    pixel = cnnviz.trace_value(net, photo, "image", 2, 3, 1)
    assert (pixel.terms, pixel.result) == ((), pixel.value)
    assert "pixel" in pixel.note


def test_of_many_channels_the_ten_that_gave_most_are_ranked(photo: np.ndarray) -> None:
    from keras import layers

    net = network(
        layers.Conv2D(24, 1, activation="tanh", name="wide"),
        layers.Conv2D(2, 1, use_bias=False, name="conv"),
    )
    maps = cnnviz.activations(net, photo, ["wide"])["wide"]
    kernel = np.asarray(net.model.get_layer("conv").kernel)[0, 0, :, 1]
    products = maps[2, 3].astype(float) * kernel
    order = np.argsort(-np.abs(products))
    trace = cnnviz.trace_value(net, photo, "conv", 2, 3, 1)
    assert [term.channel for term in trace.terms] == order[:10].tolist()
    assert [term.total for term in trace.terms] == pytest.approx(products[order[:10]])
    assert trace.others == 14
    assert trace.rest == pytest.approx(products[order[10:]].sum())
    assert trace.bias is None
    check_sum(trace)


def test_a_separable_convolution_is_one_kernel_for_each_channel(photo: np.ndarray) -> None:
    from keras import layers

    net = network(layers.SeparableConv2D(4, 3, depth_multiplier=2, name="separable"))
    depthwise, pointwise = (
        np.asarray(weight) for weight in net.model.get_layer("separable").weights[:2]
    )
    trace = cnnviz.trace_value(net, photo, "separable", 1, 2, 3)
    for channel, term in enumerate(trace.terms):
        both = pointwise[0, 0, 2 * channel : 2 * channel + 2, 3]
        np.testing.assert_allclose(term.weights, depthwise[:, :, channel] @ both, rtol=1e-5)
    assert "depthwise" in trace.note
    check_sum(trace)


def test_a_cell_between_the_strides_of_a_transposed_convolution(photo: np.ndarray) -> None:
    from keras import layers

    net = network(layers.Conv2DTranspose(2, 2, strides=3, name="spread"))
    met, between = (cnnviz.trace_value(net, photo, "spread", row, 3, 1) for row in (4, 5))
    assert [(term.rows, term.columns) for term in met.terms] == [((1,), (1,))] * 3
    # No input reaches there: the bias alone.
    assert [term.total for term in between.terms] == [0] * 3
    assert (between.inputs[0].box, between.field.box) == (None, None)
    for trace in (met, between):
        check_sum(trace)


def test_a_depthwise_filter_has_one_input(photo: np.ndarray) -> None:
    from keras import layers

    net = network(layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"))
    trace = cnnviz.trace_value(net, photo, "depthwise", 0, 0, 5)
    (term,) = trace.terms
    kernel = np.asarray(net.model.get_layer("depthwise").kernel)
    assert term.channel == 2
    np.testing.assert_array_equal(term.weights, kernel[:, :, 2, 1])
    check_sum(trace)


def test_a_mean_at_the_edge_is_of_the_cells_that_are_there(photo: np.ndarray) -> None:
    from keras import layers

    net = network(layers.AveragePooling2D(3, 2, padding="same", name="pool"))
    (term,) = cnnviz.trace_value(net, photo, "pool", 2, 0, 1).terms
    assert (term.rows, term.columns) == ((4, 5), (0, 1, 2))
    np.testing.assert_allclose(term.weights, 1 / 6)


@pytest.mark.engines
def test_averages_scores_and_a_softmax(tiny: Callable[[str], Any], photo: np.ndarray) -> None:
    net = tiny("flat")
    trace = cnnviz.trace_value(net, photo, "scores", 0, 0, 2)
    prediction = cnnviz.predict(net, photo)
    assert trace.total == pytest.approx(prediction.logits[2], rel=1e-5)
    assert trace.result == pytest.approx(prediction.probabilities[2], rel=1e-5)
    assert [step.kind for step in trace.steps] == ["softmax"]
    (term,) = cnnviz.trace_value(net, photo, "average", 0, 0, 4).terms
    assert term.inputs.shape == (6, 6)
    np.testing.assert_allclose(term.weights, 1 / 36)


def test_sums_and_concatenations(tiny: Callable[[str], Any], photo: np.ndarray) -> None:
    added = cnnviz.trace_value(tiny("skip_connections"), photo, "sum", 4, 5, 1)
    assert [(term.layer, term.rows, term.channel) for term in added.terms] == [
        ("stem", (4,), 1),
        ("block1", (4,), 1),
    ]
    check_sum(added)
    joined = cnnviz.trace_value(tiny("nested_functional"), photo, "joined", 4, 5, 6)
    (term,) = joined.terms
    # The second of three branches of four channels.
    assert (term.layer, term.channel, term.total) == ("right/act", 2, joined.value)
    difference = cnnviz.trace_value(tiny("shared_layer"), photo, "difference", 1, 2, 0)
    assert [term.layer for term in difference.terms] == ["twin/conv", "twin#1/conv"]
    assert [float(term.weights[0, 0]) for term in difference.terms] == [1, -1]
    check_sum(difference)
    dimmed = cnnviz.trace_value(tiny("shared_head"), photo, "dimmed", 1, 2, 0)
    assert dimmed.combine == "product"
    assert dimmed.total == pytest.approx(dimmed.terms[0].total * dimmed.terms[1].total)
    # The second factor is one number for all cells.
    assert (dimmed.terms[1].rows, dimmed.terms[1].channel) == ((0,), 0)


def test_what_is_not_spelled_out_says_so(tiny: Callable[[str], Any], photo: np.ndarray) -> None:
    net = tiny("attention")
    trace = cnnviz.trace_value(net, photo, "attention", 4, 0, 1)
    assert "MultiHeadAttention" in trace.note
    assert (trace.terms, trace.result) == ((), trace.value)
    assert (trace.field.pixels, trace.field.exact) == (144, True)
    # All cells of its input were read, so that one can go on from there.
    assert [(one.layer, one.shape, one.box) for one in trace.inputs] == [
        ("row", (9, 1, 8), Box(0, 0, 1, 9))
    ]
    row = cnnviz.trace_value(net, photo, "row", 4, 0, 1)
    assert (row.terms[0].layer, row.terms[0].rows, row.terms[0].columns) == ("patches", (1,), (1,))


def test_a_layer_of_a_class_of_ones_own(photo: np.ndarray) -> None:
    import keras

    class Conv2D(keras.layers.Layer):
        """It has the name of a layer of Keras's, and reverses the rows."""

        def call(self, maps: Any) -> Any:
            return maps[:, ::-1] * 2

    net = network(Conv2D(name="own"), keras.layers.ReLU(name="act"))
    trace = cnnviz.trace_value(net, photo, "act", 1, 2, 0)
    assert "'own', of the kind Conv2D" in trace.note
    assert (trace.source, trace.terms, trace.field.exact) == ("own", (), False)
    assert [step.layer for step in trace.steps] == ["act"]
    assert trace.result == trace.value


# --- Each kind ----------------------------------------------------------------------------------


def test_every_activation_is_computed_as_keras_does() -> None:
    import keras
    from keras import layers

    values = np.linspace(-7, 7, 29).astype(np.float32)
    for name in (
        *("elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "leaky_relu", "linear"),
        *("log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softplus"),
        *("softsign", "tanh"),
    ):
        function = keras.activations.get(name)
        found = [activate(name, {}, float(x), None)[2] for x in values]
        np.testing.assert_allclose(found, np.asarray(function(values)), 1e-5, 1e-6, err_msg=name)
    for layer in (
        layers.ReLU(3.0, negative_slope=0.1, threshold=0.5),
        layers.ReLU(negative_slope=0.2),
        layers.LeakyReLU(0.15),
        layers.ELU(0.7),
    ):
        settings = layer.get_config()
        found = [activate(type(layer).__name__, settings, float(x), None)[2] for x in values]
        np.testing.assert_allclose(found, np.asarray(layer(values)), 1e-5, 1e-6)
    for name in ("softmax", "log_softmax"):
        expected = np.asarray(keras.activations.get(name)(values[None]))[0]
        found = [activate(name, {}, float(x), values)[2] for x in values]
        np.testing.assert_allclose(found, expected, 1e-5, 1e-6)


def test_layers_that_the_other_networks_lack(photo: np.ndarray) -> None:
    """Every cell of each: enlarged, padded, cut, normalized, moved, of one axis."""
    import keras
    from corpus import builders
    from keras import layers

    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = layers.UpSampling2D(2, interpolation="bilinear", name="smooth")(image)
    x = layers.Cropping2D(((1, 2), (3, 1)), name="cut")(x)
    x = layers.ZeroPadding2D(((1, 0), (0, 2)), name="padded")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="prelu")(x)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Conv2DTranspose(4, 3, strides=3, padding="same", name="transposed")(x)
    x = layers.MaxPooling2D(4, 3, padding="same", name="pool")(x)
    x = layers.UpSampling2D((1, 3), interpolation="bilinear", name="wider")(x)
    x = layers.Permute((2, 1, 3), name="turned")(x)
    x = 1.0 - x / np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    x = x[:, ::-1, 1:]
    x = layers.Dense(4, activation="softmax", name="dense")(x)
    x = layers.Conv2D(4, 3, groups=2, dilation_rate=2, padding="same", name="grouped")(x)
    x = layers.Reshape((-1, 4), name="row")(x)
    x = layers.Conv1D(5, 3, padding="causal", activation="gelu", name="conv1d")(x)
    x = layers.MaxPooling1D(2, name="pool1d")(x)
    x = layers.SeparableConv1D(4, 3, name="separable1d")(x)
    x = layers.GlobalMaxPooling1D(name="largest")(x)
    model = builders.fill(keras.Model(image, layers.Dense(3, name="end")(x)))
    net = cnnviz.network(model, builders.make_card(model))
    rng = np.random.default_rng(2)
    nodes = passes.facts(net).topology.nodes
    for node in nodes.values():
        assert node.grid is not None
        corners = [(0, 0, 0), tuple(side - 1 for side in node.grid)]
        inside = [tuple(int(rng.integers(side)) for side in node.grid) for _ in range(4)]
        for cell in corners + inside:
            trace = cnnviz.trace_value(net, photo, node.path, *cell)
            assert trace.result == pytest.approx(trace.value, abs=1e-5 * trace.largest), node
            assert not trace.note or node.path == "image" or "depthwise" in trace.note, node
            assert trace.field.exact, node


@pytest.mark.parametrize(
    "name",
    ["attention", "convolutions", "reshaped_maps", "softmax_convolution", "two_outputs_inside"],
)
def test_a_sample_of_all_networks(name: str) -> None:
    """Values, and pixels outside and inside of fields; the script checks every network."""
    from scripts.check_traces import check

    report = check(name)
    assert report.traced > 5
    assert report.outside > 1
    assert report.inside > 1
    assert report.failures == []


def test_channels_first_give_the_traces_of_channels_last(
    tiny: Callable[[str], Any], photo: np.ndarray
) -> None:
    first, last = tiny("channels_first"), tiny("channels_last_twin")
    nodes = (passes.facts(one).topology.nodes.values() for one in (first, last))
    for node, twin in zip(*nodes, strict=True):
        height, width, channels = node.grid
        cell = height // 2, width // 2, channels - 1
        one = cnnviz.trace_value(first, photo, node.path, *cell)
        other = cnnviz.trace_value(last, photo, twin.path, *cell)
        assert one.result == pytest.approx(one.value, abs=1e-5 * one.largest)
        assert one.result == pytest.approx(other.result, abs=1e-5 * one.largest)
        assert (one.field, one.kind, one.shape) == (other.field, other.kind, other.shape)


# --- As plain data, and what cannot be asked ----------------------------------------------------


def test_a_trace_and_a_topology_are_plain_data(
    tiny: Callable[[str], Any], photo: np.ndarray
) -> None:
    topology = passes.facts(tiny("shared_layer")).topology
    again = json.loads(json.dumps(dataclasses.asdict(topology)))
    assert again["nodes"]["again#1"]["operands"] == ["again"]
    trace = dataclasses.asdict(cnnviz.trace_value(tiny("flat"), photo, "conv2", 0, 0, 0))
    assert json.loads(json.dumps(trace, default=lambda array: array.tolist()))["layer"] == "conv2"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ((6, 0, 0), "has 6 rows, counted from 0. Received: row 6"),
        ((0, -1, 0), "Received: column -1"),
        ((0, 0, 5), "has 5 channels"),
    ],
)
def test_a_cell_that_is_not_there(
    tiny: Callable[[str], Any], photo: np.ndarray, cell: tuple[Any, Any, Any], message: str
) -> None:
    with pytest.raises(TargetError, match=message):
        cnnviz.trace_value(tiny("flat"), photo, "conv2", *cell)


def test_a_layer_that_is_not_there(tiny: Callable[[str], Any], photo: np.ndarray) -> None:
    with pytest.raises(LayerError, match="no layer 'conv9'"):
        cnnviz.trace_value(tiny("flat"), photo, "conv9", 0, 0, 0)
    with pytest.raises(LayerError, match="gives no array of its own"):
        cnnviz.trace_value(tiny("two_outputs_inside"), photo, "pyramid", 0, 0, 0)


def test_terms_of_the_padding_lead_nowhere(photo: np.ndarray) -> None:
    from keras import layers

    net = network(layers.ZeroPadding2D(2, name="padded"))
    trace = cnnviz.trace_value(net, photo, "padded", 0, 0, 1)
    (term,) = trace.terms
    assert isinstance(term, TraceTerm)
    assert (term.rows, term.columns, term.total) == ((-2,), (-2,), 0)
    assert (trace.inputs[0].box, trace.field.box, trace.value) == (None, None, 0)
