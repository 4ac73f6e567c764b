"""How far the maps of cnnviz and of other tools differ.

    python -m benchmarks.agreement --torch-python PATH --photos FOLDER > docs/tables/agreement.md

The same weights in Keras and in PyTorch, on 20 photos: see README.md for the environments.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import cnnviz
from benchmarks import keras_tools
from benchmarks.cases import MODEL, before_activation
from benchmarks.measuring import print_table
from cnnviz.arrays import normalise, rectify, resize
from cnnviz.attribution import rise, series_runs
from cnnviz.attribution.methods import METHODS
from cnnviz.attribution.occlusion import cell_means
from cnnviz.cards import ModelCard
from cnnviz.networks.network import Network
from cnnviz.photos.preprocessing import network_input
from cnnviz.settings import PACKAGE, ROOT
from scripts.convert_efficientnet_lite0 import layer_sources

# Compared at the layer's own resolution; from here on two maps are the same.
SAME = 0.999
PHOTOS = 20
SIDE = 56
EFFICIENTNET = "EfficientNet-Lite0"
TORCH_TOOLS = ("torchcam", "pytorch-grad-cam")
# More channels than a layer has: Score-CAM of all of them, as the other tools take them.
ALL_CHANNELS = 10_000

INTRODUCTION = """\
# Agreement with other tools: the table

`python -m benchmarks.agreement --torch-python PATH --photos FOLDER > docs/tables/agreement.md`
writes this file.

The same weights in Keras and in PyTorch: EfficientNet-Lite0 from its package, and two small
networks with random weights, copied weight for weight. cnnviz, xplique and tf-keras-vis explain the
Keras file, torchcam and pytorch-grad-cam the copy. {photos} photos, the predicted class of each,
and the map at the layer's own resolution, before a tool rectifies or resizes it; where a tool gives
the positive part alone, that of cnnviz's map is compared. r is Pearson's, the smallest over the
photos and the median; the largest difference is in shares of the largest value. A map is the same
from r = {same} on; maps that are the same everywhere have no r, and are not counted.

