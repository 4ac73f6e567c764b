"""One value's arithmetic as the focus view shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cnnviz import numerals
from cnnviz.arrays import Floats, largest_magnitude
from cnnviz.cards import Preprocessing
from cnnviz.drawing import Shading, activation_shading, finite
from cnnviz.geometry import photo_pixels
from cnnviz.results import ClassActivationMap
from cnnviz.traces import TraceInput, TraceTerm, ValueTrace
from cnnviz.ui.components.focus import Arithmetic, Asked, CellMap, Frame, Term
from cnnviz.ui.components.scenes import Rectangle
from cnnviz.ui.page_parts.explore import trace_sentences, wording

# The values of a layer for the photo, (h, w, K) or (K,); None where they cannot be had.
Maps = Callable[[str], Floats | None]

# Cells of a small map along its longer side; of a larger one a cell is the mean of several.
_THUMBNAIL = 120
# A channel that is pooled as a whole has all of its cells, up to that many.
_LARGEST_WHOLE = 512


def build(
    trace: ValueTrace,
    frame: Frame,
    values: CellMap | None,
    maps: Maps,
    box: Rectangle | None,
    colours: tuple[str, ...] = (),
) -> Arithmetic:
    """The content of a value's arithmetic.

    Args:
        trace: of the value.
        frame: what all contents have.
        values: the map that the value is in.
        maps: the values of the layers that were read.
        box: the receptive field in shares of the photo.
        colours: the names of the input's channels, if the trace reads the photo's colours.
    """
    form = _form(trace)
    listed = form in {"ranked", "list"}
    products = [term.inputs * term.weights for term in trace.terms]
    amounts = [term.total for term in trace.terms]
    if listed:
        amounts += [trace.rest] * (trace.others > 0)
        amounts += [] if trace.bias is None else [trace.bias]
    # Not the solid colours: the numbers are to be read on them.
    limits = [
        1.5 * max((largest_magnitude(each) for each in group), default=0.0) or 1.0
        for group in ([term.weights for term in trace.terms], products)
    ]
    return Arithmetic(
        frame=frame,
        form=form,
        heading=_heading(trace, form),
        terms=[_term(trace, term, maps, form, colours) for term in trace.terms],
        totals=np.array(amounts, np.float32),
        more=wording.of_others(trace) if listed else [],
        sums=trace.combine == "sum",
        weight_limit=np.array(limits, np.float32),
        winner=_winner(trace),
        results=[*wording.sum_results(trace, listed=listed), *wording.step_results(trace)],
        map=values,
        sentence=trace_sentences.sentence(trace),
        box=box,
        caption=trace_sentences.caption(trace),
        links=[] if trace.terms else [_link(one) for one in trace.inputs if len(one.shape) == 3],
    )


def field_on_photo(
    trace: ValueTrace, height: int, width: int, preprocessing: Preprocessing
) -> Rectangle | None:
    """The receptive field in shares of a photo (height, width): left, top, width, height."""
    if trace.field.box is None:
        return None
    box = photo_pixels(trace.field.box, height, width, preprocessing)
    if box is None:
        return None
    return (
        box.left / width,
        box.top / height,
        (box.right - box.left) / width,
        (box.bottom - box.top) / height,
    )


def layer_map(
    path: str, values: Floats, channel: int, selected: tuple[int, int] | None, shading: Shading
) -> CellMap:
    """One channel of a layer (h, w, K), or all units of a layer (K,) or (1, 1, K), as a map."""
    ends = numerals.number(shading.low), numerals.number(shading.high)
    if values.size == values.shape[-1]:
        cells = arranged(values.ravel())
        place = (channel // cells.shape[1], channel % cells.shape[1])
        title = f"Unit {channel} of {values.size:,}"
        event = Asked("cell", path, channel, 0, 0)
        return CellMap(
            title, cells[None], shading.limits, shading.colours, "output", ends, place, event, True
        )
    # Rows of numbers (T, K) are a map of one column.
    cells = finite(values.reshape(len(values), -1, values.shape[-1])[..., channel])
    height, width = cells.shape
    return CellMap(
        title=f"Channel {channel}, {height} × {width}",
        values=cells[None],
        limits=shading.limits,
        colours=shading.colours,
        unit="activation",
        ends=ends,
        selected=selected,
        event=Asked("cell", path, channel),
    )


def class_map(cam: ClassActivationMap, limit: float, selected: tuple[int, int]) -> CellMap:
    """The map of a class."""
    height, width = cam.values.shape
    return CellMap(
        title=f"Evidence for {cam.target}, {height} × {width}",
        values=finite(cam.values)[None],
        limits=(-limit, limit),
        colours="blue-orange",
        unit="evidence",
        ends=(numerals.number(-limit), numerals.signed(limit)),
        selected=selected,
        event=Asked("map", cam.target),
    )


def thumbnail(cells: Floats, longest: int = _THUMBNAIL) -> NDArray[np.float32]:
    """A map (h, w) as (1, h', w'), each cell of a large one the mean of a block."""
    size = -(-max(cells.shape) // longest)
    values = finite(cells)
    for axis in (0, 1):
        starts = np.arange(0, values.shape[axis], size)
        lengths = np.diff(starts, append=values.shape[axis]).astype(np.float32)
        sums = np.add.reduceat(values, starts, axis=axis)
        values = (sums / np.expand_dims(lengths, 1 - axis)).astype(np.float32)
    return values[None]


def arranged(values: Floats) -> NDArray[np.float32]:
    """Units (K,) in rows of equal length, as square as can be; NaN beyond the last one."""
    across = int(np.ceil(np.sqrt(len(values))))
    cells = np.full((-(-len(values) // across), across), np.nan, np.float32)
    cells.flat[: len(values)] = finite(values)
    return cells


def _form(trace: ValueTrace) -> Literal["patch", "ranked", "list", "pool", "none"]:
    if not trace.terms:
        return "none"
    patch = trace.terms[0].inputs.size > 1
    if patch and len(trace.terms) == 1 and not trace.others:
        same = np.ptp(trace.terms[0].weights) == 0
        return "pool" if same and (trace.combine != "sum" or wording.is_mean(trace)) else "patch"
    return "ranked" if patch else "list"


def _link(given: TraceInput) -> tuple[str, Asked]:
    size = " × ".join(map(str, given.shape))
    return f"Its input {wording.name_of(given.layer)}, {size}", Asked("stage", given.layer)


def _heading(trace: ValueTrace, form: str) -> str:
    if form == "none":
        return ""
    height, width = (*trace.inputs[0].shape, 1, 1)[:2]
    size = "" if (height, width) == (1, 1) else f", {height} × {width}"
    if form in {"patch", "pool"}:
        return f"Input{size}"
    several = len(trace.inputs) > 1
    what = "layers" if several else "units" if not size else "channels"
    total = len(trace.terms) + trace.others
    if form == "ranked" and trace.others:
        return f"Largest {len(trace.terms)} of {total:,} {what}"
    if trace.others:
        return f"Largest {len(trace.terms)} of {total:,} {what}{size}"
    return f"{total:,} {what if total > 1 else what[:-1]}{size}"


def _term(
    trace: ValueTrace, term: TraceTerm, maps: Maps, form: str, colours: tuple[str, ...]
) -> Term:
    values = maps(term.layer)
    size = next(one.shape for one in trace.inputs if one.layer == term.layer)
    small, shading = None, Shading("teal", 0.0, 1.0)
    # The process of an untrusted model may give other maps than the trace is about.
    if values is not None and values.size == np.prod(size):
        shading = activation_shading(values, "teal")
        if values.ndim > 1 and (size[0], size[1]) != (1, 1):
            cells = values.reshape(size)[..., term.channel]
            whole = term.inputs.shape == size[:2]
            small = thumbnail(cells, _LARGEST_WHOLE if whole else _THUMBNAIL)
    else:
        shading = activation_shading(term.inputs, "teal")
    return Term(
        layer=term.layer,
        channel=term.channel,
        name=_name(trace, term, form, colours),
        size=(size[0], size[1]),
        rows=term.rows,
        columns=term.columns,
        inputs=np.asarray(term.inputs, np.float32),
        weights=np.asarray(term.weights, np.float32),
        map=small,
        limits=shading.limits,
        colours=shading.colours,
    )


def _name(trace: ValueTrace, term: TraceTerm, form: str, colours: tuple[str, ...]) -> str:
    if len(trace.inputs) > 1:
        return f"{wording.name_of(term.layer)}, channel {term.channel}"
    if colours and term.channel < len(colours):
        return colours[term.channel]
    return f"channel {term.channel}" if form in {"patch", "pool"} else f"#{term.channel}"


def _winner(trace: ValueTrace) -> tuple[int, int] | None:
    if trace.combine not in {"maximum", "minimum"} or len(trace.terms) != 1:
        return None
    inputs = trace.terms[0].inputs
    at = inputs.argmax() if trace.combine == "maximum" else inputs.argmin()
    row, column = np.unravel_index(at, inputs.shape)
    return int(row), int(column)
