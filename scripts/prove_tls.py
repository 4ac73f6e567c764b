"""Proves deploy/nginx-tls.conf and deploy/make_certificate.sh: ``python -m scripts.prove_tls``.

The app for the network, nginx and a certificate as the documents tell a class to make them, in
folders and at ports of their own: a browser gets the camera, and only this machine's names answer.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Error, Page
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from cnnviz.photos.samples import samples
from cnnviz.settings import ROOT
from cnnviz.ui.web import lan
from scripts.browse import chromium, free_port, running_server, settle
from scripts.nginx import ProofError, check, find_nginx, running_nginx

CONFIGURATION = ROOT / "deploy" / "nginx-tls.conf"
CERTIFICATE = ROOT / "deploy" / "make_certificate.sh"
CAMERA = """async () => {
  const stream = await navigator.mediaDevices.getUserMedia({video: true});
  const states = stream.getTracks().map(track => track.readyState);
  stream.getTracks().forEach(track => track.stop());
  return states;
}"""


def configured(text: str, folder: Path, secure: int, plain: int, app: int) -> str:
    """The configuration for this machine: its folder, nginx's two ports, and the app's."""
    for old, new in (
        ("/tmp/", f"{folder}/"),
        ("8443", str(secure)),
        ("8080", str(plain)),
        ("127.0.0.1:8501", f"127.0.0.1:{app}"),
    ):
        text = text.replace(old, new)
    return text


def make_certificate(folder: Path) -> tuple[bytes, bytes]:
    """Runs the script in a folder, and returns the authority's certificate and the server's."""
    own = Path(shutil.copy(CERTIFICATE, folder))
    subprocess.run([own], check=True, stdout=subprocess.DEVNULL)
    made = folder / "certificate"
    return (made / "ca.crt").read_bytes(), (made / "server.crt").read_bytes()


def is_trusted(port: int, host: str, authority: Path | None) -> bool:
    """Whether a client that trusts an authority accepts the server under a name or address."""
    context = ssl.create_default_context(cafile=authority)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except ssl.SSLCertVerificationError:
        return False


def prove_certificate(port: int, authority: Path, hosts: list[str]) -> None:
    """Who accepts the certificate, and for what."""
    for host in hosts:
        check(f"who trusts the authority, trusts {host}", is_trusted(port, host, authority))
    check("other names are not in the certificate", not is_trusted(port, "x.example", authority))
    check("who does not trust the authority, is warned", not is_trusted(port, hosts[0], None))


def prove_edges(url: str, plain: str, authority: Path) -> None:
    """What is redirected, refused and compressed."""
    http = requests.Session()
    # Otherwise a variable would name other authorities.
    http.trust_env = False
    http.verify = str(authority)
    secure = url.replace("https:", "http:")
    for start, port in ((plain, "another"), (secure, "the same")):
        answer = http.get(f"{start}/filters?layer=a", allow_redirects=False, timeout=10)
        sent_to = answer.status_code, answer.headers.get("Location")
        claim = f"plain HTTP at {port} port is redirected to HTTPS, with the whole link"
        check(claim, sent_to == (301, f"{url}/filters?layer=a"))
    foreign = http.get(url, headers={"Host": "evil.example"}, timeout=10)
    check("a foreign Host header gets 403", foreign.status_code == 403)
    check("a websocket of a foreign host gets 403", refuses(url, authority, host="evil.example"))
    other = refuses(url, authority, origin="https://evil.example")
    check("a websocket of a foreign page gets 403", other)
    check("and one of its own page is open", not refuses(url, authority))
    health = http.get(f"{url}/_stcore/health", timeout=10)
    cookies = health.headers.get("Set-Cookie", "")
    check("the app's cookie is for HTTPS alone", "_xsrf" in cookies and "secure" in cookies.lower())
    large = http.put(f"{url}/_stcore/upload_file/x/y", data=bytes(17 << 20), timeout=10)
    check("a file of 17 MB is refused", large.status_code == 413)
    metrics = http.get(f"{url}/_stcore/metrics", timeout=10)
    check("the server's load is not published", metrics.status_code == 404)


def refuses(url: str, authority: Path, host: str = "", origin: str = "") -> bool:
    """Whether a websocket is refused for its host, or for the page that opens it."""
    context = ssl.create_default_context(cafile=authority)
    server = urlsplit(url)
    name = f"{host}:{server.port}" if host else server.netloc

    async def knock() -> bool:
        source = Origin(origin or f"https://{name}")
        try:
            async with connect(
                f"wss://{name}/_stcore/stream",
                origin=source,
                host=server.hostname,
                port=server.port,
                ssl=context,
                server_hostname=server.hostname,
            ):
                return False
        except InvalidStatus as error:
            return error.response.status_code == 403

    return asyncio.run(knock())


def prove_browser(url: str, app: str) -> None:
    """What a browser gives a page that comes by HTTPS, and not without."""
    with chromium() as browser:
        page = browser.new_context().new_page()
        open_page(page, app)
        check("without HTTPS the page is not a secure context", not is_secure(page))
        check("and gets no camera", page.evaluate("navigator.mediaDevices === undefined"))
        try:
            page.goto(url)
            warned = False
        except Error as error:
            warned = "ERR_CERT_AUTHORITY_INVALID" in error.message
        check("a browser that does not trust the authority warns", warned)

        # As a person does who accepts the certificate.
        page = browser.new_context(ignore_https_errors=True).new_page()
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        open_page(page, url)
        check("the page is drawn", page.locator("h1").first.inner_text() != "")
        expected = url.replace("https:", "wss:") + "/_stcore/stream"
        check("its websocket is secure, and is the only one", sockets == [expected])
        check("it is a secure context", is_secure(page))
        check("navigator.mediaDevices is there", page.evaluate("!!navigator.mediaDevices"))
        check("the camera starts", page.evaluate(CAMERA) == ["live"])
        photo = next(one.path for one in samples() if one.name == "coffee")
        page.locator("input[type=file]").first.set_input_files(photo)
        page.wait_for_url("**photo=own**")
        settle(page)
        check("a photo is uploaded, and shown", page.get_by_text(photo.name).count() > 0)


def open_page(page: Page, url: str) -> None:
    """Opens the first page, and waits until it is drawn."""
    page.set_default_timeout(60_000)
    page.goto(url)
    page.locator("h1").first.wait_for()
    settle(page)


def is_secure(page: Page) -> bool:
    """Whether the browser trusts the way by which the page came."""
    return bool(page.evaluate("window.isSecureContext"))


def main() -> None:
    """Runs the proofs."""
    find_nginx()
    addresses = lan.machine_addresses()
    if not addresses:
        raise ProofError("this machine is in no network: connect it to one")
    host = lan.in_url(addresses[0])
    secure, plain, port = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, second = make_certificate(folder), make_certificate(folder)
        check("the authority stays when a certificate is renewed", first[0] == second[0])
        check("and the certificate does not", first[1] != second[1])
        key = folder / "certificate" / "server.key"
        check("only its user may read the key", key.stat().st_mode & 0o777 == 0o600)
        text = configured(CONFIGURATION.read_text(encoding="utf-8"), folder, secure, plain, port)
        with (
            running_nginx(text, folder),
            running_server(["cnnviz", "app", "--lan"], ROOT, port),
        ):
            hosts = lan.allowed_hosts(lan.machine_names(), addresses)
            authority = folder / "certificate" / "ca.crt"
            prove_certificate(secure, authority, hosts)
            url = f"https://{host}:{secure}"
            prove_edges(url, f"http://{host}:{plain}", authority)
            prove_browser(url, f"http://{host}:{port}")
    print("All claims are true.")


if __name__ == "__main__":
    main()
