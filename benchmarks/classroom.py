"""The real app under the load of a class: errors, response times and memory.

    python -m benchmarks.classroom [--sessions 30] [--browsers 3] [--minutes 3]

Each session repeats a round of steps with pauses between them: it opens the app, uploads a photo
of its own, goes through the pages and chooses other layers. Most sessions use Streamlit's protocol
over a websocket (``scripts/visitor.py``); a few are real browsers.

A session's time is that from its message until the run of the page has ended and all of it has
arrived, but for the verdict on a class activation map: until the map is there. The time of an
upload includes the transfer of the file. A browser's time is that from the
click until the page is painted. All of them run on the same cores as the app. In a class the
browsers run on other machines: here they get a low CPU priority, since Linux otherwise shares the
cores evenly between each browser and the whole app.

After every step the photo's name in the sidebar must be the session's own. No thumbnail, whose
address depends on its pixels, and no chart of a photo's activations or class activation map may
appear under the names of two photos: it would be another session's, or an old one.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import requests
from playwright.sync_api import Browser, FilePayload, Page
from playwright.sync_api import Error as BrowserError
from websockets.exceptions import WebSocketException

from benchmarks.measuring import phone_photo, print_table
from cnnviz.settings import ROOT
from scripts.browse import COUNT_RUNS, HAS_RUN, SEEN_RUNS, Server, chromium, running_app, settle
from scripts.process_list import Process, running
from scripts.visitor import SECONDS, Visitor, visitor

# Seconds between two steps. The goals: the 95th percentile of a step's seconds, the memory of all
# processes at the end in MB, and its ratio to that after a minute.
PAUSE, GOAL, MEMORY, FLAT = 3.0, 0.35, 1200, 1.05
MODELS = sorted(path.stem for path in (ROOT / "models").glob("*.keras"))
# The page that goes on after its map, to wait for the verdict; and the chart of the map.
MAPS, MAP = "class_activation_map", "map alone"
# The pages of a round: address, title, and the box whose choice is changed there.
PAGES = (
    ("activations", "Activations", "Layers"),
    (MAPS, "Class activation map", "Method"),
    ("filters", "Filters", "Layer"),
    ("network", "Network", None),
)
# What only shows numbers computed from the photo, charts and viewers, by the start of their keys.
RESULTS = ("activations ", MAP)
# Elements that no page may contain.
WRONG = ("stException", "stAlertContentError", "stAlertContentWarning")
# The kind of a process, by a part of its command line; all others are workers.
KINDS = {"cnnviz.ui": "web process", "resource_tracker": "resource tracker"}


@dataclass
class LoadTest:
    """The measurements of a load test.

    Attributes:
        end: when it ends, on the monotonic clock.
        photos: JPEG files that no session has used yet.
        seconds: the times of each kind of step.
        problems: messages of everything that went wrong.
        owners: the name of the photo with which each picture first appeared.
        shown: the names of the uploaded photos.
    """

    end: float
    photos: Iterator[bytes]
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)

    @property
    def over(self) -> bool:
        """Whether it is time to stop."""
        return time.monotonic() >= self.end


async def run_session(number: int, url: str, test: LoadTest) -> None:
    """A session: rounds until the test ends, each with a new connection and a new photo."""
    chance = random.Random(number)
    await asyncio.sleep(chance.uniform(0, PAUSE))
    for turn in itertools.count():
        if test.over:
            return
        try:
            await session_round(url, test, chance, f"photo-{number}-{turn}.jpg")
        except (OSError, WebSocketException, requests.RequestException) as error:
            test.problems.append(f"session {number}: {type(error).__name__} {error}")
            await asyncio.sleep(PAUSE)


async def session_round(url: str, test: LoadTest, chance: random.Random, name: str) -> None:
    """Open, upload, and on every page another layer or class."""
    begun = time.monotonic()
    async with visitor(url) as person:
        await person.open(f"?model={chance.choice(MODELS)}")
        test.seconds["open the app"].append(time.monotonic() - begun)
        await pause(person, test, chance)
        async with timed(test, "upload a photo"):
            await person.upload(name, next(test.photos))
        test.shown.add(name)
        await pause(person, test, chance, name)
        for page, _, label in PAGES:
            if test.over:
                return
            async with timed(test, f"go to {page}", person):
                await person.turn_to(page)
            await pause(person, test, chance, name)
            if label is not None:
                chosen = person.chosen(label)
                others = [one for one in person.options(label) if one not in chosen]
                async with timed(test, f"change {label.lower()} on {page}", person):
                    await person.choose(label, chance.choice(others))
                await pause(person, test, chance, name)


async def pause(person: Visitor, test: LoadTest, chance: random.Random, name: str = "") -> None:
    """Checks what has arrived, then waits."""
    test.problems += person.problems
    person.problems.clear()
    if name:
        shown = {key: spec.encode() for key, spec in person.charts.items()} | person.viewers
        results = [data for key, data in shown.items() if key.startswith(RESULTS)]
        digests = [hashlib.sha256(data).hexdigest() for data in results]
        pictures = person.thumbnails + digests
        test.problems += mix_ups(name, person.captions, pictures, test.owners)
    await asyncio.sleep(chance.uniform(0.8, 1.2) * PAUSE)


def mix_ups(
    name: str, captions: list[str], pictures: list[str], owners: dict[str, str]
) -> list[str]:
    """Finds what is on a session's page but belongs to another photo.

    Args:
        name: the session's photo.
        captions: the small texts on its page; one must begin with the name.
        pictures: the address or digest of each thumbnail and result on its page.
        owners: the name with which each picture first appeared; new ones are added.

    Returns:
        A message for each.
    """
    messages = []
    if not any(text.startswith(name) for text in captions):
        messages.append(f"the session of {name} was shown {captions[:1]}")
    messages += [
        f"the session of {name} was shown a picture of {owners[picture]}"
        for picture in pictures
        if owners.setdefault(picture, name) != name
    ]
    return messages


@asynccontextmanager
async def timed(test: LoadTest, step: str, person: Visitor | None = None) -> AsyncIterator[None]:
    """Stores the time of a step that does not fail; of a person there, until the map has come."""
    begun = time.monotonic()
    yield
    end = time.monotonic()
    if person is not None and person.page == MAPS:
        # A method of many runs has none yet.
        arrived = person.arrived.get(MAP, 0.0)
        end = arrived if arrived > begun else end
    test.seconds[step].append(end - begun)


def run_browser(number: int, url: str, test: LoadTest) -> None:
    """The same as ``run_session`` with a real browser, in a thread of its own."""
    chance = random.Random(-1 - number)
    with chromium() as browser:
        lower_priority()
        for turn in itertools.count():
            if test.over:
                return
            try:
                browser_round(browser, url, test, chance, f"browser-{number}-{turn}.jpg")
            except BrowserError as error:
                test.problems.append(f"browser {number}: {error.message.splitlines()[0]}")


def lower_priority() -> None:
    """Gives this program's browsers the lowest CPU priority, on Linux.

    A browser's processes are a session of their own. Its parent is Playwright's process, which is
    a child of this one.
    """
    processes = {process.pid: process for process in running()}
    for process in processes.values():
        parent = processes.get(process.parent)
        if process.session == process.pid and parent and parent.parent == os.getpid():
            group = Path(f"/proc/{process.pid}/autogroup")
            if group.exists():
                group.write_text("19")


def browser_round(
    browser: Browser, url: str, test: LoadTest, chance: random.Random, name: str
) -> None:
    """A new browser profile: open, upload, and on every page another layer or class."""
    page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    page.set_default_timeout(SECONDS * 1000)
    page.add_init_script(COUNT_RUNS)
    page.on("pageerror", lambda error: test.problems.append(f"{name}: {error}"))
    with timed_browser(page, test, "browser: open the app"):
        page.goto(f"{url}/?model={chance.choice(MODELS)}")
    time.sleep(PAUSE)
    file = FilePayload(name=name, mimeType="image/jpeg", buffer=next(test.photos))
    with timed_browser(page, test, "browser: upload a photo"):
        page.locator(".st-key-uploaded-photo input[type=file]").set_input_files(file)
        # In the sidebar, which is folded.
        captions = page.get_by_test_id("stCaptionContainer").filter(has_text=name)
        captions.wait_for(state="attached")
    test.shown.add(name)
    for _, title, label in PAGES:
        if test.over:
            break
        time.sleep(PAUSE)
        with timed_browser(page, test, "browser: change the page"):
            page.get_by_test_id("stTopNavLink").filter(has_text=title).click()
        check_page(page, test, name)
        if label is not None:
            time.sleep(PAUSE)
            # As many layers are chosen as can be.
            shown = "Channels shown" if label == "Layers" else label
            box = page.get_by_test_id("stSelectbox").filter(has_text=shown).last
            box.locator("input").click()
            others = page.get_by_role("option", selected=False)
            others.first.wait_for()
            with timed_browser(page, test, "browser: change a choice"):
                others.nth(chance.randrange(others.count())).click()
            check_page(page, test, name)
    page.context.close()


@contextmanager
def timed_browser(page: Page, test: LoadTest, step: str) -> Iterator[None]:
    """Stores the time until the action inside has made the app run, and the page is painted.

    Raises:
        BrowserError: that did not happen; the message has the step and the page's state.
    """
    opened = page.url == "about:blank"
    before = None if opened else page.evaluate(SEEN_RUNS)
    begun = time.monotonic()
    try:
        yield
        if not opened:
            page.wait_for_function(HAS_RUN, arg=before)
        page.get_by_text("About this network").wait_for()
        settle(page)
    except BrowserError as error:
        state = page.evaluate("JSON.stringify(document.querySelector('.stApp')?.dataset)")
        reason = error.message.splitlines()[0]
        raise BrowserError(f"{step}: {reason} {page.url.partition('?')[0]} {state}") from error
    test.seconds[step].append(time.monotonic() - begun)


def check_page(page: Page, test: LoadTest, name: str) -> None:
    """Stores every error on a browser's page, and a photo that is not its own."""
    wrong = [f"[data-testid={kind}]" for kind in WRONG]
    test.problems += page.locator(", ".join(wrong)).all_inner_texts()
    captions = page.get_by_test_id("stCaptionContainer").all_text_contents()
    addresses = page.locator("[data-testid=stSidebar] [data-testid=stImage] img").evaluate_all(
        "images => images.map(image => image.getAttribute('src'))"
    )
    test.problems += mix_ups(name, captions, addresses, test.owners)