The layer is the last one with maps, or the ReLU6 of the first block of EfficientNet-Lite0, which
gives 32 maps of 112 × 112 cells ("early"): there gradients differ from place to place, and a run
for each channel does not take hours. scikit-learn has no method for networks: its truncated
singular value decomposition of the maps is what Eigen-CAM is.
"""


def difference(ours: Any, theirs: Any) -> tuple[float, float]:
    """Pearson's r of two arrays, and their largest difference ÷ the largest value of theirs.

    NaN where one of them is the same everywhere.
    """
    ours, theirs = np.asarray(ours, np.float64).ravel(), np.asarray(theirs, np.float64).ravel()
    if not (np.ptp(ours) and np.ptp(theirs)):
        return np.nan, np.nan
    r = np.corrcoef(ours, theirs)[0, 1]
    return float(r), float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@dataclass(frozen=True)
class Pair:
    """A map of another tool, and the one of cnnviz that is compared with it.

    Attributes:
        tool: the tool.
        kind: its class.
        method: cnnviz's method.
        where: which layer is explained: the ``last`` one with maps, or the ``early`` one.
        rectified: whether the tool gives the positive part alone.
        runs: how many runs cnnviz takes; None for its usual number.
        difference: why the maps are not the same, where the tool defines the method otherwise.
    """

    tool: str
    kind: str
    method: str
    where: str = "last"
    rectified: bool = False
    runs: int | None = None
    difference: str = ""


# The reasons why a tool's map is another one.
UNDIVIDED = (
    "Its division by 2 G² + G³ ΣA acts on a copy and has no effect: its weights are Σ [G]₊³."
)
CONSTANT = "It adds 0.000001 to 2 G² + G³ ΣA, which small gradients do not outweigh."
MEAN = "It has the mean of the maps where the paper has their sum."
NORMALISED = "It divides α by its sum over the map first, and keeps the factor exp(S)."
CENTRED = "It subtracts each channel's mean first, and leaves the sign open."
SOFTMAX = (
    "Its weights are a softmax over the channels, of scores through other masks; the scores are "
    "the same: see the next row."
)
PROBABILITIES = "Its weights are probabilities, none of them negative."
DIVIDED = "It divides by S(x): the same but for that factor."
QUOTIENT = (
    "It divides by the sum of the masks at each place, and adds the mean score: see the next row."
)
EVEN = "Its steps are even: the more of them there are, the less differs."
OWN_MASKS = "With masks of its own: what chance alone does."


def torchcam_pairs(where: str) -> Iterator[Pair]:
    if where == "last":
        yield Pair("torchcam", "CAM", "cam")
    for kind, method, difference in (
        ("GradCAM", "grad-cam", ""),
        ("GradCAMpp", "grad-cam++", UNDIVIDED),
        ("XGradCAM", "xgrad-cam", ""),
        ("LayerCAM", "layer-cam", ""),
        ("FinerCAM", "finer-cam", ""),
    ):
        yield Pair("torchcam", kind, method, where, rectified=True, difference=difference)


def grad_cam_pairs(where: str) -> Iterator[Pair]:
    for kind, method, difference in (
        ("GradCAM", "grad-cam", ""),
        ("GradCAMPlusPlus", "grad-cam++", CONSTANT),
        ("HiResCAM", "hires-cam", ""),
        ("XGradCAM", "xgrad-cam", ""),
        ("LayerCAM", "layer-cam", ""),
        ("FinerCAM", "finer-cam", ""),
        ("EigenCAM", "eigen-cam", CENTRED),
    ):
        yield Pair("pytorch-grad-cam", kind, method, where, difference=difference)


def keras_pairs(where: str) -> Iterator[Pair]:
    """Those of tools that run the Keras file itself; both give the positive part alone."""
    for tool, kind, method, difference in (
        ("xplique", "GradCAM", "grad-cam", ""),
        ("xplique", "GradCAMPP", "grad-cam++", MEAN),
        ("tf-keras-vis", "Gradcam", "grad-cam", ""),
        ("tf-keras-vis", "GradcamPlusPlus", "grad-cam++", NORMALISED),
        ("tf-keras-vis", "Layercam", "layer-cam", ""),
    ):
        yield Pair(tool, kind, method, where, rectified=True, difference=difference)
    yield Pair("scikit-learn", "TruncatedSVD", "eigen-cam", where)


def channel_pairs(where: str) -> Iterator[Pair]:
    """Those that run once for each channel, of a layer that has few."""
    every: dict[str, Any] = {"where": where, "runs": ALL_CHANNELS}
    yield Pair("torchcam", "ScoreCAM", "score-cam", rectified=True, difference=SOFTMAX, **every)
    yield Pair("pytorch-grad-cam", "ScoreCAM", "score-cam", difference=SOFTMAX, **every)
    yield Pair(
        "tf-keras-vis", "Scorecam", "score-cam", rectified=True, difference=PROBABILITIES, **every
    )
    yield Pair("pytorch-grad-cam", "AblationCAM", "ablation-cam", difference=DIVIDED, **every)


def photo_pairs() -> Iterator[Pair]:
    """Those that ask the network about changed photos."""
    masks = keras_tools.MASKS
    yield Pair("xplique", "Occlusion", "occlusion")
    yield Pair("xplique", "Rise", "rise", runs=masks, difference=QUOTIENT)
    yield Pair("xplique", "Rise, its own masks", "rise", runs=masks, difference=OWN_MASKS)
    yield Pair("xplique", "SmoothGrad", "smoothgrad")
    yield Pair("xplique", "IntegratedGradients", "integrated-gradients", difference=EVEN)


def pairs_of(name: str, network: Network) -> list[Pair]:
    """What is compared on a network: of cnnviz's methods, those that fit it."""
    layers, few = (("last", "early"), "early") if name == EFFICIENTNET else (("last",), "last")
    found = [
        pair
        for where in layers
        for pair in (*torchcam_pairs(where), *grad_cam_pairs(where), *keras_pairs(where))
    ]
    found += [*channel_pairs(few), *photo_pairs()]
    fitting = cnnviz.methods(network)
    return [one for one in found if one.method in fitting]


