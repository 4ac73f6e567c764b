"""The dialog that shares the page: its link."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st


@st.dialog("Share this page")
def dialog() -> None:
    """Shows the link of the page with its choices, which can be copied."""
    pairs = [(name, value) for name in st.query_params for value in st.query_params.get_all(name)]
    query = f"?{urlencode(pairs)}" if pairs else ""
    st.write("The link opens this page with the same choices. It does not hold your own photo.")
    st.code(f"{st.context.url}{query}", language=None, wrap_lines=True)
