"""The process of a training job: ``python -m cnnviz.serving.training_process``.

Its arguments are the job's folder, which holds the request, and the id of the server's process.
It is confined to the job's folder, limits its time, and lowers its CPU priority below the processes
that answer pages.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from cnnviz.errors import CnnvizError, TrainingError
from cnnviz.processes import follow
from cnnviz.sandbox.confinement import confine
from cnnviz.serving.batch_recorder import BatchRecorder
from cnnviz.serving.training_jobs import MOST_PHOTOS, TrainingJob, open_job
from cnnviz.serving.training_supervision import MOST_SECONDS
from cnnviz.settings import ROOT
from cnnviz.training.data.manifest import Prepared
from cnnviz.training.data.photos import prepare_photos
from cnnviz.training.data.pixels import is_array_file, prepare_pixels
from cnnviz.training.live_batches import MOST_PHOTOS as MOST_SHOWN
from cnnviz.training.recipes import find_recipe
from cnnviz.training.runs import TrainingStatus

# Bytes of address space; TensorFlow alone takes several GB.
_MEMORY = 12 << 30
_NICE = 10
_BATCH = 32
_SEED = 0
# Seconds between two writes of the status file.
_PAUSE = 0.3

_log = logging.getLogger(__name__)


@dataclass
class ProgressReporter:
    """Writes the status of a job, a few times a second at most, and decides when it must end.

    Attributes:
        job: the training.
        most_seconds: after which it must end.
        start: time at the start of the process, of a monotonic clock.
    """

    job: TrainingJob
    most_seconds: float = MOST_SECONDS
    start: float = field(default_factory=time.monotonic)
    _last: float = 0

    def report_photos(self, done: int, total: int) -> None:
        """Reports the progress of the preparation.

        Raises:
            TrainingError: the training must end now.
        """
        self.check()
        self._write(TrainingStatus(photos_done=done, photos=total), at_once=done == total)

    def report_step(self, status: TrainingStatus) -> None:
        """Reports the progress of the training."""
        self._write(status, at_once=status.step == status.steps)

    def check(self) -> None:
        """Raises ``TrainingError`` where the training must end now."""
        if self.must_end():
            raise TrainingError("The training was stopped before its first epoch was finished.")

    def must_end(self) -> bool:
        """Whether the training must end now: it was stopped, or its time is over."""
        return self.job.is_stop_requested() or self.is_out_of_time()

    def is_out_of_time(self) -> bool:
        """Whether the time for a training is over."""
        return time.monotonic() - self.start > self.most_seconds

    def _write(self, status: TrainingStatus, *, at_once: bool) -> None:
        if at_once or time.monotonic() - self._last > _PAUSE:
            self._last = time.monotonic()
            self.job.report(status)


def main(folder: str, parent: str) -> None:
    """Prepares the data and trains.

    Args:
        folder: of the job.
        parent: id of the server's process.
    """
    job = open_job(Path(folder))
    if sys.platform != "win32":
        os.nice(_NICE)
    # Before any thread is started. The shipped networks are what `transfer` starts from.
    try:
        confine(_MEMORY, read=[Path(job.request.source), ROOT / "models"], write=[job.folder])
    except (OSError, RuntimeError):
        _log.exception("The process of a training could not be confined")
        reason = (
            "This system refuses to confine the process of a training, so it is not started. "
            "The server's log says more."
        )
        job.report(TrainingStatus("failed", reason))
        return
    follow(int(parent))
    threading.Thread(target=_show_life, args=(job,), daemon=True).start()
    reporter = ProgressReporter(job)
    try:
        job.report(_train(job, reporter))
    except CnnvizError as error:
        # Do not expose server paths.
        reason = str(error).replace(f"{job.folder}{os.sep}", "")
        stopped = isinstance(error, TrainingError) and reporter.must_end()
        job.report(TrainingStatus("stopped" if stopped else "failed", reason))
    except MemoryError:
        job.report(TrainingStatus("failed", "There is not enough memory for this training."))
    # TensorFlow raises errors of many types, with messages that do not help people.
    except Exception as error:  # noqa: BLE001
        _log.exception("The training failed")
        reason = f"The training failed: {type(error).__name__}. See the server's log."
        job.report(TrainingStatus("failed", reason))


def _train(job: TrainingJob, reporter: ProgressReporter) -> TrainingStatus:
    """Runs a job to its end, and returns its final status."""
    prepared = prepare_data(job, reporter)
    reporter.check()
    job.report(TrainingStatus("training"))
    import tensorflow as tf

    # The other half of the cores answers pages.
    threads = max(1, (os.cpu_count() or 1) // 2)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from cnnviz.training.loop import train
    from cnnviz.training.pipelines import shown_photos

    recipe = find_recipe(job.request.architecture)
    recorder = BatchRecorder(job, shown_photos(prepared, recipe, _BATCH, _SEED, MOST_SHOWN))
    train(
        prepared,
        job.model,
        job.request.architecture,
        epochs=job.request.epochs,
        batch=_BATCH,
        seed=_SEED,
        report=reporter.report_step,
        stop=reporter.must_end,
        watch=recorder.note,
    )
    left_out = len(prepared.left_out)
    notes = [*prepared.notes]
    if reporter.is_out_of_time():
        notes.append(f"A training here takes {MOST_SECONDS // 60} minutes at most.")
    if left_out:
        notes.append(f"Files that could not be read and were left out: {left_out:,}.")
    return TrainingStatus("stopped" if reporter.must_end() else "finished", " ".join(notes))


def prepare_data(
    job: TrainingJob, reporter: ProgressReporter, *, most_photos: int = MOST_PHOTOS
) -> Prepared:
    """Prepares the data of a job, and deletes its upload.

    Raises:
        DataError: the data cannot be used, or has too many photos.
        TrainingError: the training must end now.
    """
    request = job.request
    if is_array_file(request.source):
        return prepare_pixels(request.source, job.data)
    size = find_recipe(request.architecture).size
    try:
        return prepare_photos(
            request.source,
            job.data,
            size=size,
            most=most_photos,
            processes=1,
            report=reporter.report_photos,
        )
    finally:
        job.delete_upload()


def _show_life(job: TrainingJob) -> None:
    """Shows every second, also while nothing is reported, that this process is not stuck."""
    while True:
        job.show_life()
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