def small_network(*, flattened: bool) -> Any:
    """Two convolutions, and averaged or flattened maps; random weights, the same each time."""
    import keras
    from keras import Input, Model, layers

    keras.utils.set_random_seed(3)
    image = x = Input((SIDE, SIDE, 3))
    # Random biases, too: with zeros an error in them would not be seen.
    options: dict[str, Any] = {"padding": "same", "bias_initializer": "random_normal"}
    x = layers.Conv2D(8, 3, activation="relu", **options)(x)
    x = layers.MaxPooling2D(4)(x)
    x = layers.Conv2D(12, 3, activation="relu", name="last", **options)(x)
    x = layers.Flatten()(x) if flattened else layers.GlobalAveragePooling2D()(x)
    scores = layers.Dense(5, activation="softmax", bias_initializer="random_normal")(x)
    card = {
        "title": "small",
        "description": "Random weights.",
        "labels": list("abcde"),
        "preprocessing": {"height": SIDE, "width": SIDE, "scaling": "unit"},
        "training": {"data": "none", "split": "none"},
        "licence": "MIT",
        "source": "a benchmark",
    }
    return cnnviz.network(Model(image, scores), ModelCard.model_validate(card))


def networks() -> Iterator[tuple[str, Network, dict[str, str], dict[str, str]]]:
    """Name, network, and the Keras layer and PyTorch module for each ``where``."""
    modules = dict(layer_sources())
    efficientnet = cnnviz.load_model(MODEL)
    layers = {"last": str(cnnviz.outline(efficientnet).last_spatial), "early": "block1a_dw_act"}
    # A module has the batch normalisation and its ReLU6.
    hooked = {where: modules[before_activation(layer)] for where, layer in layers.items()}
    yield EFFICIENTNET, efficientnet, layers, hooked
    for name, flattened in (("small, averaged", False), ("small, flattened", True)):
        yield name, small_network(flattened=flattened), {"last": "last"}, {"last": "relu2"}


def ask_torch(
    python: str, network: Network, question: dict[str, Any], maps: list[Any], folder: Path
) -> None:
    """Has `benchmarks.torch_maps` write maps, a list of [tool, class, module, file]."""
    question = {**question, "maps": json.dumps(maps)}
    if network.path is not None:
        question["network"] = "efficientnet-lite0"
    else:
        weights = enumerate(network.model.get_weights())
        question |= {"network": "small", **{f"weight_{number}": one for number, one in weights}}
    with tempfile.TemporaryDirectory() as own:
        file = str(Path(own) / "question.npz")
        np.savez(file, **question)
        command = [python, "-m", "benchmarks.torch_maps", file, str(folder)]
        subprocess.run(command, cwd=ROOT, check=True)


def ask_keras(network: Network, question: dict[str, Any], maps: list[Any], folder: Path) -> None:
    """Has `benchmarks.keras_tools` make the same, with layers in place of modules."""
    with tempfile.TemporaryDirectory() as own:
        path = network.path or Path(own) / "small.keras"
        if network.path is None:
            network.model.save(path)
        models = [keras_tools.load(path)]
        inputs, targets = question["inputs"], question["targets"]
        for tool, kind, layer, file in maps:
            if (folder / file).exists():
                continue
            # Each has a model of its own, so that no change of one shows in another; all are
            # kept, since xplique tells models apart by where they are in memory.
            models.append(keras_tools.load(path))
            run = keras_tools.run_of(tool, kind, models[-1], layer)
            pairs = zip(inputs, targets, strict=True)
            np.savez(folder / file, maps=np.stack([run(photo[None], one) for photo, one in pairs]))
            print(file, file=sys.stderr, flush=True)
        scores = models[0].predict(inputs, verbose=0)
    versions = {name: importlib.metadata.version(name) for name in keras_tools.PACKAGES}
    np.savez(folder / "keras.npz", scores=scores, versions=json.dumps(versions))


