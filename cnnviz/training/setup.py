"""What stays the same during a training: configuration, data, recipe, folder and devices."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import tensorflow as tf

from cnnviz.training.architectures import BUILDERS
from cnnviz.training.data.manifest import Prepared
from cnnviz.training.recipes import Recipe
from cnnviz.training.runs import TrainingConfig, TrainingRun


@dataclass(frozen=True)
class TrainingSetup:
    """Everything that stays the same during a training.

    Attributes:
        prepared: the data.
        recipe: the network and how it is trained.
        config: the stored configuration.
        run: the folder.
        strategy: how a step is distributed.
        writes_files: whether this machine writes the files: of several only the first one does.
        keep_best: whether only the checkpoint of the best epoch is kept.
        steps: steps of an epoch.
    """

    prepared: Prepared
    recipe: Recipe
    config: TrainingConfig
    run: TrainingRun
    strategy: tf.distribute.Strategy
    writes_files: bool
    keep_best: bool
    steps: int


def choose_strategy(devices: str) -> tf.distribute.Strategy:
    """Distributes steps among machines, among this machine's devices, or not at all."""
    if os.environ.get("TF_CONFIG"):
        return tf.distribute.MultiWorkerMirroredStrategy()
    if devices == "one":
        return tf.distribute.get_strategy()
    logical = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in logical])


def is_first_machine(strategy: tf.distribute.Strategy) -> bool:
    """Whether this machine is the only one, or the first of several."""
    resolver = strategy.cluster_resolver
    return resolver is None or resolver.task_id in {None, 0}


def build_network(setup: TrainingSetup) -> keras.Model:
    """The recipe's network, untrained, for the size and the classes of the data."""
    sizes = setup.prepared.preprocessing
    shape = (sizes.height, sizes.width, sizes.channels)
    return BUILDERS[setup.recipe.name](shape, len(setup.prepared.labels))


@contextmanager
def fastest_precision() -> Iterator[None]:
    """Computes in bfloat16 on graphics cards that support it; weights stay float32."""
    before = keras.config.dtype_policy()
    cards = tf.config.list_physical_devices("GPU")
    support_bfloat16 = [
        tf.config.experimental.get_device_details(card).get("compute_capability", (0, 0)) >= (8, 0)
        for card in cards
    ]
    if support_bfloat16 and all(support_bfloat16):
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
