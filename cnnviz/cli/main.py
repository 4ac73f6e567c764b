"""The command line, ``cnnviz`` or ``python -m cnnviz``: the public API, from a shell.

Results go to stdout, everything else to stderr. The exit code is 0 if all went well, 1 if
some photos failed, ``inspect`` refuses a file or ``convert`` leaves one to TensorFlow, 2 if the
command itself, the model, a layer or a class was wrong, or the disk full, 130 if a long command
was stopped by Ctrl-C.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess  # nosec B404
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cnnviz
from cnnviz.cards import card_text, changed
from cnnviz.cli import (
    compare,
    convert,
    exemplars,
    explain,
    inspect,
    maximise,
    measure,
    trace,
    training,
)
from cnnviz.cli.inputs import (
    Json,
    Layer,
    Model,
    Photo,
    Photos,
    Preset,
    Trust,
    check_ending,
    find_photos,
    load_for_photos,
    load_network,
)
from cnnviz.cli.terminal import (
    clear_errors,
    finish,
    progress,
    say,
    show_rows,
    starting_keras,
)
from cnnviz.errors import CardError, CnnvizError, LayerError, TargetError
from cnnviz.networks.keras_start import around_start
from cnnviz.storage import card_path, write_whole

if TYPE_CHECKING:
    from cnnviz.batch.runs import Row
    from cnnviz.networks.network import Network

app = typer.Typer(
    help="Look inside saved Keras CNNs: filters, activations and class activation maps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main(prog_name: str = "cnnviz") -> None:
    """Runs the command line, with TensorFlow's and Keras's own messages turned off."""
    # TensorFlow reads these when it is imported, and that happens only later.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger().addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    around_start(starting_keras)
    app(prog_name=prog_name)


@app.command("app", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def start_app(
    context: typer.Context,
    lan: Annotated[
        bool,
        typer.Option(
            "--lan",
            help="For a class: everybody in this machine's network can open the app, at an address "
            "that is printed with its QR code. Uploads of models and trainings are then off, "
            "unless CNNVIZ_UPLOADS and CNNVIZ_TRAINING turn them on.",
        ),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", min=1, max=65535, help="The port of its address: 8501."),
    ] = None,
) -> None:
    """Open the web app.

    Also takes '--replay FOLDER', to watch a training again, and the options of 'streamlit run',
    such as '--server.headless true'.
    """
    own = ["--lan"] if lan else []
    if port is not None:
        own += ["--server.port", str(port)]
    # This Python, and the user's own arguments.
    command = [sys.executable, "-m", "cnnviz.ui", *own, *context.args]
    if os.name == "posix":
        # The same process, so that it gets every signal itself.
        os.execv(sys.executable, command)  # nosec B606
    raise typer.Exit(subprocess.call(command))  # nosec B603


@app.command()
def predict(
    model: Model,
    photos: Photos,
    preset: Preset = None,
    as_json: Json = False,
    trust: Trust = False,
) -> None:
    """Print the predicted class of photos, and its probability."""
    with clear_errors():
        paths, failures = find_photos(photos)
        network = load_for_photos(model, trust, preset)
        rows = _predictions(network, paths, failures, as_json)
        show_rows(rows, ("file", "class", "confidence"), as_json)
    finish(failures)


def _predictions(
    network: Network, paths: list[Path], failures: dict[str, str], as_json: bool
) -> Iterator[Row]:
    """The row of each photo in turn; the reason goes to ``failures`` where one fails."""
    from cnnviz.batch.runs import prediction_row

    for path in progress(paths, len(paths), as_json):
        try:
            yield prediction_row(path, cnnviz.predict(network, cnnviz.open_photo(path)))
        except (LayerError, TargetError):
            raise
        except CnnvizError as error:
            failures[str(path)] = str(error)


app.command()(explain.explain)
app.command()(measure.measure)
app.command()(compare.compare)
app.command()(exemplars.exemplars)
app.command()(maximise.maximise)
app.command()(inspect.inspect)
app.command()(trace.trace)
app.command()(convert.convert)


@app.command()
def layers(model: Model, as_json: Json = False, trust: Trust = False) -> None:
    """List the layers of a model, nested ones included, and count its parameters."""
    with clear_errors():
        network = load_network(model, trust)
        rows = (dataclasses.asdict(info) for info in network.layers)
        columns = ("path", "kind", "output_shape", "parameters", "kernel_shape")
        show_rows(rows, columns, as_json)
        count, trainable = network.parameters
    totals = f"Parameters: {count:,}, of which {trainable:,} are trainable."
    typer.echo(totals, err=as_json)


@app.command()
def card(model: Model, preset: Preset = None, trust: Trust = False) -> None:
    """Write a card beside a model that has none, with what is inferred and a preset.

    The file of the model's name that ends in .json keeps them; class names, licence and source can
    be changed in it.
    """
    with clear_errors():
        path = card_path(model)
        if path.exists():
            raise CardError(f"There is a card already: {path}. Edit it, or move it away.")
        network = load_for_photos(model, trust, preset)
        write_whole(path, card_text(changed(network.card, inferred=False)).encode())
    say(f"Wrote {path}: {len(network.card.labels)} class names and the preprocessing.")


@app.command()
def filters(
    model: Model,
    layer: Layer,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help=".npy: the kernels (kh, kw, C_in, C_out). .npz: kernels, biases and pointwise, "
            "by name. .csv: a line for each filter: bias, statistics of all its "
            "weights, then every weight.",
        ),
    ],
    trust: Trust = False,
) -> None:
    """Save the kernels and biases of a convolution."""
    ending = check_ending(out, (".npy", ".npz", ".csv"))
    with clear_errors():
        network = load_network(model, trust)
        layer_filters = cnnviz.filters(network, layer)
        from cnnviz import exports

        match ending:
            case ".npz":
                data = exports.filters_npz(layer_filters)
            case ".csv":
                data = exports.filters_csv(layer_filters)
            case _:
                data = exports.npy(layer_filters.kernels)
        write_whole(out, data)
    say(f"Wrote {out}: kernels {layer_filters.kernels.shape} of {layer}.")


@app.command()
def activations(
    model: Model,
    photo: Photo,
    layer: Layer,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", dir_okay=False, help="A .npy file: (h, w, K), float32."),
    ],
    preset: Preset = None,
    trust: Trust = False,
) -> None:
    """Save the activations of a layer for a photo."""
    check_ending(out, (".npy",))
    with clear_errors():
        pixels = cnnviz.open_photo(photo)
        network = load_for_photos(model, trust, preset)
        maps = cnnviz.activations(network, pixels, [layer])[layer]
        from cnnviz.exports import npy

        write_whole(out, npy(maps))
    say(f"Wrote {out}: activations {maps.shape} of {layer}.")


@app.command()
def extract(
    model: Model,
    out: Annotated[Path, typer.Option(metavar="FILE", dir_okay=False, help="The new .keras file.")],
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of the model inside.")
    ] = None,
) -> None:
    """Take the real model out of a file that was saved for several graphics cards."""
    check_ending(out, (".keras",))
    with clear_errors():
        inner = cnnviz.extract_model(model, layer).model
        with tempfile.TemporaryDirectory() as folder:
            inner.save(Path(folder) / "real.keras")
            write_whole(out, (Path(folder) / "real.keras").read_bytes())
    say(f"Wrote {out}: {inner.name!r}, {inner.count_params():,} parameters.")


app.command()(training.prepare)
app.command()(training.train)
