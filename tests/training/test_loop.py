"""Training: the network learns, its card is true, and an interruption loses nothing."""

from __future__ import annotations

import csv
import dataclasses
import errno
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from corpus import classes

import cnnviz
from cnnviz.cards import ModelCard, read_card
from cnnviz.errors import DataError, TrainingError
from cnnviz.settings import ROOT
from cnnviz.training import architectures, checkpoints, loop, pipelines, recipes, schedule
from cnnviz.training.data.manifest import Prepared, Row
from cnnviz.training.data.pixels import prepare_pixels
from cnnviz.training.loop import train
from cnnviz.training.recipes import Augmentation, Recipe, RecipeLayers
from cnnviz.training.result_card import Measurement, draft_card
from cnnviz.training.runs import (
    BatchFigures,
    Epoch,
    TrainingConfig,
    TrainingRun,
    TrainingStatus,
    open_run,
    read_history,
    write_history,
)
from cnnviz.training.setup import TrainingSetup, build_network, fastest_precision

# Keras saves weights with a call that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BATCH = 16
EPOCHS = 6


def prepare(folder: Path, counts: list[int], **options: int) -> Prepared:
    path = classes.write_pixels(folder / "a.npz", counts, **options)
    return prepare_pixels(path, folder / "data")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Three colours, one of them rare: 24 + 20 + 8 for training, 6 + 5 + 2 for validation."""
    return prepare(tmp_path_factory.mktemp("colours"), [30, 25, 10], tests=4)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A training without an interruption."""

    out: Path
    card: ModelCard
    reports: list[TrainingStatus]

    @property
    def folder(self) -> Path:
        return self.out.with_name("colours_training")

    @property
    def history(self) -> list[Epoch]:
        return read_history(self.folder)


