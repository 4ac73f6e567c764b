"""A batch run over many photos: its settings, its parts, and the files in its folder.

A part is a block of photos in the order of the listing, with a Parquet file of its own. That
file is written last and at once, under the part's own name: so a part is either complete or
missing, and one that is done again replaces its file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cnnviz.attribution.details import CELLS
from cnnviz.attribution.judging import judge, map_consistency
from cnnviz.attribution.localization import THRESHOLD, contours, localization_record
from cnnviz.attribution.methods import METHODS
from cnnviz.attribution.series_runs import Progress
from cnnviz.batch.pipeline import explain_many, map_in_order, threads
from cnnviz.drawing import overlay, picture_on_photo
from cnnviz.errors import CnnvizError, StorageError
from cnnviz.exports import npy
from cnnviz.figures.boxes import boxes_on_photo
from cnnviz.networks.network import Network
from cnnviz.photos.encoding import encode_png
from cnnviz.results import Explanation, PhotoResult, Prediction
from cnnviz.storage import BOXES, CONTRAST, OVERLAY, UNFINISHED, write_whole

Row = dict[str, Any]

# Photos in a part: what is lost at most when a run is stopped.
PART = 1024
COLUMNS = pa.schema(
    [
        ("file", pa.string()),
        ("class", pa.string()),
        ("confidence", pa.float64()),
        *((name, pa.int32()) for name in ("left", "top", "right", "bottom", "width", "height")),
        ("target", pa.string()),
        ("method", pa.string()),
        ("layer", pa.string()),
        ("against", pa.string()),
        ("detail", pa.string()),
        ("threshold", pa.float64()),
        ("verdict", pa.string()),
        ("verdict_reason", pa.string()),
        ("skill", pa.float64()),
        ("copies_first", pa.int32()),
        ("copies_lowest", pa.float64()),
        ("copies_highest", pa.float64()),
        ("copies_map", pa.float64()),
        ("error", pa.string()),
    ]
)

# Readers of a folder of Parquet files pass over names that begin with an underscore.
_MANIFEST = "_run.json"
# Classes in a row.
_TOP = 5
# Photos whose pictures are drawn while the network runs.
_DRAWN_AHEAD = 16


@dataclass(frozen=True)
class BatchRun:
    """How every photo of a run is explained, and where the results go.

    Attributes:
        out: the folder; the Parquet files go into ``results`` in it.
        targets: index of the class to explain, if any.
        method: as in ``explain``.
        layer: as in ``explain``.
        pictures: whether each photo gets its overlay and its raw map as files too.
        against: index of the class to compare with, if any.
        runs: as in ``explain``.
        detail: as in ``explain``.
        threshold: as in ``find_box``.
        boxes: whether each photo gets what was found as JSON and, with ``pictures``, as a picture.
        judge: whether each map gets a verdict, and copies of the photo are asked, too.
    """

    out: Path
    targets: tuple[int, ...] = ()
    method: str | None = None
    layer: str | None = None
    pictures: bool = True
    against: int | None = None
    runs: int | None = None
    detail: str = CELLS
    threshold: float = THRESHOLD
    boxes: bool = False
    judge: bool = False

    @property
    def writes_files(self) -> bool:
        """Whether each photo gets files of its own."""
        return self.pictures or self.boxes

    @property
    def results(self) -> Path:
        """The folder of the Parquet files."""
        return self.out / "results"


@dataclass(frozen=True)
class Part:
    """A block of photos: its number, their files, and the stems of the files written for each."""

    number: int
    paths: tuple[Path, ...]
    stems: tuple[str, ...]

    def file(self, run: BatchRun) -> Path:
        """The file for its rows."""
        return run.results / f"part-{self.number:05d}.parquet"


def split(paths: Sequence[Path], stems: Sequence[str], size: int) -> list[Part]:
    """The photos in parts of ``size``, with a stem for each."""
    return [
        Part(number, tuple(paths[start : start + size]), tuple(stems[start : start + size]))
        for number, start in enumerate(range(0, len(paths), size))
    ]


def begin(run: BatchRun, network: Network, parts: list[Part], *, resume: bool) -> list[Part]:
    """Prepares the folder of a run and returns the parts that are still to do.

    Args:
        run: its settings.
        network: the network.
        parts: all parts.
        resume: whether to keep what an earlier run with the same settings finished; else it is
            deleted.

    Raises:
        CnnvizError: the earlier run had other settings, photos or another model.
        StorageError: the folder cannot be written.
    """
    settings = describe(run, network, parts)
    manifest = run.results / _MANIFEST
    if resume and manifest.exists():
        _compare(manifest, settings)
        return [part for part in parts if _rows_in(part.file(run)) != len(part.paths)]
    try:
        for pattern in ("part-*.parquet", UNFINISHED):
            for old in run.results.glob(pattern):
                old.unlink()
    except OSError as error:
        raise StorageError(f"{old} cannot be removed: {error.strerror}.") from error
    # Only now: with this file beside them, the results of another run would count as its own.
    write_whole(manifest, json.dumps(settings, indent=2).encode())
    return parts


def explain_part(
    network: Network, run: BatchRun, part: Part, progress: Progress | None = None
) -> Iterator[Row]:
    """Explains the photos of a part: yields a row for each when it is done, and writes its files.

    A row has ``file``, and ``error`` where the photo failed; else ``class``, ``confidence``,
    ``top``, ``method``, ``layer``, ``target``, ``against``, ``detail``, ``size`` (H, W), ``box``,
    ``threshold``, its files and, if asked for, ``verdict``, ``verdict_reason``, ``skill``, and what
    is said of the map's class in 16 shifted and mirrored copies: ``copies_first``, in how many it
    comes first, ``copies_lowest`` and ``copies_highest``, its probability, and ``copies_map``, how
    alike their maps are, None where they are not made.

    Args:
        network: the network.
        run: the settings.
        part: the photos.
        progress: as in ``explain_many``.

    Raises:
        StorageError: the disk is full, or the part's file cannot be written.
    """
    stems = dict(zip(part.paths, part.stems, strict=True))

    def make_row(result: PhotoResult) -> Row:
        if result.explanation is None:
            return {"file": str(result.path), "error": str(result.error)}
        row = _row(result, result.explanation) | {"threshold": run.threshold}
        try:
            judged = _judged(network, result) if run.judge else {}
            return row | judged | _write_files(network, run, result, stems[result.path])
        except CnnvizError as error:
            if isinstance(error, StorageError) and error.full:
                raise
            return {"file": str(result.path), "error": str(error)}

    results = explain_many(
        network,
        part.paths,
        run.targets,
        method=run.method,
        layer=run.layer,
        against=run.against,
        runs=run.runs,
        progress=progress,
        threshold=run.threshold,
        detail=run.detail,
        keep_photos=run.pictures or run.judge,
    )
    cells = []
    with threads("draw") as pool:
        for row in map_in_order(pool, make_row, results, _DRAWN_AHEAD):
            cells.append(_cells(row))
            yield row
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(cells, COLUMNS), buffer)
    write_whole(part.file(run), buffer.getvalue().to_pybytes())


def failures(run: BatchRun, parts: list[Part]) -> dict[str, str]:
    """The photos that failed in finished parts, with the reason."""
    reasons: dict[str, str] = {}
    for part in parts:
        table = pq.read_table(part.file(run), columns=["file", "error"])
        rows = table.filter(table["error"].is_valid()).to_pylist()
        reasons.update((row["file"], row["error"]) for row in rows)
    return reasons


def describe(run: BatchRun, network: Network, parts: list[Part]) -> dict[str, Any]:
    """The settings, photos and model by which a run is recognised."""
    listing = hashlib.sha256()
    for part in parts:
        listing.update(b"\0\0".join(map(os.fsencode, part.paths)) + b"\0\0\0")
    card = network.card.model_dump_json().encode()
    return {
        "photos": sum(len(part.paths) for part in parts),
        "listing": listing.hexdigest(),
        "model": network.fingerprint,
        "card": hashlib.sha256(card).hexdigest(),
        "class": list(run.targets),
        "method": run.method,
        "layer": run.layer,
        "pictures": run.pictures,
        "against": run.against,
        "runs": run.runs,
        "threshold": run.threshold,
        "boxes": run.boxes,
        "judge": run.judge,
        "detail": run.detail,
    }


def _compare(manifest: Path, settings: dict[str, Any]) -> None:
    try:
        before = json.loads(manifest.read_bytes())
        different = [name for name in settings if before[name] != settings[name]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise CnnvizError(
            f"{manifest} cannot be read, so the run in this folder cannot be resumed. Start anew "
            "without --resume, or in another folder."
        ) from error
    if different:
        raise CnnvizError(
            f"The run in {manifest.parent} is another one: not the same {', '.join(different)}. "
            "Resume it with the model, the photos and the options that it had, or start anew "
            "without --resume or in another folder."
        )


def _rows_in(file: Path) -> int | None:
    """How many rows a part's file holds; None where there is none, or a damaged one."""
    try:
        return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowInvalid):
        return None


