"""The command ``explain``: class activation maps of photos, in this process or on a cluster."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnnviz.attribution.details import CELLS, DETAILS
from cnnviz.attribution.methods import MANY_PASSES, METHODS
from cnnviz.cli.inputs import (
    Against,
    ChosenMethod,
    ExplainedLayer,
    Json,
    Judge,
    Model,
    Photos,
    Preset,
    Target,
    Trust,
    check_folder,
    class_index,
    find_photos,
    load_for_photos,
)
from cnnviz.cli.terminal import (
    clear_errors,
    finish,
    progress,
    progress_bar,
    say,
    show_rows,
    stoppable,
)
from cnnviz.errors import CnnvizError
from cnnviz.storage import BOXES, CONTRAST, OVERLAY

if TYPE_CHECKING:
    from cnnviz.attribution.series_runs import Progress
    from cnnviz.batch.cluster import WorkerTask
    from cnnviz.batch.runs import BatchRun, Part, Row
    from cnnviz.networks.network import Network

# The choices of --detail. A type checker cannot know them.
if TYPE_CHECKING:
    Detail = str
else:
    Detail = Literal[tuple(DETAILS)]

# The most photos whose answers are printed as a table.
_TABLE_ROWS = 200


def _check_threshold(threshold: float | None) -> float | None:
    """A threshold as ``find_box`` takes it, if one is given."""
    if threshold is not None and not 0 <= threshold < 1:
        raise typer.BadParameter(f"{threshold:g} is not from 0 to below 1.")
    return threshold


def explain(
    model: Model,
    photos: Photos,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", file_okay=False, help="The folder for the files; made if missing."
        ),
    ],
    target: Target = None,
    method: ChosenMethod = None,
    layer: ExplainedLayer = None,
    against: Against = None,
    runs: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="NUMBER",
            help=f"How many runs {', '.join(MANY_PASSES[:-1])} or {MANY_PASSES[-1]} take; else "
            "the usual number of each.",
        ),
    ] = None,
    detail: Annotated[
        Detail,
        typer.Option(metavar="DETAIL", help=f"How fine the map is: {', '.join(DETAILS)}."),
    ] = CELLS,
    pictures: Annotated[
        bool, typer.Option(help="Also write each photo's overlay and raw map.")
    ] = True,
    boxes: Annotated[
        bool,
        typer.Option("--boxes", help="Also write where the class is, as JSON and on the photo."),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            callback=_check_threshold,
            help="Cells of the map above this share of its maximum belong to the class's box; "
            "a fifth unless another one is given.",
        ),
    ] = None,
    judge: Judge = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped.")
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on a Ray cluster: host:port, 'auto' on one of its machines, or 'local'.",
        ),
    ] = None,
    preset: Preset = None,
    as_json: Json = False,
    trust: Trust = False,
) -> None:
    """Show where in photos the network finds a class.

    Writes NAME.overlay.png, the map over the photo, and NAME.cam.npy, the raw signed map; the
    contrastive method also NAME.contrast.png, its 8-bit picture at the size of the photo. The
    overlay has the evidence for the class in orange and that against it in blue, over the photo in
    grey; a map that says nothing is not drawn. Photos of the same name get -2, -3, … after it;
    files of an earlier run are replaced.

    With --against the map shows what speaks for the one class and not for the other; without
    --class, photos that the network takes for the other have no map.

    With --runs, methods that run the network many times take more time and give finer or less noisy
    maps, or fewer runs in less time.

    With --boxes there are also NAME.boxes.json, with the boxes and contours of all parts of the
    map above the threshold, the largest part first, in pixels of the photo, and NAME.boxes.png,
    which has them on the photo: the largest part's box is the bold one. With --no-pictures there
    is the JSON alone. A map with a value for each pixel is smoothed first, by a Gaussian of 2 % of
    its longer side; 'smoothing' in the JSON says by how many of its pixels.

    With --judge each row also has a verdict on its map: holds, weak, says nothing or cannot tell,
    with the reason why it cannot, and the skill that it rests on; and what 16 shifted and mirrored
    copies of the photo give: in how many the map's class comes first, from which probability to
    which, and how alike their maps are, put back into place (a correlation; not of methods that
    take many runs). That takes 96 runs more, or 136.

    --detail makes a finer map than the layer has cells: of 4 or 16 shifted copies of the photo
    (shifts-2, shifts-4), of the photo at twice the size (double; class and confidence are then the
    network's answer to that), or of several layers (fused, for layer-cam).

    The folder results/ gets Parquet files: a row for each photo, with the class, the confidence and
    the box of the strongest evidence, in pixels of a photo of width × height; no box where the
    map is not drawn, or the evidence for the class is less than a fifth of that against it. A run
    that was stopped goes on with --resume. On a Ray cluster the workers write all files.
    """
    if ray is not None and as_json:
        raise typer.BadParameter(
            "With --ray the rows are in the files alone.", param_hint="'--json'"
        )
    with clear_errors():
        paths, failures = find_photos(photos)
        network = load_for_photos(model, trust, preset)
        targets = [] if target is None else [class_index(network, target)]
        other = None if against is None else class_index(network, against)
        from cnnviz.attribution.localization import THRESHOLD
        from cnnviz.batch import cluster, pipeline
        from cnnviz.batch import runs as batch_runs

        pipeline.check_choices(
            network, targets, method=method, layer=layer, against=other, detail=detail
        )
        check_folder(out)
        run = batch_runs.BatchRun(
            out,
            tuple(targets),
            method,
            layer,
            pictures,
            other,
            runs=runs,
            detail=detail,
            threshold=THRESHOLD if threshold is None else threshold,
            boxes=boxes,
            judge=judge,
        )
        stems = _free_stems(paths, out) if run.writes_files else dict.fromkeys(paths, "")
        parts = batch_runs.split(paths, list(stems.values()), batch_runs.PART)
        waiting = batch_runs.begin(run, network, parts, resume=resume) if parts else []
        finished = [part for part in parts if part not in waiting]
        failures.update(batch_runs.failures(run, finished))
        if finished:
            done = sum(len(part.paths) for part in finished)
            left = "" if waiting else f" Nothing is left to do; the rows are in {run.results}."
            say(f"{done:,} of {len(paths):,} photos were done before.{left}")
        with _resumable(run):
            if ray is None:
                _explain_here(network, run, waiting, failures, as_json)
            elif waiting:
                fingerprint = network.fingerprint
                task = cluster.WorkerTask(Path.cwd(), model, trust, fingerprint, run, preset)
                _explain_on_cluster(ray, task, waiting, failures)
    finish(failures, f"the column 'error' in {out / 'results'} names them all")


def _free_stems(paths: Iterable[Path], out: Path) -> dict[Path, str]:
    """A name for each photo's files: all different, and none that replaces a photo."""
    from cnnviz.photos.array_files import array_reference

    photos = {os.path.realpath(path) for path in paths}
    pictures = (OVERLAY, CONTRAST, BOXES)
    # Compared in lower case: for some file systems Cat and cat are the same name.
    taken: set[str] = set()
    count: Counter[str] = Counter()
    stems = {}
    for path in paths:
        reference = array_reference(path)
        first = stem = path.stem if reference is None else reference.stem
        while stem.lower() in taken or any(
            os.path.realpath(out / (stem + ending)) in photos for ending in pictures
        ):
            count[first] += 1
            stem = f"{first}-{count[first] + 1}"
        taken.add(stem.lower())
        stems[path] = stem
    return stems


def _explain_here(
    network: Network, run: BatchRun, parts: list[Part], failures: dict[str, str], as_json: bool
) -> None:
    """Explains the photos of some parts and shows the rows; very many are only counted."""
    from cnnviz.batch.runs import explain_part

    count = sum(len(part.paths) for part in parts)
    with progress_bar(count, as_json) as show:
        if run.method in MANY_PASSES:
            runs = _by_run(show)
            rows = (row for part in parts for row in explain_part(network, run, part, runs))
            explained = _without_failures(rows, failures)
        else:
            rows = (row for part in parts for row in explain_part(network, run, part))
            explained = _without_failures(_by_photo(rows, show), failures)
        if as_json or count <= _TABLE_ROWS:
            files = "file" + " overlay cam" * run.pictures
            has_picture = run.method is not None and METHODS[run.method].picture is not None
            files += " contrast" * (run.pictures and has_picture)
            files += " boxes" * run.boxes + " boxed" * (run.boxes and run.pictures)
            judged = ("verdict copies",) if run.judge else ()
            columns = (files, "class", "confidence", "target", "method", "layer", *judged)
            rows_shown = explained if as_json or not judged else map(_with_copies, explained)
            show_rows(rows_shown, columns, as_json)
        else:
            _say_explained(sum(1 for _ in explained), run)


def _with_copies(row: Row) -> Row:
    """A row with what the copies of its photo say as text, for a table."""
    alike = "" if row["copies_map"] is None else f", map r = {row['copies_map']:.2f}"
    return row | {"copies": f"first in {row['copies_first']} of 16 copies{alike}"}


def _by_photo(rows: Iterable[Row], show: Callable[[float], None]) -> Iterator[Row]:
    """The rows; each one is shown as a photo that is done."""
    for done, row in enumerate(rows, 1):
        yield row
        show(done)


def _by_run(show: Callable[[float], None]) -> Progress:
    """What is told of the runs for one photo after the other, and shows them as parts of photos."""
    photos = 0

    def report(done: int, of: int) -> None:
        nonlocal photos
        show(photos + done / of)
        photos += done == of

    return report


def _explain_on_cluster(
    address: str, task: WorkerTask, parts: list[Part], failures: dict[str, str]
) -> None:
    """Explains the photos of some parts on a Ray cluster, and counts them."""
    from cnnviz.batch import cluster, runs

    failed: dict[str, str] = {}
    results = cluster.explain_parts(address, task, parts)
    for result in progress(results, len(parts), False, "Parts"):
        failed.update(runs.failures(task.run, [result.part]))
    _say_explained(sum(len(part.paths) for part in parts) - len(failed), task.run)
    failures.update(failed)


def _without_failures(rows: Iterable[Row], failures: dict[str, str]) -> Iterator[Row]:
    """The rows of photos that were explained; the others go to ``failures``."""
    for row in rows:
        if "error" in row:
            failures[row["file"]] = row["error"]
        else:
            yield row


def _say_explained(count: int, run: BatchRun) -> None:
    say(f"Explained {count:,} photos; their rows are in {run.results}.")


@contextmanager
def _resumable(run: BatchRun) -> Iterator[None]:
    """Adds how to resume to the message of a run that Ctrl-C, a full disk or a cluster stops."""
    how = f"What is finished stays in {run.results}; the same command with --resume goes on."
    try:
        with stoppable(f"Stopped. {how}"):
            yield
    except CnnvizError as error:
        raise CnnvizError(f"{error} {how}") from error
