"""The weights of convolutions: kernels, biases and their statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import largest_magnitude, normalise
from cnnviz.errors import LayerError
from cnnviz.layers import find
from cnnviz.loading import Network

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class WeightStatistics:
    """minimum, maximum, mean, norm and sparsity, each (C_out,) per filter or () per layer.

    Attributes:
        norm: Euclidean norm.
        sparsity: the share of weights that are exactly zero, 0 to 1.
    """

    minimum: Floats
    maximum: Floats
    mean: Floats
    norm: Floats
    sparsity: Floats


@dataclass(frozen=True)
class Filters:
    """A convolution's kernels (kh, kw, C_in, C_out) and biases (C_out,), float32.

    Attributes:
        layer: the layer's path.
        kind: the layer's class.
        kernels: a depthwise convolution's (kh, kw, C, m) come as (kh, kw, 1, C·m), since each
            filter looks at one channel only.
        biases: None where the layer has none.
        pointwise: a separable convolution's second kernels (1, 1, C·m, C_out), else None;
            the biases belong to these.
        per_filter: statistics of each filter.
        per_layer: statistics of all kernels together.
    """

    layer: str
    kind: str
    kernels: Floats
    biases: Floats | None
    pointwise: Floats | None
    per_filter: WeightStatistics
    per_layer: WeightStatistics


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
    pointwise = None
    if hasattr(found, "depthwise_kernel"):
        kernels = _numbers(found.depthwise_kernel)
        kernels = kernels.reshape(*kernels.shape[:2], 1, -1)
        pointwise = _numbers(getattr(found, "pointwise_kernel", None))
    elif hasattr(found, "kernel") and len(found.kernel.shape) == 4:
        kernels = _numbers(found.kernel)
        if kind == "Conv2DTranspose":
            # Keras keeps these as (kh, kw, C_out, C_in).
            kernels = kernels.swapaxes(2, 3)
    else:
        convolutions = [info.path for info in network.layers if info.kernel_shape]
        raise LayerError(
            f"The layer {layer!r} is a {kind} and has no filters: only convolutions have. "
            f"This network's are: {', '.join(convolutions[:5]) or 'none'}"
            f"{', …' if len(convolutions) > 5 else '.'}"
        )
    return Filters(
        layer,
        kind,
        kernels,
        _numbers(found.bias),
        pointwise,
        _statistics(kernels, axis=(0, 1, 2)),
        _statistics(kernels, axis=None),
    )


def scale_filters(kernels: Floats, scaling: str = "layer") -> Floats:
    """Scales kernels (kh, kw, C_in, C_out) for the eye; same shape.

    Args:
        kernels: the raw weights.
        scaling: ``layer`` gives 0 to 1 over the whole layer, ``filter`` 0 to 1 within each
            filter, ``symmetric`` -1 to 1 with zero kept at zero.

    Raises:
        ValueError: another scaling.
    """
    if scaling == "layer":
        return normalise(kernels)
    if scaling == "filter":
        return np.stack([normalise(one) for one in np.moveaxis(kernels, -1, 0)], axis=-1)
    if scaling == "symmetric":
        return kernels / (largest_magnitude(kernels) or 1)
    raise ValueError(
        f"Expected scaling to be 'layer', 'filter' or 'symmetric'. Received: {scaling!r}"
    )


def _numbers(weight: object) -> Floats | None:
    return None if weight is None else np.asarray(weight, dtype=np.float32)


def _statistics(kernels: Floats, axis: tuple[int, ...] | None) -> WeightStatistics:
    return WeightStatistics(
        kernels.min(axis=axis),
        kernels.max(axis=axis),
        kernels.mean(axis=axis),
        np.sqrt(np.square(kernels).sum(axis=axis)),
        np.mean(kernels == 0, axis=axis),
    )
