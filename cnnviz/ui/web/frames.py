"""Guard of the websocket: only messages that a browser sends reach Streamlit."""

from __future__ import annotations

import logging

from google.protobuf.message import DecodeError
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

# Close codes of RFC 6455.
_PROTOCOL_ERROR, _UNSUPPORTED_DATA = 1002, 1003
# Others are for developers: one of them empties the caches of all sessions, with their models.
_TYPES = {
    "app_heartbeat",
    "backend_operation_request",
    "file_urls_request",
    "rerun_script",
    "stop_script",
}


class FrameGuard:
    """Closes a connection that sends garbage, with one line in the log.

    Streamlit would write a traceback for each.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request or a connection, as ASGI defines it."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        closed = False

        async def receive_checked() -> Message:
            nonlocal closed
            while True:
                message = await receive()
                if message["type"] != "websocket.receive" or closed:
                    return message
                problem = check_frame(message)
                if problem is not None:
                    closed = True
                    logging.getLogger(__name__).warning(
                        "Closed a websocket that sent what no browser does."
                    )
                    await send({"type": "websocket.close", "code": problem})
                    return {"type": "websocket.disconnect", "code": problem}
                if _type(message) in _TYPES:
                    return message

        async def send_unless_closed(message: Message) -> None:
            if not closed:
                await send(message)

        await self._app(scope, receive_checked, send_unless_closed)


def check_frame(message: Message) -> int | None:
    """The code with which to close a connection that sent this frame; None if it is sound."""
    if message.get("bytes") is None:
        return _UNSUPPORTED_DATA
    try:
        kind = _type(message)
    except DecodeError:
        return _PROTOCOL_ERROR
    return None if kind else _PROTOCOL_ERROR


def _type(message: Message) -> str | None:
    return BackMsg.FromString(message["bytes"]).WhichOneof("type")
