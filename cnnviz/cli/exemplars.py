"""The command ``exemplars``: the photos that excite the channels of a layer most, and least."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnnviz.cli.inputs import Json, Model, Preset, Trust, check_ending, load_for_photos
from cnnviz.cli.terminal import clear_errors, finish, progress_bar, say, show_rows, stoppable
from cnnviz.errors import DataError
from cnnviz.features.merging import COUNT
from cnnviz.storage import write_whole

if TYPE_CHECKING:
    from cnnviz.batch.runs import Row
    from cnnviz.networks.network import Network
    from cnnviz.photos.sources import PhotoSource
    from cnnviz.results import ChannelExemplars, Exemplar

_COLUMNS = ("channel", "excite_it_most", "value", "excite_it_least", "least_value")
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
        str, typer.Option(metavar="PATH", help="A layer's path, as 'layers' lists it.")
    ],
    channels: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="Such as 0-63 or 3,17,40-47; else all."),
    ] = None,
    count: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, max=100, help="Photos at either end.")
    ] = COUNT,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", dir_okay=False, help="A .png file: a row of pictures a channel."
        ),
    ] = None,
    preset: Preset = None,
    as_json: Json = False,
    trust: Trust = False,
) -> None:
    """Find the photos that excite each channel of a layer most, and those that do least.

    They are kept with the model, and the pages Filters and Activations show them beside the
    channel.
    """
    if out is not None:
        check_ending(out, (".png",))
    numbers = None if channels is None else _numbers(channels)
    with clear_errors(), stoppable("Stopped; nothing is kept."):
        from cnnviz.batch.exemplar_search import find_gallery
        from cnnviz.features import kept_galleries

        network = load_for_photos(model, trust, preset)
        source = _source(photos, network)
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
    if out is not None:
        say(f"Wrote {out}.")
    finish(found.failures)


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
    from cnnviz.batch.exemplar_search import prepared_photos
    from cnnviz.photos import sources
    from cnnviz.photos.samples import samples
    from cnnviz.training.data.manifest import MANIFEST, read_prepared

    folder = Path(name)
    if name == _DIGITS:
        return sources.digit_photos()
    if name == _SAMPLES:
        return sources.sample_photos(samples())
    if not folder.is_dir():
        raise DataError(f"There is no folder {name}. Name one, or {_DIGITS!r} or {_SAMPLES!r}.")
    if (folder / MANIFEST).is_file():
        return prepared_photos(read_prepared(folder), network)
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
    return ", ".join(f"{one.value:.3g}".replace("-", "−") for one in ends)
