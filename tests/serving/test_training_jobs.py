"""Training jobs: real processes, on the shipped digits and on zips of tiny photos."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import attempts
import numpy as np
import pytest
from corpus.classes import write_pixels
from helpers import running_in, wait_until
from PIL import Image

import cnnviz
from cnnviz.cards import read_card
from cnnviz.errors import DataError, ModelError, TrainingError
from cnnviz.sandbox.confinement import environment, missing_protections
from cnnviz.serving import training_jobs, training_process, training_supervision
from cnnviz.serving.batch_recorder import BatchRecorder
from cnnviz.serving.training_jobs import TrainingJob, TrainingRequest
from cnnviz.serving.training_process import ProgressReporter
from cnnviz.settings import ROOT
from cnnviz.storage import card_path
from cnnviz.training import pipelines
from cnnviz.training.data.manifest import read_prepared
from cnnviz.training.recipes import find_recipe
from cnnviz.training.runs import (
    BatchFigures,
    TrainingStatus,
    best_of,
    finished,
    open_run,
    read_history,
    run_folder,
)

DIGITS = TrainingRequest(
    "digits_1", str(ROOT / "cnnviz" / "samples" / "digits.npz"), "digits", "tiny-vgg", 2
)
LONG = replace(DIGITS, epochs=training_jobs.MOST_EPOCHS)


@pytest.fixture(scope="module", autouse=True)
def no_other() -> Iterator[None]:
    """Starts this file without any job, and leaves no process behind."""
    training_jobs.reset()
    yield
    training_jobs.reset()


def start(request: TrainingRequest, upload: bytes | None = None) -> TrainingJob:
    """Starts a job as soon as the one before has ended."""
    assert wait_until(lambda: not training_jobs.is_active())
    training_jobs.start(request, upload)
    return training_jobs.jobs()[0]


def ended(job: TrainingJob) -> TrainingStatus:
    """The final status of a job."""
    assert wait_until(lambda: not training_jobs.status(job).is_active), training_jobs.status(job)
    return training_jobs.status(job)


def kill() -> None:
    """Kills the running process."""
    process = training_jobs.process_id()
    assert process is not None
    os.kill(process, signal.SIGKILL)
    assert wait_until(lambda: training_jobs.process_id() is None)


def snapshot(folder: Path) -> dict[Path, int]:
    """All files of a folder, with the times of their last change."""
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def epochs_of(job: TrainingJob) -> list[Any]:
    return read_history(run_folder(job.model))


def zip_of(folders: dict[str, list[bytes]]) -> bytes:
    """A zip with these files in its folders."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for folder, files in folders.items():
            for number, data in enumerate(files):
                archive.writestr(f"{folder}/{number}.png", data)
    return buffer.getvalue()


def png(level: int, seed: int) -> bytes:
    """A small photo of about that brightness."""
    noise = np.random.default_rng(seed).integers(0, 60, (24, 20, 3))
    buffer = io.BytesIO()
    Image.fromarray((level + noise).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def dark_and_bright(count: int = 6) -> dict[str, list[bytes]]:
    return {
        "bright": [png(180, seed) for seed in range(count)],
        "dark": [png(10, 100 + seed) for seed in range(count)],
    }


# --- From start to end --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits(
    no_other: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingJob, list[TrainingStatus]]:
    """A job that trains on the digits in two epochs, and all statuses that were seen."""
    with pytest.MonkeyPatch.context() as patch:
        # The server may have been started from anywhere.
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        job = start(DIGITS)
    statuses = [training_jobs.status(job)]
    with pytest.raises(TrainingError, match="this server trains one at a time"):
        training_jobs.start(LONG)
    assert training_jobs.is_active()
    assert training_jobs.models() == []

    def has_ended() -> bool:
        statuses.append(training_jobs.status(job))
        return not statuses[-1].is_active

    assert wait_until(has_ended)
    return job, statuses


def test_a_training_goes_through_its_states(
    digits: tuple[TrainingJob, list[TrainingStatus]],
) -> None:
    job, statuses = digits
    states = list(dict.fromkeys(status.state for status in statuses))
    assert states == ["preparing", "training", "finished"]
    assert statuses[-1].message == ""
    learning = [status for status in statuses if status.epoch]
    assert {status.epochs for status in learning} == {2}
    # 4,000 of the 5,000 digits are for training, 32 in a step.
    assert {status.steps for status in learning} == {125}
    positions = [(status.epoch, status.step) for status in learning]
    assert positions == sorted(positions)
    assert learning[0].seconds_left is None or learning[0].epoch > 1
    assert [epoch.number for epoch in epochs_of(job)] == [0, 1, 2]
    assert not training_jobs.is_active()


