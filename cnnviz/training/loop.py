"""Train a network by a recipe: a checkpoint for every epoch, and at the end the best as a model.

The loop is written out, because Keras's ``fit`` cannot run on several machines with TensorFlow
(keras-team/keras issue 20585): one loop serves one device, several, and several machines, by
TensorFlow's own strategies, and gives the same curve on each.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cnnviz.cards import (
    Accuracy,
    Confusion,
    ModelCard,
    Preprocessing,
    Training,
    card_path,
    write_card,
)
from cnnviz.errors import TrainingError
from cnnviz.storage import replace_file
from cnnviz.training import pipelines
from cnnviz.training.architectures import BUILDERS, freeze
from cnnviz.training.data.manifest import Prepared, Split
from cnnviz.training.recipes import Recipe, check_input, find_recipe
from cnnviz.training.runs import (
    Epoch,
    Progress,
    Run,
    best_of,
    read_history,
    run_folder,
    write_history,
)

# The share of all epochs without a better one after which the training stops: while the learning
# rate is high the figures go up and down.
_PATIENCE = 1 / 3
_LEAST_PATIENCE = 5
_STATE = "state.npz"
_LOGS = "logs"

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Plan:
    """What a training was asked for; going on with it needs the same.

    Attributes:
        architecture: name of a recipe.
        data: ``key`` of the prepared data.
        epochs: the most.
        batch: photos of a step on all devices together.
        seed: of the first weights, the order and the changes of the photos.
    """

    architecture: str
    data: str
    epochs: int
    batch: int
    seed: int


@dataclass(frozen=True)
class _Job:
    """All that stays the same in a training.

    Attributes:
        prepared: the data.
        recipe: the network and how it learns.
        plan: what was asked for.
        run: the folder.
        strategy: how a step is shared.
        writes: whether this machine writes the files: of several only the first one does.
        keep_best: whether the checkpoint of the best epoch alone is kept.
        steps: of an epoch.
    """

    prepared: Prepared
    recipe: Recipe
    plan: Plan
    run: Run
    strategy: tf.distribute.Strategy
    writes: bool
    keep_best: bool
    steps: int


@dataclass(frozen=True)
class _Learner:
    """A network while it learns.

    Attributes:
        network: as its recipe builds it.
        optimizer: its moments and its place on the learning rate's curve.
        tuning: whether this is the second stage of a recipe that has two.
        step: takes an iterator of distributed batches, trains on one, and gives the sums of
            losses, of photos told right, and of photos.
        answer: the network on photos, not learning.
    """

    network: keras.Model
    optimizer: keras.Optimizer
    tuning: bool
    step: Callable[[Any], tf.Tensor]
    answer: Callable[[tf.Tensor], tf.Tensor]


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
) -> ModelCard:
    """Trains a network on prepared data, and writes the best epoch as a model with its card.

    Beside the model a folder ``NAME_training`` holds a checkpoint of every epoch, the history as
    CSV and for TensorBoard, and what is needed to go on. Where the environment variable
    ``TF_CONFIG`` names several machines, the same call on each of them trains one network.

    Args:
        prepared: the data; the classes' weights in the loss even out an imbalance.
        out: the ``.keras`` file for the model; its card gets the same name.
        architecture: a key of ``RECIPES``.
        epochs: the most; the recipe's if None. It stops earlier when nothing gets better.
        batch: photos of a step on one device; a step on n devices takes n times as many.
        seed: of everything random.
        keep_best: keeps the checkpoint of the best epoch alone.
        resume: goes on after the last epoch that was finished; gives the same as a training that
            was never interrupted.
        devices: ``all`` shares each step among all graphics cards, or logical processors, of
            this machine.
        report: is told how far it is.
        stop: asked after every step; where it says yes, the best epoch so far becomes the model.

    Returns:
        The card.

    Raises:
        DataError: there is no such architecture, or the data does not fit it.
        TrainingError: nothing to go on with, another training in the folder, the disk is full,
            or the loss is no longer a number.
    """
    recipe = find_recipe(architecture)
    sizes = prepared.preprocessing
    check_input(recipe, (sizes.height, sizes.width), sizes.channels)
    out = Path(out)
    strategy = _strategy(devices)
    together = batch * strategy.num_replicas_in_sync
    job = _Job(
        prepared,
        recipe,
        Plan(architecture, prepared.key, epochs or recipe.epochs, together, seed),
        Run(run_folder(out), _draft(prepared, recipe, out)),
        strategy,
        _writes(strategy),
        keep_best,
        steps=-(-prepared.count("training") // together),
    )
    try:
        history = _begin(job, resume=resume)
        history = _learn(job, history, report, stop)
        return _finish(job, history, out) if job.writes else job.run.card
    except OSError as error:
        raise TrainingError(
            f"{job.run.folder} cannot be written: {error.strerror or error}. The epochs that are "
            "finished are kept: make room, then go on with --resume."
        ) from error


def _learn(
    job: _Job, history: list[Epoch], report: Report | None, stop: Callable[[], bool]
) -> list[Epoch]:
    """Trains epoch by epoch, until all are done or nothing gets better; gives all of them."""
    if _finished(job, history):
        return history
    keras.utils.set_random_seed(job.plan.seed)
    with job.strategy.scope(), _precision():
        network = _build(job)
    learner = _learner(job, network, tuning=_tunes(job, max(1, len(history))))
    if history:
        _restore(learner, job.run.folder / _STATE)
    batches = _batches(job, len(history) + 1)
    while not _finished(job, history):
        if learner.tuning != _tunes(job, len(history) + 1):
            learner = _learner(job, network, tuning=True)
        epoch = _one_epoch(job, learner, batches, history, report, stop)
        if epoch is None:
            break
        history = [*history, epoch]
        if job.writes:
            _save(job, learner, history)
        if report:
            done = (epoch.number, job.plan.epochs, job.steps, job.steps)
            report(Progress(*done, epoch.loss, epoch.accuracy, history))
    if not history:
        raise TrainingError("The training was stopped before its first epoch was finished.")
    return history


def _strategy(devices: str) -> tf.distribute.Strategy:
    """How a step is shared: among machines, among this one's devices, or not at all."""
    if os.environ.get("TF_CONFIG"):
        return tf.distribute.MultiWorkerMirroredStrategy()
    if devices == "one":
        return tf.distribute.get_strategy()
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in found])


