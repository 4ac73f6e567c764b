"""The app in this machine's network: who may open it, where it listens, and what it says."""

from __future__ import annotations

import io
import os
import re
import socket
from ipaddress import ip_address

import ifaddr
import pytest
import segno
from typer.testing import CliRunner

from cnnviz.cli import main as cli
from cnnviz.errors import CnnvizError
from cnnviz.ui import __main__ as ui
from cnnviz.ui.web import lan, start
from cnnviz.ui.web.uploads import LOCAL

URL = "http://192.168.1.20:8501"
VARIABLES = (
    "CNNVIZ_LAN",
    "STREAMLIT_SERVER_ADDRESS",
    "STREAMLIT_SERVER_ALLOWED_HOSTS",
    "STREAMLIT_BROWSER_SERVER_ADDRESS",
    "STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE",
)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "CNNVIZ_UPLOADS", "CNNVIZ_TRAINING"):
        monkeypatch.setenv(name, "")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two network cards, of which the second leads elsewhere."""
    cards = [["127.0.0.1", ("::1", 0, 0)], ["10.8.0.2"], ["192.168.1.20", ("fd00::2", 0, 0)]]
    adapters = [
        ifaddr.Adapter(name, name, [ifaddr.IP(ip, 24, name) for ip in ips])
        for name, ips in zip(("lo", "vpn", "wifi"), cards, strict=True)
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    monkeypatch.setattr(lan, "_outward_address", lambda: "192.168.1.20")
    monkeypatch.setattr(socket, "gethostname", lambda: "desk-7.school.example")
    monkeypatch.setattr(socket, "getfqdn", lambda: "desk-7.school.example")


def test_only_addresses_that_others_can_open_count() -> None:
    found = ["127.0.1.1", "::1", "fe80::1%eth0", "0.0.0.0", "ff02::1", "192.168.1.20"]
    found += ["2001:db8::5", "169.254.7.7", "10.0.0.9", "10.0.0.9"]
    expected = ["192.168.1.20", "10.0.0.9", "169.254.7.7", "2001:db8::5"]
    assert [str(one) for one in lan.reachable(found, "192.168.1.20")] == expected
    # Without a way to other networks.
    assert str(lan.reachable(found, None)[0]) == "10.0.0.9"
    assert lan.reachable(["127.0.0.1", "::1"], None) == []


def test_without_a_way_elsewhere_there_is_no_outward_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The broadcast address needs a permission, as one without a way needs a network.
    monkeypatch.setattr(lan, "_ELSEWHERE", ("255.255.255.255", 9))
    assert lan._outward_address() is None


def test_the_hosts_are_the_names_and_addresses_of_the_machine_alone() -> None:
    names = ["desk-7", "desk-7.local", "desk-7", "2.0.192.in-addr.arpa", "*", "two words", ".local"]
    hosts = lan.allowed_hosts(names, [ip_address("192.168.1.20"), ip_address("fd00::2")])
    assert hosts == [
        *("localhost", "127.0.0.1", "::1", "desk-7", "desk-7.local"),
        *("192.168.1.20", "fd00::2"),
    ]


@pytest.mark.usefixtures("network")
def test_the_server_listens_for_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", "named.example localhost")
    lan.listen(["--server.port", "8600"])
    assert {name: os.environ[name] for name in VARIABLES[1:]} == {
        "STREAMLIT_SERVER_ADDRESS": "0.0.0.0",
        "STREAMLIT_SERVER_ALLOWED_HOSTS": "named.example localhost 127.0.0.1 ::1 "
        "desk-7.school.example desk-7 desk-7.local 192.168.1.20 10.8.0.2 fd00::2",
        "STREAMLIT_BROWSER_SERVER_ADDRESS": "192.168.1.20",
        "STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE": "true",
    }
    # Models stay out: others than this machine reach the server.
    assert ui.upload_limit([]) == []
    assert "0.0.0.0" not in LOCAL


def test_a_machine_with_ipv6_alone_listens_there() -> None:
    address = ip_address("fd00::2")
    assert lan.listening_address([address]) == "::"
    assert lan.in_url(address) == "[fd00::2]"


@pytest.mark.parametrize("option", ["--server.address", "--server.address=10.0.0.9"])
def test_another_address_is_refused(option: str) -> None:
    with pytest.raises(CnnvizError, match=r"leave out --server.address"):
        lan.listen([option])


def test_without_a_network_the_app_is_for_this_machine_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CNNVIZ_LAN", "on")
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [])
    lan.listen([])
    said = " ".join(capsys.readouterr().err.split())
    assert "This machine is in no network" in said
    assert "connect to the network of the class" in said
    assert os.environ["CNNVIZ_LAN"] == "off"
    assert os.environ["STREAMLIT_SERVER_ADDRESS"] == ""


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("0.0.0.0", True),
        (None, True),
        ("192.168.1.20", False),
        ("fd00::2", False),
        ("desk-7.local", False),
        ("localhost.example", False),
    ],
)
def test_a_local_host_is_known(host: str | None, local: bool) -> None:
    assert lan.is_local(host) is local


@pytest.mark.usefixtures("network")
def test_the_announcement_names_the_addresses_of_the_kind_that_is_listened_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start.server_util, "get_url", lambda host: f"http://{host}:8501")
    said = " ".join(start.announcement(lan.machine_addresses()).split())
    assert said.startswith(f"cnnviz for this network: {URL} Everybody in this network can open it")
    assert "the camera needs HTTPS" in said
    assert "Other addresses of this machine: http://10.8.0.2:8501." in said
    assert "fd00" not in said
    # What is no terminal gets no QR code.
    assert "█" not in said


def test_a_public_address_and_https_are_named() -> None:
    said = lan.announcement("https://8.8.8.8:8501", [], public=True, code="")
    assert "Everybody on the internet whom no firewall stops" in said
    assert "the camera works, too" in " ".join(said.split())
    assert "Other addresses" not in said
    assert max(map(len, said.splitlines())) <= 80


def test_the_terminal_shows_the_code_of_the_address() -> None:
    lines = lan.terminal_code(URL).splitlines()
    halves = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    rows: list[list[int]] = []
    for line in lines:
        # Black on white, whatever the colours of the terminal are.
        (signs,) = re.findall(r"^  \x1b\[38;5;16;48;5;231m(.*)\x1b\[0m$", line)
        pairs = [halves[sign] for sign in signs]
        rows += [list(row) for row in zip(*pairs, strict=True)]
    code = [list(row) for row in segno.make(URL, micro=False).matrix_iter(border=4)]
    assert rows == [*code, [0] * len(code)]


@pytest.mark.parametrize(
    ("terminal", "encoding", "shown"),
    [(True, "utf-8", True), (True, "latin-1", False), (False, "utf-8", False)],
)
def test_a_code_needs_a_terminal_with_its_signs(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, encoding: str, shown: bool
) -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(output, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stdout", output)
    assert lan.shows_codes() is shown


def test_the_command_passes_on_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: commands.append(command[1:]))
    monkeypatch.setattr(cli.subprocess, "call", lambda _: 0)
    for words in (["--lan", "--port", "8600", "--replay", "x"], ["--server.headless=true"]):
        CliRunner().invoke(cli.app, ["app", *words])
    assert commands == [
        ["-m", "cnnviz.ui", "--lan", "--server.port", "8600", "--replay", "x"],
        ["-m", "cnnviz.ui", "--server.headless=true"],
    ]
    assert CliRunner().invoke(cli.app, ["app", "--port", "0"]).exit_code == 2
