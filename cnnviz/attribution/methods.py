"""Class activation maps: each method is plain arithmetic on arrays; maps stay raw and signed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnnviz.arrays import largest_magnitude
from cnnviz.results import Floats

METHODS = {
    "cam": "Class activation map",
    "contrastive-cam": "Contrastive class activation map",
    "grad-cam": "Grad-CAM",
}


def class_activation_map(features: Floats, weights: Floats) -> Floats:
    """CAM (Zhou et al. 2016): the maps weighed by the dense weights of a class.

    M(x, y) = Σ_k w_k A_k(x, y). The mean of M plus the class's bias is the class's logit.

    Args:
        features: (..., h, w, K) maps that are averaged straight into the dense layer.
        weights: (K,) the dense layer's weights for the class.

    Returns:
        (..., h, w)

    Example:
        >>> features = np.array([[[1.0, 0.0], [0.0, 2.0]]])
        >>> class_activation_map(features, np.array([3.0, -1.0]))
        array([[ 3., -2.]])
    """
    # Not a matrix product: OpenBLAS now and then warns of a NaN in cells that it only pads with.
    return np.einsum("...k,k->...", features, weights)


def contrastive_weights(weights: Floats, target: int) -> Floats:
    """Weights for the evidence for a class less the mean evidence for the others.

    With two classes the mean of the others is the other class.

    Args:
        weights: (K, C) dense weights, or (C,) biases.
        target: the class.

    Returns:
        (K,), or () for biases.
    """
    others = np.delete(weights, target, axis=-1)
    return weights[..., target] - others.mean(axis=-1)


def grad_cam(activations: Floats, gradients: Floats) -> Floats:
    """Grad-CAM (Selvaraju et al. 2017), before its rectification.

    M(x, y) = Σ_k α_k A_k(x, y), where α_k is the mean over the map of the gradient of the
    class's score. The paper shows the positive part: see ``arrays.rectify``.

    Args:
        activations: (..., h, w, K) a layer's output.
        gradients: (..., h, w, K) the gradient of the class's score.

    Returns:
        (..., h, w)

    Example:
        >>> activations = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])
        >>> gradients = np.array([[[1.0, 0.0]], [[3.0, -1.0]]])
        >>> grad_cam(activations, gradients)
        array([[1.],
               [4.]])
    """
    importance = gradients.mean(axis=(-3, -2), keepdims=True)
    return (activations * importance).sum(axis=-1)


def contrast_picture(values: Floats) -> NDArray[np.uint8]:
    """A contrastive map as an 8-bit picture: (h, w) uint8.

    The values are divided by the largest absolute one and clipped to 0–1. A map of zeros
    stays black.
    """
    scaled = values / (largest_magnitude(values) or 1)
    return np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
