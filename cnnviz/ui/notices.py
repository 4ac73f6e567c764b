"""Messages to the person that are about no part of the page, such as a link that leads nowhere."""

from __future__ import annotations

import streamlit as st

from cnnviz.ui.text import plain


def show(text: str) -> None:
    """Shows a message until the person closes it."""
    st.toast(plain(text), icon=":material/info:", duration="infinite")
