"""Workers: real processes, killed for real. Every other test of this file shares one."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import models

import cnnviz
from cnnviz.attribution.outlines import outline
from cnnviz.cards import card_path, write_card
from cnnviz.errors import (
    CardError,
    LayerError,
    ModelError,
    RefusedModelError,
    TargetError,
    WorkerError,
)
from cnnviz.inspection import gate
from cnnviz.serving import worker_process, workers
from cnnviz.serving.model_files import ModelFile, model_file
from scripts.process_list import running_in

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("conv1", "conv2")

# Keras saves a model with a call that NumPy 2 calls old.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tiny: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four saved models."""
    folder = tmp_path_factory.mktemp("saved")
    for name in ("flat", "two_classes", "nested_functional", "dense_after_flatten"):
        network = tiny(name)
        network.model.save(folder / f"{name}.keras")
        write_card(network.card, folder / f"{name}.json")
    return folder


def trusted(path: Path) -> ModelFile:
    """A model that shares the workers."""
    return replace(model_file(path), trusted=True)


@pytest.fixture(scope="module")
def flat(folder: Path) -> ModelFile:
    return trusted(folder / "flat.keras")


@pytest.fixture(autouse=True, scope="module")
def ended() -> Iterator[None]:
    """Starts this file with no process, and leaves none behind."""
    _end_processes()
    yield
    _end_processes()


@pytest.fixture
def anew() -> Iterator[None]:
    """No process runs before the test, and none that it started runs after it."""
    _end_processes()
    yield
    _end_processes()


def _end_processes() -> None:
    for home in list(workers._homes.values()):
        workers._discard(home)


def shared() -> Any:
    """What runs the processes of all trusted models."""
    return workers._home("").executor


def _worker_id() -> int:
    """The process id of the one worker."""
    return shared().submit(os.getpid).result(60)


