"""The command ``convert``: models for LiteRT, in the user's cache folder."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnviz.cli.inputs import Trust, check_folder
from cnnviz.cli.terminal import clear_errors, finish, printable, waiting
from cnnviz.errors import CnnvizError, ModelError, StorageError
from cnnviz.settings import read_settings
from cnnviz.shipped_models import fingerprint_of, shipped

if TYPE_CHECKING:
    from cnnviz.networks.conversions import Converted

_ENDINGS = {".keras", ".h5"}


def convert(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL",
            exists=True,
            show_default=False,
            help="Saved models, .keras or .h5 files; without any, those that cnnviz ships, in the "
            "folder of the models.",
        ),
    ] = None,
    trust: Trust = False,
) -> None:
    """Convert models for LiteRT, which answers without TensorFlow and in half of its time.

    A conversion is kept if all its outputs are TensorFlow's, in the folder CNNVIZ_CACHE or else in
    the user's cache, and is used wherever that file is opened with the same trust. A network that
    LiteRT cannot run is left to TensorFlow.
    """
    failures: dict[str, str] = {}
    with clear_errors():
        if importlib.util.find_spec("ai_edge_litert") is None:
            raise CnnvizError("LiteRT is not installed here, so TensorFlow runs all networks.")
        for path in models or _shipped_models():
            try:
                typer.echo(printable(f"{path}: {_convert(path, trust)}"))
            except StorageError as error:
                hint = "Converted models go to the folder CNNVIZ_CACHE, or to the user's cache."
                raise CnnvizError(f"{error} {hint}") from error
            except CnnvizError as error:
                failures[str(path)] = str(error)
    finish(failures)


def _shipped_models() -> list[Path]:
    folder = read_settings().models
    paths = {folder / name: digest for name, digest in shipped().items()}
    return [path for path in paths if path.is_file() and fingerprint_of(path) == paths[path]]


def _convert(path: Path, trust: bool) -> str:
    """Converts a model where that was not done before; returns what was done.

    Raises:
        CnnvizError: it is not converted, and why.
        StorageError: the folder of the cache cannot be written, or the disk is full.
    """
    from cnnviz.networks import conversions
    from cnnviz.networks.loading import card_beside

    if not path.is_file() or path.suffix.lower() not in _ENDINGS:
        raise ModelError(
            "Only .keras and .h5 files are converted; take the model out of a ZIP archive first."
        )
    fingerprint = fingerprint_of(path)
    if not trust and fingerprint not in shipped().values():
        raise ModelError(
            "This is no model that cnnviz ships, so only a copy that was inspected is run, and "
            "nothing of it is kept. If you made it, convert and use it with --trust."
        )
    card = card_beside(path)
    found = conversions.find(path, fingerprint, card)
    if isinstance(found, conversions.Converted):
        return f"was converted before, {_figures(found)}"
    if isinstance(found, conversions.Refusal):
        raise _left_to_tensorflow(found.reason)
    check_folder(conversions.folder())
    seconds = _convert_file(path, trust)
    made = conversions.find(path, fingerprint, card)
    if not isinstance(made, conversions.Converted):
        raise ModelError("Its conversion is already gone from the cache, or the file was changed.")
    return f"converted in {seconds:.0f} s, {_figures(made)}"


def _convert_file(path: Path, trust: bool) -> float:
    """Converts a model and returns how many seconds that took, without the start of Keras."""
    from cnnviz.networks.keras_start import start_keras

    start_keras()
    from cnnviz.networks.engines.conversion import NotConvertedError, convert_file

    start = time.monotonic()
    try:
        with waiting(f"Converting {printable(path.name)} …"):
            convert_file(path, trusted=trust)
    except NotConvertedError as error:
        raise _left_to_tensorflow(str(error)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"A temporary file cannot be written: {reason}.") from error
    return time.monotonic() - start


def _left_to_tensorflow(reason: str) -> ModelError:
    return ModelError(f"TensorFlow goes on running it, since LiteRT does not fit: {reason}.")


def _figures(converted: Converted) -> str:
    size = sum(file.size for _, file in (converted.scores, converted.maps))
    return (
        f"{size / 1e6:.1f} MB; largest difference from TensorFlow {converted.difference:.0e} of an "
        "output's largest value"
    )
