"""The one place where Keras and TensorFlow are imported."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cnnviz.errors import CnnvizError
from cnnviz.networks import keras_start


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing is started yet; lists what is done around the start, which asks for it again."""
    done: list[str] = []

    @contextmanager
    def manager() -> Iterator[None]:
        done.append("before")
        keras_start.start_keras()
        yield
        done.append("after")

    monkeypatch.setattr(keras_start, "_is_started", False)
    monkeypatch.setattr(keras_start, "_around", manager)
    return done


def test_what_is_done_around_the_import_may_need_keras(around: list[str]) -> None:
    thread = threading.Thread(target=keras_start.start_keras, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    keras_start.start_keras()
    assert around == ["before", "after"]


def test_a_damaged_tensorflow_is_an_error_that_can_be_read(
    around: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: str) -> Any:
        raise ImportError("libtensorflow_framework.so.2: cannot open shared object file")

    with monkeypatch.context() as patch:
        patch.setattr(keras_start.importlib, "import_module", fail)
        with pytest.raises(CnnvizError, match="^TensorFlow is installed, but cannot be imported"):
            keras_start.start_keras()
    assert "libtensorflow_framework.so.2" in caplog.text
    # It is tried again, as after somebody has mended it.
    keras_start.start_keras()
    assert around == ["before", "before", "after"]
