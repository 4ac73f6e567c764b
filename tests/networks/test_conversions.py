"""The cache of converted networks: what is used, what is refused, and what ends in between."""

from __future__ import annotations

import copy
import errno
import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import platformdirs
import pytest
from corpus import builders, converted

import cnnviz
from cnnviz.cards import read_card, write_card
from cnnviz.errors import ModelError, StorageError
from cnnviz.networks import conversions, loading, weight_files, weights
from cnnviz.networks.conversions import Converted, Refusal, find, store
from cnnviz.networks.engines import conversion, litert, tensorflow
from cnnviz.networks.engines.conversion import NotConvertedError, convert_file
from cnnviz.networks.keras_models import walk
from cnnviz.settings import ROOT
from cnnviz.shipped_models import fingerprint_of
from cnnviz.storage import UNFINISHED

# Keras saves a model with a call that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its card and the cache with its conversion."""
    folder = tmp_path_factory.mktemp("made")
    network = builders.network("flat")
    network.model.save(folder / "flat.keras")
    write_card(network.card, folder / "flat.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_CACHE", str(folder / "cache"))
        convert_file(folder / "flat.keras", trusted=True)
    return folder


@pytest.fixture
def model(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a model that was converted, with a cache of one test alone."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "flat.keras"


@pytest.fixture
def without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """To load a model with Keras is an error."""
    monkeypatch.setattr(loading, "_open", lambda *_, **__: pytest.fail("Keras was used"))


def found(path: Path) -> Converted | Refusal | None:
    return find(path, fingerprint_of(path), loading.card_beside(path))


def entry(path: Path) -> tuple[conversions.Conversion, bytes, bytes]:
    """What is stored of a model that was converted."""
    converted = found(path)
    assert isinstance(converted, Converted)
    files = (converted.scores[0].read_bytes(), converted.maps[0].read_bytes())
    return conversion.description(converted), *files


def store_again(path: Path, whole: tuple[conversions.Conversion, bytes, bytes]) -> None:
    store(fingerprint_of(path), loading.card_beside(path), *whole)


# --- Used -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_keras")
def test_a_trusted_model_that_was_converted_is_loaded_without_keras(
    model: Path, photo: np.ndarray
) -> None:
    network = cnnviz.load_model(model, trusted=True)
    original = builders.network("flat")
    assert (network.card, network.structure) == (original.card, original.structure)
    assert (network.parameters, network.damaged) == (original.parameters, ())
    assert 0 < network.converted.difference < 1e-5
    expected = cnnviz.explain(original, photo, ["owl"])
    actual = cnnviz.explain(network, photo, ["owl"])
    np.testing.assert_allclose(
        actual.prediction.probabilities, expected.prediction.probabilities, rtol=0, atol=1e-5
    )
    scale = np.abs(expected.maps[0].values).max()
    np.testing.assert_allclose(
        actual.maps[0].values, expected.maps[0].values, rtol=0, atol=1e-5 * scale
    )


@pytest.mark.usefixtures("without_keras")
def test_a_shipped_model_needs_no_trust(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "shipped", lambda: {"flat.keras": fingerprint_of(model)})
    assert cnnviz.load_model(model).converted is not None


def test_a_model_that_is_not_trusted_is_not_looked_up(model: Path) -> None:
    assert cnnviz.load_model(model).converted is None


@pytest.mark.usefixtures("without_keras")
def test_without_a_card_the_inferred_one_is_the_same(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = entry(model)
    model.with_suffix(".json").unlink()
    store_again(model, whole)
    expected = cnnviz.network(builders.network("flat").model, preset="unit").card
    card = cnnviz.load_model(model, trusted=True, preset="unit").card
    assert card == expected.model_copy(update={"title": "flat"})


def test_the_cache_is_where_the_variable_or_the_system_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "mine"))
    assert conversions.folder() == tmp_path / "mine"
    monkeypatch.delenv("CNNVIZ_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert conversions.folder().is_relative_to(tmp_path)
    assert conversions.folder().name == "cnnviz"


def test_a_user_without_a_home_gets_an_answer(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a container whose user is a number alone."""
    whole = entry(model)

    def refuse(*_: Any, **__: Any) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("CNNVIZ_CACHE")
    monkeypatch.setattr(platformdirs, "user_cache_path", refuse)
    assert cnnviz.load_model(model, trusted=True).converted is None
    assert "Set CNNVIZ_CACHE to one" in caplog.text
    with pytest.raises(StorageError, match="the user has no home"):
        store_again(model, whole)


# --- Replaced while it is in use --------------------------------------------------------------

CHANGED = r"flat\.keras was changed while it was in use\. Load it again\."


def put_another(path: Path) -> None:
    """Puts a file in the place of a model that has the same layers and other weights."""
    network = builders.fresh("flat")
    for weight in network.model.weights:
        weight.assign(weight + 1)
    network.model.save(path.with_name("other.keras"))
    path.with_name("other.keras").replace(path)


def write_into(path: Path) -> None:
    """Writes the bytes that are there, as the end of a copy that was not finished before."""
    path.write_bytes(path.read_bytes())


@pytest.mark.parametrize("change", [put_another, write_into])
def test_weights_of_another_file_are_an_error(
    model: Path, photo: np.ndarray, change: Callable[[Path], None]
) -> None:
    network = cnnviz.load_model(model, trusted=True)
    cnnviz.filters(network, "conv1")
    change(model)
    with pytest.raises(ModelError, match=CHANGED):
        cnnviz.filters(network, "conv1")
    # The weights of the last layer make the map.
    with pytest.raises(ModelError, match=CHANGED):
        cnnviz.class_activation_map(network, photo)
    assert cnnviz.predict(network, photo).label in builders.LABELS


def test_weights_that_were_read_before_stay_those_of_the_file_that_was_loaded(
    model: Path, photo: np.ndarray
) -> None:
    network = cnnviz.load_model(model, trusted=True)
    before = cnnviz.class_activation_map(network, photo)
    put_another(model)
    after = cnnviz.class_activation_map(network, photo)
    np.testing.assert_array_equal(after.values, before.values)


@pytest.mark.parametrize("change", [Path.unlink, lambda file: file.write_bytes(b"")])
def test_weights_of_a_file_that_is_gone_are_an_error(
    model: Path, change: Callable[[Path], None]
) -> None:
    network = cnnviz.load_model(model, trusted=True)
    change(model)
    with pytest.raises(ModelError, match=r"flat\.keras (cannot be read|was changed)"):
        cnnviz.filters(network, "conv1")


@pytest.mark.usefixtures("without_keras")
def test_keras_does_not_open_another_file(model: Path, photo: np.ndarray) -> None:
    network = cnnviz.load_model(model, trusted=True)
    put_another(model)
    with pytest.raises(ModelError, match=CHANGED):
        cnnviz.class_activation_map(network, photo, layer="conv1")


def test_a_model_that_is_replaced_while_keras_opens_it_is_not_used(
    model: Path, monkeypatch: pytest.MonkeyPatch, photo: np.ndarray
) -> None:
    """Its gradients would be those of another network."""
    network = cnnviz.load_model(model, trusted=True)
    opened = loading._open

    def replaced(path: Path, *, trusted: bool) -> Any:
        put_another(path)
        return opened(path, trusted=trusted)

    monkeypatch.setattr(loading, "_open", replaced)
    with pytest.raises(ModelError, match=CHANGED):
        cnnviz.class_activation_map(network, photo, layer="conv1")


def test_neither_a_card_that_broke_nor_another_current_folder_matters(
    model: Path, monkeypatch: pytest.MonkeyPatch, photo: np.ndarray
) -> None:
    """What was loaded by a relative path is read again: weights, conversion and model."""
    monkeypatch.chdir(model.parent)
    monkeypatch.setenv("CNNVIZ_CACHE", "cache")
    network = cnnviz.load_model("flat.keras", trusted=True)
    assert network.path == Path("flat.keras")
    assert network.converted is not None
    (model.parent / "elsewhere").mkdir()
    monkeypatch.chdir(model.parent / "elsewhere")
    model.with_suffix(".json").write_text("broken")
    original = builders.network("flat")
    np.testing.assert_array_equal(
        cnnviz.filters(network, "conv1").kernels, cnnviz.filters(original, "conv1").kernels
    )
    monkeypatch.setattr(litert, "_idle", [])
    for options in ({}, {"layer": "conv1"}):
        actual = cnnviz.class_activation_map(network, photo, "owl", **options)
        expected = cnnviz.class_activation_map(original, photo, "owl", **options)
        np.testing.assert_allclose(
            actual.values, expected.values, rtol=0, atol=1e-5 * np.abs(expected.values).max()
        )
    # TensorFlow was asked for the gradients at the first layer alone.
    assert [key[:2] for key in network.compiled] == [("backward", frozenset({"conv1"}))]


@pytest.mark.parametrize("question", [{"layer": "conv1"}, {}])
@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: file.write_bytes(b"no model")])
def test_a_model_that_is_gone_is_named(
    model: Path, photo: np.ndarray, question: dict[str, Any], spoil: Callable[[Path], Any]
) -> None:
    network = cnnviz.load_model(model, trusted=True)
    spoil(model)
    with pytest.raises(ModelError, match=r"flat\.keras (was|cannot be read)"):
        cnnviz.class_activation_map(network, photo, **question)


# --- Copies ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make_copy",
    [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))],  # noqa: S301
)
def test_a_copy_gives_the_same(
    model: Path, photo: np.ndarray, make_copy: Callable[[Any], Any]
) -> None:
    """Of a network in memory that was asked before, and of one that was converted."""
    original = builders.network("flat")
    expected = cnnviz.class_activation_map(original, photo, "owl", layer="conv1")
    assert original.compiled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "_open", lambda *_, **__: pytest.fail("Keras was used"))
        converted = make_copy(cnnviz.load_model(model, trusted=True))
        cnnviz.predict(converted, photo)
    for network in (make_copy(original), converted):
        actual = cnnviz.class_activation_map(network, photo, "owl", layer="conv1")
        np.testing.assert_allclose(actual.values, expected.values, rtol=0, atol=1e-6)
        assert (network.card, network.layers) == (original.card, original.layers)


# --- Keys -----------------------------------------------------------------------------------


def test_another_model_or_another_part_of_the_card_is_another_entry(model: Path) -> None:
    card = read_card(model.with_suffix(".json"))
    fingerprint = fingerprint_of(model)

    def has(fingerprint: str = fingerprint, **changes: Any) -> bool:
        return find(model, fingerprint, card.model_copy(update=changes)) is not None

    def steps(**changes: Any) -> Any:
        return card.preprocessing.model_copy(update=changes)

    assert has()
    assert has(title="Another", labels=["a", "b", "c"], preprocessing=steps(scaling="none"))
    assert not has(fingerprint[::-1])
    assert not has(output="scores")
    assert not has(preprocessing=steps(height=14))
    assert not has(preprocessing=steps(width=14))
    assert not has(preprocessing=steps(channels=1))
    assert find(model, fingerprint, None) is None


def test_another_processor_is_another_entry(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversions.platform, "machine", lambda: "another")
    assert found(model) is None


@pytest.mark.parametrize("package", ["ai-edge-litert", "keras", "tensorflow"])
def test_what_another_version_made_is_not_used(
    model: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    versions = dict(conversions._versions())
    assert {"ai-edge-litert", "keras"} < set(versions)
    monkeypatch.setattr(conversions, "_versions", lambda: versions | {package: "0.1"})
    assert found(model) is None
    monkeypatch.setattr(conversions, "_versions", lambda: versions)
    assert found(model) is not None


def test_without_litert_there_is_no_conversion(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversions.importlib.util, "find_spec", lambda _: None)
    assert found(model) is None
    assert cnnviz.load_model(model, trusted=True).converted is None


# --- Damaged entries ------------------------------------------------------------------------


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def name_another_file(file: Path) -> None:
    text = json.loads(file.read_text())
    text["scores"]["sha256"] = f"/../../flat.{'0' * 56}"
    file.write_text(json.dumps(text))


SPOILT: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "a truncated network": ("*.tflite", truncate),
    "a flipped bit": ("*.tflite", flip),
    "an empty network": ("*.tflite", lambda file: file.write_bytes(b"")),
    "a missing network": ("*.tflite", Path.unlink),
    "half a description": ("*.json", truncate),
    "an empty description": ("*.json", lambda file: file.write_bytes(b"")),
    "another description": ("*.json", lambda file: file.write_text('{"scores": []}')),
    "a description of another file": ("*.json", name_another_file),
    "a missing description": ("*.json", Path.unlink),
}


@pytest.mark.parametrize(("pattern", "spoil"), SPOILT.values(), ids=SPOILT)
def test_a_damaged_entry_is_not_used_and_made_again(
    model: Path, caplog: pytest.LogCaptureFixture, pattern: str, spoil: Callable[[Path], Any]
) -> None:
    whole = entry(model)
    spoil(next(conversions.folder().glob(pattern)))
    with caplog.at_level(logging.WARNING):
        assert found(model) is None
    missing = (pattern, spoil) == ("*.json", Path.unlink)
    said = "The conversion of flat.keras in the cache is not used" in caplog.text
    assert said is not missing
    assert len(caplog.text.splitlines()) == said
    assert cnnviz.load_model(model, trusted=True).converted is None
    store_again(model, whole)
    assert entry(model) == whole


def test_a_description_of_another_card_is_not_used(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    description = next(conversions.folder().glob("*.json"))
    text = json.loads(description.read_text())
    text["view"][1] += 1
    description.write_text(json.dumps(text))
    assert found(model) is None
    assert "the description is that of another card" in caplog.text


def test_without_a_card_a_description_of_another_one_is_not_used(model: Path) -> None:
    whole = entry(model)
    model.with_suffix(".json").unlink()
    store_again(model, whole)
    assert loading.load_converted(model, trusted=True) is not None
    output, height, *rest = whole[0].view
    store_again(model, (replace(whole[0], view=(output, height + 1, *rest)), *whole[1:]))
    assert loading.load_converted(model, trusted=True) is None


@pytest.mark.parametrize("pattern", ["*.json", "*.tflite"])
def test_a_pipe_is_not_waited_for(model: Path, pattern: str) -> None:
    file = next(conversions.folder().glob(pattern))
    file.unlink()
    os.mkfifo(file)
    assert found(model) is None


def test_a_description_without_an_end_is_not_read(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    description = next(conversions.folder().glob("*.json"))
    os.truncate(description, 100 << 30)
    assert found(model) is None
    assert "it has more than 8 MB" in caplog.text


# --- Of others ------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "used"), [(0o777, False), (0o775, False), (0o1777, True)])
def test_a_folder_in_which_others_may_write_is_not_used(
    model: Path, caplog: pytest.LogCaptureFixture, mode: int, used: bool
) -> None:
    whole = entry(model)
    conversions.folder().chmod(mode)
    assert (found(model) is not None) is used
    assert ("Other users may write in" in caplog.text) is not used
    if used:
        store_again(model, whole)
    else:
        with pytest.raises(StorageError, match="take that permission away"):
            store_again(model, whole)


def test_the_folder_is_made_for_its_user_alone(model: Path) -> None:
    assert conversions.folder().stat().st_mode & 0o777 == 0o700


def owned_by(user: int, file: Path | None, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Lets a file, or all of them, belong to a user: only root may give a real file away."""
    real = getattr(Path, how)

    def status(self: Path, **kwargs: Any) -> os.stat_result:
        found = real(self, **kwargs)
        if file not in {None, self}:
            return found
        whole = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
        return os.stat_result((*found[:4], user, *found[5:]), whole)

    monkeypatch.setattr(Path, how, status)


@pytest.mark.parametrize("pattern", [".", "*.json", "*.tflite"])
@pytest.mark.parametrize("how", ["stat", "lstat"], ids=["itself", "a link"])
def test_what_belongs_to_somebody_else_is_not_used(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    pattern: str,
    how: str,
) -> None:
    whole = entry(model)
    theirs = conversions.folder() if pattern == "." else next(conversions.folder().glob(pattern))
    owned_by(os.geteuid() + 1, theirs, monkeypatch, how)
    for _ in range(2):
        assert found(model) is None
    assert caplog.text.count(f"{theirs} belongs to another user") == 1
    if pattern == ".":
        with pytest.raises(StorageError, match="belongs to another user"):
            store_again(model, whole)


def test_what_root_has_made_is_used_by_others(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the image, whose server is the user 65534."""
    for how in ("stat", "lstat"):
        owned_by(0, None, monkeypatch, how)
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert found(model) is not None


# --- Killed, twice at once, full and read-only ----------------------------------------------

# Stores an entry as `convert_file` does. A second argument names where it stops and waits.
STORE = """
import pickle, sys, time
from pathlib import Path
from cnnviz.networks import conversions

def wait(*_):
    print("waiting", flush=True)
    time.sleep(600)

arguments, stop = pickle.load(sys.stdin.buffer)
if stop == "in a file":
    Path.replace = wait
if stop == "before the description":
    conversions._describe = wait
for _ in range(1 if stop else 30):
    conversions.store(*arguments)
"""


def start_store(model: Path, *whole: Any, stop: str = "") -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", STORE], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    arguments = (fingerprint_of(model), loading.card_beside(model), *whole)
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((arguments, stop)))
    process.stdin.close()
    return process


@pytest.mark.parametrize("stop", ["in a file", "before the description"])
def test_a_conversion_that_is_killed_leaves_no_entry(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    whole = entry(model)
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "another"))
    process = start_store(model, *whole, stop=stop)
    assert process.stdout is not None
    assert process.stdout.readline() == b"waiting\n"
    process.kill()
    process.wait()
    process.stdout.close()
    left = list(conversions.folder().iterdir())
    assert len(left) == (1 if stop == "in a file" else 2)
    assert found(model) is None
    # What it left is removed when it is old enough to belong to nobody.
    for file in left:
        os.utime(file, (time.time() - 7200,) * 2)
    store_again(model, whole)
    assert entry(model) == whole
    assert not list(conversions.folder().glob(UNFINISHED))
    assert len(list(conversions.folder().iterdir())) == 3


def test_two_processes_may_store_an_entry_at_once(model: Path) -> None:
    """Even where the converter does not write the same bytes twice."""
    description, scores, maps = entry(model)
    other = replace(description, scores=description.maps)
    processes = [
        start_store(model, *whole) for whole in ((description, scores, maps), (other, maps, maps))
    ]
    seen = set()
    while any(process.poll() is None for process in processes):
        seen.add(entry(model)[0].scores.sha256)
    assert [process.returncode for process in processes] == [0, 0]
    assert seen <= {description.scores.sha256, other.scores.sha256}
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("problem", ["full disk", "no folder"])
def test_where_nothing_can_be_stored_the_answer_still_comes(
    model: Path, tmp_path: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    whole = entry(model)
    if problem == "full disk":
        monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "another"))

        def fill(self: Path, data: bytes) -> int:
            if self.match(UNFINISHED):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            with self.open("wb") as file:
                return file.write(data)

        monkeypatch.setattr(Path, "write_bytes", fill)
    else:
        monkeypatch.setenv("CNNVIZ_CACHE", str(model / "cache"))
    with pytest.raises(StorageError, match=r"(tflite|cache) cannot be written") as error:
        store_again(model, whole)
    assert error.value.full is (problem == "full disk")
    network = cnnviz.load_model(model, trusted=True)
    assert network.converted is None
    assert cnnviz.predict(network, photo).label in builders.LABELS


@pytest.mark.usefixtures("without_keras")
def test_an_entry_is_used_in_a_folder_that_cannot_be_written(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "touch", refuse)
    assert cnnviz.load_model(model, trusted=True).converted is not None


# --- Bounded --------------------------------------------------------------------------------


@pytest.fixture
def entries(model: Path) -> Callable[[], list[str]]:
    """Names the entries in the cache: of models "a", "b" and "c", of which "a" is the oldest."""
    whole = entry(model)
    shutil.rmtree(conversions.folder())
    for age, name in enumerate("cba"):
        store(name * 64, None, *whole)
        (description,) = conversions.folder().glob(f"{name}*.json")
        os.utime(description, (time.time() - 100 * (age + 1),) * 2)

    def names() -> list[str]:
        files = [file.name[0] for file in conversions.folder().iterdir()]
        assert all(files.count(name) == 3 for name in files)
        return sorted(set(files))

    return names


def test_the_entries_that_were_used_longest_ago_go_first(
    model: Path, entries: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (conversion.description(one := find(model, "a" * 64, None)), b"", b"")
    files = [file.read_bytes() for file, _ in (one.scores, one.maps)]
    # To find "a" was to use it: "b" is the oldest now.
    size = sum(file.stat().st_size for file in conversions.folder().glob("a*"))
    monkeypatch.setattr(conversions, "_MAX_BYTES", 3 * size)
    assert entries() == ["a", "b", "c"]
    store("d" * 64, None, whole[0], *files)
    assert entries() == ["a", "c", "d"]
    monkeypatch.setattr(conversions, "_MAX_BYTES", 1)
    store("e" * 64, None, whole[0], *files)
    assert entries() == ["e"]


def test_files_of_a_person_in_the_folder_are_left_alone(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where CNNVIZ_CACHE is a folder that holds other things."""
    whole = entry(model)
    shutil.rmtree(conversions.folder())
    names = {"card.json", "net.tflite", ".theirs.part", f"{'a' * 40}.json", f".{'a' * 31}g.part"}
    ours = {f".{'a' * 32}.part", f"{'a' * 40}-{'b' * 16}.{'c' * 16}.tflite"}
    conversions.folder().mkdir()
    for name in names | ours:
        (conversions.folder() / name).write_text("{}")
        os.utime(conversions.folder() / name, (1, 1))
    monkeypatch.setattr(conversions, "_MAX_BYTES", 1)
    store_again(model, whole)
    left = {file.name for file in conversions.folder().iterdir()}
    assert names <= left
    assert not ours & left


# --- Refused --------------------------------------------------------------------------------


def differ_by(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets TensorFlow's output of a layer be another one, by a share of its largest value."""
    forward = tensorflow.forward

    def other(*args: Any) -> Any:
        values = forward(*args)
        if "pool" in values.layers:
            maps = values.layers["pool"].copy()
            maps[0, 0, 0, 0] += share * np.abs(maps).max()
            values.layers["pool"] = maps
        return values

    monkeypatch.setattr(tensorflow, "forward", other)


def test_a_conversion_that_differs_is_refused_and_the_reason_kept(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shutil.rmtree(conversions.folder())
    with pytest.MonkeyPatch.context() as patch:
        differ_by(1.1e-4, patch)
        with pytest.raises(NotConvertedError, match=r"pool differs by 1.1e-04 of its largest"):
            convert_file(model, trusted=True)
    reason = "pool differs by 1.1e-04 of its largest value"
    assert f"TensorFlow runs flat.keras, LiteRT does not: {reason}" in caplog.text
    assert found(model) == Refusal(reason)
    caplog.clear()
    assert cnnviz.load_model(model, trusted=True).converted is None
    assert f"TensorFlow runs flat.keras: {reason}" in caplog.text
    # Half of the tolerance is none.
    differ_by(0.5e-4, monkeypatch)
    convert_file(model, trusted=True)
    converted = found(model)
    assert isinstance(converted, Converted)
    assert converted.difference == pytest.approx(0.5e-4, rel=0.01)


def test_a_conversion_whose_first_classes_are_others_is_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where two of them lie closer together than the outputs may differ."""
    forward = tensorflow.forward

    def swap(network: Any, inputs: Any, layers: frozenset[str]) -> Any:
        values = forward(network, inputs, layers)
        return values if layers else replace(values, logits=values.logits[:, ::-1])

    monkeypatch.setattr(tensorflow, "forward", swap)
    with pytest.raises(NotConvertedError, match="the most probable classes of a sample are others"):
        conversion.convert(builders.network("flat"), model.parent)


def test_the_gradients_of_every_first_class_and_picture_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = builders.network("flat")
    backward, compared = tensorflow.backward, []

    def spoil(network: Any, inputs: Any, layers: frozenset[str], target: int) -> Any:
        compared.append((float(inputs.sum()), target))
        values = backward(network, inputs, layers, target)
        gradients = values.gradients
        if target == 2 and not inputs.any():
            gradients = {path: maps * 1.001 for path, maps in gradients.items()}
        return replace(values, gradients=gradients)

    monkeypatch.setattr(tensorflow, "backward", spoil)
    with pytest.raises(NotConvertedError, match=r"the gradient at conv2 differs by 1.0e-03"):
        conversion.convert(network, tmp_path)
    assert len({picture for picture, _ in compared}) == 3
    assert {target for _, target in compared} == {0, 1, 2}


def test_an_error_that_nobody_thought_of_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise IndexError("index 1 is out of bounds")

    monkeypatch.setattr(conversion.linear_heads, "with_gradients", fail)
    with pytest.raises(NotConvertedError, match="^it cannot be compared: IndexError$"):
        conversion.convert(builders.network("flat"), tmp_path)
    assert "index 1 is out of bounds" in caplog.text


def test_an_operation_that_litert_lacks_is_named_and_left_to_tensorflow(
    tmp_path: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "cache"))
    image = keras.Input((6, 6, 3))
    maps = keras.ops.erfinv(keras.layers.Conv2D(4, 3, activation="sigmoid")(image) * 0.9)
    x = keras.layers.GlobalAveragePooling2D()(maps)
    path = tmp_path / "odd.keras"
    keras.Model(image, keras.layers.Dense(2, "softmax")(x)).save(path)
    with pytest.raises(NotConvertedError, match="^LiteRT cannot run it: Erfinv$"):
        convert_file(path, trusted=True)
    assert found(path) == Refusal("LiteRT cannot run it: Erfinv")
    network = cnnviz.load_model(path, trusted=True, preset="unit")
    assert network.converted is None
    assert cnnviz.predict(network, photo).probabilities.sum() == pytest.approx(1)


def test_weights_that_are_no_numbers_are_left_to_tensorflow(tmp_path: Path) -> None:
    network = builders.fresh("flat")
    kernel = network.model.get_layer("conv2").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(NotConvertedError, match="weights of it are not numbers"):
        conversion.convert(network, tmp_path)


def test_a_litert_that_does_not_work_says_nothing_of_the_model(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(conversions.folder())
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
        with pytest.raises(ModelError, match=r"LiteRT does not work here\."):
            convert_file(model, trusted=True)
    assert found(model) is None


# --- Only of what is trusted, and does not change ----------------------------------------------


def test_a_model_that_is_neither_shipped_nor_trusted_is_not_converted(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "load_with_keras", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(ModelError, match="it is neither shipped nor trusted"):
        convert_file(model)


def touch_card(path: Path) -> None:
    card = read_card(path.with_suffix(".json"))
    write_card(card.model_copy(update={"output": "scores"}), path.with_suffix(".json"))


@pytest.mark.parametrize("refused", [False, True], ids=["converted", "refused"])
@pytest.mark.parametrize("when", ["before Keras opens it", "after", "after its weights are found"])
@pytest.mark.parametrize("change", [put_another, touch_card])
def test_of_a_file_that_changes_meanwhile_nothing_is_kept(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    when: str,
    refused: bool,
) -> None:
    """Else the next user of the other file would get the answers of this one."""
    whole = entry(model)
    converted = found(model)
    shutil.rmtree(conversions.folder())

    def load(path: Path, **how: Any) -> Any:
        if when == "before Keras opens it":
            change(path)
        network = loading.load_with_keras(path, **how)
        if when == "after":
            change(path)
        return network

    def convert(*_: Any) -> Any:
        if when == "after its weights are found":
            change(model)
        if refused:
            raise NotConvertedError("why")
        return converted

    monkeypatch.setattr(conversion, "load_with_keras", load)
    monkeypatch.setattr(conversion, "convert", convert)
    # The files that were converted are those of another folder.
    monkeypatch.setattr(Path, "read_bytes", lambda _: whole[1])
    with pytest.raises(ModelError, match=r"flat\.keras was changed while it was converted"):
        convert_file(model, trusted=True)
    assert not conversions.folder().exists()


# --- Weights --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".keras", ".h5", "packed.keras"])
def test_the_weights_in_the_file_are_those_of_the_model(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = builders.network("convolutions")
    path = tmp_path / f"model{suffix}"
    network.model.save(path)
    if suffix == "packed.keras":
        pack(path)
    monkeypatch.setattr(weight_files, "_QUICK_BYTES", 100)
    wanted = {layer: weights.weights_in(each) for layer, each in walk(network.model)}
    found = 0
    for layer, stored in weight_files.find_weights(path, wanted).items():
        assert stored.keys() == wanted[layer].keys()
        for name, where in stored.items():
            expected = np.asarray(wanted[layer][name])
            np.testing.assert_array_equal(weight_files.read_stored(path, None, where), expected)
            last = expected.shape[-1] - 1
            column = weight_files.read_stored(path, None, where, last)
            np.testing.assert_array_equal(column, expected[..., last])
            found += 1
    assert found == len(network.model.weights)


def pack(path: Path) -> None:
    """Writes a model's archive as another program may: compressed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_weights_that_are_not_in_the_file_are_none_of_it(made: Path) -> None:
    network = builders.network("two_classes")
    wanted = weights.weights_in(network.model.get_layer("scores"))
    stored = weight_files.find_weights(made / "flat.keras", {"scores": wanted})
    assert stored == {"scores": {"kernel": None, "bias": None}}


def test_a_normalization_keeps_its_numbers_in_another_shape(tmp_path: Path) -> None:
    image = keras.Input((4, 4, 3))
    adapted, fixed = keras.layers.Normalization(), keras.layers.Normalization(mean=1, variance=4)
    adapted.adapt(np.random.default_rng(1).random((8, 4, 4, 3)))
    model = keras.Model(image, fixed(adapted(image)))
    model.save(tmp_path / "model.keras")
    wanted = {layer.name: weights.weights_in(layer) for layer in (adapted, fixed)}
    stored = weight_files.find_weights(tmp_path / "model.keras", wanted)
    for name, where in stored[adapted.name].items():
        found = weight_files.read_stored(tmp_path / "model.keras", None, where, 2)
        np.testing.assert_array_equal(found, np.asarray(getattr(adapted, name))[..., 2])
    # Those are in the description of the model alone.
    assert stored[fixed.name] == {"mean": None, "variance": None}


def test_weights_that_are_computed_are_those_of_keras(lite: Any, photo: np.ndarray) -> None:
    """Where the file has them in another form, nobody may take what it has."""
    network = converted.without_keras(converted.with_weights_of_keras(lite("flat")))
    for ask in (
        lambda: cnnviz.trace_value(network, photo, "conv2", 0, 0, 0),
        lambda: cnnviz.trace_class_map(network, photo, 0, 0),
        lambda: cnnviz.filters(network, "conv1"),
    ):
        with pytest.raises(converted.KerasAskedError):
            ask()
    # No weights, no model.
    assert cnnviz.trace_value(network, photo, "average", 0, 0, 0).terms
