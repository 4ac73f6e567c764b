"""How much an explanation costs: each as a ratio to the bare compiled forward pass of its model.

    python -m benchmarks.explain

In each round every case runs once, in another order, and each time right after a run of the
bare pass: a ratio is the median over such pairs, so that a machine that gets slower or busier
affects both. The tools that a person might use instead run on the same model and photo
where they are installed: see README.md.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import importlib.util
import os
import platform
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import cnnviz
from benchmarks.measuring import print_table, seconds
from cnnviz.arrays import rectify
from cnnviz.networks import passes
from cnnviz.networks.loading import with_card
from cnnviz.photos.preprocessing import network_input, network_view
from cnnviz.settings import PACKAGE
from cnnviz.training.architectures import BACKBONE

MODEL = BACKBONE
PHOTO = PACKAGE / "samples" / "chelsea.png"
BARE = "bare compiled forward pass"
LAST, MIDDLE, EARLY = "Grad-CAM, last maps", "Grad-CAM, 14×14 maps", "Grad-CAM, 56×56 maps"
CAM, ALL, PASS = "CAM", "activations of all convolutions", "compiled pass, not copied"
KEPT = "object kept"
# Rounds that trace and fill caches, and are not counted.
WARM_UP = 2


@dataclass(frozen=True)
class Case:
    """One thing to time: the tool, what it computes, and the call."""

    tool: str
    name: str
    run: Callable[[], Any]


@dataclass(frozen=True)
class Timing:
    """Median seconds of a case, and the median of its ratios to the bare pass before it."""

    seconds: float
    ratio: float


@dataclass(frozen=True)
class Setting:
    """What all cases work on.

    Attributes:
        network: the network.
        ready: the same network, for a photo that has already been cropped and resized.
        photo: (H, W, 3) uint8.
        view: the part of it that the network sees, (h, w, 3) uint8.
        inputs: (1, h, w, 3) float32.
        target: index of the predicted class.
        convolutions: paths of all convolutions.
        last: path of the last layer with maps.
        middle: the last one with maps of 14×14.
        early: the last one with maps of 56×56.
    """

    network: Any
    ready: Any
    photo: Any
    view: Any
    inputs: Any
    target: int
    convolutions: list[str]
    last: str
    middle: str
    early: str


def prepare() -> Setting:
    network = cnnviz.load_model(MODEL)
    pixels = cnnviz.open_photo(PHOTO)
    steps = network.card.preprocessing
    uncropped = steps.model_copy(update={"fit": "stretch"})
    card = network.card.model_copy(update={"preprocessing": uncropped})
    outline = cnnviz.outline(network)
    by_size = {info.output_shape[1]: info.path for info in network.layers if info.spatial}
    return Setting(
        network=network,
        ready=with_card(network, card),
        photo=pixels,
        view=network_view(pixels, steps),
        inputs=network_input(pixels, steps),
        target=cnnviz.predict(network, pixels).index,
        convolutions=[info.path for info in network.layers if info.kernel_shape],
        last=str(outline.last_spatial),
        middle=by_size[14],
        early=by_size[56],
    )


def bare(setting: Setting) -> Case:
    model = setting.network.model
    inputs = tf.constant(setting.inputs)
    shape = tf.TensorSpec(inputs.shape, tf.float32)
    forward = tf.function(lambda x: model(x, training=False), input_signature=[shape])
    return Case("TensorFlow", BARE, lambda: forward(inputs))


def cnnviz_cases(setting: Setting) -> Iterator[Case]:
    network, view = setting.ready, setting.view

    def case(name: str, run: Callable[[], Any]) -> Case:
        return Case("cnnviz", name, run)

    def grad_cam(layer: str, target: int | None) -> Any:
        return cnnviz.class_activation_map(network, view, target, method="grad-cam", layer=layer)

    inputs, convolutions = setting.inputs, setting.convolutions
    yield case(f"predict: {PASS}", lambda: passes.forward(network, inputs))
    yield case("predict", lambda: cnnviz.predict(network, view))
    yield case(f"{ALL}: {PASS}", lambda: passes.forward(network, inputs, convolutions))
    yield case(ALL, lambda: cnnviz.activations(network, view, setting.convolutions))
    yield case(CAM, lambda: cnnviz.class_activation_map(network, view, method="cam"))
    yield case(LAST, lambda: grad_cam(setting.last, setting.target))
    yield case(f"{LAST}, of whatever is predicted", lambda: grad_cam(setting.last, None))
    yield case(MIDDLE, lambda: grad_cam(setting.middle, setting.target))
    yield case(EARLY, lambda: grad_cam(setting.early, setting.target))
    yield case("predict, photo resized too", lambda: cnnviz.predict(setting.network, setting.photo))
    yield case(
        f"{CAM}, photo resized too",
        lambda: cnnviz.class_activation_map(setting.network, setting.photo, method="cam"),
    )


def keras_cases(setting: Setting) -> Iterator[Case]:
    model = setting.network.model
    yield Case("Keras", "model.predict", lambda: model.predict(setting.inputs, verbose=0))
    yield Case("Keras", "model(x), not compiled", lambda: model(setting.inputs, training=False))


def tf_keras_vis_cases(setting: Setting) -> Iterator[Case]:
    """Its Grad-CAM, on the given layer, with as little processing as it allows."""
    from tf_keras_vis.gradcam import Gradcam  # type: ignore[import-not-found]
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear  # type: ignore[import-not-found]
    from tf_keras_vis.utils.scores import CategoricalScore  # type: ignore[import-not-found]

    # A model of its own, so that no change that it makes can slow the others down.
    model = keras.saving.load_model(MODEL, compile=False)
    score = CategoricalScore([setting.target])
    kept = Gradcam(model, model_modifier=ReplaceToLinear(), clone=True)

    def run(tool: Any, layer: str) -> Any:
        return tool(
            score,
            setting.inputs,
            penultimate_layer=layer,
            # With its default it takes another layer than the requested one.
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
        )

    def anew() -> Any:
        return run(Gradcam(model, model_modifier=ReplaceToLinear(), clone=True), setting.last)

    yield Case("tf-keras-vis", f"{LAST}, {KEPT}", lambda: run(kept, setting.last))
    yield Case("tf-keras-vis", f"{EARLY}, {KEPT}", lambda: run(kept, setting.early))
    yield Case("tf-keras-vis", f"{LAST}, object made anew", anew)


def keract_cases(setting: Setting) -> Iterator[Case]:
    """Its activations of all convolutions.

    keract 4 calls functions that Keras 3 no longer has; they are replaced here by what they were
    in Keras 2, for keract and its own copy of the model only.
    """
    from keract import keract  # type: ignore[import-not-found]

    def function(inputs: Any, outputs: Any) -> Callable[[Any], Any]:
        tapped = keras.Model(inputs, list(outputs))
        return lambda x: [np.asarray(value) for value in tapped(x)]

    keract.K = SimpleNamespace(function=function)
    model = keras.saving.load_model(MODEL, compile=False)
    model._is_compiled = True
    model._feed_inputs = model.inputs
    yield Case(
        "keract",
        ALL,
        lambda: keract.get_activations(model, setting.inputs, setting.convolutions),
    )


COMPETITORS = {"tf-keras-vis": tf_keras_vis_cases, "keract": keract_cases}


def measure(cases: list[Case], rounds: int) -> list[Timing]:
    """Times every case against the first one, the bare pass."""
    reference = cases[0]
    order = list(range(len(cases)))
    pairs: list[list[tuple[float, float]]] = [[] for _ in cases]
    shuffle = random.Random(1).shuffle
    # As timeit does it: garbage collection belongs to none of the cases.
    gc.disable()
    for turn in range(rounds + WARM_UP):
        shuffle(order)
        for index in order:
            pair = seconds(reference.run), seconds(cases[index].run)
            if turn >= WARM_UP:
                pairs[index].append(pair)
        gc.collect()
    gc.enable()
    return [
        Timing(
            statistics.median(own for _, own in timed),
            statistics.median(own / base for base, own in timed),
        )
        for timed in pairs
    ]


def agreement(cases: dict[tuple[str, str], Case]) -> Iterator[tuple[str, float]]:
    """The largest difference between what cnnviz and another tool give for the same thing."""

    def answer(tool: str, name: str) -> Any:
        return cases[tool, name].run()

    def gap(ours: Any, theirs: Any) -> float:
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        return float(np.abs(ours - theirs).max() / np.abs(theirs).max())

    probabilities = answer("cnnviz", "predict").probabilities
    yield "probabilities: model.predict", gap(probabilities, answer("Keras", "model.predict")[0])
    cam, last = answer("cnnviz", CAM).values, answer("cnnviz", LAST).values
    yield "Grad-CAM × number of cells: CAM", gap(last * last.size, cam)
    for layer in (LAST, EARLY):
        if ("tf-keras-vis", f"{layer}, {KEPT}") in cases:
            ours = rectify(answer("cnnviz", layer).values)
            yield f"{layer}: tf-keras-vis", gap(ours, answer("tf-keras-vis", f"{layer}, {KEPT}")[0])
    if ("keract", ALL) in cases:
        maps, theirs = answer("cnnviz", ALL), answer("keract", ALL)
        yield f"{ALL}: keract", max(gap(maps[path], theirs[path][0]) for path in maps)


def goals(ratios: dict[tuple[str, str], float]) -> Iterator[tuple[str, str, float, bool]]:
    """(name, goal, measured value, whether it is reached) of each of the project's goals."""
    for name, limit in {CAM: 1.1, LAST: 1.2, f"{ALL}: {PASS}": 1.3}.items():
        ratio = ratios["cnnviz", name]
        yield name, f"at most {limit}", ratio, ratio <= limit
    theirs = ratios.get(("tf-keras-vis", f"{LAST}, {KEPT}"))
    if theirs:
        faster = theirs / ratios["cnnviz", LAST]
        yield f"{LAST}: tf-keras-vis ÷ cnnviz", "at least 10", faster, faster >= 10


