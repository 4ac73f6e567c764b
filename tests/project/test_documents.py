"""What the documents refer to exists: files, headings, make targets, records of decisions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from corpus.planted import KINDS

import cnnviz
from cnnviz.attribution.methods import METHODS, Method

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder, pattern in ((".", "*.md"), ("docs", "**/*.md"), ("models", "*.md"))
    for path in (ROOT / folder).glob(pattern)
)
FOLDERS = "benchmarks|cnnviz|deploy|docs|models|notebooks|pages|scripts|tests"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a document: a second one of a name has -1."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    names = [re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings]
    before = [names[:at].count(name) for at, name in enumerate(names)]
    return {f"{name}-{at}" if at else name for name, at in zip(names, before, strict=True)}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_and_headings(name: str) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", read(name)):
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name: str) -> None:
    paths = re.findall(rf"`((?:{FOLDERS})/[\w/.-]+\.(?:py|md|yaml|conf|txt|sha256))`", read(name))
    # NAME and my_model are placeholders.
    names = [path for path in paths if "NAME" not in path and "my_" not in path]
    assert [path for path in names if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_targets_and_modules_that_are_named_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", read(name))) <= targets
    for module in re.findall(r"python -m ((?:benchmarks|scripts|tests)[\w.]+)", read(name)):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists(), module


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_is_described_in_one_shape(method: Method) -> None:
    section = read("docs/methods.md").split(f"\n### {method.title}\n")[1].split("\n### ")[0]
    assert f"](images/methods/{method.key}.webp)" in section
    parts = re.findall(r"^- \*\*(.+)\*\*: ", section, re.MULTILINE)
    assert parts == ["Formula", "Paper", "Cost", "Good for", "Fails on"]
    # What is in quotes after the last of them is a kind of planted networks.
    failures = section.split("- **Fails on**: ")[1].split("\n\n")[0]
    kinds = {kind.lower() for kind in re.findall(r'"([\w\s]+)"', failures)}
    assert {" ".join(kind.split()) for kind in kinds} <= set(KINDS)


def test_every_decision_is_listed() -> None:
    records = {path.name for path in (ROOT / "docs" / "decisions").glob("0*.md")}
    assert set(re.findall(r"\((0[\w-]+\.md)\)", read("docs/decisions/README.md"))) == records
    assert len({record[:4] for record in records}) == len(records)


def test_the_readme_names_the_wheel_of_this_version() -> None:
    assert f"dist/cnnviz-{cnnviz.__version__}-py3-none-any.whl" in read("README.md")
    assert f"\n## [{cnnviz.__version__}] - 20" in read("CHANGELOG.md")
