"""The server's settings, checked on a running server."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from helpers import wait_until
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from cnnviz.photos.encoding import encode_png
from scripts.browse import Server, running_app
from scripts.visitor import visitor
from tests.e2e.in_a_thread import run


def lets_in(url: str, host: str, origin: str | None = None) -> bool:
    """Whether a websocket opens for a browser that reached the server by this name."""
    port = urlsplit(url).port

    async def knock() -> bool:
        source = Origin(origin or f"http://{host}:{port}")
        address = f"ws://{host}:{port}/_stcore/stream"
        try:
            async with connect(address, origin=source, host="127.0.0.1", port=port):
                return True
        except InvalidStatus as error:
            if error.response.status_code != 403:
                raise
            return False

    return run(knock())


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("localhost", None, True),
        ("127.0.0.1", None, True),
        ("evil.example", None, False),
        ("localhost", "http://evil.example", False),
    ],
)
def test_only_known_hosts_and_their_own_pages_get_a_session(
    server: Any, host: str, origin: str | None, expected: bool
) -> None:
    assert lets_in(server.url, host, origin) is expected


def test_the_hosts_can_be_named_in_the_environment() -> None:
    hosts = "school.example *.class.example"
    with running_app(STREAMLIT_SERVER_ALLOWED_HOSTS=hosts) as server:
        assert lets_in(server.url, "school.example")
        assert lets_in(server.url, "room7.class.example")
        assert not lets_in(server.url, "localhost")
        assert not lets_in(server.url, "evil.example")


def upload(url: str, token: str, size: int) -> requests.Response:
    """Sends a file to a session that does not exist."""
    return requests.put(
        f"{url}/_stcore/upload_file/no-session/no-file",
        files={"file": ("a.jpg", bytes(size))},
        headers={"X-Xsrftoken": token},
        cookies={"_streamlit_xsrf": "2|aaaaaaaa|bbbbbbbb|1"},
        timeout=30,
    )


def test_a_file_needs_the_token_and_a_session(server: Any) -> None:
    assert upload(server.url, "", 9).status_code == 403
    assert upload(server.url, "2|aaaaaaaa|cccccccc|1", 9).status_code == 403
    without_session = upload(server.url, "2|aaaaaaaa|bbbbbbbb|1", 9)
    assert without_session.status_code == 400
    assert "Invalid session_id" in without_session.text


@pytest.fixture(scope="module")
def small_server() -> Iterator[Server]:
    """A server without models of one's own, with little space for files, and with metrics."""
    with running_app(
        CNNVIZ_UPLOADS="off",
        CNNVIZ_TRAINING="off",
        CNNVIZ_SESSION_UPLOADS_MB="16",
        CNNVIZ_ALL_UPLOADS_MB="22",
        CNNVIZ_METRICS="on",
        STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL="1",
    ) as server:
        yield server
        assert not server.tracebacks(), server.tracebacks()


def keeps_no_file(server: Server) -> bool:
    """Whether the files of all sessions that have ended are gone, which they are a second later."""
    metrics = requests.get(f"{server.url}/_stcore/metrics", timeout=30)
    return metrics.ok and "UploadedFileManager" not in metrics.text


def test_without_models_of_ones_own_a_file_over_15_mb_is_refused_by_the_server(
    small_server: Server,
) -> None:
    async def visit(size: int) -> None:
        async with visitor(small_server.url) as person:
            await person.open("?model=mnist_cnn")
            await person.upload("large.jpg", bytes(size))

    run(visit(14 << 20))
    with pytest.raises(requests.HTTPError, match="413"):
        run(visit((15 << 20) + 1))


def test_files_that_no_uploader_asked_for_have_a_budget(small_server: Server) -> None:
    async def fill() -> list[int]:
        async with visitor(small_server.url) as one, visitor(small_server.url) as other:
            await one.open("?model=mnist_cnn")
            await other.open("?model=mnist_cnn")
            statuses = [await one.send_file(str(number), bytes(7 << 20)) for number in range(4)]
            await one.delete_file("0")
            statuses.append(await one.send_file("4", bytes(7 << 20)))
            # The others go on, until all is used up.
            statuses += [await other.send_file(str(number), bytes(5 << 20)) for number in range(2)]
            return statuses

    refused = 413
    expected = [204, 204, refused, refused, 204, 204, refused]
    assert wait_until(lambda: keeps_no_file(small_server))
    assert run(fill()) == expected


