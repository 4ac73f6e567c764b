"""The command line, ``python -m cnnviz``: the functions of the public API, from a shell.

Results go to stdout, everything else to stderr. The exit code is 0 when all went well, 1 when
some photos failed, 2 when the command itself, the model, a layer or a class was wrong, or the
disk full, 130 when ``explain`` was stopped by Ctrl-C.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import logging
import os
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

import cnnviz
from cnnviz.attribution.methods import ANY_LAYER, METHODS
from cnnviz.cli import training
from cnnviz.cli.terminal import clear_errors, import_keras, say, stoppable
from cnnviz.errors import CnnvizError, LayerError, TargetError
from cnnviz.storage import CONTRAST, OVERLAY, write_whole

if TYPE_CHECKING:
    from cnnviz.batch.cluster import Asked
    from cnnviz.batch.runs import Job, Part
    from cnnviz.networks.loading import Network
    from cnnviz.results import Prediction

Row = dict[str, Any]
Item = TypeVar("Item")

# Classes in a JSON answer.
_TOP = 5
# Photos whose answers still make a table, and failures that are all named.
_IN_TABLE = 200
_NAMED = 20

app = typer.Typer(
    help="Look inside saved Keras CNNs: filters, activations and class activation maps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", exists=True, dir_okay=False, help="A saved model: a .keras or .h5 file."
    ),
]
_Photos = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTO", help="Photos, folders (with their sub-folders) or quoted globs."
    ),
]
_Photo = Annotated[
    Path, typer.Argument(metavar="PHOTO", exists=True, dir_okay=False, help="A photo.")
]
_Layer = Annotated[
    str, typer.Argument(metavar="LAYER", help="A layer's path, as 'layers' lists it.")
]
_Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Hand Keras the model's file itself, for a model that you made; else it is inspected.",
    ),
]
_Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a line instead of a table.")
]
# The choices of --method. A type checker cannot know them.
if TYPE_CHECKING:
    _Method = str
else:
    _Method = Literal[tuple(METHODS)]


def main() -> None:
    """Runs the command line, with TensorFlow's and Keras's own messages turned off."""
    # TensorFlow reads these when it is imported, and that happens only later.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger().addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    app(prog_name="python -m cnnviz")


app.command()(training.prepare)
app.command()(training.train)


@app.command()
def predict(model: _Model, photos: _Photos, as_json: _Json = False, trust: _Trust = False) -> None:
    """Tell the class of photos, and how sure the network is."""
    with clear_errors():
        paths, failures = _expand(photos)
        network = _load(model, trust)

        def answer(path: Path) -> Row:
            return _answer(path, cnnviz.predict(network, cnnviz.open_photo(path)))

        _show(_each(paths, answer, failures, as_json), ("file", "class", "confidence"), as_json)
    _finish(failures)


@app.command()
def explain(
    model: _Model,
    photos: _Photos,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", file_okay=False, help="The folder for the files; made if missing."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--class", metavar="CLASS", help="A class, by name or number; else the predicted one."
        ),
    ] = None,
    method: Annotated[
        _Method | None, typer.Option(help="The method; else the one that fits the network.")
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help=f"The layer, for {' or '.join(ANY_LAYER)}; else the last with maps.",
        ),
    ] = None,
    pictures: Annotated[
        bool, typer.Option(help="Also write each photo's overlay and raw map.")
    ] = True,
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
    as_json: _Json = False,
    trust: _Trust = False,
) -> None:
    """Show where in photos the network finds a class.

    Writes NAME.overlay.png, the map over the photo, and NAME.cam.npy, the raw signed map; the
    contrastive method also NAME.contrast.png, its 8-bit picture. Photos of the same name get
    -2, -3, … after it; files of an earlier run are replaced.

    The folder results/ gets Parquet files: a row for each photo, with the class, the confidence and
    the box of the strongest evidence, in pixels of a photo of width × height. A run that was
    stopped goes on with --resume. On a Ray cluster the workers write all files.
    """
    if ray is not None and as_json:
        raise typer.BadParameter(
            "With --ray the rows are in the files alone.", param_hint="'--json'"
        )
    with clear_errors():
        paths, failures = _expand(photos)
        network = _load(model, trust)
        wanted = [] if target is None else [_class(network, target)]
        from cnnviz.batch import cluster, pipeline, runs

        pipeline.check_choices(network, wanted, method=method, layer=layer)
        _check_folder(out)
        job = runs.Job(out, tuple(wanted), method, layer, pictures)
        stems = _free_stems(paths, out) if pictures else dict.fromkeys(paths, "")
        parts = runs.split(paths, list(stems.values()), runs.PART)
        waiting = runs.begin(job, network, parts, resume=resume) if parts else []
        finished = [part for part in parts if part not in waiting]
        failures.update(runs.failures(job, finished))
        if finished:
            done = sum(len(part.paths) for part in finished)
            say(f"{done:,} of {len(paths):,} photos were done before.")
        with _resumable(job):
            if ray is None:
                _explain_here(network, job, waiting, failures, as_json)
            elif waiting:
                asked = cluster.Asked(Path.cwd(), model, trust, network.fingerprint, job)
                _explain_there(ray, asked, waiting, failures)
    _finish(failures, f"the column 'error' in {out / 'results'} names them all")


@app.command()
def layers(model: _Model, as_json: _Json = False, trust: _Trust = False) -> None:
    """List the layers of a model, nested ones included."""
    with clear_errors():
        network = _load(model, trust)
        rows = (dataclasses.asdict(info) for info in network.layers)
        _show(rows, ("path", "kind", "output_shape", "parameters", "kernel_shape"), as_json)


@app.command()
def filters(
    model: _Model,
    layer: _Layer,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help=".npy: the kernels (kh, kw, C_in, C_out). .npz: kernels, biases and pointwise, "
            "by name. .csv: a line for each filter: bias, statistics, then every weight.",
        ),
    ],
    trust: _Trust = False,
) -> None:
    """Save the kernels and biases of a convolution."""
    ending = _ending(out, (".npy", ".npz", ".csv"))
    with clear_errors():
        network = _load(model, trust)
        found = cnnviz.filters(network, layer)
        from cnnviz import exports

        makers = {".npz": exports.filters_npz, ".csv": exports.filters_csv}
        write_whole(out, makers[ending](found) if ending in makers else exports.npy(found.kernels))
    say(f"Wrote {out}: kernels {found.kernels.shape} of {layer}.")


@app.command()
def activations(
    model: _Model,
    photo: _Photo,
    layer: _Layer,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", dir_okay=False, help="A .npy file: (h, w, K), float32."),
    ],
    trust: _Trust = False,
) -> None:
    """Save the activations of a layer for a photo."""
    _ending(out, (".npy",))
    with clear_errors():
        pixels = cnnviz.open_photo(photo)
        network = _load(model, trust)
        maps = cnnviz.activations(network, pixels, [layer])[layer]
        write_whole(out, _npy(maps))
    say(f"Wrote {out}: activations {maps.shape} of {layer}.")


@app.command()
def extract(
    model: _Model,
    out: Annotated[Path, typer.Option(metavar="FILE", dir_okay=False, help="The new .keras file.")],
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of the model inside.")
    ] = None,
) -> None:
    """Take the real model out of a file that was saved for several graphics cards."""
    _ending(out, (".keras",))
    with clear_errors():
        import_keras("networks.loading")
        found = cnnviz.extract_model(model, layer)
        with tempfile.TemporaryDirectory() as folder:
            found.model.save(Path(folder) / "real.keras")
            write_whole(out, (Path(folder) / "real.keras").read_bytes())
    say(f"Wrote {out}: {found.model.name!r}, {found.model.count_params():,} parameters.")


def _load(path: Path, trusted: bool) -> Network:
    import_keras("networks.loading")
    network = cnnviz.load_model(path, trusted=trusted)
    if network.card.inferred:
        say(
            f"Note: there is no card beside {path.name}, so its class names and the way a photo "
            "becomes its input are inferred."
        )
    return network


def _class(network: Network, text: str) -> int:
    """The number of a class: of the label of that name if there is one, else the text itself.

    Raises:
        TargetError: there is no such class.
    """
    from cnnviz.networks.predictions import class_index

    named = text in network.card.labels or not text.isdecimal()
    return class_index(network, text if named else int(text))


def _expand(patterns: Iterable[str]) -> tuple[list[Path], dict[str, str]]:
    """The photos that files, folders and globs stand for, each once, and what stood for none."""
    found: dict[Path, None] = {}
    failures = {}
    for pattern in patterns:
        path = Path(pattern)
        matches = [path]
        if not path.exists() and glob.has_magic(pattern):
            # As a shell does it; Path.glob takes no absolute pattern and finds hidden files.
            found_here = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
            matches = [Path(match) for match in found_here]
        photos = [photo for match in matches for photo in _photos_at(match)]
        if not photos:
            failures[pattern] = "There is no photo here."
        found.update(dict.fromkeys(photos))
    return list(found), failures


def _photos_at(path: Path) -> Iterator[Path]:
    """A file itself; of a folder the photos in it and below, in order.

    Hidden files and the pictures of an earlier run are left out of a folder.
    """
    if not path.is_dir():
        yield path
        return
    from cnnviz.photos.decoding import EXTENSIONS

    for folder, inner, names in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            known = name.lower().endswith(tuple(f".{ending}" for ending in EXTENSIONS))
            if known and not name.startswith(".") and not name.endswith((OVERLAY, CONTRAST)):
                yield Path(folder, name)


def _free_stems(paths: Iterable[Path], out: Path) -> dict[Path, str]:
    """A name for each photo's files: no two alike, and none that replaces a photo."""
    photos = {os.path.realpath(path) for path in paths}
    # Compared in lower case: some file systems do not tell Cat from cat.
    taken: set[str] = set()
    count: Counter[str] = Counter()
    stems = {}
    for path in paths:
        stem = path.stem
        while stem.lower() in taken or any(
            os.path.realpath(out / (stem + ending)) in photos for ending in (OVERLAY, CONTRAST)
        ):
            count[path.stem] += 1
            stem = f"{path.stem}-{count[path.stem] + 1}"
        taken.add(stem.lower())
        stems[path] = stem
    return stems


