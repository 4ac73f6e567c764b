"""Thirty students at once: errors, waiting times, and memory of the real app under a class.

    python -m benchmarks.classroom [--sessions 30] [--browsers 3] [--minutes 3]

Each session goes round and round, with time to think between its steps: it opens the app, uploads
a photo that nobody else has, goes through the pages and chooses other layers. Most sessions speak
Streamlit's protocol over a websocket (``scripts/visitor.py``); some are real browsers beside them.

A session's time runs from its message until the run of the page is over and all of it is here;
that of an upload holds the transfer of the file. A browser's time runs from the click until the
page is painted. All of it runs on the same cores as the app. A class's browsers have machines of
their own: here they are told to stand back where the app wants a core, which Linux else shares
evenly between each browser and all of the app.

After every step the photo's name in the sidebar must be the session's own. No thumbnail, whose
address holds its pixels, and no chart of a photo's activations or class activation map may
ever be seen under the names of two photos: that one would be another session's, or an old one.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
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
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page
from playwright.sync_api import Error as BrowserError
from websockets.exceptions import WebSocketException

from cnnviz.photos.decoding import open_photo
from cnnviz.photos.samples import samples
from cnnviz.settings import ROOT
from scripts.browse import COUNT_RUNS, HAS_RUN, SEEN_RUNS, Server, chromium, running_app, settle
from scripts.process_list import Process, running
from scripts.visitor import SECONDS, Visitor, visitor

# Between two steps, in seconds. The goals: seconds that 95 of 100 steps take at most, and how
# much of its memory after a minute the app may have at the end.
THINKING, GOAL, FLAT = 3.0, 0.5, 1.05
MODELS = sorted(path.stem for path in (ROOT / "models").glob("*.keras"))
# The pages of a round: address, title, and the box whose choice is changed there.
PAGES = (
    ("activations", "Activations", "Layers"),
    ("class_activation_map", "Class activation map", "Class"),
    ("filters", "Filters", "Layer"),
    ("network", "Network", None),
)
# The charts that show nothing but numbers worked out from the photo, by the start of their keys.
RESULTS = ("activations:", "map alone")
# What no page of a browser may hold.
WRONG = ("stException", "stAlertContentError", "stAlertContentWarning")
# What a process is, by a part of its command line; every other one is a worker.
KINDS = {"cnnviz.ui": "web process", "resource_tracker": "resource tracker"}


@dataclass
class Lesson:
    """What is seen while the lesson goes on.

    Attributes:
        end: when it is over, on the monotonic clock.
        photos: JPEG files that nobody has had yet.
        seconds: what each kind of step took.
        problems: everything that should not have been, in words.
        owners: the photo's name under which each picture was seen first.
        shown: the names of the photos that were uploaded.
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


async def student(number: int, url: str, lesson: Lesson) -> None:
    """A session: rounds until the lesson is over, each with a new connection and a new photo."""
    chance = random.Random(number)
    await asyncio.sleep(chance.uniform(0, THINKING))
    for turn in itertools.count():
        if lesson.over:
            return
        try:
            await one_round(url, lesson, chance, f"photo-{number}-{turn}.jpg")
        except (OSError, WebSocketException, requests.RequestException) as error:
            lesson.problems.append(f"session {number}: {type(error).__name__} {error}")
            await asyncio.sleep(THINKING)


async def one_round(url: str, lesson: Lesson, chance: random.Random, name: str) -> None:
    """Open, upload, and on every page another layer or class."""
    begun = time.monotonic()
    async with visitor(url) as person:
        await person.open(f"?model={chance.choice(MODELS)}")
        lesson.seconds["open the app"].append(time.monotonic() - begun)
        await think(person, lesson, chance)
        async with timed(lesson, "upload a photo"):
            await person.upload(name, next(lesson.photos))
        lesson.shown.add(name)
        await think(person, lesson, chance, name)
        for page, _, label in PAGES:
            if lesson.over:
                return
            async with timed(lesson, f"go to {page}"):
                await person.turn_to(page)
            await think(person, lesson, chance, name)
            if label is not None:
                chosen = person.chosen(label)
                others = [one for one in person.options(label) if one not in chosen]
                async with timed(lesson, f"change {label.lower()} on {page}"):
                    await person.choose(label, chance.choice(others))
                await think(person, lesson, chance, name)


