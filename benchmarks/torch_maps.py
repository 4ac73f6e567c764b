"""The maps of torchcam and pytorch-grad-cam for many photos; `benchmarks/agreement.py` starts it.

It runs with the Python of an environment that has PyTorch and need not have cnnviz's packages:

    python -m benchmarks.torch_maps QUESTION.npz FOLDER

The question has ``inputs`` (N, h, w, 3), ``targets`` (N,), and ``network``: "efficientnet-lite0",
or "small" with the weights of its layers, as Keras has them, in ``weight_0``, ``weight_1``, …; and
``maps``, a JSON list of [tool, class, module, file]. A file that is not in the folder yet gets
``maps`` (N, h, w) as the tool computes them, neither normalised nor resized, and for Score-CAM
``weights`` (N, channels); ``torch.npz`` gets ``scores`` (N, classes) and ``versions``.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_grad_cam  # type: ignore[import-not-found]
import torch  # type: ignore[import-not-found]

from benchmarks import torch_tools

PACKAGES = ("torch", "torchcam", "grad-cam")
# Tools that take the weights of a dense layer; the others take gradients.
DENSE = {"efficientnet-lite0": "_fc", "small": "dense"}
# From a photo and a class: the map (h, w), and the channels' weights (K,) where they are compared.
Run = Callable[[Any, int], tuple[Any, Any]]
WEIGHED = "ScoreCAM"


def small(weights: list[Any]) -> Any:
    """The network of `benchmarks.agreement.small_network`, with the same weights."""
    from torch import nn

    first, first_bias, second, second_bias, dense, bias = map(torch.tensor, weights)
    flattened = len(dense) > second.shape[-1]
    model = nn.Sequential()
    model.add_module("conv1", nn.Conv2d(first.shape[2], first.shape[3], 3, padding=1))
    model.add_module("relu1", nn.ReLU())
    model.add_module("pool", nn.MaxPool2d(4))
    model.add_module("conv2", nn.Conv2d(second.shape[2], second.shape[3], 3, padding=1))
    model.add_module("relu2", nn.ReLU())
    if not flattened:
        model.add_module("average", nn.AdaptiveAvgPool2d(1))
    model.add_module("flatten", nn.Flatten())
    model.add_module("dense", nn.Linear(len(dense), dense.shape[1]))
    if flattened:
        # PyTorch flattens channel by channel, Keras place by place.
        side = int((len(dense) / second.shape[-1]) ** 0.5)
        places = dense.reshape(side, side, second.shape[-1], -1)
        dense = places.permute(2, 0, 1, 3).reshape(len(dense), -1)
    with torch.no_grad():
        for layer, kernel, own_bias in (
            (model.conv1, first.permute(3, 2, 0, 1), first_bias),
            (model.conv2, second.permute(3, 2, 0, 1), second_bias),
            (model.dense, dense.T, bias),
        ):
            layer.weight.copy_(kernel)
            layer.bias.copy_(own_bias)
    return model.eval()


def keep(tool: Any, name: str) -> list[Any]:
    """Where all that a method of a tool gives is kept from now on, the latest last."""
    kept: list[Any] = []
    method = getattr(tool, name)

    def keeping(*arguments: Any, **named: Any) -> Any:
        kept.append(method(*arguments, **named))
        return kept[-1]

    setattr(tool, name, keeping)
    return kept


def torchcam_map(network: str, model: Any, kind: str, module: str) -> Run:
    tool = torch_tools.torchcam_tool(model, kind, module, DENSE[network])
    weights = keep(tool, "_get_weights") if kind == WEIGHED else []

    def run(photo: Any, target: int) -> tuple[Any, Any]:
        found = tool(target, model(photo), normalized=False)[0][0].detach().numpy()
        return found, weights.pop()[0].detach().numpy().ravel() if weights else None

    return run


def grad_cam_map(network: str, model: Any, kind: str, module: str) -> Run:
    tool = getattr(pytorch_grad_cam, kind)(model, [model.get_submodule(module)])
    # It rectifies, resizes and normalises what this gives.
    base = getattr(tool, "base_cam", tool)
    maps, weights = keep(base, "get_cam_image"), keep(base, "get_cam_weights")

    def run(photo: Any, target: int) -> tuple[Any, Any]:
        tool(photo, **torch_tools.grad_cam_question(kind, target))
        # Not all of its methods ask for weights.
        return maps.pop()[0], np.ravel(weights.pop()) if weights else None

    return run


TOOLS = {"torchcam": torchcam_map, "pytorch-grad-cam": grad_cam_map}


def main() -> None:
    question = np.load(sys.argv[1], allow_pickle=False)
    network = str(question["network"])

    def load() -> Any:
        if network == "small":
            made = small([question[f"weight_{number}"] for number in range(6)])
        else:
            made = torch_tools.load()
        # No tool needs gradients of weights; those of the photo are what lets all others be had.
        return made.requires_grad_(False)

    inputs = question["inputs"]
    if network == "small":
        photos = torch.tensor(inputs).permute(0, 3, 1, 2).contiguous()
    else:
        photos = torch_tools.network_input(inputs)
    targets = [int(target) for target in question["targets"]]
    folder = Path(sys.argv[2])
    for tool, kind, module, file in json.loads(str(question["maps"])):
        if (folder / file).exists():
            continue
        # Each has a model of its own, so that no hook of one changes another.
        run = TOOLS[tool](network, load(), kind, module)
        pairs = zip(photos, targets, strict=True)
        made = [run(photo[None].clone().requires_grad_(), one) for photo, one in pairs]
        answer: dict[str, Any] = {"maps": np.stack([values for values, _ in made])}
        if kind == WEIGHED:
            answer["weights"] = np.stack([weights for _, weights in made])
        np.savez(folder / file, **answer)
        print(file, file=sys.stderr, flush=True)
    with torch.no_grad():
        scores = load()(photos).numpy()
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    np.savez(folder / "torch.npz", scores=scores, versions=json.dumps(versions))


if __name__ == "__main__":
    main()
