"""The parts of the page on class activation maps."""

from __future__ import annotations

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.attribution.descriptions import mirrored, sum_of_cells, where
from cnnviz.attribution.methods import METHODS
from cnnviz.drawing import map_shading, overlay, picture_on_photo
from cnnviz.evidence import mostly_against
from cnnviz.figures.maps import evidence_maps, heatmap
from cnnviz.photos.encoding import encode_png
from cnnviz.results import ClassActivationMap, Explanation, Prediction, percent
from cnnviz.ui import choices, parts
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# The maps side by side, at most.
_MOST_MAPS = 4


def pick_question(
    scene: Scene, prediction: Prediction
) -> tuple[str, str, str | None, DeltaGenerator]:
    """The choices of class, method and, where the method has one, layer; and space beside them."""
    of_class, of_method = st.columns(2)
    of_layer, beside = st.columns([3, 2], vertical_alignment="bottom")
    with of_class:
        target = choices.choose(
            st.selectbox,
            "Class",
            "class",
            prediction.labels,
            prediction.label,
            scope=f"{scene.model.name} {prediction.label}",
            format_func=lambda label: (
                f"{label} (predicted)" if label == prediction.label else label
            ),
        )
    with of_method:
        offered = scene.outline.methods
        method = choices.choose(
            st.selectbox,
            "Method",
            "method",
            offered,
            offered[0],
            scope=scene.model.name,
            format_func=lambda key: METHODS[key].title,
            help="\n".join(f"- {METHODS[key].title}: {METHODS[key].paper}" for key in offered),
            disabled=len(offered) == 1,
        )
    with of_layer:
        if METHODS[method].needs == "layer":
            layers = [layer for layer in scene.outline.layers if layer.spatial and not layer.nested]
            default = scene.outline.card.suggested_layers.cam or scene.outline.last_spatial
            path = parts.pick_layer("Layer", layers, default, f"maps of {scene.model.name}")
        else:
            path = None
            only = scene.outline.features
            st.selectbox("Layer", [only], disabled=True, help="This method reads these maps.")
    return target, method, path, beside


def pick_signed(cam: ClassActivationMap) -> bool:
    """The choice to see the evidence against a class too: the default where it is most of it."""
    default = mostly_against(cam.values)
    return choices.choose(
        lambda label, _, key: st.toggle(label, key=key),
        "Show the evidence against it, too",
        "against",
        [False, True],
        default,
        scope=f"by default {default}",
    )


def sentence(scene: Scene, cam: ClassActivationMap) -> None:
    """What the method computes, and where in the photo the evidence for the class is strongest."""
    st.caption(plain(f"{METHODS[cam.method].title}: {METHODS[cam.method].summary}"))
    st.markdown(plain(where(cam, scene.photo.size, scene.outline.card.preprocessing)))


def map_alone(cam: ClassActivationMap) -> None:
    """The map by itself: its own cells, with raw values under the mouse."""
    look = map_shading(cam, signed=True)
    figure = heatmap(
        cam.values,
        title=f"The map alone: {cam.values.shape[0]} × {cam.values.shape[1]} cells of {cam.layer}",
        unit=parts.unit(cam),
        colours=look.colours,
        limits=look.limits,
        hover=parts.unit(cam),
    )
    parts.chart(figure, "map alone")


def numbers(cam: ClassActivationMap, prediction: Prediction) -> None:
    """How the map and the network's score belong together."""
    probability = prediction.probabilities[prediction.labels.index(cam.target)]
    text = f"{sum_of_cells(cam, prediction)} Its probability is {percent(probability)}."
    st.caption(plain(text))


def maps(
    scene: Scene, predicted: Explanation, target: str, method: str, layer: str | None
) -> tuple[ClassActivationMap, ...]:
    """The map of the chosen class, then those of the most probable other classes.

    Args:
        scene: model and photo.
        predicted: the explanation of the predicted class; its map is not computed again.
        target: the chosen class.
        method: the chosen method.
        layer: the chosen layer, for methods that let it be chosen.
    """
    likely = [score.label for score in predicted.prediction.top(_MOST_MAPS)]
    others = tuple(label for label in likely if label != target)[: _MOST_MAPS - 1]
    cam = predicted.maps[0]
    if (cam.target, cam.method) == (target, method) and layer in {None, cam.layer}:
        return (cam, *scene.explanation(others, method, layer).maps)
    return scene.explanation((target, *others), method, layer).maps


def side_by_side(shown: tuple[ClassActivationMap, ...]) -> None:
    """The evidence for the likeliest classes beside the one that is shown, on one scale."""
    figure = evidence_maps(
        shown,
        title="The same photo, class by class, on one scale",
        unit=parts.unit(shown[0]),
    )
    parts.chart(figure, "side by side")
    st.caption(plain(mirrored(shown)))


def downloads(scene: Scene, cam: ClassActivationMap, signed: bool) -> None:
    """The overlay and the raw map as files."""
    stem = parts.file_stem(scene.photo.name, cam.target, cam.method)
    left, middle, right = st.columns(3)
    with left:
        parts.download(
            "Overlay (.png)",
            lambda: encode_png(
                overlay(
                    np.asarray(scene.photo.decode()),
                    cam,
                    scene.outline.card.preprocessing,
                    signed=signed,
                )
            ),
            f"{stem}.overlay.png",
            "overlay png",
        )
    with middle:
        parts.download_array("Raw map (.npy)", cam.values, f"{stem}.cam", "map npy")
    picture = METHODS[cam.method].picture
    if picture is not None:
        steps = scene.outline.card.preprocessing
        with right:
            parts.download(
                "8-bit map (.png)",
                lambda: encode_png(picture_on_photo(cam, picture, *scene.photo.size, steps)),
                f"{stem}.contrast.png",
                "contrast png",
            )