def _wait(condition: Callable[[], bool], seconds: float = 90) -> bool:
    """Looks again and again until the condition holds; False when it never does.

    The import of TensorFlow alone takes long where the machine is busy with other things.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


# --- Answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["flat", "nested_functional", "dense_after_flatten"])
def test_a_worker_answers_as_the_public_api_does(
    folder: Path, name: str, photo: np.ndarray
) -> None:
    model = trusted(folder / f"{name}.keras")
    network = cnnviz.load_model(model.path)
    convolution = next(layer.path for layer in network.layers if layer.kernel_shape)
    paths = [layer.path for layer in network.layers if layer.spatial]

    there, here = workers.call("predict", model, photo), cnnviz.predict(network, photo)
    assert there.labels == here.labels
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=1e-6)

    found, expected = workers.call("filters", model, convolution), network.model
    for part in convolution.split("/"):
        expected = expected.get_layer(part)
    np.testing.assert_array_equal(found.kernels, np.asarray(expected.kernel))
    np.testing.assert_array_equal(found.biases, np.asarray(expected.bias))

    maps, same = (
        workers.call("activations", model, photo, paths),
        cnnviz.activations(network, photo, paths),
    )
    assert list(maps) == paths
    for path in paths:
        np.testing.assert_allclose(maps[path], same[path], atol=1e-5, err_msg=path)

    answer = workers.call("explain", model, photo, ("owl", "cat"))
    assert [one.target for one in answer.maps] == ["owl", "cat"]
    for one in answer.maps:
        alone = cnnviz.class_activation_map(network, photo, one.target)
        assert (one.method, one.layer) == (alone.method, alone.layer)
        np.testing.assert_allclose(one.values, alone.values, atol=1e-4)

    assert workers.call("outline", model) == outline(network)


def test_keyword_arguments_travel_too(flat: ModelFile, photo: np.ndarray) -> None:
    answer = workers.call("explain", flat, photo, ("dog",), method="grad-cam", layer="conv1")
    expected = cnnviz.class_activation_map(
        cnnviz.load_model(flat.path), photo, "dog", method="grad-cam", layer="conv1"
    )
    assert (answer.maps[0].method, answer.maps[0].layer) == ("grad-cam", "conv1")
    np.testing.assert_allclose(answer.maps[0].values, expected.values, atol=1e-5)


def test_many_ask_at_once_and_each_gets_their_own_answer(flat: ModelFile) -> None:
    rng = np.random.default_rng(5)
    photos = [rng.integers(0, 256, (20 + n, 30, 3), dtype=np.uint8) for n in range(12)]
    network = cnnviz.load_model(flat.path)
    with ThreadPoolExecutor(12) as people:
        answers = list(
            people.map(lambda photo: workers.call("activations", flat, photo, LAYERS), photos)
        )
    for photo, answer in zip(photos, answers, strict=True):
        expected = cnnviz.activations(network, photo, LAYERS)
        for layer in LAYERS:
            np.testing.assert_allclose(answer[layer], expected[layer], atol=1e-5)
    assert not np.allclose(answers[0]["conv2"], answers[1]["conv2"])


def test_a_file_that_was_replaced_is_another_model(
    tiny: Callable[[str], Any], tmp_path: Path, photo: np.ndarray
) -> None:
    path = tmp_path / "model.keras"
    tiny("flat").model.save(path)
    before = trusted(path)
    assert workers.call("predict", before, photo).labels == ("class 0", "class 1", "class 2")
    tiny("two_classes").model.save(path)
    after = trusted(path)
    assert after != before
    assert workers.call("predict", after, photo).labels == ("class 0", "class 1")


# --- Errors -----------------------------------------------------------------------------------


def test_an_error_for_people_crosses_as_it_is(flat: ModelFile, photo: np.ndarray) -> None:
    network = cnnviz.load_model(flat.path)
    with pytest.raises(LayerError) as here:
        cnnviz.filters(network, "pool")
    with pytest.raises(LayerError) as there:
        workers.call("filters", flat, "pool")
    assert str(there.value) == str(here.value)
    with pytest.raises(TargetError, match="no class 'tiger'"):
        workers.call("explain", flat, photo, ("tiger",))


def test_an_error_of_a_file_names_it(folder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"damaged\.keras cannot be loaded"):
        workers.call("outline", trusted(damaged))
    wrong = tmp_path / "wrong.keras"
    wrong.write_bytes((folder / "flat.keras").read_bytes())
    card_path(wrong).write_text('{"title": "no more"}')
    with pytest.raises(CardError, match=r"wrong\.json needs a correction.*labels: field required"):
        workers.call("outline", trusted(wrong))


def test_an_error_of_the_network_library_keeps_its_details_to_the_log(flat: ModelFile) -> None:
    with pytest.raises(ModelError, match="could not be run: AttributeError") as caught:
        workers.call("predict", flat, "not a photo")
    assert "dtype" not in str(caught.value)
    assert flat.path not in str(caught.value)


# --- Processes that end -----------------------------------------------------------------------


def test_a_worker_killed_while_idle_is_replaced(flat: ModelFile, photo: np.ndarray) -> None:
    before = workers.call("predict", flat, photo)
    os.kill(_worker_id(), signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"stopped before it answered\. A new one"):
        workers.call("predict", flat, photo)
    after = workers.call("predict", flat, photo)
    np.testing.assert_array_equal(after.probabilities, before.probabilities)


def test_all_who_wait_for_a_killed_worker_are_told(flat: ModelFile, photo: np.ndarray) -> None:
    killed = _worker_id()
    shared().submit(time.sleep, 60)
    with ThreadPoolExecutor(3) as people:
        waiting = [people.submit(workers.call, "predict", flat, photo) for _ in range(3)]
        assert _wait(lambda: len(shared()._pending_work_items) == 4)
        os.kill(killed, signal.SIGKILL)
        for one in waiting:
            assert isinstance(one.exception(30), WorkerError)
    assert workers.call("predict", flat, photo).labels == ("cat", "dog", "owl")
    assert _worker_id() != killed


def test_an_answer_that_never_comes_is_given_up(
    flat: ModelFile, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = _worker_id()
    shared().submit(time.sleep, 60)
    with ThreadPoolExecutor(1) as people:
        # This one has more patience, and waits in the same queue.
        other = people.submit(workers.call, "predict", flat, photo)
        assert _wait(lambda: len(shared()._pending_work_items) == 2)
        monkeypatch.setattr(workers, "_SECONDS", 0.5)
        with pytest.raises(WorkerError, match=r"no answer within 0\.5 seconds"):
            workers.call("predict", flat, photo)
        monkeypatch.undo()
        assert isinstance(other.exception(30), WorkerError)
    assert workers.call("predict", flat, photo).labels == ("cat", "dog", "owl")
    assert _wait(lambda: not _runs(stuck)), "the stuck process still runs"


def test_who_comes_while_the_processes_are_left_is_told_too(
    flat: ModelFile, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = workers._home("")
    workers._discard(left)
    with monkeypatch.context() as patch:
        # As for somebody who had asked for the processes just before.
        patch.setattr(workers, "_home", lambda name: left)
        with pytest.raises(WorkerError):
            workers.call("predict", flat, photo)
    assert workers._home("") is not left


# --- Memory and start -------------------------------------------------------------------------


def _kept() -> list[str]:
    """Runs inside a worker: the networks in its memory."""
    return [model.name for model in worker_process._networks]


@pytest.mark.usefixtures("anew")
def test_a_worker_keeps_the_networks_used_last(
    folder: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNVIZ_NETWORKS", "2")
    for name in ("flat", "two_classes", "flat", "nested_functional"):
        workers.call("predict", trusted(folder / f"{name}.keras"), photo)
    assert shared().submit(_kept).result(60) == ["flat", "nested_functional"]
    # One that was let go of is loaded again.
    again = workers.call("predict", trusted(folder / "two_classes.keras"), photo)
    assert again.labels == ("cat", "dog")
    assert shared().submit(_kept).result(60) == ["nested_functional", "two_classes"]


@pytest.mark.usefixtures("anew")
def test_a_start_prepares_every_model_that_can_be(
    folder: Path,
    tmp_path: Path,
    flat: ModelFile,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CNNVIZ_NETWORKS", "4")
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"not a model")
    gone = replace(flat, path=str(tmp_path / "gone.keras"))
    other, fifth = (
        trusted(folder / f"{name}.keras") for name in ("two_classes", "nested_functional")
    )
    with caplog.at_level(logging.WARNING):
        workers.start([trusted(damaged), gone, flat, other, fifth])
        # It has returned and the first step, which needs TensorFlow's import, is still to come.
        assert len(shared()._pending_work_items) == 1
        # There is room for four: the fifth would drive out the first.
        assert _wait(lambda: shared().submit(_kept).result(60) == ["flat", other.name])
        assert not _wait(lambda: shared().submit(_kept).result(60)[-1] == fifth.name, 1)
    assert "Could not prepare" in caplog.text
    assert "damaged.keras" in caplog.text
    assert "gone.keras" in caplog.text


def test_a_second_start_changes_nothing(flat: ModelFile) -> None:
    workers.start([flat])
    first = workers._home("")
    workers.start([flat])
    assert workers._home("") is first


# --- Guests: models that are not trusted --------------------------------------------------------


@pytest.mark.usefixtures("anew")
def test_a_guest_has_a_process_of_its_own_and_the_same_answers(
    folder: Path, flat: ModelFile, photo: np.ndarray
) -> None:
    guest = model_file(folder / "flat.keras")
    there, here = workers.call("predict", guest, photo), workers.call("predict", flat, photo)
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=1e-6)
    home = workers._homes[guest.path]
    assert Path(home.folder.name).name.startswith(f"cnnviz-guest-{os.getpid()}-")
    before = home.executor.submit(os.getpid).result(60)
    os.kill(before, signal.SIGKILL)
    with pytest.raises(WorkerError, match="needs more memory than there is for it"):
        workers.call("predict", guest, photo)
    # Nobody else noticed.
    assert workers.call("predict", flat, photo).labels == ("cat", "dog", "owl")
    assert _wait(lambda: not Path(home.folder.name).exists())


@pytest.mark.parametrize(("case", "inner"), [("flat", False), ("multi-gpu", True)])
def test_a_guest_is_inspected_once_and_before_tensorflow(
    folder: Path, tmp_path: Path, case: str, inner: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "flat.keras"
    if inner:
        path = tmp_path / "cards.h5"
        path.write_bytes(next(one for one in models.CASES if one.name == case).make())
    steps: list[str] = []
    for reader in ("_inspect_keras", "_inspect_hdf5"):
        original = getattr(gate, reader)

        def look(*args: Any, original: Any = original, **kwargs: Any) -> Any:
            steps.append("inspected")
            return original(*args, **kwargs)

        monkeypatch.setattr(gate, reader, look)
    # It is here already, and its threads run.
    monkeypatch.setattr(worker_process, "_import_tensorflow", lambda _: steps.append("imported"))
    found = worker_process._load(replace(model_file(path), inner=inner))
    assert steps == ["inspected", "imported"]
    expected = cnnviz.extract_model(path) if inner else cnnviz.load_model(path)
    assert (found.layers, found.card) == (expected.layers, expected.card)
    assert found.fingerprint == expected.fingerprint


def _think(*question: Any) -> Any:
    """Runs inside a guest's process in the place of the function that answers."""
    time.sleep(2)
    return worker_process.answer(*question)


