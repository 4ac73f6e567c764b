"""The maps of torchcam and pytorch-grad-cam for many photos; `benchmarks/agreement.py` starts it.

It runs with the Python of an environment that has PyTorch and need not have cnnviz's packages:

    python -m benchmarks.torch_maps QUESTION.npz ANSWER.npz

The question has ``inputs`` (N, h, w, 3), ``targets`` (N,), and ``network``: "efficientnet-lite0",
or "small" with the weights of its layers, as Keras has them, in ``weight_0``, ``weight_1``, …; and
``maps``, a JSON list of [tool, class, module]. The answer has ``scores`` (N, classes), ``map_0``,
``map_1``, …, each (N, h, w) as the tool computes it, neither normalised nor resized, and
``versions``.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from typing import Any

import numpy as np
import pytorch_grad_cam  # type: ignore[import-not-found]
import torch  # type: ignore[import-not-found]
import torchcam.methods  # type: ignore[import-not-found]
from pytorch_grad_cam.utils.model_targets import (  # type: ignore[import-not-found]
    ClassifierOutputTarget,
)

from benchmarks import torch_tools

PACKAGES = ("torch", "torchcam", "grad-cam")
# What Finer-CAM subtracts, in cnnviz and in the paper's code: 0.6 of the nearest class alone.
STRENGTH, NEAREST = 0.6, 1
# Tools that take the weights of a dense layer; the others take gradients.
DENSE = {"efficientnet-lite0": torch_tools.DENSE, "small": "dense"}


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


def torchcam_map(network: str, model: Any, kind: str, module: str) -> Any:
    options: dict[str, Any] = {"fc_layer": DENSE[network]} if kind == "CAM" else {}
    if kind == "FinerCAM":
        options = {"gamma": STRENGTH, "num_references": NEAREST}
    if kind == "ScoreCAM":
        options = {"batch_size": 16}
    tool = getattr(torchcam.methods, kind)(model, target_layer=module, **options)

    def run(photo: Any, target: int) -> Any:
        scores = model(photo)
        return tool(target, scores, normalized=False)[0][0].detach().numpy()

    return run


def grad_cam_map(network: str, model: Any, kind: str, module: str) -> Any:
    layer = model.get_submodule(module)
    tool = getattr(pytorch_grad_cam, kind)(model, [layer])
    base, finer = getattr(tool, "base_cam", tool), kind == "FinerCAM"
    options = {"alpha": STRENGTH, "comparison_categories": [NEAREST]} if finer else {}

    def run(photo: Any, target: int) -> Any:
        made = []

        # It rectifies, resizes and normalises what this gives.
        def kept(*arguments: Any, **named: Any) -> Any:
            made.append(type(base).get_cam_image(base, *arguments, **named))
            return made[-1]

        base.get_cam_image = kept
        chosen = {"target_idx": target} if finer else {"targets": [ClassifierOutputTarget(target)]}
        tool(photo, **chosen, **options)
        return made[-1][0]

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

    inputs = torch.tensor(question["inputs"])
    if network != "small":
        # As the network was trained, and as cnnviz's copy of it does inside.
        inputs = (inputs - 127) / 128
    photos = inputs.permute(0, 3, 1, 2).contiguous()
    targets = [int(target) for target in question["targets"]]
    with torch.no_grad():
        answer = {"scores": load()(photos).numpy()}
    for number, (tool, kind, module) in enumerate(json.loads(str(question["maps"]))):
        # Each has a model of its own, so that no hook of one changes another.
        run = TOOLS[tool](network, load(), kind, module)
        pairs = zip(photos, targets, strict=True)
        answer[f"map_{number}"] = np.stack(
            [run(photo[None].clone().requires_grad_(), one) for photo, one in pairs]
        )
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    np.savez(sys.argv[2], versions=json.dumps(versions), **answer)


if __name__ == "__main__":
    main()
