"""What a person waits for, in a real browser: from the mouse or the file to the new pixels.

    python -m benchmarks.app

Times are those of the page's own clock. It starts when the mouse button goes down, or when the
browser has the file. It stops after the frame in which the new picture is laid out and decoded:
what runs right after a frame's callbacks runs once it is painted. Every layer and every photo is
requested only once, so that no answer is read from a cache. The first page is opened on a server
that has just been started, with a new browser profile. So is, in the same round, a Streamlit app
of one line: less than that no app on Streamlit can take.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, FilePayload, Page

from benchmarks.measuring import phone_photo, print_table
from cnnviz.cards import read_card
from cnnviz.settings import ROOT
from scripts.browse import Server, chromium, running_app, running_server, settle

MODEL = "imagenet_efficientnet_lite0"
# The project's goals, in seconds, on two cores; the second is a ratio.
SHELL, TO_HELLO, EXPLAINED, LAYER, PHOTO, OPACITY = 1.5, 1.7, 2.5, 0.5, 1.0, 0.1

_TOOLS = """
window.begun = 0;
for (const event of ['pointerdown', 'change']) {
  document.addEventListener(event, () => { window.begun = performance.now(); }, true);
}
// The time at which all that `find` returns, elements or pictures' addresses, has been painted.
window.watch = find => {
  const frame = () => new Promise(requestAnimationFrame);
  const afterwards = () => new Promise(done => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  });
  return (async () => {
    let parts;
    while (!(parts = find())) await frame();
    const sources = parts.map(part => part.tagName === 'image' ? part.href.baseVal : part);
    await Promise.all(sources.filter(source => typeof source === 'string').map(source => {
      const picture = new Image();
      picture.src = source;
      return picture.decode();
    }));
    await frame();
    await afterwards();
    return performance.now();
  })();
};
// The pictures in a chart, once it shows at least so many: an overlay has a photo and a map.
window.pictures = (key, least) => {
  const images = [...document.querySelectorAll(`.st-key-${key} .imagelayer image`)]
    .filter(part => part.href.baseVal.startsWith('data:'))
    .filter(part => part.getBoundingClientRect().width > 0);
  return images.length >= least ? images : null;
};
// The canvas of a viewer, once it is painted.
window.canvas = key => {
  const host = document.querySelector(`.st-key-${key} [data-testid=stBidiComponentIsolated]`);
  const canvas = host?.shadowRoot?.querySelector('canvas');
  return canvas?.height > 0 && canvas.getBoundingClientRect().height > 0 ? [canvas] : null;
};
"""
_SHELL = """() => {
  const parts = ['stTopNavLink', 'stFileUploaderDropzone', 'stHeading']
    .map(name => document.querySelector(`[data-testid="${name}"]`));
  return parts.every(part => part) ? parts : null;
}"""
_HEADING = """() => {
  const heading = document.querySelector('[data-testid="stHeading"]');
  return heading ? [heading] : null;
}"""
_SENTENCE = """() => {
  const sentence = document.querySelector('[data-testid="stHeading"] h3');
  return sentence ? [sentence] : null;
}"""
_CHART = "() => window.pictures('overlay', 2)"
# The pictures that are shown until Plotly has drawn its own, or those; and the sentence.
_EXPLAINED = f"""() => {{
  const box = document.querySelector('.st-key-overlay');
  const sentence = ({_SENTENCE})();
  if (!box || !sentence) return null;
  const styles = ['::before', '::after'].map(part => getComputedStyle(box, part))
    .filter(style => style.visibility === 'visible' && parseFloat(style.width) > 0)
    .filter(style => style.backgroundImage.startsWith('url("data:'));
  const early = styles.map(style => style.backgroundImage.slice(5, -2));
  const pictures = early.length === 2 ? early : ({_CHART})();
  return pictures ? [...sentence, ...pictures] : null;
}}"""
# What is timed on a first visit.
_PARTS = {"shell": _SHELL, "sentence": _SENTENCE, "explained": _EXPLAINED, "chart": _CHART}


@dataclass(frozen=True)
class Row:
    """One line of the table: the values of each round, and the goal."""

    name: str
    values: list[float]
    goal: float | None = None
    unit: str = " s"

    def cells(self) -> tuple[str, ...]:
        """The line's texts."""
        median = statistics.median(self.values)
        texts = [f"{value:.2f}{self.unit}" for value in (median, max(self.values))]
        if self.goal is None:
            return (self.name, *texts, str(len(self.values)), "–", "")
        reached = "reached" if median <= self.goal else "missed"
        return (self.name, *texts, str(len(self.values)), f"≤ {self.goal}{self.unit}", reached)


def first_visit(browser: Browser) -> list[Row]:
    """New servers and new browser profiles: an app of one line, then the first explained photo."""
    floor = hello(browser)
    page = new_page(browser)
    watched = ", ".join(f"{name}: window.watch({find})" for name, find in _PARTS.items())
    page.add_init_script(f"window.first = {{{watched}}}")
    with running_app() as server:
        page.goto(server.url)
        at = {name: on_the_clock(page, page.evaluate(f"window.first.{name}")) for name in _PARTS}
        page.context.close()
    ready, whole = server.answered, at["explained"] - server.started
    return [
        Row("command → the heading of an app of one line", [floor]),
        Row("command → first explained photo", [whole]),
        Row("their ratio", [whole / floor], TO_HELLO, unit=""),
        Row("command → the server answers", [ready - server.started]),
        Row("the server answers → shell painted", [at["shell"] - ready], SHELL),
        Row("the server answers → the network's sentence", [at["sentence"] - ready]),
        Row("the server answers → explained photo", [at["explained"] - ready], EXPLAINED),
        Row("the server answers → its chart with all buttons", [at["chart"] - ready]),
    ]


