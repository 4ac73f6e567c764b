"""The command line: its output is that of the API, and its exit codes are right."""

from __future__ import annotations

import csv
import errno
import functools
import importlib.metadata
import importlib.util
import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from corpus import models
from corpus import networks as n
from helpers import rows_in
from PIL import Image, ImageColor
from rich.console import Console
from typer.testing import CliRunner, Result

import cnnviz
from cnnviz.attribution import methods
from cnnviz.attribution.localization import find_box
from cnnviz.batch import exemplar_search, runs
from cnnviz.cards import ModelCard, Preprocessing, Training, write_card
from cnnviz.cli import explain, inputs, main, terminal
from cnnviz.errors import PhotoError
from cnnviz.features import kept_galleries
from cnnviz.figures.boxes import BOX_COLOUR, CONTOUR_COLOUR
from cnnviz.inspection.refusals import REASONS
from cnnviz.networks import keras_start, loading
from cnnviz.networks.engines import conversion
from cnnviz.networks.network import Network
from cnnviz.numerals import percent
from cnnviz.settings import ROOT, read_settings
from cnnviz.storage import card_path, labels_path

# Keras saves weights with a call that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = 10
# For a model whose first operations do not show which values of the pixels it takes.
UNIT = ("--preset", "unit")


@pytest.fixture(scope="module", autouse=True)
def loaded_once() -> Iterator[None]:
    """Commands and tests share what is loaded and compiled of each state of a model's file.

    Tests that start a process load everything themselves.
    """
    load = loading.load_with_keras

    @functools.cache
    def load_state(path: Path, _: tuple[int, ...], trusted: bool, preset: str | None) -> Network:
        return load(path, trusted=trusted, preset=preset)

    def load_once(path: Path, *, trusted: bool = False, preset: str | None = None) -> Network:
        files = [file for file in (path, card_path(path), labels_path(path)) if file.exists()]
        state = tuple(file.stat().st_mtime_ns for file in files)
        return load_state(path, state, trusted, preset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "load_with_keras", load_once)
        yield


