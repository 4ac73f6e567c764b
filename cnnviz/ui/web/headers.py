"""Guards of plain requests: the host's name, closed paths, and headers that limit the browser."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from cnnviz.ui.web.scripts import STATIC, preload_header

# The health address is asked by programs on the server's own machine, and says nothing else.
_HEALTH = "/_stcore/health"
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def content_policy(index: str) -> str:
    """The Content-Security-Policy: what the pages may load, all of it from this server.

    Args:
        index: Streamlit's page, whose inline scripts are allowed by their hashes.
    """
    digests = [hashlib.sha256(code.encode()).digest() for code in _INLINE_SCRIPT.findall(index)]
    hashes = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    rules = {
        "default-src": ["'self'"],
        # Streamlit loads the code of a component as a module from a blob.
        "script-src": ["'self'", "blob:", *hashes],
        # Streamlit and Plotly write style elements and attributes while they run.
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:", "blob:"],
        # The camera's picture is read as a data address.
        "connect-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'", "data:"],
        "media-src": ["'self'", "data:", "blob:"],
        "worker-src": ["'self'", "blob:"],
        "object-src": ["'none'"],
        "frame-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in rules.items())


class HeaderGuard:
    """Adds the headers that limit what a browser does with an answer, and what it loads early."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        index = (STATIC / "index.html").read_text(encoding="utf-8")
        self._headers = {
            "Content-Security-Policy": content_policy(index),
            "X-Content-Type-Options": "nosniff",
        }
        self._preload = {"Link": preload_header(STATIC)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request or a connection, as ASGI defines it."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.update(self._preload)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class HostGuard:
    """Answers only requests for a name in ``server.allowedHosts``, as websockets are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request or a connection, as ASGI defines it."""
        app = self._app
        if scope["type"] == "http" and not scope["path"].endswith(_HEALTH):
            host = Headers(scope=scope).get("host")
            if not is_host_allowed(host):
                app = PlainTextResponse(
                    "This server does not answer under this name. Whoever runs it can add the "
                    "name to STREAMLIT_SERVER_ALLOWED_HOSTS.",
                    status_code=403,
                )
        await app(scope, receive, send)


class PathGuard:
    """Has no answer to requests for some paths of Streamlit's."""

    def __init__(self, app: ASGIApp, closed: Sequence[str]) -> None:
        self._app = app
        self._closed = tuple(closed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request or a connection, as ASGI defines it."""
        app = self._app
        if scope["type"] == "http" and scope["path"].rstrip("/").endswith(self._closed):
            app = PlainTextResponse("Not Found", status_code=404)
        await app(scope, receive, send)