def _each(
    paths: list[Path], answer: Callable[[Path], Row], failures: dict[str, str], as_json: bool
) -> Iterator[Row]:
    """The answer for each photo in turn; a photo that fails goes to ``failures`` instead."""
    for path in _progress(paths, len(paths), as_json):
        try:
            yield answer(path)
        except (LayerError, TargetError):
            raise
        except CnnvizError as error:
            failures[str(path)] = str(error)


def _progress(
    items: Iterable[Item], count: int, as_json: bool, what: str = "Photos"
) -> Iterable[Item]:
    """The items, with a bar for the person who waits for them."""
    console = Console(stderr=True)
    # On a terminal that shows the JSON lines, a bar would stand between them.
    hidden = not console.is_terminal or (as_json and sys.stdout.isatty())
    return track(items, what, count, console=console, transient=True, disable=hidden)


def _without_failures(rows: Iterable[Row], failures: dict[str, str]) -> Iterator[Row]:
    """The rows of photos that were explained; the others go to ``failures``."""
    for row in rows:
        if "error" in row:
            failures[row["file"]] = row["error"]
        else:
            yield row


def _explain_here(
    network: Network, job: Job, parts: list[Part], failures: dict[str, str], as_json: bool
) -> None:
    """Explains the photos of some parts and shows them; very many are only counted."""
    from cnnviz.batch.runs import explain_part

    count = sum(len(part.paths) for part in parts)
    rows = (row for part in parts for row in explain_part(network, job, part))
    found = _without_failures(_progress(rows, count, as_json), failures)
    if as_json or count <= _IN_TABLE:
        files = "file" + " overlay cam" * job.pictures
        has_picture = job.method is not None and METHODS[job.method].picture is not None
        files += " contrast" * (job.pictures and has_picture)
        _show(found, (files, "class", "confidence", "target", "method", "layer"), as_json)
    else:
        _say_explained(sum(1 for _ in found), job)


