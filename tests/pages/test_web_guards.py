"""The guards of the server's requests, each by itself; tests/e2e/test_server.py asks a server."""

from __future__ import annotations

import asyncio
import logging
import re
from graphlib import CycleError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from starlette.responses import PlainTextResponse
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from cnnviz.settings import PACKAGE
from cnnviz.ui import uploaders
from cnnviz.ui.components import modules
from cnnviz.ui.web import scripts as page_scripts
from cnnviz.ui.web import start, uploads
from cnnviz.ui.web.frames import check_frame
from cnnviz.ui.web.headers import content_policy
from cnnviz.ui.web.scripts import STATIC, ScriptGuard, preload_header
from cnnviz.ui.web.uploads import Budget, UploadGuard

MEGABYTE = 1 << 20


def test_the_policy_names_the_inline_script_by_its_hash() -> None:
    # printf 'alert(1)' | openssl dgst -sha256 -binary | base64
    policy = content_policy("<script>alert(1)</script><script src='x'></script>")
    (scripts,) = [rule for rule in policy.split("; ") if rule.startswith("script-src ")]
    digest = "bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI="
    assert scripts == f"script-src 'self' blob: 'sha256-{digest}'"
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


def test_scripts_of_parts_are_named_with_what_they_import(tmp_path: Path) -> None:
    scripts = tmp_path / "static" / "js"
    scripts.mkdir(parents=True)
    (tmp_path / "index.html").write_text('<script src="./static/js/index.1.js"></script>')
    for name, code in {
        "index.1.js": 'const late = () => import("./Html.2.js")',
        "Html.2.js": 'import{a}from"./index.1.js";import{b}from"./purify.es.3.js";import"./x.4.js"',
        "purify.es.3.js": "export{Html}from`./Html.2.js`",
        "x.4.js": 'import("./PlotlyChart.5.js")',
        "PlotlyChart.5.js": "",
    }.items():
        (scripts / name).write_text(code)
    names = ["Html.2.js", "purify.es.3.js", "x.4.js"]
    links = [f"<./static/js/{name}>; rel=modulepreload; fetchpriority=low" for name in names]
    assert preload_header(tmp_path) == ", ".join(links)


def test_scripts_are_answered_at_once_and_kept_for_good() -> None:
    (streamlits,) = sorted((STATIC / "static" / "js").glob("Html.*.js"))
    ours = f"/{modules.address()}"
    for path, script in {
        f"/static/js/{streamlits.name}": streamlits.read_bytes(),
        ours: modules.joined(),
    }.items():
        status, headers, body = asyncio.run(asked(path))
        assert (status, body) == (200, script)
        assert headers["content-type"].startswith("text/javascript")
        assert "immutable" in headers["cache-control"]
    # Nothing else is: neither another file, nor one of another version, nor another request.
    folder = "/static/component-files"
    for path in (ours.replace(".js", ".py"), f"{folder}/0123456789abcdef/{modules.NAME}"):
        assert asyncio.run(asked(path))[0] == 404
    for path in ("/static/js/nothing.js", "/static/js/../index.html", "/walk.js", "/"):
        assert asyncio.run(asked(path))[2] == b"Streamlit"
    assert asyncio.run(asked(ours, method="POST"))[2] == b"Streamlit"


