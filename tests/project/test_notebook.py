"""The example notebook runs as a script, offline, and what it prints is right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cnnviz.photos.decoding import open_photo

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "look_inside.py"

# Every connection to another machine fails.
OFFLINE = """\
import runpy, socket, sys
def refuse(*_, **__):
    raise OSError("the notebook must not use the network")
socket.socket.connect = socket.create_connection = refuse
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, NOTEBOOK],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_notebook_shows_the_right_numbers(printed: str) -> None:
    assert re.search(r"^cat: 0\.[5-9]\d{3}$", printed, re.MULTILINE)
    assert re.search(r"^conv1 +Conv2D +\(None, 64, 64, 32\) +864$", printed, re.MULTILINE)
    assert "32 filters of 3 × 3 × 3" in printed
    equal = re.search(r"mean \+ bias = (\S+), logit = (\S+)", printed)
    assert equal is not None
    assert float(equal[1]) == pytest.approx(float(equal[2]), rel=1e-3)
    assert "grad-cam of relu3, (16, 16)" in printed


def test_the_notebook_goes_on_after_a_photo_that_is_missing(printed: str) -> None:
    assert re.search(r"^chelsea\.png: cat, Box\(left=\d+", printed, re.MULTILINE)
    assert re.search(r"^missing\.jpg: .*missing\.jpg", printed, re.MULTILINE)


def test_the_notebook_saves_two_overlays_that_differ(printed: str, folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["evidence_for.png", "evidence_for_and_against.png"]
    one, other = (open_photo(folder / name) for name in names)
    assert one.shape == other.shape
    assert (one != other).any()


def test_the_notebook_is_in_jupytext_s_percent_form() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "format_name: percent" in text.split("# %%")[0]
    cells = re.findall(r"^# %%(.*)$", text, re.MULTILINE)
    assert set(cells) == {"", " [markdown]"}
    # A cell of text holds comments alone.
    for cell in text.split("# %% [markdown]\n")[1:]:
        words = cell.split("# %%")[0].strip().splitlines()
        assert all(line.startswith("#") for line in words), words
