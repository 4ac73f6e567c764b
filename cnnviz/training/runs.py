"""A training on disk: its folder, its history, its checkpoints. Needs no TensorFlow."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cnnviz.cards import ModelCard, read_card, write_card
from cnnviz.errors import TrainingError
from cnnviz.storage import replace_file

_HISTORY = "history.csv"
_CARD = "card.json"


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        number: counted from 1.
        loss: mean cross-entropy of the training photos, while they were learned from.
        accuracy: of these, 0 to 1.
        val_loss: mean cross-entropy of the validation photos.
        val_accuracy: of these, 0 to 1.
        rate: the learning rate at its start.
        seconds: that the training photos took.
    """

    number: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    rate: float
    seconds: float

    @property
    def checkpoint(self) -> str:
        """The name of its checkpoint's file."""
        return f"epoch-{self.number:03}-{self.val_accuracy:.4f}.keras"


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        epoch: the one that is going on, counted from 1.
        epochs: the most there will be.
        step: batches of this epoch that are done.
        steps: batches of an epoch.
        loss: mean of this epoch so far.
        accuracy: likewise.
        history: the epochs that are finished.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    history: Sequence[Epoch]


@dataclass(frozen=True)
class Run:
    """A training's folder.

    Attributes:
        folder: where it lies.
        card: of its networks, without what was measured.
    """

    folder: Path
    card: ModelCard

    def write_card(self) -> None:
        """Puts the card into the folder."""
        write_card(self.card, self.folder / _CARD)

    def checkpoints(self) -> list[Path]:
        """The checkpoints that are there, by epoch."""
        found = self.folder.glob("epoch-*.keras")
        # As a text, epoch 1000 comes before epoch 999.
        return sorted(found, key=lambda path: int(path.name.split("-")[1]))


def run_folder(out: Path) -> Path:
    """The folder of the training that makes a model."""
    return out.with_name(f"{out.stem}_training")


def open_run(folder: str | Path) -> Run:
    """A training that somebody has begun.

    Raises:
        TrainingError: the folder holds none.
    """
    folder = Path(folder)
    if not (folder / _CARD).is_file():
        raise TrainingError(f"There is no training in {folder}.")
    return Run(folder, read_card(folder / _CARD))


def best_of(history: Sequence[Epoch]) -> Epoch:
    """The epoch that told most validation photos right; of several the one with the least loss."""
    return max(history, key=lambda epoch: (epoch.val_accuracy, -epoch.val_loss))


def write_history(folder: Path, history: Sequence[Epoch]) -> None:
    """Writes the history as CSV, a line for each epoch."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(Epoch)])
    writer.writeheader()
    writer.writerows(asdict(epoch) for epoch in history)
    replace_file(folder / _HISTORY, text.getvalue().encode())


def read_history(folder: Path) -> list[Epoch]:
    """The epochs that a training has finished; none where it has not begun.

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
            Epoch(int(line.pop("number")), **{name: float(text) for name, text in line.items()})
            for line in lines
        ]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise TrainingError(f"{path} is damaged.") from error
