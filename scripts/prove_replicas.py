"""Proves deploy/nginx.conf without Docker: two replicas behind nginx, one of which is killed.

    python -m scripts.prove_replicas

It starts nginx with the same configuration except for names and ports, opens sessions on both
replicas, kills one, and fails unless the sessions of the other continue, the lost ones are restored
by their link, and every request of a session reaches the same replica when the killed one is back.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from pathlib import Path

import requests
from playwright.sync_api import BrowserContext, Page
from websockets.exceptions import ConnectionClosed

from cnnviz.photos.samples import samples
from cnnviz.settings import ROOT
from scripts.browse import Server, chromium, free_port, running_app, settle
from scripts.nginx import check, running_nginx
from scripts.visitor import Visitor, visitor

CONFIGURATION = ROOT / "deploy" / "nginx.conf"
COOKIE = "cnnviz_replica"
# A page on which every choice differs from the default.
LINK = "activations?model=mnist_cnn&layer=conv2&sample=digit-7"
METRICS = ("metrics", "metrics/", "metrics?x", "/metrics", "%6detrics", "./metrics")


def configured(text: str, folder: Path, ports: tuple[int, int, int]) -> str:
    """The configuration for this machine: nginx's port, then the replicas' ports."""
    own, *replicas = ports
    text = text.replace("/tmp/", f"{folder}/").replace("listen 8080", f"listen 127.0.0.1:{own}")
    for number, port in enumerate(replicas, 1):
        text = text.replace(f"cnnviz-{number}:", "127.0.0.1:").replace(
            f":{8500 + number}", f":{port}"
        )
    return text


@contextmanager
def running_proxy(ports: tuple[int, int, int]) -> Iterator[str]:
    """Starts nginx with the project's configuration, and yields its address."""
    with tempfile.TemporaryDirectory() as folder:
        text = configured(CONFIGURATION.read_text(encoding="utf-8"), Path(folder), ports)
        with running_nginx(text, Path(folder)):
            yield f"http://localhost:{ports[0]}"


def state(person: Visitor) -> tuple[str, ...]:
    """The state of a session: its page, network, layers, and picture."""
    chosen = [person.chosen(label) for label in ("Network", "Layers")]
    return (person.page, *(text for texts in chosen for text in texts), person.captions[0])


async def prove_sessions(url: str, first: Server, restart: AbstractContextManager[Server]) -> None:
    """Two sessions on each replica: one with a photo of its own, the other with a sample."""
    photo = next(one.path for one in samples() if one.name == "coffee").read_bytes()
    async with AsyncExitStack() as stack:
        sessions: dict[str, list[Visitor]] = {"1": [], "2": []}
        for _ in range(4):
            person = await stack.enter_async_context(visitor(url))
            await person.open(LINK)
            sessions[person.cookies[COOKIE] or ""].append(person)
        check(
            "four sessions are spread over two replicas", [*map(len, sessions.values())] == [2, 2]
        )
        (lost, lost_with_photo), (kept, kept_with_photo) = sessions.values()
        for person in (lost_with_photo, kept_with_photo):
            await person.upload("mine.jpg", photo)
        owners = [
            person.captions[0].startswith("mine") for person in (*sessions["1"], *sessions["2"])
        ]
        check("a photo reaches the replica of its session", owners == [False, True, False, True])
        before = state(lost)
        check(f"they show: {', '.join(before)}".replace("\n", " "), "seven" in before[-1])

        os.killpg(first.process, signal.SIGKILL)
        await kept_with_photo.choose("Layers", kept_with_photo.options("Layers")[0])
        await kept.upload("later.jpg", photo)
        continued = kept.captions[0].startswith("later") and not kept.problems
        check("replica 1 is killed: the sessions of replica 2 continue", continued)
        check("a photo on replica 2 is kept", kept_with_photo.captions[0].startswith("mine"))
        check("the sessions of replica 1 are lost", await is_lost(lost))

        again = await stack.enter_async_context(visitor(url, lost.cookies))
        await again.open(lost.link)
        check("their link restores the same state", state(again) == before and not again.problems)
        check("they are on replica 2 now", again.cookies[COOKIE] == "2")

        with restart:
            await again.upload("again.jpg", photo)
            complete = again.captions[0].startswith("again") and not again.problems
            check("replica 1 is back: a moved session keeps its photos", complete)
            await asyncio.sleep(6)  # nginx tries a replica that failed again after 5 seconds.
            new = await stack.enter_async_context(visitor(url))
            check("a new session opens on replica 1", new.cookies[COOKIE] == "1")


async def is_lost(person: Visitor) -> bool:
    """Whether a session's connection is closed."""
    try:
        await person.choose("Layers", person.options("Layers")[0])
    except ConnectionClosed:
        return True
    return False


def prove_browser(url: str, context: BrowserContext, replicas: dict[str, Server]) -> None:
    """A real browser whose replica is killed reconnects by itself."""
    page = context.new_page()
    page.goto(f"{url}/{LINK}")
    before = browser_state(page)
    cookies = {one.get("name"): one.get("value") for one in context.cookies()}
    os.killpg(replicas[str(cookies[COOKIE])].process, signal.SIGKILL)
    page.locator("[data-test-connection-state=CONNECTED]").wait_for(state="detached")
    page.locator("[data-test-connection-state=CONNECTED]").wait_for()
    check(f"a browser reconnects by itself: {before}", browser_state(page) == before)
    page.reload()
    check("and after a reload", browser_state(page) == before)


def browser_state(page: Page) -> str:
    """The state of a browser's page: its title, network and layers."""
    page.get_by_text("About this network").wait_for()
    settle(page)
    boxes = page.get_by_test_id("stSelectbox").locator("input")
    chosen = [box.input_value() for box in boxes.all()[:2]]
    layers = page.get_by_test_id("stMultiSelect").inner_text().split()
    return ", ".join([page.title(), *chosen, " ".join(layers)])


def prove_edges(url: str, replica: Server) -> None:
    """What nginx refuses and compresses."""
    answer = requests.get(f"{replica.url}/_stcore/metrics", timeout=10)
    check("a replica publishes its metrics", "HELP" in answer.text)
    for path in METRICS:
        answer = requests.get(f"{url}/_stcore/{path}", timeout=10)
        check(f"/_stcore/{path} is not available through nginx", "HELP" not in answer.text)
    index = requests.get(url, timeout=10).text
    script = re.findall(r'src="(?:\./)?(static/[^"]+\.js)"', index)[0]
    answer = requests.get(f"{url}/{script}", timeout=10, headers={"Accept-Encoding": "gzip"})
    check("scripts are compressed", answer.headers["Content-Encoding"] == "gzip")
    large = requests.put(f"{url}/_stcore/upload_file/x/y", data=bytes(17 << 20), timeout=10)
    check("a file of 17 MB is refused", large.status_code == 413)


def main() -> None:
    """Runs the proofs."""
    ports = free_port(), free_port(), free_port()
    with running_proxy(ports) as url, running_app(ports[2], CNNVIZ_METRICS="on") as second:
        with running_app(ports[1]) as first:
            prove_edges(url, second)
            asyncio.run(prove_sessions(url, first, running_app(ports[1])))
        with running_app(ports[1]) as first, chromium() as browser:
            context = browser.new_context(viewport={"width": 1400, "height": 1000})
            context.set_default_timeout(60_000)
            prove_browser(url, context, {"1": first, "2": second})
    print("All claims are true.")


if __name__ == "__main__":
    main()
