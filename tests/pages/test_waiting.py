"""What a page says while it waits for a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st

from cnnviz.errors import TensorFlowNeededError
from cnnviz.serving import worker_pools
from cnnviz.serving.model_files import ModelFile
from cnnviz.serving.worker_process import WorkerCall
from cnnviz.ui import ask


class Pool:
    """A pool that answers at once, or refuses what needs TensorFlow."""

    def __init__(self, *, light: bool, starts_tensorflow: bool = False) -> None:
        self.light = light
        self.starts_tensorflow = starts_tensorflow

    def answer(self, question: WorkerCall, _seconds: float | None) -> Any:
        if self.light:
            raise TensorFlowNeededError("Not here.")
        self.starts_tensorflow = False
        return question.function


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are shown, and "" where one is taken away."""
    texts: list[str] = []

    @contextmanager
    def spinner(text: str, **_: Any) -> Iterator[None]:
        texts.append(text)
        try:
            yield
        finally:
            texts.append("")

    monkeypatch.setattr(ask, "st", SimpleNamespace(spinner=spinner))
    st.cache_data.clear()
    return texts


def test_it_says_when_tensorflow_has_to_start(
    shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    light, other = Pool(light=True), Pool(light=False, starts_tensorflow=True)

    @contextmanager
    def waiting_for(_model: ModelFile, *, tensorflow: bool = False) -> Iterator[Pool]:
        yield other if tensorflow else light

    monkeypatch.setattr(worker_pools, "waiting_for", waiting_for)
    filters = ["Reading the filters …", ""]
    assert ask.filters(ModelFile("a.keras", 0, 0, 0), "conv1") == "filters"
    start = "Starting TensorFlow for this question, which takes some seconds …"
    assert shown == [*filters, start, ""]
    # The next question need not wait for that.
    shown.clear()
    ask.filters(ModelFile("a.keras", 0, 0, 0), "conv2")
    assert shown == filters
    # An answer that was given before is not asked for.
    shown.clear()
    ask.filters(ModelFile("a.keras", 0, 0, 0), "conv2")
    assert shown == []
