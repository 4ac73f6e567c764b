"""What a person waits for, in a real browser: from the mouse or the file to the new pixels.

    python -m benchmarks.app

``make bench`` compiles the package's bytecode first, as ``make run`` does.

Times are those of the page's own clock. It starts when the mouse button goes down, or when a file
is dropped or chosen. It stops after the frame in which the new picture is laid out and decoded:
what runs right after a frame's callbacks runs once it is painted. Every layer, every cell and every
photo is requested only once, so that no answer is read from a cache. The first page is opened on a
server that has just been started, with a new browser profile. So is, in the same round, a Streamlit
app of one line: less than that no app on Streamlit can take.

A photo is explained when the walk has painted it, its wall of maps, the answer and the class's map:
then ``walk.js`` names what it has painted in the attribute ``data-painted``, and the frame after
that is the one that counts. Where maps fade into each other the browser is told to move nothing:
what is timed is the new map, not the 120 ms of its fading in.

A long task is work during which the browser can show and answer nothing, of 50 ms or more: that is
the least that a browser reports, and what is given here where there was none.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import functools
import os
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, FilePayload, Locator, Page, WebSocket

from benchmarks.measuring import phone_photo, print_table
from benchmarks.page_clock import Row, new_page, on_the_clock, ready, timed, with_tasks
from cnnviz.cards import read_card
from cnnviz.settings import ROOT
from scripts.browse import Server, chromium, running_app, running_server

MODEL = "imagenet_efficientnet_lite0"
LAST = "top_act"  # its last maps: 1,280 channels
# The project's goals, on two cores: seconds, a ratio, milliseconds, answers a second.
SHELL, TO_HELLO, EXPLAINED, LAYER, PHOTO, OPACITY = 1.5, 1.7, 2.5, 0.2, 1.0, 0.1
CELL, CHIP, TASK, LIVE, STROKE = 0.35, 0.05, 100, 6, 0.4
LIVE_SECONDS = 10

# The navigation, the model's name in the bar, and the sidebar with its uploader.
_SHELL = """() => {
  const parts = ['stTopNavSection', 'stFileUploaderDropzone']
    .map(name => document.querySelector(`[data-testid="${name}"]`));
  const name = document.querySelector('.topbar .name');
  return name?.textContent && parts.every(part => part) ? [name, ...parts] : null;
}"""
_HEADING = """() => {
  const heading = document.querySelector('[data-testid="stHeading"]');
  return heading ? [heading] : null;
}"""
# What is timed on a first visit.
_PARTS = {"shell": _SHELL, "explained": "() => window.walked()"}


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
    begun, whole = server.answered, at["explained"] - server.started
    return [
        Row("command → the heading of an app of one line", [floor]),
        Row("command → first explained photo", [whole]),
        Row("their ratio", [whole / floor], TO_HELLO, unit=""),
        Row("command → the server answers", [begun - server.started]),
        Row("the server answers → shell painted", [at["shell"] - begun], SHELL),
        Row("the server answers → explained photo", [at["explained"] - begun], EXPLAINED),
    ]


# An app with one choice, and the line that tells it: what Streamlit itself needs for a change.
_CHOICE_APP = """
import streamlit as st
chosen = st.multiselect("Layers", ["first", "second"], ["first"])
st.write(f"chosen: {len(chosen)}")
"""
_TWO = """() => {
  const lines = [...document.querySelectorAll('[data-testid=stMarkdown]')];
  const found = lines.find(line => line.textContent === 'chosen: 2');
  return found ? [found] : null;
}"""


def changes_of_a_choice(browser: Browser, rounds: int) -> Row:
    """One more option is chosen in an app of two lines, until the line that tells it is painted."""
    page = new_page(browser)
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "choice.py"
        script.write_text(_CHOICE_APP, encoding="utf-8")
        with running_server(["streamlit", "run", script.name], script.parent) as server:
            for _ in range(3 * rounds):
                page.goto(server.url)
                page.get_by_text("chosen: 1").wait_for()
                seconds.append(timed(page, _TWO, option_of(page, "second").click))
            page.context.close()
    return Row("change of a choice in an app of two lines, until it is painted", seconds)


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
            option = option_of(page, layer)
            grid = "() => window.grid('', document.querySelector('.st-key-activations-1'))"
            seconds.append(timed(page, grid, option.click))
    return Row("change of layer, until its grid is repainted", seconds, LAYER)


def option_of(page: Page, text: str) -> Locator:
    """An option in the list from which several can be chosen, which is opened."""
    page.get_by_test_id("stMultiSelect").locator("input").fill(text)
    option = page.get_by_role("option").filter(has_text=text).first
    option.wait_for()
    return option


def changes_of_photo(page: Page, server: Server, rounds: int) -> Row:
    """Explore: a photo is dropped on the page, until the walk is painted anew."""
    seconds = []
    page.goto(f"{server.url}/?model={MODEL}")
    for number in range(rounds):
        ready(page)
        before = page.evaluate("window.walked()[0].dataset.painted")
        page.evaluate(
            """([text, name]) => {
              const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
              window.dropped = new File([bytes], name, {type: 'image/jpeg'});
            }""",
            [base64.b64encode(phone_photo(1000 + number)).decode(), f"photo-{number}.jpg"],
        )
        drop = """() => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(window.dropped);
          const main = document.querySelector('[data-testid=stMain]');
          const drop = {bubbles: true, cancelable: true, dataTransfer};
          main.dispatchEvent(new DragEvent('drop', drop));
        }"""
        walk = f"() => window.walked({before!r})"
        seconds.append(timed(page, walk, functools.partial(page.evaluate, drop)))
    return Row("photo dropped, until it is explained", seconds, PHOTO)


def clicks_on_cells(page: Page, server: Server, rounds: int) -> Row:
    """Explore: a click on a cell of the wall, until its arithmetic is painted."""
    seconds = []
    page.goto(f"{server.url}/?model={MODEL}")
    for number in range(rounds):
        ready(page)
        # The first one is that of the class weights.
        box = page.locator(".walk .area [role=grid]").nth(1 + number % 5).bounding_box()
        assert box is not None
        # Another cell of each column in each round.
        across, down = 0.1 + 0.07 * (number // 5), 0.2 + 0.11 * (number // 5)
        x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
        click = functools.partial(page.mouse.click, x, y)
        find = """() => {
          const found = window.inside('.f-arithmetic');
          return found?.getBoundingClientRect().height > 0 ? [found] : null;
        }"""
        seconds.append(timed(page, find, click))
        page.keyboard.press("Escape")
        page.locator(".walk .f-arithmetic").wait_for(state="detached")
    return Row("click on a cell, until its arithmetic is painted", seconds, CELL)


def clicks_on_chips(page: Page, server: Server, rounds: int) -> Row:
    """Explore: a click on a class, until its map is painted.

    Raises:
        RuntimeError: the map has not changed.
    """
    seconds = []
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{server.url}/?model={MODEL}")
    ready(page)
    pixels = "window.inside('.evidence canvas').toDataURL()"
    for number in range(rounds):
        before = page.evaluate(pixels)
        chip = 1 + number % 4
        find = f"""() => {{
          const {{parentElement: chips}} = window.inside('.chips .chip');
          return chips.children[{chip}].ariaPressed === 'true' ? [chips] : null;
        }}"""
        seconds.append(timed(page, find, page.locator(".walk .chips .chip").nth(chip).click))
        if page.evaluate(pixels) == before:
            raise RuntimeError("Another class was chosen, and its map is the same.")
    page.emulate_media(reduced_motion="no-preference")
    return Row("class chosen, until its map is repainted", seconds, CHIP)


def changes_of_opacity(page: Page, server: Server, rounds: int) -> Row:
    """Class activation map: a click on the opacity slider, until the overlay is painted anew."""
    page.goto(f"{server.url}/class_activation_map?model={MODEL}")
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


def strokes(page: Page, server: Server, rounds: int) -> Row:
    """Occlude: the end of a stroke, until probabilities and maps of the rest are painted."""
    page.goto(f"{server.url}/occlude?model={MODEL}")
    ready(page)
    box = page.locator(".paint [role=grid]").bounding_box()
    assert box is not None
    seconds = []
    for number in range(rounds):
        before = page.locator(".paint").get_attribute("data-painted")
        y = box["y"] + box["height"] * (number + 1) / (rounds + 1)
        page.mouse.move(box["x"] + 40, y)
        page.mouse.down()
        page.mouse.move(box["x"] + 140, y, steps=5)
        find = f"""() => {{
          const paint = window.inside('.paint');
          return paint.dataset.painted === {before!r} ? null : [paint];
        }}"""
        # A click begins with a pressed button: the clock of a stroke, where it is lifted.
        page.evaluate(
            "addEventListener('pointerup', event => window.begun = event.timeStamp, {once: true})"
        )
        seconds.append(timed(page, find, page.mouse.up))
    return Row("stroke ended, until its answer is painted", seconds, STROKE)


def many_channels(page: Page, server: Server, rounds: int) -> list[Row]:
    """All channels of the last maps, in the walk and on Activations: times and longest tasks.

    At first a grid shows as many as are legible, and then, by a button, all 1,280.
    """
    show_all = page.get_by_role("button", name="Show all 1,280")
    walk: list[tuple[float, float]] = []
    activations: list[tuple[float, float]] = []
    grid = "() => window.grid('[aria-label^=\"1280 channels\"]')"
    for _ in range(rounds):
        page.goto(f"{server.url}/?model={MODEL}")
        ready(page)
        stage = page.locator(".walk .node .name[title^='All channels']").last
        first = "() => window.grid('[aria-label=\"Strongest first\"]')"
        walk.append(with_tasks(page, first, stage.click, show_all.click))
        page.goto(f"{server.url}/activations?model={MODEL}&layer=stem_act")
        ready(page)
        option_of(page, LAST).click()
        page.locator(".st-key-activations-1 [role=grid]").wait_for()
        ready(page)
        page.get_by_test_id("stSelectbox").filter(has_text="Channels shown").locator(
            "input"
        ).click()
        option = page.get_by_role("option").filter(has_text=f"of {LAST}")
        option.wait_for()
        activations.append(with_tasks(page, grid, option.click, show_all.click))
    rows = []
    for place, pairs in (("the walk", walk), ("Activations", activations)):
        seconds, tasks = (list(values) for values in zip(*pairs, strict=True))
        rows += [
            Row(f"1,280 channels opened in {place}, until they are painted", seconds),
            Row(f"the browser's longest task for them in {place}", tasks, TASK, unit=" ms"),
        ]
    return rows


def live_camera(page: Page, server: Server, rounds: int) -> Row:
    """Explore: answers a second to the frames of Chromium's own test picture.

    The next frame is sent once the answer to the last one is drawn, so the frames are the answers.
    """
    frames: list[float] = []

    def note(data: str | bytes) -> None:
        if isinstance(data, bytes) and b'"frame"' in data:
            frames.append(time.monotonic())

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", note)

    page.on("websocket", listen)
    page.goto(f"{server.url}/?model={MODEL}")
    ready(page)
    page.locator(".walk button.live").click()
    page.locator(".live .chip").first.wait_for()
    rates = []
    for _ in range(rounds):
        page.wait_for_timeout(1000)
        begun, start = len(frames), time.monotonic()
        page.wait_for_timeout(LIVE_SECONDS * 1000)
        rates.append((len(frames) - begun) / (time.monotonic() - start))
    page.get_by_role("button", name="Stop the camera").click()
    page.locator(".walk[data-painted]").wait_for()
    page.remove_listener("websocket", listen)
    return Row("live camera, answers a second", rates, LIVE, unit="", least=True)


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
        rows.append(changes_of_a_choice(browser, rounds))
        with running_app() as server:
            page = new_page(browser)
            page.goto(f"{server.url}/activations?model={MODEL}")
            ready(page)
            # The workers load the other networks.
            time.sleep(20)
            rows.append(changes_of_layer(page, server, rounds))
            rows.append(changes_of_photo(page, server, 3 * rounds))
            rows.append(clicks_on_cells(page, server, 5 * rounds))
            rows.append(clicks_on_chips(page, server, 4 * rounds))
            rows.append(changes_of_opacity(page, server, 3 * rounds))
            rows.append(strokes(page, server, 4 * rounds))
            rows += many_channels(page, server, rounds)
            rows.append(live_camera(page, server, rounds))
    titles = ("what a person waits for", "median", "worst", "rounds", "goal", "")
    print_table(titles, (row.cells() for row in rows))


if __name__ == "__main__":
    main()
