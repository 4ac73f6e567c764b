"""A training on disk: its history, checkpoints, card and status."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cnnviz.cards import ModelCard, Preprocessing, Training
from cnnviz.errors import TrainingError
from cnnviz.training.runs import (
    Epoch,
    State,
    TrainingRun,
    TrainingStatus,
    best_of,
    finished,
    open_run,
    read_history,
    read_status,
    run_folder,
    write_history,
    write_status,
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


UNTRAINED = Epoch(0, None, None, 2.5, 0.1, 0.0, 0.0)


def test_what_the_untrained_network_has_no_figure_of_is_empty(tmp_path: Path) -> None:
    write_history(tmp_path, [UNTRAINED, ONE])
    first = (tmp_path / "history.csv").read_text(encoding="utf-8").splitlines()[1]
    assert first == "0,,,2.5,0.1,0.0,0.0"
    assert read_history(tmp_path) == [UNTRAINED, ONE]


def test_a_training_that_has_not_started_has_no_history(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []


@pytest.mark.parametrize(
    "text",
    [
        "number,loss,accuracy,val_loss,val_accuracy,rate,seconds\n1,1,1,,1,1,1\n",
        "number\n1\n",
        "number,loss\n1,much\n",
        "a,b\n1,2\n",
        "number,loss\n1\n",
        "\xff",
    ],
)
def test_a_damaged_history(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(TrainingError, match="history.csv is damaged"):
        read_history(tmp_path)


def test_the_best_epoch_has_the_highest_accuracy_then_the_least_loss() -> None:
    assert best_of(epochs((0.5, 0.1), (0.9, 0.4), (0.9, 0.3), (0.9, 0.5))).number == 3
    assert best_of(epochs((0.9, 0.4), (0.9, 0.4))).number == 1


def test_the_untrained_network_is_the_best_only_where_nothing_else_is() -> None:
    better = dataclasses.replace(UNTRAINED, val_accuracy=1.0, val_loss=0.0)
    assert best_of([better, ONE]) == ONE
    assert best_of([better]) == better


def test_the_untrained_network_is_no_finished_epoch() -> None:
    assert [finished(history) for history in ([], [UNTRAINED], [UNTRAINED, ONE], [ONE])] == [
        0, 0, 1, 1,
    ]  # fmt: skip


def test_a_checkpoint_is_named_by_its_epoch_and_accuracy() -> None:
    assert ONE.checkpoint == "epoch-001-0.7000.keras"
    assert epochs((0.98765, 1))[0].checkpoint == "epoch-001-0.9877.keras"


def test_the_folder_of_a_training_is_beside_its_model(tmp_path: Path) -> None:
    assert run_folder(tmp_path / "my.net.keras") == tmp_path / "my.net_training"


def test_checkpoints_are_in_the_order_of_epochs(tmp_path: Path) -> None:
    card = ModelCard(
        title="A network",
        description="For tests.",
        labels=["cat", "dog"],
        preprocessing=Preprocessing(height=8, width=8),
        training=Training(data="none", split="none"),
        licence="MIT",
        source="made for tests",
    )
    run = TrainingRun(tmp_path, card)
    run.write_card()
    numbers = (999, 1000, 2, 10)
    for number in numbers:
        (tmp_path / dataclasses.replace(ONE, number=number).checkpoint).touch()
    (tmp_path / "checkpoint.part.keras").touch()
    opened = open_run(tmp_path)
    assert opened == run
    assert [path.name[:10] for path in opened.checkpoints()] == [
        "epoch-002-", "epoch-010-", "epoch-999-", "epoch-1000",
    ]  # fmt: skip


def test_a_folder_without_a_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="There is no training in"):
        open_run(tmp_path)


def test_a_status_is_read_as_it_was_written_without_its_history(tmp_path: Path) -> None:
    status = TrainingStatus(
        "training", "", 5, 5, 2, 8, 3, 10, 0.1 + 0.2, 1 / 3, seconds_left=1.5, history=[ONE]
    )
    write_status(tmp_path / "status.json", status)
    assert read_status(tmp_path / "status.json") == dataclasses.replace(status, history=())


def test_without_a_file_a_status_is_the_initial_one(tmp_path: Path) -> None:
    assert read_status(tmp_path / "status.json") == TrainingStatus("preparing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("state", "is_active"),
    [
        ("preparing", True),
        ("training", True),
        ("finished", False),
        ("stopped", False),
        ("failed", False),
    ],
)
def test_which_states_are_active(state: State, is_active: bool) -> None:
    assert TrainingStatus(state).is_active == is_active
