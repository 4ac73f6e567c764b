"""How fast many photos are explained, beside the bare compiled forward pass.

    python -m benchmarks.pipeline FOLDER

FOLDER holds photos: a few hundred are enough. In each round both do the same number of photos,
one after the other, in changing order; a ratio is the median over rounds, so that a machine
that gets slower or busier does so for both.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import cnnviz
from cnnviz import graph
from cnnviz.many import explain_many
from cnnviz.preprocessing import network_input

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "models" / "cat_dog.keras"


@dataclass(frozen=True)
class Comparison:
    """Photos per second of two ways, and the median ratio of the second's to the first's."""

    bare: float
    ours: float
    ratio: float


def compare(
    bare: Callable[[], Any], ours: Callable[[], Any], photos: int, rounds: int
) -> Comparison:
    """Times two ways to do the same photos, after one round that fills caches."""
    pairs = []
    for turn in range(rounds + 1):
        order = (bare, ours) if turn % 2 else (ours, bare)
        taken = {run: seconds(run) for run in order}
        if turn:
            pairs.append((taken[bare], taken[ours]))
    return Comparison(
        photos / statistics.median(first for first, _ in pairs),
        photos / statistics.median(second for _, second in pairs),
        statistics.median(first / second for first, second in pairs),
    )


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def explain(network: Any, paths: Sequence[Path], rounds: int) -> Comparison:
    """``explain_many`` from files, against forward passes over a batch that is in memory."""
    run = graph.forward(network)
    batches = len(paths) // run.batch
    chosen = paths[: batches * run.batch]
    steps = network.card.preprocessing
    inputs = [network_input(cnnviz.open_photo(path), steps) for path in chosen[: run.batch]]
    batch = tf.constant(np.concatenate(inputs))

    def bare() -> None:
        for _ in range(batches):
            run.run(batch)["output"].numpy()

    def ours() -> None:
        failed = [result.path for result in explain_many(network, chosen) if result.error]
        assert not failed, f"These photos cannot be explained: {failed}"

    return compare(bare, ours, len(chosen), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    network = cnnviz.load_model(MODEL)
    found = sorted(path for path in arguments.folder.rglob("*") if path.is_file())
    known = [path for path in found if path.suffix.lower() in {".jpg", ".jpeg", ".png"}]
    # Spread over the folder, so that every class is there.
    step = max(1, len(known) // arguments.photos)
    paths = list(itertools.islice(known[::step], arguments.photos))
    print(
        f"{MODEL.stem}, {len(paths)} photos, batches of {graph.any_pass(network).batch}, "
        f"{arguments.rounds} rounds; {os.cpu_count()} CPUs, Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )
    print("\n| what | bare, photos/s | cnnviz, photos/s | ratio |\n|---|---|---|---|")
    found_out = explain(network, paths, arguments.rounds)
    print(
        f"| explain: bare forward pass | {found_out.bare:.1f} | {found_out.ours:.1f} "
        f"| {found_out.ratio:.2f} |"
    )


if __name__ == "__main__":
    main()
