"""How fast photos are prepared, trained on and explained, compared with the simplest way.

    python -m benchmarks.pipeline FOLDER

FOLDER holds a sub-folder of photos for each class: a few hundred are enough. In each round both
process the same photos, one after the other, in alternating order; a ratio is the median over
rounds, so that a machine that gets slower or busier affects both.

- prepare: ``prepare_photos``, against Pillow that decodes the same files on all cores, and against
  Pillow that also scales them.
- train: the second epoch of the recipe ``transfer``, whose dense layer alone learns, against the
  same network by ``keras.utils.image_dataset_from_directory`` and ``model.fit``, from files. Ours
  reads the prepared arrays and changes each photo at random; the other changes nothing, or the
  same by Keras's layers.
- explain: ``explain_many`` from files by LiteRT, against TensorFlow's forward passes over a batch
  that is in memory.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import cnnviz
from benchmarks.measuring import print_table, seconds
from cnnviz.batch.pipeline import explain_many
from cnnviz.networks import passes
from cnnviz.networks.engines.conversion import convert_file
from cnnviz.networks.loading import load_converted
from cnnviz.photos.preprocessing import network_input
from cnnviz.settings import ROOT
from cnnviz.training import loop
from cnnviz.training.architectures import freeze, transfer
from cnnviz.training.data.photos import prepare_photos
from cnnviz.training.data.sources import list_photos
from cnnviz.training.recipes import RECIPES
from cnnviz.training.runs import read_history, run_folder

MODEL = ROOT / "models" / "cat_dog.keras"
# The least ratio that each comparison is to reach; None without a goal.
GOALS = {
    "prepare: Pillow decodes": 1,
    "prepare: Pillow decodes and scales": None,
    "train: Keras's own loop, photos as they are": 0.95,
    "train: Keras's own loop, the same changes": 0.95,
    "explain: TensorFlow's bare forward pass": 1.4,
}


@dataclass(frozen=True)
class Comparison:
    """Photos per second of two ways, and the median ratio of the second to the first."""

    bare: float
    ours: float
    ratio: float


def compare(
    bare: Callable[[], float], ours: Callable[[], float], photos: int, rounds: int
) -> Comparison:
    """Compares two ways to process the same photos, functions that return their seconds.

    A first round is not counted.
    """
    pairs = []
    for turn in range(rounds + 1):
        order = (bare, ours) if turn % 2 else (ours, bare)
        times = {run: run() for run in order}
        if turn:
            pairs.append((times[bare], times[ours]))
    return Comparison(
        photos / statistics.median(theirs for theirs, _ in pairs),
        photos / statistics.median(own for _, own in pairs),
        statistics.median(theirs / own for theirs, own in pairs),
    )


# The program of the bare way's processes, which imports only Pillow.
DECODE = """
import sys
from concurrent.futures import ProcessPoolExecutor
from PIL import Image

def decode(paths):
    for path in paths:
        with Image.open(path) as image:
            picture = image.convert("RGB")
            if side:
                edge = min(picture.size)
                left, top = (picture.width - edge) / 2, (picture.height - edge) / 2
                box = (left, top, left + edge, top + edge)
                picture.resize((side, side), Image.Resampling.BICUBIC, box)

side, count = int(sys.argv[1]), int(sys.argv[2])
paths = sys.stdin.read().splitlines()
with ProcessPoolExecutor(count) as executor:
    list(executor.map(decode, [paths[at : at + 32] for at in range(0, len(paths), 32)]))
"""


def prepare(folder: Path, rounds: int, side: int) -> Comparison:
    """``prepare_photos``, against Pillow on all cores, each with new processes.

    Pillow decodes alone, or also scales to ``side`` pixels where that is not 0.
    """
    paths = [folder / name for names in list_photos(folder).classes.values() for name in names]
    command = [sys.executable, "-c", DECODE, str(side), str(os.cpu_count())]

    def bare() -> None:
        subprocess.run(command, input="\n".join(map(str, paths)), text=True, check=True)

    def ours() -> None:
        with TemporaryDirectory() as out:
            prepare_photos(folder, Path(out, "data"))

    return compare(partial(seconds, bare), partial(seconds, ours), len(paths), rounds)


def changes() -> keras.Model:
    """Keras's own layers for the random changes that the recipe makes."""
    how = RECIPES["transfer"].augmentation
    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(how.turn / 360),
            keras.layers.RandomTranslation(how.shift, how.shift),
            keras.layers.RandomZoom((how.zoom[0] - 1, how.zoom[1] - 1)),
            keras.layers.RandomContrast(how.contrast, value_range=(0, 255)),
            keras.layers.RandomBrightness(how.brightness),
        ]
    )


