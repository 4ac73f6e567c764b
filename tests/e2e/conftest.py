"""A browser on a real server: what a person does with the mouse, and sees."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import wait_until
from PIL import Image
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    ViewportSize,
)
from playwright.sync_api import TimeoutError as NotInTime

from cnnviz.settings import ROOT
from scripts.browse import (
    COUNT_RUNS,
    HAS_RUN,
    SEEN_RUNS,
    Server,
    chromium,
    open_page,
    running_app,
    settle,
)
from scripts.find_browser import MISSING, find_browser

# A link to a page makes Streamlit's script look for the server beside the page, then at the root.
_KNOWN_ERRORS = re.compile(r"/_stcore/(health|host-config)$")
# A machine that is busy with other things is slow, not wrong.
_MILLISECONDS = 60_000
_SIZE: ViewportSize = {"width": 1400, "height": 1000}
# Streamlit keeps in the browser whether the sidebar was open.
_FORGET_SIDEBAR = """
for (const name of Object.keys(localStorage)) {
  if (name.includes("Sidebar")) localStorage.removeItem(name);
}
"""
MARKUP = [
    "[x](https://evil.example)",
    "<b>bold</b>",
    "![i](https://evil.example/i.png)",
    ":material_home: :material/home: :smile:",
    ":red[x] $x^2$ www.evil.example a@evil.example -> b",
]


@pytest.fixture(scope="package", autouse=True)
def converted(converted_folder: Path) -> Iterator[None]:
    """The servers of all these tests have the shipped models converted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_CACHE", str(converted_folder))
        yield


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if find_browser() is None:
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop(MISSING)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped networks, and one whose names are full of markup."""
    folder = tmp_path_factory.mktemp("models")
    for path in (ROOT / "models").iterdir():
        if path.suffix in {".keras", ".json"}:
            (folder / path.name).symlink_to(path)
    shutil.copy(ROOT / "models" / "mnist_cnn.keras", folder / "zz_markup.keras")
    card = json.loads((ROOT / "models" / "mnist_cnn.json").read_text(encoding="utf-8"))
    card |= {"title": MARKUP[0], "description": MARKUP[1], "source": MARKUP[2]}
    card["labels"] = [f"{MARKUP[digit % 5]} {digit}" for digit in range(10)]
    (folder / "zz_markup.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


@pytest.fixture(scope="package")
def server(models: Path) -> Iterator[Server]:
    """One server for all tests that do not need a new one."""
    with running_app(CNNVIZ_MODELS=str(models), CNNVIZ_NETWORKS="5", CNNVIZ_TRUST="on") as server:
        yield server
        assert not server.tracebacks(), server.tracebacks()


@pytest.fixture(scope="package")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One person's browser: its pages share a cache, as tabs do."""
    context = browser.new_context(viewport=_SIZE)
    context.set_default_timeout(_MILLISECONDS)
    yield context
    context.close()


