"""The real app in a real browser, for the browser tests, the benchmark and the screenshots."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from cnnviz.settings import ROOT
from scripts.find_browser import MISSING, find_browser

# In a container Chromium cannot start its sandbox; the others turn off its own network traffic.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)

# Streamlit marks a run in progress and stale elements of the run before; figures are drawn last.
# The walk marks that it waits for the answer to what a person did. A check that takes longer than a
# moment has a line of its own.
_SETTLED = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  const charts = [...document.querySelectorAll('[data-testid="stPlotlyChart"]')];
  const drawn = 'canvas, .map, .located image, .picture-tiles img, .collect';
  const viewers = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
    .filter(viewer => !viewer.closest('[class*="st-key-selection-of"]'));
  return app !== null
    && app.dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-stale="true"], [data-testid="stSkeleton"]')
    && !document.querySelector('.st-key-progress-of-the-checks')
    && charts.every(chart => chart.querySelector('.js-plotly-plot .main-svg'))
    && viewers.every(viewer => viewer.shadowRoot?.querySelector(drawn))
    && !viewers.some(viewer => viewer.shadowRoot.querySelector('.waiting, .f-busy'));
}"""
# To add to a page before it loads: counts the starts and ends of runs, and the server's messages.
COUNT_RUNS = """
window.runs = 0;
new MutationObserver(changes => {
  window.runs += changes.length;
}).observe(document, {subtree: true, attributeFilter: ['data-test-script-state']});
window.answers = 0;
window.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args);
    this.addEventListener('message', () => {
      window.answers += 1;
      window.answered = performance.now();
    });
  }
};
"""
# Both counts so far, and whether the app has run since. A short run may have ended before the
# browser shows that it began: then the server has sent messages, and none for half a second.
SEEN_RUNS = "[window.runs, window.answers]"
HAS_RUN = """([runs, answers]) => window.runs > runs
  || (window.answers > answers && performance.now() > window.answered + 500)"""
_NEXT_FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@dataclass(frozen=True)
class Server:
    """A running app.

    Attributes:
        url: its address, without a slash at the end.
        process: the id of the web process.
        started: when it was started, in seconds since 1970.
        answered: when its health address first answered.
        log: the file with its output.
    """

    url: str
    process: int
    started: float
    answered: float
    log: Path

    def tracebacks(self) -> str:
        """The log from its first traceback on; empty if there is none."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        at = text.find("Traceback")
        return "" if at < 0 else text[at:]


@contextmanager
def running_app(port: int = 0, **environment: str) -> Iterator[Server]:
    """Starts the app, and ends it again.

    Args:
        port: its port; 0 means any free port.
        environment: variables to add to its environment.

    Raises:
        RuntimeError: it did not answer within a minute.
    """
    with running_server(["cnnviz.ui"], ROOT, port, **environment) as server:
        yield server


@contextmanager
def running_server(
    module: list[str], folder: Path, port: int = 0, **environment: str
) -> Iterator[Server]:
    """Starts a server of Streamlit, and ends it again.

    Args:
        module: the module that starts it, and its arguments.
        folder: where it is started, with Streamlit's configuration if there is one.
        port: its port; 0 means any free port.
        environment: variables to add to its environment.

    Raises:
        RuntimeError: it did not answer within a minute.
    """
    with tempfile.TemporaryDirectory() as own:
        log = Path(own) / "log"
        port = port or free_port()
        started = time.time()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", *module),
                    *("--server.port", str(port), "--server.headless", "true"),
                ],
                cwd=folder,
                env=os.environ | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            url = f"http://localhost:{port}"
            wait_for(f"{url}/_stcore/health", process, log)
            yield Server(url, process.pid, started, time.time(), log)
        finally:
            # The whole session: the workers would take a second to end by themselves.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Starts a browser.

    Raises:
        RuntimeError: there is none.
    """
    path = find_browser()
    if path is None:
        raise RuntimeError(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def settle(page: Page) -> None:
    """Waits until the run has ended and its charts are painted."""
    page.wait_for_function(_SETTLED)
    page.evaluate(_NEXT_FRAME)


def open_page(page: Page, title: str) -> None:
    """Clicks on a page's name in the header, or in the menu of its group."""
    alone = page.get_by_test_id("stTopNavLink").get_by_text(title, exact=True)
    groups = page.get_by_test_id("stTopNavSection")
    alone.or_(groups.first).first.wait_for()
    if alone.count():
        alone.click()
        return
    for group in groups.all():
        group.click()
        name = page.get_by_test_id("stTopNavDropdownLink").get_by_text(title, exact=True)
        page.get_by_test_id("stTopNavDropdownLink").first.wait_for()
        if name.count():
            name.click()
            return
        group.click()
    raise AssertionError(f"There is no page {title!r} in the header.")


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until a server answers.

    Raises:
        RuntimeError: it has ended, or did not answer within a minute.
    """
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None:
                break
            time.sleep(0.02)
    raise RuntimeError(f"The app did not answer:\n{log.read_text(errors='replace')}")
