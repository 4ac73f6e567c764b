"""The maps of xplique and tf-keras-vis, and scikit-learn's principal component, of a Keras network.

Each function makes a tool for a network without its softmax, and gives what makes a map (h, w) from
a photo (1, H, W, 3) and a class. What the tool draws at random, or replaces a part of the photo
by, is that of cnnviz, so that both answer the same question.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import tensorflow as tf

from cnnviz.arrays import blur
from cnnviz.attribution import occlusion, pixel_gradients, rise
from cnnviz.photos.masking import BLUR

Run = Callable[[Any, int], Any]
PACKAGES = ("keras", "xplique", "tf-keras-vis", "scikit-learn")
# Steps of xplique's Integrated Gradients, which are even: it needs more of them than cnnviz.
STEPS = 100
# Masks of RISE: both tools get the same, so that fewer do than for a good map.
MASKS = 100
# Cells along each side of cnnviz's map at most.
RISE_CELLS = 56


def load(file: Path) -> Any:
    """The network without its softmax."""
    model = keras.saving.load_model(file, compile=False)
    model.layers[-1].activation = keras.activations.linear
    return model


def one_hot(model: Any, target: int) -> Any:
    return tf.one_hot([target], model.output_shape[-1])


# --- xplique --------------------------------------------------------------------------------


def xplique_cam(model: Any, kind: str, layer: str) -> Run:
    """What it has before it resizes it."""
    import xplique.attributions as tools  # type: ignore[import-not-found]

    tool = getattr(tools, kind)(model, conv_layer=layer)

    def run(photo: Any, target: int) -> Any:
        maps, gradients = tool._gradient(tf.constant(photo), one_hot(model, target))
        return tool._apply_weights(tool._compute_weights(gradients, maps), maps)[0].numpy()

    return run


def xplique_occlusion(model: Any, kind: str, layer: str) -> Run:
    """With cnnviz's blurred copy of the photo in place of a colour."""
    from xplique.attributions import Occlusion

    def run(photo: Any, target: int) -> Any:
        side = photo.shape[1] // occlusion.SIDE
        blurred = blur(photo[0], BLUR * min(photo.shape[1:3])).astype(np.float32)
        tool = Occlusion(model, patch_size=side, patch_stride=side, occlusion_value=blurred)
        values = tool(photo, one_hot(model, target))[0, ..., 0].numpy()
        return occlusion.cell_means(values, occlusion.SIDE, occlusion.SIDE)

    return run


def xplique_rise(model: Any, kind: str, layer: str) -> Run:
    """With cnnviz's masks, and in the cells of its map."""
    from xplique.attributions import Rise

    def numbers(shape: Any, count: int, *_: Any) -> Any:
        return tf.range(count)

    def masked(photo: Any, numbers: Any, black: float) -> tuple[Any, Any]:
        parts = [rise.mask(int(number), *photo.shape[:2]) for number in numbers]
        masks = np.stack([rows @ cells @ columns.T for rows, cells, columns in parts])
        masks = tf.constant(masks[..., None], tf.float32)
        return masks * photo[None] + (1 - masks) * black, masks

    tool = Rise(model, nb_samples=MASKS)

    def run(photo: Any, target: int) -> Any:
        with (
            patch.object(Rise, "_get_masks", staticmethod(numbers)),
            patch.object(Rise, "_apply_masks", staticmethod(masked)),
        ):
            return cells_of_rise(tool(photo, one_hot(model, target)))

    return run


def xplique_own_rise(model: Any, kind: str, layer: str) -> Run:
    """With masks that it draws itself, others for each photo and each time."""
    from xplique.attributions import Rise

    tool = Rise(model, nb_samples=MASKS, grid_size=rise.GRID)
    return lambda photo, target: cells_of_rise(tool(photo, one_hot(model, target)))


def cells_of_rise(maps: Any) -> Any:
    """A map (1, h, w, 1) in the cells of cnnviz's map."""
    values = maps[0, ..., 0].numpy()
    return occlusion.cell_means(values, *(min(side, RISE_CELLS) for side in values.shape))


def xplique_smoothgrad(model: Any, kind: str, layer: str) -> Run:
    """With cnnviz's noise."""
    from xplique.attributions import SmoothGrad
    from xplique.attributions.gradient_statistics.gradient_statistic import (  # type: ignore[import-not-found]
        GradientStatistic,
    )

    def noisy(inputs: Any, count: int, noise: float) -> Any:
        return tf.constant(pixel_gradients.noisy(np.asarray(inputs[0]), range(count)), tf.float32)

    copies = pixel_gradients.COPIES
    tool = SmoothGrad(model, batch_size=copies, nb_samples=copies, reducer="sum")

    def run(photo: Any, target: int) -> Any:
        with patch.object(GradientStatistic, "_perturb_samples", staticmethod(noisy)):
            return tool(photo, one_hot(model, target))[0, ..., 0].numpy()

    return run


def xplique_integrated_gradients(model: Any, kind: str, layer: str) -> Run:
    """From 0, which is black for the networks that are compared."""
    from xplique.attributions import IntegratedGradients

    tool = IntegratedGradients(model, steps=STEPS, reducer="sum")
    return lambda photo, target: tool(photo, one_hot(model, target))[0, ..., 0].numpy()


# --- tf-keras-vis ---------------------------------------------------------------------------


def tf_keras_vis_cam(model: Any, kind: str, layer: str, **options: Any) -> Run:
    """Its positive part, with as little processing as it allows."""
    from tf_keras_vis import (  # type: ignore[import-not-found]
        gradcam,
        gradcam_plus_plus,
        layercam,
        scorecam,
    )
    from tf_keras_vis.utils.scores import CategoricalScore  # type: ignore[import-not-found]

    modules = (gradcam, gradcam_plus_plus, layercam, scorecam)
    tool = next(getattr(one, kind) for one in modules if kind in vars(one))(model, clone=False)

    def run(photo: Any, target: int) -> Any:
        return tool(
            CategoricalScore([target]),
            photo,
            penultimate_layer=layer,
            # With its default it takes another layer than the requested one.
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
            **options,
        )[0]

    return run


# --- scikit-learn ---------------------------------------------------------------------------


def principal_component(model: Any, kind: str, layer: str) -> Run:
    """The first component of a layer's maps, not centred, with the sign of a positive sum."""
    from sklearn.decomposition import TruncatedSVD  # type: ignore[import-not-found]

    tapped = keras.Model(model.inputs, model.get_layer(layer).output)

    def run(photo: Any, target: int) -> Any:
        maps = tapped(photo)[0].numpy().astype(np.float64)
        cells = maps.reshape(-1, maps.shape[-1])
        values = TruncatedSVD(1, algorithm="arpack").fit_transform(cells).reshape(maps.shape[:2])
        return values * np.sign(values.sum())

    return run


XPLIQUE: dict[str, Callable[[Any, str, str], Run]] = {
    "GradCAM": xplique_cam,
    "GradCAMPP": xplique_cam,
    "Occlusion": xplique_occlusion,
    "Rise": xplique_rise,
    "Rise, its own masks": xplique_own_rise,
    "SmoothGrad": xplique_smoothgrad,
    "IntegratedGradients": xplique_integrated_gradients,
}


def run_of(tool: str, kind: str, model: Any, layer: str) -> Run:
    """What makes a map with a class of a tool."""
    if tool == "xplique":
        return XPLIQUE[kind](model, kind, layer)
    if tool == "scikit-learn":
        return principal_component(model, kind, layer)
    return tf_keras_vis_cam(model, kind, layer)
