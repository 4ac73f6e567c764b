"""Live cameras of several people at once: answers a second for each of them.

    python -m benchmarks.cameras [--cameras 10] [--seconds 20]

Each camera is a session over a websocket (``scripts/visitor.py``) that does what ``live.js`` does:
it sends a frame, waits for its answer, and sends the next one. So the pace is the server's own;
browsers, which a class runs on other machines, take none of its processor time. All of them show
different pictures to the same network.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.measuring import print_table
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.samples import samples
from scripts.browse import running_app
from scripts.visitor import Visitor, visitor

MODEL = "imagenet_efficientnet_lite0"
# The keys of the walk and of the camera on the page, and the size of a frame for this network.
WALK, CAMERA, SIZE = "walk", "live camera", (298, 224)
GOAL = 1.0  # answers a second, for each
FRAMES = 30  # different pictures of a camera


def frames(seed: int) -> list[str]:
    """A camera's pictures as it sends them: the sample cat, shifted and lit, as JPEG in base64."""
    random = np.random.default_rng(seed)
    cat = open_photo(next(sample.path for sample in samples() if sample.name == "chelsea"))
    texts = []
    for _ in range(FRAMES):
        shifted = np.roll(cat, random.integers(0, cat.shape[:2]), axis=(0, 1))
        lit = np.clip(shifted * random.uniform(0.6, 1.4, 3), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(lit).resize(SIZE).save(file, "JPEG", quality=85)
        texts.append(base64.b64encode(file.getvalue()).decode())
    return texts


def header(packed: bytes) -> dict[str, Any]:
    """What a component is told, without its arrays."""
    (length,) = struct.unpack_from("<I", packed)
    told: dict[str, Any] = json.loads(packed[4 : 4 + length])
    return told


async def camera(person: Visitor, pictures: Sequence[str], seconds: float) -> list[float]:
    """The seconds of each answer, after the first.

    Raises:
        RuntimeError: there was no answer to a frame, or the page showed a problem.
    """
    times: list[float] = []
    number = 0
    end = 0.0
    while not end or time.monotonic() < end:
        number += 1
        picture = pictures[number % len(pictures)]
        begun = time.monotonic()
        await person.report(CAMERA, {"action": "frame", "number": number, "picture": picture})
        answer = header(person.viewers[CAMERA])["answer"]
        if answer is None or answer["number"] != number or answer["problem"] or person.problems:
            raise RuntimeError(f"Frame {number} was not answered: {answer} {person.problems}")
        if end:
            times.append(time.monotonic() - begun)
        else:
            end = time.monotonic() + seconds
    return times


async def run_camera(
    url: str, pictures: Sequence[str], seconds: float, ready: asyncio.Barrier
) -> list[float]:
    """A session that switches its camera on, and runs it once all are ready."""
    async with visitor(url) as person:
        await person.open(f"?model={MODEL}")
        walk = header(person.viewers[WALK])["id"]
        await person.report(WALK, {"scene": walk, "action": "live"})
        await ready.wait()
        return await camera(person, pictures, seconds)


async def run_all(url: str, count: int, seconds: float) -> list[list[float]]:
    """All cameras at once."""
    pictures = [frames(number) for number in range(count)]
    ready = asyncio.Barrier(count)
    return list(await asyncio.gather(*(run_camera(url, own, seconds, ready) for own in pictures)))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Run live cameras of several people at once.")
    parser.add_argument("--cameras", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--seconds", type=float, default=20, help="length (default 20)")
    options = parser.parse_args()
    with running_app() as server:
        all_times = asyncio.run(run_all(server.url, options.cameras, options.seconds))
    print(f"{options.cameras} cameras for {options.seconds:g} s on {os.cpu_count()} cores.")
    rates = [len(times) / options.seconds for times in all_times]
    print_table(
        ("camera", "answers a second", "p50", "p95", "slowest"),
        (
            (
                str(number),
                f"{rate:.2f}",
                *(f"{value:.2f} s" for value in np.percentile(times, (50, 95, 100))),
            )
            for number, (rate, times) in enumerate(zip(rates, all_times, strict=True), start=1)
        ),
    )
    outcome = "reached" if min(rates) >= GOAL else "missed"
    print(f"\nThe slowest camera: {min(rates):.2f} answers a second, goal ≥ {GOAL:g}: {outcome}.")
    print(f"All together: {sum(rates):.1f} answers a second.")


if __name__ == "__main__":
    main()
