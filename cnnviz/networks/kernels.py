"""The weights of convolutions: kernels, biases and their statistics."""

from __future__ import annotations

import numpy as np

from cnnviz.errors import LayerError
from cnnviz.networks.layers import find, kernel_shape
from cnnviz.networks.loading import Network
from cnnviz.results import Filters, Floats, WeightStatistics


def filters(network: Network, layer: str) -> Filters:
    """The kernels, biases and statistics of a convolution.

    Args:
        network: the network.
        layer: path of a Conv2D, Conv2DTranspose, DepthwiseConv2D or SeparableConv2D.

    Raises:
        LayerError: the layer does not exist, or is not a convolution.
    """
    found = find(network.model, layer)
    kind = type(found).__name__
    shape = kernel_shape(found)
    if shape is None:
        convolutions = [info.path for info in network.layers if info.kernel_shape]
        raise LayerError(
            f"The layer {layer!r} is a {kind} and has no filters: only convolutions have. "
            f"This network's are: {', '.join(convolutions[:5]) or 'none'}"
            f"{', …' if len(convolutions) > 5 else '.'}"
        )
    weights = found.depthwise_kernel if kind == "SeparableConv2D" else found.kernel
    # Keras keeps a transposed convolution's as (kh, kw, C_out, C_in).
    kernels = _numbers(weights)
    kernels = kernels.swapaxes(2, 3) if kind == "Conv2DTranspose" else kernels.reshape(shape)
    return Filters(
        layer,
        kind,
        kernels,
        _numbers_or_none(found.bias),
        _numbers_or_none(getattr(found, "pointwise_kernel", None)),
        _statistics(kernels, axis=(0, 1, 2)),
        _statistics(kernels, axis=None),
    )


def _numbers(weight: object) -> Floats:
    return np.asarray(weight, dtype=np.float32)


def _numbers_or_none(weight: object) -> Floats | None:
    return None if weight is None else _numbers(weight)


def _statistics(kernels: Floats, axis: tuple[int, ...] | None) -> WeightStatistics:
    # Weights that are no numbers have statistics that are none, which is no news.
    with np.errstate(invalid="ignore", over="ignore"):
        return WeightStatistics(
            kernels.min(axis=axis),
            kernels.max(axis=axis),
            kernels.mean(axis=axis),
            np.sqrt(np.square(kernels).sum(axis=axis)),
            np.mean(kernels == 0, axis=axis),
        )