def prediction_row(path: Path, prediction: Prediction) -> Row:
    """The part of a row that a prediction gives: ``file``, ``class``, ``confidence``, ``top``."""
    top = prediction.top(_TOP)
    return {
        "file": str(path),
        "class": top[0].label,
        "confidence": top[0].probability,
        "top": [asdict(score) for score in top],
    }


def _row(result: PhotoResult, explanation: Explanation) -> Row:
    cam = explanation.maps[0]
    return {
        **prediction_row(result.path, explanation.prediction),
        "method": cam.method,
        "layer": cam.layer,
        "target": cam.target,
        "against": cam.against,
        "detail": cam.detail,
        "size": list(result.size),
        "box": asdict(result.box) if result.box else None,
    }


def _judged(network: Network, result: PhotoResult) -> Row:
    """Whether the map of a photo, and its prediction, can be believed: that part of its row."""
    if result.explanation is None or result.photo is None:
        raise ValueError(f"Expected a photo that was explained and kept. Received: {result.path}.")
    cam = result.explanation.maps[0]
    verdict = judge(network, result.photo, cam)
    copies = map_consistency(network, result.photo, cam)
    probabilities = np.concatenate([copies.shifted, copies.mirrored])
    return {
        "verdict": verdict.word,
        "verdict_reason": verdict.reason,
        "skill": None if math.isnan(verdict.skill) else verdict.skill,
        "copies_first": int(copies.shifted_first.sum() + copies.mirrored_first.sum()),
        "copies_lowest": float(probabilities.min()),
        "copies_highest": float(probabilities.max()),
        "copies_map": copies.map_likeness,
    }


