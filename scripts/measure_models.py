"""Measures the shipped networks: the figures of models/README.md and of the cards.

    python -m scripts.measure_models
    python -m scripts.measure_models --photos cats_dogs --digits mnist.npz

Without options it only classifies the samples. ``--photos`` is a folder with ``cat/`` and ``dog/``,
``--digits`` Keras's MNIST. The photos of each split are also counted by themselves: a hash of their
content tells which they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

import cnnviz
from cnnviz.networks.network import Network
from cnnviz.numerals import percent
from cnnviz.photos.preprocessing import network_input
from cnnviz.photos.samples import samples
from cnnviz.settings import ROOT
from cnnviz.training.data.manifest import Row, split_rows
from cnnviz.training.data.sources import list_photos
from cnnviz.training.result_card import calibration_error
from scripts.convert_efficientnet_lite0 import measure

_BATCH = 64


def main(
    photos: Annotated[Path | None, typer.Option(help="A folder with cat/ and dog/.")] = None,
    digits: Annotated[Path | None, typer.Option(help="Keras's mnist.npz.")] = None,
) -> None:
    """Prints a line for each figure."""
    classify_samples("cat_dog")
    if photos is not None:
        for name in ("cat_dog", "cat_dog_lesson"):
            measure_photos(name, photos)
        (figure,) = measure(load("imagenet_efficientnet_lite0").model, photos)
        typer.echo(f"imagenet_efficientnet_lite0: {figure.value:.2%} of {figure.on}")
    if digits is not None:
        measure_digits(digits)


def load(name: str) -> Network:
    """A shipped network."""
    return cnnviz.load_model(ROOT / "models" / f"{name}.keras")


def classify_samples(name: str) -> None:
    """Prints what a network says about each sample in colour."""
    network = load(name)
    for sample in samples():
        if not sample.name.startswith("digit"):
            (best,) = cnnviz.predict(network, cnnviz.open_photo(sample.path)).top(1)
            share = f"{percent(best.probability)}, {best.probability:.2%}"
            typer.echo(f"{name}: {sample.name} is a {best.label} with {share}")


def measure_photos(name: str, folder: Path) -> None:
    """Prints the accuracy on a folder of photos, on all and on those of each split."""
    network = load(name)
    splits, correct, confident = [], [], []
    for label, files in list_photos(folder).classes.items():
        rows = [
            Row(file, hashlib.sha256((folder / file).read_bytes()).hexdigest(), 0, 0)
            for file in files
        ]
        splits.append(np.array([row.split for row in split_rows(rows, 0)]))
        predicted, confidences = classify(
            network, (cnnviz.open_photo(folder / file) for file in files)
        )
        correct.append(predicted == network.card.labels.index(label))
        confident.append(confidences)
    for title in ("all", "training", "validation"):
        masks = [(split == title) | (title == "all") for split in splits]
        chosen = [right[mask] for right, mask in zip(correct, masks, strict=True)]
        counts = ", ".join(f"{right.sum():,} of {len(right):,}" for right in chosen)
        sure = [one[mask] for one, mask in zip(confident, masks, strict=True)]
        right = np.concatenate(chosen)
        error = calibration_error(np.concatenate(sure), right)
        typer.echo(
            f"{name}: {right.mean():.2%} of {title} photos ({counts}); expected calibration error "
            f"{error:.4f}"
        )


def measure_digits(path: Path) -> None:
    """Prints the accuracy on the test digits, on inverted ones, and on the validation digits."""
    network = load("mnist_cnn")
    with np.load(path) as arrays:
        x, y = arrays["x_train"], arrays["y_train"]
        tests, truth = arrays["x_test"], arrays["y_test"]
    rows = [Row(str(n), hashlib.sha256(one.tobytes()).hexdigest(), 0, 0) for n, one in enumerate(x)]
    validation = np.zeros(len(x), bool)
    for number in np.unique(y):
        split = split_rows([rows[n] for n in np.flatnonzero(y == number)], 0)
        validation[[int(row.file) for row in split if row.split == "validation"]] = True
    for title, pictures, classes in (
        ("test digits", tests, truth),
        ("test digits, inverted", 255 - tests, truth),
        ("validation digits", x[validation], y[validation]),
    ):
        colours = (np.repeat(one[..., None], 3, axis=2) for one in pictures)
        predicted, confidences = classify(network, colours)
        right = predicted == classes
        error = calibration_error(confidences, right)
        typer.echo(
            f"mnist_cnn: {right.mean():.2%} of {len(classes):,} {title}; expected calibration "
            f"error {error:.4f}"
        )


def classify(
    network: Network, photos: Iterable[NDArray[np.uint8]]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The class of each photo (N,), and its probability (N,)."""
    probabilities = np.concatenate(list(_probabilities(network, photos)))
    return probabilities.argmax(axis=1), probabilities.max(axis=1)


def _probabilities(network: Network, photos: Iterable[NDArray[np.uint8]]) -> Iterator[Any]:
    photos = iter(photos)
    while batch := list(islice(photos, _BATCH)):
        inputs = [network_input(photo, network.card.preprocessing) for photo in batch]
        yield network.model.predict_on_batch(np.concatenate(inputs))


if __name__ == "__main__":
    typer.run(main)
