"""Scores of maps by Quantus and xplique, beside those of cnnviz, where both define the same.

    python -m benchmarks.other_scores

Both tools are in an environment of their own: see README.md. A map's cells are laid over the
pixels as they are, one step replaces one cell, and both get the same replacement.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import quantus  # type: ignore[import-not-found]
from xplique.metrics import (  # type: ignore[import-not-found]
    AverageDropMetric,
    AverageIncreaseMetric,
    Deletion,
    Insertion,
)

import cnnviz
from benchmarks.keras_tools import load
from benchmarks.measuring import print_table
from cnnviz.arrays import Floats, blur, rectify, resize
from cnnviz.attribution import series_runs
from cnnviz.attribution.explanations import explain_inputs
from cnnviz.attribution.faithfulness import MEASURES, TESTS, map_score
from cnnviz.attribution.methods import METHODS
from cnnviz.attribution.perturbations import SEED, SIZES, cell_sets
from cnnviz.errors import CnnvizError
from cnnviz.networks.network import Network
from cnnviz.networks.shuffled_weights import shuffled_copies, weighted_layers
from cnnviz.photos.preprocessing import network_input
from cnnviz.photos.samples import samples
from cnnviz.results import ClassActivationMap, MapScore

_MODEL = "models/cat_dog.keras"
_METHODS = ("cam", "random")
# Cells of each map, and the runs of the curves of three maps with a step for each.
_CELLS = 49
_RUNS = 3 * (_CELLS + 1)
# Sets of cells of each size, and networks with shuffled weights.
_SETS = 25
_NETWORKS = 8
_ON_MASKED = {"average-drop": AverageDropMetric, "increase": AverageIncreaseMetric}
_XPLIQUE = {"deletion": Deletion, "insertion": Insertion}


def rows(photos: int) -> Iterator[list[str]]:
    """What is compared: score, tool, number of maps, and the largest differences."""
    gaps: dict[tuple[str, str], list[float]] = {}
    of_model = [one.path for one in samples() if Path(_MODEL).stem in one.models]
    for photo in of_model[:photos]:
        for method in _METHODS:
            for key, gap in _of_map(photo, method):
                gaps.setdefault(key, []).append(gap)
                print(photo.stem, method, *key, f"{gap:.1e}", file=sys.stderr, flush=True)
    for (score, tool), found in gaps.items():
        yield [score, tool, str(len(found)), f"{max(found):.1e}"]


def _of_map(photo: Path, method: str) -> Iterator[tuple[tuple[str, str], float]]:
    network = cnnviz.load_model(_MODEL)
    pixels = cnnviz.open_photo(photo)
    cam = cnnviz.class_activation_map(network, pixels, method=method)
    inputs = network_input(pixels, network.card.preprocessing)
    target = network.card.labels.index(cam.target)
    about = series_runs.subject(network, inputs, [target])
    side = inputs.shape[1] // cam.values.shape[0]
    over_pixels = np.kron(cam.values, np.ones((side, side)))
    one_hot = np.eye(len(network.card.labels), dtype=np.float32)[[target]]
    fillings = {
        "blur": blur(inputs[0], 0.1 * inputs.shape[1])[None],
        "mean": np.broadcast_to(inputs.mean(axis=(1, 2), keepdims=True), inputs.shape),
    }

    def ours(key: str, runs: int | None = None) -> MapScore:
        test = MEASURES[key].test
        tested = series_runs.tested(about, test, cam.values, cam.method, cam.layer)
        total, _ = series_runs.run(TESTS[test].series, tested, runs)
        return map_score(MEASURES[key], total)

    for kind, metric in _XPLIQUE.items():
        for name, filling in fillings.items():
            score = ours(f"{kind}-{name}", _RUNS)
            theirs = metric(
                network.model,
                inputs,
                one_hot,
                steps=_CELLS,
                baseline_mode=lambda _, filling=filling: np.array(filling),
            )
            gap = abs(score.value - float(theirs(over_pixels[None])))
            yield (f"{kind}-{name}", f"xplique `{metric.__name__}`"), gap
            # It takes three times as many runs: one filling is enough.
            if (kind, name) == ("deletion", "mean"):
                curve = _flipped(network.model, inputs, target, over_pixels, filling)
                gap = float(np.abs(np.asarray(score.curves)[0, 1:] - curve).max())
                yield (f"{kind}-{name}, each step", "Quantus `PixelFlipping`"), gap
    sets = ours("sensitivity-n")
    gap = abs(sets.value - _of_sets(inputs, target, over_pixels, fillings["blur"]))
    yield ("sensitivity-n", "Quantus `FaithfulnessCorrelation`, for each size"), gap
    # A map that asks no network is the same with other weights.
    if METHODS[method].passes != "none":
        gap = abs(ours("weight-randomisation").value - _of_shuffled(network, inputs, cam, side))
        yield ("weight-randomisation", "Quantus `MPRT`, same networks"), gap
    # xplique takes a map's absolute values, and stretches them from the least to the largest: so it
    # gets the positive part, of which the least is 0, as large as the photo.
    mask = resize(rectify(cam.values), *inputs.shape[1:3])
    if mask.min() == 0:
        for key, metric in _ON_MASKED.items():
            # It multiplies the network's input, which is the photo times 1 here.
            theirs = metric(network.model, inputs, one_hot)
            yield (
                (key, f"xplique `{metric.__name__}`"),
                abs(ours(key).value - float(theirs(mask[None]))),
            )


def _replace_by(filling: Floats) -> Callable[..., Floats]:
    """What Quantus calls to replace values of a photo by those of a filling (1, h, w, C)."""
    # Quantus takes channels first.
    replacement = np.moveaxis(np.asarray(filling), -1, 1).ravel()

    def replace(arr: Floats, indices: Floats, **_: object) -> Floats:
        changed = arr.copy()
        changed[0, indices[0]] = replacement[indices[0]]
        return changed

    return replace


def _flipped(
    model: object, inputs: Floats, target: int, over_pixels: Floats, filling: Floats
) -> Floats:
    """The class's probability after each cell is replaced, by Quantus."""
    values = np.repeat(over_pixels[None, None], inputs.shape[-1], axis=1)

    # A value of one channel is a feature of its own: a cell takes as many steps as there are.
    metric = quantus.PixelFlipping(
        features_in_step=over_pixels.size // _CELLS,
        normalise=False,
        perturb_func=_replace_by(filling),
        disable_warnings=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = metric(
            model=model,
            x_batch=inputs,
            y_batch=np.array([target]),
            a_batch=values,
            channel_first=False,
            # Probabilities, which its areas are of.
            softmax=True,
        )
    return np.asarray(found[0])[inputs.shape[-1] - 1 :: inputs.shape[-1]]


def _of_sets(inputs: Floats, target: int, over_pixels: Floats, filling: Floats) -> float:
    """The mean of the correlations for sets of each size, by Quantus, with the same sets."""
    side = round(_CELLS**0.5)
    channels = inputs.shape[-1]
    cells = np.arange(_CELLS).reshape(side, side)
    cell_of = np.kron(cells, np.ones((inputs.shape[1] // side,) * 2)).ravel()
    values = np.repeat(over_pixels[None, None], channels, axis=1)

    logits, found = load(Path(_MODEL)), []
    for size in range(len(SIZES)):
        drawn = (
            cell_sets(number, _CELLS) for number in range(size, _SETS * len(SIZES), len(SIZES))
        )

        def choice(*_: object, drawn: Iterator[Any] = drawn, **__: object) -> Floats:
            (pixels,) = np.nonzero(np.isin(cell_of, next(drawn)))
            return np.concatenate([pixels + one * cell_of.size for one in range(channels)])

        metric = quantus.FaithfulnessCorrelation(
            nr_runs=_SETS, normalise=False, perturb_func=_replace_by(filling), disable_warnings=True
        )
        with patch.object(np.random, "choice", choice), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found += metric(
                model=logits,
                x_batch=inputs,
                y_batch=np.array([target]),
                a_batch=values,
                channel_first=False,
                softmax=False,
            )
    return float(np.mean(found))


def _of_shuffled(network: Network, inputs: Floats, cam: ClassActivationMap, side: int) -> float:
    """The mean likeness of the maps of networks with shuffled weights, by Quantus."""

    def over_pixels(one: ClassActivationMap) -> Floats:
        # It takes maps as large as the photo; equal values do not change a rank correlation here.
        return np.kron(one.values, np.ones((side, side)))[None, None]

    layers = weighted_layers(network)
    counts = [round(1 + number * (layers - 1) / (_NETWORKS - 1)) for number in range(_NETWORKS)]

    def networks(*_: object, **__: object) -> Iterator[tuple[str, Network]]:
        yield from zip(map(str, counts), shuffled_copies(network, counts, SEED), strict=True)

    def explain(model: object, *_: object, **__: object) -> Floats:
        if not isinstance(model, Network):
            return over_pixels(cam)
        (found,) = explain_inputs(model, inputs, [cam.target], method=cam.method)
        if isinstance(found, CnnvizError):
            raise found
        return over_pixels(found.maps[0])

    metric = quantus.MPRT(
        similarity_func=quantus.similarity_func.correlation_spearman,
        abs=False,
        normalise=False,
        disable_warnings=True,
    )
    model = quantus.helpers.model.tf_model.TensorFlowModel
    with patch.object(model, "get_random_layer_generator", networks), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = metric(
            model=network.model,
            x_batch=inputs,
            y_batch=np.array([network.card.labels.index(cam.target)]),
            a_batch=over_pixels(cam),
            explain_func=explain,
            channel_first=False,
            softmax=False,
        )
    return float(np.mean([one for key, (one,) in scores.items() if key != "original"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=int, default=2)
    found = list(rows(parser.parse_args().photos))
    print_table(["score", "tool", "maps", "largest difference"], found)


if __name__ == "__main__":
    main()
