"""What the commands print: rows on stdout, messages, bars and errors on stderr; quiet libraries."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from cnnviz.errors import CnnvizError, PhotoError
from cnnviz.numerals import percent

if TYPE_CHECKING:
    from cnnviz.batch.runs import Row

Item = TypeVar("Item")

# Failures that are listed one by one where a file holds them all.
_LISTED_FAILURES = 20


def say(text: str) -> None:
    """Writes a line to stderr: everything that is not a result."""
    typer.echo("\n".join(map(printable, text.split("\n"))), err=True)


def printable(text: str) -> str:
    """A text without line breaks, terminal codes and bytes that are no text, as names may hold."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def show_rows(rows: Iterable[Row], columns: tuple[str, ...], as_json: bool) -> None:
    """Prints each row at once as a line of JSON, or all of them at the end as a table, if any.

    Args:
        rows: the rows, by column name.
        columns: names of columns; several names in one string share a column, one below another.
        as_json: JSON instead of a table.
    """
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    stacked = any(" " in names for names in columns)
    table = Table(show_lines=stacked)
    for names in columns:
        right = names in {"confidence", "parameters", "map", "blurred_copy", "random_map"}
        title = names.replace(" ", "\n").replace("_", " ")
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(Text("\n".join(_cell(row[name]) for name in names.split())) for names in columns)
        )
    if not table.rows:
        return
    # A file or a pipe has no width to fit into.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return percent(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, tuple):
        return " × ".join(str(size) for size in value if size is not None)
    return printable(value or "")


def progress(
    items: Iterable[Item], count: int, as_json: bool, title: str = "Photos"
) -> Iterable[Item]:
    """The items, with a progress bar on a terminal."""
    with progress_bar(count, as_json, title) as show:
        for done, item in enumerate(items, 1):
            yield item
            show(done)


@contextmanager
def progress_bar(
    count: int, as_json: bool, title: str = "Photos"
) -> Iterator[Callable[[float], None]]:
    """A progress bar on a terminal: a function that is told how many of ``count`` are done."""
    with counting(title, as_json) as tell:
        tell(0, count)
        yield lambda done: tell(done, count)


@contextmanager
def counting(title: str, as_json: bool) -> Iterator[Callable[[float, int], None]]:
    """A function that is told how much is done, of how much; on a terminal a bar shows it."""
    console = Console(stderr=True)
    # On a terminal that shows the JSON lines, a bar would be between them.
    hidden = not console.is_terminal or (as_json and sys.stdout.isatty())
    with Progress(console=console, transient=True, disable=hidden) as bars:
        # Without a number the bar would say that it is waiting, also where nothing has to.
        bar = bars.add_task(title, visible=False)

        def tell(done: float, count: int) -> None:
            bars.update(bar, completed=done, total=count, visible=True)

        yield tell


def finish(failures: dict[str, str], complete_list: str = "") -> None:
    """Lists what failed, and ends the command with exit code 1 if anything did.

    Args:
        failures: the reasons by file.
        complete_list: where all of them are listed; then only some are printed.
    """
    if not failures:
        return
    say(f"Failed: {len(failures):,}")
    for name, message in islice(failures.items(), _LISTED_FAILURES if complete_list else None):
        say(f"  {printable(name)}: {message}")
    if complete_list and len(failures) > _LISTED_FAILURES:
        say(f"  … and {len(failures) - _LISTED_FAILURES:,} more: {complete_list}.")
    raise typer.Exit(1)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Ends the command with an error's own message instead of a traceback."""
    try:
        yield
    except CnnvizError as error:
        say(f"Error: {error}")
        raise typer.Exit(1 if isinstance(error, PhotoError) else 2) from error


@contextmanager
def stoppable(text: str) -> Iterator[None]:
    """Ends the command after Ctrl-C with a line about what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        say(text)
        raise typer.Exit(130) from None


@contextmanager
def starting_keras() -> Iterator[None]:
    """What a command does around the import of Keras, whenever something needs that."""
    with waiting("Starting Keras …"):
        yield
    from cnnviz.networks.engines.tensorflow import turn_off_rewriting

    turn_off_rewriting()


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Shows on a terminal what takes so long, and nothing that libraries write meanwhile."""
    with os.fdopen(os.dup(2), "w") as screen, Console(file=screen).status(text), silence():
        yield


@contextmanager
def silence() -> Iterator[None]:
    """Turns the process's stderr off, below Python.

    TensorFlow's and LiteRT's libraries write to it, whatever their log level.
    """
    stderr = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
