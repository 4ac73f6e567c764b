"""The app's own training: real processes, on the shipped digits and on zips of tiny photos."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnviz
from cnnviz.cards import card_path, read_card
from cnnviz.errors import DataError, ModelError, TrainingError
from cnnviz.serving import training_jobs, training_process
from cnnviz.serving.training_jobs import Order, Place, Status
from cnnviz.settings import ROOT
from cnnviz.training.runs import best_of, open_run, read_history, run_folder
from scripts.process_list import running_in

DIGITS = Order("digits_1", str(ROOT / "cnnviz" / "samples" / "digits.npz"), "digits", "tiny-vgg", 2)
LONG = replace(DIGITS, epochs=training_jobs.MOST_EPOCHS)


@pytest.fixture(scope="module", autouse=True)
def no_other() -> Iterator[None]:
    """Starts this file with a server that has trained nothing, and leaves no process behind."""
    training_jobs._desk.cache_clear()
    yield
    _end()
    if training_jobs._desk().folder is not None:
        training_jobs._desk().folder.cleanup()
    training_jobs._desk.cache_clear()


def _end() -> None:
    process = training_jobs._desk().process
    if process is not None:
        process.kill()
        process.wait(60)


def _wait(condition: Callable[[], Any], seconds: float = 180) -> bool:
    """Looks again and again until the condition holds; False when it never does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def start(order: Order, upload: bytes | None = None) -> Place:
    """Starts a training as soon as the one before is over."""
    assert _wait(lambda: not training_jobs.is_going())
    training_jobs.start(order, upload)
    return training_jobs.places()[0]


def ended(place: Place) -> Status:
    """How a training ended."""
    assert _wait(lambda: not training_jobs.status(place).going), training_jobs.status(place)
    return training_jobs.status(place)


def epochs_of(place: Place) -> list[Any]:
    return read_history(run_folder(place.model))


