"""Prepared data as batches for training: shuffled, changed at random, and always the same.

Everything random comes from (seed, epoch, place in the epoch), so that a training that goes on
after an interruption sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cnnviz.data import Prepared, Split
from cnnviz.recipes import Augmentation, Recipe


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
    count = tf.shape(photos)[0]
    draws = tf.unstack(tf.random.stateless_uniform([8, count], seed, -1.0, 1.0))
    photos = _moved(photos, how, draws[:5])
    if how.contrast or how.brightness:
        means = tf.reduce_mean(photos, axis=[1, 2], keepdims=True)
        contrast = 1 + how.contrast * draws[5][:, None, None, None]
        brightness = 255 * how.brightness * draws[6][:, None, None, None]
        # The same as to stretch around the mean, with one pass over the photos less.
        photos = photos * contrast + (means * (1 - contrast) + brightness)
        photos = tf.clip_by_value(photos, 0.0, 255.0)
    if not how.invert:
        return photos
    inverted = (draws[7] + 1) / 2 < how.invert
    return tf.where(inverted[:, None, None, None], 255 - photos, photos)


def _moved(photos: tf.Tensor, how: Augmentation, draws: list[tf.Tensor]) -> tf.Tensor:
    """Mirrored, turned, shifted and zoomed, in one step."""
    flip, turn, across, down, zoom = draws
    height, width = photos.shape[1], photos.shape[2]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    least, most = how.zoom
    scale = (least + most) / 2 + zoom * (most - least) / 2
    angle = turn * (how.turn * np.pi / 180)
    mirror = tf.where(flip < 0, -1.0, 1.0) if how.flip else tf.ones_like(flip)
    # From a place in the new photo to one in the old, around the middle of both.
    a, b = mirror * scale * tf.cos(angle), -scale * tf.sin(angle)
    d, e = mirror * scale * tf.sin(angle), scale * tf.cos(angle)
    c = middle_x - a * middle_x - b * middle_y + across * how.shift * width
    f = middle_y - d * middle_x - e * middle_y + down * how.shift * height
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=photos,
        transforms=tf.stack([a, b, c, d, e, f, zero, zero], axis=1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode=how.border.upper(),
    )
