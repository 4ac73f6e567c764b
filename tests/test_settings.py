"""Settings: defaults, the environment, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnnviz.errors import CnnvizError
from cnnviz.settings import ROOT, Settings, read_settings

# What each variable may say, and what is then read.
VALUES = {
    "CNNVIZ_MODELS": ("/data/nets", Path("/data/nets")),
    "CNNVIZ_TRUST": ("on", True),
    "CNNVIZ_WORKERS": ("2", 2),
    "CNNVIZ_NETWORKS": ("5", 5),
    "CNNVIZ_THREADS": (" 4 ", 4),
    "CNNVIZ_UPLOADS": (" Off", False),
    "CNNVIZ_TRAINING": ("ON ", True),
    "CNNVIZ_REPLAY": ("/data/nets/mine_training", Path("/data/nets/mine_training")),
    "CNNVIZ_UPLOAD_MB": ("50", 50),
    "CNNVIZ_GUESTS": ("3", 3),
    "CNNVIZ_GUEST_GB": ("8", 8),
}
SWITCHES = ("CNNVIZ_TRUST", "CNNVIZ_UPLOADS", "CNNVIZ_TRAINING")
FOLDERS = ("CNNVIZ_MODELS", "CNNVIZ_REPLAY")
NUMBERS = [name for name in VALUES if name not in {*FOLDERS, *SWITCHES}]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VALUES:
        monkeypatch.delenv(name, raising=False)


def test_without_variables_the_defaults_hold() -> None:
    assert read_settings() == Settings(
        ROOT / "models",
        trust=False,
        workers=1,
        networks=4,
        threads=0,
        uploads=None,
        training=None,
        replay=None,
        upload_mb=200,
        guests=2,
        guest_gb=4,
    )
    assert (ROOT / "cnnviz" / "settings.py").is_file()


def test_empty_variables_are_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = read_settings()
    for name in VALUES:
        monkeypatch.setenv(name, "")
    assert read_settings() == defaults


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (text, _) in VALUES.items():
        monkeypatch.setenv(name, text)
    assert read_settings() == Settings(*(value for _, value in VALUES.values()))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["two", "-1", "1.5", "1e3", "²"])
def test_what_is_no_whole_number_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(CnnvizError, match=name) as error:
        read_settings()
    assert repr(value) in str(error.value)


@pytest.mark.parametrize("name", ["CNNVIZ_WORKERS", "CNNVIZ_NETWORKS", "CNNVIZ_GUESTS"])
def test_zero_workers_or_networks_are_too_few(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    with pytest.raises(CnnvizError, match="at least 1"):
        read_settings()


@pytest.mark.parametrize("name", SWITCHES)
def test_what_is_neither_on_nor_off_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "yes")
    with pytest.raises(CnnvizError, match=f"{name} must be on or off; it is 'yes'"):
        read_settings()
