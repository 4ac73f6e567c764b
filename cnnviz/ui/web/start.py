"""What surrounds Streamlit's server: the guards of its requests, and what happens at the start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit import cli_util
from streamlit.web.server import server_util

from cnnviz.settings import read_settings
from cnnviz.ui import page_imports
from cnnviz.ui.web import component_files, uploads
from cnnviz.ui.web.frames import FrameGuard
from cnnviz.ui.web.headers import HeaderGuard, HostGuard, PathGuard
from cnnviz.ui.web.scripts import ScriptGuard


def middleware() -> list[Middleware]:
    """The guards, the outermost first."""
    closed = [] if read_settings().metrics else ["/_stcore/metrics"]
    return [
        Middleware(HeaderGuard),
        Middleware(HostGuard),
        Middleware(PathGuard, closed=closed),
        Middleware(uploads.UploadGuard),
        Middleware(FrameGuard),
        Middleware(ScriptGuard),
    ]


def routes() -> list[Route]:
    """What the server answers besides Streamlit's own addresses."""
    return [component_files.route()]


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Imports the pages, frees files of ended sessions, and opens the person's browser, if any.

    Streamlit opens it only for an app that is a script alone.
    """
    # Only here: uvicorn replaces the settings of its logs when it starts.
    logging.getLogger("uvicorn.error").addFilter(shorten_garbage)
    if not st.get_option("server.headless"):
        address = st.get_option("browser.serverAddress")
        url = server_util.get_url(server_util.get_display_address(address))
        asyncio.get_running_loop().call_soon(cli_util.open_browser, url)
    page_imports.start()
    freeing = asyncio.create_task(_free_ended_sessions())
    yield
    freeing.cancel()


async def _free_ended_sessions() -> None:
    while True:
        await asyncio.sleep(max(1, st.get_option("server.disconnectedSessionTTL")))
        uploads.free_ended_sessions()


def shorten_garbage(record: logging.LogRecord) -> bool:
    """Leaves out the traceback where a websocket has sent a text that is not UTF-8."""
    if record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError):
        record.exc_info = None
    return True
