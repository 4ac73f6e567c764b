"""One channel of a layer, beside the filter that made it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz import numerals
from cnnviz.arrays import Bytes, Floats, largest_magnitude
from cnnviz.drawing import finite
from cnnviz.results import Filters
from cnnviz.ui.components.focus import Asked, CellMap, Channel, Frame
from cnnviz.ui.components.walk import Text
from cnnviz.ui.page_parts.explore import wording

# Inputs whose kernels are shown, the strongest, and whose weights are listed.
_MOST, _MOST_LISTED = 9, 10


def channel(
    frame: Frame,
    drawn: CellMap,
    maps: Floats,
    number: int,
    weights: Filters | None,
    links: Sequence[tuple[str, Asked]],
    colours: tuple[str, ...],
) -> Channel:
    """The content of one channel.

    Args:
        frame: what all contents have.
        drawn: the channel.
        maps: (h, w, K), the activations of its layer.
        number: of the channel.
        weights: the kernels of the convolution that made it; None where no single one did.
        links: to other pages.
        colours: the names of the network's input channels.
    """
    if weights is None:
        note = "Branches meet before this layer, so no single filter made the channel."
        return Channel(frame, drawn, "", None, (), 1.0, None, note, links, _numbers(maps, number))
    kernels = weights.kernels if weights.pointwise is None else weights.pointwise
    kernel = finite(kernels[..., number])
    height, width, inputs = kernel.shape
    strength = np.nan_to_num(np.square(kernel)).sum(axis=(0, 1))
    most = _MOST if max(height, width) > 1 else _MOST_LISTED
    order = np.argsort(-strength, kind="stable")[:most]
    rgb = inputs == 3 and len(colours) == 3 and max(height, width) > 1
    if rgb:
        order = np.arange(3)
    names = [colours[k] if rgb else f"channel {k}" for k in order]
    name = wording.name_of(weights.layer)
    return Channel(
        frame=frame,
        map=drawn,
        heading=f"Filter {number} of {name}",
        kernels=np.moveaxis(kernel[..., order], -1, 0),
        names=["its one input"] if inputs == 1 else names,
        limit=largest_magnitude(kernel) or 1.0,
        colour=_picture(kernel, colours) if rgb else None,
        note=_note(inputs, len(order), weights, number),
        links=links,
        sentence=_numbers(maps, number),
    )


def count(weights: Filters) -> int:
    """How many filters there are."""
    kernels = weights.kernels if weights.pointwise is None else weights.pointwise
    return kernels.shape[-1]


def _picture(kernel: Floats, colours: tuple[str, ...]) -> Bytes:
    """A kernel (kh, kw, 3) as a picture: grey is zero."""
    in_order = kernel[..., [colours.index(name) for name in ("red", "green", "blue")]]
    share = np.nan_to_num(in_order) / (largest_magnitude(kernel) or 1.0)
    return np.rint(127.5 + 127.5 * share).astype(np.uint8)


def _note(inputs: int, listed: int, weights: Filters, number: int) -> str:
    parts = [f"The strongest {listed} of {inputs:,} inputs."] if listed < inputs else []
    if weights.pointwise is not None:
        parts.append("Its pointwise weights, after a depthwise kernel for each input.")
    if weights.biases is not None and np.isfinite(weights.biases[number]):
        parts.append(f"Bias {numerals.signed(float(weights.biases[number]))}.")
    return " ".join(parts)


def _numbers(maps: Floats, number: int) -> Text:
    values = np.nan_to_num(finite(maps))
    cells, deviations = values[..., number], values.std(axis=(0, 1))
    rank = int((deviations > deviations[number]).sum()) + 1
    active = np.count_nonzero(cells)
    strength = "strongest" if rank == 1 else f"number {rank:,} by strength"
    return [
        (f"In this photo it reaches from {numerals.number(cells.min())} to ", ""),
        (numerals.number(cells.max()), "strong"),
        (
            f", {numerals.number(cells.mean())} on average; {active:,} of {cells.size:,} cells are "
            f"not zero. Of {len(deviations):,} channels it is the {strength}. "
            "Click a cell to see where its number comes from.",
            "",
        ),
    ]
