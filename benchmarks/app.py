"""What a person waits for, in a real browser: from the mouse or the file to the new pixels.

    python -m benchmarks.app

The clock of the page itself counts. It starts when the mouse button goes down, or when the
browser has the file. It stops after the frame in which the new picture has its place on the
screen and is decoded: what runs right after a frame's callbacks runs once it is painted. Every
layer and every photo is asked for once only, so that no answer comes from a cache. The first
page is opened on a server that has just been started, by a browser that was never there.
"""

from __future__ import annotations

import argparse
import functools
import io
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page

from cnnviz.cards import read_card
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.samples import samples
from cnnviz.settings import ROOT
from scripts.browse import Server, chromium, running_app, settle

MODEL = "imagenet_efficientnet_lite0"
# What the project aims at, in seconds, on two cores.
SHELL, LAYER, PHOTO, OPACITY = 1.5, 0.5, 1.0, 0.1

_TOOLS = """
window.begun = 0;
for (const event of ['pointerdown', 'change']) {
  document.addEventListener(event, () => { window.begun = performance.now(); }, true);
}
// The time at which all of what `find` names has been painted.
window.watch = find => {
  const frame = () => new Promise(requestAnimationFrame);
  const afterwards = () => new Promise(done => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  });
  window.painted = (async () => {
    let found;
    while (!(found = find())) await frame();
    await Promise.all(found.filter(part => part.tagName === 'image').map(part => {
      const picture = new Image();
      picture.src = part.href.baseVal;
      return picture.decode();
    }));
    await frame();
    await afterwards();
    return performance.now();
  })();
};
// The pictures in a chart, as soon as it shows so many of them: of an overlay photo and map.
window.pictures = (key, least) => {
  const found = [...document.querySelectorAll(`.st-key-${key} .imagelayer image`)]
    .filter(part => part.href.baseVal.startsWith('data:'))
    .filter(part => part.getBoundingClientRect().width > 0);
  return found.length >= least ? found : null;
};
"""
_SHELL = """() => {
  const parts = ['stSidebarNavLink', 'stFileUploaderDropzone', 'stHeading']
    .map(name => document.querySelector(`[data-testid="${name}"]`));
  return parts.every(part => part) ? parts : null;
}"""
_OVERLAY = "() => window.pictures('overlay', 2)"


@dataclass(frozen=True)
class Row:
    """One line of the table: seconds of each round, and the goal."""

    name: str
    seconds: list[float]
    goal: float | None = None


def first_visit(browser: Browser) -> list[Row]:
    """A new server and a new browser profile: the shell, then the first explained photo."""
    page = new_page(browser)
    page.add_init_script(f"window.watch({_SHELL})")
    with running_app() as server:
        page.goto(server.url)
        shell = on_the_clock(page, page.evaluate("window.painted"))
        page.evaluate(f"window.watch({_OVERLAY})")
        explained = on_the_clock(page, page.evaluate("window.painted"))
        page.context.close()
    return [
        Row(
            "first visit: shell painted, after the server answers", [shell - server.answered], SHELL
        ),
        Row(
            "first visit: photo explained, after the server answers", [explained - server.answered]
        ),
        Row("first visit: photo explained, after the command", [explained - server.started]),
    ]


def changes_of_layer(page: Page, server: Server, rounds: int) -> Row:
    """Activations: one more layer is chosen, until its grid of channels is painted."""
    card = read_card(ROOT / "models" / f"{MODEL}.json")
    first, *others = card.suggested_layers.activations
    seconds = []
    for number in range(rounds):
        for layer in others:
            page.goto(f"{server.url}/activations?model={MODEL}&layer={first}")
            ready(page)
            upload(page, photo(number))
            ready(page)
            page.get_by_test_id("stMultiSelect").locator("input").fill(layer)
            option = page.get_by_role("option").filter(has_text=layer).first
            option.wait_for()
            grid = f"() => window.pictures('activations-{layer}', 1)"
            seconds.append(timed(page, grid, option.click))
    return Row("change of layer, until its grid is repainted", seconds, LAYER)


def changes_of_photo(page: Page, server: Server, rounds: int) -> Row:
    """Explore: a photo is dropped, until the overlay is painted."""
    seconds = []
    page.goto(f"{server.url}/?model={MODEL}")
    for number in range(rounds):
        ready(page)
        known = page.evaluate(
            "window.known = window.pictures('overlay', 2).map(part => part.outerHTML)"
        )
        assert len(known) >= 2
        overlay = """() => {
          const found = window.pictures('overlay', 2);
          const named = [...document.querySelectorAll('[data-testid="stCaptionContainer"]')]
            .some(part => part.innerText.includes('NAME'));
          return named && found && !found.some(part => window.known.includes(part.outerHTML))
            ? found : null;
        }""".replace("NAME", f"photo-{number}.jpg")
        drop = functools.partial(upload, page, photo(number), number)
        seconds.append(timed(page, overlay, drop))
    return Row("photo dropped, until its overlay is repainted", seconds, PHOTO)