def test_its_batches_are_there_to_be_seen(digits: tuple[TrainingJob, list[TrainingStatus]]) -> None:
    """The photos of the last one that was written are those that the network got."""
    job, _ = digits
    before = snapshot(job.folder)
    batches = job.live_batches()
    # Asking never writes.
    assert snapshot(job.folder) == before
    assert batches is not None
    position = batches.epoch - 1 + batches.step / 125
    assert batches.positions[-1] == pytest.approx(position)
    assert np.diff(batches.positions) == pytest.approx(1 / 125, abs=1e-5)
    assert (batches.accuracies >= 0).all()
    assert (batches.accuracies <= 1).all()
    prepared = read_prepared(job.data)
    recipe = find_recipe("tiny-vgg")
    of_epoch = pipelines.training_batches(prepared, recipe, [1] * 10, 32, 0, batches.epoch)
    photos, labels, _ = next(iter(of_epoch.skip(batches.step - 1)))
    assert batches.photos.shape == (8, 28, 28, 1)
    np.testing.assert_allclose(batches.photos, photos[:8] * 255, atol=0.51)
    assert list(batches.labels) == [str(label) for label in labels[:8].numpy()]


def test_batches_are_written_once_a_second_at_most(tmp_path: Path) -> None:
    job, now, asked = _job_in(tmp_path), [0.0], []

    def photos(epoch: int, step: int) -> tuple[np.ndarray, list[str]]:
        asked.append((epoch, step))
        return np.zeros((1, 2, 2, 1), np.uint8), ["cat"]

    recorder = BatchRecorder(job, photos, lambda: now[0])
    for step in range(1, 26):
        recorder.note(BatchFigures(1, step, 25, 1 / step, 0.5))
        now[0] += 0.125
    assert asked == [(1, 1), (1, 9), (1, 17), (1, 25)]
    batches = job.live_batches()
    assert batches is not None
    np.testing.assert_allclose(batches.losses, [1 / step for step in range(1, 26)], rtol=1e-6)


def test_what_is_told_of_batches_takes_a_fiftieth_of_the_time_at_most(tmp_path: Path) -> None:
    now, asked = [0.0], []

    def photos(epoch: int, step: int) -> tuple[np.ndarray, list[str]]:
        asked.append(now[0])
        now[0] += 0.125
        return np.zeros((1, 2, 2, 1), np.uint8), ["cat"]

    recorder = BatchRecorder(_job_in(tmp_path), photos, lambda: now[0])
    for step in range(1, 221):
        recorder.note(BatchFigures(1, step, 220, 1.0, 0.5))
        now[0] += 0.125
    assert asked == [0, 6.25, 12.5, 18.75, 25]


def test_the_request_is_in_the_folder(digits: tuple[TrainingJob, list[TrainingStatus]]) -> None:
    job, _ = digits
    assert job.request == DIGITS
    assert training_jobs.open_job(job.folder) == job


def test_a_refused_start_leaves_nothing(digits: tuple[TrainingJob, list[TrainingStatus]]) -> None:
    job, _ = digits
    assert training_jobs.jobs()[-1] == job
    folders = [path.name for path in job.folder.parent.iterdir()]
    assert len(folders) == len(training_jobs.jobs())


