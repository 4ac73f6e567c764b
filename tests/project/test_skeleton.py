"""The files around the code: pins, server settings, Dockerfile, and the scripts behind make."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from streamlit import config

from scripts import find_browser, prove_dockerfile
from scripts.prove_dockerfile import Image, ProofError, is_ignored, parse, run_step

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = [
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-gpu.txt",
    "requirements-ray.txt",
]
# One line of them: package, version, marker.
_PIN = r"([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)( ; .*?)? ?\\"


def pins(name: str) -> dict[str, str]:
    """The {package: version} of a requirements file."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    matches = [re.fullmatch(_PIN, line) for line in lines]
    return {match[1]: match[2] for match in matches if match}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_a_requirements_file_holds_exact_versions_with_hashes_and_nothing_else(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    # Lines that end in a backslash continue.
    statements = "\n".join(lines).replace("\\\n", "\\").splitlines()
    requirements = [one for one in statements if one != "-r requirements.txt"]
    assert len(pins(name)) == len(requirements)
    for requirement in requirements:
        pin, *hashes = requirement.split("\\")
        assert re.fullmatch(_PIN, pin + "\\"), requirement
        assert hashes
        assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64} *", one) for one in hashes)


def test_the_requirements_agree_with_each_other_and_with_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    run, dev, gpu, ray = map(pins, REQUIREMENTS)
    groups = project["dependency-groups"]
    assert groups["ray"] == project["project"]["optional-dependencies"]["ray"]
    direct = {
        "requirements.txt": project["project"]["dependencies"],
        "requirements-dev.txt": [one for one in groups["dev"] if isinstance(one, str)],
        "requirements-ray.txt": groups["ray"],
    }
    for name, ranges in direct.items():
        for requirement in map(Requirement, ranges):
            version = pins(name)[requirement.name]
            assert version in requirement.specifier, f"{requirement} in {name}: run `make lock`"
    for other in (dev, gpu, ray):
        shared = run.keys() & other.keys()
        assert {p: run[p] for p in shared} == {p: other[p] for p in shared}
    assert ray.items() <= dev.items()
    assert "tensorflow-cpu" in run
    assert "tensorflow-cpu" not in gpu


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile"])
def test_every_installation_checks_the_hashes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    installations = [
        line for line in text.splitlines() if re.search(r"install .*requirements", line)
    ]
    assert installations
    assert all("--require-hashes" in line for line in installations)


def test_every_server_setting_is_one_that_streamlit_knows() -> None:
    text = (ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    options = config.get_config_options().keys()

    def names(table: dict[str, object], above: str = "") -> list[str]:
        paths = []
        for key, value in table.items():
            paths += names(value, f"{above}{key}.") if isinstance(value, dict) else [above + key]
        return paths

    assert [name for name in names(tomllib.loads(text)) if name not in options] == []


def test_the_server_s_settings_are_as_documented() -> None:
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["server"] == {
        "address": "localhost",
        "allowedHosts": ["localhost", "127.0.0.1"],
        "showEmailPrompt": False,
        "maxUploadSize": 15,
        "maxMessageSize": 20,
        # The default of CNNVIZ_CACHE_MB.
        "maxCacheDataSize": "128MB",
        "enableCORS": True,
        "enableXsrfProtection": True,
        "xsrfCookieSameSite": "strict",
        "enableStaticServing": False,
        "enableAgentApi": False,
        "fileWatcherType": "none",
        "disconnectedSessionTTL": 30,
    }
    assert settings["browser"] == {"gatherUsageStats": False}
    assert settings["runner"] == {"postScriptGC": False}
    assert settings["client"] == {
        "showErrorDetails": "none",
        "showErrorLinks": False,
        "toolbarMode": "viewer",
    }


def test_the_image_changes_no_setting_but_where_it_listens() -> None:
    steps = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    text = next(rest for name, rest in steps if name == "ENV")
    assert re.findall(r"STREAMLIT_(\S+)", text) == [
        "BROWSER_SERVER_ADDRESS=localhost",
        "SERVER_ADDRESS=0.0.0.0",
        "SERVER_HEADLESS=true",
        "SERVER_PORT=8501",
    ]


def test_the_dockerfile_installs_before_it_copies_code_and_does_not_run_as_root() -> None:
    steps = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    order = [f"{name} {rest}" for name, rest in steps]
    install = next(
        i for i, step in enumerate(order) if "requirements.txt" in step and "RUN" in step
    )
    code = [
        i for i, step in enumerate(order) if step.startswith("COPY") and "requirements" not in step
    ]
    assert install < min(code)
    assert [rest for name, rest in steps if name == "USER"] == ["65534:65534"]
    assert "/_stcore/health" in next(rest for name, rest in steps if name == "HEALTHCHECK")


def test_parse_takes_out_comments_and_joins_lines() -> None:
    text = r"""
FROM python:3.11-slim
# a remark
ENV A=1 \
    # inside
    B="2 3"

run x \
 && y
"""
    assert parse(text) == [
        ("FROM", "python:3.11-slim"),
        ("ENV", 'A=1 B="2 3"'),
        ("RUN", "x && y"),
    ]


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("README.md", True),
        ("app.py", False),
        ("cnnviz/ui/sidebar.py", False),
        ("cnnviz/ui/__pycache__/sidebar.pyc", True),
        ("__pycache__/app.pyc", True),
        (".git/config", True),
        ("deep/app.py", True),
    ],
)
def test_the_last_matching_pattern_of_dockerignore_decides(path: str, ignored: bool) -> None:
    patterns = ["# a remark", "*", "!app.py", "!cnnviz", "", "**/__pycache__"]
    assert is_ignored(path, patterns) is ignored


