"""The order in which a browser gets Streamlit's scripts.

Streamlit's page names what it needs to start. The scripts of its parts are requested when the first
of each is drawn, and what they import after that: those that every page needs are named with the
page. Plotly's comes last, since it keeps the browser busy.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

# The parts that the frame of every page is made of: bar, sidebar and styles; the files' names.
_PARTS = ("BidiComponent", "Checkbox", "FileUploader", "Html", "ImageList", "Selectbox")
_NAMED = re.compile(r"static/js/([\w.-]+\.js)")
_IMPORTED = re.compile(r"(?:from|import)[\"'`]\./([\w.-]+\.js)[\"'`]")
_PLOTLY = "/static/js/PlotlyChart."
# Seconds. React fills in placeholders 0.3 s after it has drawn them, and requests this script with
# them. Its start takes most of a second: the sidebar would have to wait for that.
_PLOTLY_WAITS = 0.25


def preload_header(static: Path) -> str:
    """The ``Link`` header of a page, for the scripts that ``index.html`` does not name.

    Args:
        static: Streamlit's folder of ``index.html``.
    """
    folder = static / "static" / "js"
    named = set(_NAMED.findall((static / "index.html").read_text(encoding="utf-8")))
    waiting = [path.name for part in _PARTS for path in sorted(folder.glob(f"{part}.*.js"))]
    found: dict[str, None] = {}
    while waiting:
        name = waiting.pop()
        if name not in named and name not in found:
            found[name] = None
            waiting += _IMPORTED.findall((folder / name).read_text(encoding="utf-8"))
    return ", ".join(f"<./static/js/{name}>; rel=modulepreload" for name in sorted(found))


class ScriptGuard:
    """Has Plotly's script wait until the rest of a new page is drawn."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request or a connection, as ASGI defines it."""
        if scope["type"] == "http" and _PLOTLY in scope["path"]:
            await asyncio.sleep(_PLOTLY_WAITS)
        await self._app(scope, receive, send)
