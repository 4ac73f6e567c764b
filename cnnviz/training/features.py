"""Training of the dense layer alone, on features that the convolutions gave once for each photo.

While the convolutions stay as they are, they give the same features of a photo in every epoch. So
they run once, before the first epoch, and an epoch takes as long as the dense layer does. The
network that is saved is whole: the layers that are trained are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnnviz.arrays import Floats
from cnnviz.errors import TrainingError
from cnnviz.training import pipelines
from cnnviz.training.data.manifest import Split
from cnnviz.training.runs import TrainingStatus
from cnnviz.training.setup import TrainingSetup

# The layer of a network whose input are the features: the first one that is trained, or changes
# what comes in at random.
_FIRST = "dropout"
# Photos that the convolutions take at once.
_BATCH = 16


@dataclass(frozen=True)
class Features:
    """What the convolutions gave for the photos for training and for validation.

    Attributes:
        head: the network from the features on: (N, D) -> probabilities (N, classes). Its layers
            are those of the whole network.
        values: of each of these splits, (N, D) in the order of ``Prepared.indices``.
        indices: of each split, as ``Prepared.indices`` gives them.
    """

    head: keras.Model
    values: dict[Split, Floats]
    indices: dict[Split, Any]

    def training_batches(self, setup: TrainingSetup, epoch: int) -> tf.data.Dataset:
        """As ``pipelines.training_batches``, with features in place of photos."""
        devices = setup.strategy.num_replicas_in_sync
        features = tf.constant(self.values["training"])
        weights = tf.constant(pipelines.class_weights(setup.prepared), tf.float32)
        classes = self.indices["training"][:, 0]
        numbered = np.stack([classes, np.arange(len(classes))], axis=1)

        def prepare(_epoch: tf.Tensor, _step: tf.Tensor, chosen: tf.Tensor) -> tuple[Any, ...]:
            labels = chosen[:, 0]
            shares = pipelines.shares(weights, labels)
            return pipelines.padded(devices, tf.gather(features, chosen[:, 1]), labels, shares)

        config = setup.config
        return pipelines.shuffled_batches(numbered, config.batch, config.seed, epoch, prepare)

    def measured_batches(self, split: Split, batch: int) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """The features of a split once, in order: (features, classes)."""
        for start in range(0, len(self.indices[split]), batch):
            rows = slice(start, start + batch)
            yield (
                tf.constant(self.values[split][rows]),
                tf.constant(self.indices[split][rows, 0]),
            )


def split_network(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The convolutions, photos -> features (N, D), and the layers after them, as two networks."""
    features = network.get_layer(_FIRST).input
    return keras.Model(network.input, features), keras.Model(features, network.output)


def compute_features(
    setup: TrainingSetup,
    network: keras.Model,
    report: Callable[[TrainingStatus], None] | None,
    stop: Callable[[], bool],
) -> Features:
    """Runs the convolutions once over the photos for training and for validation.

    Args:
        setup: the training.
        network: the whole network.
        report: is called with the progress after every batch.
        stop: is called after every batch.

    Raises:
        TrainingError: it was stopped.
    """
    body, head = split_network(network)
    run = tf.function(
        lambda photos: tf.cast(body(photos, training=False), tf.float32),
        input_signature=[tf.TensorSpec(body.input.shape, tf.float32)],
        jit_compile=False,
    )
    prepared, recipe = setup.prepared, setup.recipe
    splits: tuple[Split, ...] = ("training", "validation")
    indices = {split: prepared.indices(split) for split in splits}
    total, done = sum(map(len, indices.values())), 0
    values: dict[Split, Floats] = {}
    for split in splits:
        parts = []
        for photos, _ in pipelines.measured_batches(prepared, recipe, split, _BATCH):
            parts.append(run(photos).numpy())
            done += len(photos)
            if stop():
                raise TrainingError("The training was stopped before its first epoch was finished.")
            if report:
                epochs = setup.config.epochs
                report(TrainingStatus("training", photos_done=done, photos=total, epochs=epochs))
        values[split] = np.concatenate(parts)
    return Features(head, values, indices)
