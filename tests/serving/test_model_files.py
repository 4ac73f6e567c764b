"""Model files: what changes their identity, and which are trusted."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from cnnviz.errors import ModelError
from cnnviz.serving.model_files import model_file, shipped
from cnnviz.settings import ROOT


def test_the_checksums_are_those_of_the_shipped_models() -> None:
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (ROOT / "models").glob("*.keras")
    }
    assert shipped() == digests


def test_a_shipped_model_is_trusted_in_any_folder(tmp_path: Path) -> None:
    original = ROOT / "models" / "mnist_cnn.keras"
    copy = Path(shutil.copy(original, tmp_path))
    assert model_file(original).trusted
    assert model_file(copy).trusted


def test_a_changed_copy_of_a_shipped_model_is_not_trusted(tmp_path: Path) -> None:
    copy = Path(shutil.copy(ROOT / "models" / "mnist_cnn.keras", tmp_path))
    assert model_file(copy).trusted
    before = copy.stat().st_mtime_ns
    data = bytearray(copy.read_bytes())
    data[1000] ^= 1
    copy.write_bytes(data)
    os.utime(copy, ns=(before + 1, before + 1))
    assert not model_file(copy).trusted


def test_the_switch_trusts_the_folder_of_models_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, outside = tmp_path / "models" / "a.keras", tmp_path / "b.keras"
    inside.parent.mkdir()
    for path in (inside, outside):
        path.write_bytes(b"")
    monkeypatch.setenv("CNNVIZ_MODELS", str(inside.parent))
    assert not model_file(inside).trusted
    monkeypatch.setenv("CNNVIZ_TRUST", "on")
    assert model_file(inside).trusted
    assert not model_file(outside).trusted


def test_a_new_card_makes_another_model(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"")
    before = model_file(path)
    assert model_file(path) == before
    (tmp_path / "model.json").write_text("{}")
    assert model_file(path) != before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model file at .*nothing\.keras"):
        model_file(tmp_path / "nothing.keras")
