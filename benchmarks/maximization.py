"""Pictures that excite channels and classes: whether they last and transfer, and their time.

    python -m benchmarks.maximization [SECTION ...] [--seed NUMBER] > docs/tables/maximization.md

It trains three networks of digits, which takes some minutes, and writes the pictures of
``docs/features.md`` into ``docs/images``. Steps are compared with those of tf-keras-vis where that
is installed (``benchmarks/requirements.txt``).
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import cnnviz
from benchmarks.measuring import print_table
from cnnviz.features import maximization
from cnnviz.features.found import lasts
from cnnviz.features.objectives import OF_CLASSES, AscentQuestion, Objective
from cnnviz.settings import PACKAGE, ROOT

INTRODUCTION = """\
# Pictures that excite channels and classes: the tables

`python -m benchmarks.maximization > docs/tables/maximization.md` writes this file, and the
pictures in [features.md](../features.md).
"""

MODELS, IMAGES = ROOT / "models", ROOT / "docs" / "images"
# Of the networks that are trained; their accuracy is in the table.
SEEDS, EPOCHS = (1, 2, 3), 4
CLASSES = (
    *("pineapple", "strawberry", "espresso", "school bus", "daisy", "monarch butterfly"),
    *("German Shepherd Dog", "flamingo", "zebra", "jellyfish", "pizza", "tabby cat"),
    *("goldfish", "parachute", "castle", "rooster"),
)
# Of EfficientNet-Lite0: 14 × 14 cells at 224², 8 × 8 at 128².
LAYER, GRID = "block4a_project_bn", 32
# Steps that are timed, how often.
STEPS, ROUNDS = 5, 3
ENLARGED = 3


def main() -> None:
    """Prints the tables, and writes the pictures."""
    sections = {"digits": digits, "classes": classes, "grid": grid, "speed": speed}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"some of {', '.join(sections)}; else all")
    parser.add_argument("--seed", type=int, default=0, help="of all pictures")
    chosen = parser.parse_args()
    print(INTRODUCTION)
    for name in chosen.sections or sections:
        sections[name](chosen.seed)


def imagenet() -> cnnviz.Network:
    """The network of 1,000 classes."""
    return cnnviz.load_model(MODELS / "imagenet_efficientnet_lite0.keras", trusted=True)


# --- Digits -------------------------------------------------------------------------------------


def digits(seed: int) -> None:
    """Whether a digit's picture is that digit for networks that it was not made for."""
    print("## Digits")
    network = cnnviz.load_model(MODELS / "mnist_cnn.keras", trusted=True)
    objectives = [Objective(None, index) for index in range(10)]
    found = cnnviz.maximise(network, objectives, seed=seed)
    pictures = np.stack(found.pictures)
    (way,) = cnnviz.usual_ascents(network, objectives[0], seed)
    alone = [maximization.control(network, [one], way).pictures[0] for one in objectives]
    print(
        "\nPictures of the ten classes of `mnist_cnn`, made of principal components of digits, and "
        "what that network and three others say of them, `lesson-mnist` trained on the 4,000 of "
        "the shipped digits that are for training, each from another seed. For comparison the "
        "random pictures from which the searches started: the same prior, and no network. A "
        "picture counts if its class has the highest probability, on average over eight other "
        "crops after JPEG compression."
    )
    rows = []
    for name, judge in {"mnist_cnn": network, **trained()}.items():
        row = [name]
        for some in (pictures, np.stack(alone)):
            check = maximization.check_pictures(judge, objectives, some, seed)
            right = sum(said == str(index) for index, said in enumerate(check.labels))
            row += [f"{right} of 10", percent(float(check.values.mean(axis=1).min()))]
        rows.append(row)
    titles = ("network", "pictures", "lowest mean", "control", "lowest mean")
    print_table(titles, rows)
    both = mosaic([*found.pictures, *alone], 10, gap=1)
    save(np.repeat(np.repeat(both, ENLARGED, axis=0), ENLARGED, axis=1), "maximised_digits")