@pytest.mark.usefixtures("anew")
def test_a_guest_s_clock_starts_when_it_is_the_question_s_turn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = model_file(folder / "flat.keras")
    workers.call("outline", guest)
    monkeypatch.setattr(workers, "answer", _think)
    # Enough for one question, and too little for one that waits for another one.
    monkeypatch.setattr(workers, "_GUEST_SECONDS", 3.5)
    with ThreadPoolExecutor(3) as people:
        outlines = [people.submit(workers.call, "outline", guest) for _ in range(3)]
        assert len({one.result(60).parameters for one in outlines}) == 1
    # One that takes too long by itself is stopped, and who waits behind it is told.
    monkeypatch.setattr(workers, "_GUEST_SECONDS", 1)
    with ThreadPoolExecutor(2) as people:
        outlines = [people.submit(workers.call, "outline", guest) for _ in range(2)]
        found = [one.exception(60) for one in outlines]
    assert all(isinstance(error, WorkerError) for error in found)
    assert any("no answer within 1 seconds" in str(error) for error in found)


def _tries() -> dict[str, str]:
    """Runs inside a guest's process: what it tries, and what comes of it."""
    found = {}
    for name, action in {
        "network": lambda: socket.create_connection(("127.0.0.1", 9), 1),
        "program": lambda: subprocess.run(["true"], check=True),
        "memory": lambda: bytearray(8 << 30),
        "process": os.fork,
        "local service": lambda: socket.socket(socket.AF_UNIX).connect("/run/service"),
    }.items():
        try:
            found[name] = repr(action())
        except (OSError, MemoryError) as error:
            found[name] = type(error).__name__
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limits")
@pytest.mark.usefixtures("anew")
def test_a_guest_has_no_network_no_programs_and_little_memory(folder: Path) -> None:
    guest = model_file(folder / "flat.keras")
    workers.call("outline", guest)
    found = workers._homes[guest.path].executor.submit(_tries).result(60)
    assert found == {
        "network": "PermissionError",
        "program": "PermissionError",
        "memory": "MemoryError",
        "process": "PermissionError",
        "local service": "PermissionError",
    }


