"""Runs a network with TensorFlow: every layer's output, and gradients of a class's score.

A pass is compiled once for a set of layers, and kept with the network. Where that network comes
from a file, its batch normalizations are folded into the convolutions before them: see `folding`. A
model in memory may be trained between two questions, so its passes read its variables.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.errors import CnnvizError, ModelError
from cnnviz.networks.engines import folding, gradients
from cnnviz.networks.engines.folding import Folded, Pair
from cnnviz.networks.heads import features, logits, makers, read_head
from cnnviz.networks.network import Network
from cnnviz.networks.structure import no_output
from cnnviz.networks.topology_reader import read_topology
from cnnviz.networks.tracing import Call, channels_last, innermost_calls, record
from cnnviz.networks.values import GraphFacts, PassValues, View

# Values that one operation, and all together, may give for one photo: VGG16 gives 15 million.
MAX_VALUES_OF_ONE_OPERATION = 60_000_000
MAX_VALUES = 400_000_000

# Photos in a batch: on two processors each took longer in batches of 32 than of 8 or 16.
MAX_BATCH_SIZE = 16

# Compiled passes kept for one network: each holds a graph of some megabytes.
_MAX_KEPT = 16

# What a pass gives beside the scores of photos, and the outputs of layers: nothing, or gradients
# at these layers; or it begins with the output of a layer in place of what the photos give there.
PassKind = Literal["forward", "backward", "from"]
# The kind, the layers, and the part of the card.
PassKey = tuple[PassKind, frozenset[str], View]

_log = logging.getLogger(__name__)

_lock = threading.RLock()


def turn_off_rewriting() -> None:
    """Turns off, for this process, the one rewriting of graphs that may take hours.

    TensorFlow's arithmetic rewriting takes twice as long for each further layer that adds a map to
    itself; the shipped networks run as fast without it.
    """
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})


@dataclass(frozen=True)
class CompiledPass:
    """A pass that was traced for some layers.

    Attributes:
        facts: what tracing showed.
        folded: convolutions and batch normalizations; all passes of the network share them.
        by_size: the compiled function for each number of photos in a batch.
        trace: makes that function for another number of photos.
    """

    facts: GraphFacts
    folded: dict[Pair, Folded | None] = field(repr=False)
    by_size: dict[int, Any] = field(repr=False)
    trace: Callable[[int], Any] = field(repr=False)

    def run(self, inputs: NDArray[np.float32], *more: NDArray[Any]) -> dict[str, Any]:
        """Runs it on (N, h, w, C), and what else its kind takes: targets (N,), or maps."""
        with _lock:
            if len(inputs) not in self.by_size:
                self.by_size[len(inputs)] = self.trace(len(inputs))
            function = self.by_size[len(inputs)]
        return function(tf.constant(inputs, tf.float32), *map(tf.constant, more))


def facts(network: Network) -> GraphFacts:
    """What any compiled pass of the network knows of its graph."""
    with _lock:
        view = network.view
        kept = (kept for key, kept in network.compiled.items() if key[2] == view)
        return (next(kept, None) or compiled_pass(network, frozenset())).facts


def forward(network: Network, inputs: NDArray[np.float32], layers: frozenset[str]) -> PassValues:
    """See ``passes.forward``."""
    values = compiled_pass(network, layers).run(inputs)
    return _as_arrays(values, layers)


def backward(
    network: Network,
    inputs: NDArray[np.float32],
    layers: frozenset[str],
    target: int | NDArray[np.integer] | None,
) -> PassValues:
    """See ``passes.backward``."""
    compiled = compiled_pass(network, layers, "backward")
    targets = np.full(len(inputs), -1 if target is None else target, np.int32)
    return _as_arrays(compiled.run(inputs, targets), layers)


def forward_from(
    network: Network, inputs: NDArray[np.float32], layer: str, maps: NDArray[np.float32]
) -> PassValues:
    """See ``passes.forward_from``."""
    compiled = compiled_pass(network, frozenset({layer}), "from")
    return _as_arrays(compiled.run(inputs, maps), frozenset())


def prepare(network: Network, layers: frozenset[str]) -> None:
    """See ``passes.prepare``."""
    compiled_pass(network, layers)


def compiled_pass(
    network: Network, layers: frozenset[str], kind: PassKind = "forward"
) -> CompiledPass:
    """The pass for these layers: compiled once, then kept with the network.

    A kept pass that covers the layers is used again: to run it costs a few milliseconds more,
    to compile another one about a second. One that begins with a layer fits that layer alone.

    Raises:
        LayerError: a path does not exist or is never run.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    with _lock:
        kept = network.compiled
        view = network.view
        covering = [key for key in kept if (key[0], key[2]) == (kind, view) and layers <= key[1]]
        if covering:
            key = min(covering, key=lambda key: len(key[1]))
            # Last in the order of use: the first is dropped when there are too many.
            kept[key] = kept.pop(key)
            return kept[key]
        if len(kept) >= _MAX_KEPT:
            del kept[next(iter(kept))]
        kept[kind, layers, view] = _compile(network, layers, kind)
        return kept[kind, layers, view]


