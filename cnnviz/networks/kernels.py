"""The weights of convolutions: kernels, biases and their statistics."""

from __future__ import annotations

from cnnviz.errors import LayerError
from cnnviz.networks.network import Network
from cnnviz.networks.structure import no_such_layer, without_call_numbers
from cnnviz.networks.weights import layer_weights
from cnnviz.results import Filters, weight_statistics


def filters(network: Network, layer: str) -> Filters:
    """The kernels (kh, kw, C_in, C_out), biases (C_out,) and statistics of a convolution, float32.

    Args:
        network: the network.
        layer: path of a Conv2D, Conv2DTranspose, DepthwiseConv2D or SeparableConv2D.

    Raises:
        LayerError: the layer does not exist, or is not a convolution.
    """
    layers = {info.path: info for info in network.layers}
    info = layers.get(layer) or layers.get(without_call_numbers(layer))
    if info is None:
        raise no_such_layer(layer, layers)
    weights = layer_weights(network, layer) if info.kernel_shape else None
    if info.kernel_shape is None or weights is None:
        convolutions = [info.path for info in network.layers if info.kernel_shape]
        raise LayerError(
            f"The layer {layer!r} is a {info.kind} and has no filters: only convolutions have. "
            f"This network's are: {', '.join(convolutions[:5]) or 'none'}"
            f"{', …' if len(convolutions) > 5 else '.'}"
        )
    # Keras stores that of a transposed convolution as (kh, kw, C_out, C_in).
    if info.kind == "Conv2DTranspose":
        kernels = weights.kernel.swapaxes(2, 3)
    else:
        kernels = weights.kernel.reshape(info.kernel_shape)
    return Filters(
        layer,
        info.kind,
        kernels,
        weights.bias,
        weights.pointwise,
        weight_statistics(kernels, axis=(0, 1, 2)),
        weight_statistics(kernels),
    )