def test_a_person_is_told_that_a_file_was_not_accepted(
    small_server: Server, new_tab: Any, photo: bytes
) -> None:
    tab = new_tab(small_server).open("/?model=mnist_cnn")
    field = tab.page.locator(".st-key-uploaded-photo input[type=file]")
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    large = {"name": "a.png", "mimeType": "image/png", "buffer": encode_png(noise)}

    async def fill_and_upload() -> None:
        async with visitor(small_server.url) as one, visitor(small_server.url) as other:
            await one.open("?model=mnist_cnn")
            await other.open("?model=mnist_cnn")
            assert await one.send_file("1", bytes(7 << 20)) == 204
            assert await one.send_file("2", bytes(7 << 20)) == 204
            assert await other.send_file("1", bytes(6 << 20)) == 204
            filled.set()
            await asyncio.to_thread(told.wait, 60)

    filled, told = threading.Event(), threading.Event()
    assert wait_until(lambda: keeps_no_file(small_server))
    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(asyncio.run, fill_and_upload())
        assert filled.wait(60), others.result()
        field.set_input_files([large])
        tab.page.get_by_test_id("stToast").filter(has_text="was not accepted").wait_for()
        told.set()
        others.result()
    assert tab.settled().sidebar.get_by_text("Your photo", exact=True).count() == 1
    # The error of the upload itself.
    tab.errors.clear()
    assert wait_until(lambda: "a.png" in tab.upload("a.png", photo).sidebar.inner_text(), 10)
    assert tab.errors == []


def test_the_metrics_are_closed_unless_the_setting_opens_them(
    server: Any, small_server: Server
) -> None:
    for path in ("_stcore/metrics", "_stcore/metrics/", "_stcore/%6detrics?x", "_stcore//metrics"):
        answer = requests.get(f"{server.url}/{path}", timeout=30)
        assert "HELP" not in answer.text, path
    assert requests.get(f"{server.url}/_stcore/metrics", timeout=30).status_code == 404
    answer = requests.get(f"{small_server.url}/_stcore/metrics", timeout=30)
    assert "# HELP" in answer.text


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("localhost", "/", 200),
        ("evil.example", "/", 403),
        ("evil.example", "/_stcore/host-config", 403),
        ("evil.example", "/media/x.png", 403),
        ("", "/", 403),
        # A container asks for its health by address.
        ("evil.example", "/_stcore/health", 200),
    ],
)
def test_plain_requests_need_a_known_host_too(
    server: Any, host: str, path: str, status: int
) -> None:
    answer = requests.get(server.url + path, headers={"Host": host}, timeout=30)
    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_garbage_closes_a_websocket_politely_and_leaves_no_traceback(small_server: Server) -> None:
    async def answers() -> list[int | None]:
        codes = []
        clear = BackMsg(clear_cache=True).SerializeToString()
        for frame in ("text", b"", b"\xff" * 20, random.Random(3).randbytes(10_000), clear):
            async with visitor(small_server.url) as person:
                codes.append(await person.send_frame(frame))
        return codes

    # The last one is a message for developers, which is ignored.
    assert run(answers()) == [1003, 1002, 1002, 1002, None]
    port = urlsplit(small_server.url).port
    for frame in (b"\x81\x82\0\0\0\0\xff\xfe", b"\x8f\x83abcdefg", b"\x82\x03abc"):
        with socket.create_connection(("localhost", port)) as raw:
            raw.sendall(
                f"GET /_stcore/stream HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            assert b"101" in raw.recv(4096)
            raw.sendall(frame)
            # A close frame.
            assert raw.recv(4096)[:1] == b"\x88"
    text = small_server.log.read_text(errors="replace")
    assert "Closed a websocket that sent what no browser does" in text
    assert not small_server.tracebacks(), small_server.tracebacks()


def test_no_file_of_the_folder_is_served(server: Any) -> None:
    for path in ("app/static/app.py", "app.py", "models/mnist_cnn.keras", ".streamlit/config.toml"):
        answer = requests.get(f"{server.url}/{path}", timeout=30)
        assert answer.status_code == 404 or answer.text.lstrip().startswith("<!"), path


def test_the_cookie_stays_with_the_app_s_own_pages(server: Any) -> None:
    cookie = requests.get(f"{server.url}/_stcore/health", timeout=30).headers["Set-Cookie"]
    assert "SameSite=Strict" in cookie