def _trap() -> Any:
    """Runs inside a guest's process; what it gives would run in the one that asked."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(Path(tempfile.gettempdir()).parent / "sprung"),)

    return Trap()


@pytest.mark.usefixtures("anew")
def test_a_guest_s_answer_runs_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    guest = model_file(folder / "flat.keras")
    workers.call("outline", guest)
    asked = workers._homes[guest.path].executor.submit(_trap)
    assert asked.exception(60) is not None
    assert not (tmp_path / "sprung").exists()
    # The process that answered so is left behind.
    with pytest.raises(WorkerError):
        workers.call("outline", guest)
    assert workers.call("outline", guest).parameters > 0


@pytest.mark.usefixtures("anew")
def test_of_many_guests_the_one_used_longest_ago_leaves(
    folder: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNVIZ_UNTRUSTED_PROCESSES", "1")
    first, second = (model_file(folder / f"{name}.keras") for name in ("flat", "two_classes"))
    workers.call("predict", first, photo)
    home = workers._homes[first.path]
    process = home.executor.submit(os.getpid).result(60)
    home.waiting += 1
    with pytest.raises(WorkerError, match="All 1 places for people's own models are busy"):
        workers.call("predict", second, photo)
    home.waiting -= 1
    assert workers.call("predict", second, photo).labels == ("cat", "dog")
    assert list(workers._homes) == [second.path]
    assert _wait(lambda: not _runs(process))


@pytest.mark.usefixtures("anew")
def test_a_refused_guest_leaves_nothing_when_it_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    bomb = next(case for case in models.CASES if case.expected == "zip-bomb")
    path = tmp_path / "bomb.keras"
    path.write_bytes(bomb.make())
    guest = model_file(path)
    with pytest.raises(RefusedModelError) as refused:
        workers.call("outline", guest)
    assert refused.value.code == "zip-bomb"
    process = workers._homes[guest.path].executor.submit(os.getpid).result(60)
    workers.forget(guest)
    assert _wait(lambda: not _runs(process))
    assert _wait(lambda: not list(temporary.iterdir()))


# --- When the parent dies ---------------------------------------------------------------------

_PARENT = """
import sys, time
from cnnviz.serving import workers
from cnnviz.serving.model_files import model_file
outline = workers.call("outline", model_file(sys.argv[1]))
print(len(outline.layers), {"tensorflow", "keras", "h5py"} & set(sys.modules), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it reads /proc")
def test_a_killed_parent_leaves_no_orphan_and_no_file(flat: ModelFile, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, flat.path],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert parent.stdout is not None
        # It got its answer without the libraries that run networks.
        assert parent.stdout.readline() == b"6 set()\n"
        others = running_in(parent.pid) - {parent.pid}
        assert others, "there is no worker to look at"
        parent.kill()
        parent.wait()
        assert _wait(lambda: not running_in(parent.pid), 10), running_in(parent.pid)
        assert list(tmp_path.glob("cnnviz-*")) == []
    finally:
        parent.kill()
        parent.stdout.close()
        for left in running_in(parent.pid):
            os.kill(left, signal.SIGKILL)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_threads_do_not_start_two_sets_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    _end_processes()
    started = []
    original = workers.ProcessPoolExecutor

    def slow(*args: Any, **kwargs: Any) -> Any:
        started.append(threading.get_ident())
        time.sleep(0.1)
        return original(*args, **kwargs)

    monkeypatch.setattr(workers, "ProcessPoolExecutor", slow)
    with ThreadPoolExecutor(6) as people:
        executors = list(people.map(lambda _: shared(), range(6)))
    assert len(started) == 1
    assert len({id(executor) for executor in executors}) == 1
