"""The app for everybody in this machine's network: by which addresses, and who may open it."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import sys
import textwrap
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from cnnviz.errors import CnnvizError

Address: TypeAlias = IPv4Address | IPv6Address

# Names of hosts are separated by spaces in Streamlit's variable, and "*" would be every name.
_NAME = re.compile(r"[\w-][\w.-]*")
# An address for documents. It is only asked for the way to it, and nothing is sent.
_ELSEWHERE = ("198.51.100.1", 9)
# Black on white in the fixed colours of terminals with 256: a theme does not change these.
_BLACK_ON_WHITE, _NORMAL = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
_WIDTH = 76
_NO_ADDRESS = """
This machine is in no network: it has no address by which others could reach it. The app starts for
this machine alone. To go on, connect to the network of the class (Wi-Fi or cable), or open a
hotspot, and start it again with --lan.
"""


def listen(options: Sequence[str]) -> None:
    """Has Streamlit, which is about to start, listen for this machine's network.

    Its address, the hosts that it answers for, and the address that it names to others are set in
    the environment. In no network they stay as they are, and a message says so.

    Args:
        options: those of ``streamlit run``, which would override the environment.

    Raises:
        CnnvizError: the options set an address, too.
    """
    if any(word.partition("=")[0] == "--server.address" for word in options):
        raise CnnvizError("--lan sets the server's address itself: leave out --server.address.")
    addresses = machine_addresses()
    if not addresses:
        os.environ["CNNVIZ_LAN"] = "off"
        sys.stderr.write(_NO_ADDRESS)
        return
    named = os.environ.get("STREAMLIT_SERVER_ALLOWED_HOSTS", "").split()
    hosts = [*named, *allowed_hosts(machine_names(), addresses)]
    os.environ["STREAMLIT_SERVER_ADDRESS"] = listening_address(addresses)
    os.environ["STREAMLIT_SERVER_ALLOWED_HOSTS"] = " ".join(dict.fromkeys(hosts))
    os.environ["STREAMLIT_BROWSER_SERVER_ADDRESS"] = in_url(addresses[0])
    # It would name this machine's own address alone; `announcement` takes its place.
    os.environ["STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE"] = "true"


def machine_addresses() -> list[Address]:
    """The addresses of this machine by which others reach it, the likeliest first."""
    # Only where they are asked for: most servers are for their own machine alone.
    import ifaddr

    found = (one.ip for adapter in ifaddr.get_adapters() for one in adapter.ips)
    return reachable((one if isinstance(one, str) else one[0] for one in found), _outward_address())


def reachable(addresses: Iterable[str], outward: str | None) -> list[Address]:
    """Those of a machine's addresses by which others reach it, the likeliest first.

    Args:
        addresses: all of them.
        outward: the one from which it sends to other networks, if any.
    """
    every = {ipaddress.ip_address(text.partition("%")[0]) for text in addresses}
    # A browser cannot open a link-local address of IPv6: it has to name the network card.
    usable = (
        one
        for one in every
        if not (one.is_loopback or one.is_unspecified or one.is_multicast)
        and not (one.version == 6 and one.is_link_local)
    )
    return sorted(
        usable, key=lambda one: (str(one) != outward, one.version, one.is_link_local, int(one))
    )


def _outward_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return None
        return str(probe.getsockname()[0])


def machine_names() -> list[str]:
    """The names of this machine: as it is set, as its network announces it, and in full."""
    name = socket.gethostname()
    short = name.partition(".")[0]
    return [name, short, f"{short}.local", socket.getfqdn()]


def allowed_hosts(names: Iterable[str], addresses: Iterable[Address]) -> list[str]:
    """The hosts that a server answers for: this machine by all of its names and addresses."""
    # Where a machine has no name in full, `getfqdn` may give that of an address.
    valid = [name for name in names if _NAME.fullmatch(name) and not name.lower().endswith(".arpa")]
    return list(dict.fromkeys(["localhost", "127.0.0.1", "::1", *valid, *map(str, addresses)]))


def listening_address(addresses: Iterable[Address]) -> str:
    """Where to listen: at all addresses of IPv4, or of IPv6 if the machine has no other ones.

    Those of IPv6 are often open to the internet, those of IPv4 mostly are within one network.
    """
    return "0.0.0.0" if any(one.version == 4 for one in addresses) else "::"  # nosec B104


def in_url(address: Address) -> str:
    """An address as it is written in a URL."""
    return f"[{address}]" if address.version == 6 else str(address)


def is_local(host: str | None) -> bool:
    """Whether a host, as a URL names it, is this machine for whoever opens it."""
    if host is None or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def announcement(url: str, others: Sequence[str], *, public: bool, code: str) -> str:
    """What the terminal says once the server answers for the network.

    Args:
        url: the address for others.
        others: more of them, of which one may be right if the first is not.
        public: whether the first one is an address of the internet.
        code: the QR code of the URL; empty where the terminal cannot show it.
    """
    camera = (
        "the camera works, too, once a browser accepts the certificate"
        if url.startswith("https:")
        else "the camera needs HTTPS (see docs/deployment.md) or a browser on this machine, at "
        "localhost"
    )
    who = "on the internet whom no firewall stops" if public else "in this network"
    parts = [f"\n  cnnviz for this network: {url}\n"]
    if code:
        parts.append(code)
    sentences = [f"Everybody {who} can open it until you stop it (Ctrl+C); {camera}."]
    if others:
        sentences.append(f"Other addresses of this machine: {', '.join(others)}.")
    sentences.append("Nobody can open it? A firewall on this machine may block the port.")
    parts += [textwrap.indent(textwrap.fill(text, _WIDTH), "  ") for text in sentences]
    return "\n".join([*parts, ""])


def terminal_code(url: str) -> str:
    """The QR code of a URL for a dark or a light terminal: two rows of it on a line."""
    import segno

    # With a white border of four, as scanners need it.
    rows = [list(row) for row in segno.make_qr(url).matrix_iter(border=4)]
    rows.append([0] * len(rows[0]))
    lines = []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        signs = "".join(_HALVES[pair] for pair in zip(upper, lower, strict=True))
        lines.append(f"  {_BLACK_ON_WHITE}{signs}{_NORMAL}\n")
    return "".join(lines)


def shows_codes() -> bool:
    """Whether the standard output is a terminal with the signs and colours of a QR code."""
    try:
        "".join(_HALVES.values()).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return sys.stdout.isatty()