def _as_arrays(values: dict[str, Any], layers: frozenset[str]) -> PassValues:
    """The values as NumPy arrays; of the layers only those that were asked for."""

    def array(name: str) -> Floats | None:
        return values[name].numpy() if name in values else None

    return PassValues(
        values["output"].numpy(),
        array("logits"),
        array("features"),
        {path: values["layers"][path].numpy() for path in layers},
        array("scores"),
        {path: values["gradients"][path].numpy() for path in layers if "gradients" in values},
    )


def _compile(network: Network, layers: frozenset[str], kind: PassKind) -> CompiledPass:
    """A pass in which all batch normalizations are folded that can be."""
    shared = next((kept.folded for kept in network.compiled.values()), {})
    # Keras must not load it while a pass is traced: its weights would stay without values.
    model = network.model
    # A model in memory may be trained before the pass is run again.
    pairs = folding.pairs(model) if network.path else []
    folded = folding.usable(pairs, layers, shared)
    compiled = _trace(network, layers, folded, kind)
    return dataclasses.replace(compiled, folded=shared)


def _trace(
    network: Network, layers: frozenset[str], folded: dict[Pair, Folded], kind: PassKind
) -> CompiledPass:
    graph_facts: list[GraphFacts] = []

    @tf.function(autograph=False)
    def run(inputs: Any, *more: Any) -> dict[str, Any]:
        given = dict(zip(layers, more, strict=True)) if kind == "from" else {}
        # Inside a scope of its own TensorFlow also takes names that begin with an underscore.
        with (
            tf.name_scope("network"),
            gradients.quick_gradients(inputs.graph),
            folding.folding(folded) as stand_ins,
        ):
            values, calls = forward_values(network, inputs, layers, stand_ins, given)
        # The first trace is for one photo; another one for a batch of them.
        if not graph_facts:
            batch_size = _batch_size(network, _check_size(calls))
            graph_facts.append(
                GraphFacts(
                    read_head(calls, values["output"]),
                    makers(calls),
                    batch_size,
                    read_topology(calls),
                )
            )
        if kind == "backward":
            values |= _gradients(values, *more)
        channels_first = {call.path: call.channels_first for call in calls}
        for maps in (values["layers"], values.get("gradients", {})):
            maps.update({path: channels_last(maps[path], channels_first[path]) for path in maps})
        return keras.tree.map_structure(lambda tensor: tf.cast(tensor, tf.float32), values)

    def trace_for(size: int) -> Any:
        photos = tf.TensorSpec((size, *network.view[1:]), tf.float32)
        more = {
            "forward": [],
            "backward": [tf.TensorSpec((size,), tf.int32)],
            "from": [tf.TensorSpec((size, None, None, None), tf.float32)],
        }
        return run.get_concrete_function(photos, *more[kind])

    try:
        by_size = {1: trace_for(1)}
    except CnnvizError:
        raise
    # TensorFlow's own messages hold code and paths.
    except Exception as error:
        _log.warning("TensorFlow could not trace %s", network.card.title, exc_info=error)
        raise ModelError(
            f"TensorFlow cannot run this network on a picture of {network.view[1:]} (height, "
            "width, channels): the picture may be too small or too large for its layers."
        ) from error
    return CompiledPass(graph_facts[0], {}, by_size, trace_for)