@pytest.fixture(scope="module")
def averaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model that averages its maps into a dense layer, with a card: cat or dog."""
    import keras

    keras.utils.set_random_seed(5)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(4, 3, activation="relu", bias_initializer="normal", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, "softmax", kernel_initializer="normal", name="scores"),
        ]
    )
    path = tmp_path_factory.mktemp("models") / "averaged.keras"
    model.save(path)
    card = ModelCard(
        title="A tiny network",
        description="For tests.",
        labels=["cat", "dog"],
        preprocessing=Preprocessing(height=SIZE, width=SIZE, fit="crop", scaling="unit"),
        training=Training(data="none", split="none"),
        licence="MIT",
        source="made for tests",
    )
    write_card(card, path.with_suffix(".json"))
    return path


@pytest.fixture(scope="module")
def flattened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model without a card that ends in a flattened dense layer: Grad-CAM only."""
    import keras

    keras.utils.set_random_seed(6)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.SeparableConv2D(3, 3, activation="relu", name="first"),
            layers.Conv2D(5, 3, activation="relu", use_bias=False, name="second"),
            layers.Flatten(name="flatten"),
            layers.Dense(12, "softmax", name="dense"),
        ]
    )
    path = tmp_path_factory.mktemp("models") / "flattened.keras"
    model.save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of photos, some in a folder below it, and things that are no photos."""
    folder = tmp_path / "photos"
    for seed, name in enumerate(("b.png", "a.PNG", "inner/c.jpg", ".hidden.png")):
        save_photo(folder / name, seed)
    (folder / "notes.txt").write_text("no photo")
    save_photo(folder / "a.overlay.png", 9)
    return folder


def save_photo(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (14, 20, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main.app, [str(part) for part in arguments])


def lines(result: Result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def names(result: Result) -> list[str]:
    return [Path(line["file"]).name for line in lines(result)]


# --- exemplars --------------------------------------------------------------------------------


def test_exemplars_are_kept_beside_the_model(averaged: Path, photos: Path, tmp_path: Path) -> None:
    model = shutil.copy(averaged, tmp_path / "copy.keras")
    shutil.copy(averaged.with_suffix(".json"), tmp_path / "copy.json")
    sheet = tmp_path / "sheet.png"
    options = ("--layer", "conv", "--channels", "0,2-3", "--count", 2, *("--out", sheet), "--json")
    result = run("exemplars", model, photos, *options)
    assert result.exit_code == 0, result.stderr
    rows = lines(result)
    assert [row["channel"] for row in rows] == [0, 2, 3]
    network = cnnviz.load_model(model)
    names = ["a.PNG", "b.png", "inner/c.jpg"]
    for row in rows:
        peaks = {
            name: float(
                cnnviz.activations(network, cnnviz.open_photo(photos / name), ["conv"])["conv"][
                    ..., row["channel"]
                ].max()
            )
            for name in names
        }
        best = sorted(peaks.values(), reverse=True)[:2]
        assert [one["value"] for one in row["most"]] == pytest.approx(best)
        assert all(one["value"] == pytest.approx(peaks[one["photo"]]) for one in row["least"])
    found = kept_galleries.find(tmp_path / "copy.keras", network.fingerprint, "conv")
    (gallery,) = found.galleries
    assert gallery.source == "3 photos in photos"
    assert set(gallery.photos) <= set(names)
    assert cnnviz.open_photo(sheet).shape[1] > 4 * 96


def test_exemplars_say_what_is_missing(averaged: Path, photos: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((photos, "--layer", "nothing"), "nothing"),
        ((photos, "--layer", "conv", "--channels", "2-9"), "channels 0 to 3"),
        ((photos, "--layer", "conv", "--channels", "9-2"), "such as 0-63"),
        ((tmp_path / "nowhere", "--layer", "conv"), "There is no folder"),
        ((tmp_path / "photos" / "inner", "--layer", "scores"), "no maps"),
    ):
        result = run("exemplars", averaged, *arguments)
        assert result.exit_code == 2
        assert message in result.stderr


def test_exemplars_of_classes_with_their_errors(averaged: Path, tmp_path: Path) -> None:
    for seed in range(6):
        save_photo(tmp_path / "photos" / ("cat", "dog")[seed % 2] / f"{seed}.png", seed)
    sheet = tmp_path / "sheet.png"
    model = Path(shutil.copy(averaged, tmp_path / "copy.keras"))
    shutil.copy(averaged.with_suffix(".json"), tmp_path / "copy.json")
    options = ("--class", "all", "--count", 4, "--out", sheet, "--json")
    result = run("exemplars", model, tmp_path / "photos", *options)
    assert result.exit_code == 0, result.stderr
    network = cnnviz.load_model(averaged)
    said = {
        f"{label}/{seed}.png": cnnviz.predict(
            network, cnnviz.open_photo(tmp_path / "photos" / label / f"{seed}.png")
        ).label
        for seed in range(6)
        for label in [("cat", "dog")[seed % 2]]
    }
    for row in lines(result):
        taken = {name for name, label in said.items() if label == row["label"]}
        assert row["count"] == len(taken)
        assert {one["photo"] for one in row["confident"]} <= taken
        wrong = {name for name in taken if not name.startswith(row["label"])}
        assert len(row["wrong"]) == min(4, len(wrong))
        assert {one["photo"] for one in row["wrong"]} <= wrong
    assert cnnviz.open_photo(sheet).shape[0] > 200
    (kept,) = kept_galleries.find_classes(model, network.fingerprint).galleries
    assert (kept.source, kept.truths) == ("6 photos in photos", True)
    assert [one.count for one in kept.classes] == [row["count"] for row in lines(result)]
    assert all(one.under_map is not None for one in kept.pictures)
    assert run("exemplars", averaged, tmp_path / "photos").exit_code == 2


def test_exemplars_that_are_stopped_keep_nothing(
    averaged: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(exemplar_search.exemplars, "find_exemplars", stop)
    before = sorted(averaged.parent.iterdir())
    result = run("exemplars", averaged, photos, "--layer", "conv")
    assert (result.exit_code, sorted(averaged.parent.iterdir())) == (130, before)
    assert "nothing is kept" in result.stderr


# --- compare ----------------------------------------------------------------------------------


def test_compare_writes_one_picture_and_all_values(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    chosen = ("--class", "dog", "--class", "0", "--method", "cam", "--method", "random")
    result = run("compare", averaged, photos / "b.png", *chosen, "--out", out, "--json")
    assert result.exit_code == 0
    rows = lines(result)
    assert [(row["class"], row["method"]) for row in rows] == [
        ("dog", "cam"),
        ("dog", "random"),
        ("cat", "cam"),
        ("cat", "random"),
    ]
    network, photo = cnnviz.load_model(averaged), cnnviz.open_photo(photos / "b.png")
    read = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    for row, cell in zip(rows, read["cells"], strict=True):
        cam = cnnviz.class_activation_map(network, photo, row["class"], method=row["method"])
        np.testing.assert_array_equal(np.array(cell["values"], np.float32), cam.values)
        assert row["largest"] == pytest.approx(float(cam.values.max()))
    assert read["answers"][0]["network"]["sha256"] == network.fingerprint
    with Image.open(out / "comparison.png") as picture:
        assert picture.width > 2 * 280
    assert read["cells"][0]["verdict"] is None
    table = run("compare", averaged, photos / "b.png", *chosen, "--out", out, "--judge").stdout
    assert "Rank correlation: " in table
    assert table.count("Verdict: ") == 4


def test_compare_says_what_is_missing(averaged: Path, photos: Path, tmp_path: Path) -> None:
    assert "at least one model" in run("compare", photos / "b.png", "--out", tmp_path).stderr
    assert "at least one photo" in run("compare", averaged, "--out", tmp_path).stderr
    wrong = run("compare", averaged, photos / "b.png", "--method", "best", "--out", tmp_path)
    assert (wrong.exit_code, list(tmp_path.glob("comparison.*"))) == (2, [])
    assert "There is no method 'best'" in wrong.stderr


# --- maximise ---------------------------------------------------------------------------------


def test_maximise_writes_the_pictures_of_the_api(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    how = ("--out", tmp_path, "--steps", "2", "--seed", "3")
    result = run("maximise", averaged, "--class", "dog", "--against", "cat", *how, "--json")
    assert result.exit_code == 0
    network = cnnviz.load_model(averaged)
    objective = cnnviz.Objective(None, 1, 0)
    ways = [replace(way, steps=2) for way in cnnviz.usual_ascents(network, objective, 3)]
    found = cnnviz.maximise(network, [objective], ways)
    (row,) = lines(result)
    assert row["picture"] == "dog-minus-cat.png"
    np.testing.assert_allclose(row["values"], found.values[0], rtol=1e-5)
    picture = cnnviz.open_photo(tmp_path / row["picture"])
    np.testing.assert_array_equal(picture, found.pictures[0])
    table = run("maximise", averaged, "--layer", "conv", "--from", photos / "b.png", *how).stdout
    assert [f"conv-{channel}.png" in table for channel in range(5)] == [True] * 4 + [False]
    for wrong, says in (
        (("--layer", "conv", "--class", "dog"), "either --layer or --class"),
        (("--class", "dog", "--channel", "1"), "needs its --layer"),
        (("--layer", "con"), "no layer 'con'"),
        (("--layer", "conv", "--channel", "4"), "channels 0 to 3"),
    ):
        refused = run("maximise", averaged, *wrong, *how)
        assert (refused.exit_code, says in refused.stderr) == (2, True)


# --- predict ----------------------------------------------------------------------------------


def test_predict_prints_the_answer_of_the_api(averaged: Path, photos: Path) -> None:
    result = run("predict", averaged, photos / "b.png", "--json")
    expected = cnnviz.predict(cnnviz.load_model(averaged), cnnviz.open_photo(photos / "b.png"))
    assert result.exit_code == 0
    assert result.stderr == ""
    top = [{"label": s.label, "probability": s.probability} for s in expected.top(5)]
    assert lines(result) == [
        {
            "file": str(photos / "b.png"),
            "class": expected.label,
            "confidence": expected.probabilities.max(),
            "top": top,
        }
    ]


def test_keras_starts_without_the_rewriting_that_may_take_hours(
    rewriting: Callable[[], bool],
) -> None:
    assert rewriting()
    with terminal.starting_keras():
        pass
    assert not rewriting()


def test_predict_without_json_prints_a_table(averaged: Path, photos: Path) -> None:
    answer = lines(run("predict", averaged, photos / "b.png", "--json"))[0]
    result = run("predict", averaged, photos / "b.png")
    cells = re.split(r"\s*│\s*", result.stdout.splitlines()[3].strip("│ "))
    assert cells == [str(photos / "b.png"), answer["class"], percent(answer["confidence"])]


def test_the_table_has_the_percentages_of_the_pages(capsys: pytest.CaptureFixture[str]) -> None:
    shares = (0.99996, 1.0, 0.8867, 0.0004, 0.0)
    terminal.show_rows([{"confidence": share} for share in shares], ("confidence",), False)
    cells = [line.strip("│ ") for line in capsys.readouterr().out.splitlines() if "%" in line]
    assert cells == ["> 99.9 %", "> 99.9 %", "88.7 %", "< 0.1 %", "0.0 %"]


def test_a_missing_photo_gets_a_sentence_and_no_table(averaged: Path, tmp_path: Path) -> None:
    result = run("predict", averaged, tmp_path / "gone.png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "The photo gone.png cannot be opened: No such file or directory." in result.stderr


def test_top_has_five_classes_of_many(flattened: Path, photos: Path) -> None:
    answer = lines(run("predict", flattened, photos / "b.png", *UNIT, "--json"))[0]
    shares = [score["probability"] for score in answer["top"]]
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)


def test_a_model_without_a_card_gets_a_note(flattened: Path, photos: Path) -> None:
    result = run("predict", flattened, photos / "b.png", *UNIT, "--json")
    assert result.exit_code == 0
    assert "there is no card beside flattened.keras" in result.stderr
    assert len(lines(result)) == 1


def test_without_a_preset_that_cannot_be_inferred_there_is_no_class(
    flattened: Path, photos: Path, tmp_path: Path
) -> None:
    for command in (
        ("predict", flattened, photos),
        ("explain", flattened, photos, "--out", tmp_path / "out"),
        ("activations", flattened, photos / "b.png", "first", "--out", tmp_path / "a.npy"),
    ):
        result = run(*command)
        assert result.exit_code == 2
        assert "Give the option --preset with what it was trained on: none, unit" in result.stderr
        assert result.stdout == ""
    answer = lines(run("predict", flattened, photos / "b.png", "--preset", "tf", "--json"))[0]
    network = cnnviz.load_model(flattened, preset="tf")
    expected = cnnviz.predict(network, cnnviz.open_photo(photos / "b.png"))
    assert answer["confidence"] == pytest.approx(expected.top(1)[0].probability)
    assert run("predict", flattened, photos, "--preset", "vgg").exit_code == 2


def test_a_preset_is_kept_in_a_card(flattened: Path, photos: Path, tmp_path: Path) -> None:
    model = tmp_path / "net.keras"
    model.write_bytes(flattened.read_bytes())
    assert run("card", model).exit_code == 2
    assert run("card", model, *UNIT).exit_code == 0
    once, kept = (
        lines(run("predict", path, photos / "b.png", *options, "--json"))[0]["top"]
        for path, options in ((flattened, UNIT), (model, ()))
    )
    assert once == kept
    again = run("card", model, *UNIT)
    assert again.exit_code == 2
    assert "There is a card already" in again.stderr


def test_a_folder_or_a_file_of_another_kind_gets_an_answer(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    (tmp_path / "net.onnx").write_bytes(b"model")
    (tmp_path / "net.h5").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    for name, sentence in (
        ("saved", "saved is refused. This is a SavedModel of TensorFlow"),
        ("net.onnx", "net.onnx is refused. This is an ONNX model"),
        ("net.h5", "net.h5 is refused. This is a pointer of Git LFS"),
    ):
        result = run("predict", tmp_path / name, photos)
        assert result.exit_code == 2
        assert sentence in result.stderr


def test_a_bad_photo_does_not_stop_the_rest(averaged: Path, photos: Path) -> None:
    (photos / "b.png").write_bytes(b"no photo at all")
    chosen = [photos / "a.PNG", photos / "b.png", photos / "gone.png", photos / "inner/c.jpg"]
    result = run("predict", averaged, *chosen, "--json")
    assert result.exit_code == 1
    assert names(result) == ["a.PNG", "c.jpg"]
    *_, first, second = result.stderr.splitlines()
    assert str(photos / "b.png") in first
    assert "cannot be read as a photo" in first
    assert str(photos / "gone.png") in second
    assert "No such file" in second


def test_a_terminal_gets_a_progress_bar_beside_the_lines(
    averaged: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "Console", functools.partial(Console, force_terminal=True))
    result = run("predict", averaged, photos, "--json")
    assert "Photos" in result.stderr
    assert len(lines(result)) == 3


# --- Pictures of data sets ----------------------------------------------------------------------


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A file in the form of Keras's MNIST, with the training pictures first."""
    rng = np.random.default_rng(3)
    arrays = {
        name: rng.integers(0, 256, (count, 12, 9), dtype=np.uint8)
        for name, count in (("x_train", 5), ("x_test", 4))
    }
    np.savez_compressed(tmp_path / "digits.npz", y_train=np.arange(5), **arrays)
    return tmp_path / "digits.npz"


