"""deploy/ is consistent with itself, with the server's settings and with the proof script."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from cnnviz.settings import ROOT
from scripts.prove_dockerfile import parse
from scripts.prove_replicas import CONFIGURATION, ProofError, check, configured

NGINX = CONFIGURATION.read_text(encoding="utf-8")
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
SERVER = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["server"]


def test_nginx_knows_every_replica_of_compose_by_name_and_port() -> None:
    replicas = re.findall(
        r"^  (cnnviz-\d):\n(?:    .*\n)*?      STREAMLIT_SERVER_PORT: \"(\d+)\"", COMPOSE, re.M
    )
    assert len(replicas) == 2
    for name, port in replicas:
        number = name[-1]
        # In the upstream for all, in its own, and as the other's backup.
        assert NGINX.count(f"server {name}:{port} ") == 3
        assert f"~:{port}$ {number};" in NGINX
        assert f"{number} replica-{number};" in NGINX
    assert NGINX.count("server cnnviz-") == 6


def test_nginx_accepts_the_largest_photo_and_little_more() -> None:
    limit = re.search(r"client_max_body_size (\d+)m;", NGINX)
    assert limit is not None
    assert int(limit[1]) == SERVER["maxUploadSize"] + 1


def test_nginx_accepts_the_largest_model_of_a_replica() -> None:
    nginx_limits = re.findall(r"client_max_body_size (\d+)m;", NGINX)
    replica_limits = re.findall(r"CNNVIZ_UPLOAD_MB: \$\{CNNVIZ_UPLOAD_MB:-(\d+)\}", COMPOSE)
    # One number in nginx.conf, and the same number for each replica.
    assert len(nginx_limits) == 1
    assert len(replica_limits) == len(re.findall(r"^  cnnviz-\d:", COMPOSE, re.M)) == 2
    assert {int(most) + 1 for most in replica_limits} == {int(nginx_limits[0])}
    assert COMPOSE.count('CNNVIZ_UPLOADS: "${CNNVIZ_UPLOADS:-off}"') == 2


def test_the_health_check_uses_the_port_that_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    health = next(rest for name, rest in steps if name == "HEALTHCHECK")
    program, _, code = json.loads(health[health.index("CMD") + 3 :])
    assert program == "python"
    urls = []
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: urls.append(url))
    monkeypatch.setenv("STREAMLIT_SERVER_PORT", "8502")
    exec(code)  # noqa: S102
    assert urls == ["http://127.0.0.1:8502/_stcore/health"]


def test_the_image_has_the_models_of_cnnviz_converted() -> None:
    steps = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    (convert,) = (i for i, step in enumerate(steps) if "cnnviz convert" in step[1])
    assert "CNNVIZ_CACHE=/converted" in steps[1][1]
    names = [name for name, _ in steps]
    # The package and the models are there, and the user may still write.
    last_copy = len(names) - 1 - names[::-1].index("COPY")
    assert last_copy < convert < names.index("USER")


def test_make_run_opens_the_app_where_nothing_can_be_converted(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@" >> "$0.log"\ntest "$3" != convert\n')
    python.chmod(0o755)
    for stamp in (".made", ".run"):
        (tmp_path / stamp).touch()
    for _ in range(2):
        done = subprocess.run(
            ["make", "run", f"VENV={tmp_path}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "The app works without." in done.stdout
    # Tried again, since nothing was converted.
    asked = python.with_name("python.log").read_text().splitlines()
    assert asked == ["-m cnnviz convert", "-m cnnviz.ui"] * 2


def test_the_proof_only_changes_names_ports_and_folders() -> None:
    text = configured(NGINX, Path("/somewhere"), (1, 2, 3))
    assert "cnnviz-1" not in text
    assert not re.search(r"850\d|8080", text)
    assert "/tmp/" not in text
    lines = zip(NGINX.splitlines(), text.splitlines(), strict=True)
    changed = [line.split()[0] for line, other in lines if line != other]
    folders = ["pid", *(f"{kind}_temp_path" for kind in _KINDS)]
    assert changed == [*folders, *["server"] * 6, "~:8501$", "~:8502$", "listen"]


_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def test_a_false_claim_ends_the_proof(capsys: pytest.CaptureFixture[str]) -> None:
    check("one", True)
    with pytest.raises(ProofError, match="not so: two"):
        check("two", False)
    assert capsys.readouterr().out == "ok  one\n"
