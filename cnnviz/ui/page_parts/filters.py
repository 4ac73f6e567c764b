"""The Filters page's parts: the choices, the grid of all filters, one filter, and downloads."""

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
from cnnviz.results import Filters, LayerInfo
from cnnviz.ui import choices, parts
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

_SCALINGS = {
    "layer": "0–1 over the layer",
    "filter": "0–1 in each filter",
    "symmetric": "Around zero",
    "raw": "Raw weights",
}


def pick_layer(scene: Scene, convolutions: list[LayerInfo]) -> str:
    """The choice of a convolution, by path; by default the one that the card suggests."""
    suggested = scene.outline.card.suggested_layers.filters
    default = suggested if suggested in [layer.path for layer in convolutions] else None
    return parts.pick_layer("Layer", convolutions, default, _scope(scene))


def put_layer(scene: Scene, path: str) -> None:
    """Chooses a convolution for the person, before the choice is drawn."""
    choices.put("layer", path, _scope(scene))


def _scope(scene: Scene, layer: str | None = None) -> str:
    scope = f"filters of {scene.model.name}"
    return scope if layer is None else f"{scope} {layer}"


def _input_names(scene: Scene, weights: Filters) -> list[str]:
    """The names of a convolution's input channels; colours if its input is the photo."""
    count = weights.kernels.shape[2]
    if count == 1:
        return ["its one input channel"]
    first = next(layer.path for layer in scene.outline.layers if layer.kernel_shape)
    if weights.layer == first and count == 3:
        colours = ["red", "green", "blue"]
        if scene.outline.card.preprocessing.scaling == "caffe":
            colours.reverse()
        return [f"input {number} ({colour})" for number, colour in enumerate(colours)]
    return [f"input {number}" for number in range(count)]


def warn_of_damage(weights: Filters) -> None:
    """A warning if weights are not numbers; their cells stay empty."""
    if text := damage(weights):
        st.warning(plain(text), icon=":material/warning:")


def pick_input(scene: Scene, weights: Filters) -> int:
    """The choice of the input channel whose weights are drawn."""
    names = _input_names(scene, weights)
    return choices.choose(
        st.selectbox,
        "Input channel",
        "input",
        range(len(names)),
        0,
        scope=_scope(scene, weights.layer),
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
    weights: Filters, channel: int, scaling: str, colours: str, *, named: bool = True
) -> go.Figure:
    """All filters of a layer, (kh, kw) each, on one shared scale.

    Without ``named`` their numbers only appear under the mouse.
    """
    raw = weights.kernels[:, :, channel, :]
    limits = {"symmetric": (-1.0, 1.0), "layer": (0.0, 1.0), "filter": (0.0, 1.0)}
    low, high = float(weights.kernels.min()), float(weights.kernels.max())
    values = raw if scaling == "raw" else scale_filters(weights.kernels, scaling)[:, :, channel, :]
    statistics = weights.per_filter
    hovers = [
        f"Filter {number}\nweights {raw[..., number].min():.3g} to {raw[..., number].max():.3g}"
        f"\nnorm {statistics.norm[number]:.3g}"
        for number in range(raw.shape[-1])
    ]
    return channel_grid(
        values,
        title=f"{raw.shape[-1]} filters of {weights.layer}",
        unit="weight" if scaling == "raw" else "scaled weight",
        names=[f"#{number}" if named else "" for number in range(raw.shape[-1])],
        hovers=hovers,
        colours=colours,
        limits=limits.get(scaling, (low, high)),
    )


def pick_filter(scene: Scene, weights: Filters, clicked: str | None) -> int:
    """The filter to show on its own: the one that was clicked or chosen last."""
    scope = _scope(scene, weights.layer)
    if clicked is not None:
        choices.put("filter", clicked, scope=scope)
    count = weights.kernels.shape[-1]
    return choices.choose(
        st.selectbox,
        "Filter",
        "filter",
        range(count),
        0,
        scope=scope,
        format_func=lambda number: f"#{number}",
    )


def one_filter(scene: Scene, weights: Filters, number: int, channel: int) -> None:
    """One filter with its numbers, its bias, and its rank by norm."""
    name = _input_names(scene, weights)[channel]
    kernel = weights.kernels[:, :, channel, number]
    look = shading(weights.kernels, signed=True)
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
    statistics = weights.per_filter
    rank = int((statistics.norm > statistics.norm[number]).sum()) + 1
    facts = {
        "Bias": _bias(weights, number),
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


def _bias(weights: Filters, number: int) -> str:
    if weights.biases is None:
        return "none"
    if weights.pointwise is not None:
        return "none: the biases belong to the pointwise filters"
    return f"{weights.biases[number]:.4g}"


def downloads(weights: Filters) -> None:
    """The raw weights as files."""
    stem = parts.file_stem(weights.layer)
    whole = weights.per_layer
    st.caption(
        f"All {weights.kernels.size:,} weights of the layer: {whole.minimum:.3g} to "
        f"{whole.maximum:.3g}, mean {whole.mean:.3g}, norm {whole.norm:.3g}, "
        f"{whole.sparsity:.1%} zero."
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
