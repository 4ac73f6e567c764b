"""Settings: defaults, the environment, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnviz.errors import CnnvizError
from cnnviz.settings import ROOT, Settings, read_settings

NAMES = ("CNNVIZ_MODELS", "CNNVIZ_WORKERS", "CNNVIZ_NETWORKS", "CNNVIZ_THREADS")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_without_variables_the_defaults_hold() -> None:
    assert read_settings() == Settings(ROOT / "models", workers=1, networks=3, threads=0)
    assert (ROOT / "cnnviz" / "settings.py").is_file()


def test_empty_variables_are_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = read_settings()
    for name in NAMES:
        monkeypatch.setenv(name, "")
    assert read_settings() == defaults


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(NAMES, ("/data/nets", "2", "5", " 4 "), strict=True):
        monkeypatch.setenv(name, value)
    assert read_settings() == Settings(Path("/data/nets"), workers=2, networks=5, threads=4)


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("value", ["two", "-1", "1.5", "1e3", "²"])
def test_what_is_no_whole_number_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(CnnvizError, match=name) as error:
        read_settings()
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("name", ["CNNVIZ_WORKERS", "CNNVIZ_NETWORKS"])
def test_zero_workers_or_networks_are_too_few(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    with pytest.raises(CnnvizError, match="at least 1"):
        read_settings()