def _writes(strategy: tf.distribute.Strategy) -> bool:
    resolver = strategy.cluster_resolver
    return resolver is None or resolver.task_id in {None, 0}


def _begin(job: _Job, *, resume: bool) -> list[Epoch]:
    """Makes the folder, or finds the epochs that are done in it."""
    folder = job.run.folder
    told = folder / "plan.json"
    if not resume:
        if not job.writes:
            return []
        if told.exists():
            raise TrainingError(
                f"{folder} holds a training already. Go on with it by --resume, or delete it."
            )
        folder.mkdir(parents=True, exist_ok=True)
        job.run.write_card()
        replace_file(told, (json.dumps(asdict(job.plan), indent=1) + "\n").encode())
        return []
    if not told.exists():
        raise TrainingError(f"There is no training in {folder} to go on with.")
    known = _known(told)
    other = [name for name, value in asdict(job.plan).items() if known.get(name) != value]
    if other:
        was = ", ".join(f"{name} {known.get(name)!r}" for name in other)
        raise TrainingError(
            f"The training in {folder} was begun with {was}. To go on it needs the same."
        )
    if not (folder / _STATE).exists():
        return []
    done = int(_arrays(folder / _STATE)["epoch"])
    history = read_history(folder)[:done]
    if len(history) != done:
        raise TrainingError(f"{folder} is damaged: its history lacks epochs. Begin anew.")
    if job.writes:
        # An epoch that was written and not finished is trained again.
        for path in job.run.checkpoints():
            if path.name not in {epoch.checkpoint for epoch in history}:
                path.unlink()
        write_history(folder, history)
        # TensorBoard adds up whatever lies there: an epoch that is trained again would show twice.
        shutil.rmtree(folder / _LOGS, ignore_errors=True)
        for epoch in history:
            _write_tensorboard(folder / _LOGS, epoch)
    return history


def _known(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{path} is damaged. Delete its folder, and begin anew.") from error


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path} is damaged. Delete its folder, and begin anew.") from error


def _finished(job: _Job, history: Sequence[Epoch]) -> bool:
    if not history:
        return False
    waited = len(history) - best_of(history).number
    patience = max(_LEAST_PATIENCE, round(_PATIENCE * job.plan.epochs))
    return len(history) >= job.plan.epochs or waited >= patience


def _tunes(job: _Job, number: int) -> bool:
    """Whether an epoch belongs to the second stage of a recipe that has two."""
    return 0 < job.recipe.frozen < number


def _learner(job: _Job, network: keras.Model, *, tuning: bool) -> _Learner:
    """The network with an optimizer for one stage: its learning rate falls to 0 along a cosine."""
    recipe, epochs = job.recipe, job.plan.epochs
    if tuning:
        epochs -= recipe.frozen
    elif recipe.frozen:
        epochs = min(recipe.frozen, epochs)
    rate = recipe.fine_rate if tuning else recipe.rate
    with job.strategy.scope():
        if recipe.frozen:
            freeze(network, all_but_scores=not tuning)
        falling = keras.optimizers.schedules.CosineDecay(rate, job.steps * epochs)
        optimizer = keras.optimizers.Adam(falling)
        optimizer.build(network.trainable_variables)
    return _Learner(
        network, optimizer, tuning, _step(network, optimizer, job.strategy), _answer(network)
    )


