"""Inspection in a process of its own, with limits: h5py and zlib are native code.

What a damaged or hostile file can do there ends with that process; the caller gets a refusal.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess  # nosec B404
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from cnnviz.errors import ModelError, RefusedModelError
from cnnviz.inspection import child
from cnnviz.inspection.gate import Inspection
from cnnviz.inspection.limits import CHILD_SECONDS
from cnnviz.inspection.refusals import REASONS, refusal
from cnnviz.settings import PACKAGE

_MOST_SENTENCE = 600  # characters of a refusal
_LOGGED = 4_000  # characters of what a process wrote before it failed

_log = logging.getLogger(__name__)


def verdict(path: Path) -> Inspection:
    """``gate.inspect_model`` in a process with limits.

    Raises:
        RefusedModelError: the file is not safe to load, or that process died or took too long.
        ModelError: the process could not do its work.
    """
    with tempfile.TemporaryDirectory(prefix="cnnviz-") as folder:
        return read_verdict(_ask(path, Path(folder), "verdict"))


@contextmanager
def sanitised(path: Path, *, inner: bool = False) -> Iterator[tuple[Inspection, Path]]:
    """``gate.inspect_model`` and ``gate.write_sanitised`` in a process with limits.

    Args:
        path: the file.
        inner: whether the model inside a file for several graphics cards is meant.

    Yields:
        What the file holds, and the copy, which is deleted in the end.

    Raises:
        RefusedModelError: the file is not safe to load, or that process died or took too long.
        ModelError: the process could not do its work.
    """
    with tempfile.TemporaryDirectory(prefix="cnnviz-") as folder:
        inspection = read_verdict(_ask(path, Path(folder), "inner" if inner else "whole"))
        yield inspection, Path(folder) / f"{child.COPY}{inspection.suffix}"


def _ask(path: Path, folder: Path, what: Literal["verdict", "whole", "inner"]) -> dict[str, Any]:
    # With -m the current folder comes first on the path: it is the one that holds this cnnviz.
    command = [sys.executable, "-m", child.__name__, str(path.absolute()), str(folder), what]
    variables = os.environ | {
        # A thread of OpenBLAS for each core would take its share of the memory.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        # What a crash leaves is deleted with the folder.
        "TMPDIR": str(folder),
    }
    with (folder / "errors.txt").open("wb+") as errors:
        try:
            code = subprocess.run(  # nosec B603
                command,
                cwd=PACKAGE.parent,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                timeout=CHILD_SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise refusal("unreadable") from error
        if code == 0:
            return json.loads((folder / child.ANSWER).read_bytes())
        errors.seek(0)
        written = errors.read(_LOGGED).decode(errors="replace")
    _log.warning("The inspection of %s ended with code %s: %s", path.name, code, written)
    if code < 0:
        raise refusal("unreadable")
    raise ModelError(
        f"{path.name} could not be inspected: the process that reads it failed. The disk may be "
        "full, or the file may need more memory than there is. The log says more."
    )


def read_verdict(answer: dict[str, Any]) -> Inspection:
    """What a process answered.

    Raises:
        RefusedModelError: that the file is refused.
    """
    if answer.get("refused") in REASONS:
        # The process may have been taken over: its text is short and of one line.
        sentence = "".join(filter(str.isprintable, str(answer["sentence"])))[:_MOST_SENTENCE]
        raise RefusedModelError(sentence, answer["refused"])
    fields = answer["inspection"]
    changed = {
        "kinds": Counter(fields["kinds"]),
        "arrays": {layer: tuple(paths) for layer, paths in fields["arrays"].items()},
        "levelled": tuple(fields["levelled"]),
    }
    return Inspection(**fields | changed)
