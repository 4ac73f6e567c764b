"""What the commands share: messages on stderr, errors in clear words, and quiet imports."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from cnnviz.errors import CnnvizError, PhotoError


def say(text: str) -> None:
    """Writes a line to stderr: all that is no result."""
    typer.echo(text, err=True)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Ends the command with an error's own words instead of a traceback."""
    try:
        yield
    except CnnvizError as error:
        say(f"Error: {error}")
        raise typer.Exit(1 if isinstance(error, PhotoError) else 2) from error


@contextmanager
def stoppable(text: str) -> Iterator[None]:
    """Ends the command after Ctrl-C with a line that says what stays."""
    try:
        yield
    except KeyboardInterrupt:
        say(text)
        raise typer.Exit(130) from None


def import_keras(module: str) -> Any:
    """Imports a module that needs TensorFlow, in silence. Call it before such a module is used."""
    with os.fdopen(os.dup(2), "w") as screen, Console(file=screen).status("Starting Keras …"):  # noqa: SIM117
        with _silence():
            return importlib.import_module(f"cnnviz.{module}")


@contextmanager
def _silence() -> Iterator[None]:
    """Turns the process's stderr off, below Python.

    TensorFlow's libraries write to it while they are imported, whatever their log level.
    """
    stderr = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
