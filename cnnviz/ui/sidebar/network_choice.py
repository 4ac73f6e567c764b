"""The choice of a network: every module that reads or changes it does so here."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from cnnviz.ui import choices

_KEY = "model"


def choose(titles: Mapping[str, str]) -> str:
    """Draws the choice among some networks, titles by name, and returns the name."""
    return choices.choose(
        st.selectbox,
        "Network",
        _KEY,
        list(titles),
        next(iter(titles)),
        format_func=titles.__getitem__,
        if_unknown="A model that was uploaded or trained is gone once the server restarts, and an "
        "uploaded one once its page is reloaded: give it again to go on with it.",
    )


def put(name: str) -> None:
    """Chooses a network for the person, before the choice is drawn."""
    choices.put(_KEY, name)


def reset() -> None:
    """Goes back to the first network."""
    choices.forget(_KEY)
