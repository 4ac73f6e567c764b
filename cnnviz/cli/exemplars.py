"""The command ``exemplars``: the photos that excite the channels of a layer most, and least."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnviz.cli.inputs import Json, Model, Preset, Trust, check_ending, class_index, load_for_photos
from cnnviz.cli.terminal import clear_errors, finish, progress_bar, say, show_rows, stoppable
from cnnviz.errors import DataError
from cnnviz.numerals import number
from cnnviz.storage import write_whole

if TYPE_CHECKING:
    from cnnviz.batch.runs import Row
    from cnnviz.networks.network import Network
    from cnnviz.photos.sources import PhotoSource
    from cnnviz.results import ChannelExemplars, ClassExemplars, Exemplar

_COLUMNS = ("channel", "excite_it_most", "value", "excite_it_least", "least_value")
_CLASS_COLUMNS = ("taken_for", "kind", "photo", "confidence", "is")
# In place of a class.
_ALL = "all"
# Photos of each channel that the table names.
_LISTED = 3
# What takes the place of a folder.
_DIGITS, _SAMPLES = "digits", "samples"


def exemplars(
    model: Model,
    photos: Annotated[
        str,
        typer.Argument(
            metavar="PHOTOS",
            help=f"A folder of photos, prepared data, {_DIGITS!r} (5,000 handwritten ones), or "
            f"{_SAMPLES!r} (the sample pictures).",
        ),
    ],
    layer: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="A layer's path, as 'layers' lists it."),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="Such as 0-63 or 3,17,40-47; else all."),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="CLASS",
            help="In place of a layer a class, by name or number, or 'all'; may be repeated.",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", min=1, max=100, help="Photos of each kind; 9 by default."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="A .png file: rows of pictures."),
    ] = None,
    preset: Preset = None,
    as_json: Json = False,
    trust: Trust = False,
) -> None:
    """Find the photos that excite each channel of a layer most, and those that do least.

    They are kept with the model, and the app shows them beside the channel. With --class it finds
    the photos that the network takes for a class: those of which it is surest, least sure, and
    surest though the photo is in the sub-folder of another class. The page Class activation map
    shows these.
    """
    if out is not None:
        check_ending(out, (".png",))
    if (layer is None) == (not classes) or (channels is not None and layer is None):
        raise typer.BadParameter("Name a layer with --layer, or classes with --class.")
    numbers = None if channels is None else _numbers(channels)
    from cnnviz.features.merging import COUNT

    most = COUNT if count is None else count
    with clear_errors(), stoppable("Stopped; nothing is kept."):
        network = load_for_photos(model, trust, preset)
        source = _source(photos, network)
        if layer is not None:
            failures = _of_layer(network, model, source, layer, numbers, most, out, as_json)
        else:
            failures = _of_classes(network, model, source, classes or [], most, out, as_json)
    if out is not None:
        say(f"Wrote {out}.")
    finish(failures)


def _of_layer(
    network: Network,
    model: Path,
    source: PhotoSource,
    layer: str,
    numbers: list[int] | None,
    count: int,
    out: Path | None,
    as_json: bool,
) -> dict[str, str]:
    """Exemplars of channels; returns why photos were left out, by name."""
    from cnnviz.batch.exemplar_search import find_gallery
    from cnnviz.features import kept_galleries

    with progress_bar(len(source.names), as_json) as show:
        found = find_gallery(network, source, layer, numbers, count=count, progress=show)
    gallery = found.gallery
    path = kept_galleries.keep(model, network.fingerprint, gallery)
    if out is not None:
        from cnnviz.figures.exemplars import contact_sheet
        from cnnviz.photos.encoding import encode_png

        write_whole(out, encode_png(contact_sheet(gallery, network.card.title)))
    listed = gallery.found.channels
    show_rows((_row(one, as_json) for one in listed), _COLUMNS, as_json)
    say(f"{len(listed):,} channels of {layer}, from {gallery.source}. Kept in {path}.")
    return found.failures


def _of_classes(
    network: Network,
    model: Path,
    source: PhotoSource,
    classes: list[str],
    count: int,
    out: Path | None,
    as_json: bool,
) -> dict[str, str]:
    """Exemplars of classes; returns why photos were left out, by name."""
    from cnnviz.batch.exemplar_search import class_gallery, find_for_classes
    from cnnviz.features import kept_galleries

    wanted = [] if classes == [_ALL] else [class_index(network, one) for one in classes]
    with progress_bar(len(source.names), as_json) as show:
        found = find_for_classes(network, source, wanted, count=count, progress=show)
    gallery = class_gallery(network, source, found)
    path = kept_galleries.keep_classes(model, network.fingerprint, gallery)
    if out is not None:
        from cnnviz.figures.exemplars import class_sheet
        from cnnviz.photos.encoding import encode_png

        write_whole(out, encode_png(class_sheet(gallery, network.card.title)))
    rows = (row for one in found.classes for row in _class_rows(one))
    if as_json:
        rows = (asdict(one) for one in found.classes)
    show_rows(rows, _CLASS_COLUMNS, as_json)
    counts = ", ".join(f"{one.count:,} for {one.label}" for one in found.classes if one.count)
    say(f"From {found.source} it takes {counts or 'none for these classes'}. Kept in {path}.")
    if not found.truths:
        say("No errors are listed: the photos are not in sub-folders with the names of classes.")
    return found.failures


def _class_rows(found: ClassExemplars) -> Iterator[Row]:
    for kind, listed in (
        ("surest", found.confident),
        ("least sure", found.doubtful),
        ("surest, but wrong", found.wrong),
    ):
        for one in listed:
            yield {
                "taken_for": found.label,
                "kind": kind,
                "photo": one.photo,
                "confidence": one.probability,
                "is": one.truth,
            }


def _numbers(text: str) -> list[int]:
    """The numbers that a text like ``0-63`` or ``3,17,40-47`` names, each once.

    Raises:
        typer.BadParameter: it names none.
    """
    numbers: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", part)
        if match is None:
            break
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            break
        numbers.update(dict.fromkeys(range(first, last + 1)))
    else:
        return list(numbers)
    raise typer.BadParameter(
        f"Expected numbers such as 0-63 or 3,17,40-47. Received: {text}", param_hint="'--channels'"
    )


def _source(name: str, network: Network) -> PhotoSource:
    """The photos that a name means.

    Raises:
        DataError: there are none.
    """
    from cnnviz.photos import sources
    from cnnviz.photos.samples import samples
    from cnnviz.training.data.manifest import MANIFEST, read_prepared
    from cnnviz.training.data.prepared_photos import prepared_photos

    folder = Path(name)
    if name == _DIGITS:
        return sources.digit_photos()
    if name == _SAMPLES:
        return sources.sample_photos(samples())
    if not folder.is_dir():
        raise DataError(f"There is no folder {name}. Name one, or {_DIGITS!r} or {_SAMPLES!r}.")
    if (folder / MANIFEST).is_file():
        return prepared_photos(read_prepared(folder), network.card.preprocessing)
    return sources.folder_photos(folder, network.card.labels)


def _row(channel: ChannelExemplars, as_json: bool) -> Row:
    if as_json:
        return asdict(channel)
    most, least = channel.most[:_LISTED], channel.least[:_LISTED]
    return {
        "channel": channel.channel,
        "excite_it_most": _names(most),
        "value": _values(most),
        "excite_it_least": _names(least),
        "least_value": _values(least),
    }


def _names(ends: tuple[Exemplar, ...]) -> str:
    return ", ".join(one.photo for one in ends)


def _values(ends: tuple[Exemplar, ...]) -> str:
    return ", ".join(number(one.value) for one in ends)
