"""Training on features: the saved network is whole, and agrees with what was trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from corpus import classes

from cnnviz.errors import TrainingError
from cnnviz.training import architectures, loop, pipelines, recipes
from cnnviz.training.data.manifest import Prepared
from cnnviz.training.data.pixels import prepare_pixels
from cnnviz.training.features import compute_features
from cnnviz.training.loop import train
from cnnviz.training.recipes import Augmentation, Recipe, RecipeLayers
from cnnviz.training.runs import Epoch, TrainingStatus, open_run, read_history
from cnnviz.training.setup import TrainingSetup

# Keras saves weights with a call that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

EPOCHS, BATCH = 4, 8


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Two colours: 12 + 8 for training, 3 + 2 for validation."""
    folder = tmp_path_factory.mktemp("colours")
    return prepare_pixels(classes.write_pixels(folder / "a.npz", [15, 10]), folder / "data")


@pytest.fixture(scope="module", autouse=True)
def recipe() -> Any:
    """A small network like that of `transfer-quick`, whose convolutions are always the same."""

    def build(shape: tuple[int, int, int], count: int) -> Any:
        layers = keras.layers
        image = keras.Input(shape)
        fixed = keras.initializers.RandomNormal(stddev=0.02, seed=3)
        x = layers.Conv2D(6, 3, strides=2, kernel_initializer=fixed, name="conv")(image)
        x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
        x = layers.Dropout(0.2, name="dropout")(layers.GlobalAveragePooling2D()(x))
        return keras.Model(image, layers.Dense(count, "softmax", name="predictions")(x))

    made = Recipe(
        "head-only", "Head only", "For tests.", "none", 3, (8, 64), 16, EPOCHS, 3e-2,
        Augmentation(), RecipeLayers(), head_only=True,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipes.RECIPES, made.name, made)
        patch.setitem(architectures.BUILDERS, made.name, build)
        yield made


@dataclasses.dataclass(frozen=True)
class Trained:
    """A training without an interruption: its model, setup, features and reports."""

    out: Path
    setup: TrainingSetup
    features: Any
    reports: list[TrainingStatus]

    @property
    def checkpoints(self) -> list[Any]:
        paths = open_run(self.out.with_name("colours_training")).checkpoints()
        return [keras.saving.load_model(path, compile=False) for path in paths]


