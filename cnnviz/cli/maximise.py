"""The command ``maximise``: the pictures that excite channels or classes most."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cnnviz
from cnnviz.cli.inputs import Json, Model, Preset, Trust, check_folder, class_index, load_for_photos
from cnnviz.cli.terminal import clear_errors, counting, say, show_rows, stoppable
from cnnviz.errors import LayerError
from cnnviz.storage import write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnviz.batch.runs import Row
    from cnnviz.features.objectives import Ascent, Maximised, Objective
    from cnnviz.networks.network import Network


def maximise(
    model: Model,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", file_okay=False, help="The folder for the pictures; made if missing."
        ),
    ],
    layer: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="A layer's path, as 'layers' lists it; with --channel."),
    ] = None,
    channels: Annotated[
        list[int] | None,
        typer.Option(
            "--channel",
            metavar="NUMBER",
            min=0,
            help="A channel of the layer; may be given again. Else the first eight.",
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class", metavar="CLASS", help="A class, by name or number; may be given again."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="A class whose score is subtracted from that of each."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of all that is random: the same one, the same picture.")
    ] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="How many; else the usual number.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", metavar="PHOTO", help="A photo to start from; else random noise."),
    ] = None,
    phase: Annotated[
        bool,
        typer.Option(
            "--phase", help="Change phases alone (MACO): magnitudes stay those of photos."
        ),
    ] = False,
    preset: Preset = None,
    as_json: Json = False,
    trust: Trust = False,
) -> None:
    """Draw the pictures that excite channels of a layer most, or classes.

    Writes a PNG file for each, and prints what the network says of it after eight other crops and
    JPEG compression: the lowest probability of the class, or the channel's mean activation.
    """
    if (layer is None) == (not classes):
        raise typer.BadParameter("Give either --layer or --class.", param_hint="'--layer'")
    if channels and layer is None:
        raise typer.BadParameter("A channel needs its --layer.", param_hint="'--channel'")
    from cnnviz.features.objectives import MOST_STEPS, OF_CLASSES_PHASE

    if steps is not None and steps > MOST_STEPS:
        raise typer.BadParameter(f"At most {MOST_STEPS:,} are taken.", param_hint="'--steps'")
    with clear_errors(), stoppable("Stopped: nothing was written."):
        check_folder(out)
        photo = None if start is None else cnnviz.open_photo(start)
        network = load_for_photos(model, trust, preset)
        objectives = _objectives(network, layer, channels or (), classes or (), against)
        ways = cnnviz.usual_ascents(network, objectives[0], seed)
        if phase:
            ways = [dataclasses.replace(OF_CLASSES_PHASE, side=ways[0].side, seed=seed)]
        if steps is not None:
            ways = [dataclasses.replace(way, steps=steps) for way in ways]
        with counting("Steps", as_json) as progress:
            found = cnnviz.maximise(
                network,
                objectives,
                ways,
                start=None if photo is None else _square(network, photo, ways[0]),
                progress=progress,
            )
        names = _names(network, objectives)
        for name, picture in zip(names, found.pictures, strict=True):
            write_whole(out / f"{name}.png", cnnviz.encode_png(picture))
        columns = ("picture", "value", "afterwards", "says")
        show_rows(_rows(found, names, as_json), columns, as_json)
    say(f"Wrote {len(names)} pictures to {out}.")


def _objectives(
    network: Network,
    layer: str | None,
    channels: list[int] | tuple[int, ...],
    classes: list[str] | tuple[str, ...],
    against: str | None,
) -> list[Objective]:
    from cnnviz.features.objectives import Objective

    if layer is None:
        rival = None if against is None else class_index(network, against)
        return [Objective(None, class_index(network, one), rival) for one in dict.fromkeys(classes)]
    if not channels:
        shapes = {one.path: one.output_shape for one in network.layers}
        if layer not in shapes:
            raise LayerError(f"This network has no layer {layer!r}. 'layers' lists them.")
        count = shapes[layer][-1] if shapes[layer] else None
        channels = list(range(min(8, count or 1)))
    return [Objective(layer, number) for number in dict.fromkeys(channels)]


def _square(network: Network, photo: NDArray[np.uint8], way: Ascent) -> NDArray[np.uint8]:
    """The middle of a photo, with the side and the channels of the pictures."""
    from cnnviz.photos.preprocessing import network_view

    steps = network.card.preprocessing
    size = {"height": way.side, "width": way.side, "channels": min(steps.channels, 3)}
    return network_view(photo, steps.model_copy(update={"fit": "crop", **size}))


def _names(network: Network, objectives: list[Objective]) -> list[str]:
    """Names of files, all different: classes may have the same name."""
    names = [_name(network, one) for one in objectives]
    count = Counter(names)
    pairs = zip(names, objectives, strict=True)
    return [name if count[name] == 1 else f"{name}-{one.index}" for name, one in pairs]


def _name(network: Network, objective: Objective) -> str:
    """A file name of letters, digits, dots and dashes."""
    labels = network.card.labels
    words = [objective.layer or labels[objective.index]]
    if objective.layer is not None:
        words.append(str(objective.index))
    if objective.against is not None:
        words += ["minus", labels[objective.against]]
    text = "-".join(words)
    return "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in text)


def _rows(found: Maximised, names: list[str], as_json: bool) -> Iterator[Row]:
    from cnnviz.features.found import stays_silent

    for at, name in enumerate(names):
        objective, ascent, values = found.objectives[at], found.ascents[at], found.values[at]
        checked = found.check.values[at]
        afterwards = float(checked.min() if objective.layer is None else checked.mean())
        says = found.check.labels[at] if objective.layer is None else ""
        if stays_silent(values):
            says = "silent: nothing changed it"
        row: Row = {"picture": f"{name}.png"}
        if as_json:
            row |= {
                "value": float(values[-1]),
                "afterwards": checked.tolist(),
                "says": says,
                "values": values.tolist(),
                "ascent": dataclasses.asdict(ascent),
            }
        else:
            is_share = objective.layer is None
            row |= {
                "value": f"{values[-1]:.3g}",
                "afterwards": afterwards if is_share else f"{afterwards:.3g}",
                "says": says,
            }
        yield row
