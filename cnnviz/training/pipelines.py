"""Prepared data as batches for training: shuffled and augmented, reproducibly.

Everything random is derived from (seed, epoch, step), so that a training that resumes after an
interruption gets the batches that it would have got.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

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
        recipe: how photos are augmented and scaled.
        weights: of each class in the loss.
        batch: photos in a batch; the last one of an epoch may hold fewer.
        seed: of the order and the augmentation.
        epoch: the first one, counted from 1.
        devices: that share a batch. A batch whose size is no multiple of that is padded with
            repeated photos of weight 0, so that every device gets photos.

    Returns:
        Batches of (photos (N, h, w, C) float32, classes (N,), weights (N,)); the weights are
        divided by N, so that the sum over all devices is the mean over the batch.
    """
    read = _reader(prepared, recipe)
    class_weights = tf.constant(weights, tf.float32)

    def prepare(number: tf.Tensor, step: tf.Tensor, chosen: tf.Tensor) -> tuple[Any, ...]:
        photos = augment(read(chosen), recipe.augmentation, _seeds(seed, number, step))
        classes = chosen[:, 0]
        share = shares(class_weights, classes)
        return padded(devices, _scaled(photos, recipe), classes, share)

    return shuffled_batches(prepared.indices("training"), batch, seed, epoch, prepare)


def shuffled_batches(
    indices: NDArray[np.int64],
    batch: int,
    seed: int,
    epoch: int,
    prepare: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[Any, ...]],
) -> tf.data.Dataset:
    """Endless batches of indices (N, 2) in a new order for each epoch, from an epoch on.

    ``prepare`` makes a batch of the number of the epoch, that of the step, and the indices.
    """
    rows = tf.constant(indices)

    def one_epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = _order(rows, seed, number)
        batches = tf.data.Dataset.from_tensor_slices(order).batch(batch)
        return batches.enumerate().map(lambda step, chosen: (number, step, chosen))

    epochs = tf.data.Dataset.range(epoch, tf.int64.max).flat_map(one_epoch)
    return _with_options(epochs.map(prepare, num_parallel_calls=2).prefetch(2))