def test_everybody_can_use_the_model(digits: tuple[TrainingJob, list[TrainingStatus]]) -> None:
    job, _ = digits
    (model,) = [model for model in training_jobs.models() if model.path == str(job.model)]
    assert model.trusted
    network = cnnviz.load_model(model.path, trusted=True)
    best = best_of(epochs_of(job))
    card = read_card(card_path(job.model))
    (accuracy,) = card.training.accuracy
    assert accuracy.value == round(best.val_accuracy, 4)
    assert card.training.epochs == 2
    # A guess among ten classes has an accuracy of 0.1.
    assert best.val_accuracy > 0.3
    checkpoint = cnnviz.load_model(run_folder(job.model) / best.checkpoint, trusted=True)
    for one, other in zip(network.model.weights, checkpoint.model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_a_checkpoint_is_a_model_with_the_trainings_card(
    digits: tuple[TrainingJob, list[TrainingStatus]],
) -> None:
    job, _ = digits
    run = job.run()
    assert run is not None
    first = epochs_of(job)[0].checkpoint
    model = training_jobs.checkpoint(run, first, trusted=False)
    assert (model.path, model.checkpoint, model.trusted) == (str(run.folder / first), True, False)
    assert training_jobs.checkpoint(run, first, trusted=True).trusted
    assert '"conv_1_1"' in run.card.model_dump_json()
    with pytest.raises(ModelError, match="no model file"):
        training_jobs.checkpoint(run, "epoch-099-0.1000.keras", trusted=True)


# --- Stopped, killed, orphaned ----------------------------------------------------------------


def test_stopped_at_once_there_is_no_model() -> None:
    job = start(LONG)
    # The process has read no file yet.
    training_jobs.stop()
    status = ended(job)
    assert status.state == "stopped"
    assert status.message == "The training was stopped before its first epoch was finished."
    assert str(job.model) not in [model.path for model in training_jobs.models()]
    assert epochs_of(job) == []


def test_a_killed_process_has_failed_and_its_epochs_are_kept(tmp_path: Path) -> None:
    source = write_pixels(tmp_path / "colours.npz", [100, 100])
    job = start(replace(LONG, source=str(source)))
    assert wait_until(lambda: finished(epochs_of(job)))
    kill()
    # Its temporary files go when its end is noticed.
    assert wait_until(lambda: not job.temporary.exists(), 20)
    before = snapshot(job.folder)
    status = ended(job)
    assert status.state == "failed"
    # The state follows from the facts: nothing is written.
    assert job.reported_status().state == "training"
    assert snapshot(job.folder) == before
    assert status.message.startswith("The process that trained stopped")
    history = epochs_of(job)
    assert all((run_folder(job.model) / epoch.checkpoint).exists() for epoch in history)
    assert open_run(run_folder(job.model)).card.labels == ["0", "1"]
    assert not training_jobs.is_active()


def test_killed_while_it_prepares_photos_it_leaves_no_upload(
    caplog: pytest.LogCaptureFixture,
) -> None:
    photos = [png(n % 200, n) for n in range(400)]
    upload = zip_of({"a": photos, "b": photos})
    job = start(TrainingRequest("m_1", "", "photos", "tiny-vgg", 1), upload)
    assert wait_until(lambda: training_jobs.status(job).photos)
    assert list(job.folder.glob("*.zip"))
    kill()
    assert training_jobs.status(job).state == "failed"
    # Whether or not a page reads the status.
    assert wait_until(lambda: not list(job.folder.glob("*.zip")), 10)
    assert wait_until(lambda: "ended without a final status" in caplog.text, 10)


_TRYING = """
import json, sys
from pathlib import Path
import attempts
from cnnviz.serving import training_process
from cnnviz.training.runs import TrainingStatus

def train(job, reporter):
    server = int(sys.argv[2])
    files = attempts.files(sys.argv[3], sys.argv[4], server, str(job.folder))
    return TrainingStatus("finished", json.dumps(files | attempts.calls(server)))

training_process._train = train
training_process.main(*sys.argv[1:3])
"""


@pytest.mark.skipif(bool(missing_protections()), reason="this system cannot enforce all of it")
def test_the_process_is_confined(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("model.keras", "model.json", "other.keras", "secret"):
        (home / name).write_text(name)
    (tmp_path / "job").mkdir()
    job = _job_in(tmp_path / "job", b"photos")
    job.write_request()
    job.temporary.mkdir()
    arguments = (str(job.folder), str(os.getpid()), str(home), str(Path.home()))
    subprocess.run(
        [sys.executable, "-c", _TRYING, *arguments],
        env=environment(job.temporary) | {"PYTHONPATH": os.pathsep.join((str(ROOT), "tests"))},
        cwd=ROOT,
        check=True,
        timeout=120,
    )
    status = job.reported_status()
    assert status.state == "finished", status
    results = json.loads(status.message)
    assert len(results) > 50
    assert {name: one for name, one in results.items() if one != attempts.REFUSED} == {
        "write own folder": "text",
        "read code": "True",
        "thread": "ran",
        "memory": "MemoryError",
        "server's descriptor": "OSError",
    }


def test_a_process_that_is_stuck_is_replaced_after_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(training_supervision, "SILENT_SECONDS", 0.5)
    job = start(LONG)
    assert wait_until(lambda: job.last_sign_of_life() is not None)
    stuck = training_jobs.process_id()
    assert stuck is not None
    os.kill(stuck, signal.SIGSTOP)
    # It may only be slow: a short silence is no reason to kill a process that was not asked to end.
    assert not wait_until(lambda: training_jobs.process_id() is None, 2.5)
    training_jobs.stop()
    assert wait_until(lambda: training_jobs.process_id() is None, 10)
    assert wait_until(lambda: not job.temporary.exists(), 10)
    status = ended(job)
    assert status.message.startswith("The process that trained did not end when it was to")
    assert status.state == "stopped"
    # The next training can begin.
    assert not training_jobs.is_active()


def test_a_process_that_stays_silent_is_killed_without_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _job_in(tmp_path)
    job.report(TrainingStatus("training", epoch=1))
    silent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    monkeypatch.setattr(training_supervision, "STUCK_SECONDS", 0.5)
    last = time.monotonic() + 1.5
    monkeypatch.setattr(TrainingJob, "last_sign_of_life", lambda _: min(time.monotonic(), last))
    training_supervision.look_after(silent, job)
    assert silent.returncode == -signal.SIGKILL
    assert time.monotonic() > last + 0.5
    status = job.reported_status()
    assert (status.state, status.epoch) == ("stopped", 1)
    assert status.message.startswith("The process that trained had shown no sign of life")


@pytest.mark.parametrize("error", [OSError(1, "no"), RuntimeError("threads")])
def test_a_process_that_cannot_be_confined_does_not_train(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs in this process, without what would change it."""

    def refuse(*_: Any, **__: Any) -> None:
        raise error

    def train(*_: Any) -> None:
        pytest.fail("It is not to go on.")

    job = _job_in(tmp_path)
    job.write_request()
    monkeypatch.setattr(os, "nice", lambda _: 0)
    monkeypatch.setattr(training_process, "confine", refuse)
    for name in ("follow", "_train"):
        monkeypatch.setattr(training_process, name, train)
    training_process.main(str(tmp_path), "1")
    assert job.reported_status() == TrainingStatus(
        "failed",
        "This system refuses to confine the process of a training, so it is not started. "
        "The server's log says more.",
    )


def test_a_process_that_does_not_end_is_killed_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _job_in(tmp_path)
    job.report(TrainingStatus("training", epoch=1))
    endless = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    monkeypatch.setattr(training_supervision, "MOST_SECONDS", 0.2)
    monkeypatch.setattr(training_supervision, "OVERDUE_SECONDS", 0.2)
    training_supervision.look_after(endless, job)
    assert endless.returncode == -signal.SIGKILL
    assert (job.reported_status().state, job.reported_status().epoch) == ("stopped", 1)


def test_no_process_survives_the_server(tmp_path: Path) -> None:
    photos = [png(n % 200, n) for n in range(400)]
    (tmp_path / "photos.zip").write_bytes(zip_of({"a": photos, "b": photos[::-1]}))
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from cnnviz.serving import training_jobs\n"
            "data = open(sys.argv[1], 'rb').read()\n"
            "request = training_jobs.TrainingRequest('m_1', '', 'photos', 'tiny-vgg', 100)\n"
            "training_jobs.start(request, data)\n"
            "(job,) = training_jobs.jobs()\n"
            "while training_jobs.status(job) == training_jobs.TrainingStatus(): time.sleep(0.02)\n"
            "print(job.folder, flush=True)\n"
            "time.sleep(600)",
            str(tmp_path / "photos.zip"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdout is not None
    try:
        assert server.stdout.readline().startswith("/")
        assert len(running_in(server.pid)) > 1
        server.kill()
        server.wait(60)
        assert wait_until(lambda: not running_in(server.pid), 60), running_in(server.pid)
    finally:
        server.stdout.close()
        if running_in(server.pid):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(60)


# --- Zips of photos -----------------------------------------------------------------------------


def test_photos_of_a_zip_are_trained_on_until_it_is_stopped() -> None:
    """The zip is deleted, and the best epoch so far becomes the model."""
    photos = dark_and_bright()
    photos["dark"].append(b"not a photo")
    upload = zip_of({f"my photos/{name}": files for name, files in photos.items()})
    request = TrainingRequest("mine_1", "", "mine", "tiny-vgg", training_jobs.MOST_EPOCHS)
    job = start(request, upload)
    zipped = Path(job.request.source)
    assert wait_until(lambda: finished(epochs_of(job)))
    assert zipped.parent == job.folder
    assert not zipped.exists()
    training_jobs.stop()
    assert job.is_stop_requested()
    status = ended(job)
    assert status.state == "stopped", status
    assert status.message == "Files that could not be read and were left out: 1."
    history = epochs_of(job)
    assert 1 <= finished(history) < training_jobs.MOST_EPOCHS
    assert str(job.model) in [model.path for model in training_jobs.models()]
    card = read_card(card_path(job.model))
    assert card.labels == ["bright", "dark"]
    assert card.training.data.startswith("mine.zip: 6 of bright, 6 of dark")
    assert card.training.accuracy[0].value == round(best_of(history).val_accuracy, 4)


BAD = {
    "no zip": (b"PK, but no zip at all", "photos.zip is neither a folder nor a zip file."),
    "one class": (zip_of({"cat": [png(9, 1), png(9, 2)]}), "has one class: cat"),
    "nothing": (zip_of({}), "has no classes"),
    "no photos": (zip_of({"cat": [b"x", b"y"], "dog": [b"x", b"y"]}), "no photos that can be read"),
    "all the same": (
        zip_of({"cat": [png(9, 1)] * 3, "dog": [png(99, 2)] * 3}),
        "has 1 photo that can be read; copies count once",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_zip_is_refused_with_a_clear_message(case: str) -> None:
    upload, words = BAD[case]
    job = start(TrainingRequest("bad_1", "", "photos", "tiny-vgg", 1), upload)
    status = ended(job)
    assert (status.state, words in status.message) == ("failed", True), status
    # Neither a path of this server nor the photos.
    assert str(job.folder) not in status.message
    assert not list(job.folder.glob("*.zip"))
    assert not training_jobs.is_active()


def _job_in(folder: Path, upload: bytes = b"") -> TrainingJob:
    """A job without a process."""
    source = folder / "photos.zip"
    source.write_bytes(upload)
    return TrainingJob(folder, TrainingRequest("m_1", str(source), "photos", "tiny-vgg", 1))


def test_too_many_photos_are_refused(tmp_path: Path) -> None:
    job = _job_in(tmp_path, zip_of(dark_and_bright(6)))
    with pytest.raises(DataError, match=r"photos\.zip holds 12 photos; at most 11 are taken here"):
        training_process.prepare_data(job, ProgressReporter(job), most_photos=11)
    assert not Path(job.request.source).exists()


def test_the_preparation_can_be_stopped_too(tmp_path: Path) -> None:
    job = _job_in(tmp_path, zip_of(dark_and_bright(6)))
    job.request_stop()
    with pytest.raises(TrainingError, match="stopped before its first epoch"):
        training_process.prepare_data(job, ProgressReporter(job))
    assert not Path(job.request.source).exists()


def test_a_training_has_limited_time(tmp_path: Path) -> None:
    job = _job_in(tmp_path)
    assert not ProgressReporter(job).must_end()
    assert ProgressReporter(job, most_seconds=-1).must_end()


def test_a_zip_that_does_not_fit_on_the_disk_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wait_until(lambda: not training_jobs.is_active())
    before = training_jobs.jobs()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TrainingError, match="cannot begin: No space left on device"):
        training_jobs.start(replace(DIGITS, source=""), b"zip")
    assert training_jobs.jobs() == before
    assert not training_jobs.is_active()


# --- Kept jobs -------------------------------------------------------------------------------


def test_only_the_last_jobs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses the jobs of the tests before."""
    monkeypatch.setattr(training_jobs, "KEPT_JOBS", 2)
    old = training_jobs.jobs()
    job = start(TrainingRequest("bad_1", "", "photos", "tiny-vgg", 1), b"no zip")
    ended(job)
    another = start(TrainingRequest("bad_2", "", "photos", "tiny-vgg", 1), b"no zip")
    ended(another)
    assert training_jobs.jobs() == [another, job]
    kept = {path.name for path in job.folder.parent.iterdir()}
    assert kept == {job.folder.name, another.folder.name}
    # A page that still shows a deleted job gets no error.
    for deleted in old:
        training_jobs.status(deleted)
        assert deleted.run() is None
    assert training_jobs.models() == []
