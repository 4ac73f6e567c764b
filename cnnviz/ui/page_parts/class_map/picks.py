"""The choices of the page on class activation maps: the class, the method, the layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cnnviz.attribution import details
from cnnviz.attribution.details import DETAILS
from cnnviz.attribution.methods import METHODS, Method
from cnnviz.numerals import percent
from cnnviz.results import Prediction
from cnnviz.ui import choices, parts
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# Classes that have a chip.
MOST_CHIPS = 5
# A chip of a class that is less probable has no percentage.
_LEAST_PERCENTAGE = 0.0001
_ANOTHER = "another class"
_LIST_WIDTH = 200
# Runs that can be chosen: squares, for methods that lay a grid over the photo.
_RUNS = 100, 400, 1600


@dataclass(frozen=True)
class MapChoice:
    """Which map of the class is shown.

    Attributes:
        method: a key of ``METHODS``.
        layer: the path of the layer; None for methods that let none be chosen.
        against: the class whose score is subtracted; None if none is chosen.
        runs: of the network, for a method of many runs; None for its usual number.
        detail: how fine it is: a key of ``DETAILS``.
        signed: whether the evidence against the class is shown, too.
    """

    method: str
    layer: str | None
    against: str | None
    runs: int | None
    detail: str
    signed: bool


def quoted(label: str) -> str:
    """A class's name in Markdown, in quotation marks."""
    return f"“{plain(label)}”"


def pick_class(scene: Scene, prediction: Prediction) -> tuple[str, DeltaGenerator]:
    """The choice of the class: chips of the most probable ones, a list of all others; and space."""
    scope = _scope(scene, prediction)
    likely = [score.label for score in prediction.top(MOST_CHIPS)]
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
            format_func=lambda label: chip(label, prediction),
            label_visibility="collapsed",
        )
    return target, beside


def put(scene: Scene, prediction: Prediction, target: str, method: str, layer: str) -> None:
    """Chooses a map of the page for the person, before its choices are drawn.

    Args:
        scene: model and photo, which are to be those of the page.
        prediction: of the model for the photo.
        target: the class.
        method: a key of ``METHODS``.
        layer: the path of the layer, for a method that lets it be chosen.
    """
    choices.put("class", target, _scope(scene, prediction))
    choices.put("method", method, scene.model.name)
    if METHODS[method].needs == "layer":
        parts.put_layer(layer, f"maps of {scene.model.name}")


def _scope(scene: Scene, prediction: Prediction) -> str:
    """With another answer the choice of the class is a new one."""
    return f"{scene.model.name} {prediction.label}"


def _chips(label: str, options: Sequence[str], *, key: str, likely: list[str], **rest: Any) -> str:
    chosen = st.session_state[key]
    shown = likely if chosen in likely else [*likely, chosen]
    # Said anew: with other options Streamlit takes them for another widget's.
    st.session_state[key] = chosen
    picked: str = st.pills(label, shown, key=key, required=True, **rest)
    return picked


def chip(label: str, prediction: Prediction) -> str:
    """A class with its probability, in Markdown."""
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


def pick_map(scene: Scene, target: str) -> MapChoice:
    """The choice of the method, with what it computes; the others in a panel that opens."""
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
    record = METHODS[method]
    st.caption(plain(record.summary))
    with st.popover("More choices", icon=":material/tune:", width="stretch"):
        layer, default = _pick_layer(scene, record)
        against = _pick_rival(scene, target, record)
        detail = _pick_detail(scene, record)
        runs = _pick_runs(scene, record)
        signed = _pick_signed()
    made = [
        f"layer {layer}" if layer != default else "",
        f"against “{against}”" if against else "",
        DETAILS[detail].title if detail != details.CELLS else "",
        f"{runs:,} runs" if runs else "",
        "" if signed else "without what is below zero",
    ]
    if any(made):
        st.caption(plain(f"Chosen: {', '.join(filter(None, made))}."))
    return MapChoice(method, layer, against, runs, detail, signed)


def _pick_layer(scene: Scene, method: Method) -> tuple[str | None, str | None]:
    """The choice of the layer, and the usual one; both None where there is none to choose."""
    if method.needs != "layer":
        only, why = {
            "averaged maps": (scene.outline.features, "This method reads these maps."),
            "photo": ("the photo itself", "This method changes the photo and reads no layer."),
        }[method.needs]
        st.selectbox("Layer", [only], disabled=True, help=why)
        return None, None
    layers = [layer for layer in scene.outline.layers if layer.spatial and not layer.nested]
    default = scene.outline.card.suggested_layers.cam or scene.outline.last_spatial
    chosen = parts.pick_layer(
        "Layer", layers, default, f"maps of {scene.model.name}", in_panel=True
    )
    return chosen, default or layers[0].path


def _pick_rival(scene: Scene, target: str, method: Method) -> str | None:
    """The choice of a class whose score is subtracted from the target's."""
    others = [label for label in scene.outline.card.labels if label != target]
    if not method.of_class or method.against == "others":
        only = "all others" if method.of_class else "no class has a part in it"
        st.selectbox("Against", [only], disabled=True)
        return None
    unless = "the nearest class" if method.against == "nearest" else "no other class"
    rival = choices.choose(
        choices.in_panel(st.selectbox),
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


def _pick_runs(scene: Scene, method: Method) -> int | None:
    """The choice of the number of runs, for a method of many; None for its usual one."""
    if method.series is None:
        return None
    chosen = choices.choose(
        choices.in_panel(st.selectbox),
        "Runs of the network",
        "runs",
        ["", *map(str, _RUNS)],
        "",
        scope=f"{scene.model.name} {method.key}",
        format_func=lambda runs: f"{int(runs):,}" if runs else "the usual number",
        help="More runs take longer, and make the map finer or surer. Each takes some hundredths "
        "of a second with a network for photos.",
    )
    return int(chosen) if chosen else None


def _pick_detail(scene: Scene, method: Method) -> str:
    """The choice of how fine the map is."""
    offered = details.fitting(method)
    chosen = choices.choose(
        choices.in_panel(st.selectbox),
        "Detail",
        "detail",
        offered,
        details.CELLS,
        # Some methods have fewer: with another method the choice is a new one.
        scope=f"{scene.model.name} {method.key}",
        format_func=lambda key: DETAILS[key].title,
        disabled=len(offered) == 1,
    )
    if DETAILS[chosen].summary:
        st.caption(plain(DETAILS[chosen].summary))
    return chosen


def _pick_signed() -> bool:
    """The choice to see the evidence against a class too."""
    return choices.choose(
        choices.in_panel(lambda label, _, key: st.toggle(label, key=key)),
        "Show evidence against it",
        "against",
        [False, True],
        default=True,
    )
