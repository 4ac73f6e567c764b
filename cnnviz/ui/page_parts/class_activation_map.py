"""The parts of the page on class activation maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.attribution.descriptions import compared, title, where
from cnnviz.attribution.methods import METHODS, Method
from cnnviz.drawing import Shading, common_limit, map_shading, overlay, picture_on_photo
from cnnviz.figures.maps import evidence_maps, heatmap
from cnnviz.figures.photos import map_overlay
from cnnviz.photos.encoding import encode_png
from cnnviz.results import ClassActivationMap, Prediction, percent
from cnnviz.traces import StagedExplanation
from cnnviz.ui import choices, parts
from cnnviz.ui.legends import legend_line
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# Classes that have a chip.
_MOST_CHIPS = 5
# A chip of a class that is less probable has no percentage.
_LEAST_PERCENTAGE = 0.0001
_ANOTHER = "another class"
_LIST_WIDTH = 200
# The row of pictures at 1280 pixels: the photo's height, the width of the map's cells, and what is
# left for text; the photo is between these widths.
_HEIGHT, _CELLS, _TEXT = 380, 370, 240
_NARROWEST, _WIDEST = 260, 540
# Pixels of the window above the pictures and below them, so that they fit into it.
_AROUND = 236
_LARGEST = (960, 720)


def quoted(label: str) -> str:
    """A class's name in Markdown, in quotation marks."""
    return f"“{plain(label)}”"


def pick_class(scene: Scene, prediction: Prediction) -> tuple[str, DeltaGenerator]:
    """The choice of the class: chips of the most probable ones, a list of all others; and space."""
    scope = f"{scene.model.name} {prediction.label}"
    likely = [score.label for score in prediction.top(_MOST_CHIPS)]
    others = [label for label in prediction.labels if label not in likely]
    with st.container(horizontal=True, vertical_alignment="center", key="classes"):
        chips = st.container(width="content")
        if others:
            _pick_other(others, scope)
        beside = st.container(width="content")
    with chips:
        target = choices.choose(
            _chips,
            "Class",
            "class",
            prediction.labels,
            prediction.label,
            scope=scope,
            likely=likely,
            format_func=lambda label: _chip(label, prediction),
            label_visibility="collapsed",
        )
    return target, beside


def _chips(label: str, options: Sequence[str], *, key: str, likely: list[str], **rest: Any) -> str:
    chosen = st.session_state[key]
    shown = likely if chosen in likely else [*likely, chosen]
    # Said anew: with other options Streamlit takes them for another widget's.
    st.session_state[key] = chosen
    picked: str = st.pills(label, shown, key=key, required=True, **rest)
    return picked


def _chip(label: str, prediction: Prediction) -> str:
    probability = float(prediction.probabilities[prediction.labels.index(label)])
    share = f" {percent(probability)}" if probability >= _LEAST_PERCENTAGE else ""
    return f"**{plain(label)}**{share}"


def _pick_other(others: list[str], scope: str) -> None:
    def take() -> None:
        choices.put("class", st.session_state[_ANOTHER], scope)
        st.session_state[_ANOTHER] = None

    st.selectbox(
        "Another class",
        others,
        index=None,
        key=_ANOTHER,
        placeholder=f"{len(others):,} more",
        on_change=take,
        label_visibility="collapsed",
        width=_LIST_WIDTH,
    )


def places(scene: Scene) -> list[DeltaGenerator]:
    """Columns for the map over the photo, for the map's cells, and for text and choices."""
    photo = scene.photo
    width = min(max(_HEIGHT * photo.width / photo.height, _NARROWEST), _WIDEST)
    text = max(_TEXT, _WIDEST + _TEXT - width)
    return st.columns([width, _CELLS, text], gap="medium")


def pick_method(scene: Scene, target: str) -> tuple[str, str | None, str | None]:
    """The choices of the method, the layer and the class to compare with.

    Returns:
        The layer is None where the method has no choice of it, and so is the class where none is
        chosen.
    """
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
    if METHODS[method].needs != "layer":
        only = scene.outline.features
        st.selectbox("Layer", [only], disabled=True, help="This method reads these maps.")
        return method, None, _pick_rival(scene, target, METHODS[method])
    layers = [layer for layer in scene.outline.layers if layer.spatial and not layer.nested]
    default = scene.outline.card.suggested_layers.cam or scene.outline.last_spatial
    layer = parts.pick_layer("Layer", layers, default, f"maps of {scene.model.name}")
    return method, layer, _pick_rival(scene, target, METHODS[method])


def _pick_rival(scene: Scene, target: str, method: Method) -> str | None:
    """The choice of a class whose score is subtracted from the target's."""
    others = [label for label in scene.outline.card.labels if label != target]
    if not method.of_class or method.against == "others":
        only = "all others" if method.of_class else "no class has a part in it"
        st.selectbox("Against", [only], disabled=True)
        return None
    unless = "the nearest class" if method.against == "nearest" else "no other class"
    rival = choices.choose(
        st.selectbox,
        "Against",
        "rival",
        ["", *others],
        "",
        # A class is not set against itself: with another class the choice is a new one.
        scope=f"{scene.model.name} {target}",
        format_func=lambda label: plain(label) or unless,
        help="A class whose score is subtracted: the map shows what speaks for the one and not "
        "for the other.",
    )
    return rival or None


