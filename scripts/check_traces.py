"""Checks the traces of values on every network of the compatibility table.

``python -m scripts.check_traces [--converted] [NAME …]``; without names, on all of them (some
minutes). For values of each network, spread over all its calls, it checks that

- the terms, the rest, the bias and what follows give the value that the network gives;
- pixels outside of the receptive field do not change the value;
- with positive random weights every pixel inside does: its gradient is not zero. Maxima are means
  then, since only the largest input of a maximum counts.

With ``--converted`` the networks are converted, LiteRT gives the values, and Keras is not asked: in
place of the last one it checks that a trace with the weights in the file is, to the last bit, the
one with the weights of Keras.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import cnnviz
from cnnviz.networks import passes
from cnnviz.networks.engines.conversion import NotConvertedError, convert
from cnnviz.networks.network import Network
from cnnviz.networks.receptive_fields import receptive_field
from cnnviz.networks.topology import Node, Topology
from cnnviz.networks.tracing import channels_last, record
from cnnviz.photos.preprocessing import network_input
from cnnviz.traces import ValueTrace
from tests.corpus import builders, compatibility, converted, photos

# Of the largest value of a layer; of half precision, whose layers round to three digits.
TOLERANCE = 1e-5
HALF_TOLERANCE = 1e-2
HALVES = ("brain_floats", "mixed_precision")
# Calls of a network whose gradients are computed; all are traced.
MOST_GRADIENTS = 40
# Where equal branches are subtracted, no pixel counts.
CANCELLING = ("shared_layer",)

SEED = 11

Cell = tuple[int, int, int]


@dataclass
class Report:
    """What was checked on one network, and what failed."""

    traced: int = 0
    outside: int = 0
    inside: int = 0
    same: int = 0
    worst: float = 0.0
    not_spelled_out: set[str] = field(default_factory=set)
    inexact: set[str] = field(default_factory=set)
    not_in_file: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


def traceable(topology: Topology) -> list[Node]:
    # The mean of a fully convolutional network's scores is a call, and has no path.
    return [node for node in topology.nodes.values() if node.grid is not None and node.path]


def random_cell(node: Node, random: np.random.Generator) -> Cell:
    height, width, channels = (int(random.integers(side)) for side in node.grid or ())
    return height, width, channels


def check_values(
    network: Network, photo: NDArray[np.uint8], report: Report, tolerance: float = TOLERANCE
) -> None:
    """Every call: the arithmetic gives the value, and no pixel outside of its field changes it."""
    random = np.random.default_rng(SEED)
    topology = passes.facts(network).topology
    nodes = traceable(topology)
    passes.prepare(network, [node.path for node in nodes])
    inputs = network_input(photo, network.card.preprocessing)
    noise = random.uniform(inputs.min(), inputs.max() + 1, inputs.shape).astype(np.float32)
    for node in nodes:
        cell = random_cell(node, random)
        trace = traced(network, photo, node, cell, report)
        report.traced += 1
        where = f"{node.path!r} ({node.kind}) {cell}"
        largest = trace.largest or 1.0
        error = abs(trace.result - trace.value) / largest
        report.worst = max(report.worst, error)
        if not error <= tolerance:
            report.failures.append(f"{where}: {trace.result} is not {trace.value}")
        if not trace.terms and trace.note and trace.source != topology.source:
            report.not_spelled_out.add(trace.source_kind)
        summed = sum(term.total for term in trace.terms) + trace.rest + (trace.bias or 0.0)
        if trace.combine == "sum" and trace.terms and not np.isclose(summed, trace.total):
            report.failures.append(f"{where}: the terms give {summed}, not {trace.total}")
        if not trace.field.exact:
            report.inexact.add(node.kind)
        pixels, _ = receptive_field(topology, node.path, *cell)
        if pixels.all():
            continue
        changed = np.where(pixels[None, :, :, None], inputs, noise)
        values = passes.forward(network, changed, [node.path]).layers[node.path][0]
        report.outside += 1
        if abs(float(values.reshape(node.grid)[cell]) - trace.value) > 1e-6 * largest:
            report.failures.append(f"{where}: pixels outside of its field change it")


def traced(
    network: Network, photo: NDArray[np.uint8], node: Node, cell: Cell, report: Report
) -> ValueTrace:
    """The trace of a value; of a converted network that of its file beside that of Keras."""
    if network.converted is None:
        return cnnviz.trace_value(network, photo, node.path, *cell)
    keras_s = converted.with_weights_of_keras(network)
    expected = cnnviz.trace_value(keras_s, photo, node.path, *cell)
    try:
        trace = cnnviz.trace_value(converted.without_keras(network), photo, node.path, *cell)
    except converted.KerasAskedError:
        report.not_in_file.add(node.kind)
        return expected
    report.same += 1
    if converted.as_text(trace) != converted.as_text(expected):
        report.failures.append(f"{node.path!r} ({node.kind}) {cell}: not the trace of Keras")
    return trace


def positive(network: Network) -> Network:
    """The network with means for maxima and with positive random weights.

    They are so small that no activation comes to where it is constant; in double precision the
    gradients of deep networks are numbers nevertheless.
    """
    random = np.random.default_rng(SEED)
    text = json.dumps(keras.saving.serialize_keras_object(network.model))
    for kind in ("MaxPooling2D", "GlobalMaxPooling2D"):
        text = text.replace(f'"{kind}"', f'"{kind.replace("Max", "Average")}"')
    for dtype in ("float32", "mixed_float16", "bfloat16"):
        text = text.replace(f'"{dtype}"', f'"{_dtype(network)}"')
    model = keras.saving.deserialize_keras_object(json.loads(text))
    for weight in model.weights:
        values = random.uniform(0.5, 1.5, weight.shape)
        if len(weight.shape) > 1:
            weight.assign(0.3 * values / np.prod(weight.shape[:-1]))
        elif "variance" in weight.path or "gamma" in weight.path:
            weight.assign(values)
        elif "moving_mean" in weight.path:
            weight.assign(np.zeros(weight.shape))
        elif "seed" not in weight.path:
            weight.assign(0.01 * values)
    return cnnviz.network(model, network.card)


def check_gradients(network: Network, photo: NDArray[np.uint8], report: Report) -> None:
    """Calls of the network: just the pixels of a value's field have a gradient."""
    random = np.random.default_rng(SEED)
    network = positive(network)
    topology = passes.facts(network).topology
    nodes = [node for node in traceable(topology) if node.path != topology.source]
    # Bright, so that they are positive however the network scales them.
    shape = network_input(photo, network.card.preprocessing).shape
    brightest = 255 if network.card.preprocessing.scaling == "none" else 1
    inputs = tf.constant(random.uniform(0.8, 1.0, shape) * brightest, _dtype(network))
    cells = {
        node.path: (node, random_cell(node, random))
        for node in nodes[:: -(-len(nodes) // MOST_GRADIENTS)]
    }
    for path, gradient in gradients(network, inputs, cells).items():
        node, cell = cells[path]
        found = np.abs(gradient[0]).max(axis=-1) > 0
        pixels, exact = receptive_field(topology, node.path, *cell)
        report.inside += 1
        if (found & ~pixels).any() or (exact and (pixels & ~found).any()):
            report.failures.append(
                f"{node.path!r} ({node.kind}) {cell}: {np.sum(pixels & ~found)} pixels of "
                f"its field have no gradient, {np.sum(found & ~pixels)} others have one"
            )


def _dtype(network: Network) -> str:
    # TensorFlow has no gradients in double precision with channels first on a processor.
    return "float32" if network.structure.channels_first else "float64"


def gradients(
    network: Network, inputs: Any, cells: dict[str, tuple[Node, Cell]]
) -> dict[str, NDArray[np.float64]]:
    """The gradients (1, h, w, C) of one value of each call, by path."""

    def run(inputs: Any) -> dict[str, Any]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            _, calls = record(network, inputs)
            outputs = {call.path: channels_last(call.output, call.channels_first) for call in calls}
        found = {}
        for path, (node, cell) in cells.items():
            chosen = np.zeros(node.grid or ())
            chosen[cell] = 1
            found[path] = tape.gradient(
                outputs[path],
                inputs,
                tf.constant(chosen.reshape(outputs[path].shape), inputs.dtype),
            )
        return found

    # On a processor TensorFlow computes with channels first only in a graph.
    compiled = tf.function(run) if network.structure.channels_first else run
    return {path: gradient.numpy() for path, gradient in compiled(inputs).items()}


def check(name: str, *, convert_first: bool = False) -> Report:
    """Checks one network of the compatibility table.

    Raises:
        NotConvertedError: it cannot be converted.
    """
    report = Report()
    photo = photos.random_photo()
    if name in compatibility.STOCK_NAMES:
        network = cnnviz.network(compatibility.stock(name), preset="unit")
    else:
        network = builders.network(name)
    tolerance = HALF_TOLERANCE if name in HALVES else TOLERANCE
    if convert_first:
        with tempfile.TemporaryDirectory() as folder:
            lite = replace(network, converted=convert(network, Path(folder)))
            check_values(lite, photo, report, tolerance)
        return report
    check_values(network, photo, report, tolerance)
    if name not in CANCELLING:
        check_gradients(network, photo, report)
    return report


def line(name: str, report: Report) -> str:
    """What was checked on a network."""
    checked = f"{report.inside} from inside"
    if report.same or report.not_in_file:
        checked = f"{report.same} traces with the weights in the file"
    return (
        f"{name}: {report.traced} values, worst error {report.worst:.1e} of the layer's "
        f"largest; {report.outside} fields from outside, {checked}"
    )


def main() -> None:
    """Checks the networks that are named, or all."""
    names = sys.argv[1:]
    convert_first = "--converted" in names
    names = [name for name in names if name != "--converted"]
    failed = 0
    for name in names or [*compatibility.STOCK_NAMES, *builders.NAMES]:
        try:
            report = check(name, convert_first=convert_first)
        except NotConvertedError as error:
            print(f"{name}: not converted, {error}", flush=True)
            continue
        failed += bool(report.failures)
        special = [
            *(f"not spelled out: {kind}" for kind in sorted(report.not_spelled_out)),
            *(f"field not exact: {kind}" for kind in sorted(report.inexact)),
            *(f"weights not in the file: {kind}" for kind in sorted(report.not_in_file)),
        ]
        print(line(name, report), *special, *report.failures, sep="\n    ", flush=True)
    sys.exit(f"{failed} networks failed" if failed else None)


if __name__ == "__main__":
    main()
