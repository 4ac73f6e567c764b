"""What surrounds Streamlit's server: the guards of its requests, and what happens at the start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from streamlit import cli_util
from streamlit.web.server import server_util

from cnnviz.settings import read_settings
from cnnviz.ui import page_imports
from cnnviz.ui.web import lan, uploads
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


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Imports the pages, frees files of ended sessions, and opens the person's browser, if any.

    Streamlit opens it only for an app that is a script alone.
    """
    # Only here: uvicorn replaces the settings of its logs when it starts.
    logging.getLogger("uvicorn.error").addFilter(shorten_garbage)
    if read_settings().lan:
        cli_util.print_to_cli(announcement(lan.machine_addresses()))
    if not st.get_option("server.headless"):
        # On this machine itself the camera works, too.
        address = "localhost" if read_settings().lan else st.get_option("browser.serverAddress")
        url = server_util.get_url(server_util.get_display_address(address))
        asyncio.get_running_loop().call_soon(cli_util.open_browser, url)
    page_imports.start()
    freeing = asyncio.create_task(_free_ended_sessions())
    yield
    freeing.cancel()


def announcement(addresses: Sequence[lan.Address]) -> str:
    """What the terminal says where the app is for the machine's network: how others open it."""
    listening = [one for one in addresses if one.version == addresses[0].version]
    url, *others = (server_util.get_url(lan.in_url(one)) for one in listening)
    code = lan.terminal_code(url) if lan.shows_codes() else ""
    return lan.announcement(url, others, public=addresses[0].is_global, code=code)


async def _free_ended_sessions() -> None:
    while True:
        await asyncio.sleep(max(1, st.get_option("server.disconnectedSessionTTL")))
        uploads.free_ended_sessions()


def shorten_garbage(record: logging.LogRecord) -> bool:
    """Leaves out the traceback where a websocket has sent a text that is not UTF-8."""
    if record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError):
        record.exc_info = None
    return True
