"""The command ``inspect``: the verdict on a model's file, without TensorFlow and without Keras."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnviz.cards import read_class_names
from cnnviz.cli.terminal import clear_errors, printable
from cnnviz.errors import RefusedModelError

if TYPE_CHECKING:
    from cnnviz.inspection.gate import Inspection

_FORMATS = {"keras": ".keras, the archive of Keras 3", "hdf5": ".h5, the older single file"}
# What a layer calls the size of its output, if it has one.
_SIZES = ("units", "filters")
_MOST_LABELS = 5  # in a line


def inspect(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            help="A saved model: a .keras or .h5 file, or a .zip file with one inside.",
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of lines.")
    ] = False,
) -> None:
    """Say whether a model file is safe to open and what it holds, without opening it in Keras.

    The exit code is 0 if the file is accepted and 1 if it is refused. Whether cnnviz can show the
    network is known when it is loaded.
    """
    from cnnviz.inspection.limited import verdict

    facts: dict[str, Any] = {"file": str(file), "bytes": _size(file)}
    with clear_errors():
        try:
            inspection = verdict(file)
        except RefusedModelError as error:
            facts |= {"accepted": False, "code": error.code, "reason": str(error)}
        else:
            facts |= {"accepted": True} | _describe(inspection)
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        for line in _lines(facts):
            typer.echo(printable(line))
    if not facts["accepted"]:
        raise typer.Exit(1)


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


def _describe(inspection: Inspection) -> dict[str, Any]:
    config = inspection.config["config"]
    layers = config["layers"]
    names = {key: _names(config.get(key)) for key in ("input_layers", "output_layers")}
    if not names["input_layers"]:
        # A Sequential model, whose layers are in order.
        names = {"input_layers": [], "output_layers": [layers[-1]["config"].get("name")]}
    inputs = [
        layer["config"]["batch_shape"] for layer in layers if "batch_shape" in layer["config"]
    ]
    # The model itself is not one of its layers.
    kinds = dict((inspection.kinds - Counter([inspection.config["class_name"]])).most_common())
    ends = [layer for layer in layers if layer["config"].get("name") in names["output_layers"]]
    return {
        "format": inspection.format,
        "keras_version": inspection.keras_version,
        "layers": sum(kinds.values()),
        "kinds": kinds,
        "parameters": inspection.parameters,
        "inputs": inputs or [config.get("build_input_shape")],
        "outputs": [_output(layer) for layer in ends],
        "labels": read_class_names(inspection.labels),
        "levelled": list(inspection.levelled),
    }


def _names(ends: Any) -> list[str]:
    """The layers among the inputs or outputs of a model: ``[layer, call, output]`` each."""
    match ends:
        case [str(name), int(), int()]:
            return [name]
        case list():
            return [name for end in ends for name in _names(end)]
        case dict():
            return [name for end in ends.values() for name in _names(end)]
    return []


def _output(layer: dict[str, Any]) -> dict[str, Any]:
    settings = layer["config"]
    size = next((settings[name] for name in _SIZES if name in settings), None)
    activation = settings.get("activation")
    return {
        "layer": settings.get("name", ""),
        "kind": layer["class_name"],
        "size": size,
        "activation": activation if isinstance(activation, str) else None,
    }


def _lines(facts: dict[str, Any]) -> list[str]:
    size = f" ({facts['bytes']:,} bytes)" if facts["bytes"] is not None else ""
    if not facts["accepted"]:
        return [f"{facts['file']}{size}: refused, {facts['code']}", facts["reason"]]
    version = f", saved by Keras {facts['keras_version']}" if facts["keras_version"] else ""
    kinds = ", ".join(f"{count} {kind}" for kind, count in facts["kinds"].items())
    return [
        f"{facts['file']}{size}: accepted",
        f"format: {_FORMATS[facts['format']]}{version}",
        f"layers: {facts['layers']:,} ({kinds})",
        f"parameters: {facts['parameters']:,}",
        *(f"input: {_shape(shape)}" for shape in facts["inputs"]),
        *(f"output: {_words(output)}" for output in facts["outputs"]),
        *_label_lines(facts["labels"]),
        *(f"levelled: {sentence}" for sentence in facts["levelled"]),
    ]


def _label_lines(labels: list[str]) -> list[str]:
    """The class names of the ``labels.txt`` in a ZIP archive; their reader drops control codes."""
    if not labels:
        return []
    more = ", …" if len(labels) > _MOST_LABELS else ""
    return [f"labels: {len(labels):,} ({', '.join(labels[:_MOST_LABELS])}{more})"]


def _shape(shape: list[int | None] | None) -> str:
    if not shape:
        return "of any size"
    return " × ".join("any" if side is None else str(side) for side in shape[1:])


def _words(output: dict[str, Any]) -> str:
    size = "" if output["size"] is None else f" of {output['size']:,}"
    activation = f", {output['activation']}" if output["activation"] else ""
    return f"{output['layer']} ({output['kind']}{size}{activation})"
