"""The tools that a person might use instead of cnnviz, on the same network and photo."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

import cnnviz
from benchmarks.cases import (
    ALL,
    CAM,
    EARLY,
    KEPT,
    LAST,
    MIDDLE,
    MODEL,
    Case,
    Setting,
    before_activation,
)
from cnnviz.arrays import rectify
from cnnviz.settings import ROOT
from scripts.convert_efficientnet_lite0 import layer_sources


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

    def run(tool: Any, name: str) -> Any:
        return tool(
            score,
            setting.inputs,
            penultimate_layer=setting.layers[name],
            # With its default it takes another layer than the requested one.
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
        )

    def anew() -> Any:
        return run(Gradcam(model, model_modifier=ReplaceToLinear(), clone=True), LAST)

    yield Case("tf-keras-vis", f"{LAST}, {KEPT}", lambda: run(kept, LAST))
    yield Case("tf-keras-vis", f"{EARLY}, {KEPT}", lambda: run(kept, EARLY))
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

BEFORE = "before ReLU6"
# The original has one ReLU6 at its top level, which runs after the first and after the last
# convolution. A hook of torchcam keeps the last run, and torchcam chooses this module by itself;
# one of pytorch-grad-cam keeps both runs, and explains the first: it needs another module.
SHARED_RELU6 = "_swish"
TORCH_BARE = "PyTorch", "bare forward pass"


@dataclass(frozen=True)
class HookedMap:
    """A map that a tool for PyTorch makes, and what cnnviz makes of the same layer.

    Attributes:
        tool: the tool.
        method: its class.
        name: what is measured.
        module: path of the module in the PyTorch original that it hooks.
        ours: gives cnnviz's map (h, w).
    """

    tool: str
    method: str
    name: str
    module: str
    ours: Callable[[], Any]


def hooked_maps(setting: Setting) -> Iterator[HookedMap]:
    """What torchcam and pytorch-grad-cam are asked for.

    Inside the blocks, too, one ReLU6 runs twice, so that the layer before it is hooked. Only
    torchcam rectifies its Grad-CAM at once.
    """
    modules = dict(layer_sources())

    def ours(method: str, layer: str | None) -> Any:
        return cnnviz.class_activation_map(
            setting.ready, setting.view, setting.target, method=method, layer=layer
        ).values

    def rectified(layer: str, method: str = "grad-cam") -> Any:
        return rectify(ours(method, layer))

    weighted = partial(ours, "cam", None)
    layers = {name: before_activation(layer) for name, layer in setting.layers.items()}
    last = layers[LAST]
    after = partial(rectified, setting.layers[LAST])
    yield HookedMap("torchcam", "CAM", CAM, SHARED_RELU6, weighted)
    yield HookedMap("torchcam", "CAM", f"{CAM} {BEFORE}", modules[last], weighted)
    yield HookedMap("torchcam", "GradCAM", LAST, SHARED_RELU6, after)
    for name in (MIDDLE, EARLY):
        layer, title = layers[name], f"{name} {BEFORE}"
        yield HookedMap("torchcam", "GradCAM", title, modules[layer], partial(rectified, layer))
    for kind, title, method in (
        ("GradCAMpp", "Grad-CAM++", "grad-cam++"),
        ("XGradCAM", "XGrad-CAM", "xgrad-cam"),
        ("LayerCAM", "LayerCAM", "layer-cam"),
    ):
        name, same = LAST.replace("Grad-CAM", title), partial(after, method=method)
        yield HookedMap("torchcam", kind, name, SHARED_RELU6, same)
    grad_cam_tool = "pytorch-grad-cam"
    for name, layer in layers.items():
        title, signed = f"{name} {BEFORE}", partial(ours, "grad-cam", layer)
        yield HookedMap(grad_cam_tool, "GradCAM", title, modules[layer], signed)
    # Its Eigen-CAM centres the maps, and its Grad-CAM++ adds much to small gradients: see
    # docs/methods.md.
    for kind, method in (("HiResCAM", "hires-cam"), ("LayerCAM", "layer-cam")):
        title, signed = LAST.replace("Grad-CAM", kind), partial(ours, method, last)
        yield HookedMap(grad_cam_tool, kind, f"{title} {BEFORE}", modules[last], signed)


@contextmanager
def torch_cases(python: str, setting: Setting, maps: list[HookedMap]) -> Iterator[list[Case]]:
    """PyTorch's bare pass and these maps, in a process with another Python."""
    with subprocess.Popen(
        [python, "-m", "benchmarks.torch_tools"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        questions, answers = process.stdin, process.stdout

        def read() -> Any:
            line = answers.readline()
            if not line:
                raise RuntimeError(f"{python} -m benchmarks.torch_tools ended: see above why.")
            return json.loads(line)

        def ask(question: Any) -> Any:
            print(json.dumps(question), file=questions, flush=True)
            return read()

        about = read()
        versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
        print(f"{versions}; {about['threads']} threads")
        asked = [(hooked.tool, hooked.method, hooked.module) for hooked in maps]
        photo = {"inputs": setting.inputs.tolist(), "target": setting.target}
        print(json.dumps({**photo, "maps": asked}), file=questions, flush=True)
        names = [TORCH_BARE]
        names += [(hooked.tool, f"{hooked.name}, {KEPT}") for hooked in maps]
        yield [
            Case(tool, name, partial(ask, ("answer", number)), partial(ask, ("pair", number)))
            for number, (tool, name) in enumerate(names)
        ]
