"""What stands in deploy/ agrees with itself, with the server's settings and with the proof."""

from __future__ import annotations

import json
import re
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
    named = re.findall(
        r"^  (cnnviz-\d):\n(?:    .*\n)*?      STREAMLIT_SERVER_PORT: \"(\d+)\"", COMPOSE, re.M
    )
    assert len(named) == 2
    for name, port in named:
        number = name[-1]
        # In the group for everybody, in its own, and behind the other's.
        assert NGINX.count(f"server {name}:{port} ") == 3
        assert f"~:{port}$ {number};" in NGINX
        assert f"{number} replica-{number};" in NGINX
    assert NGINX.count("server cnnviz-") == 6


def test_nginx_lets_pass_what_the_app_takes_and_little_more() -> None:
    found = re.search(r"client_max_body_size (\d+)m;", NGINX)
    assert found is not None
    assert int(found[1]) == SERVER["maxUploadSize"] + 1


def test_a_model_that_a_replica_takes_passes_nginx() -> None:
    passes = re.findall(r"client_max_body_size (\d+)m;", NGINX)
    takes = re.findall(r"CNNVIZ_UPLOAD_MB: \$\{CNNVIZ_UPLOAD_MB:-(\d+)\}", COMPOSE)
    # One place to change here, and the same for each replica there.
    assert len(passes) == 1
    assert len(takes) == len(re.findall(r"^  cnnviz-\d:", COMPOSE, re.M)) == 2
    assert {int(most) + 1 for most in takes} == {int(passes[0])}
    assert COMPOSE.count('CNNVIZ_UPLOADS: "${CNNVIZ_UPLOADS:-off}"') == 2


def test_the_health_of_an_image_is_asked_at_the_port_that_was_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    health = next(rest for name, rest in steps if name == "HEALTHCHECK")
    program, _, code = json.loads(health[health.index("CMD") + 3 :])
    assert program == "python"
    asked = []
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: asked.append(url))
    monkeypatch.setenv("STREAMLIT_SERVER_PORT", "8502")
    exec(code)  # noqa: S102
    assert asked == ["http://127.0.0.1:8502/_stcore/health"]


def test_the_proof_changes_names_ports_and_folders_alone() -> None:
    text = configured(NGINX, Path("/somewhere"), (1, 2, 3))
    assert "cnnviz-1" not in text
    assert not re.search(r"850\d|8080", text)
    assert "/tmp/" not in text
    lines = zip(NGINX.splitlines(), text.splitlines(), strict=True)
    changed = [line.split()[0] for line, other in lines if line != other]
    folders = ["pid", *(f"{kind}_temp_path" for kind in _KINDS)]
    assert changed == [*folders, *["server"] * 6, "~:8501$", "~:8502$", "listen"]


_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def test_a_claim_that_does_not_hold_ends_the_proof(capsys: pytest.CaptureFixture[str]) -> None:
    check("one", True)
    with pytest.raises(ProofError, match="not so: two"):
        check("two", False)
    assert capsys.readouterr().out == "ok  one\n"
