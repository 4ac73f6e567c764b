"""Workers: real processes, some of which are killed. Most tests of this file share a light one."""

from __future__ import annotations

import errno
import gc
import importlib.util
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import models
from helpers import ByValue, running_in, wait_until

import cnnviz
from cnnviz.attribution.outlines import outline
from cnnviz.cards import ModelCard, changed, read_card, write_card
from cnnviz.errors import (
    CardError,
    CnnvizError,
    LayerError,
    ModelError,
    RefusedModelError,
    TargetError,
    TensorFlowNeededError,
    WorkerError,
)
from cnnviz.inspection import gate
from cnnviz.networks import conversions, loading
from cnnviz.results import Filters
from cnnviz.serving import (
    answers,
    background_conversion,
    temporary_folders,
    untrusted_processes,
    worker_pools,
    worker_process,
    workers,
)
from cnnviz.serving.model_files import ModelFile, model_file
from cnnviz.serving.worker_process import WorkerCall
from cnnviz.settings import read_settings
from cnnviz.shipped_models import fingerprint_of
from cnnviz.storage import HashedFile, card_path, hash_file

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("conv1", "conv2")

# Keras saves a model with a call that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def convert(path: Path) -> None:
    """Has light workers answer about a model."""
    # Workers import this file.
    from cnnviz.networks.engines.conversion import convert_file

    convert_file(path, trusted=True)


def save(network: Any, path: Path) -> Path:
    """Saves a network and its card."""
    network.model.save(path)
    write_card(network.card, card_path(path))
    return path


