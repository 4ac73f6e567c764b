"""The choices of classes and methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from cnnviz.attribution import compared
from cnnviz.attribution.faithfulness import MEASURES, TESTS, Measure
from cnnviz.attribution.methods import METHODS
from cnnviz.results import Prediction
from cnnviz.ui import choices
from cnnviz.ui.page_parts.class_map import picks
from cnnviz.ui.page_parts.compare.subjects import Subject, shared_classes
from cnnviz.ui.text import plain

# A link may name any number: more of them would not fit on any screen.
_MOST_CLASSES = 8
_ANOTHER = "one more class"
# Scores that need no copy of the network, whose runs would take minutes for all maps.
_SCORES = tuple(key for key, one in MEASURES.items() if TESTS[one.test].needs != "weights")
_LIST_WIDTH = 120


def pick_classes(subjects: Sequence[Subject], prediction: Prediction) -> list[str]:
    """The choice of classes: chips of the likeliest ones, and a list of all others.

    Args:
        subjects: networks and photos; only classes that all networks have are offered.
        prediction: of the first network for the first photo.

    Raises:
        TargetError: the networks have no class in common.
    """
    labels = shared_classes(subjects)
    likely = compared.likeliest(prediction, labels, picks.MOST_CHIPS)
    # With another answer, or other networks, the choice is a new one.
    scope = f"{subjects[0].scene.model.name} {prediction.label} {len(labels)} {len(subjects)}"
    chosen = choices.choose_many(
        "Classes",
        "classes",
        labels,
        # As many rows, whatever is compared: all of them fit into a window.
        likely[: max(1, compared.CLASSES // len(subjects))],
        widget=_class_chips,
        scope=scope,
        likely=likely,
        format_func=lambda label: picks.chip(label, prediction),
    )[:_MOST_CLASSES]
    rest = [label for label in labels if label not in {*likely, *chosen}]
    if rest and len(chosen) < _MOST_CLASSES:
        _pick_another(rest, chosen, scope)
    return chosen


def _class_chips(
    label: str, options: Sequence[str], *, key: str, likely: Sequence[str], **rest: Any
) -> list[str]:
    chosen = st.session_state[key]
    shown = list(dict.fromkeys([*likely, *chosen]))
    # Said anew: with other options Streamlit takes them for another widget's.
    st.session_state[key] = chosen
    return _chips(label, shown, key=key, **rest)


def _chips(label: str, options: Sequence[str], *, key: str, **rest: Any) -> list[str]:
    picked: list[str] = st.pills(
        label,
        options,
        key=key,
        selection_mode="multi",
        label_visibility="collapsed",
        **rest,
    )
    return picked


def _pick_another(rest: Sequence[str], chosen: Sequence[str], scope: str) -> None:
    def take() -> None:
        choices.put("classes", [*chosen, st.session_state[_ANOTHER]], scope)
        st.session_state[_ANOTHER] = None

    st.selectbox(
        "One more class",
        rest,
        index=None,
        key=_ANOTHER,
        placeholder=f"{len(rest):,} more",
        on_change=take,
        label_visibility="collapsed",
        width=_LIST_WIDTH,
    )


def pick_methods(subjects: Sequence[Subject]) -> tuple[list[str], Measure | None]:
    """The choice of methods, of those that fit all networks, in the order of the list; and a score.

    The score is measured for each map; None if none is chosen.
    """
    place = st.popover("Methods", icon=":material/checklist:", width="content")
    offered = compared.fitting_all([one.scene.outline.methods for one in subjects])
    with place:
        chosen = choices.choose_many(
            "Methods",
            "methods",
            offered,
            compared.varied(offered),
            widget=choices.in_panel(_chips),
            scope=" ".join(offered),
            format_func=lambda key: plain(METHODS[key].title),
        )
        for key in offered:
            if key in chosen:
                st.caption(plain(f"{METHODS[key].title}: {METHODS[key].summary}"))
        score = choices.choose(
            choices.in_panel(st.selectbox),
            "A score below each map",
            "score",
            ["", *_SCORES],
            "",
            format_func=lambda key: plain(MEASURES[key].title) if key else "none",
            help="Takes many runs of the network for each map. The page of a map has all of its "
            "scores, and says what fools them.",
        )
    return [key for key in offered if key in chosen], MEASURES.get(score)
