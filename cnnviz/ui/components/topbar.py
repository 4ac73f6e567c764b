"""The bar over Streamlit's header: the model, and the buttons that present and share the page.

``topbar.js`` opens and closes the sidebar, and reports the buttons, and the keys that turn pages
while one is presented; ``topbar.css`` also places Streamlit's own header around it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from cnnviz.ui.components import modules

# Not the component's: Streamlit would take it away with the first of its two that is gone.
# Of a page that is enlarged while it is presented, and of one that is as large as the window then.
# Not one style that asks by ":has" which of them it is: Chromium would look at all elements of the
# page again after each change of one.
ENLARGED = modules.style("topbar.css", "topbar_enlarged.css")
ITSELF = modules.style("topbar.css", "topbar_itself.css")
_KEY = "bar"


def show(
    title: str,
    *,
    choice: str,
    may_open: bool,
    presenting: bool,
    on_action: Callable[[str], None],
) -> None:
    """Draws the bar.

    Args:
        title: of the model.
        choice: identifies the page, the model and the photo; a change of it closes the sidebar of
            a phone.
        may_open: whether people may open models of their own.
        presenting: whether the page is presented.
        on_action: called before the next run with ``"share"``, ``"present"``, ``"leave"``,
            ``"next"`` or ``"previous"``: the last two are about pages.
    """

    def report() -> None:
        action = st.session_state[_KEY].action
        if action in ("share", "present", "leave", "next", "previous"):
            on_action(action)

    data = {"title": title, "choice": choice, "mayOpen": may_open, "presenting": presenting}
    _component()(data=data, key=_KEY, on_action_change=report)


def add(title: str, facts: str) -> None:
    """Adds what is known of a model by now, in a message of its own; the browser keeps it."""
    _component()(data={"title": title, "facts": facts}, key=f"{_KEY} facts")


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_topbar",
        js=modules.code("topbar.js"),
        isolate_styles=False,
    )