def shares(weights: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """The weights of a batch's photos in its loss: those of their classes, divided by N."""
    return tf.gather(weights, classes) / tf.cast(tf.shape(classes)[0], tf.float32)


def shown_photos(
    prepared: Prepared, recipe: Recipe, batch: int, seed: int, most: int
) -> Callable[[int, int], tuple[NDArray[np.uint8], list[str]]]:
    """A function that makes the first photos of a batch once more, as the network got them.

    Args:
        prepared: the data.
        recipe: how photos are augmented.
        batch: photos in a batch.
        seed: of the order and the augmentation.
        most: photos at most.

    Returns:
        A function of an epoch and a step, both counted from 1, to photos (k, h, w, C) of 0 to 255
        and their classes.
    """
    indices = tf.constant(prepared.indices("training"))
    read = _reader(prepared, recipe)

    @functools.lru_cache(maxsize=1)
    def order(epoch: int) -> NDArray[np.int64]:
        return _order(indices, seed, epoch).numpy()

    def find(epoch: int, step: int) -> tuple[NDArray[np.uint8], list[str]]:
        chosen = order(epoch)[(step - 1) * batch : step * batch]
        # The changes of a photo depend on how many there are in the batch.
        draws = _draws(len(chosen), _seeds(seed, epoch, step - 1))[:, :most]
        # Not compiled: that would take longer than the few photos.
        photos = _augmented.python_function(read(chosen[:most]), draws, recipe.augmentation)
        labels = [prepared.labels[index] for index in chosen[:most, 0]]
        return np.clip(np.rint(photos), 0, 255).astype(np.uint8), labels

    return find


def _order(indices: tf.Tensor, seed: int, epoch: tf.Tensor | int) -> tf.Tensor:
    """The photos of an epoch in the order of their batches."""
    return tf.random.experimental.stateless_shuffle(indices, seed=[seed, epoch])


def _seeds(seed: int, epoch: tf.Tensor | int, step: tf.Tensor | int) -> tf.Tensor:
    """The seed of a batch's changes; TensorFlow takes two numbers, so epoch and step share one."""
    both = tf.cast(epoch, tf.int64) * 1_000_003 + tf.cast(step, tf.int64)
    return tf.stack([tf.constant(seed, tf.int64), both])


def padded(
    devices: int, photos: tf.Tensor, classes: tf.Tensor, shares: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """As many photos for each device: the first ones are repeated with weight 0."""
    if devices == 1:
        return photos, classes, shares
    count = tf.shape(classes)[0]
    positions = tf.range(count + -count % devices)
    sources = positions % count
    shares = tf.where(positions < count, tf.gather(shares, sources), 0.0)
    return tf.gather(photos, sources), tf.gather(classes, sources), shares


def measured_batches(
    prepared: Prepared, recipe: Recipe, split: Split, batch: int
) -> tf.data.Dataset:
    """The photos of a split once, in order and not augmented: (photos, classes)."""
    indices = prepared.indices(split)
    read = _reader(prepared, recipe)
    batches = tf.data.Dataset.from_tensor_slices(indices).batch(batch)
    pairs = batches.map(
        lambda chosen: (_scaled(read(chosen), recipe), chosen[:, 0]), num_parallel_calls=2
    )
    return _with_options(pairs.prefetch(2))


def _with_options(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    # The automatic tuning stalled for seconds at the end of a data set.
    options.autotune.enabled = False
    options.deterministic = True
    # Each machine reads its share of every batch.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options)


def _reader(prepared: Prepared, recipe: Recipe) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from indices (N, 2), class and row, to photos (N, h, w, C) float32 of 0 to 255."""
    arrays = prepared.arrays()
    sizes = prepared.preprocessing
    shape = (None, sizes.height, sizes.width, sizes.channels)
    kind = arrays[0].dtype

    def gather(chosen: Any) -> Any:
        return np.stack([arrays[index][row] for index, row in chosen])

    def read(chosen: tf.Tensor) -> tf.Tensor:
        photos = tf.ensure_shape(tf.numpy_function(gather, [chosen], kind), shape)
        if sizes.scaling == "unit":
            # They were whole numbers before the preparation divided them.
            return tf.round(photos * 255.0)
        return tf.cast(photos, tf.float32)

    return read


def _scaled(photos: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    return photos / 255.0 if recipe.scaling == "unit" else photos


def augment(photos: tf.Tensor, augmentation: Augmentation, seed: tf.Tensor) -> tf.Tensor:
    """Augments each photo (N, h, w, C) of 0 to 255; the seed (2,) determines all changes."""
    return _augmented(photos, _draws(tf.shape(photos)[0], seed), augmentation)


def _draws(count: tf.Tensor | int, seed: tf.Tensor) -> tf.Tensor:
    """What each of some photos is changed by: (8, N), −1 to 1."""
    return tf.random.stateless_uniform([8, count], seed, -1.0, 1.0)


# Compiled as one step it takes a quarter of the time.
@tf.function(jit_compile=True)
def _augmented(photos: tf.Tensor, draws: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    flip, turn, right, down, zoom, contrast, brightness, invert = tf.unstack(draws[..., None, None])
    height, width = photos.shape[1], photos.shape[2]
    x, y = _source_positions(height, width, augmentation, (flip, turn, right, down, zoom))
    photos = _interpolated(photos, x, y, augmentation.border)
    if augmentation.contrast or augmentation.brightness:
        means = tf.reduce_mean(photos, axis=[1, 2], keepdims=True)
        factor = 1 + augmentation.contrast * contrast[..., None]
        offset = 255 * augmentation.brightness * brightness[..., None]
        photos = tf.clip_by_value(means + factor * (photos - means) + offset, 0.0, 255.0)
    inverted = (invert[..., None] + 1) / 2 < augmentation.invert
    return tf.where(inverted, 255 - photos, photos)


def _source_positions(
    height: int, width: int, augmentation: Augmentation, draws: tuple[tf.Tensor, ...]
) -> tuple[tf.Tensor, tf.Tensor]:
    """The columns and rows of the source photos that new pixels are taken from: (N, h, w) each.

    Photos are mirrored, rotated, shifted and zoomed in one step.
    """
    flip, turn, right, down, zoom = draws
    least, most = augmentation.zoom
    scale = (least + most) / 2 + zoom * (most - least) / 2
    mirror = tf.where(flip < 0, -1.0, 1.0) if augmentation.flip else tf.ones_like(flip)
    angle = turn * (augmentation.turn * np.pi / 180)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    x = tf.range(width, dtype=tf.float32)[None, None, :] - middle_x
    y = tf.range(height, dtype=tf.float32)[None, :, None] - middle_y
    rotated_x = mirror * tf.cos(angle) * x - tf.sin(angle) * y
    rotated_y = mirror * tf.sin(angle) * x + tf.cos(angle) * y
    return (
        scale * rotated_x + middle_x + right * augmentation.shift * width,
        scale * rotated_y + middle_y + down * augmentation.shift * height,
    )


def _interpolated(photos: tf.Tensor, x: tf.Tensor, y: tf.Tensor, border: str) -> tf.Tensor:
    """The values at positions (N, h, w) of photos (N, H, W, C), by bilinear interpolation."""
    height, width, channels = photos.shape[1:]
    if border == "reflect":
        x, y = _reflected(x, width), _reflected(y, height)
    # One list of pixels: to gather by one index is quicker than by three.
    pixels = tf.reshape(photos, [-1, channels])
    offsets = tf.range(tf.shape(photos)[0])[:, None, None] * (height * width)
    left, top = tf.floor(x), tf.floor(y)
    values = tf.zeros_like(photos)
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        share = tf.where(inside, (1 - tf.abs(x - column)) * (1 - tf.abs(y - row)), 0.0)
        index = tf.where(inside, row * width + column, 0.0)
        values += share[..., None] * tf.gather(pixels, offsets + tf.cast(index, tf.int32))
    return values


def _reflected(positions: tf.Tensor, size: int) -> tf.Tensor:
    """Positions along a side, outside of which the photo continues as its mirror image."""
    folded = tf.math.floormod(positions, 2.0 * size)
    folded = tf.where(folded < size, folded, 2.0 * size - 1 - folded)
    return tf.clip_by_value(folded, 0.0, size - 1.0)


def class_weights(prepared: Prepared) -> list[float]:
    """The weight of each class in the loss: as if all had equally many training photos."""
    counts = [sum(row.split == "training" for row in rows) for rows in prepared.rows.values()]
    return [sum(counts) / (len(counts) * count) for count in counts]
