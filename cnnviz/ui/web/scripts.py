"""How, and in which order, a browser gets scripts: Streamlit's, and those of our components.

Streamlit's page names what it needs to start. The scripts of its parts are requested when the first
of each is drawn, and what they import after that. Those that every page needs are named with the
page, to be loaded after those without which it does not start. Our components are not: loaded
then, they are no sooner on the page. Plotly's comes last, since it keeps the browser busy.

A page needs more than a hundred scripts. Streamlit reads each by several calls in other threads,
which takes three times as long as all else about a request; here a script is read at once.
"""

from __future__ import annotations

import asyncio
import functools
import re
from pathlib import Path

import streamlit
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cnnviz.ui.components import modules

# Streamlit's folder of ``index.html``.
STATIC = Path(streamlit.__file__).parent / "static"
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
    how = "rel=modulepreload; fetchpriority=low"
    return ", ".join(f"<./static/js/{name}>; {how}" for name in sorted(found))


class ScriptGuard:
    """Answers requests for scripts; has Plotly's wait until the rest of a new page is drawn."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request or a connection, as ASGI defines it."""
        app = self._app
        if scope["type"] == "http" and scope["method"] == "GET":
            path = scope["path"]
            if _PLOTLY in path:
                await asyncio.sleep(_PLOTLY_WAITS)
            script = find(path)
            if script is not None:
                app = _answer(script)
            elif f"/{modules.ADDRESS}/" in path:
                # Streamlit would answer with its page.
                app = PlainTextResponse("Not Found", status_code=404)
        await app(scope, receive, send)


def find(path: str) -> bytes | None:
    """A script, by the path of a request; None for anything else."""
    # A page that is open while a new version is installed gets an error, and not a mixture.
    if path.endswith(f"/{modules.address()}"):
        return modules.joined()
    folder, _, name = path.rpartition("/")
    file = _streamlits().get(name) if folder.endswith("/static/js") else None
    return None if file is None else file.read_bytes()


@functools.cache
def _streamlits() -> dict[str, Path]:
    """Streamlit's scripts by name."""
    return {path.name: path for path in (STATIC / "static" / "js").glob("*.js")}


def _answer(script: bytes) -> Response:
    # Its address changes with its content.
    return Response(
        script,
        media_type="text/javascript",
        headers={"Cache-Control": "public, immutable, max-age=31536000"},
    )