def photos_in(folder: Path | None) -> list[Any]:
    """The samples that are photos, and as many of a folder as make 20."""
    samples = [path for path in sorted((PACKAGE / "samples").iterdir()) if is_photo(path)]
    more = [path for path in sorted(folder.rglob("*")) if is_photo(path)] if folder else []
    # Spread over the folder, which may have a subfolder for each class.
    missing = PHOTOS - len(samples)
    more = [more[round(at)] for at in np.linspace(0, len(more) - 1, missing)] if more else []
    return [cnnviz.open_photo(path) for path in [*samples, *more]]


def is_photo(path: Path) -> bool:
    return path.suffix in {".png", ".jpg", ".jpeg", ".webp"} and not path.stem.startswith("digit")


def compare(
    name: str,
    network: Network,
    layers: dict[str, str],
    modules: dict[str, str],
    photos: list[Any],
    torch_python: str | None,
    folder: Path,
) -> Iterator[tuple[str, ...]]:
    """Rows of the table for one network. What is in the folder is not computed again."""
    steps = network.card.preprocessing
    inputs = np.concatenate([network_input(photo, steps) for photo in photos])
    answers = [cnnviz.predict(network, photo) for photo in photos]
    targets = [answer.index for answer in answers]
    question = {"inputs": inputs, "targets": targets}
    every = pairs_of(name, network)
    files = {pair: f"{number:02}-{pair.tool}-{pair.kind}.npz" for number, pair in enumerate(every)}
    for framework in ("torch", "keras"):
        torch = framework == "torch"
        pairs = [pair for pair in every if (pair.tool in TORCH_TOOLS) == torch]
        places = modules if torch else layers
        maps = [(pair.tool, pair.kind, places[pair.where], files[pair]) for pair in pairs]
        if not torch:
            ask_keras(network, question, maps, folder)
        elif torch_python is not None:
            ask_torch(torch_python, network, question, maps, folder)
        else:
            continue
        theirs = np.load(folder / f"{framework}.npz")
        print(f"{name}: {theirs['versions']}", file=sys.stderr, flush=True)
        logits = [answer.logits for answer in answers]
        title = "PyTorch" if torch else "Keras"
        yield name, "logits", title, *summed_up(logits, theirs["scores"]), ""
        for pair in pairs:
            theirs = np.load(folder / files[pair])
            ours = our_maps(network, photos, targets, pair, layers, folder)
            maps_of_both = [rectify(one) if pair.rectified else one for one in ours]
            early = ", early" if pair.where == "early" else ""
            what, tool = f"{pair.method}{early}", f"{pair.tool}, `{pair.kind}`"
            yield name, what, tool, *summed_up(maps_of_both, theirs["maps"]), pair.difference
            if "weights" in theirs:
                logarithms = np.log(theirs["weights"].astype(np.float64))
                found = [
                    same_scores(network, *one, layers[pair.where], pair.tool, ZERO.get(name, 0.0))
                    for one in zip(inputs, targets, logarithms, strict=True)
                ]
                same = summed_up(*zip(*found, strict=True))
                yield name, f"{what}: scores through the tool's masks", tool, *same, ""
            if pair.difference == QUOTIENT:
                divided = [one / sum_of_masks(inputs.shape[1], len(one)) for one in ours]
                same = summed_up(centred(divided), centred(theirs["maps"]))
                yield name, f"{what}: divided by the sum of the masks", tool, *same, ""


def our_maps(
    network: Network,
    photos: list[Any],
    targets: list[int],
    pair: Pair,
    layers: dict[str, str],
    folder: Path,
) -> Any:
    """The maps of cnnviz that belong to another tool's."""
    file = folder / f"cnnviz-{pair.method}-{pair.where}.npz"
    if not file.exists():
        layer = layers[pair.where] if METHODS[pair.method].needs == "layer" else None
        made = [
            cnnviz.class_activation_map(
                network, photo, target, method=pair.method, layer=layer, runs=pair.runs
            ).values
            for photo, target in zip(photos, targets, strict=True)
        ]
        np.savez(file, maps=made)
    return np.load(file)["maps"]