class Stopwatch(keras.callbacks.Callback):  # type: ignore[misc]
    """Times an epoch of ``fit`` up to its last step.

    The thread that tunes ``tf.data`` sleeps for twice as long each time, and ``fit`` waits for it
    at the end: an epoch of 15 seconds takes 20 or 41 then. That is not counted.
    """

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts it."""
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stores the time so far."""
        self.seconds = time.perf_counter() - self._start


def train(folder: Path, rounds: int, *, changing: bool) -> Comparison:
    """The second epoch of ``transfer``'s dense layer, against Keras's own loop.

    Keras's loop changes the photos at random too if ``changing``.
    """
    with TemporaryDirectory() as out:
        prepared = prepare_photos(folder, Path(out, "data"))

        def ours() -> float:
            with TemporaryDirectory() as run:
                loop.train(prepared, Path(run, "model.keras"), "transfer", epochs=2)
                return read_history(run_folder(Path(run, "model.keras")))[1].seconds

        def bare() -> float:
            batches = keras.utils.image_dataset_from_directory(
                folder,
                validation_split=0.2,
                subset="training",
                seed=0,
                image_size=(224, 224),
                batch_size=64,
                verbose=False,
            )
            if changing:
                layers = changes()
                batches = batches.map(lambda x, y: (layers(x, training=True), y), 2).prefetch(2)
            network = transfer((224, 224, 3), len(prepared.labels))
            freeze(network, all_but_scores=True)
            network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            network.fit(batches, verbose=0)
            watch = Stopwatch()
            network.fit(batches, verbose=0, callbacks=[watch])
            return watch.seconds

        return compare(bare, ours, prepared.count("training"), rounds)


def explain(network: Any, paths: Sequence[Path], rounds: int) -> Comparison:
    """``explain_many`` from files, against TensorFlow's passes over a batch that is in memory."""
    size = passes.facts(network).batch_size
    batches = len(paths) // size
    chosen = paths[: batches * size]
    steps = network.card.preprocessing
    inputs = [network_input(cnnviz.open_photo(path), steps) for path in chosen[:size]]
    batch = tf.constant(np.concatenate(inputs))
    forward = tf.function(lambda photos: network.model(photos, training=False))

    def bare() -> None:
        for _ in range(batches):
            forward(batch).numpy()

    def ours() -> None:
        failed = [result.path for result in explain_many(network, chosen) if result.error]
        assert not failed, f"These photos cannot be explained: {failed}"

    return compare(partial(seconds, bare), partial(seconds, ours), len(chosen), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=300, help="that are explained")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    if load_converted(MODEL) is None:
        convert_file(MODEL)
    network = cnnviz.load_model(MODEL)
    listing = list_photos(arguments.folder).classes
    # Of every class as many.
    each = arguments.photos // len(listing)
    paths = [arguments.folder / name for names in listing.values() for name in names[:each]]
    print(
        f"{MODEL.stem}, {len(paths)} photos explained in batches of "
        f"{passes.facts(network).batch_size}, {sum(map(len, listing.values()))} prepared and "
        f"trained on, {arguments.rounds} rounds; {os.cpu_count()} CPUs, Python "
        f"{platform.python_version()}, TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )
    rounds, few = arguments.rounds, min(arguments.rounds, 3)
    comparisons: list[Callable[[], Comparison]] = [
        lambda: prepare(arguments.folder, rounds, 0),
        lambda: prepare(arguments.folder, rounds, 224),
        lambda: train(arguments.folder, few, changing=False),
        lambda: train(arguments.folder, few, changing=True),
        lambda: explain(network, paths, rounds),
    ]
    print_table(
        ("what", "bare, photos/s", "cnnviz, photos/s", "ratio", "goal"),
        (
            (name, f"{one.bare:.1f}", f"{one.ours:.1f}", f"{one.ratio:.2f}", verdict(goal, one))
            for (name, goal), run in zip(GOALS.items(), comparisons, strict=True)
            for one in [run()]
        ),
    )


def verdict(goal: float | None, comparison: Comparison) -> str:
    """A goal, and whether a comparison reaches it."""
    if goal is None:
        return ""
    return f"{goal}: {'yes' if comparison.ratio >= goal else 'no'}"


if __name__ == "__main__":
    main()