def zip_of(folders: dict[str, list[bytes]]) -> bytes:
    """A zip with these files in its folders."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for folder, files in folders.items():
            for number, data in enumerate(files):
                archive.writestr(f"{folder}/{number}.png", data)
    return buffer.getvalue()


def png(level: int, seed: int) -> bytes:
    """A small photo about as bright as that."""
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
def digits(no_other: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, list[Status]]:
    """A training of the digits in two epochs, and what was told of it on the way."""
    with pytest.MonkeyPatch.context() as patch:
        # The server may have been started from anywhere.
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        place = start(DIGITS)
    told = [training_jobs.status(place)]
    with pytest.raises(TrainingError, match="this server trains one at a time"):
        training_jobs.start(LONG)
    assert training_jobs.is_going()
    assert training_jobs.models() == []

    def note() -> bool:
        told.append(training_jobs.status(place))
        return not told[-1].going

    assert _wait(note)
    return place, told


def test_a_training_goes_through_its_states(digits: tuple[Place, list[Status]]) -> None:
    place, told = digits
    states = list(dict.fromkeys(status.state for status in told))
    assert states == ["preparing", "training", "finished"]
    learning = [status for status in told if status.epoch]
    assert {status.epochs for status in learning} == {2}
    # 4,000 of the 5,000 digits are to learn from, 32 in a step.
    assert {status.total for status in learning} == {125}
    where = [(status.epoch, status.done) for status in learning]
    assert where == sorted(where)
    assert learning[0].seconds_left is None or learning[0].epoch > 1
    assert [epoch.number for epoch in epochs_of(place)] == [1, 2]
    assert not training_jobs.is_going()


def test_a_refused_start_leaves_nothing(digits: tuple[Place, list[Status]]) -> None:
    place, _ = digits
    assert training_jobs.places()[-1] == place
    folders = [path.name for path in place.folder.parent.iterdir()]
    assert len(folders) == len(training_jobs.places())


def test_the_model_is_there_for_everybody(digits: tuple[Place, list[Status]]) -> None:
    place, _ = digits
    (model,) = [model for model in training_jobs.models() if model.path == str(place.model)]
    assert model.trusted
    network = cnnviz.load_model(model.path, trusted=True)
    best = best_of(epochs_of(place))
    card = read_card(card_path(place.model))
    (accuracy,) = card.training.accuracy
    assert accuracy.value == round(best.val_accuracy, 4)
    assert card.training.epochs == 2
    # It has learned something: a guess among ten would be right in one of ten cases.
    assert best.val_accuracy > 0.3
    checkpoint = cnnviz.load_model(run_folder(place.model) / best.checkpoint, trusted=True)
    for one, other in zip(network.model.weights, checkpoint.model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_a_checkpoint_is_a_model_with_the_trainings_card(
    digits: tuple[Place, list[Status]],
) -> None:
    place, _ = digits
    run = place.run()
    assert run is not None
    first = epochs_of(place)[0].checkpoint
    model = training_jobs.checkpoint(run, first, trusted=False)
    assert (model.path, model.checkpoint, model.trusted) == (str(run.folder / first), True, False)
    assert training_jobs.checkpoint(run, first, trusted=True).trusted
    assert '"conv_1_1"' in run.card.model_dump_json()
    with pytest.raises(ModelError, match="no model file"):
        training_jobs.checkpoint(run, "epoch-099-0.1000.keras", trusted=True)


# --- Stopped, killed, left alone ----------------------------------------------------------------


def test_stopped_after_an_epoch_the_best_one_becomes_the_model() -> None:
    place = start(LONG)
    assert _wait(lambda: epochs_of(place))
    training_jobs.stop()
    assert place.is_asked_to_end()
    status = ended(place)
    assert (status.state, status.message) == ("stopped", "")
    history = epochs_of(place)
    assert 1 <= len(history) < training_jobs.MOST_EPOCHS
    assert str(place.model) in [model.path for model in training_jobs.models()]
    on = read_card(card_path(place.model)).training.accuracy[0]
    assert on.value == round(best_of(history).val_accuracy, 4)


def test_stopped_at_once_there_is_no_model() -> None:
    place = start(LONG)
    # The process has not even begun to look at anything.
    training_jobs.stop()
    status = ended(place)
    assert status.state == "stopped"
    assert status.message == "The training was stopped before its first epoch was finished."
    assert str(place.model) not in [model.path for model in training_jobs.models()]
    assert epochs_of(place) == []


def test_a_killed_process_is_told_and_its_epochs_stay() -> None:
    place = start(LONG)
    assert _wait(lambda: epochs_of(place))
    process = training_jobs._desk().process
    assert process is not None
    process.send_signal(signal.SIGKILL)
    status = ended(place)
    assert status.state == "failed"
    assert status.message.startswith("The process that trained stopped")
    history = epochs_of(place)
    assert all((run_folder(place.model) / epoch.checkpoint).exists() for epoch in history)
    assert open_run(run_folder(place.model)).card.labels == list("0123456789")
    assert not training_jobs.is_going()


def test_nothing_goes_on_when_the_server_is_gone(tmp_path: Path) -> None:
    """While photos are decoded there are even processes of the process."""
    photos = [png(n % 200, n) for n in range(400)]
    (tmp_path / "photos.zip").write_bytes(zip_of({"a": photos, "b": photos[::-1]}))
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from cnnviz.serving import training_jobs\n"
            "data = open(sys.argv[1], 'rb').read()\n"
            "trainer.start(training_jobs.Order('m_1', '', 'photos', 'tiny-vgg', 100), data)\n"
            "while not training_jobs.places()[0].status().done: time.sleep(0.02)\n"
            "print(training_jobs.places()[0].folder, flush=True)\n"
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
        assert _wait(lambda: not running_in(server.pid), 60), running_in(server.pid)
    finally:
        server.stdout.close()
        if running_in(server.pid):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(60)


# --- Zips of photos -----------------------------------------------------------------------------


def test_photos_of_a_zip_are_trained_on_and_the_zip_is_deleted() -> None:
    photos = dark_and_bright()
    photos["dark"].append(b"not a photo")
    upload = zip_of({f"my photos/{name}": files for name, files in photos.items()})
    place = start(Order("mine_1", "", "mine", "tiny-vgg", 2), upload)
    zipped = Path(place.order.source)
    status = ended(place)
    assert status.state == "finished", status
    assert status.message == "Files that could not be read and were left out: 1."
    card = read_card(card_path(place.model))
    assert card.labels == ["bright", "dark"]
    assert card.training.data.startswith("mine.zip: 6 of bright, 6 of dark")
    assert zipped.parent == place.folder
    assert not zipped.exists()


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
def test_a_bad_zip_is_told_in_clear_words(case: str) -> None:
    upload, words = BAD[case]
    place = start(Order("bad_1", "", "photos", "tiny-vgg", 1), upload)
    status = ended(place)
    assert (status.state, words in status.message) == ("failed", True), status
    # Neither a place on this server nor the photos.
    assert str(place.folder) not in status.message
    assert not list(place.folder.glob("*.zip"))
    assert not training_jobs.is_going()


def _in_a_folder(folder: Path, upload: bytes) -> tuple[Place, training_process._Teller]:
    """What the process has, without the process."""
    source = folder / "photos.zip"
    source.write_bytes(upload)
    place = Place(folder, Order("m_1", str(source), "photos", "tiny-vgg", 1))
    return place, training_process._Teller(place)


def test_too_many_photos_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_process, "MOST_PHOTOS", 11)
    place, teller = _in_a_folder(tmp_path, zip_of(dark_and_bright(6)))
    with pytest.raises(DataError, match=r"photos\.zip holds 12 photos; at most 11 are taken here"):
        training_process._prepare(place.order, place.data, teller)
    assert not Path(place.order.source).exists()


def test_the_preparation_can_be_stopped_too(tmp_path: Path) -> None:
    place, teller = _in_a_folder(tmp_path, zip_of(dark_and_bright(6)))
    place.ask_to_end()
    with pytest.raises(TrainingError, match="stopped before its first epoch"):
        training_process._prepare(place.order, place.data, teller)
    assert not Path(place.order.source).exists()


def test_a_training_takes_no_longer_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, teller = _in_a_folder(tmp_path, b"")
    assert not teller.ends()
    monkeypatch.setattr(training_process, "_SECONDS", -1)
    assert teller.ends()


def test_a_zip_that_finds_no_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _wait(lambda: not training_jobs.is_going())
    before = training_jobs.places()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TrainingError, match="cannot begin: No space left on device"):
        training_jobs.start(replace(DIGITS, source=""), b"zip")
    assert training_jobs.places() == before
    assert not training_jobs.is_going()


# --- What is kept -------------------------------------------------------------------------------


def test_the_last_trainings_alone_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses what the tests before have left."""
    monkeypatch.setattr(training_jobs, "_KEPT", 2)
    old = training_jobs.places()
    place = start(Order("bad_1", "", "photos", "tiny-vgg", 1), b"no zip")
    ended(place)
    another = start(Order("bad_2", "", "photos", "tiny-vgg", 1), b"no zip")
    ended(another)
    assert training_jobs.places() == [another, place]
    kept = {path.name for path in place.folder.parent.iterdir()}
    assert kept == {place.folder.name, another.folder.name}
    # Who still watches one that is gone is not met by an error.
    for gone in old:
        training_jobs.status(gone)
        assert gone.run() is None
    assert training_jobs.models() == []