def report(cases: list[Case], timings: list[Timing]) -> None:
    timed = list(zip(cases, timings, strict=True))
    ratios = {(case.tool, case.name): timing.ratio for case, timing in timed}
    print_table(
        ("tool", "what", "ms", "ratio to the bare pass"),
        (
            (case.tool, case.name, f"{1000 * timing.seconds:.1f}", f"{timing.ratio:.2f}")
            for case, timing in timed
        ),
    )
    print_table(
        ("figure", "goal", "measured", "reached"),
        (
            (name, goal, f"{value:.2f}", "yes" if reached else "no")
            for name, goal, value, reached in goals(ratios)
        ),
    )
    print_table(
        ("cnnviz beside", "largest difference ÷ largest value"),
        (
            (name, f"{value:.1e}")
            for name, value in agreement({(case.tool, case.name): case for case in cases})
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds

    setting = prepare()
    print(
        f"{MODEL.stem} on {PHOTO.name}, batch of 1, {len(setting.convolutions)} convolutions; "
        f"{rounds} rounds; {os.cpu_count()} CPUs, Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )
    cases = [bare(setting), *cnnviz_cases(setting), *keras_cases(setting)]
    for package, make in COMPETITORS.items():
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            print(f"{package}: not installed")
            continue
        print(f"{package} {importlib.metadata.version(package)}")
        cases.extend(make(setting))
    report(cases, measure(cases, rounds))


if __name__ == "__main__":
    main()
