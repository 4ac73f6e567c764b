"""Uploaders and camera: all files that a person gives to the server come through here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile


def file_uploader(label: str, key: str, **arguments: Any) -> UploadedFile | None:
    """Draws ``st.file_uploader``; `key` is also the key of a container around it."""
    return _draw(st.file_uploader, label, key, arguments)


def files_uploader(label: str, key: str, **arguments: Any) -> list[UploadedFile]:
    """Draws ``st.file_uploader`` for several files; `key` is also that of a container around it."""
    return _draw_many(st.file_uploader, label, key, {"accept_multiple_files": True, **arguments})


def camera_input(label: str, key: str, **arguments: Any) -> UploadedFile | None:
    """Draws ``st.camera_input``; `key` is also the key of a container around it."""
    return _draw(st.camera_input, label, key, arguments)


def start_run() -> None:
    """Forgets what the uploaders of the run before held."""
    st.session_state["files in use"] = set()


def free_unused() -> None:
    """Deletes the files whose uploader was not drawn in this run, or has another file now.

    A file that no uploader has held yet may have arrived just now, and stays.
    """
    context = get_script_run_ctx()
    used = st.session_state["files in use"]
    for file_id in st.session_state.get("files held", set()) - used:
        # Streamlit's only kind of manager, and the only one with this method.
        if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
            context.uploaded_file_mgr.remove_file(context.session_id, file_id)
    st.session_state["files held"] = used


def renew(key: str) -> None:
    """Replaces an uploader by an empty one, before it is drawn; its file is freed."""
    _numbers()[key] += 1


def lost_session() -> bool:
    """Whether the page had another session before this one, whose files are gone.

    The server was restarted, or the page was disconnected for too long. A browser that connects
    again names its session as the third of its protocols.
    """
    context = get_script_run_ctx()
    protocols = (st.context.headers.get("Sec-WebSocket-Protocol") or "").split(",")
    return context is not None and len(protocols) > 2 and protocols[2].strip() != context.session_id


def _draw(
    widget: Callable[..., Any], label: str, key: str, arguments: dict[str, Any]
) -> UploadedFile | None:
    files = _draw_many(widget, label, key, arguments)
    return files[0] if files else None


def _draw_many(
    widget: Callable[..., Any], label: str, key: str, arguments: dict[str, Any]
) -> list[UploadedFile]:
    def draw() -> list[UploadedFile]:
        given = widget(label, key=f"{key} {_numbers()[key]}", **arguments)
        return given if isinstance(given, list) else [given] * (given is not None)

    with st.container(key=key), st.empty():
        files = draw()
        if not files and not _numbers()[key] and lost_session():
            # The browser still shows the name of a file that the server has lost.
            renew(key)
            files = draw()
    st.session_state["files in use"].update(file.file_id for file in files)
    return files


def _numbers() -> Counter[str]:
    """How often each uploader of this session was replaced."""
    return st.session_state.setdefault("uploader numbers", Counter())