def test_the_image_gets_no_test_and_no_history() -> None:
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert is_ignored("tests/test_arrays.py", patterns)
    assert is_ignored(".git/HEAD", patterns)
    assert is_ignored(".streamlit/secrets.toml", patterns)
    assert not is_ignored(".streamlit/config.toml", patterns)


def test_steps_run_below_the_image_s_root(tmp_path: Path) -> None:
    context, root = tmp_path / "context", tmp_path / "root"
    for name in ("code/a.py", "code/skip.txt", "b.py"):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name, encoding="utf-8")
    root.mkdir()
    image = Image(root, {"PATH": "/usr/bin:/bin"})
    text = """
ENV GREETING="good day" TMPDIR=/tmp
WORKDIR /app
COPY b.py ./
COPY code/ /opt/code/
RUN echo "$GREETING" > output && cat b.py >> output
USER 65534:65534
HEALTHCHECK --interval=30s CMD ["check"]
CMD ["python", "b.py"]
"""
    for step in parse(text):
        run_step(image, context, step, ["*.txt", "**/*.txt"])
    files = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    assert files == {"app/b.py", "app/output", "opt/code/a.py"}
    assert (root / "app/output").read_text(encoding="utf-8") == "good day\nb.py"
    assert image.environment["TMPDIR"] == str(root / "tmp")
    assert (image.user, image.health, image.command) == (65534, ["check"], ["python", "b.py"])


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (("RUN", "exit 3"), "ended with 3"),
        (("COPY", "nowhere/ ./"), "nothing there"),
        (("FROM", "debian:12"), "python:X.Y"),
        (("VOLUME", "/data"), "VOLUME"),
    ],
)
def test_a_failed_step_is_an_error(tmp_path: Path, step: tuple[str, str], message: str) -> None:
    image = Image(tmp_path, {"PATH": "/usr/bin:/bin"})
    with pytest.raises(ProofError, match=message):
        run_step(image, tmp_path, step, [])


def test_files_written_outside_tmp_are_detected(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "app").mkdir()
    image = Image(tmp_path)
    before = prove_dockerfile.seal(image)
    assert not (tmp_path / "app").stat().st_mode & 0o222
    (tmp_path / "tmp" / "fine").touch()
    (tmp_path / "app").chmod(0o755)
    (tmp_path / "app" / "not-fine").touch()
    assert prove_dockerfile.seal(image) - before == {tmp_path / "app" / "not-fine"}
    (tmp_path / "app").chmod(0o755)


def test_a_browser_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_BROWSER", sys.executable)
    assert find_browser.find_browser() == sys.executable
    monkeypatch.setenv("CNNVIZ_BROWSER", "/no/such/browser")
    with pytest.raises(SystemExit, match="CNNVIZ_BROWSER=/no/such/browser is not a program"):
        find_browser.find_browser()


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_a_missing_browser_fails_only_in_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ci: str, code: int
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(find_browser, "find_browser", lambda: None)
    monkeypatch.setattr(find_browser, "install_browser", lambda: None)
    assert find_browser.main() == code
    assert "CNNVIZ_BROWSER" in capsys.readouterr().out


def make_venv(tmp_path: Path, python: str) -> subprocess.CompletedProcess[str]:
    """Runs scripts/make_venv.sh with a shell script of this text as the only Python."""
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{python}\n", encoding="utf-8")
    fake.chmod(0o755)
    script = ROOT / "scripts" / "make_venv.sh"
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(fake)}
    return subprocess.run(
        [script, tmp_path / "venv"], env=environment, capture_output=True, text=True, check=False
    )


def test_an_old_python_is_refused_with_a_message(tmp_path: Path) -> None:
    done = make_venv(tmp_path, "exit 1")
    assert done.returncode == 1
    assert "cnnviz needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_without_venv_is_refused_with_a_message(tmp_path: Path) -> None:
    hide = 'case "$2" in *ensurepip*) exit 1;; esac'
    done = make_venv(tmp_path, f'{hide}\nexec {sys.executable} "$@"')
    assert done.returncode == 1
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert f"sudo apt install {version}-venv" in done.stderr


def test_a_supported_python_makes_the_environment(tmp_path: Path) -> None:
    done = make_venv(tmp_path, f'[ "$2" = venv ] && mkdir "$3" && exit; exec {sys.executable} "$@"')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "venv").is_dir()