def photos(count: int) -> list[bytes]:
    """JPEG files of 12 megapixels, all different."""
    with ThreadPoolExecutor() as threads:
        return list(threads.map(phone_photo, range(count)))


def usage(session: int) -> dict[str, Process]:
    """Every process of a session, by its kind and id."""
    processes = {}
    for process in running():
        if process.session == session:
            kinds = (kind for part, kind in KINDS.items() if part in process.command)
            processes[f"{next(kinds, 'worker')}, {process.pid}"] = process
    return processes


async def watch(server: Server, minutes: float) -> list[dict[str, Process]]:
    """The app's processes at the start, after every minute, and at the end."""
    samples = [usage(server.process)]
    left = minutes * 60
    while left > 0:
        await asyncio.sleep(min(60, left))
        left -= 60
        samples.append(usage(server.process))
    return samples


async def run_all(
    server: Server, sessions: int, browsers: int, minutes: float, files: list[bytes]
) -> tuple[LoadTest, list[dict[str, Process]]]:
    """Runs all sessions and browsers at once, until the test ends."""
    # A thread for every browser, and one for every session that sends a file.
    threads = ThreadPoolExecutor(max_workers=sessions + browsers)
    asyncio.get_running_loop().set_default_executor(threads)
    test = LoadTest(time.monotonic() + minutes * 60, iter(files))
    watching = asyncio.create_task(watch(server, minutes))
    await asyncio.gather(
        *(run_session(number, server.url, test) for number in range(sessions)),
        *(asyncio.to_thread(run_browser, number, server.url, test) for number in range(browsers)),
    )
    return test, await watching


