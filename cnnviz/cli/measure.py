"""The command ``measure``: the scores of a map, beside those of two other maps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cnnviz
from cnnviz.attribution.faithfulness import MEASURES, Measure
from cnnviz.attribution.methods import METHODS
from cnnviz.cli.inputs import (
    Against,
    ChosenMethod,
    ExplainedLayer,
    Json,
    Model,
    Photo,
    Preset,
    Target,
    Trust,
    class_index,
    load_for_photos,
)
from cnnviz.cli.terminal import clear_errors, counting, say, show_rows, stoppable
from cnnviz.errors import TargetError
from cnnviz.numerals import percent, written

if TYPE_CHECKING:
    from cnnviz.batch.runs import Row
    from cnnviz.results import MapScore

_ARROWS = {"higher": "higher ↑", "lower": "lower ↓"}
_COLUMNS = ("score", "map", "blurred_copy", "random_map", "better")


def measure(
    model: Model,
    photo: Photo,
    target: Target = None,
    method: ChosenMethod = None,
    layer: ExplainedLayer = None,
    against: Against = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            "--score",
            metavar="SCORE",
            help=f"One of {', '.join(MEASURES)}; may be repeated. Else all that the map can have.",
        ),
    ] = None,
    preset: Preset = None,
    as_json: Json = False,
    trust: Trust = False,
) -> None:
    """Measure how far a class activation map says what the network does.

    Prints scores of the map, and for comparison those of a blurred copy of it, which fools some of
    them, and of a random map. Scores disagree with each other, and none is a proof. With --json,
    those of deletion and insertion have their curves, too.
    """
    with clear_errors(), stoppable("Stopped."):
        pixels = cnnviz.open_photo(photo)
        network = load_for_photos(model, trust, preset)
        other = None if against is None else class_index(network, against)
        with counting("Map", as_json) as progress:
            cam = cnnviz.class_activation_map(
                network,
                pixels,
                None if target is None else class_index(network, target),
                method=method,
                layer=layer,
                against=other,
                progress=progress,
            )
        if not cam.values.any():
            raise TargetError("This map is zero everywhere, so there is nothing to measure.")
        with counting("Scores", as_json) as progress:
            found = cnnviz.measure(network, pixels, cam, scores or None, progress=progress)
    what = f"{METHODS[found.method].title} for {found.target!r}"
    versus = "" if found.against is None else f" against {found.against!r}"
    say(f"{what}{versus}")
    rows = (_row(one, as_json) for one in found.scores)
    show_rows(rows, _COLUMNS, as_json)


def _row(score: MapScore, as_json: bool) -> Row:
    record = MEASURES[score.measure]
    values = (score.value, score.blurred, score.random)
    if not as_json:
        texts = (_text(record, value) for value in values)
        return dict(zip(_COLUMNS, (record.title, *texts, _ARROWS[score.better]), strict=True))
    row: dict[str, Any] = {"score": score.measure}
    row |= {
        name: None if math.isnan(value) else value
        for name, value in zip(_COLUMNS[1:4], values, strict=True)
    }
    row["better"] = score.better
    if score.curves is not None:
        row["curves"] = {
            name: [round(float(one), 6) for one in curve]
            for name, curve in zip(_COLUMNS[1:4], score.curves, strict=True)
        }
    return row


def _text(measure: Measure, value: float) -> str:
    """A score as text; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return percent(value) if measure.share else written(value, ".3f")
