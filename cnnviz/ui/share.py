"""The link to what is on the screen, to copy, and as a QR code for those in the same room."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode, urlsplit, urlunsplit

import streamlit as st
from streamlit.web.server import server_util

from cnnviz.ui.components import copy_link
from cnnviz.ui.sidebar import own_models
from cnnviz.ui.web.lan import is_local

_LOCAL = (
    "This link works on this machine alone: the page was opened at an address that means the "
    "machine itself. If cnnviz is started with `cnnviz app --lan`, everybody in its network can "
    "open it, and this window shows the QR code of a link for them."
)
_OWN_MODEL = (
    "Your own model is in this session alone: the link leads to this page with a model that "
    "everybody has, and its default choices."
)
_OWN_PHOTO = "Your own photo is not in the link: whoever opens it sees a sample picture."


@st.dialog("Share this page")
def dialog() -> None:
    """Shows the link to this page and, if others can open it, its QR code."""
    own_model = st.query_params.get("model") in own_models.models()
    own_photo = st.query_params.get("photo") == "own"
    parameters = {name: st.query_params.get_all(name) for name in st.query_params}
    link = shared_link(
        st.context.url or server_util.get_url("localhost"),
        st.get_option("browser.serverAddress"),
        {} if own_model else parameters,
    )
    local = is_local(urlsplit(link).hostname)
    if not local:
        _show_code(link)
    copy_link.show(link)
    if local:
        st.markdown(_LOCAL)
    if own_model:
        st.markdown(_OWN_MODEL)
    if own_photo:
        st.markdown(_OWN_PHOTO)


def shared_link(page: str, server: str, parameters: Mapping[str, Sequence[str]]) -> str:
    """The link to a page, for others if there is an address for them.

    Args:
        page: the address of the page without parameters, as its browser names it.
        server: the host by which others reach the server, if it is known; else a local one.
        parameters: of the page's address. That of an own photo is left out: it would only tell
            another person that a photo is lost.
    """
    parts = urlsplit(page)
    host = parts.netloc
    if is_local(parts.hostname) and not is_local(server.strip("[]")):
        host = server if parts.port is None else f"{server}:{parts.port}"
    shared = {
        name: values
        for name, values in parameters.items()
        if not (name == "photo" and list(values) == ["own"])
    }
    return urlunsplit((parts.scheme, host, parts.path, urlencode(shared, doseq=True), ""))


def code_uri(link: str) -> str | None:
    """The QR code of a link as the address of an SVG picture; None if the link is too long."""
    # Few people ask for a code, and the first page would wait for its import.
    import segno

    try:
        code = segno.make_qr(link)
    except segno.DataOverflowError:
        return None
    # White also where the page is dark, with the border that scanners need.
    return code.svg_data_uri(light="white", border=4, omitsize=True)


def _show_code(link: str) -> None:
    uri = code_uri(link)
    if uri is None:
        st.markdown("The link is too long for a QR code.")
        return
    st.html(
        f'<img src="{html.escape(uri)}" alt="QR code of the link" style="display: block; '
        'width: min(100%, 20rem); margin: 0 auto">'
    )
