"""Gives browsers the components' JavaScript."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from cnnviz.ui.components import modules


def route() -> Route:
    """The route of the files."""
    return Route(f"/{modules.ADDRESS}/{{version}}/{{name}}", _give)


def preload_links() -> str:
    """The files as a ``Link`` header, with which a browser asks for all of them at once."""
    links = (f"./{modules.ADDRESS}/{modules.version()}/{name}" for name in modules.names())
    return ", ".join(f"<{link}>; rel=modulepreload" for link in links)


async def _give(request: Request) -> Response:
    name = request.path_params["name"]
    # A page that is open while a new version is installed gets an error, and not a mixture.
    if name not in modules.names() or request.path_params["version"] != modules.version():
        raise HTTPException(404)
    return FileResponse(
        modules.FOLDER / name,
        media_type="text/javascript",
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )
