"""Conversions in the background; most of their processes stand for the one that converts."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import wait_until

from cnnviz.cards import read_card, write_card
from cnnviz.networks import conversions
from cnnviz.networks.engines import conversion
from cnnviz.serving import background_conversion, conversion_process
from cnnviz.serving.model_files import ModelFile, model_file
from cnnviz.shipped_models import fingerprint_of
from cnnviz.storage import card_path

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def model(tiny: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFile:
    """A trusted model of the folder, which was not converted; no other one was tried before."""
    path = tmp_path / "models" / "flat.keras"
    path.parent.mkdir()
    tiny("flat").model.save(path)
    write_card(tiny("flat").card, card_path(path))
    monkeypatch.setenv("CNNVIZ_MODELS", str(path.parent))
    monkeypatch.setenv("CNNVIZ_TRUST", "on")
    monkeypatch.setenv("CNNVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(background_conversion, "_taken", set())
    return model_file(path)


class Processes:
    """In place of those that convert: what the next one does is chosen beforehand."""

    def __init__(self) -> None:
        self.code = ""
        self.models: list[ModelFile] = []
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, model: ModelFile, _folder: str) -> subprocess.Popen[bytes]:
        assert all(process.poll() is not None for process in self._running), "two at once"
        self.models.append(model)
        self._running.append(subprocess.Popen([sys.executable, "-I", "-S", "-c", self.code]))
        return self._running[-1]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    processes = Processes()
    monkeypatch.setattr(background_conversion, "_start", processes.start)
    return processes


def wait_for(model: ModelFile) -> None:
    """Waits until a model was converted."""
    assert wait_until(lambda: model not in background_conversion._taken)


def test_one_model_after_the_other_is_converted(model: ModelFile, processes: Processes) -> None:
    other = replace(model, card_modified=1)
    for one in (model, model, other, model):
        background_conversion.convert(one)
    wait_for(other)
    assert processes.models == [model, other]
    # The cache has lost it.
    background_conversion.convert(model)
    wait_for(model)
    assert processes.models == [model, other, model]


def test_what_failed_is_not_tried_again(model: ModelFile, processes: Processes) -> None:
    processes.code = "raise SystemExit(1)"
    background_conversion.convert(model)
    assert wait_until(lambda: processes.models)
    processes.code = ""
    other = replace(model, card_modified=1)
    background_conversion.convert(other)
    wait_for(other)
    background_conversion.convert(model)
    background_conversion.convert(other)
    wait_for(other)
    assert processes.models == [model, other, other]


@pytest.mark.parametrize(
    "change",
    [
        {"trusted": False},
        {"checkpoint": True},
        {"inner": True},
        {"path": "models/flat.keras"},
        {"path": "{folder}/flat.zip"},
    ],
    ids=["untrusted", "checkpoint", "inner", "elsewhere", "zip"],
)
def test_other_files_are_not_converted(
    model: ModelFile, processes: Processes, change: dict[str, Any]
) -> None:
    if "path" in change:
        change = {"path": change["path"].format(folder=Path(model.path).parent)}
    background_conversion.convert(replace(model, **change))
    assert not background_conversion._taken


def test_a_process_that_is_killed_leaves_a_line_in_the_log_and_no_file(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    temporary, started = tmp_path / "temporary", []
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    start = background_conversion._start

    def watched_start(*args: Any) -> subprocess.Popen[bytes]:
        started.append(start(*args))
        return started[-1]

    monkeypatch.setattr(background_conversion, "_start", watched_start)
    with caplog.at_level(logging.WARNING):
        background_conversion.convert(model)
        assert wait_until(lambda: started)
        # The first thing that it does: all else has to come before it.
        assert wait_until(lambda: os.getpriority(os.PRIO_PROCESS, started[0].pid) == 19)
        assert list(temporary.iterdir())
        os.kill(started[0].pid, signal.SIGKILL)
        assert wait_until(lambda: "flat.keras for LiteRT was killed (9)" in caplog.text)
    assert list(temporary.iterdir()) == []
    assert model in background_conversion._taken


def test_a_process_that_cannot_be_started_is_reported(
    model: ModelFile, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(background_conversion, "_start", refuse)
    with caplog.at_level(logging.WARNING):
        background_conversion.convert(model)
        assert wait_until(lambda: "flat.keras for LiteRT: [Errno 12] Cannot" in caplog.text)


def test_what_the_process_does(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Runs in this process, which keeps its priority, and does not end with another one."""
    for name in ("follow", "import_tensorflow", "protect_memory"):
        monkeypatch.setattr(conversion_process, name, lambda *_: None)
    monkeypatch.setattr(os, "nice", lambda _: 0)
    path = Path(model.path)
    assert conversion_process.main(model.path, "1", str(tmp_path)) == 0
    found = conversions.find(path, fingerprint_of(path), read_card(card_path(path)))
    assert isinstance(found, conversions.Converted)
    # What the server cannot use is not made again and again.
    with monkeypatch.context() as patch:
        patch.setattr(conversions, "_MAX_DESCRIPTION", 100)
        assert conversion_process.main(model.path, "1", str(tmp_path)) == 1
    assert "flat.keras is not converted for LiteRT: What was made of it cannot" in caplog.text
    # The folder of the cache cannot be made: a file is there.
    monkeypatch.setenv("CNNVIZ_CACHE", str(path / "cache"))
    assert conversion_process.main(model.path, "1", str(tmp_path)) == 1
    assert "flat.keras is not converted for LiteRT: " in caplog.text


@pytest.mark.parametrize("error", [KeyError("no such layer"), MemoryError(), ImportError("no so")])
def test_whatever_a_conversion_raises_is_a_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: Any, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    for name in ("follow", "import_tensorflow", "protect_memory"):
        monkeypatch.setattr(conversion_process, name, lambda *_: None)
    monkeypatch.setattr(os, "nice", lambda _: 0)
    monkeypatch.setattr(conversion, "convert_file", fail)
    assert conversion_process.main("odd.keras", "1", str(tmp_path)) == 1
    reason = f"odd.keras is not converted for LiteRT: {type(error).__name__}: {error}"
    assert [record.getMessage() for record in caplog.records] == [reason]
    assert "Traceback" not in caplog.text
