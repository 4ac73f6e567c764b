"""A training on disk: what is written is what is read, and the best epoch is the best."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cnnviz.cards import ModelCard, Preprocessing, Training
from cnnviz.errors import TrainingError
from cnnviz.training.runs import (
    Epoch,
    Run,
    best_of,
    open_run,
    read_history,
    run_folder,
    write_history,
)

ONE = Epoch(1, 1 / 3, 0.1, 2e-17, 0.7, 1e-3, 12.25)


def epochs(*figures: tuple[float, float]) -> list[Epoch]:
    """Epochs with these validation accuracies and losses."""
    return [
        dataclasses.replace(ONE, number=number, val_accuracy=accuracy, val_loss=loss)
        for number, (accuracy, loss) in enumerate(figures, start=1)
    ]


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    history = [ONE, dataclasses.replace(ONE, number=2, loss=0.1 + 0.2)]
    write_history(tmp_path, history)
    assert read_history(tmp_path) == history
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


def test_a_training_that_has_not_begun_has_no_history(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["number\n1\n", "number,loss\n1,much\n", "a,b\n1,2\n", "number,loss\n1\n", "\xff"]
)
def test_a_damaged_history(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(TrainingError, match="history.csv is damaged"):
        read_history(tmp_path)


def test_the_best_epoch_has_the_highest_accuracy_then_the_least_loss() -> None:
    assert best_of(epochs((0.5, 0.1), (0.9, 0.4), (0.9, 0.3), (0.9, 0.5))).number == 3
    assert best_of(epochs((0.9, 0.4), (0.9, 0.4))).number == 1


def test_a_checkpoint_says_its_epoch_and_accuracy() -> None:
    assert ONE.checkpoint == "epoch-001-0.7000.keras"
    assert epochs((0.98765, 1))[0].checkpoint == "epoch-001-0.9877.keras"


def test_a_run_is_found_beside_its_model(tmp_path: Path) -> None:
    assert run_folder(tmp_path / "my.net.keras") == tmp_path / "my.net_training"


def test_checkpoints_stand_by_epoch(tmp_path: Path) -> None:
    card = ModelCard(
        title="A network",
        description="For tests.",
        labels=["cat", "dog"],
        preprocessing=Preprocessing(height=8, width=8),
        training=Training(data="none", split="none"),
        licence="MIT",
        source="made for tests",
    )
    run = Run(tmp_path, card)
    run.write_card()
    numbers = (999, 1000, 2, 10)
    for number in numbers:
        (tmp_path / dataclasses.replace(ONE, number=number).checkpoint).touch()
    (tmp_path / "checkpoint.part.keras").touch()
    found = open_run(tmp_path)
    assert found == run
    assert [path.name[:10] for path in found.checkpoints()] == [
        "epoch-002-", "epoch-010-", "epoch-999-", "epoch-1000",
    ]  # fmt: skip


def test_a_folder_without_a_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="There is no training in"):
        open_run(tmp_path)
