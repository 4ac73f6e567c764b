"""The methods of class activation maps: a record of each, with its formula.

A new method is one formula in ``formulas``, or a ``series`` of runs, and one record in ``METHODS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cnnviz.attribution import formulas
from cnnviz.attribution.channel_series import ABLATION_CAM, SCORE_CAM
from cnnviz.attribution.occlusion import OCCLUSION
from cnnviz.attribution.pixel_gradients import INTEGRATED_GRADIENTS, SMOOTHGRAD
from cnnviz.attribution.rise import RISE

if TYPE_CHECKING:
    from cnnviz.arrays import Bytes, Floats
    from cnnviz.attribution.series import Series


@dataclass(frozen=True)
class Method:
    """A method and all that differs from one method to another: no other module names one.

    Attributes:
        key: its name in the API, on the command line and in the address of a page.
        title: its name on pages.
        paper: who published it, and where; shown on pages.
        summary: how a map is computed, in a sentence; shown on pages.
        needs: ``averaged maps``: the maps whose averages the scores are made of, and no others;
            ``layer``: any layer with maps, which can be chosen; ``photo``: the photo alone, so the
            map has cells of its own.
        passes: ``forward``: one run of the network for all classes; ``backward``: a run for
            each class, with the gradients of its score; ``maps``: one run for the layer's maps,
            whatever the class; ``none``: noise of the layer's size takes the place of its maps;
            ``many``: the runs of its ``series``, which take seconds.
        weights: the formula, from maps (..., h, w, K) to their weights, (..., h, w, K) or what is
            broadcast to it: the map is ``formulas.weighted`` of both. For a forward pass it also
            takes the class's weights (K,), for a backward pass the gradients (..., h, w, K). None
            for a method with a series.
        unit: what a cell's value is measured in.
        aggregate: how the cells make up the score: their ``mean``, plus a bias, is the score;
            or their ``sum`` is, to first order.
        of_class: whether the map depends on the class.
        against: what is subtracted from a class's score: that of another class if one is
            ``chosen``; of the class with the ``nearest`` score unless one is chosen; or the mean
            of all ``others``, and none can be chosen.
        strength: the factor of another class's score before it is subtracted.
        score: what the score is, in a few words; empty where it is the class's logit, or that less
            another's.
        default_for: how a network ends for which this method comes before all others;
            empty where the order in ``METHODS`` decides.
        exact_sum: for a backward pass, whether the cells and the class's bias add up to the
            score exactly where one dense layer weighs the maps.
        picture: from a map to an 8-bit picture (h, w), None where the method has none.
        series: the runs of a method that takes ``many``; None for the others.
        shows: what a cell is: ``evidence`` for the class where it is positive, against it where it
            is negative; or the score's ``sensitivity`` to more light there.
        fuses: whether its maps of several layers can be fused into one: they are never negative,
            and say something in early layers, too.
        of_pixels: whether its maps have a value for each pixel of the network's input. A few of
            them are far above all others: boxes are found in a smoothed copy.
    """

    key: str
    title: str
    paper: str
    summary: str
    needs: Literal["averaged maps", "layer", "photo"]
    passes: Literal["forward", "backward", "maps", "none", "many"]
    weights: Callable[..., Floats] | None
    unit: str
    aggregate: Literal["mean", "sum"]
    of_class: bool = True
    against: Literal["chosen", "nearest", "others"] = "chosen"
    strength: float = 1.0
    score: str = ""
    default_for: Literal["", "flattened maps"] = ""
    exact_sum: bool = False
    picture: Callable[[Floats], Bytes] | None = None
    series: Series | None = None
    shows: Literal["evidence", "sensitivity"] = "evidence"
    fuses: bool = False
    of_pixels: bool = False


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
            weights=formulas.cam_weights,
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
            weights=formulas.cam_weights,
            unit="evidence (logit)",
            aggregate="mean",
            against="others",
            score="the logit less the mean logit of the other classes",
            picture=formulas.contrast_picture,
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
            weights=formulas.grad_cam_weights,
            unit="mean gradient × activation",
            aggregate="sum",
        ),
        Method(
            key="grad-cam++",
            title="Grad-CAM++",
            paper=(
                "Chattopadhay et al. 2018, Grad-CAM++: generalized gradient-based visual "
                "explanations for deep convolutional networks, arXiv 1710.11063"
            ),
            summary=(
                "Adds up the maps of the chosen layer, each times a sum of its positive gradients "
                "in which a strong map’s count less: several things of one class get more equal "
                "shares than with Grad-CAM. Only what raises the score counts."
            ),
            needs="layer",
            passes="backward",
            weights=formulas.grad_cam_plus_plus_weights,
            unit="weighted positive gradients × activation",
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
            weights=formulas.hires_cam_weights,
            unit="gradient × activation",
            aggregate="sum",
            default_for="flattened maps",
            exact_sum=True,
        ),
        Method(
            key="xgrad-cam",
            title="XGrad-CAM",
            paper=(
                "Fu et al. 2020, Axiom-based Grad-CAM: towards accurate visualization and "
                "explanation of CNNs, arXiv 2008.02312"
            ),
            summary=(
                "Adds up the maps of the chosen layer, each times the mean of its gradients in "
                "which the places where the map is active count most."
            ),
            needs="layer",
            passes="backward",
            weights=formulas.xgrad_cam_weights,
            unit="weighted mean gradient × activation",
            aggregate="sum",
        ),
        Method(
            key="layer-cam",
            title="LayerCAM",
            paper=(
                "Jiang et al. 2021, LayerCAM: exploring hierarchical class activation maps for "
                "localization"
            ),
            summary=(
                "Multiplies the maps of the chosen layer by the positive part of the gradient of "
                "the class’s score, cell by cell, and adds up the products of each cell; made for "
                "earlier layers, too. Only what raises the score counts."
            ),
            needs="layer",
            passes="backward",
            weights=formulas.layer_cam_weights,
            unit="positive gradient × activation",
            aggregate="sum",
            fuses=True,
        ),
        Method(
            key="finer-cam",
            title="Finer-CAM",
            paper=(
                "Zhang et al. 2025, Finer-CAM: spotting the difference reveals finer details for "
                "visual explanation, arXiv 2501.11309"
            ),
            summary=(
                "Grad-CAM of the class’s score less 0.6 times that of the class with the nearest "
                "score, or of a chosen one: what both share fades, what tells them apart remains."
            ),
            needs="layer",
            passes="backward",
            weights=formulas.grad_cam_weights,
            unit="mean gradient × activation",
            aggregate="sum",
            against="nearest",
            strength=0.6,
        ),
        Method(
            key="eigen-cam",
            title="Eigen-CAM",
            paper=(
                "Muhammad and Yeasin 2020, Eigen-CAM: class activation map using principal "
                "components, arXiv 2008.00299"
            ),
            summary=(
                "Adds up the maps of the chosen layer with the weights of their first principal "
                "component: what is strongest in the layer, and the same for every class."
            ),
            needs="layer",
            passes="maps",
            weights=formulas.eigen_cam_weights,
            unit="first principal component",
            aggregate="sum",
            of_class=False,
        ),
        Method(
            key="score-cam",
            title="Score-CAM",
            paper=(
                "Wang et al. 2020, Score-CAM: score-weighted visual explanations for convolutional "
                "neural networks, arXiv 1910.01279"
            ),
            summary=(
                "Shows the network the photo through each map of the chosen layer, black where the "
                "map is low, and adds up the maps, each times how far the class’s score is then "
                "above that of a black photo."
            ),
            needs="layer",
            passes="many",
            weights=None,
            unit="rise of the score × activation",
            aggregate="sum",
            series=SCORE_CAM,
        ),
        Method(
            key="ablation-cam",
            title="Ablation-CAM",
            paper=(
                "Desai and Ramaswamy 2020, Ablation-CAM: visual explanations for deep "
                "convolutional network via gradient-free localization"
            ),
            summary=(
                "Sets one map of the chosen layer after the other to zero, and adds up the maps, "
                "each times how far the class’s score falls without it."
            ),
            needs="layer",
            passes="many",
            weights=None,
            unit="fall of the score × activation",
            aggregate="sum",
            series=ABLATION_CAM,
        ),
        Method(
            key="occlusion",
            title="Occlusion",
            paper=(
                "Zeiler and Fergus 2014, Visualizing and understanding convolutional networks, "
                "arXiv 1311.2901"
            ),
            summary=(
                "Replaces one part of the photo after the other by a blurred copy, and shows how "
                "far the class’s score falls each time."
            ),
            needs="photo",
            passes="many",
            weights=None,
            unit="fall of the score (logit)",
            aggregate="sum",
            series=OCCLUSION,
        ),
        Method(
            key="rise",
            title="RISE",
            paper=(
                "Petsiuk et al. 2018, RISE: randomized input sampling for explanation of "
                "black-box models, arXiv 1806.07421"
            ),
            summary=(
                "Blackens random halves of the photo, and shows for each place how far the class’s "
                "mean score is above the mean of all trials when that place is kept."
            ),
            needs="photo",
            passes="many",
            weights=None,
            unit="score above the mean (logit)",
            aggregate="sum",
            series=RISE,
        ),
        Method(
            key="smoothgrad",
            title="SmoothGrad",
            paper=(
                "Smilkov et al. 2017, SmoothGrad: removing noise by adding noise, arXiv 1706.03825"
            ),
            summary=(
                "Averages the gradient of the class’s score at each pixel over copies of the photo "
                "with random noise: where a little more light would raise the score, and where it "
                "would lower it."
            ),
            needs="photo",
            passes="many",
            weights=None,
            unit="mean gradient at the pixel",
            aggregate="sum",
            shows="sensitivity",
            series=SMOOTHGRAD,
            of_pixels=True,
        ),
        Method(
            key="integrated-gradients",
            title="Integrated Gradients",
            paper=(
                "Sundararajan et al. 2017, Axiomatic attribution for deep networks, arXiv "
                "1703.01365"
            ),
            summary=(
                "Brightens the photo from black step by step, and gives each pixel its part of "
                "what the class’s score gains on the way: the parts add up to the score less that "
                "of a black photo."
            ),
            needs="photo",
            passes="many",
            weights=None,
            unit="part of the score (logit)",
            aggregate="sum",
            series=INTEGRATED_GRADIENTS,
            of_pixels=True,
        ),
        Method(
            key="random",
            title="Random map",
            paper="The one to beat; compare Adebayo et al. 2018, Sanity checks for saliency maps",
            summary=(
                "Draws numbers at random, in as many cells as the chosen layer has; the photo "
                "decides the draw, and no class has a part in it. A map that says something looks "
                "different, and does better."
            ),
            needs="layer",
            passes="none",
            weights=formulas.even_weights,
            unit="random number",
            aggregate="sum",
            of_class=False,
        ),
    )
}

# The methods for which a layer can be chosen: they fit every network that has maps.
ANY_LAYER = tuple(key for key, method in METHODS.items() if method.needs == "layer")
# Those that fit only networks that average their last maps.
AVERAGED_MAPS = tuple(key for key, method in METHODS.items() if method.needs == "averaged maps")
# Those that run the network many times.
MANY_PASSES = tuple(key for key, method in METHODS.items() if method.passes == "many")
