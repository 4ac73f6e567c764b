"""How far the answers of cnnviz and of other tools differ.

    python -m benchmarks.agreement --torch-python PATH --photos FOLDER > docs/tables/agreement.md

The same weights in Keras and in PyTorch, on 20 photos: see README.md for the environments.
`explain.py` compares what it times, on one photo.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import cnnviz
from benchmarks.cases import ALL, CAM, EARLY, KEPT, LAST, MODEL, Case, before_activation
from benchmarks.measuring import print_table
from benchmarks.other_tools import SHARED_RELU6, TORCH_BARE, HookedMap
from cnnviz.arrays import rectify
from cnnviz.attribution.methods import MANY_PASSES, METHODS
from cnnviz.cards import ModelCard
from cnnviz.photos.preprocessing import network_input
from cnnviz.settings import PACKAGE, ROOT
from scripts.convert_efficientnet_lite0 import layer_sources

INTRODUCTION = """\
# Agreement with other tools: the table

`python -m benchmarks.agreement --torch-python PATH --keras-python PATH --photos FOLDER >
docs/tables/agreement.md` writes this file.

The same weights in Keras and in PyTorch: EfficientNet-Lite0 from its package, and two small
networks with random weights, copied weight for weight. cnnviz, xplique and tf-keras-vis explain the
Keras file, torchcam and pytorch-grad-cam the copy. {photos} photos, the predicted class of each,
and the map at the layer's own resolution, before a tool rectifies or resizes it; where a tool gives
the positive part alone, that of cnnviz's map is compared. r is Pearson's, the smallest over the
photos; the largest difference is in shares of the largest value. A map is the same from r = {same}
on; maps that are the same everywhere have no r.

On EfficientNet-Lite0 pytorch-grad-cam cannot hook the last maps, since their ReLU6 is one module
that also runs elsewhere; there both tools explain the maps before it.
"""


def difference(ours: Any, theirs: Any) -> tuple[float, float]:
    """Pearson's r of two arrays, and their largest difference ÷ the largest value of theirs."""
    ours, theirs = np.asarray(ours, np.float64).ravel(), np.asarray(theirs, np.float64).ravel()
    r = np.corrcoef(ours, theirs)[0, 1]
    return float(r), float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def agreement(cases: list[Case], maps: list[HookedMap]) -> Iterator[tuple[str, float, float]]:
    """(what is compared: with which tool, r, largest difference) of what both define alike.

    The one exception is torchcam's CAM before ReLU6: cnnviz, as the paper, weighs what the network
    averages, which is after it.
    """
    answers = {(case.tool, case.name): case.run for case in cases}
    probabilities = answers["cnnviz", "predict"]().probabilities
    theirs = answers["Keras", "model.predict"]()[0]
    yield "probabilities: model.predict", *difference(probabilities, theirs)
    cam, last = answers["cnnviz", CAM]().values, answers["cnnviz", LAST]().values
    yield "Grad-CAM × number of cells: CAM", *difference(last * last.size, cam)
    for layer in (LAST, EARLY):
        if ("tf-keras-vis", f"{layer}, {KEPT}") in answers:
            ours = rectify(answers["cnnviz", layer]().values)
            theirs = answers["tf-keras-vis", f"{layer}, {KEPT}"]()[0]
            yield f"{layer}: tf-keras-vis", *difference(ours, theirs)
    if ("keract", ALL) in answers:
        ours, theirs = answers["cnnviz", ALL](), answers["keract", ALL]()
        pairs = [difference(ours[path], theirs[path][0]) for path in ours]
        yield f"{ALL}: keract", min(r for r, _ in pairs), max(gap for _, gap in pairs)
    if maps:
        theirs = answers[TORCH_BARE]()
        yield "probabilities: the PyTorch original", *difference(probabilities, theirs)
    for hooked in maps:
        theirs = answers[hooked.tool, f"{hooked.name}, {KEPT}"]()
        yield f"{hooked.name}: {hooked.tool}", *difference(hooked.ours(), theirs)


# --- On many photos -------------------------------------------------------------------------

# Compared at the layer's own resolution; from here on two maps are the same.
SAME = 0.999
PHOTOS = 20
SIDE = 56


