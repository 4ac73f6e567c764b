"""The commands ``prepare`` and ``train``: from photos to a model."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from cnnviz.cli.terminal import clear_errors, say, stoppable, waiting
from cnnviz.settings import check_tensorflow
from cnnviz.training.recipes import RECIPES

if TYPE_CHECKING:
    from cnnviz.training.data.manifest import Prepared
    from cnnviz.training.runs import TrainingStatus

    Architecture = str
else:
    # Typer offers the choices of a Literal; a type checker takes none that is computed.
    Architecture = Literal[*RECIPES]


def prepare(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PHOTOS",
            help="A folder or zip with a sub-folder of photos for each class; or an .npz file as "
            "Keras keeps MNIST; or, where there is a network, mnist, fashion_mnist or cifar10.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DATA", file_okay=False, help="The folder for the data; made if missing."
        ),
    ],
    size: Annotated[int, typer.Option(min=8, max=1024, help="Pixels a side, of photos.")] = 224,
    scale: Annotated[
        bool, typer.Option("--scale", help="Write 0 to 1 (float32) in place of 0 to 255 (uint8).")
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the split into training and validation.")
    ] = 0,
) -> None:
    """Turn photos in class folders into arrays to train on.

    Writes one CLASS.npy for each class and manifest.json. After an interruption the same command
    resumes.
    """
    from cnnviz.training.data.photos import prepare_photos
    from cnnviz.training.data.pixels import KERAS_DATASETS, is_array_file, prepare_pixels

    with clear_errors(), _interruptible("run the same command again"):
        if source in KERAS_DATASETS or is_array_file(source):
            prepared = prepare_pixels(source, out, scale=scale, seed=seed)
        else:
            with make_bars(MofNCompleteColumn()) as bars:
                bar = bars.add_task("Photos", total=None)
                prepared = prepare_photos(
                    source,
                    out,
                    size=size,
                    scale=scale,
                    seed=seed,
                    report=lambda done, total: bars.update(bar, completed=done, total=total),
                )
    for label, rows in prepared.rows.items():
        typer.echo(f"{out / label}.npy: {len(rows):,}")
    counts = {split: prepared.count(split) for split in ("training", "validation", "test")}
    say("Wrote " + ", ".join(f"{count:,} for {split}" for split, count in counts.items() if count))
    for note in prepared.notes:
        say(note)
    if prepared.left_out:
        say(f"Left out: {len(prepared.left_out)}")
        for name, reason in prepared.left_out.items():
            say(f"  {name}: {reason}")
        raise typer.Exit(1)


def train(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="A folder that 'prepare' has written, or an .npz file for it."
        ),
    ],
    architecture: Annotated[Architecture, typer.Option(help="The network.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", dir_okay=False, help="The .keras file for the model.")
    ],
    epochs: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="The most; else the architecture's own.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Photos of a step on one device.")] = 64,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything random.")] = 0,
    keep_best: Annotated[
        bool, typer.Option("--keep-best", help="Keep the best epoch's checkpoint alone.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Continue after the last finished epoch; with more --epochs also a finished one.",
        ),
    ] = False,
    devices: Annotated[
        Literal["one", "all"],
        typer.Option(help="'all' shares each step among all graphics cards of this machine."),
    ] = "one",
) -> None:
    """Train a network on prepared data, and save the best epoch as a model with a card.

    A folder NAME_training beside the model gets a checkpoint of every epoch, history.csv and
    TensorBoard's logs. Where TF_CONFIG names several machines, run the same command on each.
    """
    if out.suffix != ".keras":
        raise typer.BadParameter(f"{out} must end in .keras.", param_hint="--out")
    from cnnviz.training.runs import run_folder

    with (
        clear_errors(),
        _interruptible("go on by the same command with --resume"),
        _progress_bars() as report,
        _prepared(data) as prepared,
    ):
        check_tensorflow()
        with waiting("Starting Keras …"):
            from cnnviz.training import loop
        card = loop.train(
            prepared,
            out,
            architecture,
            epochs=epochs,
            batch=batch,
            seed=seed,
            keep_best=keep_best,
            resume=resume,
            devices=devices,
            report=report,
        )
    if not out.exists():
        say("The first machine writes the model.")
        return
    for figure in card.training.accuracy:
        typer.echo(f"{figure.value:.2%}  {figure.metric} on {figure.on}")
    say(
        f"Wrote {out}: epoch {card.training.epochs}, the best of {run_folder(out)}. "
        f"Open it: {shlex.join(['CNNVIZ_MODELS=' + str(out.parent)])} make run"
    )


@contextmanager
def _prepared(data: Path) -> Iterator[Prepared]:
    """Prepared data; that of an .npz file for as long as the context is open."""
    from cnnviz.training.data.manifest import read_prepared
    from cnnviz.training.data.pixels import is_array_file, prepare_pixels

    if not is_array_file(data):
        yield read_prepared(data)
        return
    with TemporaryDirectory(prefix="cnnviz-") as folder:
        yield prepare_pixels(data, folder)


def _interruptible(how: str) -> AbstractContextManager[None]:
    """After Ctrl-C shows how the command is resumed."""
    return stoppable(f"Interrupted. What is done is kept: {how}.")


def make_bars(*columns: BarColumn | TextColumn | MofNCompleteColumn) -> Bars:
    """Progress bars on stderr, hidden where that is no terminal."""
    console = Console(stderr=True)
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def _progress_bars() -> Iterator[Callable[[TrainingStatus], None]]:
    """Bars of the epoch and of all epochs, on a terminal only; and a line for each epoch."""
    from cnnviz.training.runs import best_of, finished

    with make_bars(TextColumn("{task.fields[figures]}")) as bars:
        all_epochs = bars.add_task("All epochs", total=None, figures="")
        this_epoch = bars.add_task("Epoch", total=None, figures="")
        printed = 0

        def report(now: TrainingStatus) -> None:
            nonlocal printed
            if now.message:
                bars.console.print(now.message, highlight=False, soft_wrap=True)
            if not now.epoch:
                bars.update(
                    this_epoch,
                    total=now.photos,
                    completed=now.photos_done,
                    description="Convolutions, once a photo",
                )
                return
            figures = f"loss {now.loss:.4f}  accuracy {now.accuracy:.2%}"
            done = (now.epoch - 1) * now.steps + now.step
            best = f"best {best_of(now.history).val_accuracy:.2%}" if finished(now.history) else ""
            bars.update(all_epochs, total=now.epochs * now.steps, completed=done, figures=best)
            bars.update(
                this_epoch,
                total=now.steps,
                completed=now.step,
                description=f"Epoch {now.epoch}",
                figures=figures,
            )
            if len(now.history) > printed and now.step == now.steps:
                printed = len(now.history)
                last = now.history[-1]
                bars.console.print(
                    f"epoch {last.number}/{now.epochs}  {figures}  "
                    f"validation: loss {last.val_loss:.4f}  accuracy {last.val_accuracy:.2%}  "
                    f"{last.seconds:.1f} s",
                    highlight=False,
                    soft_wrap=True,
                )

        yield report
