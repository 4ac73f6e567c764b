"""A link in a field, with a button that copies it.

Streamlit's own button fails where a page comes without HTTPS, as in a class's network.
"""

from __future__ import annotations

import functools
from typing import Any

import streamlit as st

from cnnviz.ui.components import modules

_HTML = """
<div class="copy-link">
  <input type="text" readonly aria-label="Link" spellcheck="false">
  <button type="button" aria-live="polite">Copy</button>
</div>
"""


def show(link: str) -> None:
    """Draws the field and the button."""
    _component()(data={"link": link}, key="link to copy")


@functools.cache
def _component() -> Any:
    """The component, which Streamlit registers once in a process."""
    return st.components.v2.component(
        "cnnviz_copy_link",
        html=_HTML,
        css=modules.style("copy_link.css"),
        js=modules.code("copy_link.js"),
        # The Tab key does not find what is isolated in a window.
        isolate_styles=False,
    )