def same_scores(
    network: Network,
    inputs: Any,
    target: int,
    logarithms: Any,
    layer: str,
    tool: str,
    zero: float,
) -> tuple[Any, Any]:
    """The scores of cnnviz for a photo seen through masks that a tool makes of maps, and its own.

    Both less their mean, since a softmax leaves them but for a constant. Channels that are the same
    everywhere mask nothing, and are left out.

    Args:
        network: the network.
        inputs: (h, w, C) its input for the photo.
        target: the class.
        logarithms: (K,) of the tool's weights.
        layer: path of the layer.
        tool: the tool.
        zero: the value of the network's input where a mask is 0.
    """
    about = series_runs.subject(network, inputs[None], [target], METHODS["score-cam"], layer)
    chosen = np.ptp(about.maps, axis=(0, 1)) > 0
    masks = [
        MASKS[tool](one, *inputs.shape[:2]) for one in np.moveaxis(about.maps[..., chosen], -1, 0)
    ]
    scores = about.scores(zero + np.stack(masks)[..., None] * (inputs - zero))[:, 0]
    theirs = logarithms[chosen]
    return scores - scores.mean(), theirs - theirs.mean()


def sum_of_masks(pixels: int, cells: int) -> Any:
    """(cells, cells): the sum of the masks of RISE, in shares of what it is on average."""
    masks = [rise.mask(number, pixels, pixels) for number in range(keras_tools.MASKS)]
    mean = np.mean([rows @ grid @ columns.T for rows, grid, columns in masks], axis=0)
    return cell_means(mean, cells, cells) / rise.KEPT


def centred(maps: Any) -> list[Any]:
    """Maps less their means."""
    return [one - one.mean() for one in maps]


def from_corner_to_corner(values: Any, height: int, width: int) -> Any:
    """A map interpolated so that its outermost cells are the outermost pixels: (height, width)."""
    for length in (height, width):
        # One axis after the other: the second time what were columns are rows.
        places = np.linspace(0, len(values) - 1, length)
        cells = np.arange(len(values))
        values = np.stack([np.interp(places, cells, column) for column in values.T])
    return values


# How the tools make a mask (h, w) of a map.
MASKS: dict[str, Callable[[Any, int, int], Any]] = {
    "torchcam": lambda values, *size: resize(normalise(values), *size),
    "pytorch-grad-cam": lambda values, *size: normalise(from_corner_to_corner(values, *size)),
}
# The value of a pixel that is 0 after the network's own scaling, where that is not black.
ZERO = {EFFICIENTNET: 127.0}


def summed_up(ours: Any, theirs: Any) -> tuple[str, str, str, str]:
    """Over all photos: the smallest r, the median, the largest difference, and how many agree."""
    found = [difference(own, one) for own, one in zip(ours, theirs, strict=True)]
    told = [(r, gap) for r, gap in found if not np.isnan(r)]
    every, largest = [r for r, _ in told], max(gap for _, gap in told)
    same = sum(r >= SAME for r in every)
    return (
        f"{min(every):.6f}",
        f"{np.median(every):.6f}",
        f"{largest:.1e}",
        f"{same} of {len(told)}",
    )


TITLES = (
    *("network", "what", "other tool", "smallest r", "median r", "largest difference", "same"),
    "why not",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--torch-python", metavar="PATH", help="with requirements-torch.txt")
    parser.add_argument("--photos", metavar="FOLDER", type=Path, help="more photos than samples")
    parser.add_argument("--only", metavar="NAME", default="", help="networks of this name alone")
    parser.add_argument(
        "--keep",
        metavar="FOLDER",
        type=Path,
        help="for all maps, so that a run that was stopped goes on; another one for other photos",
    )
    options = parser.parse_args()
    photos = photos_in(options.photos)
    print(INTRODUCTION.format(photos=len(photos), same=SAME))
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for one in networks():
            if options.only in one[0]:
                folder = (options.keep or Path(temporary)) / one[0].replace(", ", "-")
                folder.mkdir(parents=True, exist_ok=True)
                rows += compare(*one, photos, options.torch_python, folder)
    print_table(TITLES, rows)


if __name__ == "__main__":
    main()
