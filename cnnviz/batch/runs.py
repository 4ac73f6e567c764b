"""A run over many photos: what is asked, its parts, and the files in its folder.

A part is a block of photos in the order of the listing, with a Parquet file of its own. That
file is written last and at once, under a name that only the part has: so a part is done or
not, and one that is done again replaces itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cnnviz.attribution.methods import METHODS
from cnnviz.batch.pipeline import explain_many, in_order, threads
from cnnviz.drawing import overlay
from cnnviz.errors import CnnvizError, StorageError
from cnnviz.exports import npy
from cnnviz.networks.loading import Network
from cnnviz.photos.encoding import encode_png
from cnnviz.results import Explanation, PhotoResult
from cnnviz.storage import CONTRAST, OVERLAY, UNFINISHED, write_whole

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
        ("error", pa.string()),
    ]
)

# Readers of a folder of Parquet files pass over names that begin with an underscore.
_MANIFEST = "_run.json"
# Classes in a row.
_TOP = 5
# Photos whose pictures are drawn while the network runs.
_DRAWN = 16


@dataclass(frozen=True)
class Job:
    """What is asked about every photo, and where the answers go.

    Attributes:
        out: the folder; the Parquet files go into ``results`` in it.
        targets: number of the class to explain, if any.
        method: as in ``explain``.
        layer: as in ``explain``.
        pictures: whether each photo gets its overlay and its raw map as files too.
    """

    out: Path
    targets: tuple[int, ...] = ()
    method: str | None = None
    layer: str | None = None
    pictures: bool = True

    @property
    def results(self) -> Path:
        """The folder of the Parquet files."""
        return self.out / "results"


@dataclass(frozen=True)
class Part:
    """A block of photos: its number, their files, and the names of the files made of them."""

    number: int
    paths: tuple[Path, ...]
    stems: tuple[str, ...]

    def file(self, job: Job) -> Path:
        """Where its rows go."""
        return job.results / f"part-{self.number:05d}.parquet"


def split(paths: Sequence[Path], stems: Sequence[str], size: int) -> list[Part]:
    """The photos in parts of ``size``, with a stem for each."""
    return [
        Part(number, tuple(paths[start : start + size]), tuple(stems[start : start + size]))
        for number, start in enumerate(range(0, len(paths), size))
    ]


def begin(job: Job, network: Network, parts: list[Part], *, resume: bool) -> list[Part]:
    """Prepares the folder of a run and gives the parts that are still to do.

    Args:
        job: what is asked.
        network: the network.
        parts: all parts.
        resume: whether what an earlier run of the same job finished stays; else it goes.

    Raises:
        CnnvizError: the earlier run was another one.
        StorageError: the folder cannot be written.
    """
    asked = _describe(job, network, parts)
    manifest = job.results / _MANIFEST
    if resume and manifest.exists():
        _compare(manifest, asked)
        return [part for part in parts if _rows_in(part.file(job)) != len(part.paths)]
    try:
        for pattern in ("part-*.parquet", UNFINISHED):
            for old in job.results.glob(pattern):
                old.unlink()
    except OSError as error:
        raise StorageError(f"{old} cannot be removed: {error.strerror}.") from error
    # Only now: with this file beside them, the results of another run would count as its own.
    write_whole(manifest, json.dumps(asked, indent=2).encode())
    return parts


def explain_part(network: Network, job: Job, part: Part) -> Iterator[Row]:
    """Explains the photos of a part, a row for each as it comes, and writes its files.

    A row has ``file``, and ``error`` where the photo failed; else ``class``, ``confidence``,
    ``top``, ``method``, ``layer``, ``target``, ``size`` (H, W), ``box``, and its pictures' files.

    Raises:
        StorageError: the disk is full, or the part's file cannot be written.
    """
    stems = dict(zip(part.paths, part.stems, strict=True))

    def make_row(result: PhotoResult) -> Row:
        if result.explanation is None:
            return {"file": str(result.path), "error": str(result.error)}
        row = _row(result, result.explanation)
        try:
            return row | _draw(network, job, result, stems[result.path]) if job.pictures else row
        except StorageError as error:
            if error.full:
                raise
            return {"file": str(result.path), "error": str(error)}

    results = explain_many(
        network,
        part.paths,
        job.targets,
        method=job.method,
        layer=job.layer,
        keep_photos=job.pictures,
    )
    cells = []
    with threads("draw") as pool:
        for row in in_order(pool, make_row, results, _DRAWN):
            cells.append(_cells(row))
            yield row
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(cells, COLUMNS), buffer)
    write_whole(part.file(job), buffer.getvalue().to_pybytes())


def failures(job: Job, parts: list[Part]) -> dict[str, str]:
    """The photos that failed in parts that are done, with the reason."""
    found: dict[str, str] = {}
    for part in parts:
        table = pq.read_table(part.file(job), columns=["file", "error"])
        rows = table.filter(table["error"].is_valid()).to_pylist()
        found.update((row["file"], row["error"]) for row in rows)
    return found


def _describe(job: Job, network: Network, parts: list[Part]) -> dict[str, Any]:
    """What makes two runs the same one."""
    listing = hashlib.sha256()
    for part in parts:
        listing.update(b"\0\0".join(map(os.fsencode, part.paths)) + b"\0\0\0")
    card = network.card.model_dump_json().encode()
    return {
        "photos": sum(len(part.paths) for part in parts),
        "listing": listing.hexdigest(),
        "model": network.fingerprint,
        "card": hashlib.sha256(card).hexdigest(),
        "class": list(job.targets),
        "method": job.method,
        "layer": job.layer,
        "pictures": job.pictures,
    }


def _compare(manifest: Path, asked: dict[str, Any]) -> None:
    try:
        before = json.loads(manifest.read_bytes())
        other = [name for name in asked if before[name] != asked[name]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise CnnvizError(
            f"{manifest} cannot be read, so the run in this folder cannot be resumed. Start anew "
            "without --resume, or in another folder."
        ) from error
    if other:
        raise CnnvizError(
            f"The run in {manifest.parent} is another one: not the same {', '.join(other)}. Resume "
            "it with the model, the photos and the options that it had, or start anew without "
            "--resume or in another folder."
        )


def _rows_in(file: Path) -> int | None:
    """How many rows a part's file holds; None where there is none, or a damaged one."""
    try:
        return int(pq.read_metadata(file).num_rows)
    except (OSError, pa.ArrowInvalid):
        return None