def test_a_picture_of_a_data_set_is_a_photo(averaged: Path, digits: Path, tmp_path: Path) -> None:
    with np.load(digits) as arrays:
        pictures = {f"{digits}#3": arrays["x_test"][3], f"{digits}#x_train/4": arrays["x_train"][4]}
    colour = np.random.default_rng(4).integers(0, 256, (2, 12, 9, 3), dtype=np.uint8)
    np.save(tmp_path / "colour.npy", colour)
    np.savez(tmp_path / "grey.npz", labels=np.arange(2), grey=colour[..., :1])
    pictures[f"{tmp_path / 'colour.npy'}#1"] = colour[1]
    pictures[f"{tmp_path / 'grey.npz'}#0"] = colour[0, ..., 0]
    result = run("predict", averaged, *pictures, "--json")
    assert result.exit_code == 0, result.stderr
    for answer, (name, pixels) in zip(lines(result), pictures.items(), strict=True):
        Image.fromarray(pixels).save(tmp_path / "same.png")
        same = run("predict", averaged, tmp_path / "same.png", "--json")
        assert answer == {**lines(same)[0], "file": name}


def test_other_commands_take_pictures_of_data_sets(
    averaged: Path, digits: Path, tmp_path: Path
) -> None:
    out = tmp_path / "maps.npy"
    assert run("activations", averaged, f"{digits}#3", "conv", "--out", out).exit_code == 0
    photo = cnnviz.open_photo(f"{digits}#3")
    maps = cnnviz.activations(cnnviz.load_model(averaged), photo, ["conv"])["conv"]
    np.testing.assert_array_equal(np.load(out), maps)
    run("explain", averaged, f"{digits}#3", f"{digits}#x_train/3", "--out", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "digits-3.overlay.png", "digits-x_train-3.overlay.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits.npz", "holds arrays. Name one of its pictures by number.*digits.npz#22"),
        ("digits.npz#4", "x_test of digits.npz has no picture 4: it holds 4, counted from 0"),
        ("digits.npz#-1", "after # comes the number of a picture"),
        ("digits.npz#x_test", "after # comes the number of a picture"),
        ("digits.npz#x/1", "no array 'x'. It holds y_train, x_train, x_test"),
        ("digits.npz#y_train/1", r"y_train of digits.npz holds no pictures.*\(5,\) of type int64"),
        ("labels.npz#1", r"no array of pictures.*It holds y \(3,\) of type int64"),
        ("scaled.npy#0", r"holds no pictures.*\(2, 9, 9\) of type float32"),
        ("scaled.npy#x/0", "holds one array, without a name"),
        ("pickled.npz#0", "no array of pictures.*of type object"),
        ("columns.npz#0", "x_test of columns.npz is in Fortran order: save numpy.ascontiguous"),
        ("cut.npy#1", "is damaged"),
        ("text.npz#1", "is damaged"),
        ("long.npy#0", "one side is more than 20 times"),
        ("gone.npz#1", "gone.npz cannot be opened: there is no such file"),
    ],
)
def test_what_is_no_picture_of_a_data_set(digits: Path, name: str, message: str) -> None:
    folder = digits.parent
    np.savez(folder / "labels.npz", y=np.arange(3))
    np.save(folder / "scaled.npy", np.zeros((2, 9, 9), np.float32))
    np.savez(folder / "pickled.npz", x=np.array([{}], dtype=object))
    np.savez(folder / "columns.npz", x_test=np.zeros((2, 9, 9), np.uint8, "F"))
    np.save(folder / "long.npy", np.zeros((1, 2, 50), np.uint8))
    np.save(folder / "cut.npy", np.zeros((2, 9, 9), np.uint8))
    (folder / "cut.npy").write_bytes((folder / "cut.npy").read_bytes()[:-1])
    (folder / "text.npz").write_text("text")
    with pytest.raises(PhotoError) as refused:
        cnnviz.open_photo(folder / name)
    assert re.search(message, str(refused.value)), refused.value


# --- Folders and globs --------------------------------------------------------------------------


def test_a_folder_means_its_photos_in_order(averaged: Path, photos: Path) -> None:
    result = run("predict", averaged, photos, "--json")
    assert names(result) == ["a.PNG", "b.png", "c.jpg"]
    assert result.exit_code == 0