def _explain_there(address: str, asked: Asked, parts: list[Part], failures: dict[str, str]) -> None:
    """Explains the photos of some parts on a Ray cluster, and counts them."""
    from cnnviz.batch import cluster, runs

    failed: dict[str, str] = {}
    done = cluster.explain_parts(address, asked, parts)
    for there in _progress(done, len(parts), False, "Parts"):
        failed.update(runs.failures(asked.job, [there.part]))
    _say_explained(sum(len(part.paths) for part in parts) - len(failed), asked.job)
    failures.update(failed)


def _say_explained(count: int, job: Job) -> None:
    say(f"Explained {count:,} photos; their rows are in {job.results}.")


@contextmanager
def _resumable(job: Job) -> Iterator[None]:
    """Says how a run goes on that is stopped, by Ctrl-C, a full disk or a lost cluster."""
    how = f"What is finished stays in {job.results}; the same command with --resume goes on."
    try:
        with stoppable(f"Stopped. {how}"):
            yield
    except CnnvizError as error:
        raise CnnvizError(f"{error} {how}") from error


def _answer(path: Path, prediction: Prediction) -> Row:
    top = prediction.top(_TOP)
    return {
        "file": str(path),
        "class": top[0].label,
        "confidence": top[0].probability,
        "top": [dataclasses.asdict(score) for score in top],
    }


