"""The hooks before a commit run what `make lint` and `make types` run, and fetch nothing."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    rule = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert rule is not None
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in rule[1].splitlines()]


def test_the_hooks_are_the_checks_of_the_makefile() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    entries = re.findall(r"^ +entry: (.+)$", text, re.MULTILINE)
    assert entries == [*recipe("lint"), *recipe("types")]


def test_the_hooks_use_installed_tools_alone() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^ *- repo: (.+)$", text, re.MULTILINE) == ["local"]
    assert set(re.findall(r"^ +language: (.+)$", text, re.MULTILINE)) == {"system"}