def _row(result: PhotoResult, explanation: Explanation) -> Row:
    top = explanation.prediction.top(_TOP)
    cam = explanation.maps[0]
    return {
        "file": str(result.path),
        "class": top[0].label,
        "confidence": top[0].probability,
        "top": [asdict(score) for score in top],
        "method": cam.method,
        "layer": cam.layer,
        "target": cam.target,
        "size": list(result.size),
        "box": asdict(result.box) if result.box else None,
    }


def _draw(network: Network, job: Job, result: PhotoResult, stem: str) -> dict[str, str]:
    """Writes the pictures and the raw map of a photo; gives the files by kind."""
    if result.explanation is None or result.photo is None:
        raise ValueError(f"Expected a photo that was explained and kept. Received: {result.path}.")
    cam = result.explanation.maps[0]
    picture = overlay(result.photo, cam, network.card.preprocessing)
    made = {
        "overlay": (stem + OVERLAY, encode_png(picture)),
        "cam": (stem + ".cam.npy", npy(cam.values)),
    }
    contrast_picture = METHODS[cam.method].picture
    if contrast_picture is not None:
        made["contrast"] = (stem + CONTRAST, encode_png(contrast_picture(cam.values)))
    for name, data in made.values():
        write_whole(job.out / name, data)
    return {kind: str(job.out / name) for kind, (name, _) in made.items()}


def _cells(row: Row) -> Row:
    """A row as the table keeps it."""
    height, width = row.get("size", (None, None))
    # A file's name may hold bytes that are no text.
    file = os.fsencode(row["file"]).decode("utf-8", "backslashreplace")
    place = {"height": height, "width": width, **(row.get("box") or {})}
    return {
        **{name: row.get(name) for name in COLUMNS.names if name != "top"},
        **place,
        "file": file,
    }