def _show(rows: Iterable[Row], columns: tuple[str, ...], as_json: bool) -> None:
    """Prints each row at once as a line of JSON, or all of them in the end as a table.

    Several names in one column stand below each other.
    """
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    stacked = any(" " in names for names in columns)
    table = Table(show_lines=stacked)
    for names in columns:
        right = names in {"confidence", "parameters"}
        title = names.replace(" ", "\n").replace("_", " ")
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(Text("\n".join(_cell(row[name]) for name in names.split())) for names in columns)
        )
    # A file or a pipe has no width to fit into.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2%}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, tuple):
        return " × ".join(str(size) for size in value if size is not None)
    # A file's name may hold line breaks, terminal codes or bytes that are no text.
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in value or "")


def _finish(failures: dict[str, str], elsewhere: str = "") -> None:
    """Names what failed, and lets the exit code say so.

    All of it, unless it is said where else it is named.
    """
    if not failures:
        return
    say(f"Failed: {len(failures):,}")
    for name, message in islice(failures.items(), _NAMED if elsewhere else None):
        say(f"  {name}: {message}")
    if elsewhere and len(failures) > _NAMED:
        say(f"  … and {len(failures) - _NAMED:,} more: {elsewhere}.")
    raise typer.Exit(1)


def _check_folder(path: Path) -> None:
    """Looks whether a folder can be made and written to, without making it.

    Raises:
        CnnvizError: it cannot.
    """
    there = next(
        folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists()
    )
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise CnnvizError(f"{path} cannot be written: {there} is no folder that you may write in.")


def _npy(array: Any) -> bytes:
    from cnnviz.exports import npy

    return npy(array)


def _ending(path: Path, known: Iterable[str]) -> str:
    ending = path.suffix.lower()
    if ending not in known:
        raise typer.BadParameter(f"{path} must end in {' or '.join(known)}.", param_hint="'--out'")
    return ending