async def think(person: Visitor, lesson: Lesson, chance: random.Random, name: str = "") -> None:
    """Looks at what came, then waits."""
    lesson.problems += person.problems
    person.problems.clear()
    if name:
        results = [spec for key, spec in person.charts.items() if key.startswith(RESULTS)]
        digests = [hashlib.sha256(spec.encode()).hexdigest() for spec in results]
        pictures = person.thumbnails + digests
        lesson.problems += foreign(name, person.captions, pictures, lesson.owners)
    await asyncio.sleep(chance.uniform(0.8, 1.2) * THINKING)


def foreign(
    name: str, captions: list[str], pictures: list[str], owners: dict[str, str]
) -> list[str]:
    """Tells what is on a session's page that belongs to another photo than its own.

    Args:
        name: the session's photo.
        captions: the small texts on its page; one must begin with the name.
        pictures: what stands for each thumbnail and result on its page, such as its digest.
        owners: under which name each picture was seen; new ones are added.
    """
    told = []
    if not any(text.startswith(name) for text in captions):
        told.append(f"the session of {name} was shown {captions[:1]}")
    told += [
        f"the session of {name} was shown a picture of {owners[picture]}"
        for picture in pictures
        if owners.setdefault(picture, name) != name
    ]
    return told


@asynccontextmanager
async def timed(lesson: Lesson, step: str) -> AsyncIterator[None]:
    """Notes what a step takes, if it comes to its end."""
    begun = time.monotonic()
    yield
    lesson.seconds[step].append(time.monotonic() - begun)


def browser_student(number: int, url: str, lesson: Lesson) -> None:
    """The same with a real browser, in a thread of its own."""
    chance = random.Random(-1 - number)
    with chromium() as browser:
        stand_back()
        for turn in itertools.count():
            if lesson.over:
                return
            try:
                browser_round(browser, url, lesson, chance, f"browser-{number}-{turn}.jpg")
            except BrowserError as error:
                lesson.problems.append(f"browser {number}: {error.message.splitlines()[0]}")


def stand_back() -> None:
    """Gives this program's browsers the smallest share of the cores, on Linux.

    A browser makes its processes a session of its own, below Playwright's process, which is ours.
    """
    processes = {process.number: process for process in running()}
    for process in processes.values():
        above = processes.get(process.parent)
        if process.session == process.number and above and above.parent == os.getpid():
            group = Path(f"/proc/{process.number}/autogroup")
            if group.exists():
                group.write_text("19")


def browser_round(
    browser: Browser, url: str, lesson: Lesson, chance: random.Random, name: str
) -> None:
    """A new browser profile: open, upload, and on every page another layer or class."""
    page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
    page.set_default_timeout(SECONDS * 1000)
    page.add_init_script(COUNT_RUNS)
    page.on("pageerror", lambda error: lesson.problems.append(f"{name}: {error}"))
    with painted(page, lesson, "browser: open the app"):
        page.goto(f"{url}/?model={chance.choice(MODELS)}")
    time.sleep(THINKING)
    file = FilePayload(name=name, mimeType="image/jpeg", buffer=next(lesson.photos))
    with painted(page, lesson, "browser: upload a photo"):
        page.locator(".st-key-uploaded-photo input[type=file]").set_input_files(file)
        page.get_by_test_id("stCaptionContainer").filter(has_text=name).wait_for()
    lesson.shown.add(name)
    for _, title, label in PAGES:
        if lesson.over:
            break
        time.sleep(THINKING)
        with painted(page, lesson, "browser: change the page"):
            link = page.get_by_test_id("stSidebarNav").get_by_text(title, exact=True)
            link.click()
        look(page, lesson, name)
        if label is not None:
            time.sleep(THINKING)
            kind = "stMultiSelect" if label == "Layers" else "stSelectbox"
            page.get_by_test_id(kind).filter(has_text=label).last.locator("input").click()
            others = page.get_by_role("option", selected=False)
            others.first.wait_for()
            with painted(page, lesson, "browser: change a choice"):
                others.nth(chance.randrange(others.count())).click()
            look(page, lesson, name)
    page.context.close()


