"""What ``explain`` and ``methods`` time: a network, a photo, layers, and the calls on them."""

from __future__ import annotations

import gc
import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

import cnnviz
from benchmarks.measuring import timed_pair
from cnnviz.networks.loading import with_card
from cnnviz.photos.preprocessing import network_input, network_view
from cnnviz.settings import PACKAGE
from cnnviz.training.architectures import BACKBONE

MODEL = BACKBONE
PHOTO = PACKAGE / "samples" / "chelsea.png"
BARE = "bare compiled forward pass"
LAST, MIDDLE, EARLY = "Grad-CAM, last maps", "Grad-CAM, 14×14 maps", "Grad-CAM, 56×56 maps"
CAM, ALL = "CAM", "activations of all convolutions"
KEPT = "object kept"
# Rounds that trace and fill caches, and are not counted.
WARM_UP = 2


@dataclass(frozen=True)
class Case:
    """One thing to time.

    Attributes:
        tool: the tool.
        name: what it computes.
        run: the call.
        pair: gives the seconds of the bare pass and of the call, where another process times them;
            ``run`` is not called then.
    """

    tool: str
    name: str
    run: Callable[[], Any]
    pair: Callable[[], tuple[float, float]] | None = None


@dataclass(frozen=True)
class Timing:
    """Median seconds of a case, and the median of its ratios to the bare pass before it."""

    seconds: float
    ratio: float


@dataclass(frozen=True)
class Setting:
    """What all cases work on.

    Attributes:
        network: the network.
        ready: the same network, for a photo that has already been cropped and resized.
        photo: (H, W, 3) uint8.
        view: the part of it that the network sees, (h, w, 3) uint8.
        inputs: (1, h, w, 3) float32.
        target: index of the predicted class.
        convolutions: paths of all convolutions.
        layers: the paths of the layers that ``LAST``, ``MIDDLE`` and ``EARLY`` explain: the last
            ones with maps of their size.
    """

    network: Any
    ready: Any
    photo: Any
    view: Any
    inputs: Any
    target: int
    convolutions: list[str]
    layers: dict[str, str]


def prepare() -> Setting:
    """Loads the network and the photo."""
    network = cnnviz.load_model(MODEL)
    pixels = cnnviz.open_photo(PHOTO)
    steps = network.card.preprocessing
    uncropped = steps.model_copy(update={"fit": "stretch"})
    card = network.card.model_copy(update={"preprocessing": uncropped})
    by_size = {info.output_shape[1]: info.path for info in network.layers if info.spatial}
    return Setting(
        network=network,
        ready=with_card(network, card),
        photo=pixels,
        view=network_view(pixels, steps),
        inputs=network_input(pixels, steps),
        target=cnnviz.predict(network, pixels).index,
        convolutions=[info.path for info in network.layers if info.kernel_shape],
        layers={
            LAST: str(cnnviz.outline(network).last_spatial),
            MIDDLE: by_size[14],
            EARLY: by_size[56],
        },
    )


def bare(setting: Setting) -> Case:
    """TensorFlow's forward pass, which ratios are to."""
    model = setting.network.model
    inputs = tf.constant(setting.inputs)
    shape = tf.TensorSpec(inputs.shape, tf.float32)
    forward = tf.function(lambda x: model(x, training=False), input_signature=[shape])
    return Case("TensorFlow", BARE, lambda: forward(inputs))


def before_activation(layer: str) -> str:
    """The layer whose output goes straight into this ReLU6: its batch normalisation."""
    return layer.removesuffix("_act") + "_bn"


def measure(cases: list[Case], rounds: int, patience: float = math.inf) -> list[Timing]:
    """Times every case against the bare pass of its framework; the first one is TensorFlow's.

    A case that has taken more seconds than ``patience`` in all is measured once after the warm-up,
    and no more.
    """
    reference = cases[0].run
    order = list(range(len(cases)))
    pairs: list[list[tuple[float, float]]] = [[] for _ in cases]
    spent = [0.0] * len(cases)
    shuffle = random.Random(1).shuffle
    # As timeit does it: garbage collection belongs to none of the cases.
    gc.disable()
    for turn in range(rounds + WARM_UP):
        shuffle(order)
        for index in order:
            if turn > WARM_UP and spent[index] > patience:
                continue
            case = cases[index]
            pair = case.pair() if case.pair else timed_pair(reference, case.run)
            spent[index] += pair[1]
            if turn >= WARM_UP:
                pairs[index].append(pair)
        gc.collect()
    gc.enable()
    return [
        Timing(
            statistics.median(own for _, own in timed),
            statistics.median(own / base for base, own in timed),
        )
        for timed in pairs
    ]
