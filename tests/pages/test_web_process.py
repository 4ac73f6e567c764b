"""The web process: it never holds a network, and never asks a worker the same question twice."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from cnnviz.errors import TensorFlowNeededError, WorkerError
from cnnviz.serving import workers
from cnnviz.serving.worker_process import WorkerCall
from cnnviz.settings import ROOT, read_settings
from cnnviz.ui import __main__ as start
from cnnviz.ui import ahead


def test_without_tensorflow_the_app_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", {"keras": "installed"}.get)
    with pytest.raises(SystemExit, match=r"^Error: .*pip install 'cnnviz\[cpu\]'"):
        start.main()


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux lists them")
def test_numpy_starts_no_threads_of_its_own() -> None:
    # Without the setting of this process.
    environment = {name: text for name, text in os.environ.items() if "NUM_THREADS" not in name}
    code = """
import os
from cnnviz.ui import __main__ as start
start.use_one_blas_thread()
import numpy
numpy.ones((400, 400)) @ numpy.ones((400, 400))
print(len(os.listdir("/proc/self/task")))
"""
    counted = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert counted.stdout == "1\n"


def test_what_threads_share_is_imported_before_there_are_any() -> None:
    # Two threads that import NumPy at once may find half of it.
    code = """
import sys
from cnnviz.serving import workers
from cnnviz.ui import __main__ as start
def begin(models):
    print({"numpy", "pydantic", "cnnviz.cards", "cnnviz.traces"} - set(sys.modules))
    sys.exit()
workers.start = begin
sys.argv = ["cnnviz.ui"]
start.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_what_pages_import_is_there_before_they_are_visited() -> None:
    code = """
import ast, gc, sys
from pathlib import Path
gc.disable()
from cnnviz.ui import page_imports
page_imports._PAUSE = 0
page_imports._import_all()
nodes = [node for path in Path("pages").glob("*.py") for node in ast.parse(path.read_text()).body]
names = {f"{node.module}.{one.name}" for node in nodes if isinstance(node, ast.ImportFrom)
         for one in node.names}
print(len(names) > 8, names - set(sys.modules), gc.isenabled(), gc.get_freeze_count() > 10_000)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True set() True True\n"


@pytest.mark.parametrize("words", [["--replay", "a folder"], ["--replay=a folder"]])
def test_a_replay_is_taken_out_of_the_command(
    monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("CNNVIZ_REPLAY", "")
    rest = start.take_own_options(["--server.port", "80", *words, "--server.headless=true"])
    assert rest == ["--server.port", "80", "--server.headless=true"]
    assert os.environ["CNNVIZ_REPLAY"] == "a folder"


def test_the_network_of_the_machine_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_LAN", "")
    assert start.take_own_options(["--server.port=80"]) == ["--server.port=80"]
    assert not read_settings().lan
    assert start.take_own_options(["--lan", "--server.port=80"]) == ["--server.port=80"]
    assert read_settings().lan


def test_a_replay_needs_a_folder(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        start.take_own_options(["--replay"])
    assert "--replay: expected one argument" in capfd.readouterr().err


@pytest.fixture
def questions(models: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions that were called in workers, in order."""
    models("flat", "two_classes")
    functions: list[str] = []
    original = workers.call

    def call(question: WorkerCall) -> Any:
        functions.append(question.function)
        return original(question)

    monkeypatch.setattr(workers, "call", call)
    return functions


def test_a_first_visit_asks_each_question_once(visit: Any, questions: list[str]) -> None:
    visit()
    assert sorted(questions) == ["explain_stages", "outline"]


