"""Train a network by a recipe: a checkpoint after every epoch, and finally the best as a model.

The network before its first step is kept, too: as epoch 0, validated as the others.

The loop is written out, because Keras's ``fit`` cannot run on several machines with TensorFlow
(keras-team/keras issue 20585): one loop serves one device, several, and several machines, by
TensorFlow's own strategies, with the same curve on each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from cnnviz.cards import ModelCard, write_card
from cnnviz.errors import TrainingError
from cnnviz.storage import card_path
from cnnviz.training import checkpoints, pipelines
from cnnviz.training.architectures import freeze
from cnnviz.training.data.manifest import Prepared, Split
from cnnviz.training.features import Features, compute_features
from cnnviz.training.recipes import check_input, find_recipe
from cnnviz.training.result_card import Measurement, calibration_error, draft_card, measured_card
from cnnviz.training.runs import (
    BatchFigures,
    Epoch,
    TrainingConfig,
    TrainingRun,
    TrainingStatus,
    best_of,
    finished,
    run_folder,
)
from cnnviz.training.schedule import (
    describe_restart,
    is_fine_tuning,
    is_finished,
    learning_rate,
)
from cnnviz.training.setup import (
    TrainingSetup,
    build_network,
    choose_strategy,
    fastest_precision,
    is_first_machine,
)

Report = Callable[[TrainingStatus], None]
Watch = Callable[[BatchFigures], None]


@dataclass(frozen=True)
class Learner:
    """A network in one stage of its training.

    Attributes:
        network: as its recipe builds it.
        optimizer: its moments and its position on the learning rate's curve.
        fine_tuning: whether this is the second stage of a recipe that has two.
        step: takes an iterator of distributed batches, trains on one batch, and returns (3,): the
            sum of losses, the number of correctly classified photos, and the number of photos.
        predict: photos (N, h, w, C) -> probabilities (N, classes), in inference mode.
        features: what the step and ``predict`` take in place of photos; None where they take these.
            The network is then the part of it that is trained.
    """

    network: keras.Model
    optimizer: keras.Optimizer
    fine_tuning: bool
    step: Callable[[Any], tf.Tensor]
    predict: Callable[[tf.Tensor], tf.Tensor]
    features: Features | None = None

    @property
    def variables(self) -> list[Any]:
        """All that changes in a training: weights, the state of random layers, the optimizer."""
        return [*self.network.variables, *self.optimizer.variables]


def train(
    prepared: Prepared,
    out: str | Path,
    architecture: str,
    *,
    epochs: int | None = None,
    batch: int = 64,
    seed: int = 0,
    keep_best: bool = False,
    resume: bool = False,
    devices: Literal["one", "all"] = "one",
    report: Report | None = None,
    stop: Callable[[], bool] = bool,
    watch: Watch | None = None,
) -> ModelCard:
    """Trains a network on prepared data, and writes the best epoch as a model with its card.

    The folder ``NAME_training`` beside the model contains a checkpoint of every epoch, and of the
    untrained network as epoch 0, the history as CSV and for TensorBoard, and the state to resume
    from. Where the environment variable ``TF_CONFIG`` lists several machines, the same call on each
    of them trains one network.

    Args:
        prepared: the data; the classes' weights in the loss compensate for an imbalance.
        out: the ``.keras`` file for the model; its card gets the same name.
        architecture: a key of ``RECIPES``.
        epochs: the maximum; the recipe's if None, or that of the training which is resumed. The
            training stops earlier when the validation accuracy no longer improves. A finished
            training is resumed with a higher maximum: its learning rate, which has fallen to 0,
            begins again as ``schedule.learning_rate`` says.
        batch: photos of a step on one device; a step on n devices takes n times as many.
        seed: of everything random.
        keep_best: keeps only the checkpoint of the best epoch.
        resume: continues after the last finished epoch; the result equals that of a training
            without interruption, unless the training was finished.
        devices: ``all`` distributes each step among all graphics cards, or logical processors, of
            this machine.
        report: is called with the progress after every step.
        stop: is called after every step; if it returns True, the training ends, and the best
            epoch so far becomes the model.
        watch: is called with the figures of each batch.

    Returns:
        The card.

    Raises:
        DataError: there is no such architecture, or the data does not fit it.
        TrainingError: nothing to resume, another training in the folder, the disk is full,
            or the loss is no longer a number.
        ModelError: the shipped network from which ``transfer`` starts is missing.
    """
    recipe = find_recipe(architecture)
    sizes = prepared.preprocessing
    check_input(recipe, (sizes.height, sizes.width), sizes.channels)
    out = Path(out)
    strategy = choose_strategy(devices)
    total_batch = batch * strategy.num_replicas_in_sync
    setup = TrainingSetup(
        prepared,
        recipe,
        TrainingConfig(architecture, prepared.key, epochs or recipe.epochs, total_batch, seed),
        TrainingRun(run_folder(out), draft_card(prepared, recipe, out)),
        strategy,
        is_first_machine(strategy),
        keep_best,
        steps=-(-prepared.count("training") // total_batch),
    )
    try:
        history: list[Epoch] = []
        if resume:
            setup, history = checkpoints.resume(setup, epochs)
        elif setup.writes_files:
            checkpoints.create_folder(setup)
        history = _train_epochs(setup, history, report, stop, watch)
        return _write_model(setup, history, out) if setup.writes_files else setup.run.card
    except OSError as error:
        raise TrainingError(
            f"{setup.run.folder} cannot be written: {error.strerror or error}. The epochs that "
            "are finished are kept: free disk space, then go on with --resume."
        ) from error


def _train_epochs(
    setup: TrainingSetup,
    history: list[Epoch],
    report: Report | None,
    stop: Callable[[], bool],
    watch: Watch | None,
) -> list[Epoch]:
    """Trains until all epochs are finished or none improves; returns the whole history."""
    if is_finished(setup.config, history):
        return history
    keras.utils.set_random_seed(setup.config.seed)
    with setup.strategy.scope(), fastest_precision():
        network = build_network(setup)
    done = finished(history)
    features = compute_features(setup, network, report, stop) if setup.recipe.head_only else None
    fine_tuning = is_fine_tuning(setup.recipe, max(1, done))
    learner = make_learner(setup, network, fine_tuning=fine_tuning, features=features)
    if history:
        checkpoints.restore_state(setup, learner.variables)
    else:
        history = [_untrained(setup, learner)]
        if setup.writes_files:
            checkpoints.save_epoch(setup, network, learner.variables, history)
    if done and done == setup.config.continued_after:
        _restart(learner)
        if report:
            report(_restarted(setup, history))
    batches = training_batches(setup, done + 1, features)
    while not is_finished(setup.config, history):
        if learner.fine_tuning != is_fine_tuning(setup.recipe, finished(history) + 1):
            learner = make_learner(setup, network, fine_tuning=True)
        epoch = _train_epoch(setup, learner, batches, history, report, stop, watch)
        if epoch is None:
            break
        history = [*history, epoch]
        if setup.writes_files:
            checkpoints.save_epoch(setup, network, learner.variables, history)
        if report:
            # Epoch 0 alone has none.
            figures = epoch.loss or 0, epoch.accuracy or 0
            report(_status(setup, epoch.number, setup.steps, *figures, history))
    if not finished(history):
        raise TrainingError("The training was stopped before its first epoch was finished.")
    return history


def _untrained(setup: TrainingSetup, learner: Learner) -> Epoch:
    """Epoch 0: the network before its first step, validated as after each epoch."""
    validation = measure(setup, learner.predict, "validation", learner.features)
    return Epoch(0, None, None, validation.loss, validation.accuracy, rate=0, seconds=0)


def _restart(learner: Learner) -> None:
    """Makes the optimizer a new one, at the start of its learning rate's curve."""
    for variable in learner.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))


