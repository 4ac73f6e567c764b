"""The training jobs of the app: one at a time, each in a process of its own, shared by everybody.

The process reports its status in a file, so that a page that is loaded again, or by another
person, shows the running training. All files are deleted when the server ends.
"""

from __future__ import annotations

import json
import shutil
import subprocess  # nosec B404
import threading
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cnnviz.errors import TrainingError
from cnnviz.serving import temporary_folders
from cnnviz.serving.model_files import ModelFile, model_file
from cnnviz.serving.training_supervision import look_after, start_process
from cnnviz.storage import replace_file
from cnnviz.training.live_batches import LiveBatches, read_batches, write_batches
from cnnviz.training.runs import (
    BatchFigures,
    TrainingRun,
    TrainingStatus,
    open_run,
    read_status,
    run_folder,
    write_status,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

# Jobs whose files are kept on this server's disk.
KEPT_JOBS = 4
MOST_PHOTOS = 5_000
MOST_EPOCHS = 100

_REQUEST = "request.json"

_lock = threading.RLock()


@dataclass(frozen=True)
class TrainingRequest:
    """A person's request for a training.

    Attributes:
        name: of the model; letters, digits and the signs - and _.
        source: the data: a zip of class folders, or an ``.npz`` in the form of Keras's MNIST.
        source_name: its name on pages.
        architecture: name of a recipe.
        epochs: the maximum.
    """

    name: str
    source: str
    source_name: str
    architecture: str
    epochs: int


@dataclass(frozen=True)
class TrainingJob:
    """A training in the app: its request and its files.

    Attributes:
        folder: of all its files.
        request: what was requested.
    """

    folder: Path
    request: TrainingRequest

    @property
    def data(self) -> Path:
        """The folder of the prepared data."""
        return self.folder / "data"

    @property
    def model(self) -> Path:
        """The file of the model, which exists once the training is finished."""
        return self.folder / f"{self.request.name}.keras"

    def write_request(self) -> None:
        """Writes the request into the folder, where ``open_job`` reads it."""
        replace_file(self.folder / _REQUEST, json.dumps(asdict(self.request)).encode())

    def request_stop(self) -> None:
        """Asks the process to end; it checks after every step, from its start on."""
        (self.folder / "end").touch()

    def is_stop_requested(self) -> bool:
        """Whether the process has been asked to end."""
        return (self.folder / "end").exists()

    @property
    def temporary(self) -> Path:
        """The folder of the process's temporary files."""
        return self.folder / "temporary"

    def show_life(self) -> None:
        """Tells the server that the process is not stuck."""
        (self.folder / "alive").write_bytes(b"")

    def last_sign_of_life(self) -> int | None:
        """When the process was last known not to be stuck, in the file system's time."""
        try:
            return (self.folder / "alive").stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def delete_upload(self) -> None:
        """Deletes the uploaded zip, if there is one."""
        source = Path(self.request.source)
        if source.parent == self.folder:
            source.unlink(missing_ok=True)

    def run(self) -> TrainingRun | None:
        """The training's own folder; None before the first step."""
        try:
            return open_run(run_folder(self.model))
        except TrainingError:
            return None

    def reported_status(self) -> TrainingStatus:
        """The last status that the process has reported, even if it was killed since."""
        return read_status(self.folder / "status.json")

    def report(self, status: TrainingStatus) -> None:
        """Writes the status file."""
        write_status(self.folder / "status.json", status)

    def report_batches(
        self,
        batches: Sequence[BatchFigures],
        photos: NDArray[np.uint8],
        labels: Sequence[str],
    ) -> None:
        """Writes the file of the latest batches, as ``write_batches``."""
        write_batches(self.folder / "batches.npz", batches, photos, labels)

    def live_batches(self) -> LiveBatches | None:
        """The latest batches that the process has reported; None before the first."""
        return read_batches(self.folder / "batches.npz")


def open_job(folder: Path) -> TrainingJob:
    """The job whose folder this is, as its process sees it."""
    text = (folder / _REQUEST).read_text(encoding="utf-8")
    return TrainingJob(folder, TrainingRequest(**json.loads(text)))


@dataclass
class JobRegistry:
    """The training jobs of this server.

    Attributes:
        folder: of all their files; None before the first job.
        jobs: those that are kept, the newest one last.
        process: of the newest job.
        count: jobs since the start of the server.
    """

    folder: TemporaryDirectory[str] | None = None
    jobs: list[TrainingJob] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    count: int = 0


@cache
def _registry() -> JobRegistry:
    return JobRegistry()


def reset() -> None:
    """Kills the process of a running job, and forgets and deletes all jobs."""
    with _lock:
        registry = _registry()
        _end_process()
        if registry.folder is not None:
            registry.folder.cleanup()
        _registry.cache_clear()


def start(request: TrainingRequest, upload: bytes | memoryview | None = None) -> None:
    """Starts a training job in the background.

    Args:
        request: what to train.
        upload: the bytes of a zip, used in place of ``request.source``.

    Raises:
        TrainingError: another job is running, or the disk is full.
    """
    with _lock:
        if is_active():
            raise TrainingError(
                "Another training is running, and this server trains one at a time."
            )
        # A process that has reported its final status may not have exited yet.
        _end_process()
        try:
            job = add(request, upload)
            try:
                _registry().process = process = start_process(job)
            except OSError:
                remove(job)
                raise
        except OSError as error:
            raise TrainingError(f"The training cannot begin: {error.strerror}.") from error
        threading.Thread(target=look_after, args=(process, job), daemon=True).start()
        for old in jobs()[KEPT_JOBS:]:
            remove(old)


def add(request: TrainingRequest, upload: bytes | memoryview | None = None) -> TrainingJob:
    """Registers a job as the newest one, stores its request and upload; starts no process.

    Raises:
        OSError: the disk is full.
    """
    with _lock:
        registry = _registry()
        registry.count += 1
        if registry.folder is None:
            registry.folder = temporary_folders.make("training")
        folder = Path(registry.folder.name) / f"{registry.count:03}"
        try:
            folder.mkdir()
            if upload is not None:
                # The card names the file as the source of the data.
                request = replace(request, source=str(folder / f"{request.source_name}.zip"))
                Path(request.source).write_bytes(upload)
            job = TrainingJob(folder, request)
            job.write_request()
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        registry.jobs.append(job)
        return job


def remove(job: TrainingJob) -> None:
    """Forgets a job that is not running, and deletes its files."""
    with _lock:
        _registry().jobs.remove(job)
        shutil.rmtree(job.folder, ignore_errors=True)


def _end_process() -> None:
    process = _registry().process
    if process is not None:
        process.kill()
        process.wait()


def process_id() -> int | None:
    """The id of the running process; None where no process runs."""
    with _lock:
        process = _registry().process
        return process.pid if process is not None and process.poll() is None else None


def is_active() -> bool:
    """Whether a training is running."""
    with _lock:
        # A process that has reported its final status may not have exited yet.
        return process_id() is not None and _registry().jobs[-1].reported_status().is_active


def count() -> int:
    """The number of jobs since the start of the server."""
    with _lock:
        return _registry().count


def stop() -> None:
    """Asks the running training to end: the best epoch so far becomes the model."""
    with _lock:
        if is_active():
            _registry().jobs[-1].request_stop()


def jobs() -> list[TrainingJob]:
    """The jobs that are kept, the newest one first."""
    with _lock:
        return _registry().jobs[::-1]


def status(job: TrainingJob) -> TrainingStatus:
    """The status of a job: failed if its process ended without a final status. Only reads."""
    with _lock:
        # In this order: the process may report its final status and exit in between.
        runs = job in jobs()[:1] and process_id() is not None
        reported = job.reported_status()
    if runs or not reported.is_active:
        return reported
    return replace(
        reported,
        state="failed",
        message="The process that trained stopped: the memory may be full. The epochs "
        "that were finished can still be looked at.",
    )


def models() -> list[ModelFile]:
    """The finished models that were trained on this server."""
    return [
        replace(model_file(job.model), trusted=True)
        for job in jobs()
        if job.model.exists() and not status(job).is_active
    ]


def checkpoint(run: TrainingRun, name: str, *, trusted: bool) -> ModelFile:
    """A checkpoint of a training as a model file; its card is that of the training.

    Args:
        run: the training.
        name: of the checkpoint's file.
        trusted: as in ``ModelFile``.

    Raises:
        ModelError: it does not exist any more.
    """
    path = run.folder / name
    return replace(model_file(path), trusted=trusted, checkpoint=True)
