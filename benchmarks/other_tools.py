"""The tools that a person might use instead of cnnviz, on the same network and photo."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import keras
import numpy as np

from benchmarks.cases import (
    ALL,
    EARLY,
    KEPT,
    LAST,
    MODEL,
    Case,
    Setting,
    before_activation,
)
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

TORCH_BARE = "PyTorch", "bare forward pass"


class TorchMap(NamedTuple):
    """A map of a tool for PyTorch.

    Attributes:
        tool: the tool.
        kind: its class.
        module: path of the module that it hooks.
        name: what is measured.
    """

    tool: str
    kind: str
    module: str
    name: str


def module_of(layer: str) -> str:
    """Path of the module in `benchmarks.torch_tools` whose output is that of this ReLU6."""
    return dict(layer_sources())[before_activation(layer)]


@contextmanager
def torch_cases(python: str, setting: Setting, maps: list[TorchMap]) -> Iterator[list[Case]]:
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

        def ask(number: int) -> Any:
            print(number, file=questions, flush=True)
            return read()

        about = read()
        versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
        print(f"{versions}; {about['threads']} threads")
        asked = [(one.tool, one.kind, one.module) for one in maps]
        photo = {"inputs": setting.inputs.tolist(), "target": setting.target}
        print(json.dumps({**photo, "maps": asked}), file=questions, flush=True)
        names = [TORCH_BARE, *((one.tool, one.name) for one in maps)]
        questions_of = [partial(ask, number) for number in range(len(names))]
        yield [Case(*name, one, one) for name, one in zip(names, questions_of, strict=True)]