def trained() -> dict[str, cnnviz.Network]:
    """Three networks of other seeds, trained on the shipped digits, by name."""
    networks = {}
    with tempfile.TemporaryDirectory() as folder:
        source = PACKAGE / "samples" / "digits.npz"
        prepared = cnnviz.prepare_pixels(source, Path(folder) / "digits")
        for seed in SEEDS:
            path = Path(folder) / f"{seed}.keras"
            card = cnnviz.train(prepared, path, "lesson-mnist", epochs=EPOCHS, seed=seed)
            (accuracy, *_) = card.training.accuracy
            name = f"lesson-mnist, seed {seed} ({accuracy.value:.1%} on {accuracy.on})"
            networks[name] = cnnviz.load_model(path, trusted=True)
            # It is read from the file only when it is used.
            _ = networks[name].model
    return networks


# --- Classes ------------------------------------------------------------------------------------


def classes(seed: int) -> None:
    """What a network says of its classes' pictures after other crops and JPEG compression."""
    cat_dog = cnnviz.load_model(MODELS / "cat_dog.keras", trusted=True)
    print("\n## Classes")
    print(
        "\nWhat the network says of the picture of a class in eight other crops of it, after JPEG "
        "compression (quality 75). Where the lowest probability of the first way is below 99 %, a "
        "second one is tried, with less weight on the total variation."
    )
    rows, good = [], 0
    pictures: list[NDArray[np.uint8]] = []
    for network, names in ((cat_dog, cat_dog.card.labels), (imagenet(), CLASSES)):
        objectives = [Objective(None, network.card.labels.index(name)) for name in names]
        found = cnnviz.maximise(network, objectives, seed=seed)
        pictures += found.pictures
        for at, name in enumerate(names):
            values = found.check.values[at]
            good += names is CLASSES and lasts(values)
            way = "first" if found.ascents[at].variation == OF_CLASSES.variation else "second"
            lowest, middle = percent(float(values.min())), percent(float(np.median(values)))
            rows.append([name, found.check.labels[at], lowest, middle, way])
    print_table(("class", "network says", "lowest", "middle", "way"), rows)
    print(f"\nOf the {len(CLASSES)} classes of ImageNet, {good} keep more than 99 % in every crop.")
    save(mosaic(pictures, 6, gap=4), "maximised_classes")


# --- Time ---------------------------------------------------------------------------------------


def grid(seed: int) -> None:
    """The time of a grid of channels."""
    network = imagenet()
    print("\n## Grid")
    objectives = [Objective(LAYER, channel) for channel in range(GRID)]
    wall, used = time.perf_counter(), time.process_time()
    found = cnnviz.maximise(network, objectives, seed=seed)
    wall, used = time.perf_counter() - wall, time.process_time() - used
    side, steps = found.ascents[0].side, found.ascents[0].steps
    print(
        f"\n{GRID} channels of `{LAYER}` of EfficientNet-Lite0 at {side} × {side} pixels, {steps} "
        f"steps each, compilation and check included: {wall:.0f} s, {used:.0f} s of processor time "
        f"on {os.cpu_count()} cores, with a load of {os.getloadavg()[0]:.0f} from all programs."
    )
    save(mosaic(found.pictures, 8, gap=4), "maximised_channels")


