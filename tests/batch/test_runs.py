"""The parts of a run and their files; the command's output is tested in test_cli.py."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import cnnviz
from cnnviz.batch import runs
from cnnviz.batch.runs import BatchRun, Part, explain_part, split

Tiny = Callable[[str], Any]


def save_photos(folder: Path, count: int) -> tuple[Path, ...]:
    random = np.random.default_rng(1)
    paths = tuple(folder / f"{number}.png" for number in range(count))
    for path in paths:
        Image.fromarray(random.integers(0, 256, (12, 18, 3), np.uint8)).save(path)
    return paths


def test_photos_are_split_into_parts_in_order(tmp_path: Path) -> None:
    paths = [Path(f"{number}.png") for number in range(5)]
    parts = split(paths, ["a", "b", "c", "d", "e"], 2)
    assert [part.number for part in parts] == [0, 1, 2]
    assert [path for part in parts for path in part.paths] == paths
    assert parts[2].stems == ("e",)
    files = [part.file(BatchRun(tmp_path)).name for part in parts]
    assert files == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert split([], [], 2) == []


def test_the_rows_of_a_part_are_those_of_its_file(tiny: Tiny, tmp_path: Path) -> None:
    run = BatchRun(tmp_path / "out", pictures=False)
    part = Part(3, save_photos(tmp_path, 4), ("",) * 4)
    rows = list(explain_part(tiny("flat"), run, part))
    table = pq.read_table(tmp_path / "out" / "results" / "part-00003.parquet")
    assert table.schema.equals(runs.COLUMNS)
    for path, row, written in zip(part.paths, rows, table.to_pylist(), strict=True):
        expected = cnnviz.predict(tiny("flat"), cnnviz.open_photo(path))
        assert row["class"] == written["class"] == expected.label
        assert row["confidence"] == written["confidence"]
        assert written["confidence"] == pytest.approx(expected.probabilities.max(), rel=1e-4)
        assert (written["height"], written["width"]) == (12, 18)


def test_a_part_that_is_left_half_way_has_no_file(tiny: Tiny, tmp_path: Path) -> None:
    run = BatchRun(tmp_path / "out", pictures=False)
    rows = explain_part(tiny("flat"), run, Part(0, save_photos(tmp_path, 4), ("",) * 4))
    next(rows)
    rows.close()
    assert not (tmp_path / "out").exists()


def test_a_map_without_evidence_has_a_row_without_a_box(fresh: Any, tmp_path: Path) -> None:
    network = fresh("flat")
    kernel, bias = network.model.get_layer("scores").get_weights()
    network.model.get_layer("scores").set_weights([0 * kernel, bias])
    run = BatchRun(tmp_path, pictures=False)
    (row,) = explain_part(network, run, Part(0, save_photos(tmp_path, 1), ("",)))
    assert row["box"] is None
    (written,) = pq.read_table(tmp_path / "results").to_pylist()
    assert [written[name] for name in ("left", "top", "right", "bottom")] == [None] * 4
    assert written["class"] == row["class"]


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_a_name_that_is_not_valid_text_is_written_as_text(tiny: Tiny, tmp_path: Path) -> None:
    (path,) = save_photos(tmp_path, 1)
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    try:
        path.rename(strange)
    except OSError:
        pytest.skip("this file system takes no such name")
    run = BatchRun(tmp_path, pictures=False)
    (row,) = explain_part(tiny("flat"), run, Part(0, (strange,), ("",)))
    assert row["file"] == str(strange)
    (written,) = pq.read_table(tmp_path / "results").to_pylist()
    assert written["file"] == f"{tmp_path}/caf\\xe9.png"


def test_the_listing_differs_for_different_photos(tiny: Tiny, tmp_path: Path) -> None:
    run, network = BatchRun(tmp_path), tiny("flat")

    def listing(*names: str, size: int = 2) -> str:
        parts = split([Path(name) for name in names], ["" for _ in names], size)
        return runs.describe(run, network, parts)["listing"]

    assert listing("a", "b", "c") == listing("a", "b", "c")
    different = [
        listing("a", "b", "c"),
        listing("b", "a", "c"),
        listing("a", "bc"),
        listing("a", "b", "c", size=3),
    ]
    assert len(set(different)) == 4
