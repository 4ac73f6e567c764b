"""The app's own training: one at a time, in a process of its own, seen by everybody.

The process writes how far it is into a file, so that a page that is loaded again, or by somebody
else, finds the running training. All of it goes when the server does.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess  # nosec B404
import sys
import threading
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from cnnviz.errors import TrainingError
from cnnviz.serving import temporary_folders
from cnnviz.serving.model_files import ModelFile, model_file
from cnnviz.settings import ROOT
from cnnviz.storage import replace_file
from cnnviz.training.runs import Run, open_run, run_folder

# Trainings whose files are kept on this server's disk.
_KEPT = 4
MOST_PHOTOS = 5_000
MOST_EPOCHS = 100

State = Literal["preparing", "training", "finished", "stopped", "failed"]
_GOING = ("preparing", "training")

_log = logging.getLogger(__name__)
_lock = threading.RLock()


@dataclass(frozen=True)
class Order:
    """What somebody asked for.

    Attributes:
        name: of the model; letters, digits and the signs - and _.
        source: the data: a zip of class folders, or an ``.npz`` in the form of Keras's MNIST.
        source_name: what a person calls it.
        architecture: name of a recipe.
        epochs: the most.
    """

    name: str
    source: str
    source_name: str
    architecture: str
    epochs: int


@dataclass(frozen=True)
class Status:
    """How far a training is.

    Attributes:
        state: what it is doing.
        message: why it failed, or what was left out; "" for nothing to say.
        done: photos that are prepared, or steps that are done in this epoch.
        total: of so many.
        epoch: the one that is going on, counted from 1.
        epochs: the most there will be.
        loss: mean of this epoch so far.
        accuracy: likewise.
        seconds_left: about how long it will still take; None where nobody knows.
    """

    state: State = "preparing"
    message: str = ""
    done: int = 0
    total: int = 0
    epoch: int = 0
    epochs: int = 0
    loss: float = 0
    accuracy: float = 0
    seconds_left: float | None = None

    @property
    def going(self) -> bool:
        """Whether it is not at its end yet."""
        return self.state in _GOING


@dataclass(frozen=True)
class Place:
    """Where the files of a training in the app are.

    Attributes:
        folder: all of them.
        order: what was asked for.
    """

    folder: Path
    order: Order

    @property
    def data(self) -> Path:
        """The prepared data."""
        return self.folder / "data"

    @property
    def model(self) -> Path:
        """The model, once it is finished."""
        return self.folder / f"{self.order.name}.keras"

    def ask_to_end(self) -> None:
        """Asks the process to come to an end; it looks after every step, from its start on."""
        (self.folder / "end").touch()

    def is_asked_to_end(self) -> bool:
        """Whether somebody asked for the end."""
        return (self.folder / "end").exists()

    def forget_upload(self) -> None:
        """Deletes the zip that somebody uploaded, if there is one."""
        source = Path(self.order.source)
        if source.parent == self.folder:
            source.unlink(missing_ok=True)

    def run(self) -> Run | None:
        """The training's own folder, once it has begun."""
        try:
            return open_run(run_folder(self.model))
        except TrainingError:
            return None

    def status(self) -> Status:
        """How far it is."""
        try:
            told = json.loads((self.folder / "status.json").read_text(encoding="utf-8"))
            return Status(**told)
        except FileNotFoundError:
            return Status()

    def tell(self, status: Status) -> None:
        """Writes how far it is."""
        replace_file(self.folder / "status.json", json.dumps(asdict(status)).encode())


@dataclass
class _Desk:
    """What this server knows of its trainings.

    Attributes:
        folder: where their files lie; None until there are any.
        places: of those that are kept, the last one last.
        process: of the last one.
    """

    folder: TemporaryDirectory[str] | None = None
    places: list[Place] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    begun: int = 0


@cache
def _desk() -> _Desk:
    return _Desk()


def start(order: Order, upload: bytes | memoryview | None = None) -> None:
    """Starts a training; returns at once.

    Args:
        order: what is asked for.
        upload: the bytes of a zip, which take the place of ``order.source``.

    Raises:
        TrainingError: another one is going on, or the disk is full.
    """
    with _lock:
        if is_going():
            raise TrainingError(
                "Somebody is training a network just now, and this server trains one at a time."
            )
        desk = _desk()
        if desk.process is not None:
            # It has said its last word, and takes its time to leave.
            desk.process.kill()
            desk.process.wait()
        desk.begun += 1
        if desk.folder is None:
            desk.folder = temporary_folders.make("training")
        folder = Path(desk.folder.name) / f"{desk.begun:03}"
        try:
            folder.mkdir()
            if upload is not None:
                # The data's name stands in the card.
                order = replace(order, source=str(folder / f"{order.source_name}.zip"))
                Path(order.source).write_bytes(upload)
            (folder / "order.json").write_text(json.dumps(asdict(order)), encoding="utf-8")
            log = (folder / "log.txt").open("wb")
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise TrainingError(f"The training cannot begin: {error.strerror}.") from error
        with log:
            # This Python, and words of our own: a folder and a number.
            desk.process = subprocess.Popen(  # nosec B603
                [
                    sys.executable,
                    "-m",
                    "cnnviz.serving.training_process",
                    str(folder),
                    str(os.getpid()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        desk.places.append(Place(folder, order))
        for old in desk.places[:-_KEPT]:
            shutil.rmtree(old.folder, ignore_errors=True)
        del desk.places[:-_KEPT]


def is_going() -> bool:
    """Whether a training is going on."""
    with _lock:
        # A process takes a moment to leave after its last word.
        return _runs() and _desk().places[-1].status().going


def _runs() -> bool:
    process = _desk().process
    return process is not None and process.poll() is None


def count() -> int:
    """How many trainings were begun on this server."""
    with _lock:
        return _desk().begun


def stop() -> None:
    """Asks the training to come to its end: the best epoch so far becomes the model."""
    with _lock:
        if is_going():
            _desk().places[-1].ask_to_end()


def places() -> list[Place]:
    """The trainings of this server that are kept, the last one first."""
    with _lock:
        return _desk().places[::-1]


def status(place: Place) -> Status:
    """How far a training is; one whose process died has failed."""
    with _lock:
        over = place != _desk().places[-1] or not _runs()
        told = place.status()
        if over and told.going and place.folder.exists():
            _log.warning("A training ended without a word; its log: %s", place.folder / "log.txt")
            told = replace(
                told,
                state="failed",
                message="The process that trained stopped: the memory may be full. The epochs "
                "that were finished can still be looked at.",
            )
            place.tell(told)
            place.forget_upload()
        return told


def models() -> list[ModelFile]:
    """The models that were trained here and are finished."""
    return [
        replace(model_file(place.model), trusted=True)
        for place in places()
        if place.model.exists() and not place.status().going
    ]


def checkpoint(run: Run, name: str, *, trusted: bool) -> ModelFile:
    """A checkpoint of a training as a model file; its card is that of the training.

    Args:
        run: the training.
        name: of the checkpoint's file.
        trusted: as in ``ModelFile``.

    Raises:
        ModelError: it is not there any more.
    """
    path = run.folder / name
    return replace(model_file(path), trusted=trusted, checkpoint=True)
