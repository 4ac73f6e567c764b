"""Settings: defaults, the environment, and what is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from cnnviz import settings
from cnnviz.errors import CnnvizError
from cnnviz.settings import ROOT, Settings, check_tensorflow, read_settings

# A value of each variable, and the setting that is read from it.
VALUES = {
    "CNNVIZ_MODELS": ("/data/nets", Path("/data/nets")),
    "CNNVIZ_TRUST": ("on", True),
    "CNNVIZ_WORKERS": ("2", 2),
    "CNNVIZ_NETWORKS": ("5", 5),
    "CNNVIZ_THREADS": (" 4 ", 4),
    "CNNVIZ_CACHE": ("/data/cache", Path("/data/cache")),
    "CNNVIZ_TENSORFLOW": (" Eager", True),
    "CNNVIZ_CACHE_MB": ("64", 64),
    "CNNVIZ_UPLOADS": (" Off", False),
    "CNNVIZ_TRAINING": ("ON ", True),
    "CNNVIZ_REPLAY": ("/data/nets/mine_training", Path("/data/nets/mine_training")),
    "CNNVIZ_LAN": ("on", True),
    "CNNVIZ_UPLOAD_MB": ("50", 50),
    "CNNVIZ_SESSION_UPLOADS_MB": ("60", 60),
    "CNNVIZ_ALL_UPLOADS_MB": ("70", 70),
    "CNNVIZ_METRICS": ("on", True),
    "CNNVIZ_UNTRUSTED_PROCESSES": ("3", 3),
    "CNNVIZ_UNTRUSTED_GB": ("8", 8),
}
SWITCHES = ("CNNVIZ_TRUST", "CNNVIZ_UPLOADS", "CNNVIZ_TRAINING", "CNNVIZ_LAN", "CNNVIZ_METRICS")
CHOICES = ("CNNVIZ_TENSORFLOW",)
FOLDERS = ("CNNVIZ_MODELS", "CNNVIZ_CACHE", "CNNVIZ_REPLAY")
DEPRECATED = {
    "CNNVIZ_GUESTS": ("CNNVIZ_UNTRUSTED_PROCESSES", "untrusted_processes"),
    "CNNVIZ_GUEST_GB": ("CNNVIZ_UNTRUSTED_GB", "untrusted_gb"),
}
NUMBERS = [name for name in VALUES if name not in {*CHOICES, *FOLDERS, *SWITCHES}]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VALUES, *DEPRECATED):
        monkeypatch.delenv(name, raising=False)
    settings.warn_of_deprecated.cache_clear()


def test_without_variables_the_defaults_hold() -> None:
    assert read_settings() == Settings(
        ROOT / "models",
        trust=False,
        workers=1,
        networks=4,
        threads=0,
        cache=None,
        eager_tensorflow=False,
        cache_mb=128,
        uploads=None,
        training=None,
        replay=None,
        lan=False,
        upload_mb=200,
        session_uploads_mb=0,
        all_uploads_mb=1024,
        metrics=False,
        untrusted_processes=2,
        untrusted_gb=4,
    )
    assert (ROOT / "cnnviz" / "settings.py").is_file()


def test_an_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = read_settings()
    for name in VALUES:
        monkeypatch.setenv(name, "")
    assert read_settings() == defaults


def test_a_variable_replaces_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (text, _) in VALUES.items():
        monkeypatch.setenv(name, text)
    assert read_settings() == Settings(*(value for _, value in VALUES.values()))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["two", "-1", "1.5", "1e3", "²"])
def test_the_error_names_a_variable_that_is_not_a_whole_number(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(CnnvizError, match=name) as error:
        read_settings()
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    "name", ["CNNVIZ_WORKERS", "CNNVIZ_NETWORKS", "CNNVIZ_UNTRUSTED_PROCESSES"]
)
def test_zero_is_refused_where_one_is_the_least(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    with pytest.raises(CnnvizError, match="at least 1"):
        read_settings()


@pytest.mark.parametrize("name", SWITCHES)
def test_the_error_names_a_switch_that_is_neither_on_nor_off(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "yes")
    with pytest.raises(CnnvizError, match=f"{name} must be on or off; it is 'yes'"):
        read_settings()


@pytest.mark.parametrize("old", DEPRECATED)
def test_a_deprecated_name_works_and_warns_once(
    old: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    new, field = DEPRECATED[old]
    monkeypatch.setenv(old, "7")
    assert getattr(read_settings(), field) == 7
    assert getattr(read_settings(), field) == 7
    assert caplog.messages == [f"The environment variable {old} is deprecated: use {new} instead."]
    assert caplog.records[0].levelname == "WARNING"
    monkeypatch.setenv(old, "1.5")
    with pytest.raises(CnnvizError, match=f"{old} must be a whole number .* it is '1.5'"):
        read_settings()


@pytest.mark.parametrize("old", DEPRECATED)
def test_a_deprecated_name_is_overridden_by_the_new_one(
    old: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    new, field = DEPRECATED[old]
    monkeypatch.setenv(old, "7")
    monkeypatch.setenv(new, "8")
    assert getattr(read_settings(), field) == 8
    assert not caplog.messages


def test_without_tensorflow_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    check_tensorflow()
    monkeypatch.setattr(importlib.util, "find_spec", {"keras": "installed"}.get)
    with pytest.raises(CnnvizError, match=r"pip install 'cnnviz\[cpu\]'"):
        check_tensorflow()