def speed(seed: int) -> None:
    """Steps of cnnviz beside those of tf-keras-vis, on the same layer and size."""
    print("\n## Steps")
    if importlib.util.find_spec("tf_keras_vis") is None:
        print("\ntf-keras-vis is not installed, so no steps are compared.")
        return
    print(
        f"\nOne step, in ms, the median of {ROUNDS} times {STEPS} steps: processor time, and time "
        f"on the clock with a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores. Other "
        "programs change the second more. Both tools move the picture at random in each step and "
        "weigh its total variation; tf-keras-vis with its defaults."
    )
    network, rows = imagenet(), []
    for layer, side in ((LAYER, 128), ("block3a_project_bn", 128), (LAYER, 224), (None, 224)):
        for count in (1, 8):
            ours, theirs = _ours(network, layer, side, count, seed), _theirs(layer, side, count)
            pairs = [(_per_step(ours), _per_step(theirs)) for _ in range(ROUNDS)]
            mine, other = np.median(np.array(pairs), axis=0)
            row = [f"{layer or 'logits'}, {side}²", str(count)]
            for kind in (0, 1):
                times = 1000 * mine[kind], 1000 * other[kind]
                row += [f"{times[0]:.0f}", f"{times[1]:.0f}", f"{times[1] / times[0]:.1f}"]
            rows.append(row)
    clock = ("cnnviz, clock", "tf-keras-vis, clock", "ratio")
    print_table(("layer", "pictures", "cnnviz", "tf-keras-vis", "ratio", *clock), rows)


def _per_step(run: Callable[[], object]) -> tuple[float, float]:
    """The seconds of a step: of the processor, and on the clock."""
    used, wall = time.process_time(), time.perf_counter()
    run()
    return (time.process_time() - used) / STEPS, (time.perf_counter() - wall) / STEPS


def _ours(
    network: cnnviz.Network, layer: str | None, side: int, count: int, seed: int
) -> Callable[[], object]:
    objectives = tuple(Objective(layer, index) for index in range(count))
    way = cnnviz.usual_ascents(network, objectives[0], seed)[0]
    question = AscentQuestion(objectives, dataclasses.replace(way, side=side, steps=1000))
    state = maximization.ascend(network, question, None, 1)
    return lambda: maximization.ascend(network, question, state, STEPS)


def _theirs(layer: str | None, side: int, count: int) -> Callable[[], object]:
    import keras
    from tf_keras_vis.activation_maximization import (  # type: ignore[import-not-found]
        ActivationMaximization,
    )
    from tf_keras_vis.utils.model_modifiers import (  # type: ignore[import-not-found]
        ExtractIntermediateLayer,
        ReplaceToLinear,
    )
    from tf_keras_vis.utils.scores import CategoricalScore  # type: ignore[import-not-found]

    saved = keras.saving.load_model(MODELS / "imagenet_efficientnet_lite0.keras", compile=False)
    model = keras.models.clone_model(saved, input_tensors=keras.Input((side, side, 3)))
    model.set_weights(saved.get_weights())
    modifier: Any = ReplaceToLinear() if layer is None else ExtractIntermediateLayer(layer)
    tool = ActivationMaximization(model, model_modifier=modifier, clone=True)
    random = np.random.default_rng(0)
    start = random.uniform(100, 150, (count, side, side, 3)).astype(np.float32)

    def run(steps: int = STEPS) -> object:
        return tool(CategoricalScore(list(range(count))), seed_input=start, steps=steps)

    run(1)
    return run


# --- Pictures -----------------------------------------------------------------------------------


def mosaic(pictures: Sequence[NDArray[np.uint8]], columns: int, gap: int) -> NDArray[np.uint8]:
    """Pictures of one size in rows, on white."""
    side, channels = len(pictures[0]), pictures[0].shape[2]
    rows = -(-len(pictures) // columns)
    size = rows * (side + gap) - gap, columns * (side + gap) - gap, channels
    sheet = np.full(size, 255, np.uint8)
    for at, picture in enumerate(pictures):
        top, left = (side + gap) * (at // columns), (side + gap) * (at % columns)
        sheet[top : top + side, left : left + side] = picture
    return sheet


def save(pixels: NDArray[np.uint8], name: str) -> None:
    """Writes a picture for the documents."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((1000, 1000))
    image.save(IMAGES / f"{name}.webp", quality=60, method=6)


def percent(share: float) -> str:
    """A share with two decimals, never rounded to 0 or 1."""
    if share >= 0.99995:
        return "> 99.99 %"
    return "< 0.01 %" if share < 0.00005 else f"{share:.2%}".replace("%", " %")


if __name__ == "__main__":
    main()