@contextmanager
def painted(page: Page, lesson: Lesson, step: str) -> Iterator[None]:
    """Notes the time until what is done inside has made the app run, and all is painted.

    Raises:
        BrowserError: it did not come to that; the message says in which step, and how it stands.
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
    lesson.seconds[step].append(time.monotonic() - begun)


def look(page: Page, lesson: Lesson, name: str) -> None:
    """Notes every error on a browser's page, and a photo that is not its own."""
    wrong = [f"[data-testid={kind}]" for kind in WRONG]
    lesson.problems += page.locator(", ".join(wrong)).all_inner_texts()
    captions = page.get_by_test_id("stCaptionContainer").all_inner_texts()
    addresses = page.locator("[data-testid=stSidebar] [data-testid=stImage] img").evaluate_all(
        "images => images.map(image => image.getAttribute('src'))"
    )
    lesson.problems += foreign(name, captions, addresses, lesson.owners)


def photos(count: int) -> list[bytes]:
    """JPEG files of 12 megapixels, as a telephone takes them: each with its own place and light."""
    path = next(one.path for one in samples() if one.name == "chelsea")
    cat = open_photo(path)

    def photo(number: int) -> bytes:
        chance = np.random.default_rng(number)
        moved = np.roll(cat, chance.integers(0, cat.shape[:2]), axis=(0, 1))
        lit = np.clip(moved * chance.uniform(0.6, 1.4, 3), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(lit).resize((4000, 3000)).save(file, "JPEG", quality=85)
        return file.getvalue()

    with ThreadPoolExecutor() as threads:
        return list(threads.map(photo, range(count)))


def usage(session: int) -> dict[str, Process]:
    """Every process of a session, by what it is and its number."""
    found = {}
    for process in running():
        if process.session == session:
            kinds = (kind for part, kind in KINDS.items() if part in process.command)
            found[f"{next(kinds, 'worker')}, {process.number}"] = process
    return found


async def watch(server: Server, minutes: float) -> list[dict[str, Process]]:
    """What the app's processes use at the start, after every minute, and at the end."""
    seen = [usage(server.process)]
    left = minutes * 60
    while left > 0:
        await asyncio.sleep(min(60, left))
        left -= 60
        seen.append(usage(server.process))
    return seen


async def teach(
    server: Server, sessions: int, browsers: int, minutes: float, files: list[bytes]
) -> tuple[Lesson, list[dict[str, Process]]]:
    """Lets all of them go on at once, until the time is over."""
    # A thread for every browser, and one for every session that sends a file.
    threads = ThreadPoolExecutor(max_workers=sessions + browsers)
    asyncio.get_running_loop().set_default_executor(threads)
    lesson = Lesson(time.monotonic() + minutes * 60, iter(files))
    watching = asyncio.create_task(watch(server, minutes))
    await asyncio.gather(
        *(student(number, server.url, lesson) for number in range(sessions)),
        *(
            asyncio.to_thread(browser_student, number, server.url, lesson)
            for number in range(browsers)
        ),
    )
    return lesson, await watching


def warm_up(url: str) -> None:
    """Has every network loaded and its view on all layers traced, as a teacher does before."""

    async def look_around() -> None:
        for model in MODELS:
            async with visitor(url) as person:
                await person.open(f"?model={model}")
                for page, _, _ in PAGES:
                    await person.turn_to(page)

    asyncio.run(look_around())


def report(lesson: Lesson, seen: list[dict[str, Process]]) -> None:
    """Prints the tables and the goals."""
    print("| step | number | p50 | p95 | p99 | slowest |")
    print("|---|---|---|---|---|---|")
    sessions = [
        value
        for step, values in lesson.seconds.items()
        for value in values
        if not step.startswith("browser")
    ]
    for step, values in [*sorted(lesson.seconds.items()), ("all steps of the sessions", sessions)]:
        p50, p95, p99 = np.percentile(values, (50, 95, 99))
        line = f"{p50:.2f} s | {p95:.2f} s | {p99:.2f} s | {max(values):.2f} s"
        print(f"| {step} | {len(values)} | {line} |")
    times = ["start", *(f"{minute} min" for minute in range(1, len(seen) - 1)), "end"]
    print(f"\n| process | {' | '.join(times)} | processor |")
    print("|---|" + "---|" * (len(seen) + 1))
    for name in sorted({name for one in seen for name in one}):
        sizes = [f"{one[name].megabytes:.0f} MB" if name in one else "–" for one in seen]
        both = name in seen[0] and name in seen[-1]
        spent = f"{seen[-1][name].seconds - seen[0][name].seconds:.0f} s" if both else "–"
        print(f"| {name} | {' | '.join(sizes)} | {spent} |")
    steps = sum(len(values) for values in lesson.seconds.values())
    for name in sorted(seen[0].keys() & seen[-1].keys()):
        share = (seen[-1][name].seconds - seen[0][name].seconds) / steps
        print(f"\n{1000 * share:.0f} ms of processor time for each step: {name}.")
    early, end = (sum(one.megabytes for one in moment.values()) for moment in (seen[1], seen[-1]))
    p95 = float(np.percentile(sessions, 95))
    print(f"\n{len(lesson.shown)} photos, no two alike; {len(lesson.owners)} pictures of them.")
    print(f"Problems: {len(lesson.problems)}, goal none: {_met(not lesson.problems)}.")
    print(f"p95 of the sessions: {p95:.2f} s, goal ≤ {GOAL} s: {_met(p95 <= GOAL)}.")
    print(f"Memory, end ÷ 1 min: {end / early:.2f}, goal ≤ {FLAT}: {_met(end / early <= FLAT)}.")
    for text, count in Counter(lesson.problems).most_common(20):
        print(f"- {count} × {text}")


def _met(met: bool) -> str:
    return "reached" if met else "missed"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Let a class use the app.")
    parser.add_argument("--sessions", type=int, default=30, help="over websockets (default 30)")
    parser.add_argument("--browsers", type=int, default=3, help="in Chromium (default 3)")
    parser.add_argument("--minutes", type=float, default=3, help="length (default 3)")
    options = parser.parse_args()
    # Nobody gets through a round in less than 20 seconds.
    rounds = 2 + int(options.minutes * 60 / 20)
    files = photos(rounds * (options.sessions + options.browsers))
    assert len({hashlib.sha256(file).digest() for file in files}) == len(files)
    load = os.getloadavg()[0]
    with running_app() as server:
        warm_up(server.url)
        begun = time.process_time()
        lesson, seen = asyncio.run(
            teach(server, options.sessions, options.browsers, options.minutes, files)
        )
        spent = time.process_time() - begun
        if "Traceback" in server.log.read_text(errors="replace"):
            lesson.problems.append("the server's log holds a traceback")
    print(
        f"{options.sessions} sessions and {options.browsers} browsers for {options.minutes:g} "
        f"minutes on {os.cpu_count()} cores; load average before: {load:.1f}. The sessions' own "
        f"client took {spent:.0f} s of processor time.\n"
    )
    report(lesson, seen)


if __name__ == "__main__":
    main()
