"""The weights of convolutions: kernels, biases and their statistics."""

from __future__ import annotations

import numpy as np

from cnnviz.arrays import Floats
from cnnviz.errors import LayerError
from cnnviz.networks.network import Network
from cnnviz.networks.structure import find, kernel_shape
from cnnviz.results import Filters, weight_statistics


def filters(network: Network, layer: str) -> Filters:
    """The kernels (kh, kw, C_in, C_out), biases (C_out,) and statistics of a convolution, float32.

    Args:
        network: the network.
        layer: path of a Conv2D, Conv2DTranspose, DepthwiseConv2D or SeparableConv2D.

    Raises:
        LayerError: the layer does not exist, or is not a convolution.
    """
    convolution = find(network.model, layer)
    kind = type(convolution).__name__
    shape = kernel_shape(convolution)
    if shape is None:
        convolutions = [info.path for info in network.layers if info.kernel_shape]
        raise LayerError(
            f"The layer {layer!r} is a {kind} and has no filters: only convolutions have. "
            f"This network's are: {', '.join(convolutions[:5]) or 'none'}"
            f"{', …' if len(convolutions) > 5 else '.'}"
        )
    weights = convolution.depthwise_kernel if kind == "SeparableConv2D" else convolution.kernel
    # Keras stores that of a transposed convolution as (kh, kw, C_out, C_in).
    kernels = _numbers(weights)
    kernels = kernels.swapaxes(2, 3) if kind == "Conv2DTranspose" else kernels.reshape(shape)
    return Filters(
        layer,
        kind,
        kernels,
        _numbers_or_none(convolution.bias),
        _numbers_or_none(getattr(convolution, "pointwise_kernel", None)),
        weight_statistics(kernels, axis=(0, 1, 2)),
        weight_statistics(kernels),
    )


def _numbers(weight: object) -> Floats:
    return np.asarray(weight, dtype=np.float32)


def _numbers_or_none(weight: object) -> Floats | None:
    return None if weight is None else _numbers(weight)