def load_networks(url: str) -> None:
    """Loads every network and traces its passes, as a teacher's visit before the class does."""

    async def visit_all() -> None:
        for model in MODELS:
            async with visitor(url) as person:
                await person.open(f"?model={model}")
                for page, _, _ in PAGES:
                    await person.turn_to(page)

    asyncio.run(visit_all())


def report(test: LoadTest, moments: list[dict[str, Process]]) -> None:
    """Prints the tables and the goals.

    Args:
        test: the measurements.
        moments: the app's processes at the start, after every minute, and at the end.
    """
    sessions = [
        value
        for step, values in test.seconds.items()
        for value in values
        if not step.startswith("browser")
    ]
    steps = [*sorted(test.seconds.items()), ("all steps of the sessions", sessions)]
    print_table(
        ("step", "number", "p50", "p95", "p99", "slowest"),
        (
            (
                step,
                str(len(values)),
                *(f"{value:.2f} s" for value in np.percentile(values, (50, 95, 99, 100))),
            )
            for step, values in steps
        ),
    )
    start, end = moments[0], moments[-1]
    used = {name: end[name].seconds - start[name].seconds for name in start.keys() & end.keys()}
    print_table(
        ("process", "start", *(f"{n} min" for n in range(1, len(moments) - 1)), "end", "processor"),
        (
            (
                name,
                *(_size(moment.get(name)) for moment in moments),
                f"{used[name]:.0f} s" if name in used else "–",
            )
            for name in sorted({name for moment in moments for name in moment})
        ),
    )
    count = sum(len(values) for values in test.seconds.values())
    for name in sorted(used):
        print(f"\n{1000 * used[name] / count:.0f} ms of processor time for each step: {name}.")
    early, late = (sum(one.megabytes for one in sizes.values()) for sizes in (moments[1], end))
    p95 = float(np.percentile(sessions, 95))
    print(f"\n{len(test.shown)} photos, no two alike; {len(test.owners)} pictures of them.")
    print(f"Problems: {len(test.problems)}, goal none: {_outcome(not test.problems)}.")
    print(f"p95 of the sessions: {p95:.2f} s, goal ≤ {GOAL} s: {_outcome(p95 <= GOAL)}.")
    print(f"Memory at the end: {late:.0f} MB, goal ≤ {MEMORY} MB: {_outcome(late <= MEMORY)}.")
    growth = late / early
    print(f"Memory, end ÷ 1 min: {growth:.2f}, goal ≤ {FLAT}: {_outcome(growth <= FLAT)}.")
    for text, number in Counter(test.problems).most_common(20):
        print(f"- {number} × {text}")