def pick_signed() -> bool:
    """The choice to see the evidence against a class too."""
    return choices.choose(
        lambda label, _, key: st.toggle(label, key=key),
        "Show evidence against it",
        "against",
        [False, True],
        default=True,
    )


def method_note(method: str) -> None:
    """What the method computes."""
    st.caption(plain(f"{METHODS[method].title}: {METHODS[method].summary}"))


def class_maps(
    scene: Scene,
    answer: StagedExplanation,
    target: str,
    method: str,
    layer: str | None,
    against: str | None,
) -> dict[str, ClassActivationMap]:
    """The maps of the most probable classes, and of the chosen one, by class.

    Args:
        scene: model and photo.
        answer: what the network says; its maps are not computed again.
        target: the chosen class.
        method: the chosen method.
        layer: the chosen layer, for methods that let it be chosen.
        against: the class that they are set against, which has no map then; None if none is chosen.
    """
    first = answer.explanation.maps[0]
    likely = tuple(cam.target for cam in answer.explanation.maps if cam.target != against)
    missing = () if target in likely else (target,)
    if against is None and first.method == method and layer in {None, first.layer}:
        found = answer.explanation.maps
        if missing:
            found += scene.staged(missing).explanation.maps
    else:
        found = scene.explanation(likely, method, layer, against).maps if likely else ()
        if missing:
            found += scene.explanation(missing, method, layer, against).maps
    return {cam.target: cam for cam in found}


def over_photo(
    scene: Scene, maps: Mapping[str, ClassActivationMap], target: str, signed: bool
) -> None:
    """The chosen map over the photo."""
    cam, limit = maps[target], common_limit(maps.values())
    figure = map_overlay(
        scene.photo.shown,
        cam,
        scene.preprocessing,
        title=title(cam),
        unit="",
        signed=signed,
        limit=limit,
        dark=parts.on_dark_page(),
        largest=_LARGEST,
    )
    parts.picture_chart(figure, "overlay", around=_AROUND)


def alone(maps: Mapping[str, ClassActivationMap], target: str) -> None:
    """The chosen map by itself, with its own cells."""
    cam, look = maps[target], _look(maps, target)
    figure = heatmap(
        cam.values,
        title=f"{' × '.join(map(str, cam.values.shape))} cells of {cam.layer}",
        unit="",
        colours=look.colours,
        limits=look.limits,
        hover=parts.unit(cam),
        narrow=True,
        largest=_LARGEST,
    )
    parts.chart(figure, "map alone", around=_AROUND)


def colours(maps: Mapping[str, ClassActivationMap], target: str) -> None:
    """What the colours of the map mean, over the photo and alone."""
    st.html(legend_line(parts.unit(maps[target]), _look(maps, target)))


def says(scene: Scene, cam: ClassActivationMap) -> None:
    """What the map says, in words."""
    st.markdown(plain(where(cam, scene.photo.size, scene.preprocessing)))


def _look(maps: Mapping[str, ClassActivationMap], target: str) -> Shading:
    limit = common_limit(maps.values())
    return map_shading(maps[target], signed=True, limit=limit, dark=parts.on_dark_page())


def side_by_side(scene: Scene, maps: Mapping[str, ClassActivationMap]) -> None:
    """The evidence for the likeliest classes, and the one that is shown, on one scale."""
    shown = tuple(maps.values())
    figure = evidence_maps(
        scene.photo.shown,
        shown,
        scene.preprocessing,
        title="The same photo, class by class, on one scale",
        unit=parts.unit(shown[0]),
        dark=parts.on_dark_page(),
    )
    parts.chart(figure, "side by side")
    st.caption(plain(compared(shown)))


def downloads(
    scene: Scene, maps: Mapping[str, ClassActivationMap], target: str, signed: bool
) -> None:
    """The overlay and the raw map as files."""
    cam, limit = maps[target], common_limit(maps.values())
    steps = scene.preprocessing
    names = [cam.target] if cam.against is None else [cam.target, "against", cam.against]
    stem = parts.file_stem(scene.photo.name, *names, cam.method)
    left, middle, right = st.columns(3)
    with left:
        parts.download(
            "Overlay (.png)",
            lambda: encode_png(
                overlay(np.asarray(scene.photo.decode()), cam, steps, signed=signed, limit=limit)
            ),
            f"{stem}.overlay.png",
            "overlay png",
        )
    with middle:
        parts.download_array("Raw map (.npy)", cam.values, f"{stem}.cam", "map npy")
    picture = METHODS[cam.method].picture
    if picture is not None:
        with right:
            parts.download(
                "8-bit map (.png)",
                lambda: encode_png(picture_on_photo(cam, picture, *scene.photo.size, steps)),
                f"{stem}.contrast.png",
                "contrast png",
            )
