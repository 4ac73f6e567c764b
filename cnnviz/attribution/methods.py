"""The methods of class activation maps: formulas on arrays, and a record of each method.

Maps stay raw and signed. A new method is one function and one record in ``METHODS``. NumPy is
imported inside functions: the command line reads the records for its ``--help``, which is quick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cnnviz.arrays import Bytes, Floats


@dataclass(frozen=True)
class Method:
    """A method and all that differs from one method to another: no other module names one.

    Attributes:
        key: its name in the API, on the command line and in the address of a page.
        title: its name on pages.
        paper: who published it, and where; shown on pages.
        summary: how a map is computed, in a sentence; shown on pages.
        needs: ``averaged maps``: the maps whose averages the scores are made of, and no others;
            ``layer``: any layer with maps, which can be chosen.
        passes: ``forward``: one run of the network for all classes; ``backward``: a run for
            each class, with the gradients of its score.
        function: the formula, from maps (..., h, w, K) and factors to a map (..., h, w). The
            factors are a class's weights (K,) for a forward pass, and the gradients
            (..., h, w, K) for a backward pass.
        unit: what a cell's value is measured in.
        aggregate: how the cells make up the score: their ``mean``, plus a bias, is the score;
            or their ``sum`` is, to first order.
        weights: for a forward pass, from weights (K, C) and a class to the factors (K,), and
            from biases (C,) to the bias (); None for those of the class alone.
        score: what the score is, in a few words; empty where it is the class's logit.
        default_for: how a network ends for which this method comes before all others;
            empty where the order in ``METHODS`` decides.
        exact_sum: for a backward pass, whether the cells and the class's bias add up to the
            score exactly where one dense layer weighs the maps.
        picture: from a map to an 8-bit picture (h, w), None where the method has none.
    """

    key: str
    title: str
    paper: str
    summary: str
    needs: Literal["averaged maps", "layer"]
    passes: Literal["forward", "backward"]
    function: Callable[[Floats, Floats], Floats]
    unit: str
    aggregate: Literal["mean", "sum"]
    weights: Callable[[Floats, int], Floats] | None = None
    score: str = ""
    default_for: Literal["", "flattened maps"] = ""
    exact_sum: bool = False
    picture: Callable[[Floats], Bytes] | None = None


def cam(features: Floats, weights: Floats) -> Floats:
    """CAM (Zhou et al. 2016): the maps weighted by the dense weights of a class.

    M(x, y) = Σ_k w_k A_k(x, y). The mean of M plus the class's bias is the class's logit.

    Args:
        features: (..., h, w, K) maps that are averaged straight into the dense layer.
        weights: (K,) the dense layer's weights for the class.

    Returns:
        (..., h, w)

    Example:
        >>> import numpy as np
        >>> features = np.array([[[1.0, 0.0], [0.0, 2.0]]])
        >>> cam(features, np.array([3.0, -1.0]))
        array([[ 3., -2.]])
    """
    import numpy as np

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
    import numpy as np

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
        >>> import numpy as np
        >>> activations = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])
        >>> gradients = np.array([[[1.0, 0.0]], [[3.0, -1.0]]])
        >>> grad_cam(activations, gradients)
        array([[1.],
               [4.]])
    """
    importance = gradients.mean(axis=(-3, -2), keepdims=True)
    return (activations * importance).sum(axis=-1)


def hires_cam(activations: Floats, gradients: Floats) -> Floats:
    """HiResCAM (Draelos and Carin 2020, arXiv 2011.08891), before its rectification.

    M(x, y) = Σ_k G_k(x, y) A_k(x, y), where G_k is the gradient of the class's score, not
    averaged over the map. Where the maps are flattened into one dense layer, the sum of M plus
    the class's bias is the class's score; with more layers after the maps it is so to first
    order.

    Args:
        activations: (..., h, w, K) a layer's output.
        gradients: (..., h, w, K) the gradient of the class's score.

    Returns:
        (..., h, w)

    Example:
        >>> import numpy as np
        >>> activations = np.array([[[1.0, 2.0]], [[3.0, 4.0]]])
        >>> gradients = np.array([[[1.0, 0.0]], [[3.0, -1.0]]])
        >>> hires_cam(activations, gradients)
        array([[1.],
               [5.]])
    """
    return (activations * gradients).sum(axis=-1)


def contrast_picture(values: Floats) -> Bytes:
    """A contrastive map as an 8-bit picture: (h, w) uint8.

    The values are divided by the largest absolute one and clipped to 0–1. A map of zeros
    stays black.
    """
    import numpy as np

    from cnnviz.arrays import largest_magnitude

    scaled = values / (largest_magnitude(values) or 1)
    return np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)


# The methods by their keys. Where several fit a network, the first is the default, unless one
# names how this network ends in ``default_for``.
METHODS = {
    method.key: method
    for method in (
        Method(
            key="cam",
            title="Class activation map",
            paper="Zhou et al. 2016, Learning deep features for discriminative localization",
            summary=(
                "Adds up the last feature maps, each times the weight that the class gives its "
                "average."
            ),
            needs="averaged maps",
            passes="forward",
            function=cam,
            unit="evidence (logit)",
            aggregate="mean",
        ),
        Method(
            key="contrastive-cam",
            title="Contrastive class activation map",
            paper="Zhou et al. 2016, with the mean of the other classes subtracted",
            summary=(
                "Adds up the last feature maps, each times the weight that the class gives its "
                "average, less the mean weight of the other classes."
            ),
            needs="averaged maps",
            passes="forward",
            function=cam,
            unit="evidence (logit)",
            aggregate="mean",
            weights=contrastive_weights,
            score="the logit less the mean logit of the other classes",
            picture=contrast_picture,
        ),
        Method(
            key="grad-cam",
            title="Grad-CAM",
            paper="Selvaraju et al. 2017, Grad-CAM: visual explanations from deep networks",
            summary=(
                "Adds up the maps of the chosen layer, each times the mean gradient of the "
                "class’s score over the map: one weight for all places of a map."
            ),
            needs="layer",
            passes="backward",
            function=grad_cam,
            unit="mean gradient × activation",
            aggregate="sum",
        ),
        Method(
            key="hires-cam",
            title="HiResCAM",
            paper="Draelos and Carin 2020, Use HiResCAM instead of Grad-CAM, arXiv 2011.08891",
            summary=(
                "Multiplies the maps of the chosen layer by the gradient of the class’s score, "
                "cell by cell, and adds up the products of each cell: every place has weights of "
                "its own, as it has after a flatten."
            ),
            needs="layer",
            passes="backward",
            function=hires_cam,
            unit="gradient × activation",
            aggregate="sum",
            default_for="flattened maps",
            exact_sum=True,
        ),
    )
}

# The methods for which a layer can be chosen: they fit every network that has maps.
ANY_LAYER = tuple(key for key, method in METHODS.items() if method.needs == "layer")