def _size(process: Process | None) -> str:
    return f"{process.megabytes:.0f} MB" if process else "–"


def _outcome(reached: bool) -> str:
    return "reached" if reached else "missed"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Run the app under the load of a class.")
    parser.add_argument("--sessions", type=int, default=30, help="over websockets (default 30)")
    parser.add_argument("--browsers", type=int, default=3, help="in Chromium (default 3)")
    parser.add_argument("--minutes", type=float, default=3, help="length (default 3)")
    options = parser.parse_args()
    # A round takes at least 20 seconds.
    rounds = 2 + int(options.minutes * 60 / 20)
    files = photos(rounds * (options.sessions + options.browsers))
    assert len({hashlib.sha256(file).digest() for file in files}) == len(files)
    load = os.getloadavg()[0]
    with running_app() as server:
        load_networks(server.url)
        begun = time.process_time()
        test, moments = asyncio.run(
            run_all(server, options.sessions, options.browsers, options.minutes, files)
        )
        spent = time.process_time() - begun
        if "Traceback" in server.log.read_text(errors="replace"):
            test.problems.append("the server's log holds a traceback")
    print(
        f"{options.sessions} sessions and {options.browsers} browsers for {options.minutes:g} "
        f"minutes on {os.cpu_count()} cores; load average before: {load:.1f}. The sessions' own "
        f"client took {spent:.0f} s of processor time.\n"
    )
    report(test, moments)


if __name__ == "__main__":
    main()
