"""Folds batch normalizations into the convolutions before them.

In inference a batch normalization multiplies each channel by a factor and adds an offset. With the
factors in the kernel of the convolution, and the offset as its bias, TensorFlow runs convolution,
bias and activation as one operation, and a gradient has fewer steps, too.

The model is not changed: while a pass is traced, Keras reads the kernels from a `StatelessScope`,
and an addition stands in for the normalization. The folded kernels are copies: a network's passes
share one of each.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnnviz.networks.keras_models import graph_of
from cnnviz.networks.structure import without_call_numbers

# For each kind of convolution the variable whose last axes are the channels of its output.
_KERNELS: dict[type, str] = {
    keras.layers.Conv2D: "kernel",
    keras.layers.DepthwiseConv2D: "kernel",
    keras.layers.SeparableConv2D: "pointwise_kernel",
}

# Of a larger network a second copy of the kernels would take too much memory.
MAX_FOLDED_BYTES = 256 << 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """A convolution whose output only a batch normalization reads.

    Attributes:
        convolution: a layer.
        normalization: a layer.
        path: of the convolution, without numbers of calls; when the two are folded, its output
            is another one.
    """

    convolution: Any
    normalization: Any
    path: str

    @property
    def kernel(self) -> Any:
        """The variable that takes the factors."""
        return getattr(self.convolution, _KERNELS[type(self.convolution)])


@dataclass(frozen=True)
class Folded:
    """What a convolution computes with to give what the normalization after it gives.

    Attributes:
        kernel: a tensor of the kernel's shape.
        offset: (C,) float32.
    """

    kernel: Any
    offset: Any


def pairs(model: keras.Model) -> list[Pair]:
    """The convolutions and normalizations of a model, nested ones included, that may be folded."""
    nodes = list(_nodes(model, ""))
    runs = Counter(node.operation for _, node in nodes)
    # What a model gives is read by others.
    graphs = [
        graph_of(node.operation) for _, node in nodes if isinstance(node.operation, keras.Model)
    ]
    results = [graph.outputs for graph in (graph_of(model), *graphs) if graph]
    read = [node.input_tensors for _, node in nodes]
    reads = Counter(id(tensor) for tensors in read + results for tensor in tensors)
    makers = {id(made): (path, node.operation) for path, node in nodes for made in node.outputs}
    found = []
    for _, node in nodes:
        normalization = node.operation
        if type(normalization) is keras.layers.BatchNormalization and len(node.input_tensors) == 1:
            (tensor,) = node.input_tensors
            path, convolution = makers[id(tensor)]
            once = reads[id(tensor)] == runs[convolution] == runs[normalization] == 1
            if once and _fit(convolution, normalization):
                found.append(Pair(convolution, normalization, path))
    return found


def usable(
    candidates: list[Pair], layers: frozenset[str], kept: dict[Pair, Folded | None]
) -> dict[Pair, Folded]:
    """The pairs that a pass over some layers can take folded.

    Args:
        candidates: the pairs of a network.
        layers: layer paths.
        kept: what has been folded before, None for what cannot be; it is completed here.
    """
    asked = {without_call_numbers(path) for path in layers}
    wanted = [pair for pair in candidates if pair.path not in asked]
    if wanted and (new := [pair for pair in candidates if pair not in kept]):
        kept.update(_fold_all(new))
    return {pair: folded for pair in wanted if (folded := kept[pair])}


@contextmanager
def folding(folded: dict[Pair, Folded]) -> Iterator[dict[Any, Callable[[Any], Any]]]:
    """While it is open, Keras computes with the folded kernels in this thread.

    Yields:
        For each normalization the function that stands in for it.
    """
    if not folded:
        yield {}
        return
    values, stand_ins = [], {}
    for pair, now in folded.items():
        # TensorFlow fuses an addition only if it knows the number of channels.
        values.append((pair.kernel, tf.ensure_shape(now.kernel, now.kernel.shape)))
        if pair.convolution.use_bias:
            values.append((pair.convolution.bias, tf.constant(now.offset)))
            stand_ins[pair.normalization] = tf.identity
        else:
            stand_ins[pair.normalization] = _adding(now.offset)
    with keras.StatelessScope(state_mapping=values):
        yield stand_ins


def _nodes(model: keras.Model, prefix: str) -> Iterator[tuple[str, Any]]:
    """The nodes of a model's graph and of those in it, and the path of each one's operation."""
    graph = graph_of(model)
    by_depth = graph._nodes_by_depth if graph else {}
    for node in (node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]):
        path = without_call_numbers(prefix + node.operation.name)
        yield path, node
        if isinstance(node.operation, keras.Model):
            yield from _nodes(node.operation, path + "/")


def _fit(convolution: Any, normalization: Any) -> bool:
    return (
        type(convolution) in _KERNELS
        and convolution.activation is keras.activations.linear
        and convolution.data_format == "channels_last"
        and normalization.axis in {-1, 3}
        # Quantized layers, and those of mixed precision, compute otherwise.
        and convolution.dtype_policy.name == normalization.dtype_policy.name == "float32"
        # With LoRA, the kernel is the sum of several variables.
        and not getattr(convolution, "lora_enabled", False)
    )


def _fold_all(candidates: list[Pair]) -> dict[Pair, Folded | None]:
    """All of a network's pairs folded, or none of them; the log then says why."""
    size = sum(4 * math.prod(pair.kernel.shape) for pair in candidates)
    if size > MAX_FOLDED_BYTES:
        _log.warning("Nothing is folded: a copy of the kernels would take %d MB", size >> 20)
        return dict.fromkeys(candidates)
    folded = {pair: _fold(pair) for pair in candidates}
    # What a fused operation makes of NaN differs, and with it all that follows.
    damaged = [pair.normalization.name for pair in candidates if folded[pair] is None]
    if damaged:
        _log.warning("Nothing is folded: there are values that are not finite: %s", damaged)
        return dict.fromkeys(candidates)
    return folded


def _fold(pair: Pair) -> Folded | None:
    """None where a value is not finite."""
    convolution, normalization = pair.convolution, pair.normalization

    def exact(variable: Any, otherwise: float) -> Any:
        return otherwise if variable is None else np.asarray(variable, np.float64)

    kernel = np.asarray(pair.kernel)
    # Weights may be damaged.
    with np.errstate(all="ignore"):
        deviation = np.sqrt(exact(normalization.moving_variance, 1) + normalization.epsilon)
        factor = exact(normalization.gamma, 1) / deviation
        bias = exact(convolution.bias, 0) - exact(normalization.moving_mean, 0)
        offset = (bias * factor + exact(normalization.beta, 0)).astype(np.float32)
        # The output of a depthwise convolution has several channels for each of its input.
        channels = kernel.shape[-2:] if factor.size > kernel.shape[-1] else kernel.shape[-1:]
        kernel = (kernel * factor.reshape(channels)).astype(np.float32)
    if not (np.isfinite(kernel).all() and np.isfinite(offset).all()):
        return None
    return Folded(tf.constant(kernel), offset)


def _adding(offset: Any) -> Callable[[Any], Any]:
    return lambda tensor: tf.nn.bias_add(tensor, offset)
