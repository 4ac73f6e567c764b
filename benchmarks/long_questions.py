"""A class that asks for a method of many runs, and what everybody else waits for meanwhile.

    python -m benchmarks.long_questions [--sessions 30] [--others 5] [--seconds 60]

Each of the sessions has a photo of its own, asks for the method on the page of class activation
maps, and then does what a browser does: it asks again and again how far it is. The others work with
the same network: they choose one class after the other, turn to another page and back, and give
another photo. They do the same before, alone. Two times of theirs are told apart: until the map has
arrived, or the run of a page without maps has ended; and until the verdict on the map is there,
whose runs of the network all classes of a photo share, so that only another photo needs some. All
sessions use Streamlit's protocol over websockets (``scripts/visitor.py``), on the same cores as the
app. What else runs on the machine shows in the processor time: it adds up to less than there is.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import functools
import io
import itertools
import os
import random
import re
import time
from collections.abc import Sequence

import numpy as np
from PIL import Image

from benchmarks.measuring import phone_photo, print_table
from cnnviz.arrays import Bytes
from scripts.browse import Server, running_app
from scripts.process_list import running
from scripts.visitor import Visitor, visitor

NETWORK = "imagenet_efficientnet_lite0"
MAPS, OTHER_PAGE = "class_activation_map", "activations"
PAGE = f"{MAPS}?model={NETWORK}"
# Seconds: the 95th percentile of the others, and their pause between two steps.
GOAL, PAUSE = 1.0, 3.0
SIZE = (640, 480)
# Where the time of a step ends; the badge of a verdict has one of these texts.
MAP, VERDICT = "map alone", re.compile(r"-badge\[\S+ (The map |Cannot tell)")
# The steps of a round, and what a step's times are called.
CLASS, PHOTO, PAGES = "another class", "another photo", "another page"
ROUND = (CLASS, CLASS, PAGES, CLASS, PHOTO)
CHEAP, JUDGED = "map", "verdict"
# The seconds of steps by their kind, and by what has arrived.
Times = dict[tuple[str, str], list[float]]
_numbers = itertools.count()


@functools.cache  # once in a process
def _large_photo() -> Bytes:
    with Image.open(io.BytesIO(phone_photo(0))) as image:
        return np.asarray(image.resize(SIZE))


def photo() -> bytes:
    """A small photo that nobody has had."""
    number = next(_numbers)
    moved = np.roll(_large_photo(), (number % SIZE[1], number // SIZE[1]), (0, 1))
    file = io.BytesIO()
    Image.fromarray(moved).save(file, "JPEG")
    return file.getvalue()


class Start:
    """What the sessions wait for: that all of them are there, and then that they may ask."""

    def __init__(self, sessions: int) -> None:
        self.all_there = asyncio.Barrier(sessions + 1)
        self.may_ask = asyncio.Event()


async def ask_long(url: str, number: int, query: str, start: Start, ends: list[float]) -> None:
    """A session that asks for the method and waits for its map; notes how long that took."""
    async with visitor(url) as person:
        await person.open(PAGE)
        begun = time.monotonic()
        await person.upload(f"{number}.jpg", photo())
        await judged(person, begun)
        await start.all_there.wait()
        await start.may_ask.wait()
        begun = time.monotonic()
        await person.turn_to(MAPS, query)
        while person.repeats:
            await person.wait_and_repeat()
        if MAP not in person.charts:
            raise RuntimeError(f"Session {number} has no map: {person.problems}")
        ends.append(time.monotonic() - begun)


async def ask_cheap(person: Visitor, number: int, seconds: float, times: Times) -> None:
    """Repeats the steps of a round, one after the other, and notes their times."""
    chance = random.Random(number)
    end = time.monotonic() + seconds
    for turn, step in enumerate(itertools.cycle(ROUND)):
        await asyncio.sleep(chance.uniform(0.5, 1.5) * PAUSE)
        if time.monotonic() > end:
            return
        if step == PAGES:
            begun = time.monotonic()
            await person.turn_to(OTHER_PAGE)
            times[step, CHEAP].append(time.monotonic() - begun)
            await asyncio.sleep(chance.uniform(0.5, 1.5) * PAUSE)
        begun = time.monotonic()
        if step == CLASS:
            await person.choose("Another class", chance.choice(person.options("Another class")))
        elif step == PAGES:
            await person.turn_to(MAPS)
        else:
            await person.upload(f"{number}-{turn}.jpg", photo())
        times[step, CHEAP].append(person.arrived[MAP] - begun)
        times[step, JUDGED].append(await judged(person, begun) - begun)
        if person.problems:
            raise RuntimeError(f"The page showed a problem: {person.problems}")


async def judged(person: Visitor, begun: float) -> float:
    """When the verdict on the map was there, after this time; asks again as a browser does."""
    while True:
        found = [at for text, at in person.arrived.items() if at > begun and VERDICT.search(text)]
        if found:
            return max(found)
        await person.wait_and_repeat()


async def cheap_sessions(people: Sequence[Visitor], seconds: float) -> Times:
    """All times of the sessions that ask cheap questions at once."""
    times: Times = collections.defaultdict(list)
    await asyncio.gather(
        *(ask_cheap(person, number, seconds, times) for number, person in enumerate(people))
    )
    return times


def used(server: Server) -> dict[str, float]:
    """The processor time so far of the web process, the workers and the sessions themselves."""
    seconds = {"web process": 0.0, "workers": 0.0, "sessions": time.process_time()}
    for process in running():
        if process.session == server.process:
            kind = "web process" if process.pid == server.process else "workers"
            seconds[kind] += process.seconds
    return seconds


async def measured(
    server: Server, people: Sequence[Visitor], seconds: float
) -> tuple[Times, dict[str, float]]:
    """The times of the sessions that ask cheap questions, and the processor time meanwhile."""
    before = used(server)
    times = await cheap_sessions(people, seconds)
    return times, {kind: end - before[kind] for kind, end in used(server).items()}


async def run_all(
    server: Server, options: argparse.Namespace
) -> tuple[dict[str, tuple[Times, dict[str, float]]], list[float]]:
    """What ``measured`` gives, alone and beside the long questions; and the times of these."""
    url = server.url
    start, ends = Start(options.sessions), list[float]()
    query = f"method={options.method}" + (f"&runs={options.runs}" if options.runs else "")
    async with asyncio.TaskGroup() as group, contextlib.AsyncExitStack() as stack:
        people = [await stack.enter_async_context(visitor(url)) for _ in range(options.others)]
        for number, person in enumerate(people):
            await person.open(PAGE)
            begun = time.monotonic()
            await person.upload(f"other-{number}.jpg", photo())
            await judged(person, begun)
        long = [
            group.create_task(ask_long(url, number, query, start, ends))
            for number in range(options.sessions)
        ]
        await start.all_there.wait()
        times = {"alone": await measured(server, people, options.seconds)}
        start.may_ask.set()
        times["beside them"] = await measured(server, people, options.seconds)
        for task in long:
            task.cancel()
    return times, ends


def report(times: dict[str, tuple[Times, dict[str, float]]]) -> None:
    """Prints the tables of the others and the goal.

    Args:
        times: what ``measured`` gives, alone and beside the long questions.
    """
    lines, cheap = [], dict[str, list[float]]()
    for name, (found, _) in times.items():
        cheap[name] = [one for (_, what), own in found.items() if what == CHEAP for one in own]
        rows = {**found, ("all", CHEAP): cheap[name]}
        lines += [(name, step, what, own) for (step, what), own in sorted(rows.items())]
    print_table(
        ("", "step", "until", "number", "p50", "p95", "slowest"),
        (
            (
                name,
                step,
                "page" if step == PAGES and what == CHEAP else what,
                str(len(own)),
                *(f"{value:.2f} s" for value in np.percentile(own, (50, 95, 100))),
            )
            for name, step, what, own in lines
        ),
    )
    for name, (_, spent) in times.items():
        used_up = ", ".join(f"{kind} {seconds:.0f} s" for kind, seconds in spent.items())
        print(f"\nProcessor time {name}: {used_up}.")
    p95 = np.percentile(cheap["beside them"], 95)
    outcome = "reached" if p95 < GOAL else "missed"
    print(f"\np95 of maps and pages beside them {p95:.2f} s, goal < {GOAL:g}: {outcome}.")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Have a class ask for a method of many runs.")
    parser.add_argument("--sessions", type=int, default=30, help="that ask for it (default 30)")
    parser.add_argument("--others", type=int, default=5, help="that go on working (default 5)")
    parser.add_argument(
        "--seconds", type=float, default=60, help="length of each half (default 60)"
    )
    parser.add_argument("--method", default="rise", help="the method (default rise)")
    parser.add_argument("--runs", type=int, help="its runs (default the usual number, 500)")
    options = parser.parse_args()
    with running_app() as server:
        times, ends = asyncio.run(run_all(server, options))
    runs = f"of {options.runs} runs" if options.runs else "of the usual number of runs"
    print(
        f"{options.sessions} sessions ask for {options.method} {runs}, {options.others} others "
        f"work; {os.cpu_count()} cores."
    )
    report(times)
    print(f"{len(ends)} of {options.sessions} had their map after {options.seconds:g} s.")


if __name__ == "__main__":
    main()
