"""The process of the app's training: ``python -m cnnviz.serving.training_process FOLDER PARENT``.

It has limits on memory and time, and gives way to the processes that answer people's questions.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnviz.errors import CnnvizError, TrainingError
from cnnviz.processes import follow
from cnnviz.serving.training_jobs import MOST_PHOTOS, Order, Place, Status
from cnnviz.training.data.manifest import Prepared
from cnnviz.training.data.photos import prepare_photos
from cnnviz.training.data.pixels import prepare_pixels
from cnnviz.training.recipes import find_recipe
from cnnviz.training.runs import Progress

# Bytes of address space, of which TensorFlow alone takes several billions.
_MEMORY = 12 << 30
_SECONDS = 3600
_NICE = 10
_BATCH = 32
# Between two entries in the status file.
_PAUSE = 0.3

_log = logging.getLogger(__name__)


@dataclass
class _Teller:
    """Writes how far the training is, a few times a second at most.

    Attributes:
        place: where.
        begun: when the process began, in seconds of a clock that only counts.
    """

    place: Place
    begun: float = field(default_factory=time.monotonic)
    _last: float = 0

    def prepared(self, done: int, total: int) -> None:
        """So many photos are prepared.

        Raises:
            TrainingError: the training must end now.
        """
        self.check()
        self._tell(Status("preparing", done=done, total=total), done == total)

    def trained(self, now: Progress) -> None:
        """So many steps are done."""
        each = [epoch.seconds for epoch in now.history]
        left = None
        if each:
            left = sum(each) / len(each) * (now.epochs - now.epoch + 1 - now.step / now.steps)
        told = Status(
            "training",
            done=now.step,
            total=now.steps,
            epoch=now.epoch,
            epochs=now.epochs,
            loss=now.loss,
            accuracy=now.accuracy,
            seconds_left=left,
        )
        self._tell(told, now.step == now.steps)

    def check(self) -> None:
        """Raises ``TrainingError`` where the training must end now."""
        if self.ends():
            raise TrainingError("The training was stopped before its first epoch was finished.")

    def ends(self) -> bool:
        """Whether the training must end now."""
        return self.place.is_asked_to_end() or self.took_too_long()

    def took_too_long(self) -> bool:
        """Whether the time for a training is over."""
        return time.monotonic() - self.begun > _SECONDS

    def _tell(self, status: Status, at_once: bool) -> None:
        if at_once or time.monotonic() - self._last > _PAUSE:
            self._last = time.monotonic()
            self.place.tell(status)


def main(folder: str, parent: str) -> None:
    """Prepares the data and trains, as the folder's order says."""
    follow(int(parent))
    _limit()
    order = Order(**json.loads(Path(folder, "order.json").read_text(encoding="utf-8")))
    place = Place(Path(folder), order)
    teller = _Teller(place)
    try:
        place.tell(_train(place, teller))
    except CnnvizError as error:
        # Where the files lie on this server is nobody's business.
        reason = str(error).replace(f"{place.folder}{os.sep}", "")
        stopped = isinstance(error, TrainingError) and teller.ends()
        place.tell(Status("stopped" if stopped else "failed", reason))
    except MemoryError:
        place.tell(Status("failed", "There is not enough memory for this training."))
    # TensorFlow raises whatever it likes; none of its texts is for people.
    except Exception as error:  # noqa: BLE001
        _log.exception("The training failed")
        reason = f"The training failed: {type(error).__name__}. The server's log says more."
        place.tell(Status("failed", reason))


def _train(place: Place, teller: _Teller) -> Status:
    order = place.order
    prepared = _prepare(order, place.data, teller)
    teller.check()
    place.tell(Status("training", total=1))
    tensorflow: Any = importlib.import_module("tensorflow")
    # The other half is for the people who look at networks meanwhile.
    threads = max(1, (os.cpu_count() or 1) // 2)
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    training: Any = importlib.import_module("cnnviz.training.loop")
    training.train(
        prepared,
        place.model,
        order.architecture,
        epochs=order.epochs,
        batch=_BATCH,
        report=teller.trained,
        stop=teller.ends,
    )
    left_out = len(prepared.left_out)
    words = []
    if teller.took_too_long():
        words.append(f"A training here takes {_SECONDS // 60} minutes at most.")
    if left_out:
        words.append(f"Files that could not be read and were left out: {left_out:,}.")
    return Status("stopped" if teller.ends() else "finished", " ".join(words))


def _prepare(order: Order, out: Path, teller: _Teller) -> Prepared:
    if order.source.endswith(".npz"):
        return prepare_pixels(order.source, out)
    size = find_recipe(order.architecture).size
    try:
        return prepare_photos(
            order.source, out, size=size, most=MOST_PHOTOS, processes=1, report=teller.prepared
        )
    finally:
        # The photos themselves are not needed any more.
        teller.place.forget_upload()


def _limit() -> None:
    """Limits on memory, and a back seat: people's questions come first."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    os.nice(_NICE)


if __name__ == "__main__":
    main(*sys.argv[1:])