@dataclass(frozen=True)
class Pair:
    """A map of another tool, and the one of cnnviz that is compared with it.

    Attributes:
        tool: the tool.
        kind: its class.
        method: cnnviz's method.
        where: what the tool hooks: the maps that the network averages or flattens (``last``), or
            those before its last ReLU6 (``before``), where it cannot hook the others.
        rectified: whether the tool gives the positive part alone.
        difference: why the maps are not the same, where the tool defines the method otherwise.
    """

    tool: str
    kind: str
    method: str
    where: str = "last"
    rectified: bool = False
    difference: str = ""


def torchcam_pairs() -> Iterator[Pair]:
    undivided = (
        "Its division by 2 G² + G³ ΣA acts on a copy and has no effect: its weights are Σ [G]₊³."
    )
    yield Pair("torchcam", "CAM", "cam")
    for kind, method, difference in (
        ("GradCAM", "grad-cam", ""),
        ("GradCAMpp", "grad-cam++", undivided),
        ("XGradCAM", "xgrad-cam", ""),
        ("LayerCAM", "layer-cam", ""),
        ("FinerCAM", "finer-cam", ""),
        ("ScoreCAM", "score-cam", ""),
    ):
        yield Pair("torchcam", kind, method, rectified=True, difference=difference)


def grad_cam_pairs(where: str) -> Iterator[Pair]:
    centred = "It subtracts each channel's mean first, and the sign is left open."
    constant = "It adds 0.000001 to 2 G² + G³ ΣA, which small gradients do not outweigh."
    for kind, method, difference in (
        ("GradCAM", "grad-cam", ""),
        ("GradCAMPlusPlus", "grad-cam++", constant),
        ("HiResCAM", "hires-cam", ""),
        ("XGradCAM", "xgrad-cam", ""),
        ("LayerCAM", "layer-cam", ""),
        ("FinerCAM", "finer-cam", ""),
        ("EigenCAM", "eigen-cam", centred),
        ("ScoreCAM", "score-cam", ""),
        ("AblationCAM", "ablation-cam", ""),
    ):
        yield Pair("pytorch-grad-cam", kind, method, where, difference=difference)


def keras_pairs() -> Iterator[Pair]:
    """Those of tools that run the Keras file itself; both give the positive part alone."""
    mean = "It has the mean of the maps where the paper has their sum."
    normalised = "It divides α by its sum over the map first, and keeps the factor exp(S)."
    for tool, kind, method, difference in (
        ("xplique", "GradCAM", "grad-cam", ""),
        ("xplique", "GradCAMPP", "grad-cam++", mean),
        ("tf-keras-vis", "Gradcam", "grad-cam", ""),
        ("tf-keras-vis", "GradcamPlusPlus", "grad-cam++", normalised),
        ("tf-keras-vis", "Layercam", "layer-cam", ""),
    ):
        yield Pair(tool, kind, method, rectified=True, difference=difference)


def pairs_of(name: str, method_keys: Collection[str]) -> list[Pair]:
    """What is compared on a network: of the methods that cnnviz has, those that fit it."""
    if name == EFFICIENTNET:
        before = Pair(
            "torchcam",
            "CAM",
            "cam",
            "before",
            difference="Of the maps before ReLU6, which are not what the network averages.",
        )
        # A tool that runs once for each of 1,280 channels takes hours for 20 photos.
        found = [*torchcam_pairs(), before, *grad_cam_pairs("before")]
        found = [one for one in found if one.method not in MANY_PASSES]
    else:
        found = [*torchcam_pairs(), *grad_cam_pairs("last")]
    return [one for one in found if one.method in method_keys]


EFFICIENTNET = "EfficientNet-Lite0"


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


def networks() -> Iterator[tuple[str, Any, dict[str, str], dict[str, str]]]:
    """Name, network, and the Keras layer and PyTorch module for each ``where``."""
    modules = dict(layer_sources())
    efficientnet = cnnviz.load_model(MODEL)
    last = str(cnnviz.outline(efficientnet).last_spatial)
    before = before_activation(last)
    layers = {"last": last, "before": before}
    yield EFFICIENTNET, efficientnet, layers, {"last": SHARED_RELU6, "before": modules[before]}
    for name, flattened in (("small, averaged", False), ("small, flattened", True)):
        yield name, small_network(flattened=flattened), {"last": "last"}, {"last": "relu2"}


