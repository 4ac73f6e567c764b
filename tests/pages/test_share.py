"""The window to share a page: its link, the QR code of that, and what is not in it."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
import segno
import streamlit as st
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from cnnviz.ui import share

CLASS = "http://192.168.1.20:8501/filters"
HERE = "http://localhost:8501/filters"
CHOICES = {"model": ["mnist_cnn"], "layer": ["conv 1"], "layers": ["a", "b"]}
QUERY = "?model=mnist_cnn&layer=conv+1&layers=a&layers=b"


def test_the_link_has_the_choices_of_the_page() -> None:
    assert share.shared_link(CLASS, "localhost", {}) == CLASS
    assert share.shared_link(CLASS, "localhost", CHOICES) == CLASS + QUERY


@pytest.mark.parametrize(
    ("page", "server", "link"),
    [
        (HERE, "localhost", HERE),
        (HERE, "0.0.0.0", HERE),
        (HERE, "192.168.1.20", CLASS),
        ("https://127.0.0.1/filters", "192.168.1.20", "https://192.168.1.20/filters"),
        (HERE, "[fd00::2]", "http://[fd00::2]:8501/filters"),
        # The name by which it was reached is the right one.
        (CLASS, "10.0.0.9", CLASS),
        ("https://cnnviz.example/a", "10.0.0.9", "https://cnnviz.example/a"),
    ],
)
def test_a_local_address_becomes_that_for_others_if_there_is_one(
    page: str, server: str, link: str
) -> None:
    assert share.shared_link(page, server, {}) == link


def test_an_own_photo_is_left_out_and_a_sample_is_not() -> None:
    assert share.shared_link(CLASS, "", {"photo": ["own"]}) == CLASS
    assert share.shared_link(CLASS, "", {"photo": ["x"]}) == f"{CLASS}?photo=x"


def test_the_code_is_that_of_the_link() -> None:
    uri = share.code_uri(CLASS + QUERY)
    assert uri is not None
    svg = unquote(uri.partition(",")[2])
    (size,) = re.findall(r"viewBox='0 0 (\d+) \1'", svg)
    code = segno.make(CLASS + QUERY, micro=False)
    assert int(size) == len(code.matrix) + 8
    assert drawn(svg, int(size)) == [list(row) for row in code.matrix_iter(border=4)]
    assert share.code_uri("x" * 3000) is None


def drawn(svg: str, size: int) -> list[list[int]]:
    """The dark modules of a code's path, which has a line for each run of them."""
    rows = [[0] * size for _ in range(size)]
    (path,) = re.findall(r"stroke='#000' d='([^']+)'", svg)
    x = y = 0.0
    for kind, numbers in re.findall(r"([Mmh])([\d.\- ]+)", path):
        step = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if kind == "h":
            for column in range(int(x), int(x + step[0])):
                rows[int(y)][column] = 1
            x += step[0]
        else:
            x, y = step if kind == "M" else (x + step[0], y + step[1])
    return rows


def opened(monkeypatch: pytest.MonkeyPatch, page: str, **query: str) -> tuple[str, list[str], Any]:
    """The link, the texts and the codes of the window, on a page with that address."""

    def script() -> None:
        from cnnviz.ui import share

        share.dialog()

    monkeypatch.setattr(ContextProxy, "url", property(lambda _: page))
    app = AppTest.from_function(script)
    app.session_state["own models"] = {"mine.keras": None}
    app.query_params.update(query)
    app.run()
    assert not app.exception
    (field,) = app.get("bidi_component")
    codes = [html.unescape(one.proto.body) for one in app.get("html")]
    link = json.loads(field.proto.json)["link"]
    return link, [one.value for one in app.markdown], codes


def test_in_a_network_the_window_shows_the_link_and_its_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link, texts, (code,) = opened(monkeypatch, CLASS, model="mnist_cnn")
    assert link == f"{CLASS}?model=mnist_cnn"
    assert share.code_uri(link) in code
    assert 'alt="QR code of the link"' in code
    assert texts == []


def test_on_this_machine_alone_there_is_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    link, (text,), codes = opened(monkeypatch, HERE, model="mnist_cnn")
    assert link == f"{HERE}?model=mnist_cnn"
    assert "works on this machine alone" in text
    assert "`cnnviz app --lan`" in text
    assert codes == []
    # With --lan the server knows the address for others.
    monkeypatch.setattr(st, "get_option", lambda _: "192.168.1.20")
    link, texts, codes = opened(monkeypatch, HERE)
    assert (link, texts, len(codes)) == (CLASS, [], 1)


def test_what_is_in_this_session_alone_is_not_in_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    query = {"model": "mine.keras", "layer": "conv", "photo": "own"}
    link, texts, _ = opened(monkeypatch, CLASS, **query)
    assert link == CLASS
    assert [text.partition(" is ")[0] for text in texts] == ["Your own model", "Your own photo"]
