"""One step of gradient ascent on pictures, compiled with TensorFlow: see ``maximization``."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.features import forms, fourier
from cnnviz.features.objectives import Ascent
from cnnviz.networks import passes
from cnnviz.networks.engines.frozen import freeze
from cnnviz.networks.network import Network
from cnnviz.photos.preprocessing import scale_pixels

# From parameters, indices, rivals' indices and the number of the step to values (N,), gradients of
# the parameters, and pictures (N, side, side, C) uint8.
Step = Callable[
    [Floats, NDArray[np.int32], NDArray[np.int32], int], tuple[Floats, Floats, NDArray[np.uint8]]
]

# Compiled steps that are kept for one network: each holds a copy of its weights.
_MOST_KEPT = 2

_lock = threading.Lock()


def compiled(network: Network, layer: str | None, count: int, ascent: Ascent) -> Step:
    """The step for ``count`` pictures: compiled once, then kept with the network.

    Args:
        network: the network.
        layer: path of the layer of the channels; None for classes.
        count: pictures in a batch.
        ascent: how they are searched for.

    Raises:
        LayerError: the layer is never run, or the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of this size.
    """
    key = layer, count, _compiled_part(ascent), network.view, network.card.preprocessing.scaling
    with _lock:
        kept = network.ascents
        if key not in kept:
            function = _compile(network, layer, count, ascent)
            while len(kept) >= _MOST_KEPT:
                del kept[next(iter(kept))]
            kept[key] = function
        function = kept[key]
    return functools.partial(_take, function, ascent)


def _compiled_part(ascent: Ascent) -> tuple[Any, ...]:
    """What of an ascent is compiled into its step."""
    how = ascent.form, ascent.side, ascent.copies
    return *how, ascent.variation, ascent.noise, ascent.penalty


def _take(
    function: Callable[..., list[Any]],
    ascent: Ascent,
    parameters: Floats,
    numbers: NDArray[np.int32],
    rivals: NDArray[np.int32],
    step: int,
) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    # The same for a step and an objective, whatever was asked for before it or beside it.
    transforms, seeds = [], []
    for number in numbers:
        generator = np.random.default_rng([ascent.seed, step, number])
        transforms.append(random_transforms(generator, ascent.copies, ascent))
        seeds.append(generator.integers(0, 2**31, (ascent.copies, 2), np.int32))
    results = function(
        tf.constant(parameters),
        tf.constant(np.concatenate(transforms)),
        tf.constant(numbers),
        tf.constant(rivals),
        tf.constant(np.concatenate(seeds)),
    )
    values, slope, pictures = (result.numpy() for result in results)
    return values, slope, pictures


def random_transforms(generator: np.random.Generator, count: int, ascent: Ascent) -> Floats:
    """Random scaling, rotation and shift of each picture: (count, 8) float32.

    The numbers are those of TensorFlow's projective transform: a pixel (x, y) of the result is
    read at (a x + b y + c, d x + e y + f) of the picture.
    """
    angle = np.radians(generator.uniform(-ascent.turn, ascent.turn, count))
    zoom = np.exp(generator.uniform(math.log(ascent.zoom[0]), math.log(ascent.zoom[1]), count))
    shift = generator.uniform(-ascent.shift, ascent.shift, (2, count)) * ascent.side
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    middle = (ascent.side - 1) / 2
    transforms = np.zeros((count, 8), np.float32)
    transforms[:, 0], transforms[:, 1] = cosine, -sine
    transforms[:, 2] = middle - (cosine - sine) * middle + shift[0]
    transforms[:, 3], transforms[:, 4] = sine, cosine
    transforms[:, 5] = middle - (sine + cosine) * middle + shift[1]
    return transforms


def _compile(
    network: Network, layer: str | None, count: int, ascent: Ascent
) -> Callable[..., list[Any]]:
    side, copies = ascent.side, ascent.copies
    channels = min(network.card.preprocessing.channels, 3)
    layers = frozenset() if layer is None else frozenset({layer})
    first = layer is not None and passes.facts(network).topology.nodes[layer].channels_first
    places = (2, 3) if first else (1, 2)

    def graph(
        run: Callable[..., Any],
        parameters: Any,
        transforms: Any,
        numbers: Any,
        rivals: Any,
        seeds: Any,
    ) -> list[Any]:
        pictures = _PICTURES[ascent.form](parameters, side)
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.repeat(pictures, copies, axis=0),
            transforms=transforms,
            output_shape=[side, side],
            fill_value=0.5,
            interpolation="BILINEAR",
            fill_mode="REFLECT",
        )
        if ascent.noise:
            noise = [
                tf.random.stateless_normal((side, side, channels), seeds[number])
                for number in range(count * copies)
            ]
            moved += ascent.noise * tf.stack(noise)
        answers = run(_network_input(network, moved))
        of_copies = _values(
            answers, layer, places, tf.repeat(numbers, copies), tf.repeat(rivals, copies)
        )
        values = tf.reduce_mean(tf.reshape(of_copies, (count, copies)), axis=1)
        # A picture with less variation is worth as much as one that excites more.
        steeper = tf.stop_gradient(_slope_of_variation(pictures))
        aim = tf.reduce_sum(values) - ascent.variation * tf.reduce_sum(steeper * pictures)
        aim -= ascent.penalty * tf.reduce_sum(parameters**2)
        slope = tf.gradients(aim, parameters)[0]
        shown = tf.cast(tf.round(pictures * 255), tf.uint8)
        return [values, slope, shown]

    generator = np.random.default_rng()
    shape = forms.FORMS[ascent.form].draw(generator, side, channels).shape
    specs = [
        tf.TensorSpec((count, *shape), tf.float32),
        tf.TensorSpec((count * copies, 8), tf.float32),
        tf.TensorSpec((count,), tf.int32),
        tf.TensorSpec((count,), tf.int32),
        tf.TensorSpec((count * copies, 2), tf.int32),
    ]
    return freeze(network, layers, graph, specs)


def _of_spectrum(parameters: Any, side: int) -> Any:
    scaled = parameters * fourier.frequency_scale(side)[..., None]
    channels = scaled.shape[1]
    if channels == 3:
        # The colours of the spectra are mixed, and not those of pixels: long rows are quicker.
        shape = (-1, *scaled.shape[1:])
        rows = tf.reshape(scaled, (-1, channels, math.prod(shape[2:])))
        scaled = tf.reshape(tf.matmul(fourier.COLOURS.T, rows), shape)
    planes = tf.signal.irfft2d(tf.complex(scaled[..., 0], scaled[..., 1]), [side, side])
    flat = tf.reshape(planes, (-1, channels * side * side))
    deviation = tf.math.reduce_std(flat, axis=1, keepdims=True)
    squeezed = tf.sigmoid(flat * (fourier.CONTRAST / (deviation + 1e-6)))
    return tf.transpose(tf.reshape(squeezed, (-1, channels, side, side)), (0, 2, 3, 1))


def _of_phase(parameters: Any, side: int) -> Any:
    lengths = forms.magnitudes(side, parameters.shape[1])
    waves = tf.complex(lengths * tf.cos(parameters), lengths * tf.sin(parameters))
    pictures = tf.transpose(tf.signal.irfft2d(waves, [side, side]), (0, 2, 3, 1))
    if pictures.shape[-1] == 3:
        pictures = tf.tensordot(pictures, fourier.COLOURS, 1)
    return tf.sigmoid(pictures)


def _of_digits(parameters: Any, side: int) -> Any:
    mean, components = forms.digit_components()
    ink = tf.sigmoid(forms.SLOPE * (mean + tf.matmul(parameters, components) - 0.5))
    return tf.reshape(ink, (-1, side, side, 1))


# From the parameters of N pictures to pictures (N, side, side, C) of 0 to 1.
_PICTURES: dict[str, Callable[[Any, int], Any]] = {
    "spectrum": _of_spectrum,
    "phase": _of_phase,
    "digits": _of_digits,
}


def _network_input(network: Network, pictures: Any) -> Any:
    """Pictures (N, h, w, C) of 0 to 1, scaled as the card defines it."""
    steps = network.card.preprocessing
    channels = pictures.shape[-1]
    black = np.zeros((1 + channels, channels), np.uint8)
    black[1:] = 255 * np.eye(channels, dtype=np.uint8)
    # Each scaling is linear: black and one full colour after the other say all of it.
    base, *full = scale_pixels(black, steps.scaling)
    scaled = tf.tensordot(pictures, np.stack(full) - base, 1) + base
    if steps.channels == 4:
        opaque = scale_pixels(np.full((1,), 255, np.uint8), steps.scaling)
        scaled = tf.concat([scaled, tf.ones_like(scaled[..., :1]) * opaque], axis=-1)
    return scaled


def _values(
    values: dict[str, Any],
    layer: str | None,
    places: tuple[int, int],
    numbers: Any,
    rivals: Any,
) -> Any:
    """What each picture excites: (N,); ``places`` are the axes of the layer's rows and columns."""
    if layer is not None:
        averages = tf.reduce_mean(tf.cast(values["layers"][layer], tf.float32), places)
        return tf.gather(averages, numbers, axis=1, batch_dims=1)
    scores = tf.cast(values.get("logits", values["output"]), tf.float32)
    if scores.shape[1] == 1:
        # One unit stands for two classes.
        scores = tf.concat([-scores, scores], axis=1)
    own = tf.gather(scores, numbers, axis=1, batch_dims=1)
    other = tf.gather(scores, tf.maximum(rivals, 0), axis=1, batch_dims=1)
    return own - tf.where(rivals < 0, tf.zeros_like(other), other)


def _slope_of_variation(pictures: Any) -> Any:
    """The gradient of the mean squared difference of neighbouring pixels, as the pictures' shape.

    Of its two parts, the differences downwards and those across. Written out, since TensorFlow's
    own gradient of shifted differences takes four times as long.
    """
    _, height, width, channels = pictures.shape
    # At an edge the neighbour is the pixel itself: there is no difference.
    wide = tf.pad(pictures, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    down = 2 * pictures - wide[:, :-2, 1:-1] - wide[:, 2:, 1:-1]
    across = 2 * pictures - wide[:, 1:-1, :-2] - wide[:, 1:-1, 2:]
    return (2 / channels) * (down / ((height - 1) * width) + across / (height * (width - 1)))
