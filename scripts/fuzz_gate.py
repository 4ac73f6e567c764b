"""Damages model files at random and has processes with limits inspect and copy them.

    nice -n 19 python -m scripts.fuzz_gate --count 100000 --load

A file depends on its number alone, so that one that is found can be made again. A process goes
through the files one by one; where it crashes, the next one goes on with the file after. This
process reads their answers, and with --load it loads, as `cnnviz.load_model` does, one file of each
different description that was accepted.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cnnviz.errors import CnnvizError, RefusedModelError
from cnnviz.inspection import child, gate, limited
from tests.corpus import mutations

SECONDS = 20  # for one file


@dataclass
class Report:
    """What happened to the files.

    Attributes:
        verdicts: "accepted" or the code of a refusal, and how often it was given.
        crashes: the numbers of the files at which a process ended, each with its exit code.
        hangs: the numbers of the files that took longer than ``SECONDS``.
        wrong: the numbers of the accepted files whose copy was refused, or another model.
        loaded: what loading the accepted descriptions gave, and how often.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    crashes: dict[int, int] = field(default_factory=dict)
    hangs: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    loaded: Counter[str] = field(default_factory=Counter)


def fuzz(first: int, count: int, *, checked: bool = True, load: bool = False) -> Report:
    """Has the files of ``count`` numbers inspected, beginning with ``first``.

    Args:
        first: a number.
        count: how many files.
        checked: False leaves out the check of the structure before HDF5's library opens a file.
        load: loads one accepted file of each description.
    """
    report = Report()
    seen: set[str] = set()
    number = first
    while number < first + count:
        command = [sys.executable, "-m", "scripts.fuzz_gate", "--inside", f"--first={number}"]
        command += [f"--count={first + count - number}", *([] if checked else ["--unchecked"])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as one:
            assert one.stdout
            for line in one.stdout:
                _note(report, number, json.loads(line), seen if load else None)
                number += 1
        if number < first + count:
            if one.returncode == -signal.SIGALRM:
                report.hangs.append(number)
            else:
                report.crashes[number] = one.returncode
            number += 1
    return report


def _note(report: Report, number: int, answer: dict[str, Any], seen: set[str] | None) -> None:
    if answer.pop("wrong", False):
        report.wrong.append(number)
    try:
        inspection = limited.read_verdict(answer)
    except RefusedModelError as error:
        report.verdicts[error.code] += 1
        return
    report.verdicts["accepted"] += 1
    description = json.dumps(inspection.config)
    if seen is not None and description not in seen:
        seen.add(description)
        report.loaded[_load(number)] += 1


def _load(number: int) -> str:
    import cnnviz

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(damaged(number))
        try:
            cnnviz.load_model(path)
        except CnnvizError as error:
            return type(error).__name__
    return "loaded"


def damaged(number: int) -> bytes:
    """The file of a number."""
    return mutations.damaged_file(random.Random(number))


def inspect_many(first: int, count: int) -> None:
    """Prints the answer for each file as a line of JSON; runs in a process of its own."""
    # The time is limited for each file, not for all of them.
    child.limit(1 << 20)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for number in range(first, first + count):
            path.write_bytes(damaged(number))
            signal.alarm(SECONDS)
            answer = child.answer(path, Path(folder), "whole")
            if "inspection" in answer:
                answer["wrong"] = not _is_same(answer["inspection"], Path(folder))
            # The reader may be busy.
            signal.alarm(0)
            print(json.dumps(answer), flush=True)


def _is_same(fields: dict[str, Any], folder: Path) -> bool:
    """Whether the copy is accepted, and the same model."""
    copy = folder / child.COPY
    suffix = {"keras": ".keras", "hdf5": ".h5"}[fields["format"]]
    try:
        again = gate.inspect_model(copy.with_suffix(suffix))
    except RefusedModelError:
        return False
    return (again.parameters, again.config) == (fields["parameters"], fields["config"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--unchecked", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if not options.inside:
        report = fuzz(
            options.first, options.count, checked=not options.unchecked, load=options.load
        )
        print(json.dumps(vars(report), indent=2))
        return
    with patch.object(gate, "check_structure") if options.unchecked else nullcontext():
        inspect_many(options.first, options.count)


if __name__ == "__main__":
    main()
