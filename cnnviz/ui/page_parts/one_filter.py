"""The Filters page's one filter: its kernels, or what it adds up; numbers and downloads."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats, largest_magnitude
from cnnviz.drawing import Limits, Shading, colour_limits, finite
from cnnviz.errors import CnnvizError
from cnnviz.exports import filters_csv
from cnnviz.figures.kernels import (
    WeightedMap,
    kernels_side_by_side,
    weight_strip,
    weighted_maps,
)
from cnnviz.figures.maps import heatmap
from cnnviz.numerals import number as digits
from cnnviz.numerals import written
from cnnviz.results import Filters
from cnnviz.ui import parts
from cnnviz.ui.components import viewer
from cnnviz.ui.page_parts.filters import input_names, is_in_colour, rank, scopes
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# The scale of weights on both sides of zero.
_SIGNED = "blue-orange"
# Pixels of a kernel, so that it fits into the window.
_LARGEST = (480, 320)
# Inputs of a filter that are listed one by one.
_MOST_INPUTS = 8


def draw(scene: Scene, weights: Filters, number: int, channel: int | None, scaling: str) -> None:
    """One filter with its raw weights; of one with a weight for each input, what it adds up.

    Args:
        scene: model and photo.
        weights: of the layer.
        number: of the filter.
        channel: the input channel whose kernel is drawn; None for all of them together.
        scaling: how the grid is coloured: with ``own``, the filter has a scale of its own.
    """
    kernels = weights.kernels[..., number]
    of_scale = kernels if scaling == "own" else weights.kernels
    limits = colour_limits(finite(of_scale), centred=True)
    unit = f"weight (scale of the whole {'filter' if scaling == 'own' else 'layer'})"
    colours = viewer.page_colours(_SIGNED)
    names = input_names(scene, weights)
    if channel is not None:
        figure = heatmap(
            kernels[:, :, channel],
            title=f"Filter {number}" + (f", {names[channel]}" if len(names) > 1 else ""),
            unit=unit,
            colours=colours,
            centred=True,
            limits=limits,
            hover="weight",
            largest=_LARGEST,
        )
    elif is_in_colour(scene, weights, channel):
        figure = kernels_side_by_side(
            kernels,
            [name.partition("(")[2].rstrip(")") for name in names],
            title=f"Filter {number}, colour by colour",
            unit=unit,
            colours=colours,
            limits=limits,
        )
    else:
        _sum(scene, weights, number)
        figure = weight_strip(
            kernels[0, 0],
            title=f"Filter {number}: all {len(names):,} weights",
            unit=unit,
            colours=colours,
            limits=limits,
        )
    parts.chart(figure, "one filter")


def _sum(scene: Scene, weights: Filters, number: int) -> None:
    """The inputs that a filter weighs most, with their maps of the photo."""
    filter_ = weights.kernels[0, 0, :, number]
    order = strongest_inputs(filter_)
    maps, problem = _input_maps(scene, weights)
    signed = maps is not None and bool((finite(maps) < 0).any())
    colours = viewer.page_colours(_SIGNED if signed else "teal")
    shading = Shading(colours, *_limits(maps, signed=signed))
    rows = [
        WeightedMap(
            f"input {index}", float(filter_[index]), None if maps is None else maps[..., index]
        )
        for index in order
    ]
    figure = weighted_maps(
        rows,
        rest_of(filter_, order),
        title=f"Filter {number} adds up its inputs",
        unit="the inputs’ maps of this photo",
        shading=shading,
        bars=viewer.page_colours(_SIGNED),
    )
    parts.chart(figure, "sum of the inputs")
    source = scene.outline.inputs.get(weights.layer)
    read = "" if source is None else f" The inputs are the maps of {source}."
    st.caption(
        plain(
            "Every cell of this filter’s map is the sum of the same cell of all inputs, each times "
            f"its weight{_and_bias(weights, number)}. Orange adds, blue takes away.{read}"
        )
    )
    if problem:
        st.caption(plain(problem))


def strongest_inputs(weights: Floats) -> list[int]:
    """The inputs with the largest absolute weights (n,), the largest first; NaN comes last."""
    sizes = np.nan_to_num(np.abs(weights), nan=-1, posinf=np.inf)
    return [int(index) for index in np.argsort(-sizes, kind="stable")[:_MOST_INPUTS]]


def rest_of(weights: Floats, shown: list[int]) -> tuple[str, float] | None:
    """What the last row says: how many other inputs there are, and the sum of their weights."""
    others = np.delete(weights, shown)
    if not len(others):
        return None
    return f"the other {len(others):,}, summed", float(others.sum(dtype=np.float64))


def _input_maps(scene: Scene, weights: Filters) -> tuple[Floats | None, str]:
    """The maps (h, w, C_in) that a convolution reads for the photo, or why there are none."""
    if scene.needs_preset:
        return None, (
            "Their maps appear once it is known which values this network takes: the page Explore "
            "asks for them."
        )
    source = scene.outline.inputs.get(weights.layer)
    if source is None:
        return None, "It is not known which maps this layer reads."
    try:
        maps = scene.activations(source)
    except CnnvizError as error:
        # The weights are there without a photo.
        return None, f"Their maps of this photo cannot be shown. {error}"
    if maps.ndim != 3 or maps.shape[-1] != weights.kernels.shape[2]:
        return None, "What this layer reads are no maps, one for each of its weights."
    return maps, ""


def _limits(maps: Floats | None, *, signed: bool) -> Limits:
    largest = 1.0 if maps is None else largest_magnitude(finite(maps)) or 1.0
    return (-largest if signed else 0.0, largest)


def _and_bias(weights: Filters, number: int) -> str:
    if weights.biases is None:
        return ""
    return f", plus the bias {digits(weights.biases[number])}"


def statistics(scene: Scene, weights: Filters, number: int, channel: int | None) -> None:
    """The numbers of a kernel beside those of its whole filter, each with its scope."""
    with st.container(key="numbers"):
        st.markdown(_table(scene, weights, number, channel))
    if weights.kernels.shape[2] > 1:
        st.caption(
            "Ranks count from the largest norm: a kernel among those of all filters for the same "
            "input, a filter among all filters of the layer."
        )


def _table(scene: Scene, weights: Filters, number: int, channel: int | None) -> str:
    by_scope = scopes(scene, weights, channel)
    rows = {
        "Smallest": [f"{_digits(one.minimum[number])}" for one in by_scope.values()],
        "Largest": [f"{_digits(one.maximum[number])}" for one in by_scope.values()],
        "Mean": [f"{_digits(one.mean[number])}" for one in by_scope.values()],
        "Norm": [f"{_digits(one.norm[number])}" for one in by_scope.values()],
        "Rank by norm": [rank(one.norm, number) for one in by_scope.values()],
        "Zero": [f"{100 * one.sparsity[number]:.1f} %" for one in by_scope.values()],
        "Bias": [""] * (len(by_scope) - 1) + [_bias(weights, number)],
    }
    lines = [[f"Filter {number}", *map(plain, by_scope)], [":--"] + ["--:"] * len(by_scope)]
    lines += [[label, *values] for label, values in rows.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _bias(weights: Filters, number: int) -> str:
    if weights.biases is None:
        return "none"
    if weights.pointwise is not None:
        return "none: the biases belong to the pointwise filters"
    return _digits(weights.biases[number])


def _digits(value: float) -> str:
    return written(value, ".4g")


def downloads(weights: Filters) -> None:
    """The raw weights as files."""
    stem = parts.file_stem(weights.layer)
    of_layer = weights.per_layer
    low, high, mean, norm = (
        digits(float(value))
        for value in (of_layer.minimum, of_layer.maximum, of_layer.mean, of_layer.norm)
    )
    st.caption(
        f"All {weights.kernels.size:,} weights of the layer’s kernels: {low} to {high}, "
        f"mean {mean}, norm {norm}, {100 * of_layer.sparsity:.1f} % zero."
    )
    kernels, table, biases, _ = st.columns([1, 1, 1, 2])
    with kernels:
        parts.download_array("Kernels (.npy)", weights.kernels, f"{stem}-kernels", "kernels npy")
    with table:
        parts.download(
            "Filters (.csv)", lambda: filters_csv(weights), f"{stem}-filters.csv", "filters csv"
        )
    if weights.biases is not None:
        with biases:
            parts.download_array("Biases (.npy)", weights.biases, f"{stem}-biases", "biases npy")