def _write_files(network: Network, run: BatchRun, result: PhotoResult, stem: str) -> dict[str, str]:
    """Writes the files of a photo that the run asks for; returns their paths by kind."""
    files: dict[str, tuple[str, bytes]] = {}
    if run.pictures:
        files |= _pictures(network, result, stem)
    if run.boxes:
        files |= _boxes(network, run, result, stem)
    for name, data in files.values():
        write_whole(run.out / name, data)
    return {kind: str(run.out / name) for kind, (name, _) in files.items()}


def _pictures(network: Network, result: PhotoResult, stem: str) -> dict[str, tuple[str, bytes]]:
    """The pictures and the raw map of a photo: names and contents of files by kind."""
    if result.explanation is None or result.photo is None:
        raise ValueError(f"Expected a photo that was explained and kept. Received: {result.path}.")
    cam, preprocessing = result.explanation.maps[0], network.card.preprocessing
    picture = overlay(result.photo, cam, preprocessing)
    files = {
        "overlay": (stem + OVERLAY, encode_png(picture)),
        "cam": (stem + ".cam.npy", npy(cam.values)),
    }
    contrast_picture = METHODS[cam.method].picture
    if contrast_picture is not None:
        height, width = result.photo.shape[:2]
        grey = picture_on_photo(cam, contrast_picture, height, width, preprocessing)
        files["contrast"] = (stem + CONTRAST, encode_png(grey))
    return files


def _boxes(
    network: Network, run: BatchRun, result: PhotoResult, stem: str
) -> dict[str, tuple[str, bytes]]:
    """What was found in a photo, as JSON and, if the photo was kept, drawn on it."""
    if result.explanation is None:
        raise ValueError(f"Expected a photo that was explained. Received: {result.path}.")
    steps = network.card.preprocessing
    cam = result.explanation.maps[0]
    record = localization_record(cam, *result.size, steps, run.threshold, result.parts)
    text = json.dumps({"file": str(result.path), **record})
    files = {"boxes": (stem + ".boxes.json", text.encode())}
    if run.pictures and result.photo is not None:
        boxes = [part.box for part in result.parts]
        rings = [ring for part in result.parts for ring in contours(part.cells)]
        drawn = boxes_on_photo(result.photo, boxes, rings)
        files["boxed"] = (stem + BOXES, encode_png(drawn))
    return files


def _cells(row: Row) -> Row:
    """A row as the table stores it."""
    height, width = row.get("size", (None, None))
    # A file's name may hold bytes that are no text.
    file = os.fsencode(row["file"]).decode("utf-8", "backslashreplace")
    box = {"height": height, "width": width, **(row.get("box") or {})}
    return {
        **{name: row.get(name) for name in COLUMNS.names if name != "top"},
        **box,
        "file": file,
    }