def ask(python: str, program: str, question: dict[str, Any]) -> Any:
    """What `benchmarks.torch_maps` or `benchmarks.keras_maps` answers."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("question.npz", "answer.npz")]
        np.savez(files[0], **question)
        subprocess.run([python, "-m", f"benchmarks.{program}", *files], cwd=ROOT, check=True)
        return dict(np.load(files[1]))


def for_torch(network: Any) -> dict[str, Any]:
    """How `benchmarks.torch_maps` gets the weights of a network."""
    if network.path is not None:
        return {"network": "efficientnet-lite0"}
    weights = {f"weight_{number}": one for number, one in enumerate(network.model.get_weights())}
    return {"network": "small", **weights}


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


def compare(name: str, network: Any, layers: Any, modules: Any, photos: Any, pythons: Any) -> Any:
    """Rows of the table for one network."""
    steps = network.card.preprocessing
    inputs = np.concatenate([network_input(photo, steps) for photo in photos])
    answers = [cnnviz.predict(network, photo) for photo in photos]
    targets = [answer.index for answer in answers]
    question = {"inputs": inputs, "targets": targets}
    fitting = cnnviz.methods(network)
    with tempfile.TemporaryDirectory() as folder:
        file = network.path or Path(folder) / "small.keras"
        if network.path is None:
            network.model.save(file)
        for program, title, places, pairs, how in (
            ("torch_maps", "PyTorch", modules, pairs_of(name, fitting), for_torch(network)),
            ("keras_maps", "Keras", layers, keras_pairs(), {"network": str(file)}),
        ):
            if not pythons[program]:
                continue
            pairs = list(pairs)
            asked = [(one.tool, one.kind, places[one.where]) for one in pairs]
            theirs = ask(pythons[program], program, {**question, **how, "maps": json.dumps(asked)})
            print(f"{name}: {theirs['versions']}", file=sys.stderr)
            both = zip(answers, theirs["scores"], strict=True)
            logits = [difference(ours.logits, scores) for ours, scores in both]
            yield name, "logits", title, *summed_up(logits), ""
            for number, pair in enumerate(pairs):
                differences = [
                    difference(of_pair(network, photo, target, pair, layers), one)
                    for photo, target, one in zip(
                        photos, targets, theirs[f"map_{number}"], strict=True
                    )
                ]
                before = " before ReLU6" if pair.where == "before" else ""
                tool = f"{pair.tool}, `{pair.kind}`{before}"
                yield name, pair.method, tool, *summed_up(differences), pair.difference


def of_pair(network: Any, photo: Any, target: int, pair: Pair, layers: Any) -> Any:
    """The map (h, w) of cnnviz that belongs to another tool's."""
    layer = None if METHODS[pair.method].needs == "averaged maps" else layers[pair.where]
    values = cnnviz.class_activation_map(
        network, photo, target, method=pair.method, layer=layer
    ).values
    return rectify(values) if pair.rectified else values


def summed_up(differences: list[tuple[float, float]]) -> tuple[str, str, str]:
    """The smallest r, the largest difference, and how many maps are the same."""
    # A map that is zero everywhere in both tools has no r, and no difference either.
    told = [(r, gap) for r, gap in differences if not np.isnan(r)]
    lowest, largest = min(r for r, _ in told), max(gap for _, gap in told)
    same = sum(r >= SAME for r, _ in told)
    return f"{lowest:.6f}", f"{largest:.1e}", f"{same} of {len(told)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--torch-python", metavar="PATH", help="with requirements-torch.txt")
    parser.add_argument("--keras-python", metavar="PATH", help="with xplique and tf-keras-vis")
    parser.add_argument("--photos", metavar="FOLDER", type=Path, help="more photos than samples")
    parser.add_argument("--only", metavar="NAME", default="", help="networks of this name alone")
    options = parser.parse_args()
    photos = photos_in(options.photos)
    print(INTRODUCTION.format(photos=len(photos), same=SAME))
    pythons = {"torch_maps": options.torch_python, "keras_maps": options.keras_python}
    rows: list[tuple[str, ...]] = []
    for one in networks():
        if options.only in one[0]:
            rows += compare(*one, photos, pythons)
    print_table(
        ("network", "what", "other tool", "smallest r", "largest difference", "same", "why not"),
        rows,
    )


if __name__ == "__main__":
    main()
