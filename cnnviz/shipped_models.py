"""The models that the project ships, recognised by their content."""

from __future__ import annotations

import functools
from pathlib import Path

from cnnviz.settings import PACKAGE
from cnnviz.storage import hash_file

# In the format of the command sha256sum.
CHECKSUMS = PACKAGE / "shipped_models.sha256"


@functools.cache
def shipped() -> dict[str, str]:
    """The SHA-256 of each model that the project ships, by its file's name."""
    lines = CHECKSUMS.read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def fingerprint_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hash_file(path).sha256
