"""Answers of confined processes: data is read, and nothing that could run."""

from __future__ import annotations

import os
import pickle
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnviz.cards import ModelCard
from cnnviz.errors import CardError, RefusedModelError, WorkerError
from cnnviz.results import Prediction
from cnnviz.serving.answers import GuardedConnection


def through(answer: Any) -> Any:
    """An answer that was sent through a guarded pipe."""
    reader, writer = Pipe(duplex=False)
    try:
        writer.send(answer)
        return GuardedConnection(reader).recv()
    finally:
        reader.close()
        writer.close()


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_results_are_read_unchanged(tiny: Any) -> None:
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2]
    prediction = Prediction(("cat", "dog"), np.array([0.25, 0.75]), None, exclusive=True)
    answer = through({"maps": numbers, "scalar": np.float64(0.5), "prediction": prediction})
    np.testing.assert_array_equal(answer["maps"], numbers)
    assert answer["scalar"] == 0.5
    assert answer["prediction"].labels == prediction.labels
    card = tiny("flat").card
    assert through(card) == card
    assert isinstance(through(card), ModelCard)


@pytest.mark.parametrize(
    "error",
    [CardError("a card"), RefusedModelError("no", "zip-bomb"), WorkerError("busy", again=False)],
)
def test_errors_for_people_are_read(error: Exception) -> None:
    answer = through(error)
    assert type(answer) is type(error)
    assert str(answer) == str(error)
    assert vars(answer) == vars(error)


def test_a_trap_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(pickle.UnpicklingError, match="An answer may not name"):
        through([Trap(tmp_path / "sprung")])
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("os", "system"),
        ("cnnviz.serving.workers", "call"),
        # What a module of results has imported, and attributes of its names.
        ("cnnviz.cards", "Path"),
        ("cnnviz.cards", "json.loads"),
        ("cnnviz.cards", "read_card"),
        ("numpy", "load"),
    ],
)
def test_no_other_name_is_looked_up(module: str, name: str) -> None:
    reader, writer = Pipe(duplex=False)
    opcodes = b"\x80\x04" + b"".join(
        b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name)
    )
    writer.send_bytes(opcodes + b"\x93.")
    with pytest.raises(pickle.UnpicklingError, match="An answer may not name"):
        GuardedConnection(reader).recv()
    reader.close()
    writer.close()
