"""A class that asks for a method of many runs, and what everybody else waits for meanwhile.

    python -m benchmarks.long_questions [--sessions 30] [--others 5] [--seconds 60]

Each of the sessions has a photo of its own, asks for the method on the page of class activation
maps, and then does what a browser does: it asks again and again how far it is. The others choose
one class after the other on the same page, for which a worker runs the network each time. Their
time is that from a message until the run of the page has ended. They do the same before, alone. All
sessions use Streamlit's protocol over websockets (``scripts/visitor.py``), on the same cores as the
app. What else runs on the machine shows in the processor time: it adds up to less than there is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import random
import time
from collections.abc import Sequence

import numpy as np
from PIL import Image

from benchmarks.measuring import phone_photo, print_table
from scripts.browse import Server, running_app
from scripts.process_list import running
from scripts.visitor import Visitor, visitor

PAGE = "class_activation_map?model=imagenet_efficientnet_lite0"
# Seconds: the 95th percentile of the others, and their pause between two choices.
GOAL, PAUSE = 1.0, 2.0
SIZE = (640, 480)


def photo(seed: int) -> bytes:
    """A small photo that no other session has."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(phone_photo(seed))) as image:
        image.resize(SIZE).save(file, "JPEG")
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
        await person.upload(f"{number}.jpg", photo(number))
        await start.all_there.wait()
        await start.may_ask.wait()
        begun = time.monotonic()
        await person.turn_to("class_activation_map", query)
        while person.repeats:
            await person.wait_and_repeat()
        if "map alone" not in person.charts:
            raise RuntimeError(f"Session {number} has no map: {person.problems}")
        ends.append(time.monotonic() - begun)


async def ask_cheap(person: Visitor, seconds: float) -> list[float]:
    """The seconds of each choice of a class, one after the other."""
    chance = random.Random(person.link)
    times: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(chance.uniform(0.5, 1.5) * PAUSE)
        label = chance.choice(person.options("Another class"))
        begun = time.monotonic()
        await person.choose("Another class", label)
        times.append(time.monotonic() - begun)
        if person.problems:
            raise RuntimeError(f"The page showed a problem: {person.problems}")
    return times


async def cheap_sessions(people: Sequence[Visitor], seconds: float) -> list[float]:
    """All times of the sessions that ask cheap questions at once."""
    return [
        one
        for times in await asyncio.gather(*(ask_cheap(person, seconds) for person in people))
        for one in times
    ]


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
) -> tuple[list[float], dict[str, float]]:
    """The times of the sessions that ask cheap questions, and the processor time meanwhile."""
    before = used(server)
    times = await cheap_sessions(people, seconds)
    return times, {kind: end - before[kind] for kind, end in used(server).items()}


async def run_all(
    server: Server, options: argparse.Namespace
) -> tuple[dict[str, tuple[list[float], dict[str, float]]], list[float]]:
    """What ``measured`` gives, alone and beside the long questions; and the times of these."""
    url = server.url
    start, ends = Start(options.sessions), list[float]()
    query = f"method={options.method}&runs={options.runs}"
    async with asyncio.TaskGroup() as group, contextlib.AsyncExitStack() as stack:
        people = [await stack.enter_async_context(visitor(url)) for _ in range(options.others)]
        for number, person in enumerate(people):
            await person.open(PAGE)
            await person.upload(f"other-{number}.jpg", photo(1000 + number))
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


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Have a class ask for a method of many runs.")
    parser.add_argument("--sessions", type=int, default=30, help="that ask for it (default 30)")
    parser.add_argument("--others", type=int, default=5, help="that choose classes (default 5)")
    parser.add_argument(
        "--seconds", type=float, default=60, help="length of each half (default 60)"
    )
    parser.add_argument("--method", default="occlusion", help="the method (default occlusion)")
    parser.add_argument("--runs", type=int, default=400, help="its runs (default 400)")
    options = parser.parse_args()
    with running_app() as server:
        times, ends = asyncio.run(run_all(server, options))
    print(
        f"{options.sessions} sessions ask for {options.method} of {options.runs} runs, "
        f"{options.others} others choose classes; {os.cpu_count()} cores."
    )
    print_table(
        ("the others", "choices", "p50", "p95", "slowest", "processor time"),
        (
            (
                name,
                str(len(own)),
                *(f"{value:.2f} s" for value in np.percentile(own, (50, 95, 100))),
                ", ".join(f"{kind} {seconds:.0f} s" for kind, seconds in spent.items()),
            )
            for name, (own, spent) in times.items()
        ),
    )
    p95 = np.percentile(times["beside them"][0], 95)
    outcome = "reached" if p95 < GOAL else "missed"
    print(f"\np95 beside them {p95:.2f} s, goal < {GOAL:g}: {outcome}.")
    print(f"{len(ends)} of {options.sessions} had their map after {options.seconds:g} s.")


if __name__ == "__main__":
    main()