def _check_size(calls: list[Call]) -> int:
    """Refuses what would need all of a machine's memory, before anything is computed.

    Returns:
        How many values all operations together give for one photo.

    Raises:
        ModelError: one operation, or all together, give too many values for one photo.
    """
    shapes = [getattr(call.output, "shape", None) for call in innermost_calls(calls)]
    sizes = [shape.num_elements() or 0 for shape in shapes if shape is not None]
    if max(sizes, default=0) > MAX_VALUES_OF_ONE_OPERATION or sum(sizes) > MAX_VALUES:
        raise ModelError(
            f"The layers of this network give {sum(sizes) / 1e6:,.0f} million values, "
            f"one of them {max(sizes) / 1e6:,.0f} million; at most {MAX_VALUES / 1e6:,.0f} and "
            f"{MAX_VALUES_OF_ONE_OPERATION / 1e6:,.0f} million can be shown. A smaller picture may "
            "help."
        )
    return sum(sizes)


def _batch_size(network: Network, values: int) -> int:
    """How many photos of so many values each make a batch."""
    # A model may have been built for batches of one size only.
    if network.model.inputs[0].shape[0] is not None:
        return 1
    return max(1, min(MAX_BATCH_SIZE, MAX_VALUES // max(values, 1)))


def forward_values(
    network: Network,
    inputs: Any,
    layers: frozenset[str],
    stand_ins: dict[Any, Callable[[Any], Any]],
    given: dict[str, Any],
) -> tuple[dict[str, Any], list[Call]]:
    """What a pass gives for inputs (N, h, w, C), as tensors by name, and the recorded calls.

    Args:
        network: the network.
        inputs: a tensor.
        layers: paths of the layers whose outputs are wanted.
        stand_ins: as in ``tracing.record``.
        given: as in ``tracing.record``.

    Raises:
        LayerError: a path does not exist or is never run, or the network is a subclassed model.
    """
    output, calls = record(network, inputs, stand_ins, given)
    head = read_head(calls, output)
    outputs = {call.path: call.output for call in calls}
    for path in sorted(layers):
        if not hasattr(outputs.get(path), "shape"):
            raise no_output(path, (layer.path for layer in network.layers))
    values = {
        "output": output,
        "layers": {path: outputs[path] for path in layers},
        "logits": logits(calls, output, head),
        "features": features(calls, head),
    }
    return {name: value for name, value in values.items() if value is not None}, calls


def _gradients(values: dict[str, Any], target: Any) -> dict[str, Any]:
    """The score of a class, and its gradients with respect to the layers' outputs."""
    answers = values.get("logits", values["output"])
    likely = tf.argmax(values["output"], axis=1, output_type=tf.int32)
    if answers.shape[1] == 1:
        linear = values.get("logits") is values["output"]
        likely = tf.cast(values["output"][:, 0] > (0.0 if linear else 0.5), tf.int32)
        opposite = -answers if "logits" in values else 1 - answers
        answers = tf.concat([opposite, answers], axis=1)
    scores = tf.gather(answers, tf.where(target < 0, likely, target), axis=1, batch_dims=1)
    layers = values["layers"]
    # A tape would also trace the gradients of all weights, and of the layers before these.
    of_layers = tf.gradients(
        scores, list(layers.values()), unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return {"scores": scores, "gradients": dict(zip(layers, of_layers, strict=True))}
