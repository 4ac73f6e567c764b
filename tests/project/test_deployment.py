"""deploy/ is consistent with itself, with the server's settings and with the proof script."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from cnnviz.settings import ROOT
from scripts import prove_tls
from scripts.nginx import ProofError, check
from scripts.prove_dockerfile import parse
from scripts.prove_replicas import CONFIGURATION, configured

NGINX = CONFIGURATION.read_text(encoding="utf-8")
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
NGINX_TLS = prove_tls.CONFIGURATION.read_text(encoding="utf-8")
COMPOSE_TLS = (ROOT / "deploy" / "compose-tls.yaml").read_text(encoding="utf-8")
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


@pytest.mark.parametrize("configuration", [NGINX, NGINX_TLS])
def test_nginx_accepts_the_largest_photo_and_little_more(configuration: str) -> None:
    limit = re.search(r"client_max_body_size (\d+)m;", configuration)
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
    assert asked == ["-m cnnviz convert", "-m compileall -q cnnviz", "-m cnnviz.ui"] * 2


def test_the_proof_only_changes_names_ports_and_folders() -> None:
    text = configured(NGINX, Path("/somewhere"), (1, 2, 3))
    assert "cnnviz-1" not in text
    assert not re.search(r"850\d|8080", text)
    assert "/tmp/" not in text
    lines = zip(NGINX.splitlines(), text.splitlines(), strict=True)
    changed = [line.split()[0] for line, other in lines if line != other]
    folders = ["pid", *(f"{kind}_temp_path" for kind in _KINDS)]
    assert changed == [*folders, *["server"] * 6, "~:8501$", "~:8502$", "listen"]


def test_the_proof_of_https_only_changes_ports_and_folders() -> None:
    text = prove_tls.configured(NGINX_TLS, Path("/somewhere"), 1, 2, 3)
    assert not re.search(r"8443|8080|8501|/tmp/", text)
    lines = zip(NGINX_TLS.splitlines(), text.splitlines(), strict=True)
    changed = [line.split()[0] for line, other in lines if line != other and "#" not in line]
    folders = ["pid", *(f"{kind}_temp_path" for kind in _KINDS)]
    assert changed == [*folders, "listen", "return", "listen", "proxy_pass", "proxy_pass"]


def test_compose_puts_https_in_front_of_its_other_nginx() -> None:
    expressions = re.findall(r"-e (s[/-]\S+)", COMPOSE_TLS)
    changed = subprocess.run(
        ["sed", *(word for one in expressions for word in ("-e", one))],
        input=NGINX_TLS,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.findall(r"proxy_pass (\S+);", changed) == ["http://nginx:8080"] * 2
    assert re.findall(r"ssl_certificate\w* (\S+);", changed) == [
        "/certificate/server.crt",
        "/certificate/server.key",
    ]
    assert "./certificate:/certificate:ro" in COMPOSE_TLS
    assert "listen 8080;" in NGINX
    images = {re.search(r"image: (nginx\S+)", text)[1] for text in (COMPOSE, COMPOSE_TLS)}
    assert len(images) == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_certificate_is_for_the_machines_names_and_no_others(tmp_path: Path) -> None:
    hostname = tmp_path / "bin" / "hostname"
    hostname.parent.mkdir()
    hostname.write_text(
        '#!/bin/sh\ncase "$1" in\n-I) echo "192.168.1.20 203.0.113.9 fe80::1" ;;\n'
        "-f) echo desk-7.school.example ;;\n*) echo desk-7 ;;\nesac\n"
    )
    hostname.chmod(0o755)
    script = shutil.copy(prove_tls.CERTIFICATE, tmp_path)
    environment = os.environ | {"PATH": f"{hostname.parent}:{os.environ['PATH']}"}

    def run(*names: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [script, *names], env=environment, capture_output=True, text=True, check=False
        )

    made = run("10.1.2.3")
    assert made.returncode == 0, made.stderr
    server = tmp_path / "certificate" / "server.crt"
    listed = subprocess.run(
        ["openssl", "x509", "-in", server, "-noout", "-ext", "subjectAltName"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.findall(r"(?:DNS|IP Address):([^,\s]+)", listed) == [
        *("localhost", "127.0.0.1", "0:0:0:0:0:0:0:1", "desk-7", "desk-7.local"),
        *("desk-7.school.example", "192.168.1.20", "203.0.113.9", "10.1.2.3"),
    ]
    before = server.read_bytes()
    # Not of a private network, and not of this machine when the authority was made.
    refused = run("bank.example")
    assert refused.returncode == 1
    assert "may not sign for a name" in refused.stderr
    assert server.read_bytes() == before
    assert {path.name for path in server.parent.iterdir()} == {
        *("ca.crt", "ca.key", "server.crt", "server.key"),
    }


_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def test_a_false_claim_ends_the_proof(capsys: pytest.CaptureFixture[str]) -> None:
    check("one", True)
    with pytest.raises(ProofError, match="not so: two"):
        check("two", False)
    assert capsys.readouterr().out == "ok  one\n"
