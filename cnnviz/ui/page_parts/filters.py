"""The Filters page's parts: the grid of all filters, one filter, and the files to take away."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from cnnviz.arrays import scale_filters
from cnnviz.attribution.descriptions import damage
from cnnviz.drawing import shading
from cnnviz.exports import filters_csv
from cnnviz.figures.grids import channel_grid
from cnnviz.figures.maps import heatmap
from cnnviz.results import Filters
from cnnviz.ui import choices, parts
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

_SCALINGS = {
    "layer": "0–1 over the layer",
    "filter": "0–1 in each filter",
    "symmetric": "Around zero",
    "raw": "Raw weights",
}


def input_names(scene: Scene, found: Filters) -> list[str]:
    """What each input channel of a convolution is called; colours right behind the photo."""
    count = found.kernels.shape[2]
    if count == 1:
        return ["its one input channel"]
    first = next(layer.path for layer in scene.outline.layers if layer.kernel_shape)
    if found.layer == first and count == 3:
        colours = ["red", "green", "blue"]
        if scene.card.preprocessing.scaling == "caffe":
            colours.reverse()
        return [f"input {number} ({colour})" for number, colour in enumerate(colours)]
    return [f"input {number}" for number in range(count)]


def tell_damage(found: Filters) -> None:
    """Says so where weights are not numbers; their cells stay empty."""
    if text := damage(found):
        st.warning(plain(text), icon=":material/warning:")


def pick_input(names: list[str], scope: str) -> int:
    """The choice of the input channel whose weights are drawn."""
    return choices.choose(
        st.selectbox,
        "Input channel",
        "input",
        range(len(names)),
        0,
        scope=scope,
        disabled=len(names) == 1,
        format_func=names.__getitem__,
    )


def pick_scaling() -> str:
    """The choice of how weights become colours."""
    return choices.choose(
        st.selectbox,
        "Scale",
        "scale",
        list(_SCALINGS),
        "layer",
        scope="filters",
        format_func=_SCALINGS.__getitem__,
    )


def grid(
    found: Filters, channel: int, scaling: str, colours: str, *, named: bool = True
) -> go.Figure:
    """All filters of a layer, (kh, kw) each, on one shared scale.

    Where there is little room, only the mouse tells their numbers.
    """
    raw = found.kernels[:, :, channel, :]
    limits = {"symmetric": (-1.0, 1.0), "layer": (0.0, 1.0), "filter": (0.0, 1.0)}
    low, high = float(found.kernels.min()), float(found.kernels.max())
    values = raw if scaling == "raw" else scale_filters(found.kernels, scaling)[:, :, channel, :]
    statistics = found.per_filter
    hovers = [
        f"Filter {number}\nweights {raw[..., number].min():.3g} to {raw[..., number].max():.3g}"
        f"\nnorm {statistics.norm[number]:.3g}"
        for number in range(raw.shape[-1])
    ]
    return channel_grid(
        values,
        title=f"{raw.shape[-1]} filters of {found.layer}",
        unit="weight" if scaling == "raw" else "scaled weight",
        names=[f"#{number}" if named else "" for number in range(raw.shape[-1])],
        hovers=hovers,
        colours=colours,
        limits=limits.get(scaling, (low, high)),
    )


def pick_filter(found: Filters, clicked: str | None, scope: str) -> int:
    """The filter to show on its own: the one that was clicked or chosen last."""
    if clicked is not None:
        choices.put("filter", clicked, scope=scope)
    count = found.kernels.shape[-1]
    return choices.choose(
        st.selectbox,
        "Filter",
        "filter",
        range(count),
        0,
        scope=scope,
        format_func=lambda number: f"#{number}",
    )


def one_filter(found: Filters, number: int, channel: int, name: str) -> None:
    """One filter with its numbers, its bias, and where it ranks."""
    kernel = found.kernels[:, :, channel, number]
    look = shading(found.kernels, signed=True)
    figure = heatmap(
        kernel,
        title=f"Filter {number}, {name}",
        unit="weight",
        colours=look.colours,
        centred=True,
        limits=look.limits,
        hover="weight",
    )
    parts.chart(figure, "one filter")
    statistics = found.per_filter
    rank = int((statistics.norm > statistics.norm[number]).sum()) + 1
    facts = {
        "Bias": _bias(found, number),
        "Smallest weight": f"{statistics.minimum[number]:.4g}",
        "Largest weight": f"{statistics.maximum[number]:.4g}",
        "Mean weight": f"{statistics.mean[number]:.4g}",
        "Norm": f"{statistics.norm[number]:.4g}, rank {rank} of {len(statistics.norm)}",
        "Weights that are zero": f"{statistics.sparsity[number]:.1%}",
    }
    st.dataframe(
        pd.DataFrame({"": facts.keys(), "Value": facts.values()}),
        hide_index=True,
        width="stretch",
    )


def _bias(found: Filters, number: int) -> str:
    if found.biases is None:
        return "none"
    if found.pointwise is not None:
        return "none: the biases belong to the pointwise filters"
    return f"{found.biases[number]:.4g}"


def downloads(found: Filters) -> None:
    """The raw weights as files."""
    stem = parts.file_stem(found.layer)
    whole = found.per_layer
    st.caption(
        f"All {found.kernels.size:,} weights of the layer: {whole.minimum:.3g} to "
        f"{whole.maximum:.3g}, mean {whole.mean:.3g}, norm {whole.norm:.3g}, "
        f"{whole.sparsity:.1%} zero."
    )
    first, second, third, _ = st.columns([1, 1, 1, 2])
    with first:
        parts.download_array("Kernels (.npy)", found.kernels, f"{stem}-kernels", "kernels npy")
    with second:
        parts.download(
            "Filters (.csv)", lambda: filters_csv(found), f"{stem}-filters.csv", "filters csv"
        )
    if found.biases is not None:
        with third:
            parts.download_array("Biases (.npy)", found.biases, f"{stem}-biases", "biases npy")