def test_modules_are_joined_in_the_order_of_their_imports() -> None:
    joined = modules.join(
        {
            "walk": 'import show from "./view.js";\n'
            'import { A, twice as two } from "./a.js";\n'
            "export default async function render() {\n  return show(two(A));\n}\n",
            "view": "export default function show(n) {\n  return `export ${n}`;\n}\n",
            "a": "export const A = 2;\nconst k = 2;\n"
            "export function twice(n) {\n  return k * n;\n}\nexport class B {}\n",
        }
    ).decode()
    assert joined == (
        "const modules = {};\n"
        "modules.a = (() => {\n"
        "const A = 2;\nconst k = 2;\nfunction twice(n) {\n  return k * n;\n}\nclass B {}\n"
        "return { A, twice, B };\n})();\n"
        "modules.view = (() => {\n"
        "function show(n) {\n  return `export ${n}`;\n}\n"
        "return { default: show };\n})();\n"
        "modules.walk = (() => {\n"
        "const { default: show } = modules.view;\n"
        "const { A, twice: two } = modules.a;\n"
        "async function render() {\n  return show(two(A));\n}\n"
        "return { default: render };\n})();\n"
        "export default modules;\n"
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ('import * as all from "./a.js";', ValueError),
        ("export { A };", ValueError),
        ('export * from "./a.js";', ValueError),
        ('import { A } from "./walk.js";', CycleError),
    ],
)
def test_modules_that_cannot_be_joined_are_refused(code: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        modules.join({"walk": f"{code}\n", "a": "export const A = 1;\n"})


def test_no_style_looks_for_parts_of_the_page_twice() -> None:
    # Chromium would look at all elements again after each change of one: 8 ms in place of 0.3.
    files = [PACKAGE / "ui" / "shell.css", *modules.FOLDER.glob("topbar*.css")]
    rules = re.sub(r"/\*.*?\*/", "", "".join(file.read_text() for file in files), flags=re.DOTALL)
    selectors = [
        one.strip() for part in re.findall(r"([^{}]+)\{", rules) for one in part.split(",")
    ]
    assert any(":has(> .st-key-topbar)" in one for one in selectors)
    twice = [one for one in selectors if one.count(":has(") > 1]
    anywhere = [one for one in selectors if re.match(r":root[^ ]*:has\(", one)]
    assert twice + anywhere == []


async def asked(path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """What the guard of scripts answers; what it passes on, Streamlit answers."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    guard = ScriptGuard(PlainTextResponse("Streamlit"))
    scope: Any = {"type": "http", "method": method, "path": path, "headers": []}
    await guard(scope, None, send)  # type: ignore[arg-type]
    start, body = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, body["body"]


def test_plotly_waits_for_the_other_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        order.append(scope["path"])

    def request(path: str) -> dict[str, str]:
        return {"type": "http", "method": "GET", "path": path}

    async def other_first(_: float) -> None:
        await guard(request("/static/js/Html.2.js"), None, None)

    monkeypatch.setattr(page_scripts.asyncio, "sleep", other_first)
    guard: Any = ScriptGuard(app)
    asyncio.run(guard(request("/static/js/PlotlyChart.1.js"), None, None))
    assert order == ["/static/js/Html.2.js", "/static/js/PlotlyChart.1.js"]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"text": "hello"}, 1003),
        ({"bytes": None, "text": "hello"}, 1003),
        ({"bytes": b"\xff\xff"}, 1002),
        ({"bytes": b""}, 1002),
        ({"bytes": BackMsg(app_heartbeat=True).SerializeToString()}, None),
    ],
)
def test_only_messages_of_a_browser_are_sound(frame: dict[str, Any], code: int | None) -> None:
    assert check_frame(frame) == code


def test_a_text_that_is_not_utf8_leaves_no_traceback() -> None:
    for error, kept in (
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), False),
        (OSError(), True),
    ):
        record = logging.LogRecord("x", 40, "x", 1, "x", (), (type(error), error, None))
        assert start.shorten_garbage(record)
        assert (record.exc_info is not None) is kept


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> MemoryUploadedFileManager:
    """The files of a server that accepts 2 MB of a session, and 3 MB of all."""
    manager = MemoryUploadedFileManager("")
    monkeypatch.setattr(uploads, "_manager", lambda: manager)
    monkeypatch.setattr(uploads, "read_budget", lambda: Budget(2 * MEGABYTE, 3 * MEGABYTE))
    monkeypatch.setattr(uploads, "_report", lambda session, reason: None)
    monkeypatch.setattr(uploads, "free_ended_sessions", lambda: None)
    return manager


def put(guard: UploadGuard, session: str, chunks: int, name: str = "file") -> tuple[int, int]:
    """Sends chunks of 0.25 MB; returns the status and how many were read."""
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {
            "type": "http.request",
            "body": bytes(MEGABYTE // 4),
            "more_body": read < chunks,
        }

    statuses = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    path = f"/base/_stcore/upload_file/{session}/{name}"
    asyncio.run(guard({"type": "http", "method": "PUT", "path": path}, receive, send))
    (status,) = statuses
    return status, read


def storing(manager: MemoryUploadedFileManager) -> UploadGuard:
    """A guard before what Streamlit does: it reads the body, stores it, and answers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        _, session, name = scope["path"].rsplit("/", 2)
        data = b""
        while True:
            message = await receive()
            data += message["body"]
            if not message["more_body"]:
                break
        manager.add_file(session, UploadedFileRec(name, name, "", data))
        await send({"type": "http.response.start", "status": 204, "headers": []})

    return UploadGuard(app)


def test_a_body_is_refused_at_the_first_chunk_over_the_budget(
    manager: MemoryUploadedFileManager,
) -> None:
    guard = storing(manager)
    # 2 MB hold eight chunks; a stored file costs a little more than its bytes.
    assert put(guard, "one", 100) == (413, 9)
    assert uploads.stored_bytes() == {}
    assert put(guard, "one", 6) == (204, 6)
    assert put(guard, "one", 6, "second") == (413, 2)
    # All sessions: 3 MB hold twelve.
    assert put(guard, "two", 6) == (413, 6)
    assert put(guard, "two", 5) == (204, 5)
    manager.remove_file("one", "file")
    assert put(guard, "one", 6, "second") == (204, 6)
    manager.remove_session_files("one")
    assert set(uploads.stored_bytes()) == {"two"}


def test_long_names_and_empty_files_count(manager: MemoryUploadedFileManager) -> None:
    manager.add_file("one", UploadedFileRec("1", "n" * MEGABYTE, "", b""))
    assert MEGABYTE < uploads.stored_bytes()["one"] < MEGABYTE + 10_000
    for number in range(100):
        manager.add_file("two", UploadedFileRec(str(number), "", "", b""))
    assert uploads.stored_bytes()["two"] > 100 * 4000


def test_uploads_that_arrive_at_the_same_time_are_counted_together(
    manager: MemoryUploadedFileManager,
) -> None:
    statuses: list[int] = []
    arrived = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal arrived
        await receive()
        arrived += 1
        while arrived < 4:
            await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": bytes(MEGABYTE * 3 // 4)}

    async def send(message: dict[str, Any]) -> None:
        nonlocal arrived
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
            arrived += message["status"] == 413

    async def send_four() -> None:
        guard = UploadGuard(app)
        scopes = [
            {"type": "http", "method": "PUT", "path": f"/_stcore/upload_file/one/{number}"}
            for number in range(4)
        ]
        await asyncio.gather(*(guard(scope, receive, send) for scope in scopes))

    asyncio.run(send_four())
    assert sorted(statuses) == [204, 204, 413, 413]


def test_a_file_is_freed_once_its_uploader_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = MemoryUploadedFileManager("")
    context = SimpleNamespace(uploaded_file_mgr=manager, session_id="one")
    monkeypatch.setattr(uploaders, "get_script_run_ctx", lambda: context)
    monkeypatch.setattr(st, "session_state", {})
    for name in ("held", "just arrived"):
        manager.add_file("one", UploadedFileRec(name, name, "", b"x"))
    for in_use, left in (({"held"}, {"held", "just arrived"}), (set(), {"just arrived"})):
        uploaders.start_run()
        st.session_state["files in use"] |= in_use
        uploaders.free_unused()
        assert set(manager.file_storage["one"]) == left
