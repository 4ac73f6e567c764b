"""The formulas of class activation maps: a map is a sum of maps, each times a weight.

M(x, y) = Σ_k w_k(x, y) A_k(x, y): a method is a formula for the weights w. They stay signed, and so
does the map, unless the formula itself takes the positive part of something. NumPy is imported
inside functions: the command line reads the records of ``methods`` for its ``--help``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnviz.arrays import Bytes, Floats

# The sides of the grid of noise that a random map is made of: those of the last maps of most
# networks, so that it is no finer than the maps that it is compared with.
_NOISE_SIDE = 7


def weighted(maps: Floats, weights: Floats) -> Floats:
    """The sum of maps (..., h, w, K), each times its weight: (..., h, w).

    Args:
        maps: (..., h, w, K).
        weights: (..., h, w, K), or what is broadcast to it: (K,) has one weight a map.

    Example:
        >>> import numpy as np
        >>> maps = np.array([[[1.0, 0.0], [0.0, 2.0]]])
        >>> weighted(maps, np.array([3.0, -1.0]))
        array([[ 3., -2.]])
    """
    return (maps * weights).sum(axis=-1)


def cam_weights(features: Floats, weights: Floats) -> Floats:
    """CAM (Zhou et al. 2016): w_k is the weight that the class gives the average of map k.

    The mean of the map plus the class's bias is the class's logit.

    Args:
        features: (..., h, w, K) maps that are averaged straight into the dense layer.
        weights: (K,) the dense layer's weights for the class.

    Returns:
        (K,)
    """
    return weights


def contrastive_weights(weights: Floats, target: int) -> Floats:
    """Weights for the evidence for a class less the mean evidence for the others.

    With two classes the mean of the others is the other class.

    Args:
        weights: (K, C) dense weights, or (C,) biases.
        target: the class.

    Returns:
        (K,), or () for biases.
    """
    import numpy as np

    others = np.delete(weights, target, axis=-1)
    return weights[..., target] - others.mean(axis=-1)


def grad_cam_weights(activations: Floats, gradients: Floats) -> Floats:
    """Grad-CAM (Selvaraju et al. 2017): w_k is the mean of the gradient G_k over the map.

    The paper shows the positive part of the map: see ``arrays.rectify``.

    Args:
        activations: (..., h, w, K) a layer's output.
        gradients: (..., h, w, K) the gradient of the class's score.

    Returns:
        (..., 1, 1, K)

    Example:
        >>> import numpy as np
        >>> activations = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])
        >>> gradients = np.array([[[1.0, 0.0]], [[3.0, -1.0]]])
        >>> weighted(activations, grad_cam_weights(activations, gradients))
        array([[1.],
               [4.]])
    """
    return gradients.mean(axis=(-3, -2), keepdims=True)


def grad_cam_plus_plus_weights(activations: Floats, gradients: Floats) -> Floats:
    """Grad-CAM++ (Chattopadhay et al. 2018): w_k = Σ_ij α_k(i, j) · max(G_k(i, j), 0).

    The paper differentiates exp(S), where S is the class's logit. Where S is linear in the maps,
    as behind a ReLU network it is piece by piece, the second and third derivatives of exp(S) are
    exp(S) G² and exp(S) G³, so that α = G² / (2 G² + G³ Σ_ab A_k(a, b)) = 1 / (2 + G Σ A_k): one
    gradient is enough. The common factor exp(S) of all weights is left out: the map is that of the
    logit. The formula is meant for maps after a ReLU; where 2 + G Σ A_k is zero, α is zero.

    Args:
        activations: (..., h, w, K) a layer's output.
        gradients: (..., h, w, K) the gradient of the class's logit.

    Returns:
        (..., 1, 1, K)
    """
    import numpy as np

    positive = np.maximum(gradients, 0)
    below = 2 + positive * activations.sum(axis=(-3, -2), keepdims=True)
    shares = np.divide(positive, below, out=np.zeros_like(positive), where=below != 0)
    return shares.sum(axis=(-3, -2), keepdims=True)


def hires_cam_weights(activations: Floats, gradients: Floats) -> Floats:
    """HiResCAM (Draelos and Carin 2020, arXiv 2011.08891): w_k(x, y) is the gradient itself.

    Where the maps are flattened into one dense layer, the sum of the map plus the class's bias is
    the class's score; with more layers after the maps it is so to first order.

    Args:
        activations: (..., h, w, K) a layer's output.
        gradients: (..., h, w, K) the gradient of the class's score.

    Returns:
        (..., h, w, K)

    Example:
        >>> import numpy as np
        >>> activations = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])
        >>> gradients = np.array([[[1.0, 0.0]], [[3.0, -1.0]]])
        >>> weighted(activations, hires_cam_weights(activations, gradients))
        array([[1.],
               [5.]])
    """
    return gradients


def xgrad_cam_weights(activations: Floats, gradients: Floats) -> Floats:
    """XGrad-CAM (Fu et al. 2020): w_k = Σ_ij A_k(i, j) G_k(i, j) / Σ_ij A_k(i, j).

    The mean of the gradient, in which a place counts as much as the map is active there. So the
    sum of a channel's part of the map is Σ A_k G_k, as with HiResCAM. A map that adds up to zero
    has the weight zero.

    Args:
        activations: (..., h, w, K) a layer's output.
        gradients: (..., h, w, K) the gradient of the class's score.

    Returns:
        (..., 1, 1, K)
    """
    import numpy as np

    products = (activations * gradients).sum(axis=(-3, -2), keepdims=True)
    totals = activations.sum(axis=(-3, -2), keepdims=True)
    return np.divide(products, totals, out=np.zeros_like(products), where=totals != 0)


def layer_cam_weights(activations: Floats, gradients: Floats) -> Floats:
    """LayerCAM (Jiang et al. 2021): w_k(x, y) = max(G_k(x, y), 0).

    Where all gradients are positive it is HiResCAM.

    Args:
        activations: (..., h, w, K) a layer's output.
        gradients: (..., h, w, K) the gradient of the class's score.

    Returns:
        (..., h, w, K)
    """
    from cnnviz.arrays import rectify

    return rectify(gradients)


def eigen_cam_weights(activations: Floats) -> Floats:
    """Eigen-CAM (Muhammad and Yeasin 2020): w is the first right singular vector of the maps.

    The maps are a matrix with a row a cell and a column a channel, which is not centred: the map
    is what one direction in the space of channels says most about. No class has a part in it. A
    singular vector has no sign of its own: it gets the one with which the map's sum is positive.

    Args:
        activations: (..., h, w, K) a layer's output.

    Returns:
        (..., 1, 1, K) of length 1; NaN where the maps are not numbers.
    """
    import numpy as np

    *others, height, width, channels = activations.shape
    cells = activations.reshape(*others, height * width, channels)
    if not np.isfinite(cells).all():
        return np.full((*others, 1, 1, channels), np.nan, activations.dtype)
    direction = np.linalg.svd(cells, full_matrices=False)[2][..., :1, :]
    total = (cells * direction).sum(axis=(-2, -1), keepdims=True)
    return np.where(total < 0, -direction, direction)[..., None, :, :]


def noise_map(height: int, width: int, seed: int) -> Floats:
    """Noise to compare other maps with: (height, width), normally distributed on a coarse grid.

    The grid has 7 × 7 cells, or those of the map if they are fewer; on a larger map it is
    interpolated, so that the noise has no finer parts than other maps have.

    Args:
        height: rows of the map.
        width: columns of the map.
        seed: the same one gives the same noise.
    """
    import numpy as np

    from cnnviz.arrays import resize

    grid = min(height, _NOISE_SIDE), min(width, _NOISE_SIDE)
    return resize(np.random.default_rng(seed).standard_normal(grid), height, width)


def even_weights(maps: Floats) -> Floats:
    """A weight of 1 for each of the maps (..., h, w, K): (K,)."""
    import numpy as np

    return np.ones(maps.shape[-1:], maps.dtype)


def contrast_picture(values: Floats) -> Bytes:
    """A contrastive map as an 8-bit picture: (h, w) uint8.

    The values are divided by the largest absolute one and clipped to 0–1. A map of zeros
    stays black.
    """
    import numpy as np

    from cnnviz.arrays import largest_magnitude

    scaled = values / (largest_magnitude(values) or 1)
    return np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
