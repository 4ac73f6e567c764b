"""The commands ``prepare`` and ``train``: their output and exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from corpus import classes
from typer.testing import CliRunner, Result

import cnnviz
from cnnviz.cli import main, training
from cnnviz.training.data.manifest import Prepared, read_prepared
from cnnviz.training.data.pixels import prepare_pixels
from cnnviz.training.runs import open_run, read_history

# Keras saves weights with a call that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[2]


def cnnviz_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "cnnviz", *map(str, arguments)]


def shell(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        cnnviz_command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
    )


def run(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(main.app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 red and 30 green photos, and one that is damaged."""
    folder = tmp_path_factory.mktemp("shell") / "photos"
    classes.write_photos(folder, {"red": 40, "green": 30}, 20)
    (folder / "red" / "bad.png").write_bytes(b"damaged")
    return folder


@pytest.fixture(scope="module")
def prepared(photos: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The finished command ``prepare``, and its data."""
    out = photos.parent / "data"
    return shell("prepare", photos, "--out", out, "--size", 16), out


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("small")
    return prepare_pixels(classes.write_pixels(folder / "a.npz", [6, 6]), folder / "data")


# --- prepare --------------------------------------------------------------------------------


def test_prepare_lists_what_it_wrote_and_left_out(
    prepared: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, out = prepared
    assert done.stdout == f"{out}/green.npy: 30\n{out}/red.npy: 40\n"
    assert "Wrote 56 for training, 14 for validation\n" in done.stderr
    assert re.search(r"Left out: 1\n  red/bad.png: .*cannot be read as a photo", done.stderr)
    # Some were left out.
    assert done.returncode == 1
    assert read_prepared(out).preprocessing.height == 16


def test_prepare_of_valid_photos_exits_with_0(tmp_path: Path) -> None:
    folder = classes.write_photos(tmp_path / "photos", {"red": 3, "green": 3})
    (folder / "green" / "000.png").write_bytes((folder / "red" / "000.png").read_bytes())
    result = run("prepare", folder, "--out", tmp_path / "data", "--size", 8, "--scale")
    assert result.exit_code == 0
    warning = "Warning: 2 files are in more than one class, such as green/000.png."
    assert warning in result.stderr
    assert read_prepared(tmp_path / "data").arrays()[0].dtype == np.float32


def test_prepare_of_an_array_file(tmp_path: Path) -> None:
    path = classes.write_pixels(tmp_path / "a.npz", [5, 5], tests=2)
    result = run("prepare", path, "--out", tmp_path / "data")
    assert (result.exit_code, result.stdout.count("7\n")) == (0, 2)
    assert "Wrote 8 for training, 2 for validation, 4 for test" in result.stderr


def test_prepare_without_photos(tmp_path: Path) -> None:
    result = run("prepare", tmp_path, "--out", tmp_path.parent / f"{tmp_path.name} data")
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert "has no classes" in result.stderr
    result = run("prepare", tmp_path / "nowhere", "--out", tmp_path / "data")
    assert result.exit_code == 2
    assert "neither a folder nor a zip file" in result.stderr


def test_ctrl_c_while_photos_are_prepared(tmp_path: Path) -> None:
    folder = classes.write_photos(tmp_path / "photos", {"red": 600, "green": 600}, 20)
    command = cnnviz_command("prepare", folder, "--out", tmp_path / "data", "--size", 256)
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    ) as process:
        journal = tmp_path / "data" / ".preparing.jsonl"
        while process.poll() is None and (
            not journal.exists() or journal.read_text().count("\n") < 3
        ):
            try:
                process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        # Like a terminal: to the command and to all of its processes.
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "Interrupted. What is done is kept: run the same command again.\n"
    assert not (tmp_path / "data" / "manifest.json").exists()
    assert journal.exists()


# --- train ----------------------------------------------------------------------------------


def test_from_photos_to_a_model_that_the_api_opens(
    photos: Path, prepared: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path
) -> None:
    out = tmp_path / "colours.keras"
    done = run(
        "train", prepared[1], "--architecture", "lesson-mnist", "--out", out, "--epochs", 4,
        "--batch", 8, "--keep-best",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    network = cnnviz.load_model(out)
    (figure,) = network.card.training.accuracy
    assert done.stdout == f"{figure.value:.2%}  accuracy on the 14 validation photos\n"
    untrained, *history = read_history(tmp_path / "colours_training")
    assert untrained.number == 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("epoch ")]
    assert len(lines) == len(history) == 4
    for line, epoch in zip(lines, history, strict=True):
        assert line.startswith(f"epoch {epoch.number}/4  loss {epoch.loss:.4f}  ")
        assert f"validation: loss {epoch.val_loss:.4f}  accuracy {epoch.val_accuracy:.2%}" in line
    assert f"Wrote {out}: epoch {network.card.training.epochs}, the best of " in done.stderr
    assert len(open_run(tmp_path / "colours_training").checkpoints()) == 1

    data = read_prepared(prepared[1])
    correct = []
    for label, row in data.indices("validation"):
        name = data.labels[label]
        photo = cnnviz.open_photo(photos / data.rows[name][row].file)
        correct.append(cnnviz.predict(network, photo).top(1)[0].label == name)
    assert round(float(np.mean(correct)), 4) == figure.value
    assert figure.value > 0.8


def test_train_takes_an_array_file_and_goes_on_with_more_epochs(tmp_path: Path) -> None:
    path = classes.write_pixels(tmp_path / "a.npz", [6, 6], tests=2)
    out = tmp_path / "a.keras"
    command = ["train", path, "--architecture", "tiny-vgg", "--out", out, "--batch", 4]
    first = run(*command, "--epochs", 1)
    assert first.exit_code == 0, first.stderr
    assert "accuracy on the 4 test photos" in first.stdout
    more = run(*command, "--epochs", 2, "--resume")
    assert more.exit_code == 0, more.stderr
    note, epoch, _ = more.stderr.splitlines()
    assert note.startswith("Epoch 2: the learning rate begins again at 0.0005 and falls to 0")
    assert epoch.startswith("epoch 2/2  loss ")
    assert [epoch.number for epoch in read_history(tmp_path / "a_training")] == [0, 1, 2]
    # No data is left.
    assert {path.name for path in tmp_path.iterdir()} == {
        "a.npz", "a.keras", "a.json", "a_training",
    }  # fmt: skip


def test_ctrl_c_while_it_trains_leaves_a_usable_checkpoint(small: Prepared, tmp_path: Path) -> None:
    command = cnnviz_command(
        "train", small.folder, "--architecture", "tiny-vgg", "--out", tmp_path / "a.keras",
        "--epochs", 5000, "--batch", 4,
    )  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr
        while not (line := process.stderr.readline()).startswith("epoch 2/"):
            assert line, "it ended by itself"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    kept = "Interrupted. What is done is kept: go on by the same command with --resume.\n"
    assert errors.endswith(kept)
    assert "Traceback" not in errors
    folder = tmp_path / "a_training"
    checkpoints = open_run(folder).checkpoints()
    assert len(checkpoints) >= 2
    import keras

    newest = keras.saving.load_model(checkpoints[-1], compile=False)
    network = cnnviz.network(newest, open_run(folder).card)
    assert cnnviz.predict(network, classes.picture(0, 0)).labels == ("0", "1")
    assert not (tmp_path / "a.keras").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DATA": "nowhere"}, "no prepared data in nowhere.*cnnviz prepare PHOTOS --out DATA"),
        ({"--architecture": "transfer"}, "takes photos of 224 pixels a side.*--size 224"),
        ({"--architecture": "vgg"}, "Invalid value for '--architecture'"),
        ({"--out": "a.h5"}, "a.h5 must end in .keras"),
        ({"--epochs": "0"}, "Invalid value for '--epochs'"),
        ({"--batch": "0"}, "Invalid value for '--batch'"),
        ({"--seed": f"{2**32}"}, "Invalid value for '--seed'"),
        ({"--devices": "three"}, "Invalid value for '--devices'"),
    ],
)
def test_bad_input(small: Prepared, tmp_path: Path, changes: dict[str, str], message: str) -> None:
    arguments = {
        "DATA": str(small.folder), "--architecture": "tiny-vgg",
        "--out": str(tmp_path / "a.keras"),
    } | changes  # fmt: skip
    data = arguments.pop("DATA")
    result = run("train", data, *(part for pair in arguments.items() for part in pair))
    assert result.exit_code == 2
    message_shown = " ".join(result.stderr.replace("│", " ").split())
    assert re.search(message, message_shown), message_shown
    assert not list(tmp_path.iterdir())


def test_nothing_to_resume(small: Prepared, tmp_path: Path) -> None:
    out = tmp_path / "a.keras"
    result = run("train", small.folder, "--architecture", "tiny-vgg", "--out", out, "--resume")
    assert result.exit_code == 2
    assert "There is no training in" in result.stderr


def test_bars_are_shown_on_terminals_only() -> None:
    with training.make_bars() as bars:
        assert bars.disable
