"""The process with limits: its answer is that of the gate, and its end is a refusal."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from corpus import models
from corpus import networks as n

from cnnviz.errors import ModelError, RefusedModelError
from cnnviz.inspection import gate, limited

CASES = {one.name: one for one in models.CASES}


@pytest.mark.parametrize(("name", "inner"), [("functional", False), ("multi-gpu", True)])
def test_the_answer_and_the_copy_are_those_of_the_gate(
    name: str, inner: bool, tmp_path: Path
) -> None:
    path = CASES[name].write(tmp_path)
    expected = (gate.inspect_inner_model if inner else gate.inspect_model)(path)
    with limited.sanitised(path, inner=inner) as (inspection, copy):
        assert inspection == expected
        assert copy.suffix == inspection.suffix
        assert gate.inspect_model(copy).parameters == expected.parameters == 127
    assert not copy.exists()


def test_a_refusal_is_that_of_the_gate(tmp_path: Path) -> None:
    path = CASES["lambda"].write(tmp_path)
    with pytest.raises(RefusedModelError) as caught:
        limited.verdict(path)
    assert caught.value.code == "lambda-code"


def in_a_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> Path:
    """Has a file inspected by other code, as if HDF5's library had run it."""
    monkeypatch.setattr(limited.child, "__name__", "code_of_a_test")
    (tmp_path / "code_of_a_test.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = tmp_path / "model.keras"
    path.write_bytes(n.keras_file())
    return path


@pytest.mark.parametrize(
    "code",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "import time; time.sleep(60)",
    ],
    ids=["crash", "sleep"],
)
def test_a_process_that_crashes_or_takes_too_long_is_a_refusal(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "CHILD_SECONDS", 1)
    path = in_a_process(monkeypatch, tmp_path, code)
    with pytest.raises(RefusedModelError, match="crash or take too long") as caught:
        limited.verdict(path)
    assert caught.value.code == "unreadable"


def test_a_crash_leaves_no_file_that_was_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import os, pathlib, signal, sys\n"
        "from cnnviz.inspection import child, gate\n"
        "def crash(path):\n"
        "    pathlib.Path(sys.argv[1]).with_name('unpacked').write_text(str(path))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "gate._format = crash\n"
        "child.main(*sys.argv[1:])\n"
    )
    path = in_a_process(monkeypatch, tmp_path, code)
    path.write_bytes(CASES["keras-in-a-zip"].make())
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    with pytest.raises(RefusedModelError, match="crash or take too long"):
        limited.verdict(path)
    unpacked = Path((tmp_path / "unpacked").read_text())
    assert unpacked.name == "model.keras"
    assert unpacked.is_relative_to(temporary)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("code", ["raise OSError('the disk is full')", "raise MemoryError"])
def test_a_process_that_cannot_do_its_work_is_another_error(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = in_a_process(monkeypatch, tmp_path, code)
    with pytest.raises(ModelError, match="could not be inspected.*disk.*memory") as caught:
        limited.verdict(path)
    assert not isinstance(caught.value, RefusedModelError)


def test_the_limits_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 GB of memory, and a file of 4 GB, are asked for inside the process."""
    code = (
        "import json, os, resource, sys; from cnnviz.inspection import child\n"
        "child.limit()\n"
        "answers = {}\n"
        "try: bytearray(8 << 30)\n"
        "except MemoryError: answers['memory'] = 'refused'\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "answers['seconds'] = resource.getrlimit(resource.RLIMIT_CPU)\n"
        "try: os.truncate(sys.argv[1], 4 << 30)\n"
        "except OSError: answers['file'] = 'refused'\n"
        "open(os.path.join(sys.argv[2], child.ANSWER), 'w').write(json.dumps(answers))\n"
    )
    path = in_a_process(monkeypatch, tmp_path, code)
    found: list[Any] = []
    monkeypatch.setattr(limited, "read_verdict", found.append)
    limited.verdict(path)
    assert found == [{"memory": "refused", "seconds": [120, 120], "file": "refused"}]
