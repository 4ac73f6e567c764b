"""What every method costs, and those of other tools: ratios to the bare pass of their framework.

    python -m benchmarks.methods --torch-python PATH > docs/tables/methods_cost.md

Timed as in ``explain``: each call right after a bare forward pass of its own framework.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

import cnnviz
from benchmarks import keras_tools
from benchmarks.cases import LAST, MODEL, Case, Setting, Timing, bare, measure, prepare
from benchmarks.measuring import print_table
from benchmarks.other_tools import TorchMap, module_of, torch_cases
from cnnviz.attribution import occlusion, pixel_gradients, rise, series_runs
from cnnviz.attribution.channel_series import SCORED
from cnnviz.attribution.methods import METHODS, Method

# Seconds after which a call that takes long is measured no more.
PATIENCE = 15.0
# The project's goals: the ratio of methods with gradients at the last maps, and seconds.
GRADIENTS = 1.5
SECONDS = {"score-cam": 1.0, "occlusion": 1.0, "rise": 6.0}

PYTORCH = {
    "torchcam": "CAM GradCAM GradCAMpp XGradCAM LayerCAM FinerCAM ScoreCAM",
    "pytorch-grad-cam": (
        "GradCAM GradCAMPlusPlus HiResCAM XGradCAM LayerCAM FinerCAM EigenCAM ScoreCAM AblationCAM"
    ),
}
# They take a run for each channel, and cannot take fewer.
EACH_CHANNEL = ("ScoreCAM", "AblationCAM")

INTRODUCTION = """\
# What a method costs: the table

`python -m benchmarks.methods --torch-python PATH > docs/tables/methods_cost.md` writes this file.

A map of the predicted class at the last maps of EfficientNet-Lite0, for one photo of 224 × 224
pixels; a tool's object is kept between calls. A ratio is the median over pairs of a call and a bare
forward pass right before it: of TensorFlow, compiled, for cnnviz, xplique and tf-keras-vis, of
PyTorch for torchcam and pytorch-grad-cam. cnnviz gets the photo, the others the network's input.
"runs" are those of the network on one picture that a method asks for; where a layer's gradients are
known from weights, cnnviz computes them without running it again.
"""


def runs_of(method: Method, setting: Setting) -> int:
    """How many runs a method takes on the photo of the setting."""
    if method.series is None:
        return 2 if method.against == "nearest" else 1
    about = series_runs.subject(setting.ready, setting.inputs, [setting.target], method)
    return series_runs.count_runs(method.series, about, None)


def cnnviz_cases(setting: Setting) -> Iterator[tuple[Case, str]]:
    """Each method, and its runs."""

    question = setting.ready, setting.view, setting.target
    for key in cnnviz.methods(setting.network):
        call = partial(cnnviz.class_activation_map, *question, method=key)
        yield Case("cnnviz", key, call), str(runs_of(METHODS[key], setting))


def keras_cases(setting: Setting) -> Iterator[tuple[Case, str]]:
    yield from xplique_cases(setting)
    yield from tf_keras_vis_cases(setting)


def xplique_cases(setting: Setting) -> Iterator[tuple[Case, str]]:
    """With as many runs as cnnviz takes, as a person calls them: it resizes its maps."""
    from xplique import attributions  # type: ignore[import-not-found]

    side = setting.inputs.shape[1] // occlusion.SIDE
    for kind, runs, options in (
        ("GradCAM", 1, {"conv_layer": setting.layers[LAST]}),
        ("GradCAMPP", 1, {"conv_layer": setting.layers[LAST]}),
        ("Occlusion", occlusion.SIDE**2, {"patch_size": side, "patch_stride": side}),
        ("Rise", rise.MASKS, {"nb_samples": rise.MASKS, "grid_size": rise.GRID}),
        ("SmoothGrad", pixel_gradients.COPIES, {"nb_samples": pixel_gradients.COPIES}),
        ("IntegratedGradients", pixel_gradients.STEPS, {"steps": pixel_gradients.STEPS}),
    ):
        # A model of its own, so that no change that a tool makes can slow the others down.
        model = keras_tools.load(MODEL)
        tool = getattr(attributions, kind)(model, **options)
        chosen = keras_tools.one_hot(model, setting.target)

        yield Case("xplique", kind, partial(tool, setting.inputs, chosen)), str(runs)


def tf_keras_vis_cases(setting: Setting) -> Iterator[tuple[Case, str]]:
    """With as little processing as it allows."""
    layer, photo, target = setting.layers[LAST], setting.inputs, setting.target
    kinds: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("Gradcam", 1, {}),
        ("GradcamPlusPlus", 1, {}),
        ("Layercam", 1, {}),
        ("Scorecam", SCORED, {"max_N": SCORED}),
    )
    for kind, runs, options in kinds:
        run = keras_tools.tf_keras_vis_cam(keras_tools.load(MODEL), kind, layer, **options)
        yield Case("tf-keras-vis", kind, partial(run, photo, target)), str(runs)


def pytorch_maps(setting: Setting) -> Iterator[tuple[TorchMap, str]]:
    path = setting.layers[LAST]
    shapes = {info.path: info.output_shape for info in setting.network.layers}
    for tool, kinds in PYTORCH.items():
        for kind in kinds.split():
            runs = str(shapes[path][-1]) if kind in EACH_CHANNEL else "1"
            yield TorchMap(tool, kind, module_of(path), kind), runs


def goals(cases: list[Case], timings: list[Timing]) -> Iterator[tuple[str, str, str, bool]]:
    """(method, goal, measured value, whether it is reached) of each of the project's goals."""
    for case, timing in zip(cases, timings, strict=True):
        if case.tool != "cnnviz":
            continue
        if METHODS[case.name].passes == "backward":
            ratio = timing.ratio
            yield case.name, f"at most {GRADIENTS} ×", f"{ratio:.2f}", ratio <= GRADIENTS
        elif case.name in SECONDS:
            limit, took = SECONDS[case.name], timing.seconds
            yield case.name, f"at most {limit:.0f} s", f"{took:.2f} s", took <= limit


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--torch-python", metavar="PATH", help="with requirements-torch.txt")
    options = parser.parse_args()
    # xplique's calls show their progress where the table is written.
    keras.config.disable_interactive_logging()
    print(INTRODUCTION)
    load = os.getloadavg()[0]
    print(
        f"{options.rounds} rounds, fewer for calls of more than a second; {os.cpu_count()} CPUs, "
        f"{load:.1f} of which other programs kept busy at the start; Python "
        f"{platform.python_version()}, TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )
    setting = prepare()
    found = [(bare(setting), "1"), *cnnviz_cases(setting), *keras_cases(setting)]
    with ExitStack() as stack:
        if options.torch_python:
            maps = list(pytorch_maps(setting))
            cases = stack.enter_context(
                torch_cases(options.torch_python, setting, [one for one, _ in maps])
            )
            found += zip(cases, ["1", *(runs for _, runs in maps)], strict=True)
        timings = measure([case for case, _ in found], options.rounds, PATIENCE)
    print_table(
        ("tool", "method", "runs", "ms", "ratio to the bare pass"),
        (
            (case.tool, case.name, runs, f"{1000 * timing.seconds:.1f}", f"{timing.ratio:.2f}")
            for (case, runs), timing in zip(found, timings, strict=True)
        ),
    )
    print_table(
        ("method", "goal", "measured", "reached"),
        (
            (name, goal, value, "yes" if reached else "no")
            for name, goal, value, reached in goals([case for case, _ in found], timings)
        ),
    )


if __name__ == "__main__":
    main()