def hello(browser: Browser) -> float:
    """Seconds from the command to the painted heading of an app of one line."""
    page = new_page(browser)
    page.add_init_script(f"window.painted = window.watch({_HEADING})")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "hello.py"
        script.write_text('import streamlit as st; st.title("Hello")\n', encoding="utf-8")
        with running_server(["streamlit", "run", script.name], script.parent) as server:
            page.goto(server.url)
            painted = on_the_clock(page, page.evaluate("window.painted"))
            page.context.close()
    return painted - server.started


def changes_of_layer(page: Page, server: Server, rounds: int) -> Row:
    """Activations: one more layer is chosen, until its grid of channels is painted."""
    card = read_card(ROOT / "models" / f"{MODEL}.json")
    shown, *others = card.suggested_layers.activations
    seconds = []
    for number in range(rounds):
        for layer in others:
            page.goto(f"{server.url}/activations?model={MODEL}&layer={shown}")
            ready(page)
            upload(page, phone_photo(number))
            ready(page)
            page.get_by_test_id("stMultiSelect").locator("input").fill(layer)
            option = page.get_by_role("option").filter(has_text=layer).first
            option.wait_for()
            grid = "() => window.canvas('activations-1')"
            seconds.append(timed(page, grid, option.click))
    return Row("change of layer, until its grid is repainted", seconds, LAYER)


def changes_of_photo(page: Page, server: Server, rounds: int) -> Row:
    """Explore: a photo is dropped, until the overlay is painted."""
    seconds = []
    page.goto(f"{server.url}/?model={MODEL}")
    for number in range(rounds):
        ready(page)
        before = page.evaluate(
            "window.before = window.pictures('overlay', 2).map(part => part.outerHTML)"
        )
        assert len(before) >= 2
        overlay = """() => {
          const images = window.pictures('overlay', 2);
          const named = [...document.querySelectorAll('[data-testid="stCaptionContainer"]')]
            .some(part => part.innerText.includes('NAME'));
          return named && images && !images.some(part => window.before.includes(part.outerHTML))
            ? images : null;
        }""".replace("NAME", f"photo-{number}.jpg")
        drop = functools.partial(upload, page, phone_photo(number), number)
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
          const images = window.pictures('overlay', 2);
          return images && getComputedStyle(images.at(-1)).opacity !== window.before
            ? images : null;
        }"""
        x = box["x"] + box["width"] * (0.2 if number % 2 else 0.8)
        y = box["y"] + 12
        seconds.append(timed(page, changed, functools.partial(page.mouse.click, x, y)))
    return Row("opacity changed, until the overlay is repainted", seconds, OPACITY)


def timed(page: Page, find: str, act: Callable[[], object]) -> float:
    """Seconds from the start of an action to its painted result."""
    page.evaluate(f"window.painted = window.watch({find}), null")
    act()
    return float(page.evaluate("window.painted.then(end => end - window.begun)")) / 1000


def on_the_clock(page: Page, milliseconds: float) -> float:
    """A time of the page in seconds since 1970."""
    return float(page.evaluate("performance.timeOrigin") + milliseconds) / 1000


def new_page(browser: Browser) -> Page:
    """A page of a new browser profile."""
    page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(_TOOLS)
    return page


def ready(page: Page) -> None:
    """Waits until the page is complete and quiet."""
    page.get_by_text("About this network").wait_for()
    settle(page)
    # Work in the background, such as a prepared answer, is not what is measured.
    time.sleep(0.3)


def upload(page: Page, data: bytes, number: int = 0) -> None:
    """Gives a file to the uploader."""
    name = f"photo-{number}.jpg"
    field = page.locator(".st-key-uploaded-photo input[type=file]")
    field.set_input_files(FilePayload(name=name, mimeType="image/jpeg", buffer=data))
    page.get_by_test_id("stCaptionContainer").filter(has_text=name).wait_for()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Measure what a person waits for.")
    parser.add_argument("--rounds", type=int, default=3, help="times of everything (default 3)")
    rounds = parser.parse_args().rounds
    with chromium() as browser:
        print(f"Chromium {browser.version}, {os.cpu_count()} cores, network {MODEL}\n")
        visits = [first_visit(browser) for _ in range(rounds)]
        rows = [
            dataclasses.replace(same[0], values=[row.values[0] for row in same])
            for same in zip(*visits, strict=True)
        ]
        with running_app() as server:
            page = new_page(browser)
            page.goto(f"{server.url}/activations?model={MODEL}")
            ready(page)
            # The workers load the other networks.
            time.sleep(20)
            rows.append(changes_of_layer(page, server, rounds))
            rows.append(changes_of_photo(page, server, 3 * rounds))
            rows.append(changes_of_opacity(page, server, 3 * rounds))
    titles = ("what a person waits for", "median", "slowest", "rounds", "goal", "")
    print_table(titles, (row.cells() for row in rows))


if __name__ == "__main__":
    main()