class Tab:
    """A tab of the browser."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        # Messages to the server since the page was opened.
        self.sent = 0
        page.add_init_script(COUNT_RUNS)
        page.add_init_script(_FORGET_SIDEBAR)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("websocket", lambda socket: socket.on("framesent", self._count))

    def _note(self, message: ConsoleMessage) -> None:
        expected = _KNOWN_ERRORS.search(message.location.get("url", ""))
        if message.type == "error" and not expected:
            self.errors.append(f"{message.text} {message.location}")

    def _count(self, _: Any) -> None:
        self.sent += 1

    def open(self, address: str = "/") -> Tab:
        """Goes to an address of the app, and waits until all of it is painted."""
        self.page.goto(self.url + address)
        return self.settled()

    def settled(self) -> Tab:
        """Waits until the page is complete."""
        self.page.get_by_text("About this network").wait_for()
        settle(self.page)
        return self

    @contextmanager
    def run(self) -> Iterator[None]:
        """Waits until what is done inside has made the app run, and all is painted."""
        before = self.page.evaluate(SEEN_RUNS)
        yield
        self.page.wait_for_function(HAS_RUN, arg=before)
        self.settled()

    def turn_to(self, title: str) -> Tab:
        """Changes the page by a click in the header."""
        with self.run():
            open_page(self.page, title)
        self.page.wait_for_function("title => document.title === title", arg=title)
        return self

    def upload(self, name: str, data: bytes) -> Tab:
        """Drops a file on the uploader, and waits for its name."""
        files = [{"name": name, "mimeType": "image/png", "buffer": data}]
        sidebar = self.sidebar
        with self.run():
            sidebar.locator(".st-key-uploaded-photo input[type=file]").set_input_files(files)
            # To replace a file, the browser takes the old one away in a run of its own.
            sidebar.filter(has_text=name).wait_for()
        self.page.wait_for_function(
            "name => [...document.querySelectorAll('[data-testid=stCaptionContainer], "
            "[data-testid=stAlert]')].some(part => part.innerText.includes(name))",
            arg=name,
        )
        return self.settled()

    @property
    def sidebar(self) -> Locator:
        """The sidebar, which is opened."""
        sidebar = self.page.get_by_test_id("stSidebar")
        if sidebar.get_attribute("data-collapsed") == "true":
            self.page.locator(".topbar .model").click()
            # At rest: the page beside it has its new width.
            sidebar.get_by_test_id("stSidebarCollapseButton").click(trial=True)
            settle(self.page)
        return sidebar

    def choose(self, label: str, option: str) -> Tab:
        """Chooses an option, by its beginning, in the select box of that label."""
        if label in ("Network", "Sample picture"):
            self.sidebar.wait_for()
        field = self.select(label).locator("input")
        # Scrolling, as typing at the edge of the window does, closes the list.
        field.evaluate("field => field.scrollIntoView({block: 'center'})")
        options = self.page.get_by_role("option")
        wanted = options.filter(has_text=re.compile(f"^{re.escape(option)}")).first
        for _ in range(3):
            # A long list holds only what is in sight: typing narrows it down.
            field.fill("")
            field.fill(option)
            # A run that goes on may have closed the list.
            with suppress(NotInTime):
                wanted.wait_for(timeout=10_000)
                break
        with self.run():
            wanted.click()
        return self

    def choose_class(self, label: str) -> Tab:
        """Chooses a class by its chip or, if it has none, in the list of the others."""
        chip = self.chips.filter(has_text=re.compile(f"^{re.escape(label)}( |$)"))
        if not chip.count():
            return self.choose("Another class", label)
        with self.run():
            chip.click()
        return self

    @property
    def chips(self) -> Locator:
        """The chips of classes."""
        return self.page.locator(".st-key-classes").get_by_role("radio")

    def chosen_class(self) -> str:
        """The class of the chip that is selected, with its percentage."""
        return self.chips.and_(self.page.locator("[aria-checked=true]")).inner_text()

    def click(self, key: str, x: float, y: float) -> Tab:
        """Clicks on a point of a chart's axes."""
        with self.run():
            self.page.mouse.click(*self.point(key, x, y))
        return self

    def select(self, label: str) -> Locator:
        """The select box of that label."""
        with_label = self.page.get_by_test_id("stWidgetLabel").filter(
            has_text=re.compile(f"^{label}$")
        )
        box = self.page.get_by_test_id("stSelectbox").filter(has=with_label)
        # Rarely used choices are in a panel that opens.
        more = self.page.get_by_role("button", name="More choices")
        if not box.count() and more.count():
            more.click()
        return box

    def chosen(self, label: str) -> str:
        """The value of the select box of that label."""
        box = self.select(label)
        return box.locator("input").input_value() or box.locator("[value]").first.inner_text()

    def walk(self, part: str) -> Locator:
        """A part of the walk, on the first page."""
        return self.page.locator(f".walk {part}").first

    @property
    def answer(self) -> str:
        """The walk's class and its probability."""
        return " ".join(self.walk(".answer .headline").inner_text().split())

    def picture(self, of: str) -> np.ndarray:
        """The painted pixels (h, w, 3) of the walk's photo, or of its map of a class."""
        canvas = {"photo": ".photo .picture canvas", "map": ".evidence .map canvas"}[of]
        return pixels(self.walk(canvas).screenshot()).astype(int)

    def shows(self, photo: bytes) -> bool:
        """Whether the walk soon shows that photo, in the middle of which are no brackets."""
        expected = Image.open(io.BytesIO(photo)).convert("RGB")

        def is_shown() -> bool:
            shown = self.picture("photo")
            height, width, _ = shown.shape
            middle = slice(height // 4, -height // 4), slice(width // 4, -width // 4)
            scaled = np.asarray(expected.resize((width, height)), int)
            return bool(np.abs(shown - scaled)[middle].mean() < 12)

        return wait_until(is_shown, 10)

    def chart(self, key: str) -> Locator:
        """The chart of that key."""
        return self.page.locator(f"{_class_of(key)} .js-plotly-plot")

    def pixels(self, key: str) -> np.ndarray:
        """The painted pixels (h, w, 3) of the photo in a chart, without what is around it."""
        picture = self.chart(key).locator(".layer-below .imagelayer image, image").first
        return pixels(picture.screenshot())

    def painted(self, key: str) -> np.ndarray:
        """The painted pixels (h, w, 3) of a whole chart, or of a viewer's tiles."""
        shown = self.chart(key).or_(self.grid(key)).first
        return pixels(shown.screenshot())

    def point(self, key: str, x: float, y: float) -> tuple[float, float]:
        """The position on the screen of a point of a chart's axes; scrolls there."""
        chart = self.chart(key)
        chart.scroll_into_view_if_needed()
        across, down = chart.evaluate(
            """(gd, [x, y]) => {
              const {xaxis, yaxis} = gd._fullLayout;
              const box = gd.getBoundingClientRect();
              const across = xaxis._offset + xaxis.d2p(x);
              const down = yaxis._offset + yaxis.d2p(y);
              return [box.left + across, box.top + down];
            }""",
            [x, y],
        )
        return across, down

    def grid(self, key: str) -> Locator:
        """The tiles of the viewer of that key."""
        return self.page.locator(f"{_class_of(key)} [role=grid]")

    def tile(self, key: str, index: int, across: float = 0, down: float = 0) -> tuple[float, float]:
        """The position on the screen of a tile, from its middle in shares of its place."""
        grid = self.grid(key)
        # Not below the header.
        grid.evaluate("grid => grid.scrollIntoView({block: 'center', behavior: 'instant'})")
        columns, rows = (int(grid.get_attribute(f"aria-{one}count") or 0) for one in ("col", "row"))
        row, column = divmod(index, columns)
        box = grid.bounding_box()
        assert box is not None
        return (
            box["x"] + (column + 0.5 + across) * box["width"] / columns,
            box["y"] + (row + 0.5 + down) * box["height"] / rows,
        )

    def click_tile(self, key: str, index: int, across: float = 0, down: float = 0) -> Tab:
        """Clicks on a tile of a grid."""
        with self.run():
            self.page.mouse.click(*self.tile(key, index, across, down))
        return self

    def hover_tile(self, key: str, index: int, across: float = 0, down: float = 0) -> str:
        """Moves the mouse to a tile, and returns the text that appears."""
        self.page.mouse.move(*self.tile(key, index, across, down))
        tip = self.page.locator(f"{_class_of(key)} .tip")
        tip.wait_for()
        return tip.inner_text()

    def hover(self, key: str, x: float, y: float, says: str = "") -> str:
        """Moves the mouse to a point of a chart, and returns the text that appears."""
        across, down = self.point(key, x, y)
        label = self.chart(key).locator(".hoverlayer .hovertext").filter(has_text=says)
        # At the first move Plotly only registers the mouse.
        self.page.mouse.move(across - 3, down - 3)
        self.page.mouse.move(across, down)
        label.first.wait_for()
        return label.first.text_content() or ""

    def title(self, key: str) -> str:
        """A chart's title."""
        return self.chart(key).locator(".gtitle").text_content() or ""


def pixels(picture: bytes) -> np.ndarray:
    """The pixels (h, w, 3) of a picture's file."""
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def _class_of(key: str) -> str:
    """The selector of what has that key on a page."""
    return f".st-key-{re.sub('[^a-zA-Z0-9_-]', '-', key)}"


@pytest.fixture(scope="package")
def shared_tab(context: BrowserContext, server: Server) -> Iterator[Tab]:
    """A tab on the common server that tests use one after the other.

    Its process in the browser has compiled all scripts: the next page is there in half the time.
    """
    tab = Tab(context.new_page(), server.url)
    yield tab
    tab.page.close()


@pytest.fixture
def tab(shared_tab: Tab) -> Iterator[Tab]:
    """A tab to open a page in; at the end its console must hold no error."""
    shared_tab.errors.clear()
    shared_tab.page.set_viewport_size(_SIZE)
    yield shared_tab
    assert shared_tab.errors == []


@pytest.fixture
def photo() -> bytes:
    """A photo's file: rings, as no sample has them."""
    y, x = np.mgrid[-60:60, -90:90]
    rings = (np.hypot(x, y)[..., None] * np.array([4, 5, 6])) % 256
    buffer = io.BytesIO()
    Image.fromarray(rings.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def new_tab(browser: Browser) -> Iterator[Callable[[Server], Tab]]:
    """Opens tabs of a new visitor, on any server."""
    contexts = []

    def open_tab(server: Server, **options: Any) -> Tab:
        context = browser.new_context(viewport=_SIZE, **options)
        context.set_default_timeout(_MILLISECONDS)
        contexts.append(context)
        return Tab(context.new_page(), server.url)

    yield open_tab
    for context in contexts:
        context.close()