def test_the_first_photo_is_explained_before_a_page_asks(
    visit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A shipped one, which the light worker answers about.
    model = tmp_path / "cat_dog_lesson.keras"
    for ending in (".keras", ".json"):
        shutil.copy((ROOT / "models" / model.name).with_suffix(ending), tmp_path)
    monkeypatch.setenv("CNNVIZ_MODELS", str(tmp_path))
    asked: list[str] = []
    drawn: list[int | None] = []
    call, image = workers.call, st.image

    def counted_call(question: WorkerCall) -> Any:
        asked.append(question.function)
        return call(question)

    def counted_image(*args: Any, width: Any = None, **others: Any) -> Any:
        drawn.append(width)
        return image(*args, width=width, **others)

    monkeypatch.setattr(workers, "call", counted_call)
    monkeypatch.setattr(st, "image", counted_image)
    ahead.answer_first_photo()
    assert asked == ["outline", "explain_stages"]
    walk = visit().fine().painted
    # There was nothing to wait for, so that no photo was drawn in place of the walk.
    assert len(asked) == 2
    assert len(drawn) == 1
    # Another state of the file is another question, to which the answer is the same here.
    os.utime(model, ns=(1, 1))
    assert visit().fine().painted == walk
    assert asked == ["outline", "explain_stages"] * 2
    assert len(drawn) == 3
    # And so is another photo.
    assert visit(sample="dog").fine().painted != walk
    assert asked[4:] == ["explain_stages"]


def test_what_cannot_be_explained_ahead_is_left_to_the_page(
    models: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    models()
    ahead.answer_first_photo()
    models("flat")

    def call(question: WorkerCall) -> Any:
        raise TensorFlowNeededError("It was not converted.")

    monkeypatch.setattr(workers, "call", call)
    with caplog.at_level(logging.INFO):
        ahead.answer_first_photo()
    assert "not explained ahead: It was not converted." in caplog.text


def test_a_first_visit_computes_no_map_twice(visit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    original = workers.call

    def call(question: WorkerCall) -> Any:
        answer = original(question)
        if question.function == "explain":
            drawn.extend(one.target for one in answer.maps)
        if question.function == "explain_stages":
            drawn.extend(one.target for one in answer.explanation.maps)
        return answer

    monkeypatch.setattr(workers, "call", call)
    visit("class_activation_map", model="imagenet_efficientnet_lite0").fine()
    assert len(drawn) == len(set(drawn)) == 5


@pytest.mark.parametrize(
    ("page", "looks"),
    [
        ("filters", [("Scale", "layer"), ("Filter", 2), ("Scale", "own")]),
        ("filters", [("Input channel", 2), ("Colours", "PuOr"), ("Scale", "filter")]),
        ("activations", [("Order by", "mean"), ("Scale", "channel"), ("Colours", "gray")]),
        ("class_activation_map", [("Show evidence against it", False)]),
    ],
)
def test_another_look_asks_no_network(
    visit: Any, questions: list[str], page: str, looks: list[tuple[str, Any]]
) -> None:
    seen = visit(page).answered().fine()
    before_looks = list(questions)
    assert before_looks
    for label, option in looks:
        before = seen.painted
        seen.choose(label, option).fine()
        # It did change what is on the screen.
        assert seen.painted != before
    assert questions == before_looks


def test_a_second_visit_to_a_page_asks_no_network(visit: Any, questions: list[str]) -> None:
    seen = visit()
    pages = ("filters", "activations", "class_activation_map", "network", "explore")
    for page in pages:
        seen.turn_to(page)
    first_visit = list(questions)
    for page in pages:
        seen.turn_to(page).fine()
    assert questions == first_visit


def test_another_person_with_the_same_question_asks_no_network(
    visit: Any, questions: list[str]
) -> None:
    visit("class_activation_map").answered()
    first_visit = list(questions)
    visit("class_activation_map").answered().fine()
    assert questions == first_visit


def test_a_worker_that_died_is_reported_and_asked_again(
    visit: Any, questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = visit(sample="coffee").choose("Network", "two_classes")
    original, deaths = workers.call, [WorkerError("The process stopped.")]

    def call(question: WorkerCall) -> Any:
        if deaths:
            raise deaths.pop()
        return original(question)

    monkeypatch.setattr(workers, "call", call)
    seen.turn_to("filters").fine()
    assert "The process stopped." in seen.text
    assert seen.chosen("Network") == "two_classes"
    assert "A cup of espresso" in seen.text
    assert seen.title("one filter").startswith("Filter 0")


def test_a_worker_that_dies_every_time_leaves_an_error_and_a_way_on(
    visit: Any, questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = visit()
    original = workers.call
    with monkeypatch.context() as patch:

        def call(question: WorkerCall) -> Any:
            raise WorkerError("The process stopped again.")

        patch.setattr(workers, "call", call)
        seen.turn_to("filters")
        assert "The process stopped again." in seen.app.error[0].value.replace("\\", "")
        assert seen.app.exception == []
        assert "Chelsea, a cat" in seen.text
    assert workers.call is original
    seen.choose("Try again", True).fine()