@pytest.fixture(scope="module")
def trained(data: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    out = tmp_path_factory.mktemp("models") / "colours.keras"
    seen: list[tuple[TrainingSetup, Any]] = []
    reports: list[TrainingStatus] = []

    def compute(setup: TrainingSetup, *others: Any) -> Any:
        seen.append((setup, compute_features(setup, *others)))
        return seen[-1][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "compute_features", compute)
        train(data, out, "head-only", batch=BATCH, report=reports.append)
    ((setup, features),) = seen
    return Trained(out, setup, features, reports)


def photos_of(data: Prepared, split: Any) -> np.ndarray:
    arrays = data.arrays()
    return np.stack([arrays[label][row] for label, row in data.indices(split)]).astype(np.float32)


@pytest.mark.parametrize("split", ["training", "validation"])
def test_features_times_dense_weights_are_the_saved_networks_logits(
    data: Prepared, trained: Trained, split: Any
) -> None:
    photos = photos_of(data, split)
    for network in trained.checkpoints:
        dense = network.get_layer("predictions")
        logits = trained.features.values[split] @ dense.kernel.numpy() + dense.bias.numpy()
        maps = keras.Model(network.input, network.get_layer("relu").output)(photos).numpy()
        by_hand = maps.mean(axis=(1, 2)) @ dense.kernel.numpy() + dense.bias.numpy()
        np.testing.assert_allclose(logits, by_hand, atol=1e-5)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(network(photos, training=False), shares, atol=1e-5)


def test_the_dense_layer_alone_learns(trained: Trained) -> None:
    first, *_, last = trained.checkpoints
    for one, other in zip(first.weights, last.weights, strict=True):
        same = np.array_equal(one.numpy(), other.numpy())
        assert same == (not one.path.startswith("predictions"))
    history = read_history(trained.out.with_name("colours_training"))
    # Epoch 0 is the untrained network.
    assert history[-1].loss < 0.6 * history[1].loss
    assert history[-1].val_accuracy == 1


def test_the_figures_of_an_epoch_are_those_of_its_checkpoint(
    data: Prepared, trained: Trained
) -> None:
    classes_of = data.indices("validation")[:, 0]
    for epoch, network in zip(
        read_history(trained.out.with_name("colours_training")), trained.checkpoints, strict=True
    ):
        chances = network(photos_of(data, "validation"), training=False).numpy()
        chosen = chances[np.arange(len(classes_of)), classes_of]
        assert epoch.val_loss == pytest.approx(-np.log(chosen).mean(), rel=1e-4)
        assert epoch.val_accuracy == pytest.approx((chances.argmax(axis=1) == classes_of).mean())


def test_an_epoch_has_each_photo_once_with_its_class_and_weight(
    data: Prepared, trained: Trained
) -> None:
    batches = loop.training_batches(trained.setup, 1, trained.features)
    parts = [next(batches) for _ in range(trained.setup.steps)]
    assert [len(labels) for _, labels, _ in parts] == [8, 8, 4]
    values, labels = (np.concatenate([part[at] for part in parts]) for at in (0, 1))
    expected = {
        tuple(row): label
        for row, (label, _) in zip(
            trained.features.values["training"], data.indices("training"), strict=True
        )
    }
    assert {tuple(row): label for row, label in zip(values, labels, strict=True)} == expected
    weights = np.array(pipelines.class_weights(data))
    for _, of_batch, shares in parts:
        np.testing.assert_allclose(shares, weights[of_batch] / len(of_batch), rtol=1e-6)
    again = loop.training_batches(trained.setup, 2, trained.features)
    assert not np.array_equal(next(again)[1], parts[0][1])


def test_the_convolutions_run_once_over_each_photo(trained: Trained) -> None:
    before = [(now.photos_done, now.photos) for now in trained.reports if not now.epoch]
    # 20 for training and 5 for validation, 16 at once.
    assert before == [(16, 25), (20, 25), (25, 25)]
    assert [now.epoch for now in trained.reports if now.epoch] == [
        1,
        1,
        1,
        2,
        2,
        2,
        3,
        3,
        3,
        4,
        4,
        4,
    ]


class Stop(BaseException):
    """In place of the end of a process."""


def stop_at(epoch: int) -> Callable[[TrainingStatus], None]:
    def report(now: TrainingStatus) -> None:
        if (now.epoch, now.step) == (epoch, 2):
            raise Stop

    return report


def test_resumed_it_equals_one_without_interruption(
    data: Prepared, trained: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "colours.keras"
    with pytest.raises(Stop):
        train(data, out, "head-only", batch=BATCH, report=stop_at(3))
    train(data, out, "head-only", batch=BATCH, resume=True)
    one, other = (
        [dataclasses.replace(epoch, seconds=0) for epoch in read_history(folder)]
        for folder in (tmp_path / "colours_training", trained.out.with_name("colours_training"))
    )
    assert one == other
    assert all(isinstance(epoch, Epoch) for epoch in one)
    for ours, theirs in zip(weights(out), weights(trained.out), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def weights(path: Path) -> list[np.ndarray]:
    return keras.saving.load_model(path, compile=False).get_weights()


def test_stopped_while_the_convolutions_run(data: Prepared, tmp_path: Path) -> None:
    reports: list[TrainingStatus] = []
    with pytest.raises(TrainingError, match="stopped before its first epoch was finished"):
        train(
            data,
            tmp_path / "a.keras",
            "head-only",
            report=reports.append,
            stop=lambda: len(reports) > 0,
        )
    assert [now.photos_done for now in reports] == [16]
