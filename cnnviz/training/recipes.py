"""Recipes: the networks that can be trained, and how.

Plain data, which the command line imports for its list of choices: neither TensorFlow nor pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cnnviz.errors import DataError


@dataclass(frozen=True)
class Augmentation:
    """Random changes of each training photo, drawn anew in every epoch.

    Attributes:
        flip: mirrors half of the photos.
        turn: the largest angle of rotation, in degrees.
        shift: the largest shift, as a share of a side.
        zoom: the smallest and the largest part of a side that is kept; above 1 the photo shrinks.
        contrast: the largest change of contrast, as a share.
        brightness: the largest change of brightness, as a share of the range.
        invert: the share of photos whose values are inverted.
        border: what is outside the photo: its mirror image, or black.
    """

    flip: bool = False
    turn: float = 0
    shift: float = 0
    zoom: tuple[float, float] = (1, 1)
    contrast: float = 0
    brightness: float = 0
    invert: float = 0
    border: Literal["reflect", "constant"] = "reflect"


@dataclass(frozen=True)
class RecipeLayers:
    """Names of layers that are worth a first look, as in ``cards.SuggestedLayers``."""

    filters: str | None = None
    activations: tuple[str, ...] = ()
    cam: str | None = None


@dataclass(frozen=True)
class Recipe:
    """A network's architecture, by name, and how it is trained.

    Attributes:
        name: its name on the command line, and its key in ``architectures.BUILDERS``.
        title: its name on pages.
        about: one sentence on the network.
        scaling: of its input, as in ``Preprocessing.scaling``: ``none`` (0 to 255) or ``unit``.
        channels: of the photos that it takes; 0 where it takes any.
        sides: the smallest and the largest side of its input in pixels.
        size: the side in pixels that suits it best.
        epochs: the default number of epochs.
        rate: the initial learning rate; it falls to 0 along a cosine.
        augmentation: random changes of the training photos.
        layers: the suggested layers of its card.
        frozen: number of epochs in which the new dense layer alone is trained.
        fine_rate: the initial learning rate after these epochs.
        head_only: whether the new dense layer alone is trained, on features that the other layers
            gave once for each photo, which is then not changed at random.
        origin: source and licence of pretrained weights; "" where there are none.
    """

    name: str
    title: str
    about: str
    scaling: Literal["none", "unit"]
    channels: int
    sides: tuple[int, int]
    size: int
    epochs: int
    rate: float
    augmentation: Augmentation
    layers: RecipeLayers
    frozen: int = 0
    fine_rate: float = 0
    head_only: bool = False
    origin: str = ""


_PHOTOS = Augmentation(
    flip=True, turn=15, shift=0.05, zoom=(0.7, 1.0), contrast=0.2, brightness=0.1
)

_TRANSFER_LAYERS = RecipeLayers(
    filters="stem_conv",
    activations=(
        "stem_act",
        "block2a_expand_act",
        "block3b_expand_act",
        "block4b_expand_act",
        "block6b_expand_act",
        "top_act",
    ),
    cam="top_act",
)
_TRANSFER_ORIGIN = "the convolutions of EfficientNet-Lite0, trained on ImageNet-1k (Apache-2.0)"

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "lesson-mnist",
            "Lesson: digits",
            "Two convolutions and two dense layers, for small grey pictures.",
            scaling="unit",
            channels=0,
            sides=(12, 64),
            size=28,
            epochs=30,
            rate=1e-3,
            # Contrast and inversion: dark ink on light paper is to be recognised too.
            augmentation=Augmentation(
                turn=10,
                shift=0.08,
                zoom=(0.83, 1.11),
                contrast=0.6,
                invert=1 / 3,
                border="constant",
            ),
            layers=RecipeLayers(
                filters="conv1", activations=("conv1", "conv2", "pool"), cam="pool"
            ),
        ),
        Recipe(
            "lesson-cam",
            "Lesson: class activation map",
            "Convolutions growing to 128 filters, averaged straight into one dense layer: its "
            "weights are each map's contribution to a class.",
            scaling="unit",
            channels=0,
            sides=(32, 512),
            # A cell of the last maps sees 38 pixels: more than half of so small a photo.
            size=64,
            epochs=60,
            rate=2e-3,
            # Stronger than for pretrained networks: a thousand photos are learnt by heart.
            augmentation=Augmentation(
                flip=True, turn=15, shift=0.05, zoom=(0.55, 1.0), contrast=0.3, brightness=0.15
            ),
            layers=RecipeLayers(
                filters="conv1", activations=("conv1", "conv2", "conv3", "conv4"), cam="relu4"
            ),
        ),
        Recipe(
            "transfer",
            "Transfer learning",
            "EfficientNet-Lite0, pretrained on ImageNet, with a new dense layer for your classes.",
            scaling="none",
            channels=3,
            sides=(224, 224),
            size=224,
            epochs=8,
            rate=3e-3,
            augmentation=_PHOTOS,
            layers=_TRANSFER_LAYERS,
            frozen=4,
            fine_rate=2e-5,
            origin=_TRANSFER_ORIGIN,
        ),
        Recipe(
            "transfer-quick",
            "Transfer learning, last layer only",
            "EfficientNet-Lite0, pretrained on ImageNet: its convolutions stay as they are, and a "
            "new dense layer learns your classes. For a few photos: an epoch takes little time.",
            scaling="none",
            channels=3,
            sides=(224, 224),
            size=224,
            epochs=8,
            rate=1e-2,
            augmentation=Augmentation(),
            layers=_TRANSFER_LAYERS,
            head_only=True,
            origin=_TRANSFER_ORIGIN,
        ),
        Recipe(
            "tiny-vgg",
            "Tiny VGG",
            "Four convolutions of ten filters each, small enough to follow every number.",
            scaling="unit",
            channels=0,
            sides=(16, 256),
            size=64,
            epochs=30,
            rate=1e-3,
            augmentation=_PHOTOS,
            layers=RecipeLayers(
                filters="conv_1_1",
                activations=("conv_1_1", "conv_1_2", "conv_2_1", "conv_2_2"),
                cam="conv_2_2",
            ),
        ),
    )
}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        DataError: no recipe has that name.
    """
    if name not in RECIPES:
        raise DataError(f"There is no architecture {name!r}. Choose from {', '.join(RECIPES)}.")
    return RECIPES[name]


def check_input(recipe: Recipe, side: tuple[int, int], channels: int) -> None:
    """Raises ``DataError`` where data of that size does not fit the recipe's network."""
    least, most = recipe.sides
    if min(side) < least or max(side) > most:
        allowed = f"{least}" if least == most else f"{least} to {most}"
        raise DataError(
            f"The architecture {recipe.name!r} takes photos of {allowed} pixels a side, and this "
            f"data has {side[0]} × {side[1]}. Prepare the photos with --size {recipe.size}."
        )
    if recipe.channels and channels != recipe.channels:
        raise DataError(
            f"The architecture {recipe.name!r} takes photos with {recipe.channels} channels, and "
            f"this data has {channels}."
        )