@pytest.fixture(scope="module")
def trained(data: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    out = tmp_path_factory.mktemp("models") / "colours.keras"
    reports: list[TrainingStatus] = []
    card = train(
        data, out, "lesson-mnist", epochs=EPOCHS, batch=BATCH, seed=2, report=reports.append
    )
    return Trained(out, card, reports)


@pytest.fixture(scope="module")
def two_stages() -> Iterator[str]:
    """A small recipe like transfer: two epochs for the dense layer alone, then all layers."""

    def build(shape: tuple[int, int, int], count: int) -> Any:
        layers = keras.layers
        image = keras.Input(shape)
        x = layers.Conv2D(6, 3, strides=2, name="conv")(image)
        x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
        x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
        scores = layers.Dense(count, activation="softmax", name="predictions")(x)
        return keras.Model(image, scores)

    recipe = Recipe(
        "two-stages", "Two stages", "For tests.", "unit", 3, (8, 64), 16, 5, 1e-2,
        Augmentation(flip=True, brightness=0.1), RecipeLayers(), frozen=2, fine_rate=1e-3,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipes.RECIPES, recipe.name, recipe)
        patch.setitem(architectures.BUILDERS, recipe.name, build)
        yield recipe.name


@pytest.fixture(scope="module")
def staged(
    data: Prepared, two_stages: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[BatchFigures]]:
    """The folder of a training in two stages without an interruption, and what it told."""
    folder = tmp_path_factory.mktemp("staged")
    told: list[BatchFigures] = []
    train(data, folder / "a.keras", two_stages, batch=BATCH, watch=told.append)
    return folder / "a_training", told


def weights(path: Path) -> list[np.ndarray]:
    return keras.saving.load_model(path, compile=False).get_weights()


def without_time(history: list[Epoch]) -> list[Epoch]:
    return [dataclasses.replace(epoch, seconds=0) for epoch in history]


def same_files(one: Path, other: Path) -> None:
    """The same checkpoints, with exactly the same weights in them, and the same history."""
    assert without_time(read_history(one)) == without_time(read_history(other))
    names = [path.name for path in open_run(one).checkpoints()]
    assert names == [path.name for path in open_run(other).checkpoints()]
    for a, b in zip(weights(one / names[-1]), weights(other / names[-1]), strict=True):
        np.testing.assert_array_equal(a, b)


# --- Results -----------------------------------------------------------------------


def test_it_learns(trained: Trained) -> None:
    losses = [epoch.loss for epoch in trained.history[1:]]
    assert losses[-1] < 0.6 * losses[0]
    assert max(epoch.val_accuracy for epoch in trained.history) >= 0.9


def test_epoch_0_is_the_network_before_its_first_step(data: Prepared, trained: Trained) -> None:
    """Its figures are those of the network as it is built, worked out photo by photo."""
    untrained = trained.history[0]
    assert (untrained.number, untrained.loss, untrained.accuracy) == (0, None, None)
    assert (untrained.rate, untrained.seconds) == (0, 0)
    keras.utils.set_random_seed(2)
    built = architectures.lesson_mnist((16, 16, 3), 3)
    saved = keras.saving.load_model(trained.folder / untrained.checkpoint, compile=False)
    for a, b in zip(saved.get_weights(), built.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    arrays, losses, right = data.arrays(), [], []
    for label, row in data.indices("validation"):
        photo = arrays[label][row][None].astype(np.float32) / 255
        probabilities = np.asarray(built(photo, training=False))[0]
        losses.append(-np.log(probabilities[label]))
        right.append(probabilities.argmax() == label)
    assert untrained.val_loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert untrained.val_accuracy == pytest.approx(np.mean(right))


def test_the_cards_figures_are_those_of_the_saved_file(data: Prepared, trained: Trained) -> None:
    network = cnnviz.load_model(trained.out)
    assert network.card == trained.card
    arrays = data.arrays()
    figures = {}
    for split in ("test", "validation"):
        counts = np.zeros((3, 3), int)
        for label, row in data.indices(split):
            prediction = cnnviz.predict(network, arrays[label][row])
            counts[label, int(prediction.probabilities.argmax())] += 1
        figures[f"the {counts.sum()} {split} photos"] = counts
    training = trained.card.training
    metrics = [(one.metric, one.on) for one in training.accuracy]
    assert metrics == [("accuracy", on) for on in figures]
    for one in training.accuracy:
        assert one.value == round(figures[one.on].trace() / figures[one.on].sum(), 4)
    assert training.confusion
    assert training.confusion.on == "the 12 test photos"
    assert training.confusion.counts == figures["the 12 test photos"].tolist()


def test_the_card_describes_the_training(data: Prepared, trained: Trained) -> None:
    card = read_card(trained.out.with_suffix(".json"))
    assert card == trained.card
    assert (card.title, card.labels) == ("colours", ["0", "1", "2"])
    assert card.preprocessing.scaling == "unit"
    assert card.training.data == "a.npz: 34 of 0, 29 of 1, 14 of 2"
    assert "52 photos for training" in card.training.split
    assert "13 for validation" in card.training.split
    assert "12 for the test, which chose nothing" in card.training.split
    assert card.training.versions["keras"] == keras.__version__
    assert card.training.seconds == round(sum(epoch.seconds for epoch in trained.history), 1)


def test_the_best_epoch_becomes_the_model(trained: Trained) -> None:
    best = min(trained.history[1:], key=lambda epoch: (-epoch.val_accuracy, epoch.val_loss))
    assert trained.card.training.epochs == best.number
    for a, b in zip(weights(trained.out), weights(trained.folder / best.checkpoint), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_is_named_by_its_epoch_and_accuracy(trained: Trained) -> None:
    expected = [f"epoch-00{e.number}-{e.val_accuracy:.4f}.keras" for e in trained.history]
    assert [path.name for path in open_run(trained.folder).checkpoints()] == expected
    assert [epoch.number for epoch in trained.history] == list(range(EPOCHS + 1))
    # No temporary file is left.
    others = {path.name for path in trained.folder.iterdir()} - set(expected)
    assert others == {"card.json", "plan.json", "history.csv", "logs", "state.npz"}


def test_checkpoints_can_be_looked_into(trained: Trained) -> None:
    run = open_run(trained.folder)
    network = cnnviz.network(keras.saving.load_model(run.checkpoints()[0], compile=False), run.card)
    assert cnnviz.predict(network, classes.picture(0, 0)).labels == ("0", "1", "2")


def test_the_history_is_a_table(trained: Trained) -> None:
    with (trained.folder / "history.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == [
        "number", "loss", "accuracy", "val_loss", "val_accuracy", "rate", "seconds",
    ]  # fmt: skip
    assert list(lines[0].values())[:3] == ["0", "", ""]
    # A cosine from 0.001 to 0 in 6 epochs.
    expected = [0.0] + [0.0005 * (1 + np.cos(np.pi * epoch / 6)) for epoch in range(6)]
    np.testing.assert_allclose([float(line["rate"]) for line in lines], expected, rtol=1e-5)


def on_tensorboard(folder: Path) -> list[tuple[str, int, float]]:
    """The points of TensorBoard's curves: name, epoch, value."""
    points = []
    for name in ("training", "validation"):
        for path in (folder / "logs" / name).iterdir():
            for record in tf.data.TFRecordDataset(str(path)):
                event = tf.compat.v1.Event.FromString(record.numpy())
                for value in event.summary.value:
                    assert value.metadata.plugin_data.plugin_name == "scalars"
                    scalar = float(tf.make_ndarray(value.tensor))
                    points.append((f"{name} {value.tag}", event.step, scalar))
    return sorted(points)


def test_tensorboard_gets_the_same_figures(trained: Trained) -> None:
    expected = [
        (name, epoch.number, pytest.approx(value, rel=1e-6))
        for epoch in trained.history
        for name, value in (
            ("training loss", epoch.loss),
            ("training accuracy", epoch.accuracy),
            ("validation loss", epoch.val_loss),
            ("validation accuracy", epoch.val_accuracy),
        )
        if value is not None
    ]
    assert on_tensorboard(trained.folder) == sorted(expected, key=lambda point: point[:2])


def test_progress_is_reported_after_every_step(trained: Trained) -> None:
    steps = [(now.epoch, now.step) for now in trained.reports]
    assert steps == [(epoch, step) for epoch in range(1, EPOCHS + 1) for step in range(1, 5)]
    assert all((now.epochs, now.steps) == (EPOCHS, 4) for now in trained.reports)
    assert [len(now.history) for now in trained.reports[:5]] == [1, 1, 1, 2, 2]
    assert list(trained.reports[-1].history) == trained.history


def test_each_batch_is_told(staged: tuple[Path, list[BatchFigures]]) -> None:
    """The mean over its batches, each as often as it has photos, is that of the epoch."""
    folder, told = staged
    steps = [(one.epoch, one.step, one.steps) for one in told]
    assert steps == [(epoch, step, 4) for epoch in range(1, 6) for step in range(1, 5)]
    counts = [16, 16, 16, 4]
    for epoch in read_history(folder)[1:]:
        batches = [one for one in told if one.epoch == epoch.number]
        assert np.average([one.loss for one in batches], weights=counts) == pytest.approx(
            epoch.loss, rel=1e-5
        )
        assert np.average([one.accuracy for one in batches], weights=counts) == pytest.approx(
            epoch.accuracy
        )


def test_the_confusion_matrix_has_a_row_for_each_true_class(
    data: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    setup = setup_of(data, tmp_path)
    probabilities = tf.constant([[0.1, 0.7, 0.2]])
    measured = loop.measure(
        setup, lambda photos: tf.repeat(probabilities, tf.shape(photos)[0], axis=0), "validation"
    )
    assert measured.confusion.tolist() == [[0, 6, 0], [0, 5, 0], [0, 2, 0]]
    assert measured.accuracy == pytest.approx(5 / 13)
    assert measured.loss == pytest.approx(
        -(6 * np.log(0.1) + 5 * np.log(0.7) + 2 * np.log(0.2)) / 13
    )
    assert measured.calibration_error == pytest.approx(0.7 - 5 / 13)


def setup_of(data: Prepared, folder: Path) -> TrainingSetup:
    recipe = recipes.RECIPES["tiny-vgg"]
    config = TrainingConfig("tiny-vgg", data.key, 1, BATCH, 0)
    run = TrainingRun(folder, draft_card(data, recipe, folder / "a.keras"))
    strategy = tf.distribute.get_strategy()
    return TrainingSetup(data, recipe, config, run, strategy, True, False, 4)


def test_class_weights_by_hand(data: Prepared) -> None:
    # 52 photos, of which each class should count for a third.
    expected = [52 / 3 / 24, 52 / 3 / 20, 52 / 3 / 8]
    assert pipelines.class_weights(data) == pytest.approx(expected)


def test_weights_of_a_balanced_set_are_1() -> None:
    rows = (Row("a", "", 8, 8), Row("b", "", 8, 8), Row("c", "", 8, 8, "validation"))
    data = Prepared(Path(), "", None, 0, {"cat": rows, "dog": rows[:2]}, {}, "")  # type: ignore[arg-type]
    assert pipelines.class_weights(data) == [1, 1]


def test_the_first_step_by_hand(data: Prepared, tmp_path: Path) -> None:
    """The gradients of a step are those of the weighted mean loss."""
    setup = setup_of(data, tmp_path)
    keras.utils.set_random_seed(0)
    network = build_network(setup)
    learner = loop.make_learner(setup, network, fine_tuning=False)
    before = [np.asarray(v) for v in network.trainable_variables]
    photos, labels, shares = next(iter(loop.training_batches(setup, 1)))
    np.testing.assert_allclose(
        shares, np.array(pipelines.class_weights(data))[labels] / BATCH, rtol=1e-6
    )
    with tf.GradientTape() as tape:
        chosen = tf.gather(network(photos), labels, batch_dims=1)
        loss = tf.reduce_sum(-tf.math.log(chosen) * shares)
    gradients = [g.numpy() for g in tape.gradient(loss, network.trainable_variables)]
    summed, _, count = learner.step(loop.training_batches(setup, 1)).numpy()
    assert summed == pytest.approx(float(tf.reduce_sum(-tf.math.log(chosen))), rel=1e-5)
    assert count == BATCH
    # Adam's first step goes by the learning rate along the sign of each gradient, unless that is
    # as small as its epsilon.
    for old, gradient, new in zip(before, gradients, network.trainable_variables, strict=True):
        expected = 1e-3 * gradient / (np.abs(gradient) + 1e-7 / np.sqrt(1 - 0.999))
        np.testing.assert_allclose(old - np.asarray(new), expected, atol=1e-5)


# --- Interrupted ----------------------------------------------------------------------------


class Stop(BaseException):
    """In place of the end of a process."""


def interrupted_at(epoch: int, step: int) -> Callable[[TrainingStatus], None]:
    def report(now: TrainingStatus) -> None:
        if (now.epoch, now.step) == (epoch, step):
            raise Stop

    return report


def test_killed_and_resumed_a_training_equals_one_without_interruption(
    data: Prepared, trained: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "colours.keras"
    command = [
        sys.executable, "-m", "cnnviz", "train", str(data.folder), "--architecture",
        "lesson-mnist", "--out", str(out), "--epochs", f"{EPOCHS}", "--batch", f"{BATCH}",
        "--seed", "2",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while not (line := process.stderr.readline()).startswith(f"epoch 2/{EPOCHS}"):
            assert line, "it ended by itself"
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    done = read_history(tmp_path / "colours_training")[-1].number
    assert 2 <= done < EPOCHS
    assert not out.exists()
    reports: list[TrainingStatus] = []
    card = train(
        data,
        out,
        "lesson-mnist",
        epochs=EPOCHS,
        batch=BATCH,
        seed=2,
        resume=True,
        report=reports.append,
    )
    assert reports[0].epoch in {done, done + 1}
    same_files(tmp_path / "colours_training", trained.folder)
    assert card.training.accuracy == trained.card.training.accuracy
    for a, b in zip(weights(out), weights(trained.out), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_disk_that_fills_up_between_a_checkpoint_and_its_state(
    data: Prepared, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = np.savez, []

    def full(*args: Any, **arrays: Any) -> None:
        calls.append(args)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(*args, **arrays)

    out = tmp_path / "colours.keras"
    config = {"epochs": EPOCHS, "batch": BATCH, "seed": 2}
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(TrainingError, match="No space left on device. The epochs.*--resume"):
        train(data, out, "lesson-mnist", **config)
    monkeypatch.undo()
    assert len(open_run(tmp_path / "colours_training").checkpoints()) == 4
    points = on_tensorboard(tmp_path / "colours_training")
    assert {epoch for _, epoch, _ in points} == {0, 1, 2, 3}
    reports: list[TrainingStatus] = []
    train(data, out, "lesson-mnist", **config, resume=True, report=reports.append)
    # The epoch without its state is trained again.
    assert reports[0].epoch == 3
    same_files(tmp_path / "colours_training", trained.folder)
    # No epoch shows twice.
    assert on_tensorboard(tmp_path / "colours_training") == on_tensorboard(trained.folder)


def test_each_stage_of_a_recipe_has_its_own_layers_and_rates(
    staged: tuple[Path, list[BatchFigures]],
) -> None:
    folder, _ = staged
    history = read_history(folder)
    # In each stage the learning rate falls along a cosine of its own.
    expected = [0, 1e-2, 5e-3, 1e-3, 7.5e-4, 2.5e-4]
    np.testing.assert_allclose([epoch.rate for epoch in history], expected, rtol=1e-5)
    first, frozen, tuned = (
        keras.saving.load_model(folder / history[at].checkpoint, compile=False) for at in (0, 2, 3)
    )
    kernels = [model.get_layer("conv").kernel.numpy() for model in (first, frozen, tuned)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[1], kernels[2])
    np.testing.assert_array_equal(tuned.get_layer("norm").moving_mean, np.zeros(6))


def test_stopped_and_resumed_across_the_stages_of_a_recipe(
    data: Prepared, two_stages: str, staged: tuple[Path, list[BatchFigures]], tmp_path: Path
) -> None:
    """Before the first epoch, at the border of the stages, and in the second one."""
    out, folder = tmp_path / "parts.keras", tmp_path / "parts_training"
    config = {"batch": BATCH, "resume": True}
    with pytest.raises(TrainingError, match="stopped before its first epoch was finished"):
        train(data, out, two_stages, batch=BATCH, stop=lambda: True)
    assert not out.exists()
    (untrained,) = read_history(folder)
    assert untrained.number == 0
    before = weights(folder / untrained.checkpoint)

    with pytest.raises(Stop):
        train(data, out, two_stages, **config, report=interrupted_at(3, 2))
    assert read_history(folder)[-1].number == 2
    # An unfinished training is finished before it gets more epochs.
    with pytest.raises(TrainingError, match="begun with epochs 5, of which 2 are done. Go on"):
        train(data, out, two_stages, **config, epochs=9)

    reports: list[TrainingStatus] = []
    card = train(
        data, out, two_stages, **config, report=reports.append, stop=lambda: len(reports) >= 5
    )
    # Four steps of an epoch and one of the next: the best epoch so far became the model.
    history = read_history(folder)
    assert [epoch.number for epoch in history] == [0, 1, 2, 3]
    best = schedule.best_of(history)
    assert card.training.epochs == best.number > 0
    for a, b in zip(weights(out), weights(folder / best.checkpoint), strict=True):
        np.testing.assert_array_equal(a, b)

    train(data, out, two_stages, **config)
    assert read_history(folder)[0] == untrained
    for a, b in zip(weights(folder / untrained.checkpoint), before, strict=True):
        np.testing.assert_array_equal(a, b)
    same_files(folder, staged[0])


def test_resuming_needs_the_same_configuration(data: Prepared, trained: Trained) -> None:
    config = {"epochs": EPOCHS, "batch": BATCH, "seed": 2}
    for change, stored in (
        ({"batch": 8}, "batch 16"),
        ({"seed": 3}, "seed 2"),
    ):
        with pytest.raises(TrainingError, match=f"begun with {stored}. To go on it needs the same"):
            train(data, trained.out, "lesson-mnist", **(config | change), resume=True)
    with pytest.raises(TrainingError, match="begun with architecture 'lesson-mnist'"):
        train(data, trained.out, "tiny-vgg", **config, resume=True)
    changed = dataclasses.replace(data, key="other")
    with pytest.raises(TrainingError, match="begun with data "):
        train(changed, trained.out, "lesson-mnist", **config, resume=True)


def test_a_finished_training_goes_on_with_more_epochs(
    data: Prepared, trained: Trained, tmp_path: Path
) -> None:
    config = {"batch": BATCH, "seed": 2, "resume": True}
    for name in ("whole", "parts"):
        shutil.copytree(trained.folder, tmp_path / f"{name}_training")
    reports: list[TrainingStatus] = []
    card = train(
        data,
        tmp_path / "whole.keras",
        "lesson-mnist",
        epochs=EPOCHS + 2,
        report=reports.append,
        **config,
    )
    (message,) = (now.message for now in reports if now.message)
    assert message == (
        "Epochs 7 to 8: the learning rate begins again at 0.0005 and falls to 0. The result is "
        "not that of one training of 8 epochs."
    )
    folder = tmp_path / "whole_training"
    history = read_history(folder)
    assert [epoch.number for epoch in history] == list(range(EPOCHS + 3))
    assert history[: EPOCHS + 1] == trained.history
    # The start of a cosine over two epochs, and its middle.
    rates = [epoch.rate for epoch in history[EPOCHS + 1 :]]
    np.testing.assert_allclose(rates, [5e-4, 2.5e-4], rtol=1e-5)
    points = on_tensorboard(folder)
    assert len(points) == len(set(points)) == 4 * len(history) - 2
    kernels = [weights(folder / epoch.checkpoint)[0] for epoch in history[EPOCHS:]]
    for before, after in itertools.pairwise(kernels):
        assert np.abs(before - after).max() > 1e-5
    assert card.source.endswith("lesson-mnist', finished after epoch 6 and then continued")
    assert f"epoch-{card.training.epochs:03}" in schedule.best_of(history).checkpoint

    # Interrupted, it goes on without a word of its epochs. That of an older version has no epoch
    # 0, and gets none.
    out, parts = tmp_path / "parts.keras", tmp_path / "parts_training"
    (parts / trained.history[0].checkpoint).unlink()
    write_history(parts, trained.history[1:])
    with pytest.raises(Stop):
        train(data, out, "lesson-mnist", epochs=EPOCHS + 2, report=interrupted_at(8, 2), **config)
    train(data, out, "lesson-mnist", **config)
    assert without_time(read_history(parts)) == without_time(history[1:])
    names = [path.name for path in open_run(parts).checkpoints()]
    assert names == [epoch.checkpoint for epoch in history[1:]]
    for a, b in zip(weights(parts / names[-1]), weights(folder / names[-1]), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(TrainingError, match="epochs 8, of which 8 are done.*more than 8"):
        train(data, out, "lesson-mnist", epochs=EPOCHS, **config)


def test_a_training_does_not_overwrite_another(data: Prepared, trained: Trained) -> None:
    before = weights(trained.out)
    with pytest.raises(TrainingError, match="holds a training already. Go on with it by --resume"):
        train(data, trained.out, "lesson-mnist")
    for a, b in zip(weights(trained.out), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_nothing_to_resume(data: Prepared, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="There is no training in .*a_training to go on with"):
        train(data, tmp_path / "a.keras", "tiny-vgg", resume=True)
    with pytest.raises(TrainingError, match="There is no training in"):
        open_run(tmp_path)


def test_resuming_after_the_end_gives_the_same_model(data: Prepared, trained: Trained) -> None:
    before = trained.out.stat().st_mtime_ns
    card = train(data, trained.out, "lesson-mnist", epochs=EPOCHS, batch=BATCH, seed=2, resume=True)
    assert card == trained.card
    assert trained.out.stat().st_mtime_ns > before


@pytest.mark.parametrize("file", ["plan.json", "state.npz", "history.csv"])
def test_a_damaged_folder(data: Prepared, trained: Trained, tmp_path: Path, file: str) -> None:
    shutil.copytree(trained.folder, tmp_path / "colours_training")
    (tmp_path / "colours_training" / file).write_text("damaged\n1\n")
    with pytest.raises(TrainingError, match="damaged"):
        train(
            data,
            tmp_path / "colours.keras",
            "lesson-mnist",
            epochs=EPOCHS,
            batch=BATCH,
            seed=2,
            resume=True,
        )


# --- Stopped --------------------------------------------------------------------------------


def test_it_stops_when_nothing_improves(
    data: Prepared, two_stages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The untrained network is not the best one, whatever its figures are.
    figures = iter([0.9, 0.5, 0.7, 0.7, 0.6, 0.7])
    measure = loop.measure

    def measured(*args: Any) -> Measurement:
        true = measure(*args)
        return dataclasses.replace(true, loss=1.0, accuracy=next(figures, true.accuracy))

    monkeypatch.setattr(loop, "measure", measured)
    monkeypatch.setattr(schedule, "PATIENCE", 0)
    monkeypatch.setattr(schedule, "MIN_PATIENCE", 2)
    card = train(data, tmp_path / "a.keras", two_stages, batch=BATCH, keep_best=True)
    history = read_history(tmp_path / "a_training")
    assert [epoch.val_accuracy for epoch in history] == [0.9, 0.5, 0.7, 0.7, 0.6]
    assert card.training.epochs == 2
    kept = open_run(tmp_path / "a_training").checkpoints()
    assert [path.name for path in kept] == ["epoch-002-0.7000.keras"]


def test_a_loss_that_is_no_number(
    data: Prepared, two_stages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    divergent = dataclasses.replace(recipes.RECIPES[two_stages], fine_rate=float("nan"))
    monkeypatch.setitem(recipes.RECIPES, two_stages, divergent)
    with pytest.raises(TrainingError, match="In epoch 3 the loss was no longer a number"):
        train(data, tmp_path / "a.keras", two_stages, batch=BATCH)
    assert [epoch.number for epoch in read_history(tmp_path / "a_training")] == [0, 1, 2]


# --- Data that does not fit -----------------------------------------------------------------


def test_data_that_does_not_fit(data: Prepared, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'transfer' takes photos of 224 .* 16 × 16.*--size 224"):
        train(data, tmp_path / "a.keras", "transfer")
    with pytest.raises(DataError, match="no architecture 'vgg'"):
        train(data, tmp_path / "a.keras", "vgg")
    (empty := tmp_path / "data").mkdir()
    missing = dataclasses.replace(data, folder=empty)
    with pytest.raises(DataError, match="0.npy is missing or damaged. Prepare the data again"):
        train(missing, tmp_path / "a.keras", "tiny-vgg")


# --- Several devices ------------------------------------------------------------------------

# Imports TensorFlow once for three trainings. A process chooses its devices before it uses them.
_ON_DEVICES = """
import json, os, sys, traceback
import tensorflow as tf
from cnnviz.processes import follow
from cnnviz.training import recipes
from cnnviz.training.data.manifest import read_prepared
from cnnviz.training.loop import train
from corpus.classes import flipped_vgg

def run(out, cluster):
    if cluster:
        os.environ["TF_CONFIG"] = json.dumps(cluster)
    else:
        processor, = tf.config.list_physical_devices("CPU")
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(processor, two)
    recipes.RECIPES["tiny-vgg"] = flipped_vgg()
    devices = "one" if cluster else "all"
    train(data, out, "tiny-vgg", epochs=2, batch=8, devices=devices)

data = read_prepared(sys.argv[1])
parent, children = os.getpid(), []
for out, cluster in json.loads(sys.argv[2]):
    child = os.fork()
    if not child:
        try:
            follow(parent)
            run(out, cluster)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """33 photos for training: the last batch of 16 has a single photo, for two devices."""
    return prepare(tmp_path_factory.mktemp("uneven"), [21, 20])


@pytest.fixture(scope="module")
def alone(uneven: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training on one device."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipes.RECIPES, "tiny-vgg", classes.flipped_vgg())
        train(uneven, folder / "a.keras", "tiny-vgg", epochs=2, batch=16)
    return folder / "a_training"


def check_curve(folder: Path, expected: Path) -> None:
    """The same figures, except for rounding: sums are in another order."""
    for one, other in zip(read_history(folder), read_history(expected), strict=True):
        for name, value in dataclasses.asdict(other).items():
            if name != "seconds" and value is not None:
                assert getattr(one, name) == pytest.approx(value, rel=1e-4), (one.number, name)


@pytest.fixture(scope="module")
def shared(uneven: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings on two devices, and on two machines, in parallel."""
    folder = tmp_path_factory.mktemp("shared")
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, other)]
    trainings: list[tuple[str, Any]] = [(str(folder / "devices" / "a.keras"), None)]
    for index in range(2):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        trainings.append((str(folder / f"machine{index}" / "a.keras"), cluster))
    done = subprocess.run(
        [sys.executable, "-c", _ON_DEVICES, str(uneven.folder), json.dumps(trainings)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_two_devices_give_the_curve_of_one(alone: Path, shared: Path) -> None:
    folder = shared / "devices" / "a_training"
    check_curve(folder, alone)
    assert json.loads((folder / "plan.json").read_text())["batch"] == 16


def test_two_machines_give_the_curve_of_one(alone: Path, shared: Path) -> None:
    check_curve(shared / "machine0" / "a_training", alone)
    assert (shared / "machine0" / "a.keras").exists()
    # Only the first one writes.
    assert not (shared / "machine1").exists()


def test_photos_repeated_for_a_device_have_weight_0(uneven: Prepared) -> None:
    from cnnviz.training import pipelines

    recipe = recipes.RECIPES["tiny-vgg"]
    arguments = (uneven, recipe, [1.0, 2.0], 16, 0, 1)
    plain = list(pipelines.training_batches(*arguments).take(3))
    padded = list(pipelines.training_batches(*arguments, devices=5).take(3))
    assert [len(labels) for _, labels, _ in padded] == [20, 20, 5]
    for one, other in zip(plain, padded, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b[: len(a)])
        assert not other[2][len(one[2]) :].numpy().any()


# --- Precision ------------------------------------------------------------------------------


def test_a_network_of_mixed_precision_is_saved_in_float32(data: Prepared, tmp_path: Path) -> None:
    setup = setup_of(data, tmp_path)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = build_network(setup)
    finally:
        keras.config.set_dtype_policy(before)
    assert mixed.get_layer("conv_1_1").compute_dtype == "bfloat16"
    plain = checkpoints.in_float32(setup, mixed)
    policies = {layer.dtype_policy.name for layer in plain.layers}
    assert policies == {"float32"}
    for a, b in zip(plain.get_weights(), mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    photos = np.random.default_rng(0).uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(plain(photos), mixed(photos), atol=0.02)
    assert checkpoints.in_float32(setup, plain) is plain


def test_without_a_suitable_card_it_computes_in_float32() -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a graphics card")
    with fastest_precision():
        assert keras.config.dtype_policy().name == "float32"
