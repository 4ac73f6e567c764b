"""Brings the beginning of a page into sight when it shows another step."""

from __future__ import annotations

import functools
from typing import Any

import streamlit as st

from cnnviz.ui.components import modules


def mark(step: str, key: str) -> None:
    """Says which step the page shows; it is drawn as nothing.

    Args:
        step: names the step.
        key: the component's name on the page.
    """
    _component()(data=step, key=key)


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_step_start", js=modules.code("step_start.js"), isolate_styles=False
    )
