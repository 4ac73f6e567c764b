"""The server's settings, checked on a running server."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from scripts.browse import running_app
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


def test_without_models_of_ones_own_a_file_over_15_mb_is_refused_by_the_server() -> None:
    async def visit(size: int) -> None:
        async with visitor(server.url) as person:
            await person.open("?model=mnist_cnn")
            await person.upload("large.jpg", bytes(size))

    with running_app(CNNVIZ_UPLOADS="off", CNNVIZ_TRAINING="off") as server:
        run(visit(14 << 20))
        with pytest.raises(requests.HTTPError, match="413"):
            run(visit((15 << 20) + 1))


def test_no_file_of_the_folder_is_served(server: Any) -> None:
    for path in ("app/static/app.py", "app.py", "models/mnist_cnn.keras", ".streamlit/config.toml"):
        answer = requests.get(f"{server.url}/{path}", timeout=30)
        assert answer.status_code == 404 or answer.text.lstrip().startswith("<!"), path


def test_the_cookie_stays_with_the_app_s_own_pages(server: Any) -> None:
    cookie = requests.get(f"{server.url}/_stcore/health", timeout=30).headers["Set-Cookie"]
    assert "SameSite=Strict" in cookie
