"""A training on disk: its folder, history, checkpoints and status. Needs no TensorFlow."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from cnnviz.cards import ModelCard, read_card, write_card
from cnnviz.errors import TrainingError
from cnnviz.storage import replace_file

_HISTORY = "history.csv"
_CARD = "card.json"
# What the untrained network has no figure of.
_OF_TRAINING = {"loss", "accuracy"}

State = Literal["preparing", "training", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class TrainingConfig:
    """The configuration of a training, as it is stored; resuming needs the same one.

    Attributes:
        architecture: name of a recipe.
        data: ``key`` of the prepared data.
        epochs: the maximum number of epochs.
        batch: photos of a step, on all devices together.
        seed: of the initial weights, the order and the random changes of the photos.
        continued_after: the number of epochs after which the training was finished, and went on
            with more; 0 where it did not.
    """

    architecture: str
    data: str
    epochs: int
    batch: int
    seed: int
    continued_after: int = 0


@dataclass(frozen=True)
class Epoch:
    """The figures of one finished epoch, or of the network before the first one.

    Attributes:
        number: counted from 1; 0 is the network before its first step, untrained.
        loss: mean cross-entropy of the training photos, measured during the epoch; None in epoch 0.
        accuracy: of the training photos, 0 to 1; None in epoch 0.
        val_loss: mean cross-entropy of the validation photos, measured after the epoch.
        val_accuracy: of the validation photos, 0 to 1.
        rate: the learning rate at the start of the epoch; 0 in epoch 0.
        seconds: duration of the training steps, without the validation.
    """

    number: int
    loss: float | None
    accuracy: float | None
    val_loss: float
    val_accuracy: float
    rate: float
    seconds: float

    @property
    def checkpoint(self) -> str:
        """The name of its checkpoint's file."""
        return f"epoch-{self.number:03}-{self.val_accuracy:.4f}.keras"


@dataclass(frozen=True)
class BatchFigures:
    """The figures of one batch: what the network made of its photos before it learned from them.

    Attributes:
        epoch: counted from 1.
        step: of the epoch, counted from 1.
        steps: of the epoch.
        loss: mean cross-entropy of its photos.
        accuracy: of its photos, 0 to 1.
    """

    epoch: int
    step: int
    steps: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class TrainingStatus:
    """The progress of a training.

    Attributes:
        state: the stage it is in.
        message: why it failed, what was left out, or how it goes on; "" for none of them.
        photos_done: photos that are prepared.
        photos: photos to prepare; 0 before they are counted.
        epoch: the epoch in progress, counted from 1; 0 before the first one.
        epochs: the maximum number of epochs.
        step: finished steps of this epoch.
        steps: steps of an epoch.
        loss: mean of this epoch so far.
        accuracy: mean of this epoch so far, 0 to 1.
        seconds_left: an estimate; None before the first epoch is finished.
        history: the untrained network and the finished epochs. The status file leaves them out:
            they are in the history.
    """

    state: State = "preparing"
    message: str = ""
    photos_done: int = 0
    photos: int = 0
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    loss: float = 0
    accuracy: float = 0
    seconds_left: float | None = None
    history: Sequence[Epoch] = ()

    @property
    def is_active(self) -> bool:
        """Whether the training has not ended."""
        return self.state in {"preparing", "training"}


@dataclass(frozen=True)
class TrainingRun:
    """The folder of a training.

    Attributes:
        folder: its path.
        card: the card of its networks, without measured figures.
    """

    folder: Path
    card: ModelCard

    def write_card(self) -> None:
        """Writes the card into the folder."""
        write_card(self.card, self.folder / _CARD)

    def checkpoints(self) -> list[Path]:
        """The existing checkpoints, by epoch."""
        paths = self.folder.glob("epoch-*.keras")
        # Sorted as text, epoch 1000 would precede epoch 999.
        return sorted(paths, key=lambda path: int(path.name.split("-")[1]))


def run_folder(out: Path) -> Path:
    """The folder of the training that writes the model ``out``."""
    return out.with_name(f"{out.stem}_training")


def open_run(folder: str | Path) -> TrainingRun:
    """Opens the folder of a training that was started.

    Raises:
        TrainingError: the folder contains no training.
    """
    folder = Path(folder)
    if not (folder / _CARD).is_file():
        raise TrainingError(f"There is no training in {folder}.")
    return TrainingRun(folder, read_card(folder / _CARD))


def finished(history: Sequence[Epoch]) -> int:
    """How many epochs of training are finished: the untrained network is none."""
    return history[-1].number if history else 0


def best_of(history: Sequence[Epoch]) -> Epoch:
    """The epoch of the highest validation accuracy; of several the one of the smallest loss.

    The untrained network is the best only where there is nothing else.
    """
    trained = [epoch for epoch in history if epoch.number] or history
    return max(trained, key=lambda epoch: (epoch.val_accuracy, -epoch.val_loss))


def write_history(folder: Path, history: Sequence[Epoch]) -> None:
    """Writes the history as CSV, one line per epoch; what is None is empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(Epoch)])
    writer.writeheader()
    writer.writerows(asdict(epoch) for epoch in history)
    replace_file(folder / _HISTORY, text.getvalue().encode())


def read_history(folder: Path) -> list[Epoch]:
    """The finished epochs of a training, after the untrained network; empty before that.

    A training of an older version has no epoch 0.

    Raises:
        TrainingError: the file is damaged.
    """
    path = folder / _HISTORY
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        return [
            Epoch(int(line.pop("number")), **{one: _figure(one, line[one]) for one in list(line)})
            for line in lines
        ]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise TrainingError(f"{path} is damaged.") from error


def _figure(name: str, text: str) -> Any:
    """A number of the history; those of the training photos may be missing."""
    return None if text == "" and name in _OF_TRAINING else float(text)


def write_status(path: Path, status: TrainingStatus) -> None:
    """Writes a status without its history as JSON."""
    values = {name: value for name, value in vars(status).items() if name != "history"}
    replace_file(path, json.dumps(values).encode())


def read_status(path: Path) -> TrainingStatus:
    """Reads a status; the initial one where no file exists."""
    try:
        return TrainingStatus(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return TrainingStatus()