def test_a_quoted_glob_means_its_matches(averaged: Path, photos: Path) -> None:
    assert names(run("predict", averaged, photos / "?.png", "--json")) == ["b.png"]
    assert names(run("predict", averaged, f"{photos}/**/*.jpg", "--json")) == ["c.jpg"]
    assert names(run("predict", averaged, f"{photos}/inn*", "--json")) == ["c.jpg"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(averaged: Path, photos: Path) -> None:
    save_photo(photos / "cat[1].png", 4)
    assert names(run("predict", averaged, photos / "cat[1].png", "--json")) == ["cat[1].png"]


def test_a_photo_that_is_named_twice_is_listed_once(averaged: Path, photos: Path) -> None:
    result = run("predict", averaged, photos / "b.png", photos, f"{photos}/b*", "--json")
    assert sorted(names(result)) == ["a.PNG", "b.png", "c.jpg"]


def test_a_pattern_without_a_photo_is_named(averaged: Path, photos: Path) -> None:
    (photos / "empty").mkdir()
    result = run("predict", averaged, photos / "empty", photos / "x*.png", photos, "--json")
    assert result.exit_code == 1
    assert len(lines(result)) == 3
    assert f"{photos / 'empty'}: There is no photo here." in result.stderr
    assert f"{photos / 'x*.png'}: There is no photo here." in result.stderr


# --- trace --------------------------------------------------------------------------------------


def test_trace_prints_the_sum_and_what_follows(averaged: Path, photos: Path) -> None:
    cell = ("conv", "--row", 2, "--column", 5, "--channel", 3)
    printed = run("trace", averaged, photos / "b.png", *cell).stdout
    network = cnnviz.load_model(averaged)
    trace = cnnviz.trace_value(network, cnnviz.open_photo(photos / "b.png"), "conv", 2, 5, 3)
    first, second, third, *others = printed.splitlines()
    assert first.startswith("conv (Conv2D), row 2, column 5, channel 3: ")
    assert second == "It sees 3 × 3 of 10 × 10 pixels: columns 5 to 7, rows 2 to 4"
    assert third.startswith("On the photo: columns ")
    # Three colours, with the products of three rows each; bias, sum, activation.
    assert [line[:4] for line in others[::4]][:3] == [f"{trace.inputs[0].layer}, channel 0"[:4]] * 3
    assert others[1].count("×") == others[1].count("=") == 1
    assert others[-1].startswith("conv, relu: max(")
    as_json = json.loads(run("trace", averaged, photos / "b.png", *cell, "--json").stdout)
    assert as_json["value"] == trace.value
    assert as_json["terms"][1]["weights"] == trace.terms[1].weights.tolist()


def test_trace_of_a_class_map_is_channel_times_weight(averaged: Path, photos: Path) -> None:
    cell = ("--row", 2, "--column", 5, "--class", "dog")
    printed = run("trace", averaged, photos / "b.png", *cell).stdout.splitlines()
    assert printed[0].startswith("conv (Conv2D), row 2, column 5, the map of 'dog': ")
    assert sum(line.startswith("conv, channel ") for line in printed) == 4


def test_trace_takes_a_layer_or_a_class(averaged: Path, photos: Path) -> None:
    for choice in ((), ("conv",), ("--channel", 1), ("--channel", 1, "--class", "dog")):
        cell = ("--row", 2, "--column", 5, *choice)
        result = run("trace", averaged, photos / "b.png", *cell)
        assert result.exit_code == 2
        assert "a layer with --channel" in result.stderr


def test_trace_names_the_cells_that_there_are(averaged: Path, photos: Path) -> None:
    cell = ("conv", "--row", 8, "--column", 5, "--channel", 3)
    result = run("trace", averaged, photos / "b.png", *cell)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "has 8 rows, counted from 0" in result.stderr


# --- explain ------------------------------------------------------------------------------------


def test_explain_writes_the_map_and_the_overlay(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    result = run("explain", averaged, photos / "b.png", "--out", out, "--json")
    network = cnnviz.load_model(averaged)
    photo = cnnviz.open_photo(photos / "b.png")
    cam = cnnviz.class_activation_map(network, photo)
    assert result.exit_code == 0, result.stderr
    (answer,) = lines(result)
    assert answer == {
        **lines(run("predict", averaged, photos / "b.png", "--json"))[0],
        "method": "cam",
        "layer": "conv",
        "target": answer["class"],
        "against": None,
        "detail": "cells",
        "size": [14, 20],
        "box": asdict(find_box(cam.values, 14, 20, network.card.preprocessing)),
        "threshold": 0.2,
        "overlay": str(out / "b.overlay.png"),
        "cam": str(out / "b.cam.npy"),
    }
    np.testing.assert_array_equal(np.load(answer["cam"]), cam.values)
    picture = np.asarray(Image.open(answer["overlay"]))
    np.testing.assert_array_equal(picture, cnnviz.overlay(photo, cam, network.card.preprocessing))
    assert sorted(path.name for path in out.iterdir()) == ["b.cam.npy", "b.overlay.png", "results"]


def test_explain_writes_boxes_at_a_threshold(averaged: Path, photos: Path, tmp_path: Path) -> None:
    options = ("--threshold", 0.9, "--boxes", "--out", tmp_path, "--json")
    (answer,) = lines(run("explain", averaged, photos / "b.png", *options))
    network = cnnviz.load_model(averaged)
    steps = network.card.preprocessing
    photo = cnnviz.open_photo(photos / "b.png")
    cam = cnnviz.class_activation_map(network, photo)
    parts = cnnviz.find_parts(cam.values, 14, 20, steps, 0.9)
    record = json.loads(Path(answer["boxes"]).read_text())
    assert record["file"] == str(photos / "b.png")
    assert (record["threshold"], record["class"]) == (0.9, answer["class"])
    assert record["smoothing"] == 0
    boxes = [asdict(part.box) for part in parts]
    assert [part["box"] for part in record["parts"]] == boxes
    assert boxes != [asdict(box) for box in cnnviz.find_boxes(cam.values, 14, 20, steps)]
    (row,) = rows_in(tmp_path)
    assert answer["box"] == boxes[0] == {name: row[name] for name in boxes[0]}
    assert answer["threshold"] == row["threshold"] == 0.9
    picture = np.asarray(Image.open(answer["boxed"]))
    changed = (picture != photo).any(axis=2)
    # The first box is bold: two pixels, and one below them.
    top, left, right = (boxes[0][side] for side in ("top", "left", "right"))
    assert changed[top : top + 2, left:right].all()
    # The contour is over it where both are at the same place.
    colours = {ImageColor.getrgb(colour) for colour in (BOX_COLOUR, CONTOUR_COLOUR)}
    assert {tuple(pixel) for pixel in picture[top, left:right].tolist()} <= colours


def test_explain_writes_boxes_without_pictures(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = ("--no-pictures", "--boxes", "--out", out)
    assert run("explain", averaged, photos / "b.png", *options).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["b.boxes.json", "results"]
    # Another threshold is another run.
    result = run("explain", averaged, photos / "b.png", *options, "--threshold", 0.3, "--resume")
    assert "not the same threshold" in result.stderr


def test_explain_judges_maps(averaged: Path, photos: Path, tmp_path: Path) -> None:
    options = ("--no-pictures", "--judge", "--boxes", "--out", tmp_path, "--json")
    (answer,) = lines(run("explain", averaged, photos / "b.png", *options))
    network, photo = cnnviz.load_model(averaged), cnnviz.open_photo(photos / "b.png")
    cam = cnnviz.class_activation_map(network, photo)
    expected, copies = (
        cnnviz.judge(network, photo, cam),
        cnnviz.map_consistency(network, photo, cam),
    )
    (row,) = rows_in(tmp_path)
    for found in (answer, row):
        first = copies.shifted_first.sum() + copies.mirrored_first.sum()
        assert found["copies_first"] == first
        lowest = min(copies.shifted.min(), copies.mirrored.min())
        assert found["copies_lowest"] == pytest.approx(lowest)
        assert found["copies_map"] == pytest.approx(copies.map_likeness)
        assert (found["verdict"], found["verdict_reason"]) == (expected.word, expected.reason)
        skill = math.nan if found["skill"] is None else found["skill"]
        assert skill == pytest.approx(expected.skill, nan_ok=True)
    assert "boxed" not in answer


@pytest.mark.parametrize("threshold", ["1", "-0.1", "nan"])
def test_explain_refuses_a_threshold_that_leaves_nothing(
    averaged: Path, photos: Path, tmp_path: Path, threshold: str
) -> None:
    result = run("explain", averaged, photos, "--out", tmp_path, "--threshold", threshold)
    assert result.exit_code == 2
    assert "from 0 to below 1" in result.stderr


@pytest.mark.parametrize("method", get_args(inputs.Method))
def test_explain_does_each_method_for_a_chosen_class(
    averaged: Path, photos: Path, tmp_path: Path, method: str
) -> None:
    network = cnnviz.load_model(averaged)
    photo = cnnviz.open_photo(photos / "b.png")
    other = cnnviz.predict(network, photo).top(2)[1].label
    chosen = ("--class", other, "--method", method, "--out", tmp_path, "--json")
    (answer,) = lines(run("explain", averaged, photos / "b.png", *chosen))
    expected = cnnviz.class_activation_map(network, photo, other, method=method)
    assert (answer["target"], answer["method"]) == (other, method)
    assert answer["class"] != other
    np.testing.assert_array_equal(np.load(answer["cam"]), expected.values)


def test_explain_takes_a_number_of_runs(averaged: Path, photos: Path, tmp_path: Path) -> None:
    chosen = ("--method", "occlusion", "--runs", "9", "--out", tmp_path, "--json")
    (answer,) = lines(run("explain", averaged, photos / "b.png", *chosen))
    assert answer["layer"] == ""
    assert np.load(answer["cam"]).shape == (3, 3)
    refused = run("explain", averaged, photos / "b.png", "--runs", "0", "--out", tmp_path)
    assert refused.exit_code == 2


def test_explain_takes_a_layer_and_a_class_by_number(
    flattened: Path, photos: Path, tmp_path: Path
) -> None:
    chosen = ("--layer", "first", "--class", "3", "--out", tmp_path, *UNIT, "--json")
    (answer,) = lines(run("explain", flattened, photos / "b.png", *chosen))
    network = cnnviz.load_model(flattened, preset="unit")
    photo = cnnviz.open_photo(photos / "b.png")
    expected = cnnviz.class_activation_map(network, photo, 3, layer="first")
    assert (answer["method"], answer["layer"]) == ("hires-cam", "first")
    assert answer["target"] == "class 3"
    np.testing.assert_array_equal(np.load(answer["cam"]), expected.values)


def test_a_class_named_by_a_number_has_priority_over_the_number() -> None:
    import keras

    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    base = cnnviz.network(model)
    digits = cnnviz.network(model, base.card.model_copy(update={"labels": ["1", "0"]}))
    assert inputs.class_index(digits, "1") == 0
    assert inputs.class_index(base, "1") == 1


def test_measure_prints_the_scores_of_the_api(averaged: Path, photos: Path) -> None:
    chosen = ("--class", "cat", "--method", "grad-cam")
    scores = ("--score", "deletion-mean", "--score", "average-drop", "--score", "noise-stability")
    result = run("measure", averaged, photos / "b.png", *chosen, *scores, "--json")
    network, photo = cnnviz.load_model(averaged), cnnviz.open_photo(photos / "b.png")
    cam = cnnviz.class_activation_map(network, photo, "cat", method="grad-cam")
    expected = cnnviz.measure(network, photo, cam, scores[1::2]).scores
    for line, score in zip(lines(result), expected, strict=True):
        assert (line["score"], line["better"]) == (score.measure, score.better)
        values = [line[name] for name in ("map", "blurred_copy", "random_map")]
        np.testing.assert_allclose(values, [score.value, score.blurred, score.random], atol=1e-5)
        assert ("curves" in line) == (score.measure == "deletion-mean")
    table = run("measure", averaged, photos / "b.png", *chosen, *scores).stdout
    assert f"{expected[0].value:.3f}" in table
    assert percent(expected[1].value) in table
    refused = run("measure", averaged, photos / "b.png", "--score", "best")
    assert refused.exit_code == 2
    assert "no score 'best'" in refused.stderr


def test_explain_without_json_names_the_files(averaged: Path, photos: Path, tmp_path: Path) -> None:
    result = run("explain", averaged, photos / "b.png", "--out", tmp_path)
    assert result.exit_code == 0
    for part in (photos / "b.png", tmp_path / "b.overlay.png", tmp_path / "b.cam.npy", "conv"):
        assert str(part) in result.stdout


def test_photos_of_one_name_do_not_share_a_file(averaged: Path, tmp_path: Path) -> None:
    chosen = [
        save_photo(tmp_path / name, seed)
        for seed, name in enumerate(("a/cat.jpg", "b/cat.jpg", "b/cat.png", "b/Cat-2.png"))
    ]
    out = tmp_path / "out"
    result = run("explain", averaged, *chosen, "--out", out, "--json")
    network = cnnviz.load_model(averaged)
    assert result.exit_code == 0
    assert names(result) == [path.name for path in chosen]
    files = {line[key].lower() for line in lines(result) for key in ("overlay", "cam")}
    assert len(files) == 2 * len(chosen)
    for path, line in zip(chosen, lines(result), strict=True):
        expected = cnnviz.class_activation_map(network, cnnviz.open_photo(path))
        # A batch may be added up in another order than one photo.
        np.testing.assert_allclose(np.load(line["cam"]), expected.values, rtol=1e-4, atol=1e-7)


def test_explain_replaces_no_photo(averaged: Path, tmp_path: Path) -> None:
    chosen = [save_photo(tmp_path / name, 1) for name in ("cat.png", "cat.overlay.png")]
    before = [path.read_bytes() for path in chosen]
    result = run("explain", averaged, *chosen, "--out", tmp_path, "--json")
    assert [path.read_bytes() for path in chosen] == before
    assert lines(result)[0]["overlay"] == str(tmp_path / "cat-2.overlay.png")


def test_explaining_again_replaces_the_files(averaged: Path, photos: Path) -> None:
    first = run("explain", averaged, photos, "--out", photos, "--json")
    second = run("explain", averaged, photos, "--out", photos, "--json")
    assert len(lines(first)) == 3
    assert second.stdout == first.stdout


def test_explain_names_the_photo_whose_files_cannot_be_written(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "c.overlay.png").mkdir()
    result = run("explain", averaged, photos, "--out", tmp_path, "--json")
    assert result.exit_code == 1
    assert names(result) == ["a.PNG", "b.png"]
    assert f"{tmp_path / 'c.overlay.png'} cannot be written" in result.stderr
    assert not list(tmp_path.glob(".*.part"))


def test_explain_writes_the_contrastive_map_as_a_picture(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    options = ("--method", "contrastive-cam", "--json")
    answer = lines(run("explain", averaged, photos / "b.png", "--out", tmp_path, *options))[0]
    values = np.load(answer["cam"])
    with Image.open(answer["contrast"]) as picture:
        written = np.asarray(picture)
    # The card cuts out the middle square of 14 × 14 pixels of 14 × 20, for 8 × 8 cells.
    assert values.shape == (8, 8)
    seen = Image.fromarray(values).resize((14, 14), Image.Resampling.BILINEAR)
    expected = np.zeros((14, 20), np.float32)
    expected[:, 3:17] = np.asarray(seen)
    expected = np.clip(expected / np.abs(expected).max(), 0, 1) * 255
    assert written.shape == (14, 20)
    np.testing.assert_allclose(written, expected, atol=0.51)


def test_a_folder_that_cannot_be_made_ends_the_command(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_bytes(b"")
    result = run("explain", averaged, photos, "--out", tmp_path / "taken" / "deep")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


# --- explain: many photos -----------------------------------------------------------------------


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PART", 2)


def test_explain_in_another_detail(averaged: Path, photos: Path, tmp_path: Path) -> None:
    options = ("--out", tmp_path, "--json", "--detail", "double")
    (answer,) = lines(run("explain", averaged, photos / "b.png", *options))
    network, photo = cnnviz.load_model(averaged), cnnviz.open_photo(photos / "b.png")
    expected = cnnviz.explain(network, photo, detail="double")
    assert answer["detail"] == "double"
    assert answer["confidence"] == pytest.approx(expected.prediction.top(1)[0].probability)
    np.testing.assert_array_equal(np.load(answer["cam"]), expected.maps[0].values)
    # A convolution without padding leaves 8 of 10 pixels, and 18 of 20.
    assert expected.maps[0].values.shape == (18, 18)


@pytest.mark.usefixtures("small_parts")
def test_the_table_has_the_same_values_as_the_lines(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "b.png").write_bytes(b"no photo")
    result = run("explain", averaged, photos, "--out", tmp_path, "--json", "--no-pictures")
    assert result.exit_code == 1
    first, bad, last = rows_in(tmp_path)
    for row, line in zip((first, last), lines(result), strict=True):
        box = {"height": line["size"][0], "width": line["size"][1], **line["box"], "error": None}
        judged = dict.fromkeys(("verdict", "verdict_reason", "skill"))
        judged |= dict.fromkeys(f"copies_{name}" for name in ("first", "lowest", "highest", "map"))
        shared = ("file", "class", "confidence", "target", "method", "layer", "against")
        shared += ("detail", "threshold")
        assert row == {**{name: line[name] for name in shared}, **box, **judged}
    assert bad.pop("file") == str(photos / "b.png")
    assert "cannot be read as a photo" in bad.pop("error")
    assert set(bad.values()) == {None}
    assert len(list((tmp_path / "results").glob("part-*.parquet"))) == 2


def test_without_pictures_there_is_the_table_alone(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    result = run("explain", averaged, photos, "--out", tmp_path / "out", "--no-pictures")
    assert result.exit_code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results"]
    assert len([line for line in result.stdout.splitlines() if "cam" in line]) == 3


def test_many_photos_make_no_table_on_the_screen(
    averaged: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "_TABLE_ROWS", 2)
    result = run("explain", averaged, photos, "--out", tmp_path, "--no-pictures")
    assert result.stdout == ""
    assert f"Explained 3 photos; their rows are in {tmp_path / 'results'}." in result.stderr


def test_many_failures_are_counted_and_some_named(
    averaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "_LISTED_FAILURES", 2)
    gone = [tmp_path / f"{number}.png" for number in range(5)]
    result = run("explain", averaged, *gone, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert len([line for line in result.stderr.splitlines() if "No such file" in line]) == 2
    assert "and 3 more: the column 'error' in" in result.stderr
    assert len(run("predict", averaged, *gone).stderr.splitlines()) == 6


@pytest.mark.usefixtures("small_parts")
def test_resuming_does_what_is_left_and_repeats_what_failed(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    for number in range(4):
        save_photo(photos / f"d{number}.png", number)
    (photos / "a.PNG").write_bytes(b"no photo")
    options = ("--out", tmp_path, "--no-pictures", "--json")
    assert run("explain", averaged, photos, *options).exit_code == 1
    rows_of_first_run = rows_in(tmp_path)
    parts = sorted((tmp_path / "results").glob("part-*.parquet"))
    assert len(parts) == 4
    parts[1].unlink()
    parts[3].write_bytes(parts[3].read_bytes()[:-9])
    kept = parts[0].stat().st_mtime_ns
    result = run("explain", averaged, photos, *options, "--resume")
    assert result.exit_code == 1
    assert "4 of 7 photos were done before." in result.stderr
    assert str(photos / "a.PNG") in result.stderr
    assert names(result) == ["d0.png", "d1.png", "c.jpg"]
    assert rows_in(tmp_path) == rows_of_first_run
    assert parts[0].stat().st_mtime_ns == kept


def test_nothing_left_to_resume_gets_a_sentence_and_no_table(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    options = ("--out", tmp_path, "--no-pictures")
    assert run("explain", averaged, photos, *options).exit_code == 0
    result = run("explain", averaged, photos, *options, "--resume")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        "3 of 3 photos were done before. Nothing is left to do; the rows are in "
        f"{tmp_path / 'results'}.\n"
    )


def test_without_resume_an_earlier_run_is_replaced(
    averaged: Path, photos: Path, tmp_path: Path
) -> None:
    options = ("--out", tmp_path, "--no-pictures")
    run("explain", averaged, photos, *options)
    run("explain", averaged, photos / "b.png", *options)
    assert [row["file"] for row in rows_in(tmp_path)] == [str(photos / "b.png")]


def test_resuming_what_never_began_begins(averaged: Path, photos: Path, tmp_path: Path) -> None:
    result = run("explain", averaged, photos, "--out", tmp_path, "--no-pictures", "--resume")
    assert result.exit_code == 0
    assert len(rows_in(tmp_path)) == 3


def test_another_run_is_not_resumed(
    averaged: Path, flattened: Path, photos: Path, tmp_path: Path
) -> None:
    options = ("--out", tmp_path / "out", "--no-pictures")
    run("explain", averaged, photos, *options)
    before = rows_in(tmp_path / "out")
    new = save_photo(tmp_path / "new.png", 3)
    for model, changed, named in (
        (averaged, ("--class", "cat", "--against", "dog"), "class, against"),
        (averaged, ("--method", "grad-cam"), "method"),
        (averaged, ("--detail", "double"), "detail"),
        (averaged, ("--pictures",), "pictures"),
        (averaged, (new,), "photos, listing"),
        (flattened, UNIT, "model, card"),
    ):
        result = run("explain", model, photos, *options, *changed, "--resume")
        assert result.exit_code == 2
        assert f"is another one: not the same {named}." in result.stderr
        assert rows_in(tmp_path / "out") == before


def test_a_damaged_manifest_is_not_resumed(averaged: Path, photos: Path, tmp_path: Path) -> None:
    options = ("--out", tmp_path, "--no-pictures")
    run("explain", averaged, photos, *options)
    (tmp_path / "results" / "_run.json").write_text("{")
    result = run("explain", averaged, photos, *options, "--resume")
    assert result.exit_code == 2
    assert "cannot be read, so the run in this folder cannot be resumed" in result.stderr


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("ending", [".parquet", ".overlay.png"])
def test_a_full_disk_ends_the_run_and_resuming_completes_it(
    averaged: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
) -> None:
    for number in range(3):
        save_photo(photos / f"d{number}.png", number)
    complete = tmp_path / "whole"
    run("explain", averaged, photos, "--out", complete)
    replace, written = Path.replace, []

    def run_full(path: Path, target: Path) -> Path:
        written.append(target)
        if len([file for file in written if file.name.endswith(ending)]) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(path, target)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", run_full)
        result = run("explain", averaged, photos, "--out", out)
    assert result.exit_code == 2
    message = " ".join(result.stderr.split())
    assert "cannot be written: No space left on device." in message
    assert "the same command with --resume goes on" in message
    assert not list(out.rglob(".*.part"))
    kept = rows_in(out)
    assert 2 <= len(kept) < 6
    assert kept == rows_in(complete)[: len(kept)]
    again = run("explain", averaged, photos, "--out", out, "--resume")
    assert again.exit_code == 0
    assert rows_in(out) == rows_in(complete)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in complete.iterdir()
    )


# Each photo takes so long that a busy machine, too, sends the signal before the run ends.
_SLOW_RUN = """
import sys, time
from cnnviz.batch import exemplar_search, runs
from cnnviz.cli import main

explain_part = runs.explain_part

def explain_slowly(*args):
    for row in explain_part(*args):
        time.sleep(0.06)
        yield row

runs.PART, runs.explain_part = 4, explain_slowly
"""


@pytest.fixture(scope="module")
def hundred(averaged: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """A folder of 100 photos, and the rows of a run that explains all of them in one part."""
    folder = tmp_path_factory.mktemp("hundred")
    for number in range(100):
        save_photo(folder / f"{number:03}.png", number)
    out = tmp_path_factory.mktemp("at once")
    run("explain", averaged, folder, "--out", out, "--no-pictures")
    return folder, rows_in(out)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_half_way_is_resumed(
    averaged: Path,
    hundred: tuple[Path, list[dict]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sent: signal.Signals,
) -> None:
    """Nothing is lost or doubled, and finished parts are not done again."""
    folder, rows = hundred
    out = tmp_path / "out"
    options = ["explain", str(averaged), str(folder), "--out", str(out), "--no-pictures"]
    code = f"{_SLOW_RUN}\nsys.argv[1:] = {options!r}\nmain.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(cnnviz.__file__).parent.parent,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(out.glob("results/part-*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(sent)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    finished = {path: path.stat().st_mtime_ns for path in out.glob("results/part-*")}
    assert 1 <= len(finished) < 25
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert "Stopped. What is finished stays in" in stderr.decode()
        assert not list(out.rglob(".*.part"))
    monkeypatch.setattr(runs, "PART", 4)
    result = run(*options, "--resume")
    assert result.exit_code == 0
    assert [row["file"] for row in rows_in(out)] == [str(path) for path in sorted(folder.iterdir())]
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    for answer, expected in zip(rows_in(out), rows, strict=True):
        confidence = pytest.approx(expected["confidence"], rel=1e-4)
        assert answer == expected | {"confidence": confidence}


def test_without_ray_the_option_names_the_requirements(
    averaged: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def missing(name: str, package: str | None = None) -> Any:
        return None if name == "ray" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", missing)
    result = run("explain", averaged, photos, "--out", tmp_path, "--ray", "auto")
    assert result.exit_code == 2
    assert "pip install -r requirements-ray.txt" in result.stderr


@pytest.mark.parametrize("command", ["predict", "layers"])
def test_without_tensorflow_a_command_names_the_extra(
    command: str, averaged: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def missing(name: str, package: str | None = None) -> Any:
        return None if name == "tensorflow" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", missing)
    # It was started for other tests, which loaded the model.
    monkeypatch.setattr(keras_start, "_is_started", False)
    model = shutil.copy(averaged, tmp_path)
    result = run(command, model, *([photos] if command == "predict" else []))
    assert result.exit_code == 2
    assert "pip install 'cnnviz[cpu]'" in result.stderr


def test_rows_of_a_cluster_are_not_printed(averaged: Path, photos: Path, tmp_path: Path) -> None:
    result = run("explain", averaged, photos, "--out", tmp_path / "x", "--ray", "auto", "--json")
    assert result.exit_code == 2
    assert not (tmp_path / "x").exists()


# --- Wrong input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--class", "horse"), "has no class 'horse'"),
        (("--class", "2"), "has no class 2"),
        (("--layer", "convv", "--method", "grad-cam"), "has no layer 'convv'. Near it: conv"),
        (("--layer", "scores"), "no maps"),
        (("--layer", "scores", "--method", "cam"), "use 'grad-cam'"),
        (("--method", "nowhere"), "'nowhere' is not one of"),
    ],
)
def test_explain_with_a_wrong_choice_is_a_usage_error(
    averaged: Path, photos: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    result = run("explain", averaged, photos, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert message in " ".join(re.sub("[│╭╰─]", " ", result.stderr).split())
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()


def test_explain_with_a_method_that_does_not_fit_is_a_usage_error(
    flattened: Path, photos: Path, tmp_path: Path
) -> None:
    result = run("explain", flattened, photos, "--out", tmp_path, "--method", "cam", *UNIT)
    assert result.exit_code == 2
    assert "Use 'grad-cam'" in result.stderr


def test_a_wrong_model_is_a_usage_error(photos: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"no model")
    result = run("predict", damaged, photos)
    assert result.exit_code == 2
    assert "damaged.keras is refused. This is not a Keras model" in result.stderr
    assert run("predict", tmp_path / "gone.keras", photos).exit_code == 2


def test_the_methods_are_those_of_the_api() -> None:
    assert get_args(inputs.Method) == tuple(methods.METHODS)


# --- layers, filters, activations ---------------------------------------------------------------


def test_layers_lists_every_layer(flattened: Path) -> None:
    answer = lines(run("layers", flattened, "--json"))
    assert [layer["path"] for layer in answer] == ["first", "second", "flatten", "dense"]
    assert answer[1] == {
        "path": "second",
        "kind": "Conv2D",
        "output_shape": [None, 6, 6, 5],
        "parameters": 3 * 3 * 3 * 5,
        "kernel_shape": [3, 3, 3, 5],
        "nested": False,
    }


def test_layers_without_json_prints_a_table(flattened: Path) -> None:
    result = run("layers", flattened)
    row = next(line for line in result.stdout.splitlines() if "second" in line)
    assert re.split(r"\s*│\s*", row.strip("│ ")) == [
        "second",
        "Conv2D",
        "6 × 6 × 5",
        "135",
        "3 × 3 × 3 × 5",
    ]


def test_layers_counts_parameters_as_keras_does(tmp_path: Path) -> None:
    import keras

    layers = keras.layers
    image = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.DepthwiseConv2D(3)], name="inner")
    inner.trainable = False
    x = layers.Dropout(0.5)(layers.BatchNormalization()(shared(shared(image))))
    x = layers.GlobalAveragePooling2D()(inner(x))
    model = keras.Model(image, layers.Dense(2, activation="softmax")(x))
    model.save(tmp_path / "a.keras")
    summary: list[str] = []
    model.summary(print_fn=lambda text, **_: summary.append(text))
    count, trainable = (
        re.search(rf" {title} params: ([0-9,]+)", "".join(summary)).group(1)  # type: ignore[union-attr]
        for title in ("Total", "Trainable")
    )
    assert count != trainable
    totals = f"Parameters: {count}, of which {trainable} are trainable.\n"
    assert run("layers", tmp_path / "a.keras").stdout.endswith(totals)
    assert run("layers", tmp_path / "a.keras", "--json").stderr.endswith(totals)


def test_filters_saves_kernels_as_npy(averaged: Path, tmp_path: Path) -> None:
    result = run("filters", averaged, "conv", "--out", tmp_path / "conv.npy")
    expected = cnnviz.filters(cnnviz.load_model(averaged), "conv")
    assert result.exit_code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "conv.npy"), expected.kernels)


@pytest.mark.parametrize("layer", ["first", "second"])
def test_filters_saves_all_arrays_as_npz(flattened: Path, tmp_path: Path, layer: str) -> None:
    run("filters", flattened, layer, "--out", tmp_path / "all.npz")
    expected = cnnviz.filters(cnnviz.load_model(flattened), layer)
    with np.load(tmp_path / "all.npz") as saved:
        assert set(saved) == {
            name
            for name in ("kernels", "biases", "pointwise")
            if getattr(expected, name) is not None
        }
        for name in saved:
            np.testing.assert_array_equal(saved[name], getattr(expected, name))


def test_filters_saves_a_line_for_each_filter_as_csv(averaged: Path, tmp_path: Path) -> None:
    run("filters", averaged, "conv", "--out", tmp_path / "conv.csv")
    expected = cnnviz.filters(cnnviz.load_model(averaged), "conv")
    table = list(csv.DictReader(io.StringIO((tmp_path / "conv.csv").read_text())))
    assert [int(row["filter"]) for row in table] == [0, 1, 2, 3]
    for index, row in enumerate(table):
        numbers = {name: np.float32(value) for name, value in row.items()}
        assert numbers["bias"] == expected.biases[index]
        assert numbers["filter norm"] == expected.per_filter.norm[index]
        for position in np.ndindex(3, 3, 3):
            assert numbers["[{},{},{}]".format(*position)] == expected.kernels[(*position, index)]


def test_biases_of_a_separable_layer_stay_out_of_the_csv(flattened: Path, tmp_path: Path) -> None:
    run("filters", flattened, "first", "--out", tmp_path / "first.csv")
    table = list(csv.DictReader(io.StringIO((tmp_path / "first.csv").read_text())))
    assert [row["bias"] for row in table] == ["", "", ""]


def test_filters_of_a_layer_without_filters_is_an_error(averaged: Path, tmp_path: Path) -> None:
    result = run("filters", averaged, "scores", "--out", tmp_path / "x.npy")
    assert result.exit_code == 2
    assert "has no filters" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_activations_saves_a_layers_maps(averaged: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps.npy"
    result = run("activations", averaged, photos / "b.png", "conv", "--out", out)
    photo = cnnviz.open_photo(photos / "b.png")
    expected = cnnviz.activations(cnnviz.load_model(averaged), photo, ["conv"])["conv"]
    assert result.exit_code == 0
    assert expected.shape == (8, 8, 4)
    np.testing.assert_array_equal(np.load(out), expected)


def test_activations_of_a_bad_photo_is_a_failed_photo(averaged: Path, photos: Path) -> None:
    result = run("activations", averaged, photos / "notes.txt", "conv", "--out", photos / "x.npy")
    assert result.exit_code == 1
    assert "cannot be read as a photo" in result.stderr


@pytest.mark.parametrize("command", [("filters",), ("activations", "photo")])
def test_a_file_of_another_kind_is_refused_at_once(
    averaged: Path, photos: Path, command: tuple[str, ...]
) -> None:
    arguments = [photos / "b.png"] if "photo" in command else []
    result = run(command[0], averaged, *arguments, "conv", "--out", photos / "x.mat")
    assert result.exit_code == 2
    assert "must end in .npy" in " ".join(result.stderr.split())


# --- The real thing -----------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs ``python -m cnnviz`` in a process of its own, from another folder."""
    root = Path(cnnviz.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)

    def start(*arguments: object) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "cnnviz", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=False
        )

    return start


def test_a_real_run_writes_json_and_nothing_else(
    shell: Callable[..., subprocess.CompletedProcess[bytes]],
    averaged: Path,
    photos: Path,
    tmp_path: Path,
) -> None:
    (photos / "b.png").write_bytes(b"damaged")
    done = shell("explain", averaged, "photos", "--out", "out", "--json")
    answer = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert done.returncode == 1
    assert [line["file"] for line in answer] == [
        str(Path("photos/a.PNG")),
        str(Path("photos/inner/c.jpg")),
    ]
    assert all((tmp_path / line["cam"]).is_file() for line in answer)
    # Nothing of TensorFlow's or Keras's own: only the count and the one bad photo.
    assert len(done.stderr.decode().splitlines()) == 2


def test_commands_on_a_converted_network_import_neither_keras_nor_tensorflow(
    averaged: Path,
    photos: Path,
    tmp_path: Path,
    converted_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one new process, which prints nothing of LiteRT's own; its answers are TensorFlow's."""
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "cache"))
    shutil.copytree(converted_folder, tmp_path / "cache")
    conversion.convert_file(averaged, trusted=True)
    maps = tmp_path / "maps.npy"
    traced = [
        (averaged, "conv", "--channel=3"),
        (averaged, "--class=cat"),
        (ROOT / "models" / "cat_dog.keras", "stem_act", "--channel=5"),
        (ROOT / "models" / "cat_dog.keras", "--class=cat", "--method=grad-cam"),
        (ROOT / "models" / "mnist_cnn.keras", "conv2", "--channel=5"),
        (ROOT / "models" / "mnist_cnn.keras", "--class=7"),
    ]
    commands = [
        ["predict", averaged, photos, "--json"],
        ["explain", averaged, photos / "b.png", "--out", tmp_path / "one"],
        ["explain", averaged, photos, "--out", tmp_path / "all", "--no-pictures"],
        ["explain", averaged, photos, "--out", tmp_path / "last", "--method", "grad-cam"],
        ["layers", averaged],
        ["filters", averaged, "conv", "--out", tmp_path / "conv.npy"],
        ["activations", averaged, photos / "b.png", "conv", "--out", maps],
        *(
            ["trace", model, photos / "b.png", *what, "--row=2", "--column=1"]
            for model, *what in traced
        ),
    ]
    code = (
        "import sys\n"
        "class Forbidden:\n"
        "    def find_spec(self, name, *_):\n"
        "        assert name.partition('.')[0] not in {'tensorflow', 'keras'}, name\n"
        "sys.meta_path.insert(0, Forbidden())\n"
        "from cnnviz.cli.main import main\n"
        f"for line in {[[*map(str, line), '--trust'] for line in commands]!r}:\n"
        "    sys.argv = ['cnnviz', *line]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as end:\n"
        "        assert not end.code, line\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line[:6] for line in done.stderr.splitlines()] == ["Wrote "] * 2
    assert len(re.findall("row 2, column 1, ", done.stdout)) == len(traced)
    network = cnnviz.load_model(averaged)
    assert network.converted is None
    pixels = cnnviz.open_photo(photos / "b.png")
    expected = cnnviz.activations(network, pixels, ["conv"])["conv"]
    np.testing.assert_allclose(np.load(maps), expected, atol=1e-4 * np.abs(expected).max())
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    files = [photos / "a.PNG", photos / "b.png", photos / "inner" / "c.jpg"]
    for rows in (answers, rows_in(tmp_path / "all"), rows_in(tmp_path / "last")):
        assert [Path(row["file"]) for row in rows] == files
        for row, file in zip(rows, files, strict=True):
            prediction = cnnviz.predict(network, cnnviz.open_photo(file))
            assert row["class"] == prediction.label
            assert row["confidence"] == pytest.approx(prediction.probabilities.max(), rel=1e-4)


def test_a_damaged_model_gives_one_line(
    shell: Callable[..., subprocess.CompletedProcess[bytes]], photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "damaged.keras").write_bytes(b"no model")
    sentence = "Error: damaged.keras is refused. This is not a Keras model"
    done = shell("filters", "damaged.keras", "conv", "--out", "x.npy")
    assert done.returncode == 2
    (message,) = done.stderr.decode().splitlines()
    assert message.startswith(sentence)
    path = tmp_path / "damaged.keras"
    result = run("activations", path, photos / "b.png", "conv", "--out", tmp_path / "x.npy")
    assert result.exit_code == 2
    (message,) = result.stderr.splitlines()
    assert message.startswith(sentence)


def test_extract_writes_the_model_inside(tmp_path: Path) -> None:
    import keras

    (tmp_path / "cards.h5").write_bytes(n.hdf5_file(n.multi_gpu(), models.multi_gpu_weights()))
    out = tmp_path / "new" / "real.keras"
    result = run("extract", tmp_path / "cards.h5", "--out", out)
    assert result.exit_code == 0
    assert "parameters" in result.stderr
    answer = keras.saving.load_model(out, compile=False)(n.PICTURES)
    np.testing.assert_allclose(answer, n.answer(), atol=1e-5)


def test_extract_from_another_file_is_an_error(averaged: Path, tmp_path: Path) -> None:
    result = run("extract", averaged, "--out", tmp_path / "real.keras")
    assert result.exit_code == 2
    assert "Error:" in result.stderr
    assert list(tmp_path.glob("real*")) == []


def test_help_does_not_import_tensorflow() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from cnnviz.cli import main; "
        "result = CliRunner().invoke(main.app, ['--help']); "
        "assert 'explain' in result.stdout; "
        "sys.exit(str({'tensorflow', 'keras', 'numpy'} & set(sys.modules) or ''))"
    )
    root = Path(cnnviz.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, timeout=60, check=False
    )
    assert done.stderr.decode().strip() == ""


# --- inspect ----------------------------------------------------------------------------------


def test_inspect_describes_a_file_that_is_accepted(averaged: Path) -> None:
    network = cnnviz.load_model(averaged)
    done = run("inspect", averaged, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    (facts,) = lines(done)
    assert facts == {
        "file": str(averaged),
        "bytes": averaged.stat().st_size,
        "accepted": True,
        "format": "keras",
        "keras_version": importlib.metadata.version("keras"),
        # A Sequential model has its input in the file only.
        "layers": len(network.layers) + 1,
        "kinds": dict(Counter(layer.kind for layer in network.layers)) | {"InputLayer": 1},
        "parameters": network.model.count_params(),
        "inputs": [[None, *network.structure.input_shape[1:]]],
        "outputs": [
            {
                "layer": network.layers[-1].path,
                "kind": "Dense",
                "size": len(network.card.labels),
                "activation": "softmax",
            }
        ],
        "labels": [],
        "levelled": [],
    }
    text = run("inspect", averaged).stdout
    assert "labels" not in text
    assert f"parameters: {facts['parameters']:,}\n" in text
    assert text.startswith(f"{averaged} ({facts['bytes']:,} bytes): accepted\n")


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("functional", [[None, 8, 8, 3]], [("scores", 3)]),
        ("keras-2", [[None, 8, 8, 3]], [("scores", 3)]),
        ("shape-at-the-end", [[None, 8, 8, 3]], [("scores", 3)]),
        ("free-size", [[None, None, None, 3]], [("scores", 3)]),
    ],
)
def test_inspect_names_inputs_and_outputs(
    name: str, inputs: list[Any], outputs: list[Any], tmp_path: Path
) -> None:
    case = next(one for one in models.CASES if one.name == name)
    (facts,) = lines(run("inspect", case.write(tmp_path), "--json"))
    assert facts["inputs"] == inputs
    assert [(one["layer"], one["size"]) for one in facts["outputs"]] == outputs


def test_inspect_lists_the_class_names_in_an_archive(tmp_path: Path) -> None:
    path = next(one for one in models.CASES if one.name == "keras-2-in-a-zip").write(tmp_path)
    assert lines(run("inspect", path, "--json"))[0]["labels"] == ["cats", "dogs", "owls"]
    assert "\nlabels: 3 (cats, dogs, owls)\n" in run("inspect", path).stdout
    names = ["red \x1b[31m\x9b", *"bcdefg"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net.keras", n.keras_file())
        archive.writestr("labels.txt", "\n".join(names))
    assert lines(run("inspect", path, "--json"))[0]["labels"] == ["red [31m", *"bcdefg"]
    assert "\nlabels: 7 (red [31m, b, c, d, e, …)\n" in run("inspect", path).stdout


def test_names_of_files_reach_the_terminal_without_its_codes(
    averaged: Path, tmp_path: Path
) -> None:
    path = tmp_path / "red\x1b[31m\a\n.keras"
    path.write_bytes(b"no model")
    assert "red\ufffd[31m\ufffd\ufffd.keras (8 bytes): refused" in run("inspect", path).stdout
    failed = run("predict", averaged, tmp_path / "red\x1b[31m\n.jpg")
    assert "red\ufffd[31m\ufffd.jpg: " in failed.stderr
    assert "\x1b[31m" not in failed.stderr


def test_inspect_names_the_reason_of_a_refusal(tmp_path: Path) -> None:
    path = next(one for one in models.CASES if one.name == "lambda").write(tmp_path)
    done = run("inspect", path, "--json")
    assert done.exit_code == 1
    assert lines(done) == [
        {
            "file": str(path),
            "bytes": path.stat().st_size,
            "accepted": False,
            "code": "lambda-code",
            "reason": REASONS["lambda-code"],
        }
    ]
    text = run("inspect", path)
    assert (text.exit_code, text.stderr) == (1, "")
    assert text.stdout.splitlines()[1] == REASONS["lambda-code"]
    missing = run("inspect", tmp_path / "none.keras")
    assert missing.exit_code == 2


def test_inspect_needs_no_tensorflow() -> None:
    """In a new process, and in the one that it starts, nothing imports TensorFlow or Keras."""
    code = (
        "import sys\n"
        "class Forbidden:\n"
        "    def find_spec(self, name, *_):\n"
        "        assert name.partition('.')[0] not in {'tensorflow', 'keras'}, name\n"
        "sys.meta_path.insert(0, Forbidden())\n"
        "from cnnviz.cli.main import main; main()\n"
    )
    path = read_settings().models / "mnist_cnn.keras"
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "parameters: 1,199,882\n" in done.stdout
    loaded = "import cnnviz.inspection.child, sys; print(*sys.modules)"
    names = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"tensorflow", "keras"}.isdisjoint(names)
