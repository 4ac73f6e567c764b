"""Prepared data as batches for training: shuffled, changed at random, and always the same.

Everything random comes from (seed, epoch, place in the epoch), so that a training that goes on
after an interruption sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cnnviz.training.data.manifest import Prepared, Split
from cnnviz.training.recipes import Augmentation, Recipe


def training_batches(
    prepared: Prepared,
    recipe: Recipe,
    weights: list[float],
    batch: int,
    seed: int,
    epoch: int,
    devices: int = 1,
) -> tf.data.Dataset:
    """Endless batches of training photos, from the start of an epoch on.

    Args:
        prepared: the data.
        recipe: says how photos are changed and scaled.
        weights: of each class in the loss.
        batch: photos in a batch; the last one of an epoch may hold fewer.
        seed: of the order and the changes.
        epoch: the first one, counted from 1.
        devices: that share a batch. So that none is left without photos, some photos of a batch
            that does not come out even are repeated, with weight 0.

    Returns:
        Batches of (photos (N, h, w, C) float32, classes (N,), weights (N,)); the weights are
        divided by N, so that the sum over all devices is the mean over the batch.
    """
    places = tf.constant(prepared.places("training"))
    read = _reader(prepared, recipe)
    by_class = tf.constant(weights, tf.float32)

    def one_epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(places, seed=[seed, number])
        batches = tf.data.Dataset.from_tensor_slices(order).batch(batch)
        return batches.enumerate().map(lambda step, chosen: (number, step, chosen))

    def prepare(number: tf.Tensor, step: tf.Tensor, chosen: tf.Tensor) -> tuple[Any, ...]:
        photos = read(chosen)
        # Two seeds are all that there is: the epoch and the step share one.
        drawn = tf.stack([tf.constant(seed, tf.int64), number * 1_000_003 + step])
        photos = augment(photos, recipe.augmentation, drawn)
        classes = chosen[:, 0]
        share = tf.gather(by_class, classes) / tf.cast(tf.shape(classes)[0], tf.float32)
        return _evened(devices, _scaled(photos, recipe), classes, share)

    epochs = tf.data.Dataset.range(epoch, tf.int64.max).flat_map(one_epoch)
    return _with_options(epochs.map(prepare, num_parallel_calls=2).prefetch(2))


def _evened(
    devices: int, photos: tf.Tensor, classes: tf.Tensor, shares: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """As many photos for each device: the first ones again, with weight 0."""
    if devices == 1:
        return photos, classes, shares
    count = tf.shape(classes)[0]
    places = tf.range(count + -count % devices)
    again = places % count
    shares = tf.where(places < count, tf.gather(shares, again), 0.0)
    return tf.gather(photos, again), tf.gather(classes, again), shares


def measured_batches(
    prepared: Prepared, recipe: Recipe, split: Split, batch: int
) -> tf.data.Dataset:
    """The photos of a split once, in order and unchanged: (photos, classes)."""
    places = prepared.places(split)
    read = _reader(prepared, recipe)
    batches = tf.data.Dataset.from_tensor_slices(places).batch(batch)
    pairs = batches.map(
        lambda chosen: (_scaled(read(chosen), recipe), chosen[:, 0]), num_parallel_calls=2
    )
    return _with_options(pairs.prefetch(2))


def _with_options(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # Left alone it stalled for seconds at the end of a data set.
    options.autotune.enabled = False
    options.deterministic = True
    # Each machine takes its share of every batch.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options)


def _reader(prepared: Prepared, recipe: Recipe) -> Callable[[tf.Tensor], tf.Tensor]:
    """Takes places (N, 2), gives photos (N, h, w, C) float32 of 0 to 255."""
    arrays = prepared.arrays()
    sizes = prepared.preprocessing
    shape = (None, sizes.height, sizes.width, sizes.channels)
    kind = arrays[0].dtype

    def gather(chosen: Any) -> Any:
        return np.stack([arrays[index][row] for index, row in chosen])

    def read(chosen: tf.Tensor) -> tf.Tensor:
        photos = tf.ensure_shape(tf.numpy_function(gather, [chosen], kind), shape)
        if sizes.scaling == "unit":
            # They were whole numbers before they were divided.
            return tf.round(photos * 255.0)
        return tf.cast(photos, tf.float32)

    return read


def _scaled(photos: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    return photos / 255.0 if recipe.scaling == "unit" else photos


def augment(photos: tf.Tensor, how: Augmentation, seed: tf.Tensor) -> tf.Tensor:
    """Changes each photo (N, h, w, C) of 0 to 255 at random; the same seed, the same changes."""
    draws = tf.random.stateless_uniform([8, tf.shape(photos)[0]], seed, -1.0, 1.0)
    return _changed(photos, draws, how)


# As one compiled step it takes a quarter of the time of TensorFlow's own operations.
@tf.function(jit_compile=True)
def _changed(photos: tf.Tensor, draws: tf.Tensor, how: Augmentation) -> tf.Tensor:
    flip, turn, across, down, zoom, stretch, light, invert = tf.unstack(draws[..., None, None])
    height, width = photos.shape[1], photos.shape[2]
    x, y = _places(height, width, how, (flip, turn, across, down, zoom))
    photos = _between(photos, x, y, how.border)
    if how.contrast or how.brightness:
        means = tf.reduce_mean(photos, axis=[1, 2], keepdims=True)
        contrast = 1 + how.contrast * stretch[..., None]
        brightness = 255 * how.brightness * light[..., None]
        photos = tf.clip_by_value(means + contrast * (photos - means) + brightness, 0.0, 255.0)
    inverted = (invert[..., None] + 1) / 2 < how.invert
    return tf.where(inverted, 255 - photos, photos)


def _places(
    height: int, width: int, how: Augmentation, draws: tuple[tf.Tensor, ...]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Where in the old photos the pixels of the new ones lie: columns and rows, (N, h, w) each.

    They are mirrored, turned, shifted and zoomed in one step.
    """
    flip, turn, across, down, zoom = draws
    least, most = how.zoom
    scale = (least + most) / 2 + zoom * (most - least) / 2
    mirror = tf.where(flip < 0, -1.0, 1.0) if how.flip else tf.ones_like(flip)
    angle = turn * (how.turn * np.pi / 180)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    x = tf.range(width, dtype=tf.float32)[None, None, :] - middle_x
    y = tf.range(height, dtype=tf.float32)[None, :, None] - middle_y
    turned_x = mirror * tf.cos(angle) * x - tf.sin(angle) * y
    turned_y = mirror * tf.sin(angle) * x + tf.cos(angle) * y
    return (
        scale * turned_x + middle_x + across * how.shift * width,
        scale * turned_y + middle_y + down * how.shift * height,
    )


def _between(photos: tf.Tensor, x: tf.Tensor, y: tf.Tensor, border: str) -> tf.Tensor:
    """The values at places (N, h, w) of photos (N, H, W, C), interpolated between four pixels."""
    height, width, channels = photos.shape[1:]
    if border == "reflect":
        x, y = _reflected(x, width), _reflected(y, height)
    # One list of pixels: to take from it by one number each is quicker than by three.
    pixels = tf.reshape(photos, [-1, channels])
    first = tf.range(tf.shape(photos)[0])[:, None, None] * (height * width)
    left, top = tf.floor(x), tf.floor(y)
    found = tf.zeros_like(photos)
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        share = tf.where(inside, (1 - tf.abs(x - column)) * (1 - tf.abs(y - row)), 0.0)
        place = tf.where(inside, row * width + column, 0.0)
        found += share[..., None] * tf.gather(pixels, first + tf.cast(place, tf.int32))
    return found


def _reflected(places: tf.Tensor, size: int) -> tf.Tensor:
    """Places along a side that goes on as its own mirror image."""
    folded = tf.math.floormod(places, 2.0 * size)
    folded = tf.where(folded < size, folded, 2.0 * size - 1 - folded)
    return tf.clip_by_value(folded, 0.0, size - 1.0)