def _build(job: _Job) -> keras.Model:
    sizes = job.prepared.preprocessing
    shape = (sizes.height, sizes.width, sizes.channels)
    return BUILDERS[job.recipe.name](shape, len(job.prepared.labels))


def _answer(network: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    photos = tf.TensorSpec(network.input.shape, tf.float32)
    return tf.function(
        lambda photos: network(photos, training=False), input_signature=[photos], jit_compile=False
    )


@contextmanager
def _precision() -> Any:
    """Computes in bfloat16 where the graphics card is made for it; weights stay float32."""
    before = keras.config.dtype_policy()
    cards = tf.config.list_physical_devices("GPU")
    able = [
        tf.config.experimental.get_device_details(card).get("compute_capability", (0, 0)) >= (8, 0)
        for card in cards
    ]
    if able and all(able):
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _step(
    network: keras.Model, optimizer: keras.Optimizer, strategy: tf.distribute.Strategy
) -> Callable[[Any], tf.Tensor]:
    weights = network.trainable_variables

    def on_one_device(photos: tf.Tensor, classes: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            probabilities = network(photos, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(classes, probabilities)
            loss = tf.reduce_sum(losses * shares)
        # The optimizer adds the gradients of all devices up.
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        right = tf.cast(tf.argmax(probabilities, axis=1) == classes, tf.float32)
        # A photo without weight is a repeated one.
        once = tf.cast(shares > 0, tf.float32)
        return tf.reduce_sum(tf.stack([losses * once, right * once, once]), axis=1)

    @tf.function(jit_compile=False)
    def step(batches: Any) -> tf.Tensor:
        sums = strategy.run(on_one_device, args=next(batches))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    return step


def _batches(job: _Job, epoch: int) -> Any:
    """An iterator of training batches without end, from the start of an epoch on."""
    weights = class_weights(job.prepared)
    plan = job.plan
    devices = job.strategy.num_replicas_in_sync
    batches = pipelines.training_batches(
        job.prepared, job.recipe, weights, plan.batch, plan.seed, epoch, devices
    )
    return iter(job.strategy.experimental_distribute_dataset(batches))


def class_weights(prepared: Prepared) -> list[float]:
    """The weight of each class in the loss: as if all had equally many training photos."""
    counts = [sum(row.split == "training" for row in rows) for rows in prepared.rows.values()]
    return [sum(counts) / (len(counts) * count) for count in counts]


def _one_epoch(
    job: _Job,
    learner: _Learner,
    batches: Any,
    history: list[Epoch],
    report: Report | None,
    stop: Callable[[], bool],
) -> Epoch | None:
    """Trains on all photos once, then measures; None where somebody stopped it."""
    number, start, sums = len(history) + 1, time.monotonic(), np.zeros(3)
    rate = float(keras.ops.convert_to_numpy(learner.optimizer.learning_rate))
    for step in range(1, job.steps + 1):
        sums += learner.step(batches).numpy()
        if stop():
            return None
        loss, accuracy = (float(value) for value in sums[:2] / sums[2])
        if report and step < job.steps:
            done = (number, job.plan.epochs, step, job.steps)
            report(Progress(*done, loss, accuracy, history))
    seconds = round(time.monotonic() - start, 2)
    val_loss, val_accuracy, _ = _measure(job, learner.answer, "validation")
    if not np.isfinite([loss, val_loss]).all():
        raise TrainingError(
            f"In epoch {number} the loss was no longer a number. The checkpoints of the epochs "
            "before it are kept."
        )
    return Epoch(number, loss, accuracy, val_loss, val_accuracy, rate, seconds)


def _measure(
    job: _Job, answer: Callable[[tf.Tensor], tf.Tensor], split: Split
) -> tuple[float, float, NDArray[np.int64]]:
    """Mean loss and accuracy on the photos of a split, and the confusion matrix (C, C)."""
    classes = len(job.prepared.labels)
    confusion = np.zeros((classes, classes), np.int64)
    loss = 0.0
    for photos, truth in pipelines.measured_batches(
        job.prepared, job.recipe, split, job.plan.batch
    ):
        probabilities = answer(photos)
        losses = keras.losses.sparse_categorical_crossentropy(truth, probabilities)
        loss += float(tf.reduce_sum(losses))
        np.add.at(confusion, (truth.numpy(), probabilities.numpy().argmax(axis=1)), 1)
    count = confusion.sum()
    return float(loss / count), float(confusion.trace() / count), confusion


def _save(job: _Job, learner: _Learner, history: list[Epoch]) -> None:
    """Writes the checkpoint of the last epoch, then the history, then what going on needs."""
    folder = job.run.folder
    # Somebody may read the folder at any time: a checkpoint is there when it is whole.
    part = folder / "checkpoint.part.keras"
    _plain(job, learner.network).save(part)
    part.replace(folder / history[-1].checkpoint)
    write_history(folder, history)
    _write_tensorboard(folder / _LOGS, history[-1])
    part = folder / f"{_STATE}.part.npz"
    values = (keras.ops.convert_to_numpy(variable) for variable in _state(learner))
    arrays = {f"v{place:04}": value for place, value in enumerate(values)}
    np.savez(part, epoch=np.array(len(history)), **arrays)
    part.replace(folder / _STATE)
    if job.keep_best:
        for path in job.run.checkpoints():
            if path.name != best_of(history).checkpoint:
                path.unlink()


def _state(learner: _Learner) -> list[Any]:
    """All that changes in a training: weights, the state of random layers, the optimizer."""
    return [*learner.network.variables, *learner.optimizer.variables]


def _restore(learner: _Learner, path: Path) -> None:
    arrays = _arrays(path)
    names = sorted(set(arrays) - {"epoch"})
    variables = _state(learner)
    if len(names) != len(variables):
        raise TrainingError(f"{path} does not belong to this training. Begin anew.")
    for name, variable in zip(names, variables, strict=True):
        variable.assign(arrays[name])


def _plain(job: _Job, network: keras.Model) -> keras.Model:
    """The network in float32 throughout, which every machine can run."""
    if all(layer.dtype_policy.compute_dtype == "float32" for layer in network.layers):
        return network
    twin = _build(job)
    twin.set_weights(network.get_weights())
    return twin


def _write_tensorboard(folder: Path, epoch: Epoch) -> None:
    """One more point on TensorBoard's curves; written without TensorBoard itself."""
    kind = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    )
    for name, loss, accuracy in (
        ("training", epoch.loss, epoch.accuracy),
        ("validation", epoch.val_loss, epoch.val_accuracy),
    ):
        writer = tf.summary.create_file_writer(str(folder / name))
        with writer.as_default(step=epoch.number):
            tf.summary.write("loss", loss, metadata=kind)
            tf.summary.write("accuracy", accuracy, metadata=kind)
        writer.close()


def _draft(prepared: Prepared, recipe: Recipe, out: Path) -> ModelCard:
    """The card as far as it is known before the training."""
    training, validation = prepared.count("training"), prepared.count("validation")
    counts = ", ".join(f"{len(rows):,} of {label}" for label, rows in prepared.rows.items())
    start = f"; starts from {recipe.origin}" if recipe.origin else ""
    known = prepared.preprocessing.model_dump() | {"scaling": recipe.scaling}
    test = prepared.count("test")
    return ModelCard(
        title=out.stem.replace("_", " "),
        description=recipe.about,
        labels=list(prepared.labels),
        preprocessing=Preprocessing.model_validate(known),
        training=Training(
            data=f"{prepared.source}: {counts}{start}",
            split=(
                f"by a hash of the content: {training:,} photos for training, changed at random in "
                f"every epoch, and {validation:,} for validation, which chose the best epoch"
                + (f"; {test:,} for the test, which chose nothing" if test else "")
            ),
        ),
        licence="unknown",
        source=f"trained with 'python -m cnnviz train --architecture {recipe.name}'",
        suggested_layers=recipe.layers,
    )


def _finish(job: _Job, history: Sequence[Epoch], out: Path) -> ModelCard:
    """Measures the best epoch's file again, and makes it the model."""
    best = best_of(history)
    network = keras.saving.load_model(job.run.folder / best.checkpoint, compile=False)
    answer = _answer(network)
    figures, confusion = [], None
    splits: tuple[Split, ...] = ("test", "validation")
    for split in splits:
        if job.prepared.count(split):
            _, accuracy, counts = _measure(job, answer, split)
            on = f"the {counts.sum():,} {split} photos"
            figures.append(Accuracy(metric="accuracy", value=round(accuracy, 4), on=on))
            confusion = confusion or Confusion(counts=counts.tolist(), on=on)
    measured = {
        "accuracy": figures,
        "confusion": confusion,
        "epochs": best.number,
        "seconds": round(sum(epoch.seconds for epoch in history), 1),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }
    training = job.run.card.training.model_copy(update=measured)
    card = job.run.card.model_copy(update={"training": training})
    part = out.with_name(f"{out.stem}.part.keras")
    network.save(part)
    write_card(card, card_path(out))
    part.replace(out)
    return card