def changes_of_opacity(page: Page, server: Server, rounds: int) -> Row:
    """Explore: a click on the opacity slider, until the overlay is painted anew."""
    page.goto(f"{server.url}/?model={MODEL}")
    ready(page)
    box = page.locator(".st-key-overlay .slider-rail-touch-rect").bounding_box()
    assert box is not None
    seconds = []
    for number in range(rounds):
        page.evaluate(
            "window.before = getComputedStyle(window.pictures('overlay', 2).at(-1)).opacity"
        )
        changed = """() => {
          const found = window.pictures('overlay', 2);
          return found && getComputedStyle(found.at(-1)).opacity !== window.before ? found : null;
        }"""
        x = box["x"] + box["width"] * (0.2 if number % 2 else 0.8)
        y = box["y"] + 12
        seconds.append(timed(page, changed, functools.partial(page.mouse.click, x, y)))
    return Row("opacity changed, until the overlay is repainted", seconds, OPACITY)


def timed(page: Page, find: str, act: Callable[[], object]) -> float:
    """Seconds from the start of what is done to the painted result."""
    page.evaluate(f"window.watch({find})")
    act()
    return float(page.evaluate("window.painted.then(end => end - window.begun)")) / 1000


def on_the_clock(page: Page, milliseconds: float) -> float:
    """A time of the page in seconds since 1970."""
    return float(page.evaluate("performance.timeOrigin") + milliseconds) / 1000


def new_page(browser: Browser) -> Page:
    """A page of a browser profile that has seen nothing."""
    page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(_TOOLS)
    return page


def ready(page: Page) -> None:
    """Waits until the page is complete and quiet."""
    page.get_by_text("About this network").wait_for()
    settle(page)
    # What goes on in the background, such as a prepared answer, is not what is measured.
    time.sleep(0.3)


def upload(page: Page, data: bytes, number: int = 0) -> None:
    """Hands a file to the uploader."""
    name = f"photo-{number}.jpg"
    field = page.locator(".st-key-uploaded-photo input[type=file]")
    field.set_input_files(FilePayload(name=name, mimeType="image/jpeg", buffer=data))
    page.get_by_test_id("stCaptionContainer").filter(has_text=name).wait_for()


def photo(number: int) -> bytes:
    """A JPEG of 12 megapixels, as a telephone takes it; each one is a new one."""
    path = next(one.path for one in samples() if one.name == "chelsea")
    turned = np.roll(open_photo(path), 7 * number, axis=1)
    file = io.BytesIO()
    Image.fromarray(turned).resize((4000, 3000)).save(file, "JPEG", quality=85)
    return file.getvalue()


def report(rows: list[Row]) -> None:
    """Prints the table."""
    print("| what a person waits for | median | slowest | rounds | goal | |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        middle = statistics.median(row.seconds)
        goal = "–" if row.goal is None else f"≤ {row.goal} s"
        met = "" if row.goal is None else "reached" if middle <= row.goal else "missed"
        print(
            f"| {row.name} | {middle:.2f} s | {max(row.seconds):.2f} s | {len(row.seconds)} "
            f"| {goal} | {met} |"
        )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Measure what a person waits for.")
    parser.add_argument("--rounds", type=int, default=3, help="times of everything (default 3)")
    rounds = parser.parse_args().rounds
    with chromium() as browser:
        print(f"Chromium {browser.version}, {os.cpu_count()} cores, network {MODEL}\n")
        visits = [first_visit(browser) for _ in range(rounds)]
        rows = [
            Row(same[0].name, [row.seconds[0] for row in same], same[0].goal)
            for same in zip(*visits, strict=True)
        ]
        with running_app() as server:
            page = new_page(browser)
            page.goto(f"{server.url}/activations?model={MODEL}")
            ready(page)
            # The workers go on with the other networks.
            time.sleep(20)
            rows.append(changes_of_layer(page, server, rounds))
            rows.append(changes_of_photo(page, server, 3 * rounds))
            rows.append(changes_of_opacity(page, server, 3 * rounds))
    report(rows)


if __name__ == "__main__":
    main()
