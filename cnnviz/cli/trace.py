"""The command ``trace``: where one value of a layer comes from."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cnnviz
from cnnviz.cli.inputs import Method, Model, Photo, Preset, Trust, class_index, load_for_photos
from cnnviz.cli.terminal import clear_errors, printable
from cnnviz.numerals import written

if TYPE_CHECKING:
    from cnnviz.results import Box
    from cnnviz.traces import TraceStep, TraceTerm, ValueTrace

# The inputs and weights of more terms than a colour picture has are in the JSON alone, and so are
# those of larger patches.
_MOST_PATCHES = 3
_LARGEST_PATCH = 7

_COMBINED = {
    "sum": "sum",
    "product": "product",
    "maximum": "largest",
    "minimum": "smallest",
}


def trace(
    model: Model,
    photo: Photo,
    row: Annotated[int, typer.Option(help="The row of the value, counted from 0.")],
    column: Annotated[int, typer.Option(help="Its column, counted from 0.")],
    layer: Annotated[
        str | None,
        typer.Argument(metavar="[LAYER]", help="A layer's path, as 'layers' lists it."),
    ] = None,
    channel: Annotated[
        int | None, typer.Option(help="The channel of the layer, counted from 0.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="CLASS",
            help="In place of a channel: the class, by name or number, whose map the value is in.",
        ),
    ] = None,
    method: Annotated[
        Method | None, typer.Option(help="The method of the class's map; else the best.")
    ] = None,
    preset: Preset = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of lines.")
    ] = False,
    trust: Trust = False,
) -> None:
    """Show where one value comes from: its pixels, and inputs × weights.

    The value is that of a channel of a layer, or that of a class's map: channel × weight.
    """
    if (channel is None) == (target is None) or (channel is not None and layer is None):
        raise typer.BadParameter("Give a layer with --channel, or --class.")
    with clear_errors():
        pixels = cnnviz.open_photo(photo)
        network = load_for_photos(model, trust, preset)
        if layer is not None and channel is not None:
            found = cnnviz.trace_value(network, pixels, layer, row, column, channel)
        else:
            index = class_index(network, target or "")
            found = cnnviz.trace_class_map(
                network, pixels, row, column, index, method=method, layer=layer
            )
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found), default=_plain))
        return
    for line in _lines(found):
        typer.echo(printable(line))


def _plain(value: Any) -> Any:
    """An array as JSON has it."""
    return value.tolist()


def _lines(trace: ValueTrace) -> Iterator[str]:
    what = f"channel {trace.channel}" if trace.target is None else f"the map of {trace.target!r}"
    yield (
        f"{trace.layer} ({trace.kind}), row {trace.row}, column {trace.column}, {what}: "
        f"{_number(trace.value)}"
    )
    yield from _field_lines(trace)
    if trace.note:
        yield trace.note
    for term in trace.terms:
        yield f"{term.layer}, channel {term.channel}{_place(term)}: {written(term.total, '+.4g')}"
        if len(trace.terms) <= _MOST_PATCHES and max(term.inputs.shape) <= _LARGEST_PATCH:
            yield from _patch_lines(term)
    if trace.others:
        yield f"{trace.others:,} other channels: {written(trace.rest, '+.4g')}"
    if trace.bias is not None:
        yield f"bias: {written(trace.bias, '+.4g')}"
    name = _COMBINED[trace.combine] if trace.terms else "value"
    yield f"{name} of {trace.source} ({trace.source_kind}): {_number(trace.total)}"
    before = trace.total
    for step in trace.steps:
        yield f"{step.layer}, {step.kind}: {_with_numbers(step, before)} = {_number(step.value)}"
        before = step.value


def _field_lines(trace: ValueTrace) -> Iterator[str]:
    field = trace.field
    if field.box is None:
        yield "It depends on no pixel."
        return
    height, width = field.size
    sides = f"{field.box.right - field.box.left} × {field.box.bottom - field.box.top}"
    yield (
        f"It sees {sides} of {width} × {height} pixels: {_span(field.box)}"
        f"{'' if field.exact else ', at most'}"
    )
    if field.photo is not None:
        yield f"On the photo: {_span(field.photo)}"


def _span(box: Box) -> str:
    return f"columns {box.left} to {box.right - 1}, rows {box.top} to {box.bottom - 1}"


def _place(term: TraceTerm) -> str:
    """Which cells of its layer a term reads."""
    if not term.rows or not term.columns:
        return ""
    rows, columns = (
        f"{name} {places[0]}" if len(places) == 1 else f"{name}s {places[0]} to {places[-1]}"
        for name, places in (("row", term.rows), ("column", term.columns))
    )
    return f", {rows}, {columns}"


def _patch_lines(term: TraceTerm) -> Iterator[str]:
    """Inputs × weights = products, row by row; a single product in one line."""
    products = term.inputs * term.weights
    for inputs, weights, row in zip(term.inputs, term.weights, products, strict=True):
        parts = [" ".join(f"{value:+9.4f}" for value in each) for each in (inputs, weights, row)]
        yield f"    {parts[0]}  ×  {parts[1]}  =  {parts[2]}"


def _with_numbers(step: TraceStep, before: float) -> str:
    """A step's formula with numbers in place of its words."""
    numbers = {**step.numbers, "x": before}
    # The longest first: some hold others.
    words = sorted(numbers, key=len, reverse=True)
    pattern = "|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in words)
    # A sign beside another one gets brackets, unless it has them.
    return re.sub(
        rf"(?<=\()({pattern})|{pattern}",
        lambda word: _number(numbers[word[0]], brackets=word[1] is None),
        step.formula,
    )


def _number(value: float, brackets: bool = False) -> str:
    text = written(value, ".4g")
    return f"({text})" if brackets and value < 0 else text
