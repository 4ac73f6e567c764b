"""What several commands take: their arguments, photos by pattern, and the model's file."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import cnnviz
from cnnviz.attribution.methods import ANY_LAYER, METHODS
from cnnviz.cards import PRESETS
from cnnviz.cli.terminal import say
from cnnviz.errors import CardError, StorageError

if TYPE_CHECKING:
    from cnnviz.networks.network import Network

Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        exists=True,
        help="A saved model: a .keras or .h5 file, or a .zip file with one inside.",
    ),
]
Photos = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTO",
        help="Photos, folders (with their sub-folders), quoted globs, or pictures of data sets: "
        "mnist.npz#22, mnist.npz#x_train/22.",
    ),
]
Photo = Annotated[
    Path,
    typer.Argument(
        metavar="PHOTO",
        help="A photo, or a picture of a data set: mnist.npz#22 (of x_test, counted from 0), "
        "mnist.npz#x_train/22.",
    ),
]
Layer = Annotated[
    str, typer.Argument(metavar="LAYER", help="A layer's path, as 'layers' lists it.")
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Hand Keras the model's file itself, for a model that you made; else it is inspected.",
    ),
]
# The choices of --preset. A type checker cannot know them.
if TYPE_CHECKING:
    PresetName = str
else:
    PresetName = Literal[tuple(PRESETS)]
Preset = Annotated[
    PresetName | None,
    typer.Option(
        "--preset",
        help="The values of the pixels that the network takes, for a model without a card: none "
        "(0 to 255), unit (0 to 1), tf (-1 to 1), torch or caffe (ImageNet's mean), "
        "teachable-machine (-1 to 1, cropped in the middle).",
    ),
]
# The choices of --method.
if TYPE_CHECKING:
    Method = str
else:
    Method = Literal[tuple(METHODS)]
Target = Annotated[
    str | None,
    typer.Option(
        "--class", metavar="CLASS", help="A class, by name or number; else the predicted one."
    ),
]
ChosenMethod = Annotated[
    Method | None,
    typer.Option(
        "--method",
        metavar="METHOD",
        help=f"{', '.join(METHODS)}; else the best for how the network ends.",
    ),
]
ExplainedLayer = Annotated[
    str | None,
    typer.Option(
        "--layer",
        metavar="PATH",
        help=f"The layer, for {', '.join(ANY_LAYER)}; else the last with maps.",
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="CLASS",
        help="A class to compare with: its score is subtracted first.",
    ),
]
Judge = Annotated[
    bool,
    typer.Option(
        "--judge", help="Also say whether each map can be believed, which takes more runs."
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a line instead of a table.")
]


def load_network(path: Path, trusted: bool) -> Network:
    """Loads a model, with a note on stderr if it has no card."""
    return _load(path, trusted, None)


def load_for_photos(path: Path, trusted: bool, preset: str | None) -> Network:
    """Loads a model that is to run on photos.

    Raises:
        CardError: nothing says which values of the pixels the network takes.
    """
    network = _load(path, trusted, preset)
    if network.card.preprocessing.scaling == "unknown":
        raise CardError(
            f"{path.name} does not show which values of the pixels the network takes, and the "
            "wrong ones give wrong classes. Give the option --preset with what it was trained on: "
            f"{', '.join(PRESETS)}. In most lessons that is unit, photos divided by 255. "
            "The command 'card' keeps it in a card beside the model."
        )
    return network


def _load(path: Path, trusted: bool, preset: str | None) -> Network:
    network = cnnviz.load_model(path, trusted=trusted, preset=preset)
    if network.card.inferred:
        say(f"Note: there is no card beside {path.name}. {network.card.description}")
    return network


def class_index(network: Network, text: str) -> int:
    """The index of a class: of the label ``text`` if there is one, else the number itself.

    Raises:
        TargetError: there is no such class.
    """
    from cnnviz.networks import predictions

    by_label = text in network.card.labels or not text.isdecimal()
    return predictions.class_index(network, text if by_label else int(text))


def find_photos(patterns: Iterable[str]) -> tuple[list[Path], dict[str, str]]:
    """Lists the photos that files, folders and globs name, each once.

    Returns:
        The photos' files, and the reason for each pattern that matches no photo.
    """
    photos: dict[Path, None] = {}
    failures = {}
    for pattern in patterns:
        path = Path(pattern)
        matches = [path]
        if not path.exists() and glob.has_magic(pattern):
            # As a shell does it; Path.glob takes no absolute pattern and finds hidden files.
            names = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
            matches = [Path(name) for name in names]
        matched = [photo for match in matches for photo in _photos_at(match)]
        if not matched:
            failures[pattern] = "There is no photo here."
        photos.update(dict.fromkeys(matched))
    return list(photos), failures


def _photos_at(path: Path) -> Iterator[Path]:
    """A file itself; for a folder the photos in it and below, in order."""
    if not path.is_dir():
        return iter([path])
    from cnnviz.photos.sources import photos_in

    return photos_in(path)


def check_folder(path: Path) -> None:
    """Checks that a folder can be made and written to, without making it.

    Raises:
        StorageError: it cannot.
    """
    present = next(
        folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists()
    )
    if not present.is_dir() or not os.access(present, os.W_OK | os.X_OK):
        raise StorageError(
            f"{path} cannot be written: {present} is not a folder that you may write in."
        )


def check_ending(path: Path, endings: Iterable[str]) -> str:
    """The ending of the file to write, in lower case.

    Raises:
        typer.BadParameter: it is none of ``endings``.
    """
    ending = path.suffix.lower()
    if ending not in endings:
        raise typer.BadParameter(
            f"{path} must end in {' or '.join(endings)}.", param_hint="'--out'"
        )
    return ending
