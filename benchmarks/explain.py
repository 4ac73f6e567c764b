"""How much an explanation costs: each as a ratio to the bare forward pass of its network.

    python -m benchmarks.explain [--torch-python PATH]

In each round every case runs once, in another order, and each time right after a run of the
bare pass of its own framework: a ratio is the median over such pairs, so that a machine that gets
slower or busier affects both. The tools that a person might use instead run on the same network
and photo where they are installed: see README.md.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

import cnnviz
from benchmarks.cases import (
    ALL,
    CAM,
    EARLY,
    KEPT,
    LAST,
    MIDDLE,
    MODEL,
    PHOTO,
    Case,
    Setting,
    Timing,
    bare,
    measure,
    prepare,
)
from benchmarks.measuring import print_table
from benchmarks.other_tools import COMPETITORS, TorchMap, keras_cases, module_of, torch_cases
from cnnviz.networks import passes
from cnnviz.settings import ROOT

PASS = "the pass alone"
# The project's goals: ratios to the bare compiled pass of TensorFlow, tf-keras-vis ÷ cnnviz for
# Grad-CAM of the last maps, megabytes.
AT_MOST = {"predict": 0.60, CAM: 0.60, ALL: 0.80, MIDDLE: 1.15, EARLY: 1.5}
FASTER, MEMORY = 20, 250


def cnnviz_cases(setting: Setting) -> Iterator[Case]:
    network, view = setting.ready, setting.view

    def case(name: str, run: Callable[[], Any]) -> Case:
        return Case("cnnviz", name, run)

    def grad_cam(name: str, target: int | None) -> Any:
        layer = setting.layers[name]
        return cnnviz.class_activation_map(network, view, target, method="grad-cam", layer=layer)

    inputs, convolutions = setting.inputs, setting.convolutions
    yield case(f"predict: {PASS}", lambda: passes.forward(network, inputs))
    yield case("predict", lambda: cnnviz.predict(network, view))
    yield case(f"{ALL}: {PASS}", lambda: passes.forward(network, inputs, convolutions))
    yield case(ALL, lambda: cnnviz.activations(network, view, convolutions))
    yield case(CAM, lambda: cnnviz.class_activation_map(network, view, method="cam"))
    yield case(LAST, lambda: grad_cam(LAST, setting.target))
    yield case(f"{LAST}, of whatever is predicted", lambda: grad_cam(LAST, None))
    yield case(MIDDLE, lambda: grad_cam(MIDDLE, setting.target))
    yield case(EARLY, lambda: grad_cam(EARLY, setting.target))
    yield case("predict, photo resized too", lambda: cnnviz.predict(setting.network, setting.photo))
    yield case(
        f"{CAM}, photo resized too",
        lambda: cnnviz.class_activation_map(setting.network, setting.photo, method="cam"),
    )


def torch_maps(setting: Setting) -> Iterator[TorchMap]:
    """What torchcam and pytorch-grad-cam are asked for; ``methods`` asks for all they have."""
    yield TorchMap("torchcam", "CAM", module_of(setting.layers[LAST]), f"{CAM}, {KEPT}")
    for tool in ("torchcam", "pytorch-grad-cam"):
        for name in (LAST, MIDDLE, EARLY):
            yield TorchMap(tool, "GradCAM", module_of(setting.layers[name]), f"{name}, {KEPT}")


def worker_memory() -> dict[str, Any]:
    """What benchmarks/worker_memory.py prints, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.worker_memory"]
    printed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    return json.loads(printed.splitlines()[-1])


def goals(
    ratios: dict[tuple[str, str], float], memory: dict[str, Any]
) -> Iterator[tuple[str, str, str, bool]]:
    """(name, goal, measured value, whether it is reached) of each of the project's goals."""
    for name, limit in AT_MOST.items():
        ratio = ratios["cnnviz", name]
        yield name, f"at most {limit:.2f}", f"{ratio:.2f}", ratio <= limit
    theirs = ratios.get(("tf-keras-vis", f"{LAST}, {KEPT}"))
    if theirs:
        faster = theirs / ratios["cnnviz", LAST]
        name = f"{LAST}: tf-keras-vis ÷ cnnviz"
        yield name, f"at least {FASTER}", f"{faster:.1f}", faster >= FASTER
    engine = "with" if memory["tensorflow"] else "without"
    name = f"memory of a process that explains with {memory['models']} models"
    size = memory["megabytes"]
    yield name, f"at most {MEMORY} MB", f"{size:.0f} MB, {engine} TensorFlow", size <= MEMORY


def report(cases: list[Case], timings: list[Timing], memory: dict[str, Any]) -> None:
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
            (name, goal, value, "yes" if reached else "no")
            for name, goal, value, reached in goals(ratios, memory)
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument(
        "--torch-python",
        metavar="PATH",
        default=sys.executable if importlib.util.find_spec("torchcam") else None,
        help="the Python of an environment with benchmarks/requirements-torch.txt",
    )
    options = parser.parse_args()

    memory = worker_memory()
    setting = prepare()
    print(
        f"{MODEL.stem} on {PHOTO.name}, batch of 1, {len(setting.convolutions)} convolutions; "
        f"{options.rounds} rounds; {os.cpu_count()} CPUs, Python {platform.python_version()}, "
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )
    cases = [bare(setting), *cnnviz_cases(setting), *keras_cases(setting)]
    for package, make in COMPETITORS.items():
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            print(f"{package}: not installed")
            continue
        print(f"{package} {importlib.metadata.version(package)}")
        cases.extend(make(setting))
    with ExitStack() as stack:
        if options.torch_python:
            maps = list(torch_maps(setting))
            cases.extend(stack.enter_context(torch_cases(options.torch_python, setting, maps)))
        else:
            print("torchcam: not installed, and no --torch-python")
        report(cases, measure(cases, options.rounds), memory)


if __name__ == "__main__":
    main()