@pytest.fixture(scope="module")
def folder(tiny: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four saved models, of which the last one was not converted."""
    folder = tmp_path_factory.mktemp("saved")
    for name in ("flat", "two_classes", "nested_functional"):
        convert(save(tiny(name), folder / f"{name}.keras"))
    save(tiny("dense_after_flatten"), folder / "dense_after_flatten.keras")
    return folder


def trusted(path: Path) -> ModelFile:
    """A model that runs in the shared pool."""
    return replace(model_file(path), trusted=True)


@pytest.fixture(scope="module")
def flat(folder: Path) -> ModelFile:
    return trusted(folder / "flat.keras")


@pytest.fixture(autouse=True, scope="module")
def ended() -> Iterator[None]:
    """No process runs before this file, and none after it."""
    workers.shutdown()
    yield
    workers.shutdown()


@pytest.fixture
def anew() -> Iterator[None]:
    """No process runs before the test, and none after it."""
    workers.shutdown()
    yield
    workers.shutdown()


def in_process(model: ModelFile, function: Callable[[], Any], **which: Any) -> Any:
    """What a function returns that runs in a process of a trusted model, the light one first."""
    return worker_pools.open_pool(model, **which).executor.submit(function).result(60)


def pools() -> set[str]:
    """The names of the pools that are open."""
    return {pool.name for pool in worker_pools.running()}


# --- Answers ----------------------------------------------------------------------------------


def _loaded_libraries() -> set[str]:
    """Runs inside a worker: what it should do without where it can."""
    heavy = {"keras", "pandas", "plotly", "pyarrow", "streamlit", "tensorflow"}
    return heavy & {name.partition(".")[0] for name in sys.modules}


def test_a_light_worker_answers_while_tensorflow_starts_for_another_question(
    flat: ModelFile, photo: np.ndarray
) -> None:
    workers.shutdown()
    announced: list[str] = []

    def ask_for_gradients() -> Any:
        with workers.announcing_tensorflow(lambda: announced.append("TensorFlow")):
            return workers.explain(flat, photo, ("dog",), method="grad-cam", layer="conv1")

    assert workers.explain(flat, photo, ("dog",)).maps[0].method == "cam"
    assert len(workers.filters(flat, "conv1").kernels) == 3
    assert workers.trace_value(flat, photo, "conv2", 2, 1, 3).bias is not None
    assert workers.trace_class_map(flat, photo, 2, 1, method="grad-cam").terms
    assert pools() == {worker_pools.SHARED}
    with ThreadPoolExecutor(1) as other:
        gradients = other.submit(ask_for_gradients)
        assert wait_until(lambda: announced)
        assert workers.predict(flat, photo).labels == ("cat", "dog", "owl")
        assert not gradients.done()
        assert gradients.result().maps[0].layer == "conv1"
    assert in_process(flat, _loaded_libraries) == set()
    # The next one need not wait for that.
    ask_for_gradients()
    assert announced == ["TensorFlow"]


@pytest.mark.parametrize("name", ["flat", "nested_functional", "dense_after_flatten"])
def test_a_worker_answers_as_the_public_api_does(
    folder: Path, name: str, photo: np.ndarray
) -> None:
    model = trusted(folder / f"{name}.keras")
    network = cnnviz.load_model(model.path)
    convolution = next(layer.path for layer in network.layers if layer.kernel_shape)
    paths = [layer.path for layer in network.layers if layer.spatial]

    there, here = workers.predict(model, photo), cnnviz.predict(network, photo)
    assert there.labels == here.labels
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=1e-6)

    weights, expected = workers.filters(model, convolution), network.model
    for part in convolution.split("/"):
        expected = expected.get_layer(part)
    np.testing.assert_array_equal(weights.kernels, np.asarray(expected.kernel))
    np.testing.assert_array_equal(weights.biases, np.asarray(expected.bias))

    maps, same = (
        workers.activations(model, photo, paths),
        cnnviz.activations(network, photo, paths),
    )
    assert list(maps) == paths
    for path in paths:
        np.testing.assert_allclose(maps[path], same[path], atol=1e-5, err_msg=path)

    answer = workers.explain(model, photo, ("owl", "cat"))
    assert [one.target for one in answer.maps] == ["owl", "cat"]
    for one in answer.maps:
        alone = cnnviz.class_activation_map(network, photo, one.target)
        assert (one.method, one.layer) == (alone.method, alone.layer)
        np.testing.assert_allclose(one.values, alone.values, atol=1e-4)

    traced = workers.trace_value(model, photo, convolution, 2, 3, 1)
    alone = cnnviz.trace_value(network, photo, convolution, 2, 3, 1)
    assert (traced.field, traced.inputs) == (alone.field, alone.inputs)
    assert traced.result == pytest.approx(alone.result, abs=1e-5)
    of_map = workers.trace_class_map(model, photo, 2, 3, "owl")
    assert of_map.value == pytest.approx(answer.maps[0].values[2, 3], abs=1e-4)

    assert workers.outline(model) == outline(network)


def test_keyword_arguments_are_passed_on(flat: ModelFile, photo: np.ndarray) -> None:
    answer = workers.explain(flat, photo, ("dog",), method="grad-cam", layer="conv1")
    expected = cnnviz.class_activation_map(
        cnnviz.load_model(flat.path), photo, "dog", method="grad-cam", layer="conv1"
    )
    assert (answer.maps[0].method, answer.maps[0].layer) == ("grad-cam", "conv1")
    np.testing.assert_allclose(answer.maps[0].values, expected.values, atol=1e-5)


def test_a_given_card_replaces_the_models_own_in_that_call_alone(
    flat: ModelFile, photo: np.ndarray
) -> None:
    before = workers.outline(flat).card
    card = changed(before, labels=["lion", "tiger", "bear"], title="By hand")
    assert workers.predict(flat, photo, card).labels == ("lion", "tiger", "bear")
    assert workers.explain(flat, photo, ("tiger",), card=card).maps[0].target == "tiger"
    assert workers.outline(flat, card).card == card
    assert workers.outline(flat).card == before


def test_of_many_callers_at_once_each_gets_its_own_answer(flat: ModelFile) -> None:
    rng = np.random.default_rng(5)
    photos = [rng.integers(0, 256, (20 + n, 30, 3), dtype=np.uint8) for n in range(12)]
    network = cnnviz.load_model(flat.path)
    with ThreadPoolExecutor(12) as people:
        answers = list(people.map(lambda photo: workers.activations(flat, photo, LAYERS), photos))
    for photo, answer in zip(photos, answers, strict=True):
        expected = cnnviz.activations(network, photo, LAYERS)
        for layer in LAYERS:
            np.testing.assert_allclose(answer[layer], expected[layer], atol=1e-5)
    assert not np.allclose(answers[0]["conv2"], answers[1]["conv2"])


def test_a_file_that_was_replaced_is_another_model(
    tiny: Callable[[str], Any], tmp_path: Path
) -> None:
    path = tmp_path / "model.keras"
    tiny("flat").model.save(path)
    before = trusted(path)
    assert workers.outline(before).card.labels == ["class 0", "class 1", "class 2"]
    tiny("two_classes").model.save(path)
    after = trusted(path)
    assert after != before
    assert workers.outline(after).card.labels == ["class 0", "class 1"]
    # So is one whose class names have changed.
    path.with_name("labels.txt").write_text("cats\ndogs\n")
    named = trusted(path)
    assert named != after
    assert workers.outline(named).card.labels == ["cats", "dogs"]


# --- What needs TensorFlow --------------------------------------------------------------------


def test_a_conversion_that_is_made_later_is_found(
    fresh: Callable[[str], Any],
    tmp_path: Path,
    photo: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    to_convert: list[ModelFile] = []
    monkeypatch.setattr(background_conversion, "convert", to_convert.append)
    network = fresh("free_size")
    # Else the file for LiteRT would be that of another test, which the process may hold already.
    network.model.get_layer("conv1").bias.assign([0.5, 1, 0, 2])
    model = trusted(save(network, tmp_path / "free_size.keras"))
    before = workers.predict(model, photo)
    assert to_convert == [model]
    assert "free_size" not in in_process(model, _kept)
    convert(Path(model.path))
    after = workers.predict(model, photo)
    assert in_process(model, _kept)[-1] == "free_size"
    # Gradients and another size need TensorFlow, and no other conversion.
    workers.explain(model, photo, method="grad-cam", layer="conv1")
    card = read_card(card_path(model.path))
    steps = card.preprocessing.model_copy(update={"width": 20, "height": 16})
    larger = changed(card, preprocessing=steps)
    maps = workers.activations(model, photo, LAYERS, larger)
    assert maps["conv1"].shape == (16, 20, 4)
    expected = loading.with_card(cnnviz.load_model(model.path), larger)
    for layer, values in cnnviz.activations(expected, photo, LAYERS).items():
        np.testing.assert_allclose(maps[layer], values, atol=1e-5)
    assert to_convert == [model]
    np.testing.assert_allclose(after.probabilities, before.probabilities, atol=1e-6)
    # Without its files TensorFlow answers again, and the conversion is made anew.
    for file in conversions.folder().glob(f"{fingerprint_of(Path(model.path))[:40]}*.tflite"):
        file.unlink()
    maps = workers.activations(model, photo, LAYERS)
    assert list(maps) == list(LAYERS)
    assert "free_size" not in in_process(model, _kept)
    assert workers.predict(model, photo).labels == after.labels
    assert to_convert == [model, model]


def test_what_cannot_be_converted_is_looked_up_once(
    tiny: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs in this process."""
    model = trusted(save(tiny("many_sigmoids"), tmp_path / "many_sigmoids.keras"))
    read: list[Path] = []

    def watched(path: Path) -> HashedFile:
        read.append(path)
        return hash_file(path)

    monkeypatch.setattr(worker_process, "hash_file", watched)
    for _ in range(2):
        with pytest.raises(TensorFlowNeededError) as needed:
            worker_process.load_converted(model)
        assert needed.value.convertible
    conversions.refuse(fingerprint_of(Path(model.path)), read_card(card_path(model.path)), "why")
    with pytest.raises(TensorFlowNeededError) as needed:
        worker_process.load_converted(model)
    assert not needed.value.convertible
    monkeypatch.setattr(conversions, "find", pytest.fail)
    with pytest.raises(TensorFlowNeededError) as needed:
        worker_process.load_converted(model)
    assert not needed.value.convertible
    assert read == [Path(model.path)]


def test_a_checkpoint_has_a_process_of_its_own_and_no_conversion(
    folder: Path, flat: ModelFile, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaded in this process."""
    checkpoint = replace(flat, checkpoint=True)
    monkeypatch.setattr(conversions, "find", pytest.fail)
    assert worker_process.load(checkpoint).converted is None
    names = {worker_pools.open_pool(checkpoint, tensorflow=is_second).name for is_second in (0, 1)}
    assert names == {worker_pools.CHECKPOINTS}
    with pytest.raises(ModelError, match="There is no model file"):
        worker_process.load(replace(checkpoint, path=str(folder / "gone.keras")))


# --- Errors -----------------------------------------------------------------------------------


def test_an_error_for_people_is_passed_on_unchanged(flat: ModelFile, photo: np.ndarray) -> None:
    network = cnnviz.load_model(flat.path)
    with pytest.raises(LayerError) as here:
        cnnviz.filters(network, "pool")
    with pytest.raises(LayerError) as there:
        workers.filters(flat, "pool")
    assert str(there.value) == str(here.value)
    with pytest.raises(TargetError, match="no class 'tiger'"):
        workers.explain(flat, photo, ("tiger",))


def test_an_error_of_a_file_names_it(folder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"damaged\.keras cannot be loaded"):
        workers.outline(trusted(damaged))
    wrong = tmp_path / "wrong.keras"
    wrong.write_bytes((folder / "flat.keras").read_bytes())
    card_path(wrong).write_text('{"title": "no more"}')
    with pytest.raises(CardError, match=r"wrong\.json needs a correction.*labels: field required"):
        workers.outline(trusted(wrong))


def test_an_error_of_the_network_library_keeps_its_details_to_the_log(flat: ModelFile) -> None:
    with pytest.raises(ModelError, match="could not be run: AttributeError") as caught:
        workers.predict(flat, "not a photo")
    assert "dtype" not in str(caught.value)
    assert flat.path not in str(caught.value)


# --- Processes that end -----------------------------------------------------------------------


def test_a_worker_killed_while_idle_is_replaced(flat: ModelFile, photo: np.ndarray) -> None:
    before = workers.predict(flat, photo)
    os.kill(in_process(flat, os.getpid), signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"stopped before it answered\. A new one"):
        workers.predict(flat, photo)
    after = workers.predict(flat, photo)
    np.testing.assert_array_equal(after.probabilities, before.probabilities)


def test_all_callers_of_a_killed_worker_get_an_error(flat: ModelFile, photo: np.ndarray) -> None:
    killed = in_process(flat, os.getpid)
    pool = worker_pools.open_pool(flat)
    pool.executor.submit(time.sleep, 60)
    with ThreadPoolExecutor(3) as people:
        waiting = [people.submit(workers.predict, flat, photo) for _ in range(3)]
        assert wait_until(lambda: len(pool.executor._pending_work_items) == 4)
        os.kill(killed, signal.SIGKILL)
        for one in waiting:
            assert isinstance(one.exception(30), WorkerError)
    assert workers.predict(flat, photo).labels == ("cat", "dog", "owl")
    assert in_process(flat, os.getpid) != killed


def test_an_answer_that_never_comes_is_given_up(flat: ModelFile, photo: np.ndarray) -> None:
    stuck = in_process(flat, os.getpid)
    pool = worker_pools.open_pool(flat)
    pool.executor.submit(time.sleep, 60)
    with ThreadPoolExecutor(1) as people:
        # This one may take longer, and waits in the same queue.
        other = people.submit(workers.predict, flat, photo)
        assert wait_until(lambda: len(pool.executor._pending_work_items) == 2)
        with pytest.raises(WorkerError, match=r"no answer within 0\.5 seconds"):
            workers.call(WorkerCall("predict", flat, args=(photo,)), seconds=0.5)
        assert isinstance(other.exception(30), WorkerError)
    assert workers.predict(flat, photo).labels == ("cat", "dog", "owl")
    assert wait_until(lambda: not _runs(stuck)), "the stuck process still runs"


def test_a_call_to_a_pool_that_is_being_discarded_gets_an_error(
    flat: ModelFile, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    discarded = worker_pools.open_pool(flat)
    worker_pools.discard(discarded)
    with monkeypatch.context() as patch:
        # As for a caller who had been given the pool just before.
        patch.setattr(worker_pools, "open_pool", lambda *_, **__: discarded)
        with pytest.raises(WorkerError):
            workers.predict(flat, photo)
    assert worker_pools.open_pool(flat) is not discarded


# --- Memory and start -------------------------------------------------------------------------


def _kept() -> list[str]:
    """Runs inside a worker: the networks in its memory."""
    return [model.name for model in worker_process.loaded_models()]


@pytest.mark.usefixtures("anew")
def test_a_worker_keeps_the_networks_used_last(
    folder: Path, flat: ModelFile, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNVIZ_NETWORKS", "2")
    for name in ("flat", "two_classes", "flat", "nested_functional"):
        workers.predict(trusted(folder / f"{name}.keras"), photo)
    assert in_process(flat, _kept) == ["flat", "nested_functional"]
    # A network that was evicted is loaded again.
    again = workers.predict(trusted(folder / "two_classes.keras"), photo)
    assert again.labels == ("cat", "dog")
    assert in_process(flat, _kept) == ["nested_functional", "two_classes"]


def test_a_network_is_freed_with_those_that_have_other_cards(
    folder: Path, flat: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs in this process, which keeps one network."""
    loaded = []
    load = worker_process.load

    def watched_load(model: ModelFile) -> Any:
        network = load(model)
        loaded.append(weakref.ref(network.structure))
        return network

    monkeypatch.setattr(worker_process, "load", watched_load)
    card = changed(read_card(card_path(flat.path)), title="Another")
    assert worker_process.answer(WorkerCall("outline", flat, card)).card == card
    assert loaded[0]() is not None
    worker_process.answer(WorkerCall("outline", trusted(folder / "two_classes.keras")))
    gc.collect()
    assert loaded[0]() is None


def test_an_answer_that_is_too_large_is_refused_in_words(
    flat: ModelFile, photo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs in this process: the caller would have to hold the answer."""
    question = WorkerCall("activations", flat, args=(photo, ("conv1",)))
    maps = worker_process.answer(question)["conv1"]
    # The name of the layer counts as well.
    monkeypatch.setattr(answers, "MOST_BYTES", maps.nbytes + len("conv1"))
    np.testing.assert_array_equal(worker_process.answer(question)["conv1"], maps)
    monkeypatch.setattr(answers, "MOST_BYTES", maps.nbytes)
    with pytest.raises(ModelError, match="at most 0 MB are sent at once: choose a layer"):
        worker_process.answer(question)


@pytest.mark.parametrize(
    ("result", "weight"),
    [
        (None, 8),
        ({"ab": [np.zeros((3, 2), "f4")], "c": ("de", 1.5)}, 2 + 24 + 1 + 2 + 8),
        (
            Filters("a", "b", np.zeros(6, "f4"), None, np.zeros(2, "f8"), *[None] * 2),  # type: ignore[arg-type]
            1 + 1 + 24 + 8 + 16 + 8 + 8,
        ),
    ],
    ids=["nothing", "containers", "result"],
)
def test_the_weight_of_an_answer(result: Any, weight: int) -> None:
    assert worker_process._weight(result) == weight


def test_of_many_cards_the_one_used_longest_ago_is_dropped(
    flat: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs in this process."""
    given = []
    with_card = loading.with_card

    def counted_with_card(network: Any, card: ModelCard) -> Any:
        given.append(card.title)
        return with_card(network, card)

    monkeypatch.setattr(loading, "with_card", counted_with_card)
    card = read_card(card_path(flat.path))
    # There is room for eight: the ninth drops card 1, since card 0 was used after it.
    for number in (*range(8), 0, 8, 0, 1):
        titled = changed(card, title=f"card {number}")
        assert worker_process.answer(WorkerCall("outline", flat, titled)).card == titled
    assert given == [f"card {number}" for number in (*range(9), 1)]


@pytest.mark.usefixtures("anew")
def test_a_start_prepares_every_model_that_can_be(
    folder: Path,
    tmp_path: Path,
    flat: ModelFile,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CNNVIZ_NETWORKS", "4")
    monkeypatch.setattr(workers, "_PAUSE", 0)
    not_converted = trusted(folder / "dense_after_flatten.keras")
    gone = replace(flat, path=str(tmp_path / "gone.keras"))
    other, fifth = (
        trusted(folder / f"{name}.keras") for name in ("two_classes", "nested_functional")
    )
    with caplog.at_level(logging.WARNING):
        workers.start([flat, gone, not_converted, other, fifth])
        # It has returned before the first step, which waits for the process to start.
        assert len(worker_pools.open_pool(flat).executor._pending_work_items) == 1
        # A worker keeps four: the fifth would evict the first.
        assert wait_until(lambda: in_process(flat, _kept) == ["flat", other.name])
        assert not wait_until(lambda: in_process(flat, _kept)[-1] == fifth.name, 1)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert all("Could not prepare" in line and "gone.keras" in line for line in lines)
    # TensorFlow waits for the first question that needs it.
    assert pools() == {worker_pools.SHARED}


@pytest.mark.usefixtures("anew")
def test_a_start_leaves_the_processors_to_the_first_page(
    folder: Path, flat: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_PAUSE", 60)
    workers.start([flat, trusted(folder / "two_classes.keras")])
    assert wait_until(lambda: in_process(flat, _kept) == ["flat"])
    assert not wait_until(lambda: len(in_process(flat, _kept)) > 1, 1)


@pytest.mark.usefixtures("anew")
def test_without_tensorflow_a_question_is_answered_or_refused(
    folder: Path, flat: ModelFile
) -> None:
    with workers.without_tensorflow():
        assert workers.outline(flat) == workers.outline(flat)
        with pytest.raises(TensorFlowNeededError):
            workers.outline(trusted(folder / "dense_after_flatten.keras"))
    assert pools() == {worker_pools.SHARED}


@pytest.mark.usefixtures("anew")
def test_tensorflow_starts_with_the_server_if_the_first_model_needs_it(
    folder: Path, flat: ModelFile
) -> None:
    not_converted = trusted(folder / "dense_after_flatten.keras")
    workers.start([not_converted, flat])
    assert wait_until(lambda: pools() == {worker_pools.SHARED, worker_pools.TENSORFLOW})


@pytest.mark.parametrize(
    ("setting", "litert", "expected"),
    [
        ("eager", True, {worker_pools.SHARED, worker_pools.TENSORFLOW}),
        ("lazy", False, {worker_pools.TENSORFLOW}),
    ],
    ids=["eager", "without LiteRT"],
)
@pytest.mark.usefixtures("anew")
def test_where_tensorflow_starts_with_the_server_its_worker_is_prepared(
    flat: ModelFile,
    setting: str,
    litert: bool,
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CNNVIZ_TENSORFLOW", setting)
    monkeypatch.setattr(worker_pools, "has_litert", lambda: litert)
    workers.start([flat])
    assert pools() == expected
    for pool in worker_pools.running():
        assert len(pool.executor._pending_work_items) == 1


def test_a_second_start_changes_nothing(flat: ModelFile) -> None:
    workers.start([flat])
    pool = worker_pools.open_pool(flat)
    workers.start([flat])
    assert worker_pools.open_pool(flat) is pool


# --- Untrusted models ---------------------------------------------------------------------------


@pytest.mark.usefixtures("anew")
def test_an_untrusted_model_has_its_own_process_and_the_same_answers(
    folder: Path, flat: ModelFile, photo: np.ndarray
) -> None:
    untrusted = model_file(folder / "flat.keras")
    there, here = workers.predict(untrusted, photo), workers.predict(flat, photo)
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=1e-6)
    traces = [workers.trace_value(one, photo, "conv2", 1, 2, 3) for one in (untrusted, flat)]
    assert traces[0].result == pytest.approx(traces[1].result, rel=1e-5)
    pool = worker_pools.open_pool(untrusted)
    temporary = Path(pool.folder.name)
    assert temporary.name.startswith(f"cnnviz-untrusted-{os.getpid()}-")
    # Also those that TensorFlow has started.
    tasks = list(Path(f"/proc/{pool.pid}/task").glob("*/status"))
    assert len(tasks) > 2 or sys.platform != "linux"
    assert all("Seccomp:\t2" in task.read_text() for task in tasks)
    os.kill(pool.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="needs more memory than there is for it"):
        workers.predict(untrusted, photo)
    # The shared process is not affected.
    assert workers.predict(flat, photo).labels == ("cat", "dog", "owl")
    assert wait_until(lambda: not temporary.exists())


@pytest.mark.parametrize(("case", "inner"), [("flat", False), ("multi-gpu", True)])
def test_an_untrusted_model_is_inspected_once(
    folder: Path, tmp_path: Path, case: str, inner: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "flat.keras"
    if inner:
        path = tmp_path / "cards.h5"
        path.write_bytes(next(one for one in models.CASES if one.name == case).make())
    untrusted = replace(model_file(path), inner=inner)
    steps: list[str] = []
    for name in ("inspect_model", "inspect_inner_model"):
        original = getattr(gate, name)

        def look(*args: Any, original: Any = original, **kwargs: Any) -> Any:
            steps.append("inspected")
            return original(*args, **kwargs)

        monkeypatch.setattr(gate, name, look)
    worker_process.inspect(untrusted)
    network = worker_process.load(untrusted)
    assert steps == ["inspected"]
    expected = cnnviz.extract_model(path) if inner else cnnviz.load_model(path)
    assert (network.layers, network.card) == (expected.layers, expected.card)
    assert network.fingerprint == expected.fingerprint


def _slow_step(_: Any) -> None:
    """Runs inside a confined process, in place of TensorFlow's import, and of an answer."""
    time.sleep(1.5)


def _nothing(*_: Any) -> None:
    """Runs inside a confined process, in place of a step that takes long."""


@pytest.mark.usefixtures("anew")
def test_the_time_of_an_untrusted_model_starts_when_tensorflow_is_loaded_and_its_turn_comes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "inspect", ByValue(_nothing))
    for step in ("import_tensorflow", "answer"):
        monkeypatch.setattr(worker_process, step, ByValue(_slow_step))
    question = WorkerCall("prepare", model_file(folder / "flat.keras"))
    # Enough for one call, and too little for one that waits for another one, or for the import.
    with ThreadPoolExecutor(2) as people:
        calls = [people.submit(workers.call, question, seconds=2.5) for _ in range(2)]
        assert [call.result(60) for call in calls] == [None, None]
    # One that takes too long by itself is stopped, and the one that waits for it gets an error.
    with ThreadPoolExecutor(2) as people:
        calls = [people.submit(workers.call, question, seconds=0.5) for _ in range(2)]
        errors = [call.exception(60) for call in calls]
    assert all(isinstance(error, WorkerError) for error in errors)
    assert any("no answer within 0.5 seconds" in str(error) for error in errors)


def _send_no_answer() -> None:
    """Runs inside a confined process: what a process that was taken over might send."""
    for descriptor in range(3, 64):
        with suppress(OSError):
            os.write(descriptor, b"\x80\x04\x95" * 64)


@pytest.mark.usefixtures("anew")
def test_what_is_no_answer_ends_the_process(folder: Path) -> None:
    untrusted = model_file(folder / "flat.keras")
    pool = worker_pools.open_pool(untrusted)
    with pytest.raises(WorkerError, match="gave an answer that cannot be read"):
        pool.ask(type(None), ByValue(_send_no_answer), seconds=60)


@pytest.mark.usefixtures("anew")
def test_an_answer_to_another_question_ends_the_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is one that was taken over: it sends other layers than were asked for."""
    untrusted = model_file(folder / "flat.keras")
    pool = worker_pools.open_pool(untrusted)
    monkeypatch.setattr(pool, "_load", lambda _: None)
    monkeypatch.setattr(pool, "ask", lambda *_, **__: {"conv2": np.zeros((2, 2, 3))})
    question = WorkerCall("activations", untrusted, None, (None, ("conv2",)))
    assert list(pool.answer(question)) == ["conv2"]
    with pytest.raises(WorkerError, match="gave an answer that cannot be read") as caught:
        pool.answer(replace(question, args=(None, ("conv1",))))
    assert not caught.value.again


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOMEM])
def test_a_process_that_cannot_be_started_leaves_nothing(
    flat: ModelFile, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    made = []
    make = temporary_folders.make
    monkeypatch.setattr(temporary_folders, "make", lambda kind: made.append(make(kind)) or made[-1])
    monkeypatch.setattr(untrusted_processes.subprocess, "Popen", refuse)
    with pytest.raises(WorkerError, match=f"cannot be started: {os.strerror(code)}") as caught:
        untrusted_processes.UntrustedProcess(read_settings(), flat)
    assert not caught.value.again
    assert made
    assert not Path(made[0].name).exists()


@pytest.mark.usefixtures("anew")
def test_of_many_untrusted_models_the_one_used_longest_ago_is_closed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their processes do without TensorFlow: none has to answer."""
    monkeypatch.setenv("CNNVIZ_UNTRUSTED_PROCESSES", "1")
    for step in ("import_tensorflow", "inspect", "answer"):
        monkeypatch.setattr(worker_process, step, ByValue(_nothing))

    def ask(model: ModelFile) -> None:
        assert workers.call(WorkerCall("prepare", model), seconds=60) is None

    first, second = (model_file(folder / f"{name}.keras") for name in ("flat", "two_classes"))
    ask(first)
    process = worker_pools.open_pool(first).pid
    with (
        worker_pools.waiting_for(first),
        pytest.raises(WorkerError, match="All 1 places for people's own models are busy"),
    ):
        ask(second)
    ask(second)
    assert [pool.name for pool in worker_pools.running()] == [second.path]
    assert wait_until(lambda: not _runs(process))


@pytest.mark.usefixtures("anew")
def test_a_refused_model_leaves_nothing_once_its_pool_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    bomb = next(case for case in models.CASES if case.expected == "zip-bomb")
    path = tmp_path / "bomb.keras"
    path.write_bytes(bomb.make())
    untrusted = model_file(path)
    for _ in range(2):
        with pytest.raises(RefusedModelError) as refused:
            workers.outline(untrusted)
        assert refused.value.code == "zip-bomb"
    process = worker_pools.open_pool(untrusted).pid
    worker_pools.close_idle(untrusted)
    assert wait_until(lambda: not _runs(process))
    assert wait_until(lambda: not list(temporary.iterdir()))


# --- When the parent dies ---------------------------------------------------------------------

_PARENT = """
import sys, time
from cnnviz.serving import workers
from cnnviz.serving.model_files import model_file
outline = workers.outline(model_file(sys.argv[1]))
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
        # It has an answer without the libraries that run networks.
        assert parent.stdout.readline() == b"6 set()\n"
        others = running_in(parent.pid) - {parent.pid}
        assert others, "there is no worker to look at"
        parent.kill()
        parent.wait()
        assert wait_until(lambda: not running_in(parent.pid), 10), running_in(parent.pid)
        # An untrusted process may only change its folder, not remove it: the next server does.
        (left,) = tmp_path.glob("cnnviz-*")
        assert left.name.startswith(f"cnnviz-untrusted-{parent.pid}-")
        assert list(left.iterdir()) == []
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


@pytest.mark.parametrize("is_trusted", [True, False])
@pytest.mark.usefixtures("anew")
def test_without_tensorflow_no_process_is_started(
    flat: ModelFile, is_trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", {"keras": "installed"}.get)
    with pytest.raises(CnnvizError, match=r"pip install 'cnnviz\[cpu\]'"):
        workers.outline(replace(flat, trusted=is_trusted))
    assert worker_pools.running() == []


def test_threads_do_not_start_two_sets_of_processes(
    flat: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers.shutdown()
    started = []
    original = worker_pools.ProcessPoolExecutor

    def slow(*args: Any, **kwargs: Any) -> Any:
        started.append(threading.get_ident())
        time.sleep(0.1)
        return original(*args, **kwargs)

    monkeypatch.setattr(worker_pools, "ProcessPoolExecutor", slow)
    with ThreadPoolExecutor(6) as people:
        pools = list(people.map(lambda _: worker_pools.open_pool(flat), range(6)))
    assert len(started) == 1
    assert len({id(pool) for pool in pools}) == 1