def _restarted(setup: TrainingSetup, history: Sequence[Epoch]) -> TrainingStatus:
    """The progress before the first step of a finished training that goes on."""
    status = _status(setup, finished(history) + 1, 0, 0, 0, history)
    return replace(status, message=describe_restart(setup.recipe, setup.config))


def make_learner(
    setup: TrainingSetup,
    network: keras.Model,
    *,
    fine_tuning: bool,
    features: Features | None = None,
) -> Learner:
    """The network with an optimizer for one stage: its learning rate falls to 0 along a cosine.

    Where there are features, the layers after them are trained alone.
    """
    recipe = setup.recipe
    network = features.head if features else network
    rate, epochs = learning_rate(recipe, setup.config, fine_tuning=fine_tuning)
    with setup.strategy.scope():
        if recipe.frozen:
            freeze(network, all_but_scores=not fine_tuning)
        schedule = keras.optimizers.schedules.CosineDecay(rate, setup.steps * epochs)
        optimizer = keras.optimizers.Adam(schedule)
        optimizer.build(network.trainable_variables)
    step = _make_step(network, optimizer, setup.strategy)
    return Learner(network, optimizer, fine_tuning, step, _make_predict(network), features)


def _make_step(
    network: keras.Model, optimizer: keras.Optimizer, strategy: tf.distribute.Strategy
) -> Callable[[Any], tf.Tensor]:
    weights = network.trainable_variables

    def on_one_device(photos: tf.Tensor, classes: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            probabilities = network(photos, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(classes, probabilities)
            loss = tf.reduce_sum(losses * shares)
        # The optimizer adds up the gradients of all devices.
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        correct = tf.cast(tf.argmax(probabilities, axis=1) == classes, tf.float32)
        # A photo of weight 0 is a repeated one.
        counted = tf.cast(shares > 0, tf.float32)
        return tf.reduce_sum(tf.stack([losses * counted, correct * counted, counted]), axis=1)

    @tf.function(jit_compile=False)
    def step(batches: Any) -> tf.Tensor:
        sums = strategy.run(on_one_device, args=next(batches))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    return step


def _make_predict(network: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    photos = tf.TensorSpec(network.input.shape, tf.float32)
    return tf.function(
        lambda photos: network(photos, training=False), input_signature=[photos], jit_compile=False
    )


def training_batches(setup: TrainingSetup, epoch: int, features: Features | None = None) -> Any:
    """An endless iterator of distributed training batches, from the start of an epoch on."""
    return iter(setup.strategy.experimental_distribute_dataset(_batches(setup, epoch, features)))


def _batches(setup: TrainingSetup, epoch: int, features: Features | None) -> tf.data.Dataset:
    if features is not None:
        return features.training_batches(setup, epoch)
    config = setup.config
    return pipelines.training_batches(
        setup.prepared,
        setup.recipe,
        pipelines.class_weights(setup.prepared),
        config.batch,
        config.seed,
        epoch,
        setup.strategy.num_replicas_in_sync,
    )


def _train_epoch(
    setup: TrainingSetup,
    learner: Learner,
    batches: Any,
    history: list[Epoch],
    report: Report | None,
    stop: Callable[[], bool],
    watch: Watch | None,
) -> Epoch | None:
    """Trains on all photos once, then validates; None if the training was stopped."""
    number, start, sums = finished(history) + 1, time.monotonic(), np.zeros(3)
    rate = float(keras.ops.convert_to_numpy(learner.optimizer.learning_rate))
    for step in range(1, setup.steps + 1):
        of_batch = learner.step(batches).numpy()
        sums += of_batch
        if watch:
            means = (float(value) for value in of_batch[:2] / of_batch[2])
            watch(BatchFigures(number, step, setup.steps, *means))
        if stop():
            return None
        loss, accuracy = (float(value) for value in sums[:2] / sums[2])
        if report and step < setup.steps:
            report(_status(setup, number, step, loss, accuracy, history))
    seconds = round(time.monotonic() - start, 2)
    validation = measure(setup, learner.predict, "validation", learner.features)
    if not np.isfinite([loss, validation.loss]).all():
        raise TrainingError(
            f"In epoch {number} the loss was no longer a number. The checkpoints of the epochs "
            "before it are kept."
        )
    return Epoch(number, loss, accuracy, validation.loss, validation.accuracy, rate, seconds)


def _status(
    setup: TrainingSetup,
    number: int,
    step: int,
    loss: float,
    accuracy: float,
    history: Sequence[Epoch],
) -> TrainingStatus:
    """The progress after a step of an epoch."""
    epochs, steps = setup.config.epochs, setup.steps
    seconds_left = None
    if finished(history):
        mean = sum(epoch.seconds for epoch in history) / finished(history)
        seconds_left = mean * (epochs - number + 1 - step / steps)
    return TrainingStatus(
        "training",
        epoch=number,
        epochs=epochs,
        step=step,
        steps=steps,
        loss=loss,
        accuracy=accuracy,
        seconds_left=seconds_left,
        history=history,
    )


def measure(
    setup: TrainingSetup,
    predict: Callable[[tf.Tensor], tf.Tensor],
    split: Split,
    features: Features | None = None,
) -> Measurement:
    """Loss, accuracy, confusion matrix and calibration of a network on the photos of a split.

    Where there are features, they take the place of photos.
    """
    classes = len(setup.prepared.labels)
    confusion = np.zeros((classes, classes), np.int64)
    confidences, correct = [], []
    loss = 0.0
    batch = setup.config.batch
    batches = (
        features.measured_batches(split, batch)
        if features
        else pipelines.measured_batches(setup.prepared, setup.recipe, split, batch)
    )
    for photos, truth in batches:
        probabilities = predict(photos)
        losses = keras.losses.sparse_categorical_crossentropy(truth, probabilities)
        loss += float(tf.reduce_sum(losses))
        predicted = probabilities.numpy().argmax(axis=1)
        np.add.at(confusion, (truth.numpy(), predicted), 1)
        confidences.append(probabilities.numpy().max(axis=1))
        correct.append(predicted == truth.numpy())
    count = confusion.sum()
    return Measurement(
        float(loss / count),
        float(confusion.trace() / count),
        confusion,
        calibration_error(np.concatenate(confidences), np.concatenate(correct)),
    )


def _write_model(setup: TrainingSetup, history: Sequence[Epoch], out: Path) -> ModelCard:
    """Measures the file of the best epoch again, and writes it as the model with its card."""
    checkpoint = setup.run.folder / best_of(history).checkpoint
    network = keras.saving.load_model(checkpoint, compile=False)
    predict = _make_predict(network)
    splits: tuple[Split, ...] = ("test", "validation")
    measurements = {
        split: measure(setup, predict, split) for split in splits if setup.prepared.count(split)
    }
    card = measured_card(setup.run.card, history, measurements, setup.config.continued_after)
    part = out.with_name(f"{out.stem}.part.keras")
    network.save(part)
    write_card(card, card_path(out))
    part.replace(out)
    return card
