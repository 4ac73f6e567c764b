"""What runs in the process that reads a model's file: see ``limited``.

``python -m cnnviz.inspection.child FILE FOLDER WHAT`` writes FOLDER/answer.json.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from cnnviz.errors import RefusedModelError
from cnnviz.inspection import gate
from cnnviz.inspection.limits import CHILD_BYTES, CHILD_SECONDS, MAX_COPY_BYTES
from cnnviz.processes import follow
from cnnviz.sandbox.confinement import limit_resources

ANSWER: Final = "answer.json"
COPY: Final = "model"


def main(file: str, folder: str, what: str) -> None:
    """Inspects a file, writes a copy of it if ``what`` is not "verdict", and writes the answer."""
    follow(os.getppid(), folder)
    limit()
    Path(folder, ANSWER).write_text(json.dumps(answer(Path(file), Path(folder), what)))


def limit(seconds: int = CHILD_SECONDS) -> None:
    """Limits this process, for good: its memory, its time, and the files that it writes."""
    limit_resources(
        RLIMIT_CORE=0, RLIMIT_CPU=seconds, RLIMIT_FSIZE=MAX_COPY_BYTES, RLIMIT_AS=CHILD_BYTES
    )


def answer(file: Path, folder: Path, what: str) -> dict[str, Any]:
    """What ``inspect_model`` returns, or the code and the sentence of a refusal.

    Args:
        file: the model.
        folder: for the copy.
        what: "verdict" writes no copy; "inner" is the model inside one for several graphics cards.
    """
    inspect = gate.inspect_inner_model if what == "inner" else gate.inspect_model
    try:
        inspection = inspect(file)
        if what != "verdict":
            gate.write_sanitised(file, inspection, folder / f"{COPY}{inspection.suffix}")
    except RefusedModelError as error:
        return {"refused": error.code, "sentence": str(error)}
    return {"inspection": vars(inspection)}


if __name__ == "__main__":
    main(*sys.argv[1:])
