"""The command ``convert``: what it says of each model, what it keeps, and its exit codes."""

from __future__ import annotations

import errno
import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import cnnviz
from cnnviz import storage
from cnnviz.cli import main
from cnnviz.networks import conversions
from cnnviz.networks.engines import conversion
from cnnviz.settings import ROOT

# Keras saves weights with a call that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a person, which nothing ships."""
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, "softmax"),
        ]
    )
    path = tmp_path_factory.mktemp("models") / "own.keras"
    model.save(path)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of converted networks, not there at first."""
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main.app, ["convert", *map(str, arguments)])


def entries(cache: Path) -> list[str]:
    return sorted(path.suffix for path in cache.glob("*"))


def test_a_trusted_model_is_converted_once(saved: Path, cache: Path) -> None:
    first, second = run(saved, "--trust"), run(saved, "--trust")
    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr
    figures = first.stdout.partition(" s, ")[2]
    assert re.fullmatch(
        r"0.0 MB; largest difference from TensorFlow \de[-+]0\d of an output's largest value\n",
        figures,
    )
    assert first.stdout.startswith(f"{saved}: converted in ")
    assert second.stdout == f"{saved}: was converted before, {figures}"
    assert entries(cache) == [".json", ".tflite", ".tflite"]
    assert cnnviz.load_model(saved, trusted=True).converted is not None


def test_an_untrusted_model_is_converted_by_nobody(saved: Path, cache: Path) -> None:
    result = run(saved)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"  {saved}: This is no model that cnnviz ships" in result.stderr
    assert "use it with --trust" in result.stderr
    assert not cache.exists()


def test_a_model_that_differs_is_left_to_tensorflow_and_not_tried_again(
    saved: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "TOLERANCE", -1)
    first = run(saved, "--trust")
    assert first.exit_code == 1
    assert "TensorFlow goes on running it, since LiteRT does not fit: " in first.stderr
    assert "differs by" in first.stderr
    monkeypatch.setattr(conversion, "convert_file", None)
    assert run(saved, "--trust").stderr == first.stderr
    assert entries(cache) == [".json"]


def test_one_model_that_fails_does_not_stop_the_others(saved: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "own"), "zip", saved.parent)
    result = run(archive, saved.parent, saved, "--trust")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{saved}: converted")
    assert result.stderr.count("take the model out of a ZIP archive first") == 2
    assert run(tmp_path / "missing.keras").exit_code == 2


def test_a_damaged_model_or_card_is_named(saved: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"no model")
    card = Path(shutil.copy(saved, tmp_path / "card.keras"))
    card.with_suffix(".json").write_text(json.dumps({"title": "no card"}))
    result = run(damaged, card, "--trust")
    assert result.exit_code == 1
    assert f"  {damaged}: damaged.keras cannot be loaded" in result.stderr
    assert f"  {card}: " in result.stderr
    assert "licence: field required" in result.stderr


def test_without_arguments_it_converts_what_cnnviz_ships(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("mnist_cnn.keras", "mnist_cnn.json"):
        shutil.copy(ROOT / "models" / name, folder)
    # Of the same name as one that cnnviz ships.
    (folder / "cat_dog.keras").write_bytes(b"another model")
    monkeypatch.setenv("CNNVIZ_MODELS", str(folder))
    result = run()
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"{folder / 'mnist_cnn.keras'}: converted in ")
    assert ", 9.6 MB; largest difference from TensorFlow " in line
    assert entries(cache) == [".json", ".tflite", ".tflite"]


# --- Where the cache cannot be written ----------------------------------------------------------


def test_a_folder_that_cannot_be_written_ends_the_command_at_once(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(conversion, "convert_file", None)
    result = run(saved, "--trust")
    assert result.exit_code == 2
    assert f"{tmp_path / 'file'} is not a folder that you may write in." in result.stderr
    assert "Converted models go to the folder CNNVIZ_CACHE" in result.stderr


@pytest.mark.parametrize("full", ["cache", "temporary"])
def test_a_full_disk_ends_the_command_and_leaves_no_entry(
    saved: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if full == "cache":
        monkeypatch.setattr(storage, "replace_file", fail)
    else:
        monkeypatch.setattr(conversion.tempfile, "TemporaryDirectory", fail)
    result = run(saved, "--trust")
    assert result.exit_code == 2
    assert "No space left on device." in result.stderr
    assert "Converted models go to the folder CNNVIZ_CACHE" in result.stderr
    assert entries(cache) == []


def test_without_litert_tensorflow_runs_everything(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def missing(name: str, package: str | None = None) -> Any:
        return None if name == "ai_edge_litert" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", missing)
    result = run(saved, "--trust")
    assert result.exit_code == 2
    assert "LiteRT is not installed here, so TensorFlow runs all networks." in result.stderr
    assert conversions.find(saved, "", None) is None
