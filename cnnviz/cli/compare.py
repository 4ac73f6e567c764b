"""The command ``compare``: maps of methods, classes, photos and networks side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cnnviz
from cnnviz.attribution.methods import METHODS
from cnnviz.cli.inputs import (
    Against,
    ExplainedLayer,
    Json,
    Judge,
    Preset,
    Trust,
    check_folder,
    class_index,
    find_photos,
    load_for_photos,
)
from cnnviz.cli.terminal import clear_errors, finish, say, show_rows
from cnnviz.storage import write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnviz.batch.runs import Row
    from cnnviz.results import Comparison

# The endings of the files of models; all others are photos.
_MODELS = (".keras", ".h5", ".hdf5", ".zip")
_PICTURE, _VALUES = "comparison.png", "comparison.json"
# One picture holds all of them.
_MOST_PHOTOS = 20


def compare(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... PHOTO...",
            help="One saved model or several (.keras, .h5, .zip), and photos, folders or globs.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", file_okay=False, help="The folder for both files; made if missing."
        ),
    ],
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="CLASS",
            help="A class, by name or number; may be given again. Else the two most probable.",
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="METHOD",
            help=f"May be given again: {', '.join(METHODS)}. Else four that fit and differ.",
        ),
    ] = None,
    layer: ExplainedLayer = None,
    against: Against = None,
    judge: Judge = False,
    preset: Preset = None,
    as_json: Json = False,
    trust: Trust = False,
) -> None:
    """Show maps of several methods and classes side by side, also of photos and networks.

    Writes comparison.png, all maps in one picture, and comparison.json, all settings, answers and
    raw values; prints a row for each map. Classes of several networks are matched by name. Each
    method has a scale of its own, which all of its maps share.
    """
    models = [Path(file) for file in files if file.lower().endswith(_MODELS)]
    if not models:
        raise typer.BadParameter(
            f"Expected at least one model, a file that ends in {', '.join(_MODELS)}.",
            param_hint="'MODEL... PHOTO...'",
        )
    with clear_errors():
        paths, failures = find_photos(file for file in files if Path(file) not in models)
        photos = _read(paths, failures)
        if not photos:
            raise typer.BadParameter(
                "Expected at least one photo beside the models.", param_hint="'MODEL... PHOTO...'"
            )
        check_folder(out)
        networks = [load_for_photos(path, trust, preset) for path in models]
        found = cnnviz.compare(
            networks,
            photos,
            classes=[class_index(networks[0], one) for one in classes or ()],
            methods=methods or (),
            layer=layer,
            against=against,
            judge=judge,
        )
        drawn = cnnviz.comparison_picture(found, [photos[one.photo] for one in found.answers])
        write_whole(out / _PICTURE, cnnviz.encode_png(drawn))
        write_whole(out / _VALUES, cnnviz.comparison_json(found))
        columns = ("network photo", "class confidence", "method", "map")
        show_rows(_rows(found, as_json), columns, as_json)
    say(f"Wrote {out / _PICTURE} and {out / _VALUES}: {len(found.cells)} maps.")
    finish(failures)


def _read(paths: list[Path], failures: dict[str, str]) -> dict[str, NDArray[np.uint8]]:
    """The photos by name; the reason goes to ``failures`` where one cannot be read.

    Raises:
        typer.BadParameter: there are too many of them.
    """
    if len(paths) > _MOST_PHOTOS:
        raise typer.BadParameter(
            f"{len(paths):,} photos do not fit into one picture. Give {_MOST_PHOTOS} at most; "
            "'explain' takes any number.",
            param_hint="'MODEL... PHOTO...'",
        )
    photos = {}
    for path in paths:
        try:
            photos[str(path)] = cnnviz.open_photo(path)
        except cnnviz.PhotoError as error:
            failures[str(path)] = str(error)
    return photos


def _rows(found: Comparison, as_json: bool) -> Iterator[Row]:
    """A row for each map, with its scores; for a table as text."""
    from cnnviz.figures.comparison import score_lines

    for cells in found.rows:
        for method, cell in zip(found.methods, cells, strict=True):
            answer = found.answers[cell.answer]
            at = answer.prediction.labels.index(cell.cam.target)
            row = {
                "network": answer.network,
                "photo": answer.photo,
                "class": cell.cam.target,
                "confidence": float(answer.prediction.probabilities[at]),
                "method": method.key,
            }
            word = {} if cell.verdict is None else {"verdict": cell.verdict.word}
            said = {"limit": cell.limit, "note": cell.note, **cell.scores, **word}
            yield row | (said if as_json else {"map": "; ".join(score_lines(cell))})
