"""Guard of uploads: how many bytes a session, and all of them together, may keep on the server."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from typing import cast

import streamlit as st
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from cnnviz.settings import read_settings

_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+/?")
_MEGABYTE = 1 << 20
# What a file costs besides its bytes and names, so that empty ones are not free.
_RECORD = 4096

# Addresses at which only this machine reaches a server.
LOCAL = {"localhost", "127.0.0.1", "::1"}

# Why the last upload of a session was refused, until its page has said so.
_refusals: dict[str, str] = {}
# Bytes that pages keep of files which Streamlit no longer has, by session.
_kept: dict[str, int] = {}


class _OverBudgetError(Exception):
    """An upload is larger than what is left for it."""


@dataclass(frozen=True)
class Budget:
    """Limits in bytes: of the files of one session, and of those of all sessions."""

    session: int
    everybody: int

    def refusal(self, session: int, everybody: int) -> str | None:
        """Why so many bytes are too many, for the person who uploads; None if they are not."""
        if session > self.session:
            return (
                "The file was not accepted: a page may keep files of "
                f"{self.session // _MEGABYTE:,} MB in total on the server. Remove one that you no "
                "longer need, and upload it again."
            )
        if everybody > self.everybody:
            return (
                "The file was not accepted: the files of all who use this server at the moment "
                f"take up the {self.everybody // _MEGABYTE:,} MB that it has for them. Try again "
                "later."
            )
        return None


def read_budget() -> Budget:
    """The limits as the settings say."""
    settings = read_settings()
    largest = int(st.get_option("server.maxUploadSize"))
    session = settings.session_uploads_mb or 3 * largest
    return Budget(session * _MEGABYTE, settings.all_uploads_mb * _MEGABYTE)


class UploadGuard:
    """Counts the bytes of uploads while they arrive, beside those that are stored."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._arriving: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request or a connection, as ASGI defines it."""
        upload = scope["type"] == "http" and scope["method"] == "PUT"
        match = _UPLOAD.search(scope["path"]) if upload else None
        if match is None:
            await self._app(scope, receive, send)
            return
        free_ended_sessions()
        session, budget, arrived = match[1], read_budget(), 0

        def release() -> None:
            nonlocal arrived
            self._arriving[session] -= arrived
            arrived = 0
            if not self._arriving[session]:
                del self._arriving[session]

        # Streamlit reads the body only once it has checked the token and the session.
        async def receive_counted() -> Message:
            nonlocal arrived
            message = await receive()
            size = len(message.get("body", b""))
            arrived += size
            self._arriving[session] += size
            stored = stored_bytes()
            reason = budget.refusal(
                stored[session] + self._arriving[session],
                stored.total() + self._arriving.total(),
            )
            if reason is not None:
                raise _OverBudgetError(reason)
            return message

        async def send_released(message: Message) -> None:
            # By now the file is stored, and counted there.
            release()
            await send(message)

        try:
            await self._app(scope, receive_counted, send_released)
        except _OverBudgetError as error:
            release()
            _report(session, str(error))
            await PlainTextResponse(str(error), status_code=413)(scope, receive, send)
        except ClientDisconnect:
            # The person left the page, or cancelled: no answer can be sent.
            pass
        finally:
            release()


def free_ended_sessions() -> None:
    """Deletes the files of sessions that have ended and cannot be resumed.

    Streamlit does so only when it happens to collect such a session as garbage.
    """
    manager, sessions = _manager(), runtime.get_instance()._session_mgr
    for session in {*manager.file_storage, *_kept}:
        if sessions.get_session_info(session) is None:
            manager.remove_session_files(session)
            _kept.pop(session, None)


def stored_bytes() -> Counter[str]:
    """The size of the files that Streamlit keeps, and of what pages keep of files, by session."""
    # Scripts in other threads delete files meanwhile.
    files = {session: list(own.values()) for session, own in list(_manager().file_storage.items())}
    stored = Counter({session: sum(map(_size, own)) for session, own in files.items()})
    stored.update(dict(_kept))
    return stored


def keep(count: int) -> None:
    """Notes how many bytes this session keeps itself of the files that it was given."""
    context = get_script_run_ctx()
    if context is not None and count:
        _kept[context.session_id] = count
    elif context is not None:
        _kept.pop(context.session_id, None)


def refusal_of(count: int) -> str | None:
    """Why this session may not keep so many bytes more; None if it may."""
    context = get_script_run_ctx()
    # Without a server there are no other sessions.
    if context is None or not runtime.exists():
        return None
    free_ended_sessions()
    stored = stored_bytes()
    session = stored[context.session_id]
    return read_budget().refusal(session + count, stored.total() + count)


def take_refusal() -> str | None:
    """Why this session's last upload was refused; None if it was not, or has been reported."""
    context = get_script_run_ctx()
    return _refusals.pop(context.session_id, None) if context is not None else None


def _report(session_id: str, reason: str) -> None:
    """Has the page say why: Streamlit's uploader shows the number of the status only."""
    sessions = runtime.get_instance()._session_mgr
    active = sessions.get_active_session_info(session_id)
    for session in [one for one in _refusals if not sessions.is_active_session(one)]:
        del _refusals[session]
    if active is not None:
        _refusals[session_id] = reason
        active.session.request_rerun(None)


def _manager() -> MemoryUploadedFileManager:
    # A server has no other one; those are for tests and other hosts.
    return cast(MemoryUploadedFileManager, runtime.get_instance().uploaded_file_mgr)


def _size(file: UploadedFileRec) -> int:
    return _RECORD + len(file.data) + sys.getsizeof(file.name) + sys.getsizeof(file.type)
