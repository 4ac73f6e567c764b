"""How long a search for exemplars takes, and how much memory.

    python -m benchmarks.exemplars FOLDER

FOLDER holds at least 1,000 photos. The command ``cnnviz exemplars`` searches 64 channels of a layer
of EfficientNet-Lite0 in 200 of them and in 1,000, each time in a new process, whose time, processor
time and largest memory are the system's figures: with five times the photos the memory must stay
about the same.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import print_table
from cnnviz.photos.sources import photos_in
from cnnviz.settings import ROOT

MODEL = ROOT / "models" / "imagenet_efficientnet_lite0.keras"
LAYER = "block3b_dw_act"
CHANNELS = "0-63"
COUNTS = (200, 1000)
# Seconds for the larger number.
GOAL = 60


@dataclass(frozen=True)
class Search:
    """What one search took: seconds, seconds of processors, and bytes of memory at most."""

    seconds: float
    processors: float
    memory: int


# The program of the process, which says at its end what it took.
PROGRAM = """
import resource, runpy, sys
try:
    runpy.run_module("cnnviz", run_name="__main__")
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print("used", used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, file=sys.stderr)
"""


def search(folder: Path, count: int) -> Search:
    """Searches the first photos of a folder, as many of each of its sub-folders as of others."""
    with TemporaryDirectory() as place:
        photos = Path(place, "photos")
        photos.mkdir()
        folders = [path for path in sorted(folder.iterdir()) if path.is_dir()] or [folder]
        for one in folders:
            for path in islice(photos_in(one), count // len(folders)):
                (photos / f"{one.name}-{path.name}").symlink_to(path.resolve())
        command = [sys.executable, "-c", PROGRAM, "exemplars", str(MODEL), str(photos)]
        command += ["--layer", LAYER, "--channels", CHANNELS]
        start = time.perf_counter()
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - start
    used = next(line for line in run.stderr.splitlines() if line.startswith("used "))
    _, processors, memory = used.split()
    return Search(seconds, float(processors), int(memory))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    print(
        f"{MODEL.stem}, channels {CHANNELS} of {LAYER}; {os.cpu_count()} CPUs, Python "
        f"{platform.python_version()}"
    )
    searches = {count: search(arguments.folder, count) for count in COUNTS}
    print_table(
        ("photos", "seconds", "processor seconds", "photos/s", "memory, MB"),
        (
            (
                f"{count:,}",
                f"{one.seconds:.1f}",
                f"{one.processors:.1f}",
                f"{count / one.seconds:.0f}",
                f"{one.memory / 1e6:.0f}",
            )
            for count, one in searches.items()
        ),
    )
    last = searches[COUNTS[-1]]
    print(f"\nGoal of {GOAL} s: {'yes' if last.seconds <= GOAL else 'no'}")


if __name__ == "__main__":
    main()
