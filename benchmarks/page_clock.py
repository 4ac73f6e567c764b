"""The clock of a page in a browser: from an action to the frame that shows its result.

It starts when the mouse button goes down, or when a file is dropped or chosen. It stops after the
frame in which the new picture is laid out and decoded: what runs right after a frame's callbacks
runs once it is painted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Browser, Page

from scripts.browse import settle

LEAST_TASK = 50.0  # milliseconds that make a task a long one
_TOOLS = """
window.begun = 0;
for (const event of ['pointerdown', 'drop', 'change']) {
  document.addEventListener(event, () => { window.begun = performance.now(); }, true);
}
window.tasks = [];
new PerformanceObserver(list => {
  window.tasks.push(...list.getEntries().map(entry => entry.duration));
}).observe({type: 'longtask', buffered: true});
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
    const end = performance.now() + 60_000;
    while (!(parts = find())) {
      if (performance.now() > end) throw new Error(`Not painted: ${find}`);
      await frame();
    }
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
// The first such element in the components of a part of the page, which are trees of their own.
window.inside = (selector, part = document) => {
  const hosts = '[data-testid=stBidiComponentIsolated], .f-channels *';
  for (const host of part.querySelectorAll(hosts)) {
    const tree = host.shadowRoot;
    const found = tree && (tree.querySelector(selector) ?? window.inside(selector, tree));
    if (found) return found;
  }
  return null;
};
// The canvas of a viewer's grid of such a name, once it is painted.
window.grid = (named, part = document) => {
  const canvas = part && window.inside(`[role=grid]${named}`, part)
    ?.closest('.region')?.querySelector('canvas');
  return canvas?.height > 0 && canvas.getBoundingClientRect().height > 0 ? [canvas] : null;
};
// What the walk has painted, once that is another one.
window.walked = (before = '') => {
  const walk = window.inside('.walk[data-painted]');
  return walk && walk.dataset.painted !== before ? [walk] : null;
};
"""


@dataclass(frozen=True)
class Row:
    """One line of the table: the values of each round, and the goal, the most or the least."""

    name: str
    values: list[float]
    goal: float | None = None
    unit: str = " s"
    least: bool = False

    def cells(self) -> tuple[str, ...]:
        """The line's texts: of all values the middle one and the worst, their number, the goal."""
        median = statistics.median(self.values)
        worst = min(self.values) if self.least else max(self.values)
        digits = 0 if self.unit == " ms" else 2
        texts = [f"{value:.{digits}f}{self.unit}" for value in (median, worst)]
        if self.goal is None:
            return (self.name, *texts, str(len(self.values)), "–", "")
        reached = median >= self.goal if self.least else median <= self.goal
        goal = f"{'≥' if self.least else '≤'} {self.goal}{self.unit}"
        return (self.name, *texts, str(len(self.values)), goal, "reached" if reached else "missed")


def with_tasks(
    page: Page, find: str, act: Callable[[], object], more: Callable[[], object]
) -> tuple[float, float]:
    """The seconds of an action, and the milliseconds of the longest task of it and of one more."""
    page.evaluate("window.tasks.length = 0")
    seconds = timed(page, find, act)
    ready(page)
    more()
    ready(page)
    return seconds, float(page.evaluate(f"Math.max({LEAST_TASK}, ...window.tasks)"))


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
